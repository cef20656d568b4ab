"""Stages 2 to 4 of the default: the evidence of all images is divided among parts, by the network's own features of it."""

from visual_summaries.parts.cells import Cells, describe_cells, grid_features, grid_of
from visual_summaries.parts.embedding import (
    embed,
    embed_looks,
    group,
    learn_embedding,
    squared_distances,
    with_centers,
    with_fixed,
)
from visual_summaries.parts.fixed import FixedParts, find_fixed, fixed_confidence, fixed_pieces, where_fixed
from visual_summaries.parts.number import choose_number, resampled_jaccard, silhouettes_of_parts
from visual_summaries.parts.pixels import join_specks, label_pixels, pieces
from visual_summaries.settings.stages import PartSettings

__all__ = [
    "Cells",
    "FixedParts",
    "PartSettings",
    "choose_number",
    "describe_cells",
    "embed",
    "embed_looks",
    "find_fixed",
    "fixed_confidence",
    "fixed_pieces",
    "grid_features",
    "grid_of",
    "group",
    "join_specks",
    "label_pixels",
    "learn_embedding",
    "pieces",
    "resampled_jaccard",
    "silhouettes_of_parts",
    "squared_distances",
    "where_fixed",
    "with_centers",
    "with_fixed",
]
