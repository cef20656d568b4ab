"""From cells to pixels: each pixel of evidence has one part; regions are connected pieces of one part."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from visual_summaries.parts.cells import Cells
from visual_summaries.results import Box

_NEAR = np.ones((3, 3), np.uint8)


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


def join_specks(labels: NDArray[np.int16], least: int) -> NDArray[np.int16]:
    """Return labels in which no connected piece of a part has under `least` pixels.

    The smallest pieces go first: to the part that they touch along most pixels, else to none (-1).

    Parameters
    ----------
    labels : ndarray of int16, (H, W)
        Part of each pixel, -1 for none.
    least : int
        Pixels.

    Examples
    --------
    >>> labels = np.array([[0, 0, 0, 1, -1, 1], [0, 0, 0, -1, -1, -1]], np.int16)
    >>> join_specks(labels, 2).tolist()
    [[0, 0, 0, 0, -1, -1], [0, 0, 0, -1, -1, -1]]
    """
    labels = labels.copy()
    waiting = True
    while waiting:
        waiting = False
        specks = [piece for piece in pieces(labels) if int(piece[2].sum()) < least]
        for part, (x0, y0, x1, y1), mask in sorted(specks, key=lambda piece: (int(piece[2].sum()), piece[1])):
            window = (slice(max(y0 - 1, 0), y1 + 1), slice(max(x0 - 1, 0), x1 + 1))
            around = labels[window]
            own = np.zeros(around.shape, np.uint8)
            top, left = y0 - window[0].start, x0 - window[1].start
            own[top : top + y1 - y0, left : left + x1 - x0] = mask
            if not (around[own > 0] == part).all():
                continue  # another speck of this round has changed it
            beside = around[(cv2.dilate(own, _NEAR) > 0) & (own == 0)]
            beside = beside[(beside >= 0) & (beside != part)]
            around[own > 0] = np.bincount(beside).argmax() if len(beside) else -1
            waiting = waiting or bool(len(beside))  # two specks that touch may be large enough together
    return labels


def pieces(labels: NDArray[np.int16]) -> list[tuple[int, Box, NDArray[np.bool_]]]:
    """Return the connected pieces of each part (pixels that touch at a corner belong together): part, box, pixels in the box.

    Examples
    --------
    >>> labels = np.array([[0, -1, 0], [1, 1, -1]], np.int16)
    >>> [(part, box) for part, box, _ in pieces(labels)]
    [(0, (0, 0, 1, 1)), (0, (2, 0, 3, 1)), (1, (0, 1, 2, 2))]
    """
    found = []
    for part in np.unique(labels[labels >= 0]).tolist():
        count, numbers, stats, _ = cv2.connectedComponentsWithStats((labels == part).astype(np.uint8), connectivity=8)
        for number in range(1, count):
            x, y, w, h = (int(value) for value in stats[number, :4])
            found.append((part, (x, y, x + w, y + h), np.asarray(numbers[y : y + h, x : x + w] == number)))
    return found
