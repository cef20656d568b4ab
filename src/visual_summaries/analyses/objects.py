"""Where the object is in each image of a run, without labels and without the evidence.

Photographs of one class are taken of the object: it is nearer to the middle than what surrounds it. One image tells little, but
many do. Each cell of an image is asked where its look-alikes lie in the *other* images: what lies in the middle there is
the object, wherever it lies here. A cue beside the object, or at a fixed place off the middle, is none. Looks are the
network's own features. What else was tried, and the error, is in ``docs/analyses.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from visual_summaries.parts.embedding import unit

#: Cells along the shorter side of an image that are asked.
CELLS = 14

_DIRECTIONS = 128  # random ones that features are projected on: cosines stay as they are within about 0.1
_REFERENCES = 4096  # most cells that look-alikes are looked for among
_ALIKE = 0.08  # share of them that counts as look-alikes of a cell
_MIDDLE = 0.3  # of the side: spread of what counts as the middle of an image
_ENDS = (2, 98)  # percentiles that a threshold is looked for between
_TINY = 1e-6


@dataclass(frozen=True, eq=False)
class Looks:
    """Cells of a run's images to compare others with.

    Attributes
    ----------
    mean : ndarray of float32, (d,)
        Over all cells of all images.
    references : ndarray of float32, (R, d)
        Centered, of length 1.
    middle : ndarray of float32, (R,)
        How near each is to the middle of its image, in [0, 1].
    images : ndarray of int64, (R,)
        The image that each is of.
    """

    mean: NDArray[np.float32]
    references: NDArray[np.float32]
    middle: NDArray[np.float32]
    images: NDArray[np.int64]


def project(features: NDArray[np.floating]) -> NDArray[np.float16]:
    """Return features ``(n, D)`` projected on at most 128 random directions, always the same."""
    if features.shape[1] <= _DIRECTIONS:
        return np.asarray(features, np.float16)
    directions = np.random.default_rng(0).normal(size=(features.shape[1], _DIRECTIONS)) / np.sqrt(_DIRECTIONS)
    return np.asarray(features @ directions, np.float16)


def learn_looks(
    looks: Sequence[NDArray[np.floating]], grids: Sequence[tuple[int, int]], origins: Sequence[int], random_state: int = 0
) -> Looks:
    """Return what the cells of images are compared with.

    Parameters
    ----------
    looks : sequence of ndarray, (rows * columns, d)
        Features of all cells of each image.
    grids : sequence of tuple of int
        Rows and columns of each.
    origins : sequence of int
        The image that each counts with: near copies do not vouch for each other.
    random_state : int
    """
    mean = np.asarray(np.mean([one.mean(axis=0, dtype=np.float64) for one in looks], axis=0), np.float32)
    share = max(_REFERENCES // len(looks), 1)
    rng = np.random.default_rng(random_state)
    chosen = [np.sort(rng.permutation(len(one))[:share]) for one in looks]
    return Looks(
        mean,
        np.concatenate([unit(one[rows] - mean) for one, rows in zip(looks, chosen, strict=True)]),
        np.concatenate([middle_of(grid).ravel()[rows] for grid, rows in zip(grids, chosen, strict=True)]),
        np.repeat(np.asarray(origins, np.int64), [len(rows) for rows in chosen]),
    )


def middle_of(grid: tuple[int, int]) -> NDArray[np.float32]:
    """Return how near each cell of a grid is to the middle, in [0, 1]: a bell over both sides."""
    rows, columns = (((np.arange(side) + 0.5) / side - 0.5) / _MIDDLE for side in grid)
    return np.asarray(np.exp(-(rows[:, None] ** 2 + columns[None] ** 2) / 2), np.float32)


def objectness(looks: NDArray[np.floating], grid: tuple[int, int], known: Looks, origin: int) -> NDArray[np.float32]:
    """Return for each cell ``(rows, columns)`` how near to the middle its look-alikes of other images lie, in [0, 1].

    It is how near the cell itself is where there is no other image.

    Examples
    --------
    Something moves over a ground; only together do the images tell which is which:

    >>> rows = [np.eye(2)[(np.arange(49) == place).astype(int)] for place in (16, 24, 32, 23, 25)]
    >>> known = learn_looks(rows, [(7, 7)] * 5, range(5))
    >>> found = objectness(rows[0], (7, 7), known, 0)
    >>> int(found.argmax())
    16
    """
    similarity = unit(looks - known.mean) @ known.references.T
    others = known.images != origin
    if not others.any():
        return middle_of(grid)
    similarity, middle = similarity[:, others], known.middle[others]
    count = max(round(_ALIKE * len(middle)), 1)
    best = np.argpartition(-similarity, count - 1, axis=1)[:, :count]
    return np.asarray(middle[best].mean(axis=1).reshape(grid), np.float32)


def estimate_object(found: NDArray[np.floating], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the object's pixels in a view of `shape` (H, W), from how much each cell ``(rows, columns)`` belongs to it.

    Otsu's threshold between what belongs to it and what does not; all False where all cells are similar.

    Examples
    --------
    >>> cells = np.zeros((8, 12))
    >>> cells[2:6, 3:9] = 1.0
    >>> estimate_object(cells, (80, 120))[[15, 25, 55, 65], 60].tolist()
    [False, True, True, False]
    """
    fine = cv2.resize(np.asarray(found, np.float32), shape[::-1], interpolation=cv2.INTER_LINEAR)
    low, high = np.percentile(fine, _ENDS)
    if high - low < _TINY:
        return np.zeros(shape, bool)
    level = (255 * np.clip((fine - low) / (high - low), 0, 1)).astype(np.uint8)
    return np.asarray(level > cv2.threshold(level, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[0])
