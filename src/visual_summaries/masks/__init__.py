"""Stage 1: the evidence mask of each image, by sparse optimization of what can be hidden to destroy the class."""

from visual_summaries.masks.optimize import iter_masks, optimize_masks
from visual_summaries.settings.masks import MaskSchedule, MaskSettings

__all__ = ["MaskSchedule", "MaskSettings", "iter_masks", "optimize_masks"]
