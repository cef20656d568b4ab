"""From parts, or clusters of regions, to summaries: members, quality, rank (docs/paper.md, clusters and summaries)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from visual_summaries.parts.clusters import Clusters
from visual_summaries.parts.ssim import consistent_members, pairwise_ssim, upper
from visual_summaries.progress import Progress, report_progress
from visual_summaries.results import Member, Region, Result, Summary
from visual_summaries.settings.stages import SummarySettings

#: ``warp(exemplar, member)``: the member's image warped by dense flow into the exemplar's box, ``uint8 (h, w, 3)``.
Warp = Callable[[Region, Region], NDArray[np.uint8]]


@dataclass(frozen=True, eq=False, repr=False)
class SummarySet(Result):
    """Summaries of a run.

    Attributes
    ----------
    kept : tuple of Summary
        Best first; ``index`` is the rank.
    rejected : tuple of Summary
        In the same form: parts that take too little, or clusters whose members do not look similar once warped; ``index``
        continues where `kept` ends.
    small : int
        Parts or clusters with regions of too few images to make a summary.
    """

    kept: tuple[Summary, ...]
    rejected: tuple[Summary, ...]
    small: int


@dataclass(frozen=True)
class _Candidate:
    cluster: tuple[int, ...]
    members: tuple[Member, ...]
    ssims: NDArray[np.float64]
    part: int | None = None


def choose_members(
    cluster: Sequence[int], exemplar: int, regions: Sequence[Region], similarity: NDArray[np.floating], limit: int = 10
) -> list[int]:
    """Return the regions that represent a cluster: the exemplar, then the most similar to it, one per image, at most `limit`.

    Examples
    --------
    >>> box, mask = (0, 0, 1, 1), np.ones((1, 1), bool)
    >>> regions = [Region(i, image, box, mask, 1.0, 0.0, 0.0, 0.0) for i, image in enumerate([0, 1, 1, 0, 2])]
    >>> similarity = np.zeros((5, 5))
    >>> similarity[0] = [0, 0.5, 0.7, 0, 0.6]
    >>> choose_members(range(5), 0, regions, similarity)  # 1 is of the same image as the better 2, 3 of the exemplar's
    [0, 2, 4]
    """
    best = {regions[exemplar].image: exemplar}
    for index in sorted(set(cluster) - {exemplar}, key=lambda i: (-float(similarity[exemplar, i]), i)):
        best.setdefault(regions[index].image, index)
    return list(best.values())[:limit]


def choose_candidates(
    clusters: Clusters, regions: Sequence[Region], similarity: NDArray[np.floating], settings: SummarySettings
) -> list[tuple[int, list[int]]]:
    """Return the clusters that are in enough images, each with the regions that represent it (:func:`choose_members`)."""
    images = np.array([region.image for region in regions], np.int64)
    least = settings.images_needed(len(np.unique(images)))
    found = []
    for index, exemplar in enumerate(clusters.exemplars):
        group = clusters.members(index)
        chosen = choose_members(group.tolist(), int(exemplar), regions, similarity, settings.members)
        if len(np.unique(images[group])) >= least:
            found.append((index, chosen))
    return found


def build_summaries(
    regions: Sequence[Region],
    similarity: NDArray[np.floating],
    clusters: Clusters,
    warp: Warp,
    settings: SummarySettings,
    *,
    progress: Progress | None = None,
) -> SummarySet:
    """Make a summary of each cluster, keep those whose members look similar once warped to the exemplar, and rank them.

    With ``settings.keep`` of ``"used"`` all are kept, with all their members, for a later stage to judge.

    A cluster's score is its median SSIM over the median of the clusters' medians; it is kept from ``settings.min_score`` on. A
    member of a kept cluster is dropped when ``settings.max_low_share`` of its SSIMs or more lie under the median of all pairs
    of all clusters.

    `regions` are the kept ones of all images, ``regions[i].index == i``; `similarity` (R, R) is symmetric.
    """
    candidates: list[_Candidate] = []
    found = choose_candidates(clusters, regions, similarity, settings)
    small = len(clusters.exemplars) - len(found)
    for done, (index, chosen) in enumerate(found, 1):
        crops = [warp(regions[chosen[0]], regions[i]) for i in chosen]
        to_exemplar = similarity[chosen[0], chosen].astype(float)
        candidates.append(_candidate(tuple(clusters.members(index).tolist()), chosen, crops, to_exemplar))
        report_progress(progress, "summaries", done, len(found))
    return _judge(candidates, regions, settings, small)


def choose_typical(
    distance: NDArray[np.floating],
    areas: NDArray[np.integer],
    images: NDArray[np.integer],
    usable: NDArray[np.bool_],
    limit: int = 10,
) -> list[int]:
    """Return the regions that represent a part: of each image its largest one, the most typical first, at most `limit`.

    Regions with less than a quarter of the median area of the images' largest ones come last; those whose boxes are too small
    to be compared are left out. `distance` (R,) is that of each region of the part to the part's center.

    Examples
    --------
    >>> distance, areas = np.array([0.3, 0.1, 0.2, 0.4]), np.array([40, 50, 9, 60])
    >>> choose_typical(distance, areas, np.array([0, 1, 1, 2]), np.ones(4, bool))
    [1, 0, 3]
    """
    best: dict[int, int] = {}
    for index in np.lexsort((distance, -areas)).tolist():
        if usable[index]:
            best.setdefault(int(images[index]), index)
    if not best:
        return []
    least = np.median([areas[index] for index in best.values()]) / 4
    return sorted(best.values(), key=lambda index: (areas[index] < least, distance[index], index))[:limit]


def exemplar_first(typical: Sequence[int], effects: Sequence[float]) -> list[int]:
    """Return the typical regions of a part with its exemplar first: the most typical one that takes as much as half of them do.

    The most typical region alone may be a blank patch that the network hardly uses.

    Parameters
    ----------
    typical : sequence of int
        Regions, the most typical first.
    effects : sequence of float
        Relative loss of the score with each of them hidden alone.

    Examples
    --------
    >>> exemplar_first([7, 3, 9], [0.01, 0.2, 0.4])
    [3, 7, 9]
    """
    least = np.median(effects)
    place = next(place for place, effect in enumerate(effects) if effect >= least)
    return [typical[place], *typical[:place], *typical[place + 1 :]]


#: A part, its regions, its typical ones (exemplar first), their similarity to the exemplar by flow, and them warped to it.
PartGroup = tuple[int, Sequence[int], Sequence[int], NDArray[np.floating], Sequence[NDArray[np.uint8]]]


def summaries_of_parts(
    groups: Sequence[PartGroup], regions: Sequence[Region], settings: SummarySettings, small: int = 0
) -> SummarySet:
    """Make a summary of each part; members come in the order of their similarity to the exemplar, as shares of the largest.

    `small` counts the parts of too few images, which are not among the groups.
    """
    candidates = []
    for part, own, chosen, similarity, crops in groups:
        order = [0, *sorted(range(1, len(chosen)), key=lambda k: -float(similarity[k]))]
        ordered = np.asarray(similarity, float)[order]
        ordered /= max(float(ordered.max(initial=0)), 1e-300)
        members, warped = [chosen[k] for k in order], [crops[k] for k in order]
        candidates.append(replace(_candidate(tuple(own), members, warped, ordered), part=part))
    return _judge(candidates, regions, settings, small)


def _judge(candidates: Sequence[_Candidate], regions: Sequence[Region], settings: SummarySettings, small: int) -> SummarySet:
    """Keep the candidates that the settings ask for, and rank them."""
    if not candidates:
        return SummarySet((), (), small)
    medians = [float(np.median(upper(c.ssims))) for c in candidates]
    middle = float(np.median(medians))
    all_pairs = float(np.median(np.concatenate([upper(c.ssims) for c in candidates])))

    kept: list[Summary] = []
    rejected: list[Summary] = []
    for candidate, median in zip(candidates, medians, strict=True):
        # A median of 0 or less (warps that share nothing) leaves the ratio without meaning: such clusters compare by sign only.
        score = median / middle if middle > 0 else float(median >= middle)
        consistent = consistent_members(candidate.ssims, all_pairs, settings.max_low_share)
        if settings.keep == "used":
            kept.append(_summary(candidate, candidate.members, score, regions))
        elif score >= settings.min_score and consistent.sum() >= settings.min_members:
            members = tuple(m for m, keep in zip(candidate.members, consistent, strict=True) if keep)
            kept.append(_summary(candidate, members, score, regions))
        else:
            rejected.append(_summary(candidate, candidate.members, score, regions))
    rejected.sort(key=lambda s: -s.score)
    return SummarySet(
        rank_summaries(kept, settings.rank),
        tuple(replace(s, index=i) for i, s in enumerate(rejected, start=len(kept))),
        small,
    )


def _candidate(
    cluster: tuple[int, ...], chosen: list[int], crops: list[NDArray[np.uint8]], similarity: NDArray[np.floating]
) -> _Candidate:
    ssims = pairwise_ssim(crops)
    to_exemplar = np.array(similarity, float)
    to_exemplar[0] = to_exemplar[1:].max()
    members = tuple(
        Member(region=region, similarity=float(to_exemplar[k]), ssim=float(np.nanmedian(ssims[k])), warped=crops[k])
        for k, region in enumerate(chosen)
    )
    return _Candidate(cluster, members, ssims)


def _summary(candidate: _Candidate, members: tuple[Member, ...], score: float, regions: Sequence[Region]) -> Summary:
    importance = float(np.mean([regions[m.region].drop for m in members]))
    return Summary(0, members[0].region, members, candidate.cluster, score, importance, part=candidate.part)


def rank_summaries(summaries: Sequence[Summary], rank: str) -> tuple[Summary, ...]:
    """Return summaries best first, each with its rank as ``index``.

    By ``"score"``, or by ``"importance"``: by what they add to the loss above their control, over all images, where that was
    measured, else by the loss when one member is hidden.
    """
    by_score = rank == "score"
    ordered = sorted(summaries, key=lambda one: (-(one.score if by_score else one.effect), one.exemplar))
    return tuple(replace(summary, index=index) for index, summary in enumerate(ordered))
