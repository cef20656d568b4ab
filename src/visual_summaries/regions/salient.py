"""Which proposed boxes lie on the evidence, and which of these are the same region."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visual_summaries.results.base import require_boxes


def evidence_shares(boxes: NDArray[np.integer], binary: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the share of each box (n, 4) that is evidence (H, W), in [0, 1].

    Raises
    ------
    SettingsError
        If a box is empty or leaves the image.

    Examples
    --------
    >>> binary = np.zeros((4, 6), bool)
    >>> binary[:, :3] = True
    >>> evidence_shares(np.array([[0, 0, 6, 4], [0, 1, 2, 3], [4, 0, 6, 1]]), binary).tolist()
    [0.5, 1.0, 0.0]
    """
    height, width = binary.shape
    x0, y0, x1, y1 = require_boxes(boxes, (height, width)).astype(np.int64).T
    # Summed-area table: the sum over any box is four look-ups, whatever its size.
    table = np.zeros((height + 1, width + 1), dtype=np.int64)
    table[1:, 1:] = binary.cumsum(axis=0, dtype=np.int64).cumsum(axis=1)
    inside = table[y1, x1] - table[y0, x1] - table[y1, x0] + table[y0, x0]
    return np.asarray(inside / ((x1 - x0) * (y1 - y0)), dtype=np.float64)


def salient_boxes(boxes: NDArray[np.integer], binary: NDArray[np.bool_], share: float = 0.75) -> NDArray[np.intp]:
    """Return the indices of the boxes (n, 4) of which more than `share` is evidence (H, W) (docs/paper.md, regions: 75 %).

    Examples
    --------
    >>> binary = np.zeros((4, 6), bool)
    >>> binary[:, :3] = True
    >>> salient_boxes(np.array([[0, 0, 6, 4], [0, 0, 4, 4], [0, 0, 3, 4]]), binary).tolist()  # shares 0.5, 0.75, 1
    [2]
    """
    return np.flatnonzero(evidence_shares(boxes, binary) > share)


def redundant_pairs(boxes: NDArray[np.integer], overlap: float = 0.5, area_factor: float = 2.0) -> NDArray[np.bool_]:
    """Return which pairs of boxes are the same region.

    Two boxes are, when their intersection over the smaller area reaches `overlap` and their areas lie within `area_factor`.

    Returns
    -------
    ndarray of bool, (n, n)
        Symmetric, False on the diagonal.

    Examples
    --------
    >>> redundant_pairs(np.array([[0, 0, 10, 10], [0, 0, 10, 6], [0, 0, 4, 4]]))[0].tolist()
    [False, True, False]
    """
    boxes = np.asarray(boxes, dtype=np.int64).reshape(-1, 4)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    intersection = np.clip(high - low, 0, None).prod(axis=2)
    smaller = np.minimum(areas[:, None], areas[None, :])
    larger = np.maximum(areas[:, None], areas[None, :])
    same: NDArray[np.bool_] = (intersection >= overlap * smaller) & (larger <= area_factor * smaller)
    np.fill_diagonal(same, False)
    return same


def prune(
    boxes: NDArray[np.integer], distinctiveness: NDArray[np.floating], overlap: float = 0.5, area_factor: float = 2.0
) -> NDArray[np.intp]:
    """Return the indices of the boxes that remain when of redundant ones only the most distinctive is kept.

    Boxes are taken from the most to the least distinctive; one that is redundant with a box already kept is dropped. A box's
    distinctiveness is the mean of its 100 best similarities to all boxes of the other images (docs/paper.md, regions).

    Examples
    --------
    >>> boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10]])
    >>> prune(boxes, np.array([0.1, 0.3, 0.2])).tolist()
    [1, 2]
    """
    same = redundant_pairs(boxes, overlap, area_factor)
    kept: list[int] = []
    for index in np.argsort(-np.asarray(distinctiveness), kind="stable"):
        if not same[index, kept].any():
            kept.append(int(index))
    return np.array(sorted(kept), dtype=np.intp)
