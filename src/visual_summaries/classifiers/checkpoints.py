"""Weights from files, never executing anything that a file holds."""

from __future__ import annotations

import logging
import os
import pickle
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from visual_summaries.classifiers.formats import what_it_is
from visual_summaries.errors import ClassifierError

logger = logging.getLogger("visual_summaries")

#: A function that builds the network, for a number of outputs and of input channels (None: the network's own).
Builder = Callable[[int | None, int | None], nn.Module]

# Under these names training scripts keep the weights inside a checkpoint.
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "weights", "params", "module")
# The same of weights averaged over the last steps, and what is put before their names where they stand among the raw ones.
_AVERAGED = (
    "state_dict_ema",
    "model_ema",
    "ema",
    "ema_state_dict",
    "ema_model",
    "model_ema_state_dict",
    "params_ema",
    "swa_model",
)
_AVERAGED_PREFIXES = tuple(f"{name}." for name in ("model_ema", "ema_model", "ema", "swa_model", "averaged_model"))
# What training scripts put before every name: DataParallel, torch.compile, Lightning and common attribute names.
_PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "classifier.")


class Weights(os.PathLike[str]):
    """The path of a checkpoint, with what is wanted of it (``"ema"``, ``"raw"`` or None), and later what was taken."""

    def __init__(self, path: str | os.PathLike[str], wanted: str | None = None) -> None:
        if wanted not in (None, "ema", "raw"):
            raise ClassifierError(f"weights is {wanted!r}, but must be 'ema' (averaged over training steps) or 'raw'")
        self.path, self.wanted, self.taken = os.fspath(path), wanted, ""

    def __fspath__(self) -> str:
        return self.path


@contextmanager
def weights_only() -> Iterator[None]:
    """Make every ``torch.load`` inside refuse what is not a tensor, also where a library asks it not to.

    Examples
    --------
    >>> with weights_only():
    ...     os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"]
    '1'
    """
    name = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Return the weights in a safetensors file, or in a file of ``torch.save`` that holds tensors only.

    Raises
    ------
    ClassifierError
        If there is no such file, it is damaged, it holds no weights, or reading it would execute code.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "weights.pt"
    >>> torch.save({"epoch": 3, "state_dict": nn.Linear(2, 1).state_dict()}, path)
    >>> {name: tuple(tensor.shape) for name, tensor in read_checkpoint(path).items()}
    {'weight': (1, 2), 'bias': (1,)}
    """
    given, path = path, Path(path)
    if not path.is_file():
        raise ClassifierError(
            f"checkpoint {path} does not exist or is no file: give a .safetensors file, or one written by torch.save"
        )
    if other := what_it_is(path):
        raise ClassifierError(f"checkpoint {path} is {other}")
    try:
        if path.suffix.lower() == ".safetensors":
            return dict(load_file(path))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise ClassifierError(f"checkpoint {path} is not a valid safetensors file: {error}") from error
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL (\S+)", str(error))
        what = f"asks for {found.group(1)}" if found else "holds more than tensors"
        raise ClassifierError(
            f"checkpoint {path} {what}: reading it would execute code, which is refused. Where you trust it, "
            "load it yourself and save its weights alone, safetensors.torch.save_file(model.state_dict(), 'w.safetensors')"
        ) from error
    except Exception as error:
        raise ClassifierError(
            f"checkpoint {path} cannot be read ({error or type(error).__name__}): it is damaged, or was written neither by "
            "safetensors nor by torch.save"
        ) from error
    return _unwrap(content, given if isinstance(given, Weights) else Weights(given))


def _unwrap(content: Any, file: Weights) -> dict[str, Tensor]:
    kinds: dict[str, str] = {}  # the names under which raw and averaged weights were found
    while isinstance(content, Mapping):
        tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
        found = {
            kind: next((name for name in names if isinstance(content.get(name), Mapping)), None)
            for kind, names in (("raw", _WRAPPERS), ("ema", _AVERAGED))
        }
        kinds = kinds or {kind: name for kind, name in found.items() if name is not None}
        inner = found[file.wanted or "raw"] or found["raw"] or found["ema"]
        if inner is None:
            if tensors:
                return _chosen(tensors, kinds, file)
            break
        content = content[inner]
    held = (
        f"a mapping with {', '.join(map(repr, list(content)[:5]))}"
        if isinstance(content, Mapping)
        else f"a {type(content).__name__}"
    )
    raise ClassifierError(f"checkpoint {file.path} holds {held}, but no weights: save model.state_dict()")


def _chosen(tensors: dict[str, Tensor], kinds: dict[str, str], file: Weights) -> dict[str, Tensor]:
    """Return the weights that are wanted of those that a file holds, and say what was taken where it holds both kinds."""
    averaged = {name: value for name, value in tensors.items() if name.startswith(_AVERAGED_PREFIXES)}
    if averaged and len(averaged) < len(tensors):
        prefix = next(one for one in _AVERAGED_PREFIXES if next(iter(averaged)).startswith(one))
        kinds = {"raw": "names without this prefix", "ema": prefix}
        short = {name.removeprefix(prefix).removeprefix("module."): value for name, value in averaged.items()}
        tensors = short if file.wanted == "ema" else {name: value for name, value in tensors.items() if name not in averaged}
    if file.wanted == "ema" and "ema" not in kinds:
        raise ClassifierError(f"checkpoint {file.path} holds no averaged weights, one kind only: leave weights (--weights) out")
    if file.wanted == "raw" and kinds and "raw" not in kinds:
        raise ClassifierError(
            f"checkpoint {file.path} holds averaged weights only ({kinds['ema']}): give weights='ema' (--weights ema)"
        )
    if "ema" in kinds:
        file.taken = file.wanted or ("raw" if "raw" in kinds else "ema")
    if len(kinds) == 2:
        other = "raw" if file.taken == "ema" else "ema"
        level = logging.INFO if file.wanted else logging.WARNING
        words = "checkpoint %s holds averaged and raw weights: %s were taken (%s); weights='%s' (--weights %s) takes the others"
        logger.log(level, words, file.path, file.taken, kinds[file.taken], other, other)
    return tensors


def match_prefix(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights under the names that a network expects, without the prefix that a training script put before them.

    Examples
    --------
    >>> net = nn.Linear(2, 1)
    >>> sorted(match_prefix({f"module.{name}": value for name, value in net.state_dict().items()}, net.state_dict()))
    ['bias', 'weight']
    """
    current = dict(weights)
    while not current.keys() & expected.keys():
        shared = next((prefix for prefix in _PREFIXES if any(name.startswith(prefix) for name in current)), None)
        if shared is None:
            return dict(weights)
        current = {name.removeprefix(shared): value for name, value in current.items() if name.startswith(shared)}
    return current


