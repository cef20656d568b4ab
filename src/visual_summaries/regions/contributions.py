"""What hiding a region alone does to the class score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from visual_summaries.masks.infill import infill_of
from visual_summaries.masks.scorer import Scorer
from visual_summaries.results import Box


def full_mask(box: Box, pixels: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return a region's pixels as an evidence mask of the whole image.

    Examples
    --------
    >>> full_mask((1, 0, 3, 1), np.array([[True, False]]), (2, 4)).astype(int).tolist()
    [[0, 1, 0, 0], [0, 0, 0, 0]]
    """
    mask = np.zeros(shape, dtype=bool)
    x0, y0, x1, y1 = box
    mask[y0:y1, x0:x1] = pixels
    return mask


#: The regions of a view: box and evidence pixels inside it, ``bool (y1 - y0, x1 - x0)``, True = hidden.
Regions = Sequence[tuple[Box, NDArray[np.bool_]]]


def hidden_scores(scorer: Scorer, views: Sequence[NDArray[np.uint8]], regions: Sequence[Regions]) -> list[NDArray[np.float32]]:
    """Return the class scores of views with each of their regions alone hidden (docs/paper.md, regions), in float32.

    Parameters
    ----------
    scorer : Scorer
    views : sequence of ndarray of uint8, (H, W, 3)
    regions : sequence of Regions
        Of each view.

    Returns
    -------
    list of ndarray of float32, (number of regions,)
        Scores in [0, 1] for a class's probability; ``1 - score`` is the region's contribution.
    """
    asked = []
    for view, own in zip(views, regions, strict=True):
        shape = (view.shape[0], view.shape[1])
        hide = np.array([full_mask(box, pixels, shape) for box, pixels in own], dtype=bool).reshape(-1, *shape)
        asked.append((view, hide, [infill_of(view, scorer.settings)] * len(hide)))
    return scorer.without_in(asked)
