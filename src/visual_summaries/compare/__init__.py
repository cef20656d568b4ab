"""Networks compared by their runs: parts that both use or only one, importance, number of summaries against accuracy."""

from visual_summaries.compare.comparison import (
    ClassComparison,
    Comparison,
    Part,
    Use,
    compare_runs,
    network_names,
)
from visual_summaries.compare.counting import (
    THRESHOLDS,
    Correlation,
    Count,
    at_equal_images,
    correlate,
    correlations_of,
    count_summaries,
    rarefied,
)
from visual_summaries.compare.matching import Match, Pair, join_matches, match_runs

__all__ = [
    "THRESHOLDS",
    "ClassComparison",
    "Comparison",
    "Correlation",
    "Count",
    "Match",
    "Pair",
    "Part",
    "Use",
    "at_equal_images",
    "compare_runs",
    "correlate",
    "correlations_of",
    "count_summaries",
    "join_matches",
    "match_runs",
    "network_names",
    "rarefied",
]
