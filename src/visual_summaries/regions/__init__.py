"""Regions of the evidence - connected components, proposed boxes, salient boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from visual_summaries._lazy import lazy
from visual_summaries.settings.stages import RegionSettings

if TYPE_CHECKING:
    from visual_summaries.regions.components import connected_components, hidden_scores
    from visual_summaries.regions.pixels import full_mask, run_length, view_file
    from visual_summaries.regions.proposals import propose_boxes
    from visual_summaries.regions.salient import evidence_shares, prune, redundant_pairs, salient_boxes

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

__getattr__ = lazy(
    __name__,
    {
        "connected_components": "components",
        "evidence_shares": "salient",
        "full_mask": "pixels",
        "hidden_scores": "components",
        "propose_boxes": "proposals",
        "prune": "salient",
        "redundant_pairs": "salient",
        "run_length": "pixels",
        "salient_boxes": "salient",
        "view_file": "pixels",
    },
)
