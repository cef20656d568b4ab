"""From cells to pixels: each pixel of evidence has one part; regions are connected pieces of one part."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, find_objects

from visual_summaries.parts.cells import Cells
from visual_summaries.results import Box

_BESIDE = 1.5  # pixels this far from each other's middles touch, at a corner or along an edge


def label_pixels(
    distances: NDArray[np.floating], cells: Cells, evidence: NDArray[np.bool_], reach: NDArray[np.floating] | None = None
) -> NDArray[np.int16]:
    """Return the part of each pixel of evidence: the nearest one, with distances interpolated between the cells' middles.

    Parameters
    ----------
    distances : ndarray, (n, K)
        Squared distances of the cells to the parts.
    cells : Cells
    evidence : ndarray of bool, (H, W)
    reach : ndarray, (K,), optional
        Pixels further from their part than this are of none.

    Returns
    -------
    ndarray of int16, (H, W)
        -1 where there is no evidence, or no part.

    Examples
    --------
    >>> from visual_summaries.parts.cells import cut_cells
    >>> evidence = np.zeros((4, 8), bool)
    >>> evidence[1:3] = True
    >>> cells = cut_cells(np.zeros((2, 1)), evidence, (1, 2))
    >>> label_pixels(np.array([[0.0, 1.0], [1.0, 0.0]]), cells, evidence)[1].tolist()
    [0, 0, 0, 0, 1, 1, 1, 1]
    """
    height, width = evidence.shape
    parts = distances.shape[1]
    labels = np.full((height, width), -1, np.int16)
    if not parts or not len(cells):
        return labels
    rows, columns = cells.grid
    known = np.zeros(rows * columns, np.float32)
    known[cells.index] = 1
    seen = _enlarged(known.reshape(rows, columns), (height, width))[evidence]
    best = np.full(len(seen), np.inf, np.float32)
    own = np.full(len(seen), -1, np.int16)
    for part in range(parts):  # one at a time: memory does not grow with their number
        values = np.zeros(rows * columns, np.float32)
        values[cells.index] = distances[:, part]
        found = _enlarged(values.reshape(rows, columns), (height, width))[evidence] / np.maximum(seen, 1e-6)
        nearer = found < best
        best[nearer], own[nearer] = found[nearer], part
    if reach is not None:
        own[best > np.asarray(reach, np.float32)[own] ** 2] = -1
    labels[evidence] = own
    return labels


def _enlarged(grid: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(grid, size[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def join_specks(labels: NDArray[np.int16], least: int, gap: int = 0) -> NDArray[np.int16]:
    """Return labels without pieces of under `least` pixels.

    A small piece joins the part that is nearest to most of those of its pixels that lie within `gap` of a larger piece (or
    touch one); where there is none, it is of no part (-1).

    Parameters
    ----------
    labels : ndarray of int16, (H, W)
        Part of each pixel, -1 for none.
    least : int
        Pixels.
    gap : int
        As in :func:`pieces`.

    Examples
    --------
    >>> labels = np.array([[0, 0, 0, 1, -1, 1], [0, 0, 0, -1, -1, -1]], np.int16)
    >>> join_specks(labels, 2).tolist()
    [[0, 0, 0, 0, -1, -1], [0, 0, 0, -1, -1, -1]]
    """
    small = [piece for piece in pieces(labels, gap) if int(piece[2].sum()) < least]
    if not small:
        return labels
    large = labels.copy()
    for _, (x0, y0, x1, y1), mask in small:
        large[y0:y1, x0:x1][mask] = -1
    if (large < 0).all():
        return large
    distance, nearest = distance_transform_edt(large < 0, return_indices=True)
    reachable = distance <= max(gap, _BESIDE)
    joined = large.copy()
    for _, (x0, y0, x1, y1), mask in small:
        window = (slice(y0, y1), slice(x0, x1))
        near = mask & reachable[window]
        if near.any():
            rows, columns = nearest[:, y0:y1, x0:x1][:, near]
            joined[window][mask] = np.bincount(large[rows, columns]).argmax()
    return joined


def pieces(labels: NDArray[np.int16], gap: int = 0) -> list[tuple[int, Box, NDArray[np.bool_]]]:
    """Return the connected pieces of each part: part, box, pixels in the box.

    Parameters
    ----------
    labels : ndarray of int16, (H, W)
    gap : int
        Pixels of one part belong together when they touch, at a corner or edge, or when their discs of this radius do.

    Examples
    --------
    >>> labels = np.array([[0, -1, 0], [1, 1, -1]], np.int16)
    >>> [(part, box) for part, box, _ in pieces(labels)]
    [(0, (0, 0, 1, 1)), (0, (2, 0, 3, 1)), (1, (0, 1, 2, 2))]
    >>> [(part, box) for part, box, _ in pieces(labels, gap=1)]
    [(0, (0, 0, 3, 1)), (1, (0, 1, 2, 2))]
    """
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * gap + 1, 2 * gap + 1))
    found = []
    for part in np.unique(labels[labels >= 0]).tolist():
        own = (labels == part).astype(np.uint8)
        _, numbers = cv2.connectedComponents(cv2.dilate(own, disc) if gap else own, connectivity=8)
        numbers *= own
        for number, window in enumerate(find_objects(numbers), 1):
            y, x = window
            found.append((part, (x.start, y.start, x.stop, y.stop), np.asarray(numbers[window] == number)))
    return found
