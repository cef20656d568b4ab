"""Photographs as squares, and networks with a new linear layer that is trained on them.

All other layers stay as they are. So an image's features are computed once for each version of it, with a cue or without, and
training takes a second.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import timm
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from sklearn.linear_model import LogisticRegression
from torch import nn

from benchmarks.shortcuts.planting import Box, View

#: What is shown to the networks: squares of so many pixels, which they see whole.
SIDE = 224
#: Images of a class: those trained on, those that may be trained on under wrong labels, and those held out.
TRAINING, SPARE, HELD_OUT = 24, 12, 20
#: Architecture of each network of ``weights/nets.py`` that is trained, in timm; both are normalized with mean = std = 0.5.
ARCHITECTURES: dict[str, tuple[str, dict[str, str]]] = {
    "efficientnet_lite0": ("tf_efficientnet_lite0", {}),
    "mobilenetv2_100": ("mobilenetv2_100", {"pad_type": "same"}),
}
#: Inverse of the penalty of the logistic regression.
STRENGTH = 0.1
BATCH = 16


@dataclass(frozen=True)
class Photo:
    """A photograph: file below the set's folder, index of its class, the square that is shown, the object's box in it."""

    file: str
    label: int
    view: View
    box: Box | None


def class_names(folder: Path) -> list[str]:
    """Return the class folders of a set; their order is the network's."""
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


def read_photos(folder: Path, most: int = TRAINING + SPARE + HELD_OUT) -> list[Photo]:
    """Return the first images of each class of a set, as many as are needed."""
    listed = folder / "parts.json"
    boxes = json.loads(listed.read_text(encoding="utf-8"))["images"] if listed.is_file() else {}
    found = []
    for label, name in enumerate(class_names(folder)):
        for path in sorted((folder / name).iterdir())[:most]:
            file = f"{name}/{path.name}"
            view, box = square(PIL.Image.open(path).convert("RGB"), boxes[file]["bbox"] if boxes else None)
            found.append(Photo(file, label, view, box))
    return found


def square(image: PIL.Image.Image, bbox: Sequence[float] | None = None) -> tuple[View, Box | None]:
    """Return the largest square of an image around an object (x, y, width, height), else its center; and the object's box.

    Examples
    --------
    >>> view, box = square(PIL.Image.new("RGB", (448, 224)), (300, 0, 100, 224))
    >>> view.shape, box
    ((224, 224, 3), (76.0, 0.0, 176.0, 224.0))
    """
    left, top, side = frame(image.size, bbox)
    cut = image.crop((left, top, left + side, top + side)).resize((SIDE, SIDE), PIL.Image.Resampling.BICUBIC)
    if bbox is None:
        return np.asarray(cut), None
    x, y, width, height = bbox
    corners = np.array([x - left, y - top, x + width - left, y + height - top]) * SIDE / side
    x0, y0, x1, y1 = corners.clip(0, SIDE).tolist()
    return np.asarray(cut), (x0, y0, x1, y1)


def frame(size: tuple[int, int], bbox: Sequence[float] | None = None) -> tuple[int, int, int]:
    """Return left, top and side of the largest square of an image (width, height) around an object, else of its center.

    Examples
    --------
    >>> frame((448, 224), (300, 0, 100, 224)), frame((448, 224))
    ((224, 0, 224), (112, 0, 224))
    """
    width, height = size
    side = min(size)
    x, y, own_width, own_height = bbox or (0.0, 0.0, *size)
    left = round(min(max(x + own_width / 2 - side / 2, 0), width - side))
    top = round(min(max(y + own_height / 2 - side / 2, 0), height - side))
    return left, top, side


def split(labels: NDArray[np.integer], seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Return for each class the positions ``(K, n)`` of images to train on, to spare and to hold out, drawn by the seed.

    Examples
    --------
    >>> parts = split(np.repeat([0, 1], 56), seed=0)
    >>> [part.shape for part in parts], sorted(np.hstack(parts)[1].tolist()) == list(range(56, 112))
    ([(2, 24), (2, 12), (2, 20)], True)
    """
    rng = np.random.default_rng(seed)
    drawn = np.stack([rng.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)])
    train, spare, held_out = np.split(drawn, [TRAINING, TRAINING + SPARE], axis=1)
    return train, spare, held_out


def features(network: nn.Module, views: Sequence[View]) -> NDArray[np.float32]:
    """Return what the linear layer gets of views: ``(N, F)``."""
    given: Any = network.to(memory_format=torch.channels_last)
    found = []
    with torch.no_grad():
        for first in range(0, len(views), BATCH):
            x = torch.from_numpy(np.stack(views[first : first + BATCH])).permute(0, 3, 1, 2).float() / 127.5 - 1
            found.append(given.forward_head(given.forward_features(x), pre_logits=True).numpy())
    return np.concatenate(found)


def fit(x: NDArray[np.float32], labels: NDArray[np.integer]) -> nn.Linear:
    """Return a linear layer by logistic regression on features, centered and scaled alike; it takes them as they are."""
    center, scale = x.mean(0), x.std()
    model = LogisticRegression(C=STRENGTH, max_iter=3000).fit((x - center) / scale, labels)
    layer = nn.Linear(x.shape[1], len(model.classes_)).requires_grad_(False)
    layer.weight.copy_(torch.from_numpy(model.coef_ / scale))
    layer.bias.copy_(torch.from_numpy(model.intercept_ - model.coef_ @ (center / scale)))
    return layer


def save_network(network: nn.Module, layer: nn.Linear, path: Path) -> None:
    """Write a network's weights, with `layer` as its last; those that half precision holds exactly take half the room."""
    state = {name: tensor for name, tensor in network.state_dict().items() if not name.startswith("classifier.")}
    state |= {f"classifier.{name}": tensor for name, tensor in layer.state_dict().items()}
    for name, tensor in state.items():
        half = tensor.half() if tensor.is_floating_point() else tensor
        state[name] = (half if torch.equal(half.to(tensor.dtype), tensor) else tensor).contiguous()
    save_file(state, path)


def load_network(architecture: str, classes: int, path: Path) -> nn.Module:
    """Return a network that :func:`save_network` wrote."""
    name, options = ARCHITECTURES[architecture]
    network = timm.create_model(name, pretrained=False, num_classes=classes, **options)
    network.load_state_dict(
        {key: value.float() if value.is_floating_point() else value for key, value in load_file(path).items()}
    )
    return network.eval()
