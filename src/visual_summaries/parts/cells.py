"""The evidence of one image as grid cells with features: what is divided among parts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate, normalize

from visual_summaries.flow.deep import deep_descriptor
from visual_summaries.regions import full_mask
from visual_summaries.results import Box

if TYPE_CHECKING:
    from visual_summaries.classifiers import Classifier

_ORIENTATIONS = 8  # bins of the gradient's direction, for networks without feature maps
_TINY = 1e-9

#: Cells with at least this share of evidence take part in finding the parts; all cells with any are assigned.
CORE = 0.25


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of one image that hold any evidence.

    Attributes
    ----------
    grid : tuple of int
        Rows and columns of the grid over the image.
    index : ndarray of int32, (n,)
        Flat positions of the cells in the grid, ascending.
    weight : ndarray of float32, (n,)
        Share of the cell that is evidence, in (0, 1].
    place : ndarray of float32, (n, 2)
        Distance from the middle of the evidence, in units of its spread: downwards (signed), and to either side.
    features : ndarray of float32, (n, D)
        Each layer of length 1.
    mean : ndarray of float32, (D,)
        Mean features of all cells of the image, with evidence or without.
    fixed : ndarray of float32, (F, D)
        Mean features of the cells of each fixed part; NaN where the image has it not.
    """

    grid: tuple[int, int]
    index: NDArray[np.int32]
    weight: NDArray[np.float32]
    place: NDArray[np.float32]
    features: NDArray[np.float32]
    mean: NDArray[np.float32]
    fixed: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    def __len__(self) -> int:
        return len(self.index)

    @property
    def core(self) -> NDArray[np.bool_]:
        """Which cells take part in finding the parts (n,)."""
        return self.weight >= CORE

    def mean_over(
        self, values: NDArray[np.floating], box: Box, pixels: NDArray[np.bool_], shape: tuple[int, int]
    ) -> NDArray[np.float64]:
        """Return the mean of values ``(n, d)`` of the cells over pixels inside a box of the image (H, W): ``(d,)``."""
        mask = full_mask(box, pixels, shape).astype(np.float32)
        shares = cv2.resize(mask, self.grid[::-1], interpolation=cv2.INTER_AREA).ravel()[self.index]
        return np.asarray(np.average(values, axis=0, weights=shares))


def describe_cells(
    view: NDArray[np.uint8],
    evidence: NDArray[np.bool_],
    classifier: Classifier,
    cells: int = 28,
    fixed: NDArray[np.int16] | None = None,
) -> Cells:
    """Describe the evidence of an image by the feature maps of the network that is explained.

    The maps are those of the last two resolutions (:mod:`visual_summaries.flow.feature_maps`; no layer has to be chosen),
    averaged with the mirrored maps of the mirrored image, so that it does not matter which way an object faces. A network that
    shows only its scores is described by color, texture and the directions of edges.

    Parameters
    ----------
    view : ndarray of uint8, (H, W, 3)
    evidence : ndarray of bool, (H, W)
        True = evidence.
    classifier : Classifier
    cells : int
        Cells along the shorter side.
    fixed : ndarray of int16, (H, W), optional
        The image's fixed parts, -1 elsewhere; their evidence is left out.

    Returns
    -------
    Cells
        With no rows for an image without evidence.
    """
    grid = grid_of(evidence.shape, cells)
    return cut_cells(grid_features(view, classifier, grid), evidence, grid, fixed)


def grid_features(view: NDArray[np.uint8], classifier: Classifier, grid: tuple[int, int]) -> NDArray[np.float32]:
    """Return the features of all cells of an image, ``(rows * columns, D)``, as :func:`describe_cells` has them."""
    descriptor = deep_descriptor(classifier)
    if not descriptor.layers:
        return appearance(view, grid)
    maps = descriptor.maps(view)
    mirrored = descriptor.maps(np.ascontiguousarray(view[:, ::-1]))
    layers = [_on_grid(a, grid) + _on_grid(b, grid).flip(-1) for a, b in zip(maps, mirrored, strict=True)]
    return np.asarray(torch.cat([normalize(layer, dim=0) for layer in layers]).flatten(1).T.cpu().numpy(), np.float32)


