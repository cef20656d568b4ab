"""What the same clustering makes of masks that were moved to random places: what to expect when there is nothing to find."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from visual_summaries.analyses.controls import seeded
from visual_summaries.analyses.quality import likeness, silhouettes
from visual_summaries.clusters import ClusterSettings, cluster
from visual_summaries.errors import ConvergenceError
from visual_summaries.flow import FlowSettings, compare_all
from visual_summaries.regions import RegionSettings, prune, salient_boxes
from visual_summaries.results import Chance

if TYPE_CHECKING:
    from visual_summaries.flow import Features


def moved_mask(evidence: NDArray[np.bool_], random_state: np.random.Generator) -> NDArray[np.bool_]:
    """Return a mask moved to a random place, around the border where it leaves the image, and mirrored or not.

    Examples
    --------
    >>> mask = np.zeros((4, 6), bool)
    >>> mask[:2, :3] = True
    >>> int(moved_mask(mask, np.random.default_rng(0)).sum())
    6
    """
    rows, columns = (slice(None, None, int(step)) for step in random_state.choice([1, -1], size=2))
    shift = [int(random_state.integers(side)) for side in evidence.shape]
    return np.roll(evidence[rows, columns], shift, axis=(0, 1))


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
    region_settings: RegionSettings | None = None,
    flow_settings: FlowSettings | None = None,
    cluster_settings: ClusterSettings | None = None,
    *,
    draws: int = 19,
    random_state: int = 0,
) -> Chance:
    """Cluster what lies under moved masks by the very stages of a run, beside what lies under the masks themselves.

    Boxes and descriptors are those of the run. The masks of all draws share one comparison of the images, so that time grows
    with the number of images looked at (:func:`some_images`) and little with that of the draws.

    Parameters
    ----------
    features : sequence of Features
        Of each image.
    evidence : sequence of ndarray of bool, (H, W)
        Binary evidence masks of the same images.
    images : sequence of int, (R,)
        For each of the run's regions in these images, the position of its image.
    similarity : ndarray, (R, R)
        Of these regions.
    region_settings, flow_settings, cluster_settings : optional
        As in the run.
    draws : int
        How often all masks are moved.
    random_state : int

    Returns
    -------
    Chance
    """
    region_settings = region_settings or RegionSettings()
    boxes = [np.asarray(one.boxes, dtype=np.int64) for one in features]
    under: list[list[NDArray[np.intp]]] = []  # which boxes are salient under the moved masks, by draw and image
    for number in range(draws):
        own = []
        for place, (proposed, mask) in enumerate(zip(boxes, evidence, strict=True)):
            moved = moved_mask(mask, seeded(random_state + number, mask, np.array([place])))
            own.append(salient_boxes(proposed, moved, region_settings.salient_share))
        under.append(own)
    salient = [np.unique(np.concatenate([own[place] for own in under])) for place in range(len(boxes))]
    compared = compare_all(features, salient, flow_settings, best=region_settings.best)
    start = np.cumsum([0, *(len(item) for item in salient)])

    found = []
    for own in under:
        rows, owner = [], []
        for place, (proposed, item) in enumerate(zip(boxes, own, strict=True)):
            row = start[place] + np.searchsorted(salient[place], item)
            kept = prune(proposed[item], compared.best_mean[row], region_settings.overlap, region_settings.area_factor)
            rows.append(row[kept])
            owner.append(np.full(len(kept), place))
        index = np.concatenate(rows)
        found.append(_count(compared.similarity[np.ix_(index, index)], np.concatenate(owner), cluster_settings))

    summaries, together, alike = _count(similarity, np.asarray(images, np.int64), cluster_settings)
    return Chance(
        images=len(boxes),
        summaries=summaries,
        cohesion=together,
        likeness=alike,
        random_summaries=np.array([one[0] for one in found], np.int64),
        random_cohesion=np.array([one[1] for one in found], np.float32),
        random_likeness=np.array([one[2] for one in found], np.float32),
    )


def _count(
    similarity: NDArray[np.floating], images: NDArray[np.integer], settings: ClusterSettings | None
) -> tuple[int, float, float]:
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
