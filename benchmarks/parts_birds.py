"""Real birds, for ``benchmarks/parts.py``: whether the members of a summary lie on one and the same part.

Crops of birds with named points. The part of a region is the point nearest to the centre of its evidence; left and right count
as the same part. A summary's share is that of its members whose part is the one that most of them have. Presets are compared on
the same images, and with regions of the default grouped at random into groups of the same sizes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

import visual_summaries as vs
from visual_summaries.classifiers import Classifier, resolve_target
from visual_summaries.results import Region, Run

#: Network, and index of each folder's class.
NETWORK = "mobilenetv1_050"
FOLDERS = {"011_European_Goldfinch": 11, "017_Blue_Jay": 17, "094_Ruby_throated_Hummingbird": 94}

Points = dict[str, tuple[float, float]]


def read_birds(folder: Path, name: str, size: int) -> list[tuple[NDArray[np.uint8], Points]]:
    """Return the crops of one class, brought to the network's input, with their points (x, y) in its pixels."""
    listed = json.loads((folder / "parts_in_crop.json").read_text())["images"]
    birds = []
    for path, entry in sorted(listed.items()):
        if path.split("/")[0] == name:
            image = np.asarray(vs.open_image(folder / path))
            scale = size / image.shape[1], size / image.shape[0]
            points = {part: (x * scale[0], y * scale[1]) for part, (x, y) in entry["parts"].items()}
            birds.append((np.asarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC)), points))
    return birds


def chosen_birds(classifier: Classifier, folder: Path, name: str, count: int) -> tuple[list[NDArray[np.uint8]], list[Points]]:
    """Return the first `count` birds of a class that the network gets right."""
    target = resolve_target(classifier, FOLDERS[name])
    views, points = [], []
    for view, own in read_birds(folder, name, classifier.input_size[1]):
        with classifier.frozen(), torch.no_grad():
            right = bool(target.hits(classifier.logits(classifier.to_tensor([view])))[0])
        if right and len(views) < count:
            views.append(view)
            points.append(own)
    return views, points


def part_at(region: Region, points: Points) -> str:
    """Return the name of the point nearest to the centre of a region's evidence, without its side."""
    x0, y0, x1, y1 = region.box
    rows, columns = np.nonzero(region.mask)
    x, y = ((x1 - x0) / 2, (y1 - y0) / 2) if not len(rows) else (columns.mean() + 0.5, rows.mean() + 0.5)
    nearest = min(points, key=lambda name: (points[name][0] - x0 - x) ** 2 + (points[name][1] - y0 - y) ** 2)
    return nearest.removeprefix("left ").removeprefix("right ")


def summarize_birds(classifier: Classifier, views: Sequence[NDArray[np.uint8]], index: int, preset: str, out: Path) -> Run:
    """Run a preset on views, going on where an interrupted run stopped."""
    if (out / "run.json").exists():
        return vs.load_run(out)
    return vs.summarize(classifier, classifier.to_tensor(views), index, out, preset=preset, resume=out.exists())


def groups_of(run: Run, points: Sequence[Points]) -> list[list[tuple[int, str]]]:
    """Return for each summary the image and the part of each member."""
    parts = [part_at(region, points[region.image]) for region in run.regions]
    return [
        [(run.regions[member.region].image, parts[member.region]) for member in summary.members] for summary in run.summaries
    ]


def share_on_majority(groups: Sequence[Sequence[tuple[int, str]]], weight: NDArray[np.floating]) -> float:
    """Return the share of all members whose part is that of most of their summary; `weight` counts each image."""
    on, total = 0.0, 0.0
    for group in groups:
        counts: Counter[str] = Counter()
        for image, part in group:
            counts[part] += float(weight[image])
        on += max(counts.values(), default=0.0)
        total += counts.total()
    return on / total if total else float("nan")


def random_groups(
    run: Run, points: Sequence[Points], sizes: Sequence[int], rng: np.random.Generator
) -> list[list[tuple[int, str]]]:
    """Return groups of the given sizes of regions drawn at random, one of an image."""
    groups = []
    for size in sizes:
        order = rng.permutation(len(run.regions))
        taken: dict[int, str] = {}
        for position in order:
            region = run.regions[int(position)]
            if region.image not in taken and len(taken) < size:
                taken[region.image] = part_at(region, points[region.image])
        groups.append(list(taken.items()))
    return groups


def jackknife(figure: Callable[[NDArray[np.floating]], float], images: int) -> float:
    """Return the standard error of a figure of weighted images, by leaving out one after the other.

    Resampling with repeats would not do: fewer different images make groups look purer than they are.
    """
    weights = 1 - np.eye(images)
    values = np.array([figure(weight) for weight in weights])
    return float(np.sqrt((images - 1) / images * np.sum((values - values.mean()) ** 2)))


def interval(values: Sequence[float]) -> list[float]:
    """Return the 95 % interval of resampled values."""
    low, high = np.nanquantile(np.asarray(values), [0.025, 0.975])
    return [float(low), float(high)]
