"""Regions of the evidence - connected components, proposed boxes, salient boxes."""

from visual_summaries.regions.components import connected_components, full_mask, hidden_scores, run_length, view_file
from visual_summaries.regions.proposals import propose_boxes
from visual_summaries.regions.salient import evidence_shares, prune, redundant_pairs, salient_boxes
from visual_summaries.settings.stages import RegionSettings

__all__ = [
    "RegionSettings",
    "connected_components",
    "evidence_shares",
    "full_mask",
    "hidden_scores",
    "propose_boxes",
    "prune",
    "redundant_pairs",
    "run_length",
    "salient_boxes",
    "view_file",
]
