"""The stages of a run after its summaries are found: what they are worth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visual_summaries.analyses import (
    hidden_together,
    join_images,
    join_together,
    measure_importance,
    measure_joint,
    some_images,
)
from visual_summaries.parts.summaries import SummarySet, rank_summaries
from visual_summaries.results import Chance, Image, JointEffects, Parts, Region, RunAnalysis, Summary, SummaryAnalysis, Together
from visual_summaries.runs.image_stages import Pixels, infill_settings, scorer
from visual_summaries.runs.manifest import Stopwatch
from visual_summaries.runs.packed import join_results, split_results
from visual_summaries.runs.pieces import Content
from visual_summaries.runs.reading import view_sha256
from visual_summaries.runs.stages import Context, Shared, Stage
from visual_summaries.settings import Settings


@dataclass(frozen=True, eq=False)
class Grouped:
    """What the evidence of a run was grouped into, whichever way."""

    regions: list[Region]
    summaries: SummarySet  # before any effect is measured
    descriptors: NDArray[np.float32]  # of each region (R, d)
    similarity: NDArray[np.float32]  # of the regions (R, R), or (0, 0)
    clusters: int  # how many parts or clusters there are
    #: Cohesion and stability of each of some summaries.
    figures: Callable[[Sequence[Summary]], tuple[NDArray[np.float64], NDArray[np.float64]]]
    chance: Callable[[], Chance]  # what masks at random places would give
    parts: Parts | None = None


def analyze_summaries(
    context: Context, watch: Stopwatch, images: Sequence[Image], evidence: Sequence[Pixels], grouped: Grouped
) -> tuple[SummarySet, RunAnalysis]:
    """Measure importance, cohesion and stability of every summary, rank the kept ones, and measure what they do together.

    Where the settings keep what is used, those that take hardly more than their control join the rejected ones: their pixels
    count for the rest. Whether the effect of the others is significant is a separate question: those in doubt stay,
    and are marked.
    """
    settings, regions, summaries = context.settings, grouped.regions, grouped.summaries
    both = (*summaries.kept, *summaries.rejected)
    with watch.stage("importance"):
        measured = measure_each(context, images, evidence, regions, both)
    with watch.stage("stability"):
        together, stability = grouped.figures(both)
    analyzed = [
        replace(
            summary,
            importance=found.importance,
            analysis=replace(found, cohesion=float(together[place]), stability=float(stability[place])),
        )
        for place, (summary, found) in enumerate(zip(both, measured, strict=True))
    ]
    kept, rejected = analyzed[: len(summaries.kept)], analyzed[len(summaries.kept) :]
    if settings.summaries.keep == "used":
        least = settings.summaries.min_effect
        unused = [one for one in kept if not _used(one, least)]
        kept = [one for one in kept if _used(one, least)]
        rejected = sorted([*unused, *rejected], key=lambda one: -one.effect)
    ranked = rank_summaries(kept, settings.summaries.rank)
    with watch.stage("together"):
        total = _measure_together(context, images, evidence, regions, ranked)
    with watch.stage("joint"):
        joint = _measure_joint(context, images, evidence, regions, ranked) if settings.analyses.orders else None
    with watch.stage("chance"):
        chance = grouped.chance() if settings.analyses.chance else None
    apart = tuple(replace(one, index=index) for index, one in enumerate(rejected, start=len(ranked)))
    return SummarySet(ranked, apart, summaries.small), RunAnalysis(joint, chance, total)


def _used(summary: Summary, least: float) -> bool:
    return summary.analysis is not None and summary.analysis.class_effect >= least


def own_of(image: Image, regions: Sequence[Region], summaries: Sequence[Summary]) -> tuple[list[Region], list[Summary]]:
    """Return the regions of one image, and the summaries with these only and no pictures: all that the image has of them."""
    mine = [region for region in regions if region.image == image.index]
    place = {region.index: k for k, region in enumerate(mine)}
    clusters = [tuple(place[index] for index in summary.cluster if index in place) for summary in summaries]
    return mine, [replace(summary, members=(), cluster=own) for summary, own in zip(summaries, clusters, strict=True)]


def _importance(shared: Shared, items: Sequence[tuple[Image, Pixels, list[Region], list[Summary]]]) -> Iterable[Content]:
    settings = shared.settings
    for image, evidence, regions, summaries in items:
        found = measure_importance(
            scorer(shared, image.view),
            [image],
            [evidence],
            regions,
            summaries,
            settings.analyses,
            random_state=shared.random_state,
        )
        plain, arrays = split_results("summaries", found)
        yield {"plain": plain, **arrays}


def _network_settings(settings: Settings) -> Any:
    return [infill_settings(settings), asdict(settings.analyses)]


IMPORTANCE = Stage("importance", 6, _importance, settings=_network_settings)


def measure_each(
    context: Context,
    images: Sequence[Image],
    evidence: Sequence[Pixels],
    regions: Sequence[Region],
    summaries: Sequence[Summary],
) -> list[SummaryAnalysis]:
    """Measure the importance of summaries, an image at a time, and join what the images give."""
    own = [own_of(image, regions, summaries) for image in images]
    inputs = (
        [view_sha256(i.view), i.score, e, [[list(r.box), r.mask] for r in mine], [list(s.cluster) for s in parts]]
        for i, e, (mine, parts) in zip(images, evidence, own, strict=True)
    )
    records = context.map(IMPORTANCE, inputs, lambda k: (images[k], evidence[k], *own[k]))
    found = [join_results(SummaryAnalysis, "summaries", record["plain"], record) for record in records]
    # The index of an image is its place in this run, which is none of what its piece was made of.
    placed = [
        [replace(one, images=np.full(len(one.images), image.index, np.int64)) for one in row]
        for image, row in zip(images, found, strict=True)
    ]
    return join_images(
        placed,
        len(summaries),
        context.settings.analyses,
        context.random_state,
        {image.index: image.origin for image in images},
    )


#: Images, their evidence, and the regions and summaries of the run.
JointItem = tuple[Sequence[Image], Sequence[Pixels], Sequence[Region], Sequence[Summary]]


def _joint(shared: Shared, items: Sequence[JointItem]) -> Iterable[Content]:
    for item in items:
        network = scorer(shared, item[0][0].view)
        found = measure_joint(network, *item, shared.settings.analyses, random_state=shared.random_state)
        plain, arrays = split_results("joint", [] if found is None else [found])
        yield {"plain": plain, **arrays}


JOINT = Stage("joint", 7, _joint, settings=_network_settings)


def _measure_joint(
    context: Context,
    images: Sequence[Image],
    evidence: Sequence[Pixels],
    regions: Sequence[Region],
    summaries: Sequence[Summary],
) -> JointEffects | None:
    """Measure what summaries do together on some images; one piece, because which sets are looked at depends on all of them."""
    if not summaries:
        return None
    chosen = some_images(len(images), context.settings.analyses.joint_images, context.random_state)
    images, evidence = [images[k] for k in chosen], [evidence[k] for k in chosen]
    analyzed = [[s.analysis.images, s.analysis.shares, s.analysis.share_controls] for s in summaries if s.analysis is not None]
    inputs = [
        [[view_sha256(i.view), i.score, e] for i, e in zip(images, evidence, strict=True)],
        [[r.image, list(r.box), r.mask] for r in regions],
        [list(summary.cluster) for summary in summaries],
        analyzed,
    ]
    record = context.piece(JOINT, inputs, (images, evidence, regions, summaries))
    return next(iter(join_results(JointEffects, "joint", record["plain"], record)), None)


def _together(shared: Shared, items: Sequence[tuple[Image, Pixels, Pixels]]) -> Iterable[Content]:
    images, evidence, of_summaries = zip(*items, strict=True)
    network = scorer(shared, images[0].view)
    found = hidden_together(network, images, evidence, of_summaries, random_state=shared.random_state)
    return [{"losses": losses} for losses in found]


TOGETHER = Stage("together", 4, _together, settings=infill_settings, group=8, together=True, progress="")


def _measure_together(
    context: Context,
    images: Sequence[Image],
    evidence: Sequence[Pixels],
    regions: Sequence[Region],
    summaries: Sequence[Summary],
) -> Together:
    """Measure what all summaries take, what all evidence takes, and what the rest takes, an image at a time."""
    shown = [np.zeros_like(own) for own in evidence]
    for summary in summaries:
        for region in (regions[index] for index in summary.cluster):
            x0, y0, x1, y1 = region.box
            shown[region.image][y0:y1, x0:x1] |= region.mask
    inputs = ([view_sha256(i.view), i.score, own, s] for i, own, s in zip(images, evidence, shown, strict=True))
    records = context.map(TOGETHER, inputs, lambda k: (images[k], evidence[k], shown[k]))
    rest = sum(int((own & ~s).sum()) for own, s in zip(evidence, shown, strict=True))
    rest_area = rest / max(sum(int(own.sum()) for own in evidence), 1)
    losses = np.array([record["losses"] for record in records]).reshape(-1, 4)
    return join_together(losses, rest_area, context.settings.analyses, context.random_state, [image.origin for image in images])
