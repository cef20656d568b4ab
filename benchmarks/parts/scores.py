"""Figures of label maps, for ``parts.py``: agreement with part points, and how much of a summary is background.

A label map says of each pixel of an image which summary (or group, or concept) it belongs to; -1: to none.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from sklearn.metrics import adjusted_mutual_info_score

Labels = NDArray[np.integer]
Pixels = NDArray[np.bool_]

#: A point lies in evidence when the nearest pixel of it is within this share of the image's larger side.
REACH = 0.03


def without_side(name: str) -> str:
    """Return the name of a part without its side: networks need not tell left from right.

    Examples
    --------
    >>> without_side("left eye"), without_side("beak")
    ('eye', 'beak')
    """
    return name.removeprefix("left ").removeprefix("right ")


def labeled_points(labels: Labels, evidence: Pixels, points: dict[str, tuple[float, float]]) -> list[tuple[str, int]]:
    """Return name and label of each point (x, y) of an image that lies in evidence: the label of the nearest evidence."""
    if not evidence.any():
        return []
    away, (rows, columns) = distance_transform_edt(~evidence, return_indices=True)
    height, width = evidence.shape
    found = []
    for name, (x, y) in points.items():
        column, row = min(max(int(x), 0), width - 1), min(max(int(y), 0), height - 1)
        if away[row, column] <= REACH * max(height, width):
            found.append((without_side(name), int(labels[rows[row, column], columns[row, column]])))
    return found


def agreement(
    labels: Sequence[Labels], evidence: Sequence[Pixels], points: Sequence[dict[str, tuple[float, float]]]
) -> tuple[float | None, int]:
    """Return the adjusted mutual information of the points' names and their labels over all images, and how many points count.

    "In none" (-1) is a label of its own. None where no point lies in evidence.
    """
    found = [pair for one in zip(labels, evidence, points, strict=True) for pair in labeled_points(*one)]
    if not found:
        return None, 0
    names, groups = zip(*found, strict=True)
    return float(adjusted_mutual_info_score(names, groups)), len(found)


def background_like(view: NDArray[np.uint8], kind: str) -> Pixels:
    """Return which pixels look like ``"grass"`` (green: no dog is) or ``"snow"`` (bright, gray and smooth: fur is rough)."""
    rgb = view.astype(np.float32) / 255
    if kind == "grass":
        return np.asarray(2 * rgb[..., 1] - rgb[..., 0] - rgb[..., 2] > 0.06)
    gray = rgb.mean(axis=2)
    rough = np.sqrt(np.maximum(cv2.blur(gray * gray, (7, 7)) - cv2.blur(gray, (7, 7)) ** 2, 0))
    return np.asarray((gray > 0.62) & (np.ptp(rgb, axis=2) < 0.16) & (rough < 0.06))


def background_shares(labels: Sequence[Labels], grounds: Sequence[Pixels], count: int) -> list[float]:
    """Return for each of `count` summaries which share of its pixels, over all images, is background; 0 without pixels."""
    on, total = np.zeros(count), np.zeros(count)
    for own, ground in zip(labels, grounds, strict=True):
        total += np.bincount(own[own >= 0], minlength=count)
        on += np.bincount(own[(own >= 0) & ground], minlength=count)
    return [float(share) for share in on / np.maximum(total, 1)]
