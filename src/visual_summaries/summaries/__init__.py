"""Stage 5: parts, or clusters, as summaries, with their quality."""

from visual_summaries.settings.summaries import SummarySettings
from visual_summaries.summaries.build import (
    SummarySet,
    build_summaries,
    choose_candidates,
    choose_members,
    choose_typical,
    rank_summaries,
    summaries_of_parts,
)
from visual_summaries.summaries.quality import consistent_members, pairwise_ssim, ssim

__all__ = [
    "SummarySet",
    "SummarySettings",
    "build_summaries",
    "choose_candidates",
    "choose_members",
    "choose_typical",
    "consistent_members",
    "pairwise_ssim",
    "rank_summaries",
    "ssim",
    "summaries_of_parts",
]
