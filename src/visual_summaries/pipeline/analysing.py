"""The stages of a run that measure finished summaries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from visual_summaries.analyses import measure_importance
from visual_summaries.pipeline.context import Context
from visual_summaries.results import Image, Mask, Region
from visual_summaries.summaries import SummarySet, rank_summaries


def analyse_summaries(
    context: Context, images: Sequence[Image], masks: Sequence[Mask], regions: Sequence[Region], summaries: SummarySet
) -> SummarySet:
    """Measure the importance of every summary, kept or rejected, and rank the kept ones anew."""
    threshold = context.settings.regions.threshold
    measured = []
    for group in (summaries.kept, summaries.rejected):  # shares are shares among the kept, or among the rejected
        found = measure_importance(
            context.classifier,
            context.target,
            images,
            [np.asarray(mask.final > threshold) for mask in masks],
            regions,
            group,
            context.settings.masks,
            context.settings.analyses,
            random_state=context.random_state,
            progress=context.progress if group is summaries.kept else None,
        )
        measured.append(
            tuple(replace(one, importance=own.importance, analysis=own) for one, own in zip(group, found, strict=True))
        )
    return SummarySet(rank_summaries(measured[0], context.settings.summaries.rank), measured[1], summaries.small)
