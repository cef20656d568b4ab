"""What hiding a region alone does to the class score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from visual_summaries.masks.hiding import scores_without, way_of
from visual_summaries.masks.settings import MaskSettings
from visual_summaries.results import Box

if TYPE_CHECKING:
    from visual_summaries.classifiers import Classifier, Target

_AT_ONCE = 32  # masks of whole images in memory


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


def hidden_scores(
    classifier: Classifier,
    view: NDArray[np.uint8],
    target: Target,
    regions: Sequence[tuple[Box, NDArray[np.bool_]]],
    settings: MaskSettings | None = None,
) -> NDArray[np.float64]:
    """Return the class score of a view with each region alone hidden (METHOD 2), in float32.

    Parameters
    ----------
    classifier : Classifier
    view : ndarray of uint8, (H, W, 3)
    target : Target
    regions : sequence of (box, pixels)
        Evidence pixels inside each box, ``bool (y1 - y0, x1 - x0)``, True = hidden.
    settings : MaskSettings, optional
        How pixels are hidden (blur).

    Returns
    -------
    ndarray of float64, (len(regions),)
        Scores in [0, 1] for a class's probability; ``1 - score`` is the region's contribution.
    """
    settings = settings or MaskSettings()
    shape, way = (view.shape[0], view.shape[1]), way_of(view, settings)
    scores = np.empty(len(regions))
    with classifier.frozen():
        for start in range(0, len(regions), _AT_ONCE):
            batch = regions[start : start + _AT_ONCE]
            hide = np.stack([full_mask(box, pixels, shape) for box, pixels in batch])
            scores[start : start + len(batch)] = scores_without(classifier, view, target, hide, way)
    return scores
