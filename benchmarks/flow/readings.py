"""PCK@0.1 of readings of the published matcher and of choices of the deep descriptor, one factor at a time.

    python benchmarks/flow/proxy.py --data DIR --out FOLDER
    python benchmarks/flow/readings.py --json benchmarks/results/flow-readings.json --size full --data DIR --proxies FOLDER

- hog: HOG and LOM as published, with one reading or setting changed; crops, scenes and warps;
- deep: feature maps of three networks, with one choice changed; crops and scenes.

All is measured on pairs of the first half of the classes, where it may be chosen; rows of the second half report what stands in
`REPORTED`. Rows that are in the JSON already are kept, so that a run that was interrupted continues.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.flow.keypoints import Annotated, choose, correct, shared_points
from benchmarks.harness import Row, finish, parser, pretrained, results, unfinished, write
from visual_summaries.flow import Features, Whitening, deep, dense, dense_flow, hog_boxes, match, matching
from visual_summaries.flow.deep import DeepDescriptor, join, pooled
from visual_summaries.regions.proposals import propose_boxes
from visual_summaries.settings.stages import ASSIGNMENTS

PAIRS = {"quick": 2, "full": 20}  # of each set and half; each both ways


@dataclass(frozen=True)
class Reading:
    """HOG and LOM; what stands here is the preset `paper`."""

    side: int = 300  # longer side of the images, pixels
    boxes: int = 500
    source: str = "selective_search"
    drawn: str = "of all sizes"  # or "large": the larger half
    ridge: float = 0.1  # of the whitening, in mean variances
    border: float = 0.01
    aspect: float = 2.0
    method: str = "lom"
    median: str = "coordinate"  # or "joint": one distance over x, y and scale; or "none": the box's own match
    steps: int = 20
    scale: str = "ratio"  # of areas; or "log2" of the ratio of sides
    per_pixel: float = 0.05
    per_scale: float = 0.3
    neighbors: float = 0.0  # boxes are neighbors from this IoU
    share: bool = True  # weigh by the neighbors' share of all best scores
    cover: str = "confidence"  # which box serves a pixel: the most confident; or "smaller": confidence over area
    completion: str = "fast_global_smoother"


@dataclass(frozen=True)
class Choice:
    """A deep descriptor and its matcher; what stands here is today's."""

    network: str = "mobilenetv2_100"
    layers: str = "-2"  # so many from the last, or names joined by "+"
    enlarge: float = 10 / 7  # shorter side of the image that is shown, over the network's input
    channels: int = 96  # of a layer, after projection
    cells: int = 4  # along each side of a box
    power: float = 4.0
    method: str = "nam"
    border: float = 0.01
    aspect: float = 2.0
    bandwidth: float = 0.05
    voters: int = 32
    side: int = 300
    boxes: int = 500
    source: str = "selective_search"


LITE = {"network": "efficientnet_lite0"}
DEPTHS = {"layers": "blocks.4+blocks.5"}  # the end of stride 16, and what follows it
CHANGES: dict[str, list[Mapping[str, Any]]] = {
    "hog": [
        {},
        {"method": "nam"},
        {"method": "phm"},
        {"share": False},
        {"per_pixel": 0.025},
        {"cover": "smaller"},
        {"neighbors": 0.3},
        {"median": "none"},
        {"scale": "log2"},
        {"median": "joint"},
        {"per_pixel": 0.1},
        {"border": 0.0},
        {"aspect": 1e9},
        {"neighbors": 0.1},
        {"per_scale": 0.0},
        {"steps": 0},
        {"steps": 100},
        {"completion": "none"},
        {"neighbors": 0.3, "cover": "smaller"},
        {"ridge": 0.01},
        {"ridge": 1.0},
        {"ridge": 1000.0},
        {"source": "grid"},
        {"source": "edge_boxes"},
        {"boxes": 1000},
        {"boxes": 1000, "drawn": "large"},
        {"side": 200},
        {"side": 450},
    ],
    "deep": [
        {},
        {"method": "phm"},
        {"method": "lom"},
        *[LITE | change for change in ({}, {"method": "phm"}, {"method": "lom"})],
        *[{"network": "efficientnet_lite2", **change} for change in ({}, {"method": "phm"})],
        *[LITE | {"layers": names} for names in ("-1", "-3", "blocks.4", "blocks.3+blocks.4", DEPTHS["layers"])],
        *[LITE | {"enlarge": value} for value in (1.0, 2.0)],
        *[DEPTHS | change for change in (LITE | {"method": "lom"}, {}, {"network": "efficientnet_lite2"})],
        *[LITE | DEPTHS | change for change in ({"method": "phm"}, {"enlarge": 2.0}, {"power": 8.0}, {"power": 2.0})],
        *[LITE | DEPTHS | change for change in ({"bandwidth": 0.08}, {"bandwidth": 0.03}, {"channels": 192}, {"cells": 6})],
        *[LITE | DEPTHS | change for change in ({"voters": 64}, {"source": "grid"}, {"aspect": 3.0, "border": 0.0})],
    ],
}
#: What was chosen on the first half, beside what stands for comparison: measured on the second half, too.
REPORTED: dict[str, list[Mapping[str, Any]]] = {
    "deep": [{}, {"method": "lom"}, LITE, LITE | {"method": "lom"}, LITE | DEPTHS, DEPTHS],
    "hog": [
        {},
        {"method": "nam"},
        {"cover": "smaller"},
        {"neighbors": 0.3},
        {"neighbors": 0.3, "cover": "smaller"},
        {"border": 0.0},
    ],
}


