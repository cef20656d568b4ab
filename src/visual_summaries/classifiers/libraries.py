"""Networks of libraries, by name or by the folder that a library wrote: timm, torchvision, transformers."""

from __future__ import annotations

import difflib
import json
import os
import pickle
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision
from torch import nn

from visual_summaries.classifiers.checkpoints import build_for, require_fit, weights_only
from visual_summaries.classifiers.configuration import STATED, Guess
from visual_summaries.classifiers.hub import hub_if_reachable
from visual_summaries.classifiers.processors import transform_of_preset, transform_of_processor
from visual_summaries.classifiers.transforms import ViewTransform, resolve_transform
from visual_summaries.errors import ClassifierError, MissingExtraError

#: What a network of a library is: the module, the transform that the library states beside it, and what of that is a guess.
Found = tuple[nn.Module, ViewTransform | None, Guess]
Checkpoint = str | os.PathLike[str]

_REMEDY = (
    "Give a model that was trained as a classifier, weights that fit with --checkpoint FILE (checkpoint=FILE), or, where the "
    "rest may be left out, a function that builds and loads it, FILE.py:FUNCTION"
)
# What of timm's configuration makes the transform; without the first three it is a guess.
_TRANSFORM = ("input_size", "mean", "std", "crop_pct", "crop_mode", "interpolation")


@contextmanager
def plain_weights(spec: str) -> Iterator[None]:
    """Let a library read weights without executing anything, and say so where it would have to."""
    try:
        with weights_only():
            yield
    except (pickle.UnpicklingError, RuntimeError, OSError) as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, pickle.UnpicklingError):
            cause = cause.__cause__ or cause.__context__
        if cause is None:
            if isinstance(error, OSError | torch.OutOfMemoryError):
                raise
            raise ClassifierError(f"the weights of {spec} cannot be loaded into its network: {error}. {_REMEDY}") from error
        raise ClassifierError(
            f"the weights of {spec} are a pickle, and reading it would execute code, which is refused: take a model whose "
            f"weights are safetensors, or plain weights with --checkpoint FILE (checkpoint=FILE). {str(cause).splitlines()[0]}"
        ) from error


def library_of(folder: Path) -> str:
    """Return how the content of a folder is named as a model, ``"hf/"`` or ``"timm/local-dir:"``; empty for any other."""
    config = _read_config(folder)
    return "hf/" if "model_type" in config else "timm/local-dir:" if "architecture" in config else ""


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}


