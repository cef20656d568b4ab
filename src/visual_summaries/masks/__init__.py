"""Stage 1: the evidence mask of each image, by sparse optimization of what can be hidden to destroy the class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from visual_summaries._lazy import lazy
from visual_summaries.settings.masks import MaskSchedule, MaskSettings

if TYPE_CHECKING:
    from visual_summaries.masks.optimize import iter_masks, optimize_masks

__all__ = ["MaskSchedule", "MaskSettings", "iter_masks", "optimize_masks"]

__getattr__ = lazy(
    __name__,
    {
        "iter_masks": "optimize",
        "optimize_masks": "optimize",
    },
)
