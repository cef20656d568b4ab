"""What a finished set of summaries is worth: importance beside controls, joint effects, stability, chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from visual_summaries._lazy import lazy
from visual_summaries.settings.stages import AnalysisSettings

if TYPE_CHECKING:
    from visual_summaries.analyses.chance import measure_chance, measure_part_chance, some_images
    from visual_summaries.analyses.changes import ask_changes, join_changes
    from visual_summaries.analyses.cohesion import cluster_labels, part_shares, silhouettes
    from visual_summaries.analyses.cues import measure_cue
    from visual_summaries.analyses.importance import join_images, measure_importance
    from visual_summaries.analyses.joint import hidden_together, join_together, measure_joint
    from visual_summaries.analyses.stability import mean_jaccard, resample

__all__ = [
    "AnalysisSettings",
    "ask_changes",
    "cluster_labels",
    "hidden_together",
    "join_changes",
    "join_images",
    "join_together",
    "mean_jaccard",
    "measure_chance",
    "measure_cue",
    "measure_importance",
    "measure_joint",
    "measure_part_chance",
    "part_shares",
    "resample",
    "silhouettes",
    "some_images",
]

__getattr__ = lazy(
    __name__,
    {
        "ask_changes": "changes",
        "cluster_labels": "cohesion",
        "hidden_together": "joint",
        "join_changes": "changes",
        "join_images": "importance",
        "join_together": "joint",
        "mean_jaccard": "stability",
        "measure_chance": "chance",
        "measure_cue": "cues",
        "measure_importance": "importance",
        "measure_joint": "joint",
        "measure_part_chance": "chance",
        "part_shares": "cohesion",
        "resample": "stability",
        "silhouettes": "cohesion",
        "some_images": "chance",
    },
)