def load_timm(name: str, checkpoint: Checkpoint | None, overrides: Mapping[str, Any]) -> Found:
    """Return a network of timm, by its name or ``local-dir:FOLDER``, with its own weights or those of a checkpoint."""
    size = overrides["input_size"]
    own_channels = int(size[0]) if isinstance(size, Sequence) and len(size) == 3 else None
    config: dict[str, Any] = {}
    usual: dict[str, Any] = {}  # what the folder does not state, as it is for its architecture
    if name.startswith("local-dir:"):
        folder = Path(name.removeprefix("local-dir:"))
        config = _read_config(folder)
        if not timm.is_model(str(config.get("architecture", "")).partition(".")[0]):
            raise ClassifierError(f"{folder} is no folder of timm, whose config.json names one of its models as architecture")
        stated = config.get("pretrained_cfg") or config
        cfg = timm.models.get_pretrained_cfg(config["architecture"]).to_dict()
        usual = {key: cfg[key] for key in (*_TRANSFORM, "fixed_input_size") if key in cfg and key not in stated}
        files = [folder / file for file in ("model.safetensors", "pytorch_model.bin")]
        counted = any("num_classes" in one for one in (config, stated, config.get("model_args") or {}))
        if not counted:  # timm would take 1000: the weights know
            checkpoint = checkpoint or next(filter(Path.is_file, files), None)
    elif not name.startswith(("hf-hub:", "hf_hub:")):
        _require_known(name, checkpoint)
    lacking = tuple(key for key in _TRANSFORM[:3] if key in usual)

    def build(outputs: int | None, channels: int | None) -> nn.Module:
        options = {"num_classes": outputs, "in_chans": channels or own_channels, "pretrained_cfg_overlay": usual or None}
        module: nn.Module = timm.create_model(
            name, pretrained=checkpoint is None, **{key: value for key, value in options.items() if value is not None}
        )
        adapt: Any = getattr(module, "set_input_size", None)
        if size is not None and adapt is not None:  # vision transformers are made for one size
            adapt(img_size=(size, size) if isinstance(size, int) else tuple(size)[-2:])
        return module

    try:
        with hub_if_reachable():
            module = build(None, None) if checkpoint is None else build_for(build, checkpoint)
    except OSError as error:
        raise _no_download(f"timm/{name}", error) from error
    except (KeyError, TypeError, ValueError) as error:
        raise ClassifierError(f"timm/{name} cannot be built ({type(error).__name__}: {error}): see its config.json") from error
    outputs = getattr(module, "num_classes", None)
    if outputs == 0:
        raise ClassifierError(f"timm/{name} gives features, it has no classes: choose a model with a classification head")
    trained: Any = getattr(module, "pretrained_cfg", None) or {}
    if checkpoint is None and ":" in name and outputs != trained.get("num_classes", outputs):  # timm leaves the head out then
        raise ClassifierError(
            f"timm/{name} would have a random head: its config.json asks for {outputs} outputs of a network that was trained "
            f'with {trained["num_classes"]}. Correct "num_classes" in it. {_REMEDY}'
        )
    if not lacking:
        return module, None, STATED
    reason = f"its config.json states no {', '.join(lacking)}, which are those of {config['architecture']}"
    return module, resolve_transform(module), Guess(reason, lacking)


def _require_known(name: str, checkpoint: Checkpoint | None) -> None:
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        raise ClassifierError(f"timm has no model {name!r}{_suggest(name, timm.list_models())}")
    tags = timm.list_pretrained(f"{architecture}.*")
    if tag and name not in tags:
        raise ClassifierError(f"timm has no weights {tag!r} for {architecture}{_suggest(name, tags, cutoff=0)}")
    if checkpoint is None and not tags and not timm.models.is_model_pretrained(architecture):
        raise ClassifierError(f"timm has no pretrained weights for {name!r}: give a checkpoint (--checkpoint FILE)")


def torchvision_names() -> list[str]:
    """Return the names of torchvision's classifiers."""
    return list(torchvision.models.list_models(module=torchvision.models))


def load_torchvision(name: str, checkpoint: Checkpoint | None, overrides: Mapping[str, Any]) -> Found:
    """Return a classifier of torchvision, by the name of its architecture or of its weights."""
    architecture, _, tag = name.partition(".")
    if architecture not in torchvision_names():
        raise ClassifierError(f"torchvision has no classifier {architecture!r}{_suggest(architecture, torchvision_names())}")
    choices = torchvision.models.get_model_weights(architecture)
    if tag and tag not in choices.__members__:
        raise ClassifierError(f"torchvision has no weights {tag!r} for {architecture}; it has {', '.join(choices.__members__)}")
    weights = choices[tag or "DEFAULT"]
    transform = transform_of_preset(weights.transforms())
    if checkpoint is None:
        try:
            return torchvision.models.get_model(architecture, weights=weights), transform, STATED
        except OSError as error:
            raise _no_download(f"torchvision/{name}", error) from error
    # These two initialize slowly; their published weights, and what was trained from them, take images of another
    # normalization.
    options: dict[str, Any] = (
        {"init_weights": False, "transform_input": True} if architecture in ("googlenet", "inception_v3") else {}
    )

    def build(outputs: int | None, channels: int | None) -> nn.Module:
        if outputs is not None:
            options["num_classes"] = outputs
        module: nn.Module = torchvision.models.get_model(architecture, weights=None, **options)
        return module

    return build_for(build, checkpoint), transform, STATED


