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
    measure_chance,
    measure_importance,
    measure_joint,
    measure_stability,
    some_images,
)
from visual_summaries.flow import Features
from visual_summaries.pipeline.context import Context, Shared, Stage
from visual_summaries.pipeline.manifest import Stopwatch
from visual_summaries.pipeline.stages import Described
from visual_summaries.results import Box, Chance, Image, Mask, Region, RunAnalysis, Summary
from visual_summaries.results.analysis import MARGIN
from visual_summaries.settings import Settings
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

    Where the settings keep what is used, those that surely are not join the rejected ones: the whole interval of what they take
    above their control lies under a hundredth of the score. Those in doubt stay, and are marked as not beating their control.
    """
    settings, seed, progress = context.settings, context.random_state, context.progress
    evidence = [np.asarray(mask.final > settings.regions.threshold) for mask in masks]
    network = (context.classifier, context.target, images, evidence, regions)
    with watch.stage("importance"):
        both = (*summaries.kept, *summaries.rejected)
        measured = measure_importance(*network, both, settings.masks, settings.analyses, random_state=seed, progress=progress)
    with watch.stage("stability"):
        owner = [region.image for region in regions]
        together = cohesion(similarity, cluster_labels(both, len(regions)), owner)
        stability = measure_stability(
            similarity,
            owner,
            [summary.cluster for summary in both],
            settings.clusters,
            boxes=[region.box for region in regions],
            resamplings=settings.analyses.resamplings,
            random_state=seed,
            progress=progress,
        )
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
        unused = [one for one in kept if _surely_unused(one)]
        kept = [one for one in kept if not _surely_unused(one)]
        rejected = sorted([*unused, *rejected], key=lambda one: -one.score)
    ranked = rank_summaries(kept, settings.summaries.rank)
    with watch.stage("joint"):
        joint = None
        if settings.analyses.orders:
            joint = measure_joint(*network, ranked, settings.masks, settings.analyses, random_state=seed, progress=progress)
    with watch.stage("chance"):
        chance = _chance(context, evidence, regions, similarity, features) if settings.analyses.chance else None
    apart = tuple(replace(one, index=index) for index, one in enumerate(rejected, start=len(ranked)))
    return SummarySet(ranked, apart, summaries.small), RunAnalysis(joint, chance)


def _surely_unused(summary: Summary) -> bool:
    return summary.analysis is not None and summary.analysis.interval[1] < MARGIN


#: Images to look at with their features and evidence, the regions in them, and the similarity of these.
ChanceItem = tuple[list[Features], list[NDArray[np.bool_]], list[int], list[Box], NDArray[np.float32]]


def _chances(shared: Shared, items: Sequence[ChanceItem]) -> Iterable[Content]:
    settings = shared.settings
    for features, evidence, owner, boxes, similarity in items:
        chance = measure_chance(
            features,
            evidence,
            owner,
            boxes,
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
    where = [regions[index].box for index in mine]
    inputs = [[features.boxes[k] for k in chosen], masks, owner, where, own]
    return Chance(**context.map(CHANCE, [inputs], lambda _: ([features[k] for k in chosen], masks, owner, where, own))[0])
