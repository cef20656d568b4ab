"""Parts that all classes share, and where they are in each image.

Few images of each class cannot teach each class detectors of its own. But birds of all species have a head: regions of the
summaries of all classes are put into few groups together, and each group, a *shared part*, gets one detector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from visual_summaries.specialization.detectors import Boxes, described
from visual_summaries.specialization.examples import Examples
from visual_summaries.specialization.heads import Features, Positions
from visual_summaries.specialization.looking import blur_matrix, peaks

#: Channels that detectors read, and the inverse of their penalty.
CHANNELS, DETECTOR = 128, 0.01


def shared_parts(examples: Examples, count: int, seed: int) -> list[dict[int, Boxes]]:
    """Return the regions of all classes' summaries in `count` groups, or fewer, by what they look like.

    The mean of a class's regions is subtracted: groups are to be parts that classes have in common, not classes.
    """
    boxes = [(image, part.owner, box) for part in examples.parts for image, own in part.boxes.items() for box in own]
    if not boxes:
        return []
    owners = np.array([owner for _, owner, _ in boxes])
    rows = np.concatenate([described(examples.maps, {image: box[None]})[0] for image, _, box in boxes])
    for owner in np.unique(owners):
        rows[owners == owner] -= rows[owners == owner].mean(axis=0)
    groups = KMeans(min(count, len(rows)), n_init=10, random_state=seed).fit_predict(rows)
    return [
        _gathered([(image, box) for (image, _, box), own in zip(boxes, groups, strict=True) if own == k])
        for k in np.unique(groups)
    ]


def _gathered(boxes: Sequence[tuple[int, NDArray[np.float32]]]) -> dict[int, Boxes]:
    found: dict[int, list[NDArray[np.float32]]] = {}
    for image, box in boxes:
        found.setdefault(image, []).append(box)
    return {image: np.stack(own) for image, own in found.items()}


@dataclass(frozen=True, eq=False)
class CellReader:
    """What detectors read of each cell: all depths, each scaled, in the main directions of the training images' cells.

    Attributes
    ----------
    grid : tuple of int
        Rows and columns: those of the finest map.
    scales : tuple of float
        Mean length of a cell's channels at each depth, in the training images.
    center, directions, spread : ndarray (D,), ndarray (k, D), float
        Channels of all depths go to ``directions @ (channels / scale - center) / spread``.
    """

    grid: tuple[int, int]
    scales: tuple[float, ...]
    center: NDArray[np.float32]
    directions: NDArray[np.float32]
    spread: float

    def __call__(self, maps: Sequence[Tensor]) -> NDArray[np.float32]:
        """Return the cells (N, rows, columns, k) of maps (N, C, h, w), one for each depth."""
        found = _joined(maps, self.grid, self.scales)
        short = (found.reshape(-1, found.shape[-1]) - self.center) @ self.directions.T
        return np.asarray(short / self.spread, np.float32).reshape(*found.shape[:3], -1)

    def weights(self, detector: LogisticRegression) -> tuple[NDArray[np.float32], float]:
        """Return a detector's weights (D,) of channels as they are, all depths one after the other, and its constant."""
        own = detector.coef_[0] @ self.directions / self.spread
        return own.astype(np.float32), float(detector.intercept_[0] - own @ self.center)


def fit_cells(maps: Sequence[Tensor], training: Positions) -> CellReader:
    """Return what reads cells of maps (N, C, h, w), one for each depth, as the training images' cells lie."""
    grid = max(one.shape[-2] for one in maps), max(one.shape[-1] for one in maps)
    known = [_fine(one[torch.from_numpy(training)], grid) for one in maps]
    scales = tuple(float(one.pow(2).sum(dim=1).sqrt().mean().clamp_min(1e-12)) for one in known)
    found = _joined(known, grid, scales)
    found = found.reshape(-1, found.shape[-1])
    reduced = PCA(min(CHANNELS, *found.shape), svd_solver="randomized", random_state=0).fit(found)
    spread = float(reduced.transform(found).std())
    return CellReader(grid, scales, reduced.mean_, reduced.components_, max(spread, 1e-12))


def _fine(feature_map: Tensor, grid: tuple[int, int]) -> Tensor:
    return torch.nn.functional.interpolate(feature_map.float(), size=grid, mode="bilinear", align_corners=False)


def _joined(maps: Sequence[Tensor], grid: tuple[int, int], scales: Sequence[float]) -> NDArray[np.float32]:
    """Return the channels of all depths in each cell: (N, rows, columns, D)."""
    fine = [_fine(one, grid) / scale for one, scale in zip(maps, scales, strict=True)]
    return np.asarray(torch.cat(fine, 1).permute(0, 2, 3, 1).numpy())


def cells_in(boxes: Boxes, grid: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the cells of a grid whose center is in one of the boxes (n, 4); of a box without any, the one at its center.

    Examples
    --------
    >>> cells_in(np.array([[0, 0, 0.5, 0.25], [0.9, 0.9, 0.95, 0.95]]), (4, 4)).astype(int).tolist()
    [[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]
    """
    down, across = ((np.arange(count) + 0.5) / count for count in grid)
    found = np.zeros(grid, bool)
    for x0, y0, x1, y1 in boxes:
        rows, columns = (down >= y0) & (down <= y1), (across >= x0) & (across <= x1)
        if not (rows.any() and columns.any()):
            rows, columns = np.arange(grid[0]) == _cell(y0, y1, grid[0]), np.arange(grid[1]) == _cell(x0, x1, grid[1])
        found |= rows[:, None] & columns[None, :]
    return found


def _cell(low: float, high: float, count: int) -> int:
    return min(int((low + high) / 2 * count), count - 1)


def train_shared(cells: NDArray[np.float32], regions: Mapping[int, Boxes], training: Positions) -> LogisticRegression | None:
    """Return what tells cells in a part's regions from all others of the training images that have one; None without any."""
    own = [int(image) for image in training if int(image) in regions]
    if not own:
        return None
    inside = np.stack([cells_in(regions[image], cells.shape[1:3]) for image in own])
    model = LogisticRegression(C=DETECTOR, class_weight="balanced", max_iter=300)
    return model.fit(cells[own].reshape(-1, cells.shape[-1]), inside.ravel())


def find_parts(
    cells: NDArray[np.float32], parts: Sequence[Mapping[int, Boxes]], training: Positions, folds: Positions
) -> Features:
    """Return where each shared part is in each image (N, K, 2): where its detector's blurred log odds are highest.

    In a training image that is by a detector that was trained without the image's fold. The middle of the image where there is
    no detector.
    """
    others = np.setdiff1d(np.arange(len(cells)), training)
    found = np.full((len(cells), len(parts), 2), 0.5)
    rounds = [(training[folds != fold], training[folds == fold]) for fold in np.unique(folds)]
    for seen, asked in [*rounds, (training, others)]:
        for k, regions in enumerate(parts if len(asked) else ()):
            detector = train_shared(cells, regions, seen)
            if detector is not None:
                scores = detector.decision_function(cells[asked].reshape(-1, cells.shape[-1]))
                maps = torch.from_numpy(scores.reshape(len(asked), *cells.shape[1:3]))
                found[asked, k] = peaks(maps, *map(blur_matrix, cells.shape[1:3])).numpy()
    return found