def lom(a: Features, b: Features, how: Reading) -> Tensor:
    """LOM with any of its readings changed; with none, what :func:`visual_summaries.flow.match` gives."""
    everything, other = matching.Geometry.of(a, how.border), matching.Geometry.of(b, how.border)
    used = everything.used
    a = replace(a, boxes=a.boxes[used.numpy()], descriptors=a.descriptors[used])
    one = matching.Geometry.of(a, how.border)
    scores = matching.appearance(a, b, one, other, how.aspect).double()
    best, partner = scores.max(1)
    ratio = (other.area / one.area[:, None]).double()
    scale = 0.5 * ratio.log2() if how.scale == "log2" else ratio
    points = torch.cat([other.center[partner] - one.center, scale.gather(1, partner[:, None])], 1).double()
    near = ~one.nonoverlapping if how.neighbors == 0 else overlap(a, one) > how.neighbors
    near = near & (best > 0)
    median = points if how.median == "none" else medians(points, near.double(), how)
    away = torch.cdist((one.center + median[:, :2]).double(), other.center.double())
    fit = torch.exp(-how.per_pixel * away - how.per_scale * (scale - median[:, 2:]).abs())
    share = (near * best).sum(1) / best.sum() if how.share else (best > 0).double()
    confidences = torch.zeros(len(everything.area), len(b))
    confidences[used] = (scores * fit * share[:, None]).float()
    return confidences


def medians(points: Tensor, near: Tensor, how: Reading) -> Tensor:
    """Geometric median of each row's neighbors, (n, 3)."""
    near, points = near.float(), points.float()
    current = near @ points / near.sum(1, keepdim=True).clamp_min(1)
    for _ in range(how.steps):
        away = (points[None] - current[:, None]).abs()
        if how.median == "joint":
            away = away.norm(dim=2, keepdim=True)
        weight = near[:, :, None] / away.clamp_min(1e-2)
        current = (weight * points).sum(1) / weight.sum(1).clamp_min(1e-30)
    return current


def overlap(features: Features, geometry: matching.Geometry) -> Tensor:
    """IoU of all boxes of an image, (n, n)."""
    boxes = torch.from_numpy(features.boxes).float()
    low, high = torch.maximum(boxes[:, None, :2], boxes[:, :2]), torch.minimum(boxes[:, None, 2:], boxes[:, 2:])
    shared = (high - low).clamp_min(0).prod(2)
    return shared / (geometry.area[:, None] + geometry.area - shared)


