"""What the same clustering makes of masks that were moved to random places: what to expect when there is nothing to find."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from visual_summaries._statistics import seeded
from visual_summaries.analyses.cohesion import likeness, silhouettes
from visual_summaries.errors import ConvergenceError
from visual_summaries.flow import Features, compare_all
from visual_summaries.masks.controls import moved
from visual_summaries.parts.cells import cut_cells
from visual_summaries.parts.clusters import cluster
from visual_summaries.parts.embedding import Sample, group, squared_distances, unit
from visual_summaries.parts.number import silhouettes_of_parts
from visual_summaries.regions import prune, salient_boxes
from visual_summaries.results import Chance, Parts
from visual_summaries.settings import Settings
from visual_summaries.settings.stages import ClusterSettings


def some_images(images: int, most: int, random_state: int = 0) -> list[int]:
    """Return at most `most` of the indices of so many images, drawn at random, ascending.

    Examples
    --------
    >>> some_images(3, 16), len(some_images(100, 16))
    ([0, 1, 2], 16)
    """
    rng = np.random.default_rng(random_state)
    return sorted(rng.choice(images, size=min(most, images), replace=False).tolist())


def measure_chance(
    features: Sequence[Features],
    evidence: Sequence[NDArray[np.bool_]],
    images: Sequence[int],
    similarity: NDArray[np.floating],
    settings: Settings | None = None,
    *,
    random_state: int = 0,
) -> Chance:
    """Cluster what lies under moved masks by the very stages of a run, beside what lies under the masks themselves.

    Boxes and descriptors are those of the run; `images` has, for each of its regions in the images that are looked at, the
    position of its image, and `similarity` (R, R) compares these regions. The masks of all draws share one comparison of the
    images, so that time grows with the number of images (:func:`some_images`) and little with that of the draws.
    """
    settings = settings or Settings()
    of_regions, of_clusters = settings.regions, settings.clusters
    boxes = [np.asarray(one.boxes, dtype=np.int64) for one in features]
    under = []  # which boxes are salient under the moved masks, by draw and image
    for masks in _moves(evidence, settings.analyses.chance, random_state):
        under.append([salient_boxes(*both, of_regions.salient_share) for both in zip(boxes, masks, strict=True)])
    salient = [np.unique(np.concatenate([own[place] for own in under])) for place in range(len(boxes))]
    compared = compare_all(features, salient, settings.flow, best=of_regions.best)
    start = np.cumsum([0, *(len(item) for item in salient)])

    found = []
    for own in under:
        rows, owner = [], []
        for place, (proposed, item) in enumerate(zip(boxes, own, strict=True)):
            row = start[place] + np.searchsorted(salient[place], item)
            kept = prune(proposed[item], compared.best_mean[row], of_regions.overlap, of_regions.area_factor)
            rows.append(row[kept])
            owner.append(np.full(len(kept), place))
        index = np.concatenate(rows)
        found.append(_count(compared.similarity[np.ix_(index, index)], np.concatenate(owner), of_clusters))

    return _chance(len(boxes), _count(similarity, np.asarray(images, np.int64), of_clusters), found)


def _moves(evidence: Sequence[NDArray[np.bool_]], draws: int, random_state: int) -> Iterator[list[NDArray[np.bool_]]]:
    """Yield the masks of all images, each moved at random, once for each draw."""
    for seed in range(random_state, random_state + draws):
        yield [moved(mask, seeded(seed, mask, np.array([place])), mirrored=True) for place, mask in enumerate(evidence)]


#: Number of groups, mean cohesion, mean likeness.
_Figures = tuple[int, float, float]


def _chance(images: int, own: _Figures, found: Sequence[_Figures]) -> Chance:
    summaries, cohesion, alike = zip(*found, strict=True) if found else ((), (), ())
    drawn = (np.array(summaries, np.int64), np.array(cohesion, np.float32), np.array(alike, np.float32))
    return Chance(images, *own, *drawn)


def _count(similarity: NDArray[np.floating], images: NDArray[np.integer], settings: ClusterSettings) -> _Figures:
    """Return the number of clusters with regions of two images at least, the mean silhouette and likeness of their regions."""
    try:
        labels = cluster(similarity, settings).labels.copy()
    except ConvergenceError:  # nothing that holds together
        return 0, float("nan"), float("nan")
    large = [index for index in range(int(labels.max(initial=-1)) + 1) if len(set(images[labels == index].tolist())) >= 2]
    chosen = np.isin(labels, large)
    figures = (silhouettes(similarity, labels, images)[chosen], likeness(similarity, labels, images)[0][chosen])
    means = [float(values[np.isfinite(values)].mean()) if np.isfinite(values).any() else float("nan") for values in figures]
    return len(large), means[0], means[1]


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

    Features are those of all cells (rows * columns, D) of each image, and its grid has its rows and columns. Likeness is the
    mean cosine of a cell's features and the mean of its part's in other images.
    """

    def measure(masks: Sequence[NDArray[np.bool_]]) -> _Figures:
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
        centers = group(sample, max(parts.count, 1), random_state, starts=1)
        labels = squared_distances(sample.features, centers).argmin(axis=1)
        cohesion = silhouettes_of_parts(sample, centers)
        return len(centers), float(np.nanmean(cohesion)) if len(centers) > 1 else float("nan"), cell_likeness(sample, labels)

    return _chance(len(evidence), measure(evidence), [measure(masks) for masks in _moves(evidence, draws, random_state)])


def cell_likeness(sample: Sample, labels: NDArray[np.integer]) -> float:
    """Return the mean cosine of cells and the mean of their part in the other images, weighted; NaN where there is none.

    Examples
    --------
    >>> features = np.array([[1, 0], [0.6, 0.8], [0, 1]], np.float32)
    >>> round(cell_likeness(Sample(features, np.ones(3, np.float32), np.array([0, 1, 1])), np.zeros(3, int)), 3)
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
