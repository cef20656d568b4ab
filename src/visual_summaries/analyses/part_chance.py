"""How alike the evidence of a part is in different images, beside what lies under masks that were moved at random."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from visual_summaries.analyses.chance import moved_mask
from visual_summaries.analyses.controls import seeded
from visual_summaries.parts.cells import cut_cells
from visual_summaries.parts.model import Sample, group, squared_distances, unit
from visual_summaries.parts.number import silhouettes_of_parts
from visual_summaries.results import Chance, Parts


def measure_part_chance(
    features: Sequence[NDArray[np.floating]],
    grids: Sequence[tuple[int, int]],
    evidence: Sequence[NDArray[np.bool_]],
    parts: Parts,
    *,
    draws: int = 19,
    random_state: int = 0,
) -> Chance:
    """Group what lies under moved masks into as many parts as the run has, beside what lies under the masks themselves.

    Parameters
    ----------
    features : sequence of ndarray, (rows * columns, D)
        Of all cells of each image.
    grids : sequence of tuple of int
        Rows and columns of each image.
    evidence : sequence of ndarray of bool, (H, W)
    parts : Parts
        Of the run: how features are compared, and how many parts there are.
    draws : int
        How often all masks are moved.
    random_state : int

    Returns
    -------
    Chance
        Likeness: mean cosine of a cell's features and the mean of its part's in other images.
    """

    def measure(masks: Sequence[NDArray[np.bool_]]) -> tuple[int, float, float]:
        looks, weights, images = [], [], []
        for place, (own, grid, mask) in enumerate(zip(features, grids, masks, strict=True)):
            cells = cut_cells(own, mask, grid)
            core = cells.core
            looks.append(unit(unit(cells.features[core] - parts.mean) @ parts.directions))
            weights.append(cells.weight[core])
            images.append(np.full(int(core.sum()), place))
        sample = Sample(np.concatenate(looks), np.concatenate(weights), np.concatenate(images))
        if len(sample) < max(parts.count, 2):
            return 0, float("nan"), float("nan")
        centres = group(sample, max(parts.count, 1), random_state, starts=1)
        labels = squared_distances(sample.features, centres).argmin(axis=1)
        cohesion = silhouettes_of_parts(sample, centres)
        return len(centres), float(np.nanmean(cohesion)) if len(centres) > 1 else float("nan"), likeness(sample, labels)

    own = measure(evidence)
    found = []
    for number in range(draws):
        moved = [
            moved_mask(mask, seeded(random_state + number, mask, np.array([place]))) for place, mask in enumerate(evidence)
        ]
        found.append(measure(moved))
    return Chance(
        images=len(evidence),
        summaries=own[0],
        cohesion=own[1],
        likeness=own[2],
        random_summaries=np.array([one[0] for one in found], np.int64),
        random_cohesion=np.array([one[1] for one in found], np.float32),
        random_likeness=np.array([one[2] for one in found], np.float32),
    )


def likeness(sample: Sample, labels: NDArray[np.integer]) -> float:
    """Return the mean cosine of cells and the mean of their part in the other images, weighted; NaN where there is none.

    Examples
    --------
    >>> features = np.array([[1, 0], [0.6, 0.8], [0, 1]], np.float32)
    >>> round(likeness(Sample(features, np.ones(3, np.float32), np.array([0, 1, 1])), np.zeros(3, int)), 3)
    0.305
    """
    total, mass = 0.0, 0.0
    for part in np.unique(labels):
        rows = labels == part
        features, weight = sample.features[rows].astype(np.float64), sample.weight[rows].astype(np.float64)
        _, image = np.unique(sample.image[rows], return_inverse=True)
        sums = np.zeros((image.max() + 1, features.shape[1]))
        np.add.at(sums, image, features * weight[:, None])
        others = (sums.sum(axis=0) - sums)[image]
        length = np.linalg.norm(others, axis=1)
        known = length > 1e-9
        total += float(weight[known] @ ((features * others).sum(axis=1)[known] / length[known]))
        mass += float(weight[known].sum())
    return total / mass if mass else float("nan")
