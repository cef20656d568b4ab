"""A specialized network as two files, and back: weights as safetensors, all else as JSON; nothing in them is executed."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from visual_summaries.classifiers.checkpoints import load_weights, read_checkpoint
from visual_summaries.classifiers.transforms import ViewTransform
from visual_summaries.errors import ClassifierError, RunError, SettingsError
from visual_summaries.files.atomic import atomic_file, plain, write_json
from visual_summaries.flow.feature_maps import Layer
from visual_summaries.flow.token_order import ORDERS
from visual_summaries.specialization.looking import LookingNetwork
from visual_summaries.specialization.network import SpecializedNetwork

if TYPE_CHECKING:
    from visual_summaries.classifiers import Classifier

WEIGHTS, DESCRIPTION = "specialized.safetensors", "specialized.json"
FORMAT = 2
#: What was added to a network: detectors of parts, or looks at them.
PARTS, LOOKS = "parts", "looks"

_LAYOUTS = ("nchw", "nhwc", "tokens", *ORDERS)
_NETWORK = "network."
_MOST = 2**20  # cells, channels, detectors: a description that says more is no description of a network


def save_specialized(folder: Path, module: SpecializedNetwork, original: Classifier, result: dict[str, Any]) -> None:
    """Write a specialized network into a folder, with the result of specializing; what an older one left there is replaced.

    Raises
    ------
    RunError
        If it cannot be written to.
    """
    own = {
        "kind": PARTS,
        "classes": module.classes.tolist(),
        "detectors": len(module.weights),
        "scales": int(module.sizes.shape[1]),
        "evidence_limit": module.evidence_limit,
        "offset_limit": module.offset_limit,
        "probabilities": module.probabilities,
    }
    _save(folder, module, original, own, result)


def save_looking(folder: Path, module: LookingNetwork, original: Classifier, result: dict[str, Any]) -> None:
    """Write a network that looks again into a folder, as :func:`save_specialized` does."""
    own = {"kind": LOOKS, "detectors": len(module.bias), "features": int(module.heads.shape[2]), "side": module.side}
    _save(folder, module, original, own, result)


def _save(
    folder: Path,
    module: SpecializedNetwork | LookingNetwork,
    original: Classifier,
    own: dict[str, Any],
    result: dict[str, Any],
) -> None:
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is a file, but a specialized network needs a folder; choose another --out")
    description = {
        "format": FORMAT,
        "network": original.spec,
        "stages": [asdict(layer) for layer in module.layers],
        "cells": module.cells,
        **own,
        "transform": original.transform.to_dict(),
        "class_names": list(original.class_names),
        "result": result,
    }
    write_json(folder / DESCRIPTION, plain(description))
    # A tensor that two names share is written under both.
    weights = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in module.state_dict().items()}
    with atomic_file(folder / WEIGHTS) as file:
        file.write(save(weights))


def is_specialized(path: Path) -> bool:
    """Whether a folder holds a specialized network."""
    return path.is_dir() and (path / DESCRIPTION).is_file()


def read_description(folder: Path) -> dict[str, Any]:
    """Return the checked content of ``specialized.json``.

    Raises
    ------
    ClassifierError
        If it is damaged, of another version, or says what no specialized network can be.
    """
    path = folder / DESCRIPTION
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        _check(values)
    except (OSError, ValueError, KeyError, TypeError, RecursionError, SettingsError) as error:
        reason = f"{type(error).__name__}: {error}" if isinstance(error, KeyError | RecursionError) else str(error)
        raise ClassifierError(
            f"{path} does not describe a specialized network ({reason}): make it again with "
            "visual-summaries specialize or look-closer"
        ) from error
    return dict(values)


def _check(values: Any) -> None:
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        found = values.get("format") if isinstance(values, dict) else type(values).__name__
        raise ValueError(f"its format is {found!r}, this version reads {FORMAT}")
    if not isinstance(values["network"], str):
        raise TypeError("network must be text")
    for layer in values["stages"]:
        fits = set(layer) == {"name", "call", "layout", "grid", "channels"} and isinstance(layer["name"], str)
        numbers = [layer.get("call"), layer.get("channels"), *layer.get("grid", ())]
        if not fits or layer["layout"] not in _LAYOUTS or len(layer["grid"]) != 2 or not all(map(_is_count, numbers)):
            raise ValueError(f"layer {layer} is none")
    if values["kind"] not in (PARTS, LOOKS):
        raise ValueError(f"its kind is {values['kind']!r}")
    for name in ("detectors", "cells", *(("scales",) if values["kind"] == PARTS else ("features",))):
        if not _is_count(values[name]):
            raise ValueError(f"{name} is {values[name]!r}")
    if not 1 <= values["cells"] <= 64:
        raise ValueError("cells are out of range")
    if values["kind"] == PARTS:
        _check_parts(values)
    elif not _is_positive(values["side"]) or values["side"] > 1:
        raise ValueError(f"side is {values['side']!r}")
    if not (isinstance(values["class_names"], list) and all(isinstance(name, str) for name in values["class_names"])):
        raise ValueError("class_names must be a list of text")
    ViewTransform.from_dict(values["transform"])


def _check_parts(values: dict[str, Any]) -> None:
    if not 1 <= values["scales"] <= 8:
        raise ValueError("scales are out of range")
    for name in ("evidence_limit", "offset_limit"):
        if not _is_positive(values[name]):
            raise ValueError(f"{name} is {values[name]!r}")
    if not isinstance(values["probabilities"], bool):
        raise TypeError("probabilities must be true or false")
    if not (isinstance(values["classes"], list) and values["classes"] and all(map(_is_count, values["classes"]))):
        raise ValueError("classes must be indices")


def _is_positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST


def load_module(folder: Path, values: dict[str, Any], network: nn.Module) -> SpecializedNetwork | LookingNetwork:
    """Return the network of a folder, given its description and a network of its architecture, whose weights are replaced.

    Raises
    ------
    ClassifierError
        If the weights are damaged or do not fit.
    """
    path = folder / WEIGHTS
    weights = read_checkpoint(path)
    own = {name.removeprefix(_NETWORK): tensor for name, tensor in weights.items() if name.startswith(_NETWORK)}
    load_weights(network, own, f"specialized network {folder}")
    added = {name: tensor for name, tensor in weights.items() if not name.startswith(_NETWORK)}
    layers = [Layer(**{**layer, "grid": tuple(layer["grid"])}) for layer in values["stages"]]
    parts = values["kind"] == PARTS
    expected = _shapes(values, layers) if parts else _shapes_of_looks(values, layers)
    wrong = [name for name, shape in expected.items() if name not in added or tuple(added[name].shape) != shape]
    if wrong or len(added) != len(expected):
        raise ClassifierError(f"{path} does not hold the detectors that {DESCRIPTION} describes: make both again")
    finite = all(bool(torch.isfinite(tensor).all()) for tensor in added.values())
    if not finite or (parts and not _are_indices(added, values)):
        command = "specialize" if parts else "look-closer"
        raise ClassifierError(f"{path} holds detectors with impossible values: make it again with visual-summaries {command}")
    if not parts:
        return LookingNetwork(network, layers, added, cells=values["cells"], side=float(values["side"])).eval()
    return SpecializedNetwork(
        network,
        layers,
        added,
        cells=values["cells"],
        evidence_limit=float(values["evidence_limit"]),
        offset_limit=float(values["offset_limit"]),
        probabilities=values["probabilities"],
    ).eval()


def _shapes(values: dict[str, Any], layers: list[Layer]) -> dict[str, tuple[int, ...]]:
    count, classes = values["detectors"], len(values["classes"])
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("owners", "bias", "weights"), (count,))
    shapes |= {"classes": (classes,), "shifts": (classes,), "sizes": (count, values["scales"], 2)}
    return shapes | {f"detectors_{number}": (count, layer.channels) for number, layer in enumerate(layers)}


def _shapes_of_looks(values: dict[str, Any], layers: list[Layer]) -> dict[str, tuple[int, ...]]:
    count, classes = values["detectors"], len(values["class_names"])
    shapes: dict[str, tuple[int, ...]] = {"bias": (count,), "weights": (count + 1,), "constants": (count + 1, classes)}
    shapes["heads"] = (count + 1, classes, values["features"])
    return shapes | {f"detectors_{number}": (count, layer.channels) for number, layer in enumerate(layers)}


def _are_indices(added: dict[str, Tensor], values: dict[str, Any]) -> bool:
    owners, classes = added["owners"], added["classes"]
    same = owners.dtype == classes.dtype == torch.int64 and classes.tolist() == values["classes"]
    inside = same and bool(((owners >= 0) & (owners < len(classes))).all())
    return inside and max(values["classes"]) < len(values["class_names"])
