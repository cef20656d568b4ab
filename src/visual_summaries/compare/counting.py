"""Number of summaries against accuracy (docs/paper.md, claims), at equal numbers of images and at several thresholds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hypergeom, rankdata

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
    return float(hypergeom.sf(at_least - 1, total, presence, drawn).sum())


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


def count_summaries(runs: Sequence[Run], networks: Sequence[str], targets: Sequence[str]) -> tuple[Count, ...]:
    """Return number of summaries and accuracy of each run; equal numbers of images are those of the runs of its class."""
    fewest = {target: min(len(r.images) for r, t in zip(runs, targets, strict=True) if t == target) for target in targets}
    counts = []
    for run, network, target in zip(runs, networks, targets, strict=True):
        stabilities = [s.analysis.stability for s in run.summaries if s.analysis is not None]
        measured = len(stabilities) == len(run.summaries) and not any(math.isnan(value) for value in stabilities)
        counts.append(
            Count(
                network=network,
                target=target,
                accuracy=run.info.accuracy.share or 0.0,
                images=len(run.images),
                summaries=len(run.summaries),
                at_equal=at_equal_images(
                    [len({run.regions[index].image for index in summary.cluster}) for summary in run.summaries],
                    len(run.images),
                    len({region.image for region in run.regions}),
                    fewest[target],
                    run.settings.summaries,
                ),
                equal_images=fewest[target],
                stable={t: sum(value >= t for value in stabilities) for t in THRESHOLDS} if measured else {},
            )
        )
    return tuple(counts)


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


def correlations_of(
    counts: Sequence[Count], accuracy: Sequence[float] | None = None, *, draws: int = 2000, random_state: int = 0
) -> dict[str, dict[str, Correlation]]:
    """Return Spearman's correlations of each way of counting summaries with accuracy.

    Parameters
    ----------
    counts : sequence of Count
    accuracy : sequence of float, optional
        Another accuracy than that on the run's images, for example the published one.
    draws : int
        Bootstrap resamples.
    random_state : int

    Returns
    -------
    dict
        ``{measure: {"pooled": ..., "within": ..., CLASS: ...}}``.
    """
    given = [count.accuracy for count in counts] if accuracy is None else list(accuracy)
    measures: dict[str, list[float]] = {
        "summaries": [float(count.summaries) for count in counts],
        "at_equal": [count.at_equal for count in counts],
    }
    if counts and all(count.stable for count in counts):
        measures |= {f"stable {t:.2f}": [float(count.stable[t]) for count in counts] for t in THRESHOLDS if t > 0}
    targets = [count.target for count in counts]
    result: dict[str, dict[str, Correlation]] = {}
    for measure, values in measures.items():
        kinds = {
            "pooled": correlate(given, values, draws=draws, random_state=random_state),
            "within": correlate(given, values, targets, draws=draws, random_state=random_state),
        }
        for target in dict.fromkeys(targets):
            own = [pair for pair, other in zip(zip(given, values, strict=True), targets, strict=True) if other == target]
            if len(own) > 2:
                kinds[target] = correlate(*zip(*own, strict=True), draws=draws, random_state=random_state)
        result[measure] = kinds
    return result


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    ranks = rankdata(values)
    return np.asarray(ranks - ranks.mean()) if len(ranks) else ranks


def _pearson(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    scale = math.sqrt(float((a * a).sum() * (b * b).sum()))
    return float((a * b).sum() / scale) if scale > 0 else float("nan")
