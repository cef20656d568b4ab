"""Stages 2 to 4 of the default: the evidence of all images is divided among parts, by the network's own features of it."""

from visual_summaries.parts.cells import Cells, describe_cells, grid_features, grid_of
from visual_summaries.parts.embedding import embed, group, learn_embedding, squared_distances, with_centers
from visual_summaries.parts.number import choose_number, resampled_jaccard, silhouettes_of_parts
from visual_summaries.parts.pixels import join_specks, label_pixels, pieces
from visual_summaries.settings.stages import PartSettings

__all__ = [
    "Cells",
    "PartSettings",
    "choose_number",
    "describe_cells",
    "embed",
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
    "with_centers",
]
