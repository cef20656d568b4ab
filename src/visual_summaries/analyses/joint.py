"""What summaries do together: curves as they are hidden or shown one after the other, and the fewest that are enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from visual_summaries._statistics import percentile_interval, resamples, seeded
from visual_summaries.analyses.coalitions import HiddenSets, prefixes
from visual_summaries.analyses.coalitions import Scorer as Score
from visual_summaries.analyses.importance import TINY, summary_pixels
from visual_summaries.masks.controls import moved_copies, object_mask
from visual_summaries.masks.scorer import Scorer
from visual_summaries.masks.seen import infill_of
from visual_summaries.results import Image, JointEffects, Region, Summary, Together
from visual_summaries.settings.stages import AnalysisSettings

#: A set of summaries destroys or suffices when it does this share of what the whole evidence does.
ENOUGH = 0.9

#: Where the whole evidence moves the score by less than this share of it, no set can be told to be enough.
LEAST_EFFECT = 0.1


class _ImageEffects:
    """Relative scores of one image with sets of the run's summaries hidden, or nothing but them shown.

    Sets have bits for all summaries of the run, those that the image does not have do nothing; the bit after the last stands
    for all evidence of the mask. Only the scores are kept from one call to the next: `parts` makes the masks (H, W) of the
    image's own `positions` again.
    """

    def __init__(
        self, score: Score, parts: Callable[[], dict[int, NDArray[np.bool_]]], positions: Sequence[int], before: float
    ) -> None:
        self._score, self._parts, self._positions, self._before = score, parts, positions, max(before, TINY)
        self.values: dict[int, float] = {}

    def ask(self, sets: Sequence[int]) -> NDArray[np.float64]:
        """Return the relative scores of sets."""
        own = [sum(1 << k for k, position in enumerate(self._positions) if members >> position & 1) for members in sets]
        if not self.values.keys() >= set(own):
            table = HiddenSets(self._score, np.stack(list(self._parts().values())))
            table.values = self.values
            table.ask(own)
        return np.array([self.values[members] for members in own]) / self._before


def measure_joint(
    scorer: Scorer,
    images: Sequence[Image],
    evidence: Sequence[NDArray[np.bool_]],
    regions: Sequence[Region],
    summaries: Sequence[Summary],
    settings: AnalysisSettings | None = None,
    *,
    random_state: int = 0,
) -> JointEffects | None:
    """Measure deletion and insertion over summaries, by importance and in random order, and find small sets that are enough.

    The curves are those of RISE (Petsiuk et al., BMVC 2018) with summaries instead of pixels. The smallest set of an order
    is its shortest beginning that is enough, without those members that it can do without (tried from the least important on).
    Summaries have their analyses: the order of importance is that of what they add above their control. For the rest see
    :func:`~visual_summaries.analyses.importance.measure_importance`. None without summaries or images.
    """
    settings = settings or AnalysisSettings()
    count = len(summaries)
    if not count or not images:
        return None
    order = sorted(range(count), key=lambda k: (-summaries[k].effect, k))
    rng = np.random.default_rng(random_state)
    orders = [order, *(rng.permutation(count).tolist() for _ in range(settings.orders))]
    sets = [members for one in orders for members in prefixes(one)]
    whole = 1 << count

    def pair(image: Image, binary: NDArray[np.bool_]) -> tuple[_ImageEffects, _ImageEffects]:
        def parts() -> dict[int, NDArray[np.bool_]]:
            shape = (image.view.shape[0], image.view.shape[1])
            return {**summary_pixels(summaries, regions, image.index, shape), count: binary}

        def without(masks: NDArray[np.bool_]) -> NDArray[np.float32]:
            return scorer.without(image.view, masks)

        given = (parts, list(parts()), image.score)
        return _ImageEffects(without, *given), _ImageEffects(lambda masks: without(~masks), *given)

    effects = []
    curves = np.zeros((2, len(sets) + 1))
    with scorer.frozen():
        for image, binary in zip(images, evidence, strict=True):
            hidden, shown = pair(image, binary)
            hidden.values[0] = image.score
            curves += [one.ask([*sets, whole]) for one in (hidden, shown)]
            effects.append((hidden, shown))
        curves /= len(images)
        hidden_whole, shown_whole = curves[:, -1].tolist()
        deletion, insertion = curves[:, :-1].reshape(2, len(orders), count + 1)
        nothing_shown = float(insertion[0, 0])

        def destroys(members: int) -> bool:
            left = np.mean([hidden.ask([members])[0] for hidden, _ in effects])
            return bool(1 - left >= ENOUGH * (1 - hidden_whole))

        def suffices(members: int) -> bool:
            got = np.mean([shown.ask([members])[0] for _, shown in effects])
            return bool(got - nothing_shown >= ENOUGH * (shown_whole - nothing_shown))

        destroying = smallest(order, destroys) if 1 - hidden_whole >= LEAST_EFFECT else ()
        sufficient = smallest(order, suffices) if shown_whole - nothing_shown >= LEAST_EFFECT else ()
    return JointEffects(
        order=tuple(order),
        deletion=deletion[0].astype(np.float32),
        insertion=insertion[0].astype(np.float32),
        random_deletion=deletion[1:].astype(np.float32),
        random_insertion=insertion[1:].astype(np.float32),
        evidence=(hidden_whole, shown_whole),
        destroying=destroying,
        sufficient=sufficient,
    )


def smallest(order: Sequence[int], enough: Callable[[int], bool]) -> tuple[int, ...]:
    """Return the shortest beginning of an order that is enough, without the members that it can do without; empty if none is.

    `enough` tells this of a set, one bit for each member.

    Examples
    --------
    >>> smallest([2, 0, 1], lambda members: members & 0b001 > 0)  # 0 is needed, 2 is not
    (0,)
    >>> smallest([2, 0, 1], lambda members: False)
    ()
    """
    for length, members in enumerate(prefixes(order)):
        if length and enough(members):
            break
    else:
        return ()
    kept = list(order[:length])
    for member in reversed(order[:length]):
        if len(kept) > 1 and enough(members & ~(1 << member)):
            members &= ~(1 << member)
            kept.remove(member)
    return tuple(kept)


def hidden_together(
    scorer: Scorer,
    images: Sequence[Image],
    evidence: Sequence[NDArray[np.bool_]],
    of_summaries: Sequence[NDArray[np.bool_]],
    *,
    random_state: int = 0,
) -> NDArray[np.float64]:
    """Return the relative losses ``(N, 4)`` of images' scores with hidden: summaries, evidence, rest, rest moved elsewhere.

    `evidence` is all of each image (H, W), and `of_summaries` what of it is in a summary.
    """
    asked = []
    for image, whole, shown in zip(images, evidence, of_summaries, strict=True):
        rest = whole & ~shown
        within = object_mask(image.view, whole) if rest.any() else None
        moved = moved_copies(rest, 1, seeded(random_state, image.view, rest), within)[0]
        asked.append((image.view, np.stack([shown, whole, rest, moved]), [infill_of(image.view, scorer.settings)] * 4))
    scores = np.array(scorer.without_in(asked), np.float64).reshape(-1, 4)
    before = np.maximum([[image.score] for image in images], TINY)
    hides = np.array([hide.any(axis=(1, 2)) for _, hide, _ in asked]).reshape(-1, 4)
    return np.where(hides, (before - scores) / before, 0.0)


def join_together(
    losses: NDArray[np.floating],
    rest_area: float,
    settings: AnalysisSettings | None = None,
    random_state: int = 0,
    origins: ArrayLike | None = None,
) -> Together:
    """Return the means over images of what :func:`hidden_together` gives for each ``(N, 4)``, with an interval of the share.

    Rows of one of the `origins` (an integer for each) are resampled together.

    Examples
    --------
    >>> found = join_together(np.array([[0.6, 0.8, 0.1, 0.0], [0.3, 0.4, 0.1, 0.0]]), 0.2)
    >>> round(found.share, 3), [round(end, 3) for end in found.interval]
    (0.75, [0.75, 0.75])
    """
    settings = settings or AnalysisSettings()
    taken, evidence, rest, control = (float(value) for value in losses.mean(axis=0)) if len(losses) else (float("nan"),) * 4
    interval = (float("nan"), float("nan"))
    _, group = np.unique(np.arange(len(losses)) if origins is None else origins, return_inverse=True)
    count = int(group.max(initial=-1)) + 1
    if count > 1:
        sums = np.stack([np.bincount(group, column) for column in losses.T[:2]], axis=1)
        drawn = sums[resamples(count, settings.bootstrap, random_state)].mean(axis=1)
        interval = percentile_interval(drawn[:, 0] / np.where(drawn[:, 1] > 0, drawn[:, 1], np.nan))
    return Together(taken, evidence, interval, rest, control, float(rest_area))
