"""What the same clustering makes of masks that were moved to random places: what to expect when there is nothing to find."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from visual_summaries.analyses.controls import seeded
from visual_summaries.analyses.quality import likeness, silhouettes
from visual_summaries.analyses.settings import AnalysisSettings
from visual_summaries.clusters import ClusterSettings, cluster
from visual_summaries.errors import ConvergenceError
from visual_summaries.flow import FlowSettings, compare_all
from visual_summaries.progress import Progress, report_progress
from visual_summaries.regions import RegionSettings, prune, salient_boxes
from visual_summaries.results import Chance, Region

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


def measure_chance(
    features: Sequence[Features],
    evidence: Sequence[NDArray[np.bool_]],
    regions: Sequence[Region],
    similarity: NDArray[np.floating],
    region_settings: RegionSettings | None = None,
    flow_settings: FlowSettings | None = None,
    cluster_settings: ClusterSettings | None = None,
    settings: AnalysisSettings | None = None,
    *,
    random_state: int = 0,
    progress: Progress | None = None,
) -> Chance | None:
    """Cluster what lies under moved masks by the very stages of a run, on at most ``settings.chance_images`` of its images.

    Boxes and descriptors are those of the run. The moved masks of all repetitions share one comparison of the images, so that
    time grows with the number of images looked at and little with the number of repetitions.

    Parameters
    ----------
    features : sequence of Features
        Of each image of the run.
    evidence : sequence of ndarray of bool, (H, W)
        Binary evidence masks of the same images.
    regions : sequence of Region
    similarity : ndarray, (R, R)
        Of the run's regions.
    region_settings, flow_settings, cluster_settings : optional
        As in the run.
    settings : AnalysisSettings, optional
    random_state : int
    progress : callable, optional
        Told of the stage ``"chance"``: repetitions done.

    Returns
    -------
    Chance or None
        None where ``settings.chance`` is 0.
    """
    region_settings, settings = region_settings or RegionSettings(), settings or AnalysisSettings()
    if not settings.chance:
        return None
    rng = np.random.default_rng(random_state)
    count = min(settings.chance_images, len(features))
    chosen = np.sort(rng.choice(len(features), size=count, replace=False)).tolist()
    boxes = [np.asarray(features[k].boxes, dtype=np.int64) for k in chosen]
    draws: list[list[NDArray[np.intp]]] = []
    for number in range(settings.chance):
        own = []
        for k, proposed in zip(chosen, boxes, strict=True):
            moved = moved_mask(evidence[k], seeded(random_state + number, evidence[k], np.array([k])))
            own.append(salient_boxes(proposed, moved, region_settings.salient_share))
        draws.append(own)
    salient = [np.unique(np.concatenate([own[place] for own in draws])) for place in range(count)]
    compared = compare_all([features[k] for k in chosen], salient, flow_settings, best=region_settings.best)
    start = np.cumsum([0, *(len(item) for item in salient)])

    found = []
    for number, own in enumerate(draws):
        rows, owner = [], []
        for place, (proposed, item) in enumerate(zip(boxes, own, strict=True)):
            row = start[place] + np.searchsorted(salient[place], item)
            kept = prune(proposed[item], compared.best_mean[row], region_settings.overlap, region_settings.area_factor)
            rows.append(row[kept])
            owner.append(np.full(len(kept), place))
        index = np.concatenate(rows)
        found.append(_count(compared.similarity[np.ix_(index, index)], np.concatenate(owner), cluster_settings))
        report_progress(progress, "chance", number + 1, settings.chance)

    mine = np.array([region.index for region in regions if region.image in set(chosen)], np.intp)
    images = np.array([regions[index].image for index in mine], np.int64)
    summaries, together, alike = _count(similarity[np.ix_(mine, mine)], images, cluster_settings)
    return Chance(
        images=count,
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
