"""Outlines of masks as polygons and SVG paths: convex hulls, touching regions, contours, windows around boxes.

All coordinates are those of pixel *edges*: pixel ``(row, column)`` covers ``column .. column + 1`` and ``row .. row + 1``, as
boxes do. A polygon can therefore be drawn at any scale without losing half a pixel.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from visual_summaries.results import Box

#: Simplification, in pixels, of outlines that cover a whole image; far below what is seen.
TOLERANCE = 0.3

Polygon = NDArray[np.float64]


def convex_hull(mask: NDArray[np.bool_], box: Box) -> Polygon:
    """Return the convex hull of the masked pixels in a box (docs/paper.md, clusters and summaries).

    Parameters
    ----------
    mask : ndarray of bool, (H, W)
        Evidence: True = evidence.
    box : tuple of int
        ``(x0, y0, x1, y1)``, half open.

    Returns
    -------
    ndarray of float64, (K, 2)
        Corners ``(x, y)`` in pixel edges, so that whole pixels lie inside; ``(0, 2)`` if no pixel of the box is masked.

    Examples
    --------
    >>> mask = np.zeros((4, 6), bool)
    >>> mask[1:3, 2:5] = True
    >>> sorted(map(tuple, convex_hull(mask, (0, 0, 4, 4)).tolist()))
    [(2.0, 1.0), (2.0, 3.0), (4.0, 1.0), (4.0, 3.0)]
    """
    x0, y0, x1, y1 = box
    rows, columns = np.nonzero(mask[y0:y1, x0:x1])
    if rows.size == 0:
        return np.zeros((0, 2))
    low = np.stack([columns + x0, rows + y0], axis=1)
    corners = np.concatenate([low + offset for offset in np.array([[0, 0], [1, 0], [0, 1], [1, 1]])]).astype(np.int32)
    return np.asarray(cv2.convexHull(corners)).reshape(-1, 2).astype(np.float64)


def touching_regions(mask: NDArray[np.bool_], box: Box) -> NDArray[np.bool_]:
    """Return the connected regions of a mask that have a pixel in a box, whole, as one mask.

    Parameters
    ----------
    mask : ndarray of bool, (H, W)
        Evidence: True = evidence. Pixels that touch at a corner are connected, as in :mod:`visual_summaries.regions`.
    box : tuple of int
        ``(x0, y0, x1, y1)``, half open.

    Examples
    --------
    >>> mask = np.array([[1, 1, 0, 0, 1], [1, 0, 0, 0, 1]], bool)
    >>> touching_regions(mask, (1, 0, 3, 2)).astype(int)
    array([[1, 1, 0, 0, 0],
           [1, 0, 0, 0, 0]])
    """
    from skimage.measure import label  # slow to import: only when it is used

    x0, y0, x1, y1 = box
    labels = label(mask, connectivity=2)
    inside = np.unique(labels[y0:y1, x0:x1])
    return np.asarray(np.isin(labels, inside[inside > 0]))


def contours(mask: NDArray[np.bool_], tolerance: float = 0.0) -> list[Polygon]:
    """Return the borders of a mask as closed polygons, holes included (fill them by the even-odd rule).

    Parameters
    ----------
    mask : ndarray of bool, (H, W)
        What to outline.
    tolerance : float
        Largest distance, in pixels, by which a simplified polygon may leave the exact one.

    Returns
    -------
    list of ndarray of float64, (K, 2)
        Corners ``(x, y)`` in pixel edges, corners of the pixels cut by half a pixel; the last equals the first.

    Examples
    --------
    >>> mask = np.zeros((4, 6), bool)
    >>> mask[1:3, 2:5] = True
    >>> [polygon] = contours(mask)
    >>> polygon.min(axis=0).tolist(), polygon.max(axis=0).tolist()
    ([2.0, 1.0], [5.0, 3.0])
    """
    from skimage.measure import find_contours

    padded = np.pad(mask, 1).astype(np.float64)
    # In the padded array pixel centers are whole numbers, one further on; half a pixel leads from a center to its edge.
    found = [polygon[:, ::-1] - 0.5 for polygon in find_contours(padded, 0.5, fully_connected="high")]
    if tolerance > 0:
        found = [_simplified(polygon, tolerance) for polygon in found]
    return [np.asarray(polygon, np.float64) for polygon in found if len(polygon) >= 4]


def _simplified(polygon: Polygon, tolerance: float) -> Polygon:
    points = cv2.approxPolyDP(polygon[:-1].astype(np.float32)[:, None], tolerance, True).reshape(-1, 2)
    return np.concatenate([points, points[:1]]).astype(np.float64)


def svg_path(polygons: Iterable[Polygon]) -> str:
    """Return closed polygons as the ``d`` of one SVG path, coordinates rounded to a tenth.

    Examples
    --------
    >>> svg_path([np.array([[0, 0], [2.5, 0], [2.5, 1.04], [0, 0]])])
    'M0 0 2.5 0 2.5 1Z'
    """
    parts = []
    for polygon in polygons:
        points = polygon[:-1] if len(polygon) > 1 and np.array_equal(polygon[0], polygon[-1]) else polygon
        if len(points):
            parts.append("M" + " ".join(f"{_short(x)} {_short(y)}" for x, y in points) + "Z")
    return "".join(parts)


def _short(value: float) -> str:
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text


def outline(mask: NDArray[np.bool_]) -> str:
    """Return a mask's borders as the ``d`` of an SVG path that leaves them by less than is seen."""
    return svg_path(contours(mask, TOLERANCE))


def window_around(box: Box, shape: tuple[int, int], margin: float = 0.3) -> Box:
    """Return a square window around a box with some context, moved and if need be cut to lie in the image.

    Parameters
    ----------
    box : tuple of int
        ``(x0, y0, x1, y1)``, half open.
    shape : tuple of int
        Height and width of the image.
    margin : float
        Context on each side, as a share of the box's longer side.

    Examples
    --------
    >>> window_around((10, 10, 20, 30), (100, 50), margin=0.5)
    (0, 0, 40, 40)
    >>> window_around((0, 0, 60, 20), (30, 60), margin=0.5)
    (0, 0, 60, 30)
    """
    x0, y0, x1, y1 = box
    side = round(max(x1 - x0, y1 - y0) * (1 + 2 * margin))
    left, right = _centered((x0 + x1) / 2, side, shape[1])
    top, bottom = _centered((y0 + y1) / 2, side, shape[0])
    return (left, top, right, bottom)


def _centered(center: float, side: int, limit: int) -> tuple[int, int]:
    side = min(side, limit)
    start = min(max(round(center - side / 2), 0), limit - side)
    return start, start + side


def crop_window(box: Box, shape: tuple[int, ...]) -> list[int]:
    """Return the part of an image to show around a box: x, y, width, height."""
    x0, y0, x1, y1 = window_around(box, (shape[0], shape[1]))
    return [x0, y0, x1 - x0, y1 - y0]
