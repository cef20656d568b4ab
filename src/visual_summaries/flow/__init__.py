"""Proposal Flow: what boxes look like, how boxes of two images match, and the pixel flow that follows."""

from visual_summaries.flow.dense import DenseFlow, dense_flow, warp
from visual_summaries.flow.features import Features, describe
from visual_summaries.flow.hog import hog_boxes
from visual_summaries.flow.matching import match
from visual_summaries.flow.pairs import PairwiseSimilarity, compare_all, facing
from visual_summaries.flow.whitening import Whitening
from visual_summaries.settings.stages import FlowSettings

__all__ = [
    "DenseFlow",
    "Features",
    "FlowSettings",
    "PairwiseSimilarity",
    "Whitening",
    "compare_all",
    "dense_flow",
    "describe",
    "facing",
    "hog_boxes",
    "match",
    "warp",
]