def cut_cells(
    features: NDArray[np.floating],
    evidence: NDArray[np.bool_],
    grid: tuple[int, int],
    fixed: NDArray[np.int16] | None = None,
) -> Cells:
    """Return the cells that hold evidence, from the features ``(rows * columns, D)`` of all cells of an image.

    `fixed` is as for :func:`describe_cells`.

    Examples
    --------
    >>> evidence = np.zeros((8, 12), bool)
    >>> evidence[2:6, 2:4] = True
    >>> cells = cut_cells(np.ones((6, 1)), evidence, (2, 3))
    >>> cells.index.tolist(), cells.weight.tolist(), cells.place[:, 0].tolist()
    ([0, 3], [0.25, 0.25], [-1.0, 1.0])
    """
    rows, columns = grid
    if fixed is not None:
        evidence = evidence & (fixed < 0)
    shares = cv2.resize(evidence.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
    index = np.flatnonzero(shares.ravel() > 0).astype(np.int32)
    weight = shares.ravel()[index]
    y, x = np.divmod(index, columns)
    total = max(float(weight.sum()), _TINY)
    middle_y, middle_x = float(weight @ y) / total, float(weight @ x) / total
    spread = np.sqrt(float(weight @ ((y - middle_y) ** 2 + (x - middle_x) ** 2)) / total) if len(index) else 1.0
    place = np.stack([y - middle_y, np.abs(x - middle_x)], axis=1) / max(spread, _TINY)
    return Cells(
        grid,
        index,
        weight.astype(np.float32),
        place.astype(np.float32),
        np.asarray(features[index], np.float32),
        np.asarray(features.mean(axis=0), np.float32),
        np.zeros((0, features.shape[1]), np.float32) if fixed is None else _mean_looks(features, fixed, grid),
    )


def _mean_looks(features: NDArray[np.floating], fixed: NDArray[np.int16], grid: tuple[int, int]) -> NDArray[np.float32]:
    found = np.full((int(fixed.max()) + 1, features.shape[1]), np.nan, np.float32)
    for part in np.unique(fixed[fixed >= 0]).tolist():
        shares = cv2.resize((fixed == part).astype(np.float32), grid[::-1], interpolation=cv2.INTER_AREA)
        found[part] = np.average(features, axis=0, weights=shares.ravel())
    return found


def grid_of(shape: tuple[int, ...], cells: int) -> tuple[int, int]:
    """Return rows and columns of a grid with so many square cells along the shorter side of an image (H, W).

    Examples
    --------
    >>> grid_of((224, 224), 28), grid_of((100, 150), 28), grid_of((12, 300), 28)
    ((28, 28), (28, 42), (12, 300))
    """
    height, width = shape
    side = max(min(height, width) / cells, 1.0)
    return max(round(height / side), 1), max(round(width / side), 1)


def _on_grid(feature_map: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    return interpolate(feature_map[None].float(), grid, mode="bilinear", align_corners=False)[0]


def appearance(view: NDArray[np.uint8], grid: tuple[int, int]) -> NDArray[np.float32]:
    """Return color, texture and edge directions of all cells ``(rows * columns, 14)``, each kind about as large as the others.

    Mean and deviation of the CIELAB channels, and the gradient's strength in eight directions.
    """
    size = grid[::-1]
    lab = cv2.cvtColor(view.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) / 50
    mean = cv2.resize(lab, size, interpolation=cv2.INTER_AREA)
    spread = np.sqrt(np.maximum(cv2.resize(lab * lab, size, interpolation=cv2.INTER_AREA) - mean * mean, 0))
    dx, dy = (cv2.Sobel(lab[..., 0], cv2.CV_32F, x, 1 - x) for x in (1, 0))
    strength, angle = np.hypot(dx, dy), np.mod(np.arctan2(dy, np.abs(dx)), np.pi)  # mirrored edges are the same
    bins = np.minimum((angle / np.pi * _ORIENTATIONS).astype(int), _ORIENTATIONS - 1)
    edges = [cv2.resize(strength * (bins == k), size, interpolation=cv2.INTER_AREA) for k in range(_ORIENTATIONS)]
    joined = np.concatenate([mean, 2 * spread, np.stack(edges, axis=-1)], axis=-1)
    return np.asarray(joined.reshape(grid[0] * grid[1], -1), np.float32)
