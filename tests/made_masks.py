"""Masks of results that no optimizer made."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visual_summaries.results import Mask
from visual_summaries.settings.masks import infills_of


def made_mask(
    evidence: NDArray[np.float16],
    before: float = 0.9,
    after: float = 0.1,
    hidden: float = 0.1,
    *,
    losses: NDArray[np.float32] | None = None,
    infills: int = len(infills_of("mix")),
    smooth: NDArray[np.float16] | None = None,
    superpixel: NDArray[np.float16] | None = None,
) -> Mask:
    """Return a mask (H, W) with the same scores in each of the default's infills."""
    return Mask(
        smooth=evidence if smooth is None else smooth,
        sharp=evidence,
        superpixel=superpixel,
        score_before=before,
        after=np.full(infills, after, np.float32),
        hidden=np.full(infills, hidden, np.float32),
        losses=np.ones(2, np.float32) if losses is None else losses,
    )
