"""What a finished set of summaries is worth: importance beside controls, joint effects, stability, chance."""

from visual_summaries.analyses.chance import measure_chance, some_images
from visual_summaries.analyses.importance import join_images, measure_importance
from visual_summaries.analyses.joint import measure_joint
from visual_summaries.analyses.quality import cluster_labels, cohesion, part_shares, silhouettes
from visual_summaries.analyses.settings import AnalysisSettings
from visual_summaries.analyses.stability import mean_jaccard, measure_stability, resample

__all__ = [
    "AnalysisSettings",
    "cluster_labels",
    "cohesion",
    "join_images",
    "mean_jaccard",
    "measure_chance",
    "measure_importance",
    "measure_joint",
    "measure_stability",
    "part_shares",
    "resample",
    "silhouettes",
    "some_images",
]