def require_fit(
    problem: str,
    total: int,
    *,
    missing: Sequence[str],
    unexpected: Sequence[str],
    reshaped: Sequence[tuple[str, tuple[int, ...], tuple[int, ...]]],
    remedy: str,
) -> None:
    """Raise ClassifierError unless all `total` weights of a network were in a file, and no others.

    The first names of each kind are reported; `reshaped` has the name, the shape in the file and that in the network.
    """
    # counters of batch norm, absent from old or folded files; evaluation does not use them
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    shapes = [f"{name}: {given} in the file, {wanted} in the network" for name, given, wanted in reshaped]
    problems = [
        (f"{len(missing)} of {total} weights missing", missing),
        (f"{len(unexpected)} unexpected", unexpected),
        (f"{len(shapes)} of another shape", shapes),
    ]
    listed = "; ".join(
        f"{what} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})" for what, names in problems if names
    )
    if listed:
        raise ClassifierError(f"{problem}: {listed}. {remedy}")


def load_weights(module: nn.Module, weights: Mapping[str, Tensor], source: str) -> None:
    """Put weights into a module, all of them, exactly.

    Raises
    ------
    ClassifierError
        If names are missing, unexpected, or have another shape; the first few are named.

    Examples
    --------
    >>> load_weights(nn.Linear(2, 1), {"weight": torch.zeros(1, 3), "scale": torch.ones(1)}, "checkpoint w.pt")
    Traceback (most recent call last):
    ...
    visual_summaries.errors.ClassifierError: checkpoint w.pt does not fit the network Linear:
    1 of 2 weights missing (bias); 1 unexpected (scale); 1 of another shape (weight: (1, 3) in the file, (1, 2) in the network).
    Give the checkpoint of this very architecture, or the model specification that it was trained with
    """
    expected = module.state_dict()
    weights = match_prefix(weights, expected)
    shapes = {name: (tuple(weights[name].shape), tuple(expected[name].shape)) for name in expected if name in weights}
    require_fit(
        f"{source} does not fit the network {type(module).__name__}",
        len(expected),
        missing=[name for name in expected if name not in weights],
        unexpected=[name for name in weights if name not in expected],
        reshaped=[(name, given, wanted) for name, (given, wanted) in shapes.items() if given != wanted],
        remedy="Give the checkpoint of this very architecture, or the model specification that it was trained with",
    )
    module.load_state_dict(dict(weights), strict=False)


def build_for(build: Builder, path: str | os.PathLike[str]) -> nn.Module:
    """Build a network of a known architecture with the weights of a checkpoint.

    The number of outputs and of input channels is read from the checkpoint: where its layers differ from the
    architecture's in nothing else, the network is built again with these numbers.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "weights.pt"
    >>> torch.save(nn.Linear(2, 7).state_dict(), path)
    >>> build_for(lambda outputs, channels: nn.Linear(2, outputs or 1000), path)
    Linear(in_features=2, out_features=7, bias=True)
    """
    weights = read_checkpoint(path)
    module = build(None, None)
    expected = module.state_dict()
    found = match_prefix(weights, expected)
    outputs: set[int] = set()
    channels: set[int] = set()
    for name, tensor in expected.items():
        new, old = (tuple(found[name].shape) if name in found else tuple(tensor.shape)), tuple(tensor.shape)
        if new == old or len(new) != len(old) or not new:
            continue
        if new[1:] == old[1:]:
            outputs.add(new[0])
        elif len(new) == 4 and new[0] == old[0] and new[2:] == old[2:]:
            channels.add(new[1])
    if len(outputs) <= 1 and len(channels) <= 1 and outputs | channels:
        module = build(next(iter(outputs), None), next(iter(channels), None))
    load_weights(module, weights, f"checkpoint {os.fspath(path)}")
    return module
