"""The stage of a run after its summaries: what they are worth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visual_summaries.analyses import (
    cluster_labels,
    cohesion,
    join_images,
    mean_jaccard,
    measure_chance,
    measure_importance,
    measure_joint,
    resample,
    some_images,
)
from visual_summaries.flow import Features
from visual_summaries.pipeline.context import Context, Shared, Stage
from visual_summaries.pipeline.manifest import Stopwatch
from visual_summaries.pipeline.reading import view_sha256
from visual_summaries.pipeline.stages import Described, hiding
from visual_summaries.results import Chance, Image, JointEffects, Mask, Region, RunAnalysis, Summary, SummaryAnalysis
from visual_summaries.settings import Settings
from visual_summaries.store import digest
from visual_summaries.store.packed import join_results, split_results
from visual_summaries.store.piece_file import Content
from visual_summaries.summaries import SummarySet, rank_summaries


def analyse_summaries(
    context: Context,
    watch: Stopwatch,
    images: Sequence[Image],
    masks: Sequence[Mask],
    regions: Sequence[Region],
    similarity: NDArray[np.float32],
    features: Described,
    summaries: SummarySet,
) -> tuple[SummarySet, RunAnalysis]:
    """Measure importance, cohesion and stability of every summary, rank the kept ones, and measure what they do together.

    Where the settings keep what is used, those that take too little of the class's score join the rejected ones. Whether what
    the others take is sure is another question: those in doubt stay, and are marked as not beating their control.
    """
    settings = context.settings
    evidence = [np.asarray(mask.final > settings.regions.threshold) for mask in masks]
    both = (*summaries.kept, *summaries.rejected)
    with watch.stage("importance"):
        measured = _measure_importance(context, images, evidence, regions, both)
    with watch.stage("stability"):
        owner = [region.image for region in regions]
        clusters = [list(summary.cluster) for summary in both]
        together = cohesion(similarity, cluster_labels(both, len(regions)), owner)
        stability = _measure_stability(context, similarity, owner, clusters)
    analysed = [
        replace(
            summary,
            importance=found.importance,
            analysis=replace(found, cohesion=float(together[place]), stability=float(stability[place])),
        )
        for place, (summary, found) in enumerate(zip(both, measured, strict=True))
    ]
    kept, rejected = analysed[: len(summaries.kept)], analysed[len(summaries.kept) :]
    if settings.summaries.keep == "used":
        least = settings.summaries.min_effect
        unused = [one for one in kept if _unused(one, least)]
        kept = [one for one in kept if not _unused(one, least)]
        rejected = sorted([*unused, *rejected], key=lambda one: -one.score)
    ranked = rank_summaries(kept, settings.summaries.rank)
    with watch.stage("joint"):
        joint = _measure_joint(context, images, evidence, regions, ranked) if settings.analyses.orders else None
    with watch.stage("chance"):
        chance = _chance(context, evidence, regions, similarity, features) if settings.analyses.chance else None
    apart = tuple(replace(one, index=index) for index, one in enumerate(rejected, start=len(ranked)))
    return SummarySet(ranked, apart, summaries.small), RunAnalysis(joint, chance)


def _unused(summary: Summary, least: float) -> bool:
    return summary.analysis is not None and summary.analysis.class_effect < least


def _own(image: Image, regions: Sequence[Region], summaries: Sequence[Summary]) -> tuple[list[Region], list[Summary]]:
    """Return the regions of one image, and the summaries with these only and no pictures: all that the image has of them."""
    mine = [region for region in regions if region.image == image.index]
    place = {region.index: k for k, region in enumerate(mine)}
    clusters = [tuple(place[index] for index in summary.cluster if index in place) for summary in summaries]
    return mine, [replace(summary, members=(), cluster=own) for summary, own in zip(summaries, clusters, strict=True)]


def _importance(
    shared: Shared, items: Sequence[tuple[Image, NDArray[np.bool_], list[Region], list[Summary]]]
) -> Iterable[Content]:
    settings = shared.settings
    for image, evidence, regions, summaries in items:
        found = measure_importance(
            shared.classifier,
            shared.target,
            [image],
            [evidence],
            regions,
            summaries,
            settings.masks,
            settings.analyses,
            random_state=shared.random_state,
        )
        plain, arrays = split_results("summaries", found)
        yield {"plain": plain, **arrays}


def _network_settings(settings: Settings) -> Any:
    return [hiding(settings), asdict(settings.analyses)]


IMPORTANCE = Stage("importance", 2, _importance, settings=_network_settings)


def _measure_importance(
    context: Context,
    images: Sequence[Image],
    evidence: Sequence[NDArray[np.bool_]],
    regions: Sequence[Region],
    summaries: Sequence[Summary],
) -> list[SummaryAnalysis]:
    """Measure the importance of summaries, an image at a time, and join what the images give."""
    own = [_own(image, regions, summaries) for image in images]
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
    return join_images(placed, len(summaries), context.settings.analyses, context.random_state)


#: Similarity of regions, their images, the regions of each cluster, and the number of a resampling.
StabilityItem = tuple[NDArray[np.float32], list[int], list[list[int]], int]


def _stability(shared: Shared, items: Sequence[StabilityItem]) -> Iterable[Content]:
    for similarity, owner, clusters, number in items:
        settings = shared.settings.clusters
        found = resample(similarity, owner, clusters, settings, number=number, random_state=shared.random_state)
        yield {"jaccard": found}


#: A few resamplings at a time: they have their similarities in common, which so are sent once.
STABILITY = Stage("stability", 2, _stability, settings=lambda s: asdict(s.clusters), network=False, group=5)


def _measure_stability(
    context: Context, similarity: NDArray[np.float32], owner: list[int], clusters: list[list[int]]
) -> NDArray[np.float64]:
    """Measure the stability of each cluster; a piece for each resampling, which draws by itself."""
    item = (similarity, owner, clusters)
    count = context.settings.analyses.resamplings
    content = digest(list(item))
    records = context.map(STABILITY, ([content, number] for number in range(count)), lambda number: (*item, number))
    return mean_jaccard(np.array([record["jaccard"] for record in records]).reshape(count, len(clusters)))


#: Images, their evidence, and the regions and summaries of the run.
JointItem = tuple[Sequence[Image], Sequence[NDArray[np.bool_]], Sequence[Region], Sequence[Summary]]


def _joint(shared: Shared, items: Sequence[JointItem]) -> Iterable[Content]:
    for item in items:
        network = (shared.classifier, shared.target, *item)
        found = measure_joint(*network, shared.settings.masks, shared.settings.analyses, random_state=shared.random_state)
        plain, arrays = split_results("joint", [] if found is None else [found])
        yield {"plain": plain, **arrays}


JOINT = Stage("joint", 2, _joint, settings=_network_settings)


def _measure_joint(
    context: Context,
    images: Sequence[Image],
    evidence: Sequence[NDArray[np.bool_]],
    regions: Sequence[Region],
    summaries: Sequence[Summary],
) -> JointEffects | None:
    """Measure what summaries do together; one piece, because which sets are looked at depends on all images."""
    analysed = [[s.analysis.images, s.analysis.shares, s.analysis.share_controls] for s in summaries if s.analysis is not None]
    inputs = [
        [[view_sha256(i.view), i.score, e] for i, e in zip(images, evidence, strict=True)],
        [[r.image, list(r.box), r.mask] for r in regions],
        [list(summary.cluster) for summary in summaries],
        analysed,
    ]
    record = context.piece(JOINT, inputs, (images, evidence, regions, summaries))
    return next(iter(join_results(JointEffects, "joint", record["plain"], record)), None)


#: Images to look at with their features and evidence, the regions in them, and the similarity of these.
ChanceItem = tuple[list[Features], list[NDArray[np.bool_]], list[int], NDArray[np.float32]]


def _chances(shared: Shared, items: Sequence[ChanceItem]) -> Iterable[Content]:
    settings = shared.settings
    for features, evidence, owner, similarity in items:
        chance = measure_chance(
            features,
            evidence,
            owner,
            similarity,
            settings.regions,
            settings.flow,
            settings.clusters,
            draws=settings.analyses.chance,
            random_state=shared.random_state,
        )
        yield dict(vars(chance))


def _chance_settings(settings: Settings) -> Any:
    return [asdict(settings.regions), asdict(settings.flow), asdict(settings.clusters), settings.analyses.chance]


CHANCE = Stage("chance", 2, _chances, settings=_chance_settings)


def _chance(
    context: Context,
    evidence: Sequence[NDArray[np.bool_]],
    regions: Sequence[Region],
    similarity: NDArray[np.float32],
    features: Described,
) -> Chance:
    """Compare a few of the run's images with moved masks; one piece."""
    chosen = some_images(len(evidence), context.settings.analyses.chance_images, context.random_state)
    place = {image: position for position, image in enumerate(chosen)}
    mine = [region.index for region in regions if region.image in place]
    owner = [place[regions[index].image] for index in mine]
    masks, own = [evidence[k] for k in chosen], similarity[np.ix_(mine, mine)]
    inputs = [[features.boxes[k] for k in chosen], masks, owner, own]
    return Chance(**context.map(CHANCE, [inputs], lambda _: ([features[k] for k in chosen], masks, owner, own))[0])