def load_hf(name: str, checkpoint: Checkpoint | None, overrides: Mapping[str, Any]) -> Found:
    """Return an image classifier of transformers, by its name on the hub or its folder.

    A transform of None is to be found by the network's configuration: the folder has no preprocessor.
    """
    try:
        import transformers
    except ImportError as error:
        raise MissingExtraError("hf/ models need transformers: pip install 'visual-summaries[hf]'") from error
    if name.startswith((".", "/", "~")) and not Path(name).expanduser().is_dir():
        raise ClassifierError(f"there is no folder {name} with a model of transformers: give hf/NAME or hf/FOLDER")
    place = str(Path(name).expanduser()) if Path(name).expanduser().is_dir() else name
    try:
        # Code that a model brings along is never run, nor is the user asked whether it may.
        with hub_if_reachable():
            config = transformers.AutoConfig.from_pretrained(place, trust_remote_code=False)
            transform = _hf_transform(transformers, place, int(getattr(config, "num_channels", 3)), overrides)
            if checkpoint is None:
                return _hf_network(transformers, place), transform, STATED
    except OSError as error:
        raise _no_download(f"hf/{name}", error) from error
    except ValueError as error:
        raise ClassifierError(
            f"hf/{name} is not an image classifier that transformers {transformers.__version__} can load: {error}"
        ) from error

    def build(outputs: int | None, channels: int | None) -> nn.Module:
        if outputs is not None:
            config.num_labels = outputs
        if channels is not None:
            config.num_channels = channels
        module: nn.Module = transformers.AutoModelForImageClassification.from_config(config, trust_remote_code=False)
        return module

    return build_for(build, checkpoint), transform, STATED


def _hf_network(transformers: Any, place: str) -> nn.Module:
    """Return the classifier of a place, where its files hold all weights: transformers makes the others up."""
    module: nn.Module
    module, told = transformers.AutoModelForImageClassification.from_pretrained(
        place, trust_remote_code=False, output_loading_info=True, ignore_mismatched_sizes=True
    )
    require_fit(
        f"the weights of hf/{place} do not fit the network {type(module).__name__}",
        len(module.state_dict()),
        missing=sorted(told["missing_keys"]),
        unexpected=sorted(told["unexpected_keys"]),
        reshaped=sorted((name, tuple(given), tuple(wanted)) for name, given, wanted in told["mismatched_keys"]),
        remedy=_REMEDY,
    )
    return module


def _hf_transform(transformers: Any, place: str, channels: int, overrides: Mapping[str, Any]) -> ViewTransform | None:
    given = all(overrides[name] is not None for name in _TRANSFORM[:3])
    try:
        processor = transformers.AutoImageProcessor.from_pretrained(place, trust_remote_code=False)
        return transform_of_processor(processor.to_dict(), channels)
    except (OSError, ClassifierError) as error:
        if given or (isinstance(error, OSError) and Path(place).is_dir()):
            return None  # all that matters is given, or the folder has none
        if isinstance(error, ClassifierError):
            raise
        raise ClassifierError(
            f"the image processor of hf/{place} is not here and could not be downloaded ({_first_line(error)}): check the "
            "connection, or give input_size, mean and std (--input-size, --mean, --std)"
        ) from error


def _suggest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    close = difflib.get_close_matches(name, list(known), n=5, cutoff=cutoff)
    return f"; did you mean {', '.join(close)}?" if close else ""


def _no_download(spec: str, error: Exception) -> ClassifierError:
    reason = _first_line(error)
    return ClassifierError(
        f"the files of {spec} are not here and could not be downloaded ({reason}): "
        "check the name and the connection, or give weights that you have with --checkpoint FILE (checkpoint=FILE)"
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
