"""Where the regions of summaries lie in the original images, so that networks with different views can be compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visual_summaries.classifiers import frame_of
from visual_summaries.results import Run

#: Cells on a side of the raster in which regions are compared: shifts of a fiftieth of the image are seen.
GRID = 48


@dataclass(frozen=True)
class Placed:
    """The regions of a run on the images that it shares with another.

    Attributes
    ----------
    rasters : ndarray of bool, (R, GRID * GRID)
        Cells of the original image that a region's box covers.
    slots : ndarray of int, (R,)
        Which of the shared images a region lies in; -1 for those in no shared image.
    images : int
        Number of shared images.
    """

    rasters: NDArray[np.bool_]
    slots: NDArray[np.intp]
    images: int


def shared_images(runs: Sequence[Run]) -> tuple[str, ...]:
    """Return the hashes of the images that all runs explain, in the order of the first."""
    common = set.intersection(*({image.sha256 for image in run.images} for run in runs))
    return tuple(dict.fromkeys(image.sha256 for image in runs[0].images if image.sha256 in common))


def place_regions(run: Run, shared: Sequence[str]) -> Placed:
    """Map the boxes of a run back into the original images.

    Parameters
    ----------
    run : Run
    shared : sequence of str
        Hashes of the images that count.

    Raises
    ------
    RunError
        If the run does not know the sizes of its images.
    """
    slot_of = {sha256: slot for slot, sha256 in enumerate(shared)}
    slots = np.array([slot_of.get(run.images[region.image].sha256, -1) for region in run.regions], dtype=np.intp)
    rasters = np.zeros((len(run.regions), GRID * GRID), bool)
    for region in run.regions:
        if slots[region.index] >= 0:
            image = run.images[region.image]
            frame = frame_of(run.info.classifier.transform, image.size, image.name)
            box = frame.to_image(np.array(region.box)[None])[0]
            rasters[region.index] = box_raster(box / [frame.width, frame.height, frame.width, frame.height]).ravel()
    return Placed(rasters, slots, len(shared))


def box_raster(box: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return the cells of the unit square's raster whose middle a box covers.

    Parameters
    ----------
    box : ndarray, (4,)
        ``(x0, y0, x1, y1)``, in [0, 1]; what lies outside is left out.

    Returns
    -------
    ndarray of bool, (GRID, GRID)

    Examples
    --------
    >>> raster = box_raster(np.array([0.0, 0.0, 0.5, 0.25]))
    >>> float(raster.mean()), bool(raster[0, 0]), bool(raster[-1, -1])
    (0.125, True, False)
    """
    middles = (np.arange(GRID) + 0.5) / GRID
    columns, rows = ((middles >= box[axis]) & (middles < box[axis + 2]) for axis in (0, 1))
    return np.outer(rows, columns)


def covered(placed: Placed, groups: Iterable[Sequence[int]]) -> NDArray[np.float32]:
    """Return the cells of the shared images that groups of regions cover, as 0 and 1.

    Parameters
    ----------
    placed : Placed
    groups : iterable of sequence of int
        Indices of regions; those in no shared image are left out.

    Returns
    -------
    ndarray of float32, (groups, images * GRID * GRID)
    """
    rows = []
    for group in groups:
        row = np.zeros((placed.images, GRID * GRID), bool)
        for index in group:
            if placed.slots[index] >= 0:
                row[placed.slots[index]] |= placed.rasters[index]
        rows.append(row.ravel().astype(np.float32))
    return np.stack(rows) if rows else np.zeros((0, placed.images * GRID * GRID), np.float32)


def overlaps(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the intersection over union of what groups of two runs cover, all shared images together.

    Parameters
    ----------
    a, b : ndarray of float32, (A, D) and (B, D)
        As :func:`covered` gives them.

    Returns
    -------
    ndarray of float64, (A, B)
        In [0, 1]; 0 where neither covers anything.

    Examples
    --------
    >>> overlaps(np.array([[1, 1, 0]], np.float32), np.array([[0, 1, 0], [1, 1, 0], [0, 0, 0]], np.float32)).tolist()
    [[0.5, 1.0, 0.0]]
    """
    shared = (a @ b.T).astype(np.float64)
    either = a.sum(axis=1)[:, None] + b.sum(axis=1)[None, :] - shared
    return np.asarray(np.divide(shared, either, out=np.zeros_like(shared), where=either > 0))
