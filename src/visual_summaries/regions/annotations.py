"""What COCO annotations hold of regions: masks as run lengths, names of files."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def run_length(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Return a mask in COCO's run lengths, uncompressed: down the columns, zeros first.

    Parameters
    ----------
    mask : ndarray of bool, (H, W)
        True = evidence.

    Returns
    -------
    dict
        ``size`` [H, W] and ``counts``.

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
