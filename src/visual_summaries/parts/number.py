"""How many parts there are: as many as are stable under resampling, and no more than are needed to explain the evidence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from visual_summaries.parts.embedding import Sample, group, squared_distances
from visual_summaries.results import REPRODUCIBLE, PartNumber
from visual_summaries.settings.stages import PartSettings

_RESAMPLINGS = 8
_STARTS = 2
_MOST = 4000  # cells that numbers are compared on
_SHARE = 0.8  # share of the parts that has to be reproducible
_WORTH = 0.3  # share of what is left that a split has to explain once enough is explained


def choose_number(sample: Sample, settings: PartSettings, random_state: int = 0) -> tuple[PartNumber, ...]:
    """Try numbers of parts, from 1 on, and return what was found; the last one that is ``chosen`` is the number.

    A number is considered while its parts are stable when the images are resampled: their mean Jaccard index reaches
    ``settings.stable``, and four fifths of them :data:`~visual_summaries.results.REPRODUCIBLE`. The largest such number is
    chosen; but once a number explains ``settings.explained`` of the variation of the evidence, splitting continues only while
    each further part explains three tenths of what is left: a few parts that are quite different are all separated.

    Parameters
    ----------
    sample : Sample
    settings : PartSettings
    random_state : int

    Returns
    -------
    tuple of PartNumber
        Ascending; exactly one is chosen. Empty without cells.
    """
    if not len(sample):
        return ()
    small = _thinned(sample, random_state)
    middle = np.average(small.features, axis=0, weights=small.weight)
    total = float(small.weight @ ((small.features - middle) ** 2).sum(axis=1))
    images = len(np.unique(small.image))
    found = [PartNumber(1, 0.0, 1.0, 1.0, True)]
    best = 1
    for count in range(2, settings.most + 1 if total > 1e-9 and images > 2 else 2):
        centers = group(small, count, random_state)
        if len(centers) < count:
            break
        distances = squared_distances(small.features, centers)
        explained = 1 - float(small.weight @ distances.min(axis=1)) / total
        before = found[-1].explained
        if before >= settings.explained and explained - before < _WORTH * (1 - before):
            break
        jaccard = resampled_jaccard(small, centers, _RESAMPLINGS, random_state)
        stability, share = float(jaccard.mean()), float((jaccard >= REPRODUCIBLE).mean())
        if stability >= settings.stable and share >= _SHARE:
            best = count
        found.append(PartNumber(count, explained, stability, share, False))
    return tuple(replace(number, chosen=number.count == best) for number in found)


def resampled_jaccard(
    sample: Sample, centers: NDArray[np.float32], resamplings: int, random_state: int = 0
) -> NDArray[np.float64]:
    """Return how much of each part ``(k,)`` is found again when the images are resampled (Hennig 2007).

    Each time as many images are drawn as there are, with replacement, and grouped from other starts; the new parts are applied
    to all cells and matched one to one with the old ones (Hungarian assignment). The figure is the mean Jaccard index of the
    matched sets of cells, weighted by their evidence.

    Examples
    --------
    >>> features = np.repeat([[0.0, 0.0], [9.0, 0.0]], 20, axis=0).astype(np.float32)
    >>> sample = Sample(features, np.ones(40, np.float32), np.tile(np.arange(10), 4))
    >>> resampled_jaccard(sample, features[[0, -1]], 3).tolist()
    [1.0, 1.0]
    """
    count = len(centers)
    old = squared_distances(sample.features, centers).argmin(axis=1)
    names = np.unique(sample.image)
    position = np.searchsorted(names, sample.image)
    rows = []
    for number in range(resamplings):
        rng = np.random.default_rng([random_state, number])
        times = np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))[position]
        drawn = times > 0
        again = Sample(sample.features[drawn], (sample.weight * times)[drawn].astype(np.float32), sample.image[drawn])
        new = squared_distances(sample.features, group(again, count, int(rng.integers(2**31)), _STARTS)).argmin(axis=1)
        both = np.zeros((count, count))
        np.add.at(both, (old, new), sample.weight)
        union = both.sum(axis=1)[:, None] + both.sum(axis=0)[None] - both
        jaccard = both / np.maximum(union, 1e-12)
        row, column = linear_sum_assignment(jaccard, maximize=True)
        rows.append(jaccard[row, column])
    return np.asarray(np.mean(rows, axis=0))


def silhouettes_of_parts(sample: Sample, centers: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the mean silhouette of each part's cells ``(k,)``, by distances to centers (Hruschka et al. 2004).

    ``(b - a) / max(a, b)`` with a the distance to the own center and b that to the nearest other one; NaN for a single part.

    Examples
    --------
    >>> features = np.array([[0.0, 0.0], [1.0, 0.0], [4.0, 0.0]], np.float32)
    >>> sample = Sample(features, np.ones(3, np.float32), np.arange(3))
    >>> silhouettes_of_parts(sample, np.array([[0.0, 0.0], [4.0, 0.0]], np.float32)).round(3).tolist()
    [0.833, 1.0]
    """
    count = len(centers)
    if count < 2:
        return np.full(count, np.nan)
    distances = np.sqrt(squared_distances(sample.features, centers))
    labels = distances.argmin(axis=1)
    a, b = np.sort(distances, axis=1)[:, :2].T
    values = (b - a) / np.maximum(b, 1e-12)
    mass = np.bincount(labels, sample.weight, count)
    total = np.bincount(labels, sample.weight * values, count)
    return np.where(mass > 0, total / np.maximum(mass, 1e-12), np.nan)


def _thinned(sample: Sample, random_state: int) -> Sample:
    if len(sample) <= _MOST:
        return sample
    chosen = np.sort(np.random.default_rng(random_state).choice(len(sample), _MOST, replace=False))
    return Sample(sample.features[chosen], sample.weight[chosen], sample.image[chosen])