class Measured:
    """The pairs of one set and half, and what was worked out for their images."""

    def __init__(self, folder: Path, half: str, limit: int, data: Path) -> None:
        self._folder, self._half, self._limit, self._data = folder, half, limit, data
        self.pairs = lru_cache(None)(self._pairs)
        self.boxes = lru_cache(None)(self._boxes)
        self.hog = lru_cache(2)(self._hog)
        self.deep = lru_cache(2)(self._deep)

    def _pairs(self, side: int) -> tuple[list[Annotated], list[tuple[int, int]]]:
        # Each pair both ways: half as many images have to be searched for boxes.
        aligned = self._folder.name != "warps"
        images, pairs = choose(self._folder, side, self._half, self._limit // 2, aligned)
        return images, [way for a, b in pairs for way in ((a, b), (b, a))]

    def _boxes(self, side: int, count: int, source: str) -> list[Any]:
        return [propose_boxes(one.image, count, source) for one in self.pairs(side)[0]]

    def _hog(self, side: int, count: int, source: str) -> list[Tensor]:
        proposed = zip(self.pairs(side)[0], self.boxes(side, count, source), strict=True)
        return [hog_boxes(one.image, own) for one, own in proposed]

    def _deep(self, side: int, count: int, source: str, how: tuple[Any, ...]) -> list[Tensor]:
        network, layers, enlarge, channels, cells = how
        proposed = zip(self.pairs(side)[0], self.boxes(side, count, source), strict=True)
        with constants(_ENLARGE=enlarge, _CHANNELS=channels, _CELLS=cells):
            deep._projection.cache_clear()
            describe = descriptor(pretrained(network, self._data), layers)
            found = [join([pooled(m, own, one.image.shape[:2]) for m in describe.maps(one.image)]) for one, own in proposed]
        deep._projection.cache_clear()
        return found

    def features(self, how: Reading | Choice) -> list[Features]:
        images = self.pairs(how.side)[0]
        own: tuple[Any, ...] = (how.side, how.boxes, how.source)
        if isinstance(how, Reading):
            whitening = replace(Whitening.default(), ridge=how.ridge)
            described, power = [whitening(one) for one in self.hog(*own)], 1.0
        else:
            described = self.deep(*own, (how.network, how.layers, how.enlarge, how.channels, how.cells))
            power = how.power
        proposed = self.boxes(*own)
        if isinstance(how, Reading) and how.drawn == "large":  # they come from large to small
            proposed, described = [one[: how.boxes // 2] for one in proposed], [one[: how.boxes // 2] for one in described]
        return [Features(b, d, i.image.shape[:2], power) for i, b, d in zip(images, proposed, described, strict=True)]

    def pck(self, how: Reading | Choice) -> dict[str, float]:
        """PCK@0.1 by the way of assigning matches to pixels."""
        images, pairs = self.pairs(how.side)
        features = self.features(how)
        shares: dict[str, list[float]] = {way: [] for way in ASSIGNMENTS}
        for a, b in pairs:
            p, q = shared_points(images[a], images[b])
            extent = float(np.ptp(np.array(list(images[b].points.values())), axis=0).max())
            for way, values in shares.items():
                flow = self.flow(features[a], features[b], images[a], how, way)
                values.append(correct(flow, p, q, extent)[1])
        return {way: float(np.mean(values)) for way, values in shares.items()}

    def flow(self, a: Features, b: Features, guide: Annotated, how: Reading | Choice, way: str) -> Any:
        if isinstance(how, Choice):
            confidences = match(a, b, how.method, max_aspect_ratio=how.aspect, border=how.border)
            with constants(_BANDWIDTH=how.bandwidth, _VOTERS=how.voters):
                return dense_flow(a, b, confidences, guide=guide.image, assignment=way).flow
        if how.method == "lom":
            confidences = lom(a, b, how)
        else:
            confidences = match(a, b, how.method, max_aspect_ratio=how.aspect, border=how.border)
        if how.cover == "smaller":
            confidences = confidences / torch.from_numpy(np.prod(a.boxes[:, 2:] - a.boxes[:, :2], axis=1))[:, None]
        return dense_flow(a, b, confidences, guide=guide.image, assignment=way, completion=how.completion).flow


def descriptor(classifier: Any, layers: str) -> DeepDescriptor:
    """Deep descriptor of the last layers, or of those that are named."""
    with constants(_LAST=-int(layers) if layers.startswith("-") else 1):
        made = DeepDescriptor(classifier)
    if not layers.startswith("-"):
        seen = {layer.name: layer for layer in made._probe((made._shorter, made._shorter + 64))}
        made.layers = tuple(seen[name] for name in layers.split("+"))
    return made


@contextmanager
def constants(**values: Any) -> Iterator[None]:
    """Change constants of `flow.deep` and `flow.dense` while inside."""
    with ExitStack() as stack:
        for name, value in values.items():
            stack.enter_context(patch.object(deep if hasattr(deep, name) else dense, name, value))
        yield


def changed(how: Reading | Choice) -> str:
    """Name what differs from the published or present settings."""
    different = {f.name: getattr(how, f.name) for f in fields(how) if getattr(how, f.name) != f.default}
    return ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in different.items()
    )


def main() -> None:
    arguments = parser(__doc__, "2 pairs of each set", "20 pairs of each set", needs_data=True)
    arguments.add_argument("--proxies", type=Path, required=True, help="folder that proxy.py wrote")
    arguments.add_argument("--only", choices=tuple(CHANGES), nargs="+", default=list(CHANGES))
    options = arguments.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    kept = unfinished(options.json)
    rows: list[Row] = kept["rows"] if kept else []
    found = results("flow-readings", options.size, {"pairs": PAIRS[options.size]}, rows, [])
    crops = options.data / "images" / "cub_crops227"
    every = [crops, options.proxies / "scenes", options.proxies / "warps"]
    folders = {"hog": every, "deep": every[:2]}
    for half, listed in (("first", CHANGES), ("second", REPORTED)):
        everything = [Measured(one, half, PAIRS[options.size], options.data) for one in every]
        for section in options.only:
            sets = {f.name: one for f, one in zip(every, everything, strict=True) if f in folders[section]}
            for change in listed[section]:
                how = Reading(**change) if section == "hog" else Choice(**change)
                setup: Row = {"section": section, "half": half, "changed": changed(how) or "nothing"}
                if any(setup.items() <= row.items() for row in rows):
                    continue
                each = {name: one.pck(how) for name, one in sets.items()}
                means = {way: round(float(np.mean([one[way] for one in each.values()])), 4) for way in ASSIGNMENTS}
                votes = {name: round(one["vote"], 4) for name, one in each.items()}
                rows.append({**setup, "pairs": PAIRS[options.size] * len(sets), **means, "vote_of": votes})
                print(rows[-1], flush=True)
                write(found, options.json)
    finish(found, options.json)


if __name__ == "__main__":
    main()
