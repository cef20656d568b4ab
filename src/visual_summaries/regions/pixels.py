"""The pixels of a region: as a mask of the whole image, and as annotations hold them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

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


def run_length(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Return a mask in COCO's run lengths, uncompressed: down the columns, zeros first.

    Examples
    --------
    >>> run_length(np.array([[True, False, False], [True, True, False]]))
    {'size': [2, 3], 'counts': [0, 2, 1, 1, 2]}
    """
    flat = mask.ravel(order="F")
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.diff([0, *changes, flat.size]).tolist()
    return {"size": list(mask.shape), "counts": [0, *counts] if flat.size and flat[0] else counts}


def view_file(index: int) -> str:
    """Return the name of the file of a view among exported ones: names of a user's files may be anything, numbers are safe.

    Examples
    --------
    >>> view_file(0)
    '000001.png'
    """
    return f"{index + 1:06d}.png"
