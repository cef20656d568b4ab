"""Number of summaries against accuracy (docs/paper.md, claims), at equal numbers of images and at several thresholds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln
from scipy.stats import rankdata

from visual_summaries._statistics import percentile_interval, resamples
from visual_summaries.results import Run
from visual_summaries.settings.stages import SummarySettings

#: Stability from which a summary counts; 0 counts all.
THRESHOLDS = (0.0, 0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Count:
    """One network on one class.

    Attributes
    ----------
    network, target : str
    accuracy : float
        Share of the readable images looked at that the network gives the class.
    images : int
        Images explained.
    summaries : int
    at_equal : float
        Summaries to expect when only `equal_images` of the images are explained (see :func:`at_equal_images`).
    equal_images : int
        The smallest number of images of any network on this class.
    stable : dict of float to int
        Summaries whose stability reaches each threshold; empty where it was not measured.
    """

    network: str
    target: str
    accuracy: float
    images: int
    summaries: int
    at_equal: float
    equal_images: int
    stable: dict[float, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Correlation:
    """A Spearman rank correlation with a bootstrap interval.

    Attributes
    ----------
    rho : float
        In [-1, 1]; NaN for fewer than three points, or where one side does not vary.
    low, high : float
        95 % interval: percentiles over resampled points, or classes; NaN for fewer than three of these.
    points : int
    degenerate : float
        Share of the resamples in which one side did not vary; they are left out.
    """

    rho: float
    low: float
    high: float
    points: int
    degenerate: float


def rarefied(presence: Sequence[int], total: int, drawn: int, at_least: int) -> float:
    """Return how many summaries to expect when only some of the images are explained.

    A summary that lies in k of N images is found among n random ones of them when `at_least` of the k are drawn: a
    hypergeometric probability, as ecologists count species at equal effort (Hurlbert, Ecology 1971). Clusters stay as they are.

    Parameters
    ----------
    presence : sequence of int
        In how many images each summary lies.
    total : int
        N.
    drawn : int
        n, at most N.
    at_least : int
        In how many images a summary must lie.

    Examples
    --------
    >>> rarefied([4, 2], total=4, drawn=2, at_least=2)  # of the second, one pair of six is the right one
    1.1666...
    >>> rarefied([4, 2], total=4, drawn=4, at_least=2)
    2.0
    """
    expected = 0.0
    for k in presence:
        fewer = sum(
            math.exp(_log_choose(k, i) + _log_choose(total - k, drawn - i) - _log_choose(total, drawn))
            for i in range(min(at_least, k + 1))
            if 0 <= drawn - i <= total - k
        )
        expected += 1 - fewer
    return expected + 0.0


def at_equal_images(presence: Sequence[int], images: int, with_regions: int, drawn: int, settings: SummarySettings) -> float:
    """Return how many summaries to expect when only `drawn` of the images are explained, by the rule that the run used.

    In how many images a summary must be follows from how many have any region, of which the draw has its share.

    Parameters
    ----------
    presence : sequence of int
        In how many images each summary lies.
    images, with_regions : int
        Images explained, and those of them that have any region.
    drawn : int
    settings : SummarySettings
        Of the run.

    Examples
    --------
    >>> half = SummarySettings(min_members=2, min_coverage=0.5)
    >>> at_equal_images([4, 2], images=4, with_regions=4, drawn=4, settings=half)  # both in half of the images or more
    2.0
    """
    return rarefied(presence, images, drawn, settings.images_needed(round(with_regions * drawn / images)))


def _log_choose(n: int, k: int) -> float:
    return float(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))


def presence(run: Run) -> list[int]:
    """Return in how many images each summary of a run lies (all of its cluster)."""
    return [len({run.regions[index].image for index in summary.cluster}) for summary in run.summaries]


def correlate(
    x: Sequence[float],
    y: Sequence[float],
    groups: Sequence[str] | None = None,
    *,
    draws: int = 2000,
    random_state: int = 0,
) -> Correlation:
    """Return the Spearman correlation of two variables, with a bootstrap interval.

    Parameters
    ----------
    x, y : sequence of float, (n,)
    groups : sequence of str, optional
        When given, ranks are taken within each group and centered, so that only differences within groups count; whole groups
        are resampled.
    draws : int
    random_state : int

    Returns
    -------
    Correlation

    Examples
    --------
    >>> correlate([1, 2, 3, 4], [10, 20, 20, 40]).rho
    0.9486...
    >>> correlate([1, 2, 1, 2], [1, 2, 8, 9], groups=["a", "a", "b", "b"]).rho
    1.0
    """
    first, second = np.asarray(x, float), np.asarray(y, float)
    labels = np.arange(len(first)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    units = [np.flatnonzero(labels == label) for label in np.unique(labels)]

    def rho(chosen: Sequence[NDArray[np.intp]]) -> float:
        if groups is None:
            members = np.concatenate(chosen) if chosen else np.zeros(0, np.intp)
            return _pearson(_ranks(first[members]), _ranks(second[members]))
        ranks = [np.concatenate([_ranks(values[unit]) for unit in chosen]) for values in (first, second)]
        return _pearson(*ranks)

    nan = float("nan")
    found = rho(units) if len(first) > 2 else nan
    if len(units) < 3:
        return Correlation(found, nan, nan, len(first), nan)
    resampled = np.array([rho([units[i] for i in drawn]) for drawn in resamples(len(units), draws, random_state)])
    low, high = percentile_interval(resampled)
    return Correlation(found, low, high, len(first), float(1 - np.isfinite(resampled).sum() / draws))


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    ranks = rankdata(values)
    return np.asarray(ranks - ranks.mean()) if len(ranks) else ranks


def _pearson(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    scale = math.sqrt(float((a * a).sum() * (b * b).sum()))
    return float((a * b).sum() / scale) if scale > 0 else float("nan")
