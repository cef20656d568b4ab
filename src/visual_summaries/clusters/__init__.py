"""Stage 4 of the preset ``"paper"``: groups of regions that are alike."""

from visual_summaries.clusters.grouping import cluster
from visual_summaries.clusters.partition import Clusters
from visual_summaries.settings.clusters import ClusterSettings

__all__ = ["ClusterSettings", "Clusters", "cluster"]
