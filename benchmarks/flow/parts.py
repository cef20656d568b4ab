"""What Proposal Flow is for: whether similar regions show one part. A section of ``flow.py``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.flow.keypoints import Annotated, annotated_images
from benchmarks.harness import Row, mean, pretrained, rounded
from visual_summaries.errors import ConvergenceError
from visual_summaries.flow import Features, FlowSettings, compare_all, describe
from visual_summaries.parts.clusters import cluster
from visual_summaries.parts.summaries import choose_members
from visual_summaries.regions.proposals import propose_all
from visual_summaries.results import Region
from visual_summaries.settings import preset

NETWORK = "mobilenetv2_100"
GROUPS = {
    "head": ("beak", "crown", "forehead", "left eye", "right eye", "nape", "throat"),
    "wing": ("left wing", "right wing"),
    "legs": ("left leg", "right leg"),
}
#: Descriptor, matcher, power of the confidence.
SIMILARITIES = (
    ("hog", "lom", 1.0),
    ("hog", "phm", 1.0),
    ("hog", "lom", 0.5),
    ("deep", "nam", 1.0),
    ("deep", "nam", 0.5),
    ("deep", "nam", 0.25),
    ("deep", "phm", 1.0),
    ("deep", "phm", 0.25),
    ("deep", "lom", 1.0),
    ("deep", "lom", 0.5),
    ("deep", "lom", 0.25),
)


def group_of(part: str) -> str:
    """Coarser name of a part: both wings are one, beak and eye are head."""
    return next((name for name, parts in GROUPS.items() if part in parts), part)


def part_boxes(one: Annotated, boxes: NDArray[np.int32], each: int = 2) -> tuple[NDArray[np.intp], list[str]]:
    """Choose, for each annotated part, the boxes of 1 to 10 % of the image that are best centered on it, at most `each`."""
    sides = boxes[:, 2:] - boxes[:, :2]
    share = sides.prod(1) / np.prod(one.image.shape[:2])
    center = (boxes[:, :2] + boxes[:, 2:]) / 2
    names = sorted(one.points)
    away = np.linalg.norm(center[:, None] - np.array([one.points[name] for name in names]), axis=2)
    away[(share < 0.01) | (share > 0.1)] = np.inf
    nearest = away.argmin(1)
    limit = 0.04 * max(one.image.shape[:2])
    rows: list[int] = []
    labels: list[str] = []
    for k, name in enumerate(names):
        own = np.flatnonzero((nearest == k) & (away[:, k] < limit))
        for box in own[np.argsort(away[own, k], kind="stable")][:each].tolist():
            rows.append(box)
            labels.append(name)
    return np.array(rows, np.intp), labels


def measure_parts(data: Path, size: str) -> list[Row]:
    """Purity of neighbors and clusters of part-centered boxes, for each species and similarity."""
    classifier = pretrained(NETWORK, data)
    everything = list(annotated_images(data / "images" / "cub_crops227", 300))
    rows: list[Row] = []
    for species in sorted({one.group for one in everything}):
        images = [one for one in everything if one.group == species][: 6 if size == "quick" else 20]
        proposed = list(propose_all([one.image for one in images], 500))
        chosen, labels = zip(*[part_boxes(one, boxes) for one, boxes in zip(images, proposed, strict=True)], strict=True)
        for descriptor in ("hog", "deep"):
            features = [describe(a.image, b, descriptor, classifier=classifier) for a, b in zip(images, proposed, strict=True)]
            for kind, method, exponent in SIMILARITIES:
                if kind == descriptor:
                    settings = replace(preset("paper").flow, descriptor=descriptor, method=method, exponent=exponent)
                    rows.append({"section": "parts", "species": species, "images": len(images), "descriptor": descriptor})
                    rows[-1] |= {"method": method, "exponent": exponent, **purity(features, chosen, labels, settings)}
                    print(rows[-1], flush=True)
    figures = ("regions", "clusters", "nearest_part", "nearest_group", "purity_part", "purity_group")
    for kind, method, exponent in SIMILARITIES:  # and the mean over species
        same = [r for r in rows if (r["descriptor"], r["method"], r["exponent"]) == (kind, method, exponent)]
        means = {name: mean([r[name] for r in same if r[name] is not None]) for name in figures}
        row = {**same[0], "species": None, "images": sum(r["images"] for r in same), **rounded(means, 3)}
        row["not_converged"] = sum(r["clusters"] is None for r in same)
        rows.append({**row, "similarity": f"{kind} + {method}" + ("" if exponent == 1 else f", power {exponent:g}")})
    return rows


def purity(
    features: Sequence[Features], chosen: Sequence[NDArray[np.intp]], labels: Sequence[list[str]], settings: FlowSettings
) -> Row:
    """How often the five most similar boxes of other images, and the members of a cluster, show the same part."""
    similarity = compare_all(features, chosen, settings).similarity
    parts = np.array([name for own in labels for name in own])
    groups = np.array([group_of(name) for name in parts])
    image = np.repeat(np.arange(len(labels)), [len(own) for own in labels])
    box = (0, 0, 3, 3)
    regions = [Region(i, int(image[i]), box, np.ones((3, 3), bool), 1.0, 0.0, 0.0, 0.0) for i in range(len(parts))]
    other = np.where(image[:, None] != image, similarity, -1)
    near = np.argsort(-other, 1, kind="stable")[:, :5]
    row: Row = {"regions": len(parts)}
    for name, label in (("part", parts), ("group", groups)):
        row[f"nearest_{name}"] = round(float((label[near] == label[:, None]).mean()), 3)
    try:
        found = cluster(similarity)
    except ConvergenceError:
        return row | {"clusters": None, "purity_part": None, "purity_group": None}
    row["clusters"] = len(found.exemplars)
    for name, label in (("part", parts), ("group", groups)):
        shares = []
        for index, exemplar in enumerate(found.exemplars):
            members = choose_members(found.members(index).tolist(), int(exemplar), regions, similarity)
            if len(members) > 2:
                shares.append(np.unique(label[members], return_counts=True)[1].max() / len(members))
        row[f"purity_{name}"] = rounded(mean(shares), 3)
    return row
