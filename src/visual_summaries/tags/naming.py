"""A summary's name: the tag that is more frequent in it than chance explains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import rel_entr

from visual_summaries.results import Run
from visual_summaries.tags.agreement import random_groups, share_reaching

_LISTED = 5


@dataclass(frozen=True)
class WeightedTag:
    """A tag of a summary.

    Attributes
    ----------
    frequency, elsewhere : float
        Mean weight of the tag over the members, and over all salient regions of the run, in [0, 1].
    lift : float
        `frequency` over `elsewhere`.
    weight : float
        ``frequency * log2(lift)``: what the tag tells about the summary, in bits. Names go by it.
    """

    tag: str
    frequency: float
    elsewhere: float
    lift: float
    weight: float


@dataclass(frozen=True)
class SummaryName:
    """What a summary is called, and why.

    Attributes
    ----------
    summary : int
        Its rank in ``run.summaries``.
    name : str or None
        The heaviest tag; None when chance explains its weight.
    confidence : float
        1 - `p_value`.
    p_value : float
        Share of random groups of salient regions (of the same size, one per image) whose heaviest tag is as heavy as this
        summary's. That the heaviest of many tags is looked at is thereby taken into account.
    tags : tuple of WeightedTag
        The five heaviest tags, heaviest first.
    """

    summary: int
    name: str | None
    confidence: float
    p_value: float
    tags: tuple[WeightedTag, ...]


def name_summaries(
    run: Run,
    regions: NDArray[np.float32],
    vocabulary: Sequence[str],
    *,
    level: float = 0.05,
    draws: int = 1000,
    random_state: int = 0,
) -> tuple[SummaryName, ...]:
    """Name each of ``run.summaries``.

    Parameters
    ----------
    run : Run
    regions : ndarray of float32, (R, K)
        Weights of the tags of each of ``run.regions``, as :func:`~visual_summaries.tags.tag_crops` gives them.
    vocabulary : sequence of str
    level : float
        A summary gets a name when its p-value is at most this. So does a random group once in ``1 / level`` times.
    draws : int
        Random groups for each summary; no p-value is under ``1 / (draws + 1)``.
    random_state : int
    """
    if not run.summaries:
        return ()
    owners = np.array([region.image for region in run.regions], dtype=np.intp)
    elsewhere = regions.astype(np.float64).mean(axis=0)
    rng = np.random.default_rng(random_state)
    chance: dict[int, NDArray[np.float64]] = {}
    names = []
    for summary in run.summaries:
        members = [member.region for member in summary.members]
        frequency = regions[members].astype(np.float64).mean(axis=0)
        weights = tag_weights(frequency, elsewhere)
        if len(members) not in chance:
            drawn = random_groups(owners, len(members), draws, rng)
            chance[len(members)] = np.array([tag_weights(regions[g].mean(axis=0), elsewhere).max() for g in drawn])
        best = int(weights.argmax())
        p_value = share_reaching(weights[best], chance[len(members)]) if weights[best] > 0 else 1.0
        order = [int(index) for index in np.argsort(-weights, kind="stable")[:_LISTED] if frequency[index] > 0]
        own, all_over = frequency[order], elsewhere[order]
        figures = np.column_stack([own, all_over, own / all_over, weights[order]]).tolist()
        names.append(
            SummaryName(
                summary=summary.index,
                name=vocabulary[best] if p_value <= level else None,
                confidence=1 - p_value,
                p_value=p_value,
                tags=tuple(WeightedTag(vocabulary[i], *row) for i, row in zip(order, figures, strict=True)),
            )
        )
    return tuple(names)


def tag_weights(frequency: NDArray[np.floating], elsewhere: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return ``frequency * log2(frequency / elsewhere)`` of each tag, 0 where its frequency is 0.

    Summed over tags it would be the information, in bits, that the group's tags have over those of all regions.

    Examples
    --------
    >>> tag_weights(np.array([0.5, 0.0, 0.5]), np.array([0.125, 0.5, 0.5])).tolist()
    [1.0, 0.0, 0.0]
    """
    return np.asarray(rel_entr(frequency, elsewhere, dtype=np.float64) / np.log(2))
