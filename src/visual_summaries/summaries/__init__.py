"""Stage 5: clusters as summaries, with their quality."""

from visual_summaries.summaries.build import SummarySet, build_summaries, choose_candidates, choose_members, rank_summaries
from visual_summaries.summaries.quality import consistent_members, pairwise_ssim, ssim
from visual_summaries.summaries.settings import SummarySettings

__all__ = [
    "SummarySet",
    "SummarySettings",
    "build_summaries",
    "choose_candidates",
    "choose_members",
    "consistent_members",
    "pairwise_ssim",
    "rank_summaries",
    "ssim",
]
