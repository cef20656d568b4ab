"""What a finished set of summaries is worth: importance beside controls, joint effects, stability."""

from visual_summaries.analyses.importance import measure_importance
from visual_summaries.analyses.settings import AnalysisSettings

__all__ = ["AnalysisSettings", "measure_importance"]
