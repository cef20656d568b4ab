"""Whitening of HOG descriptors by the statistics of natural images.

Hariharan, Malik, Ramanan, "Discriminative Decorrelation for Clustering and Classification", ECCV 2012: HOG cells of natural
images are strongly correlated with their neighbors. With the mean ``mu`` of a cell and the covariances of cells at each
offset, both taken to be the same everywhere in the image (stationary), the covariance ``Sigma`` of a whole descriptor
follows, and

    s(a, b) = (a - mu)' Sigma^-1 (b - mu) = <L^-1 (a - mu), L^-1 (b - mu)>,    Sigma = L L'.

The shipped statistics were computed by ``scripts/whitening_statistics.py`` from the photographs that come with scikit-image
and scikit-learn.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from visual_summaries._validate import require_in_range
from visual_summaries.flow.hog import CELL, CELLS, CHANNELS, DIMENSION, hog_cells

_OFFSETS = 2 * CELLS - 1  # offsets from -7 to 7 cells


@dataclass(frozen=True, eq=False)
class Whitening:
    """Mean and stationary autocovariance of HOG cells, and the whitening that follows from them.

    Attributes
    ----------
    mean : ndarray of float32, (31,)
    autocovariance : ndarray of float32, (15, 15, 31, 31)
        ``autocovariance[7 + dy, 7 + dx, p, q]``: covariance of channel p of a cell with channel q of the cell dy rows below
        and dx columns to the right of it.
    ridge : float
        Added to the diagonal of the covariance, in units of its mean diagonal: how far to trust the statistics.

    Examples
    --------
    >>> whitening = Whitening.default()
    >>> descriptors = torch.rand(2, 1984, generator=torch.Generator().manual_seed(0))
    >>> whitened = whitening(descriptors)
    >>> centered = descriptors.double() - torch.from_numpy(np.tile(whitening.mean, 64)).double()
    >>> expected = centered[0] @ torch.linalg.solve(torch.from_numpy(whitening.covariance()), centered[1])
    >>> bool(abs(whitened[0] @ whitened[1] - expected) < 1e-3 * whitened[0].norm() * whitened[1].norm())
    True
    """

    mean: NDArray[np.float32]
    autocovariance: NDArray[np.float32]
    ridge: float = 0.1

    def __post_init__(self) -> None:
        if self.mean.shape != (CHANNELS,) or self.autocovariance.shape != (_OFFSETS, _OFFSETS, CHANNELS, CHANNELS):
            raise ValueError(
                f"mean and autocovariance have shapes {self.mean.shape} and {self.autocovariance.shape}, "
                f"but must be {(CHANNELS,)} and {(_OFFSETS, _OFFSETS, CHANNELS, CHANNELS)}"
            )
        require_in_range("ridge", self.ridge, 0.0)

    def covariance(self) -> NDArray[np.float64]:
        """Return the covariance of whole descriptors, (1984, 1984), positive definite."""
        cell = np.arange(CELLS)
        offset = cell[None, :] - cell[:, None] + CELLS - 1
        # (y, x, y', x', p, q)
        blocks = self.autocovariance.astype(np.float64)[offset[:, None, :, None], offset[None, :, None, :]]
        full = blocks.transpose(0, 1, 4, 2, 3, 5).reshape(DIMENSION, DIMENSION)
        full = (full + full.T) / 2
        ridge = self.ridge * float(np.trace(full)) / DIMENSION
        regular: NDArray[np.float64] = full + ridge * np.eye(DIMENSION)
        return regular

    @cached_property
    def _map(self) -> tuple[Tensor, Tensor]:
        """The transposed inverse Cholesky factor and the whitened mean."""
        factor = torch.linalg.cholesky(torch.from_numpy(self.covariance()))
        inverse = torch.linalg.solve_triangular(factor, torch.eye(DIMENSION, dtype=torch.float64), upper=False)
        mean = inverse @ torch.from_numpy(np.tile(self.mean, CELLS * CELLS)).double()
        return inverse.T.float().contiguous(), mean.float()

    def __call__(self, descriptors: Tensor) -> Tensor:
        """Return the whitened descriptors, whose dot products are the scores s(a, b).

        Parameters
        ----------
        descriptors : Tensor of float32, (n, 1984)

        Returns
        -------
        Tensor of float32, (n, 1984)
        """
        matrix, mean = self._map
        return descriptors @ matrix.to(descriptors.device) - mean.to(descriptors.device)

    @classmethod
    def fit(
        cls,
        images: Iterable[NDArray[np.uint8]],
        *,
        ridge: float = 0.1,
        shrinkage: Whitening | None = None,
    ) -> Whitening:
        """Estimate the statistics from photographs; their cells are held, under three bytes a pixel.

        Each image is described whole at its own size and at sizes halved again and again, as boxes of many sizes are when
        they are all resized to 80 x 80. The sums over pairs of cells are divided by the number of all cells, not of the pairs:
        only so are they the autocovariance of some process, and no eigenvalue is negative, however few the images.

        Parameters
        ----------
        images : iterable of ndarray of uint8, (H, W, 3)
        ridge : float
        shrinkage : Whitening, optional
            Statistics to fall back on: half of the result is theirs.

        Raises
        ------
        ValueError
            If no image is large enough to hold a descriptor (80 pixels on each side).

        Examples
        --------
        >>> noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
        >>> Whitening.fit([noise]).mean.shape
        (31,)
        """
        grids = [grid for image in images for grid in _pyramid(image)]
        cells = sum(grid.shape[0] * grid.shape[1] for grid in grids)
        if not cells:
            least = CELL * (CELLS + 2)
            raise ValueError(
                f"no image of at least {least} x {least} pixels was given; whitening needs natural images of that size"
            )
        mean = sum(grid.sum((0, 1), dtype=np.float64) for grid in grids) / cells
        autocovariance = sum(_products(grid - mean) for grid in grids) / cells
        if shrinkage is not None:
            mean = (mean + shrinkage.mean) / 2
            autocovariance = (autocovariance + shrinkage.autocovariance) / 2
        return cls(mean.astype(np.float32), autocovariance.astype(np.float32), ridge)

    def save(self, path: str | Path) -> None:
        """Write the statistics as an ``.npz`` file; half of the offsets are kept, the others are their mirror images."""
        half = self.autocovariance.reshape(-1, CHANNELS, CHANNELS)[: (_OFFSETS * _OFFSETS + 1) // 2]
        np.savez_compressed(path, mean=self.mean, autocovariance=half.astype(np.float32), ridge=np.float32(self.ridge))

    @classmethod
    def load(cls, path: str | Path) -> Whitening:
        """Read what :meth:`save` wrote."""
        with np.load(path, allow_pickle=False) as data:
            half = data["autocovariance"]
            full = np.concatenate([half, half[-2::-1].transpose(0, 2, 1)])
            return cls(data["mean"], full.reshape(_OFFSETS, _OFFSETS, CHANNELS, CHANNELS), float(data["ridge"]))

    @classmethod
    @cache
    def default(cls) -> Whitening:
        """Return the shipped statistics."""
        return cls.load(str(files("visual_summaries.flow") / "data" / "whitening.npz"))


def _pyramid(image: NDArray[np.uint8]) -> Iterable[NDArray[np.float32]]:
    """Yield the HOG cells of the image at its own size, half of it, and so on while it holds a descriptor."""
    while min(image.shape[:2]) >= CELL * (CELLS + 2):
        height, width = (side - side % CELL for side in image.shape[:2])
        tensor = torch.from_numpy(np.ascontiguousarray(image[:height, :width])).permute(2, 0, 1)[None]
        yield hog_cells(tensor)[0].numpy()
        size = (image.shape[1] // 2, image.shape[0] // 2)
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _products(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sums over all pairs of centered cells (rows, columns, 31) at each offset, (15, 15, 31, 31)."""
    rows, columns, _ = cells.shape
    products = np.zeros((_OFFSETS, _OFFSETS, CHANNELS, CHANNELS))
    reach = CELLS - 1
    for dy in range(min(reach, rows - 1) + 1):
        for dx in range(-min(reach, columns - 1), min(reach, columns - 1) + 1):
            first = cells[: rows - dy, max(0, -dx) : columns - max(0, dx)].reshape(-1, CHANNELS)
            second = cells[dy:, max(0, dx) : columns - max(0, -dx)].reshape(-1, CHANNELS)
            products[reach + dy, reach + dx] = first.T @ second
            products[reach - dy, reach - dx] = second.T @ first  # an offset and its opposite are each other's transpose
    return products
