"""The demo's trained networks, read from the package.

``main`` is the network that the demo explains; the others are weaker, for comparisons between networks. Each is a small timm
architecture with the weights and the record that ``scripts/train_demo_networks.py`` wrote. As a model specification:
``visual_summaries.demo:demo_network``.

Examples
--------
>>> network = demo_network()
>>> network.pretrained_cfg["input_size"], network.pretrained_cfg["label_names"][:2], network.training
((3, 160, 160), ('barwing', 'ringtail'), False)
>>> network_record("main")["accuracy"] >= 0.97
True
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import as_file, files
from typing import Any

import timm
from safetensors.torch import load_file
from torch import Tensor, nn

from visual_summaries._validate import require_choice

#: Names of the networks, best first.
NETWORKS = ("main", "tiny", "narrow", "brief")

_WEIGHTS = files("visual_summaries.demo") / "weights"


def network_record(name: str = "main") -> dict[str, Any]:
    """Return what is recorded of a network: architecture, transform, class names, measured accuracy, seed, training time.

    Raises
    ------
    SettingsError
        If there is no network of that name.
    """
    require_choice("name", name, NETWORKS)
    record: dict[str, Any] = json.loads((_WEIGHTS / f"{name}.json").read_text(encoding="utf-8"))
    return record


def demo_network(name: str = "main") -> nn.Module:
    """Return one of :data:`NETWORKS` in eval mode, on the CPU, its transform and class names in ``pretrained_cfg``.

    It takes float32 (N, 3, H, W), normalized as its ``pretrained_cfg`` says, and returns logits (N, 8).

    Raises
    ------
    SettingsError
        If there is no network of that name.
    """
    record = network_record(name)
    with as_file(_WEIGHTS / f"{name}.safetensors") as path:
        weights = load_file(path)
    return build(record, weights)


def build(record: Mapping[str, Any], weights: Mapping[str, Tensor]) -> nn.Module:
    """Return the network that a record describes, with these weights, in eval mode."""
    network: nn.Module = timm.create_model(
        record["architecture"], pretrained=False, num_classes=len(record["class_names"]), **record["arguments"]
    )
    # stored in half precision to keep the package small; computed with in single
    network.load_state_dict({key: value.float() if value.is_floating_point() else value for key, value in weights.items()})
    network.pretrained_cfg = {  # type: ignore[assignment]
        "architecture": record["architecture"],
        "input_size": tuple(record["input_size"]),
        "mean": tuple(record["mean"]),
        "std": tuple(record["std"]),
        "crop_pct": 1.0,
        "crop_mode": "center",
        "interpolation": "bicubic",
        "num_classes": len(record["class_names"]),
        "label_names": tuple(record["class_names"]),
    }
    return network.eval()
