"""The stage of a run after its summaries: what they are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from visual_summaries.analyses import (
    cluster_labels,
    cohesion,
    measure_chance,
    measure_importance,
    measure_joint,
    measure_stability,
)
from visual_summaries.flow import Features
from visual_summaries.pipeline.context import Context
from visual_summaries.pipeline.manifest import Stopwatch
from visual_summaries.results import Image, Mask, Region, RunAnalysis
from visual_summaries.summaries import SummarySet, rank_summaries


def analyse_summaries(
    context: Context,
    watch: Stopwatch,
    images: Sequence[Image],
    masks: Sequence[Mask],
    regions: Sequence[Region],
    similarity: NDArray[np.float32],
    features: Sequence[Features],
    summaries: SummarySet,
) -> tuple[SummarySet, RunAnalysis]:
    """Measure importance, cohesion and stability of every summary, rank the kept ones, and measure what they do together."""
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
    ranked = rank_summaries(analysed[: len(summaries.kept)], settings.summaries.rank)
    with watch.stage("joint"):
        joint = None
        if settings.analyses.orders:
            joint = measure_joint(*network, ranked, settings.masks, settings.analyses, random_state=seed, progress=progress)
    with watch.stage("chance"):
        chance = measure_chance(
            features,
            evidence,
            regions,
            similarity,
            settings.regions,
            settings.flow,
            settings.clusters,
            settings.analyses,
            random_state=seed,
            progress=progress,
        )
    return SummarySet(ranked, tuple(analysed[len(summaries.kept) :]), summaries.small), RunAnalysis(joint, chance)
