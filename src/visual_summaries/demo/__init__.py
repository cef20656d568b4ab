"""The job on drawn birds: networks trained on :mod:`visual_summaries.birds`, the run on one of them, and its scorecard.

Examples
--------
>>> from visual_summaries.demo import network_record
>>> network_record("main")["architecture"]
'test_resnet'
"""

from visual_summaries.demo.networks import NETWORKS, demo_network, network_record
from visual_summaries.demo.pipeline import run_demo
from visual_summaries.demo.scorecard import Scorecard, SummaryScore, labels_for, part_under, score_run, scorecard_text

__all__ = [
    "NETWORKS",
    "Scorecard",
    "SummaryScore",
    "demo_network",
    "labels_for",
    "network_record",
    "part_under",
    "run_demo",
    "score_run",
    "scorecard_text",
]
