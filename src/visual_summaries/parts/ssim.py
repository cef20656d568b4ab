"""How similar the members of a cluster look once they are warped onto its exemplar (docs/paper.md, clusters and summaries)."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from visual_summaries.errors import SettingsError


def ssim(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Return the structural similarity of the luminance of two crops of one size.

    The window is scikit-image's 7 x 7, smaller where the crops are; the result is in [-1, 1].

    Raises
    ------
    SettingsError
        If the shapes differ or a side is under 3 pixels.

    Examples
    --------
    >>> crop = np.arange(10 * 12 * 3, dtype=np.uint8).reshape(10, 12, 3)
    >>> ssim(crop, crop)
    1.0
    """
    if a.shape != b.shape or min(a.shape[:2]) < 3:
        raise SettingsError(f"crops have shapes {a.shape} and {b.shape}, but must be equal with sides of at least 3 pixels")
    smallest = min(a.shape[:2])
    window = min(7, smallest if smallest % 2 else smallest - 1)
    gray = [cv2.cvtColor(np.ascontiguousarray(crop), cv2.COLOR_RGB2GRAY) for crop in (a, b)]
    return float(structural_similarity(gray[0], gray[1], win_size=window, data_range=255))


def pairwise_ssim(crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
    """Return the structural similarities (n, n) of all pairs of crops; NaN on the diagonal.

    Examples
    --------
    >>> crop = np.arange(10 * 12 * 3, dtype=np.uint8).reshape(10, 12, 3)
    >>> pairwise_ssim([crop, crop]).tolist()
    [[nan, 1.0], [1.0, nan]]
    """
    count = len(crops)
    values = np.full((count, count), np.nan)
    for i in range(count):
        for j in range(i + 1, count):
            values[i, j] = values[j, i] = ssim(crops[i], crops[j])
    return values


def upper(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the entries above the diagonal: each pair once."""
    return values[np.triu_indices(len(values), 1)]


def consistent_members(values: NDArray[np.float64], global_median: float, max_low_share: float = 0.6) -> NDArray[np.bool_]:
    """Return which members look like the others: under `max_low_share` of their SSIMs are below the global median.

    The exemplar, the first, always stays: the others are warped to it. `values` are those of :func:`pairwise_ssim`, the global
    median is over all pairs of all clusters.

    Examples
    --------
    >>> nan = np.nan
    >>> values = np.array([[nan, 0.8, 0.1], [0.8, nan, 0.1], [0.1, 0.1, nan]])
    >>> consistent_members(values, 0.5).tolist()
    [True, True, False]
    """
    count = len(values)
    if count < 2:
        return np.ones(count, dtype=bool)
    low = np.nansum(values < global_median, axis=1) / (count - 1)
    keep = np.asarray(low < max_low_share)
    keep[0] = True
    return keep
