"""What hiding a summary costs, beside hiding the same pixels elsewhere.

A summary is *in* an image when a region of its cluster is; all its regions of one image are hidden together, less the pixels
of smaller regions of other summaries, by the infill that masks were made with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from visual_summaries._statistics import percentile_interval, resamples, seeded
from visual_summaries.analyses.coalitions import HiddenSets, prefixes, random_orders, sets_of, shapley
from visual_summaries.masks.controls import moved_copies, object_mask
from visual_summaries.masks.scorer import Scorer
from visual_summaries.results import Image, Region, Summary, SummaryAnalysis, label_map, owned_by_summaries
from visual_summaries.results.summaries import Owned
from visual_summaries.settings.stages import AnalysisSettings

#: Relative losses are over the score of the image, never over less than this.
TINY = 1e-12


def summary_pixels(
    summaries: Sequence[Summary], regions: Sequence[Region], image: int, shape: tuple[int, int]
) -> dict[int, NDArray[np.bool_]]:
    """Return the evidence of each summary that an image has, by its position in `summaries`: ``bool (H, W)``.

    They are divided by :func:`divide_pixels`; a summary to which that leaves nothing is not in the image.

    Examples
    --------
    >>> whole = Region(0, 3, (0, 0, 4, 1), np.array([[True, True, True, False]]), 0.5, 0.0, 0.0, 0.0)
    >>> part = Region(1, 3, (1, 0, 3, 1), np.array([[True, False]]), 0.5, 0.0, 0.0, 0.0)
    >>> summaries = [Summary(k, k, (), (k,), 1.0, 0.0) for k in (0, 1)]
    >>> pixels = summary_pixels(summaries, [whole, part], 3, (1, 4))
    >>> {index: mask.astype(int).tolist() for index, mask in pixels.items()}
    {0: [[1, 0, 1, 0]], 1: [[0, 1, 0, 0]]}
    """
    return divide_pixels(owned_by_summaries(summaries, regions, image), shape)


def divide_pixels(owned: Iterable[Owned], shape: tuple[int, int]) -> dict[int, NDArray[np.bool_]]:
    """Return the pixels ``bool (H, W)`` of each owner of regions, none of them shared; owners left with nothing are not there.

    Regions lie within each other: one around all of the evidence holds those around its parts
    (:func:`~visual_summaries.results.label_map`).
    """
    labels = label_map(owned, shape)
    return {int(owner): labels == owner for owner in np.unique(labels[labels >= 0])}


@dataclass(frozen=True)
class Effect:
    """What one summary does in one image, as relative losses; see :class:`~visual_summaries.results.SummaryAnalysis`."""

    image: int
    share: float
    share_control: float


def measure_importance(
    scorer: Scorer,
    images: Sequence[Image],
    evidence: Sequence[NDArray[np.bool_]],
    regions: Sequence[Region],
    summaries: Sequence[Summary],
    settings: AnalysisSettings | None = None,
    *,
    random_state: int = 0,
) -> list[SummaryAnalysis]:
    """Measure what each summary does to the class score, and what the same pixels do elsewhere in the same images.

    Shares are shares of the whole evidence (H, W) of an image among these summaries and what is left of it. Where a summary's
    pixels are moved to in an image depends on `random_state` and on the pixels only.
    """
    settings = settings or AnalysisSettings()
    rows: list[list[Effect]] = [[] for _ in summaries]
    with scorer.frozen():
        for image, binary in zip(images, evidence, strict=True):
            found = summary_pixels(summaries, regions, image.index, (image.view.shape[0], image.view.shape[1]))
            if found:
                effects = _effects(scorer, image, binary, list(found.values()), settings, random_state)
                for position, effect in zip(found, effects, strict=True):
                    rows[position].append(effect)
    origins = {image.index: image.origin for image in images}
    return [_analysis(own, len(images), settings, random_state, origins) for own in rows]


def _effects(
    scorer: Scorer,
    image: Image,
    evidence: NDArray[np.bool_],
    summaries: Sequence[NDArray[np.bool_]],
    settings: AnalysisSettings,
    random_state: int,
) -> list[Effect]:
    """Measure what each of the summaries in one image does; `summaries` has the pixels (H, W) of each, at least one."""

    def score(hide: NDArray[np.bool_]) -> NDArray[np.float32]:
        return scorer.without(image.view, hide)

    # Evidence that is in no summary takes part too: where either of two parts is enough, hiding one shows nothing while the
    # other stays, in a summary or not.
    rest = evidence & ~np.any(summaries, axis=0)
    hidden = HiddenSets(score, np.stack([*summaries, rest] if rest.any() else summaries), image.score)
    count, draws, before = len(summaries), settings.draws, max(image.score, TINY)
    orders = random_orders(hidden.count, settings.passes, seeded(random_state, image.view))
    # A copy takes its summary's place in some of the orders: what does it add to those hidden before?
    earlier = [[_before(orders[draw % len(orders)], index) for draw in range(draws)] for index in range(count)]
    on_object = object_mask(image.view, evidence)
    moved = []
    for index in range(count):
        own = hidden.pixels(1 << index)
        copies = moved_copies(own, draws, seeded(random_state, image.view, own), on_object)
        moved += [hidden.pixels(m) | copy for m, copy in zip(earlier[index], copies, strict=True)]
    scores = hidden.ask(sets_of(hidden.count, orders, settings.passes), moved).reshape(count, draws)
    shares = shapley(hidden, orders, settings.passes) / before
    rows = []
    for index, row in enumerate(scores):
        added = [(hidden.values[m] - float(after)) / before for m, after in zip(earlier[index], row, strict=True)]
        rows.append(Effect(image.index, float(shares[index]), float(np.mean(added))))
    return rows


def _before(order: Sequence[int], index: int) -> int:
    """Set of the summaries that come before `index` in an order."""
    return prefixes(order)[list(order).index(index)]


def _analysis(
    rows: Sequence[Effect], images: int, settings: AnalysisSettings, random_state: int, origins: Mapping[int, int]
) -> SummaryAnalysis:
    groups = [origins.get(row.image, row.image) for row in rows]
    shares = np.array([row.share for row in rows], np.float32)
    share_controls = np.array([row.share_control for row in rows], np.float32)
    return SummaryAnalysis(
        images=np.array([row.image for row in rows], np.int64),
        shares=shares,
        share_controls=share_controls,
        interval=bootstrap_interval(shares - share_controls, settings.bootstrap, random_state, groups=groups),
        coverage=len(rows) / images if images else float("nan"),
    )


def join_images(
    parts: Sequence[Sequence[SummaryAnalysis]],
    summaries: int,
    settings: AnalysisSettings | None = None,
    random_state: int = 0,
    origins: Mapping[int, int] | None = None,
) -> list[SummaryAnalysis]:
    """Return what :func:`measure_importance` gives for all images, from what it gives for each of them alone.

    `parts` has for each image one analysis for each summary; `origins` for near copies the image that they count with.
    """
    settings = settings or AnalysisSettings()
    rows: list[list[Effect]] = [[] for _ in range(summaries)]
    for image in parts:
        for own, one in zip(rows, image, strict=True):
            values = zip(one.images, one.shares, one.share_controls, strict=True)
            own += [Effect(int(i), float(share), float(control)) for i, share, control in values]
    return [_analysis(own, len(parts), settings, random_state, origins or {}) for own in rows]


def bootstrap_interval(
    values: NDArray[np.floating],
    resamplings: int = 1000,
    random_state: int = 0,
    level: float = 0.95,
    *,
    groups: ArrayLike | None = None,
) -> tuple[float, float]:
    """Return an interval of the mean of values, by resampling them with replacement (percentiles; Efron 1979).

    Percentiles of few values are too narrow: three images that all happen to lose a little would prove anything. The interval
    is therefore widened about the mean as Student's t is against the normal distribution (Hesterberg 2015). Two identical
    values are an interval of no width; fewer than two values have none (NaN). Values of one of the `groups` (an integer for
    each) are drawn together and count as one.

    Examples
    --------
    >>> bootstrap_interval(np.ones(5))
    (1.0, 1.0)
    >>> low, high = bootstrap_interval(np.arange(100.0))
    >>> 40 < low < 49.5 < high < 60
    True
    >>> bootstrap_interval(np.array([0.3, 0.5]))[0] < 0  # two images are no proof
    True
    """
    values = np.asarray(values, np.float64)
    means = resampled_means(values, resamplings, random_state, groups)
    return (float("nan"),) * 2 if means is None else widened(means, float(values.mean()), level)


def difference_interval(
    first: tuple[NDArray[np.floating], ArrayLike],
    second: tuple[NDArray[np.floating], ArrayLike],
    resamplings: int = 1000,
    random_state: int = 0,
) -> tuple[float, float]:
    """Return a 95 % interval of the mean of some values minus that of others; each comes with the groups of its values.

    Both are resampled, each by itself, and the interval is widened as that of :func:`bootstrap_interval` is.

    Examples
    --------
    >>> low, high = difference_interval((np.arange(100.0), np.arange(100)), (np.arange(50.0), np.arange(50)))
    >>> 15 < low < 25 < high < 35
    True
    """
    a, b = (
        resampled_means(np.asarray(values, np.float64), resamplings, random_state + k, groups)
        for k, (values, groups) in enumerate((first, second))
    )
    if a is None or b is None:
        return (float("nan"), float("nan"))
    return widened(
        Means(a.drawn - b.drawn, min(a.groups, b.groups)),
        float(first[0].mean(dtype=np.float64) - second[0].mean(dtype=np.float64)),
    )


class Means(NamedTuple):
    """Means of resampled values, and how many groups they were resampled from."""

    drawn: NDArray[np.float64]
    groups: int


def resampled_means(
    values: NDArray[np.floating], resamplings: int, random_state: int, groups: ArrayLike | None = None
) -> Means | None:
    """Return the means of values resampled by their groups (an integer for each); None of fewer than two groups."""
    _, group = np.unique(np.arange(values.size) if groups is None else groups, return_inverse=True)
    sums, sizes = np.bincount(group, values), np.bincount(group)
    if sizes.size < 2:
        return None
    drawn = resamples(sizes.size, resamplings, random_state)
    return Means(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1), sizes.size)


def widened(means: Means, middle: float, level: float = 0.95) -> tuple[float, float]:
    """Return the percentiles of resampled means, widened about `middle` for few groups."""
    tails = (1 - level) / 2, (1 + level) / 2
    wider = stats.t.ppf(tails[1], means.groups - 1) / stats.norm.ppf(tails[1]) * np.sqrt(means.groups / (means.groups - 1))
    low, high = middle + wider * (np.array(percentile_interval(means.drawn, tails)) - middle)
    return (float(low), float(high))
