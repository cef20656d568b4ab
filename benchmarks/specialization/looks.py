"""Parts that all classes share, found in each image and seen again from near, and linear heads on what is seen.

Few images of each class cannot teach each class detectors of its own. But birds of all species have a head: regions of the
summaries of all classes are put into few groups together, and each group, a *shared part*, gets one detector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.optimize import minimize
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from visual_summaries.specialization.detectors import Boxes, described
from visual_summaries.specialization.examples import Examples

Features = NDArray[np.floating]
Positions = NDArray[np.intp]

#: Side of a closer look over the image's.
LOOK = 0.45
#: Inverses of the penalty of a head, each tried; features have a mean squared length of 1.
STRENGTHS = (1.0, 10.0, 100.0, 1e3, 1e4, 1e5)
#: Channels that detectors read, the inverse of their penalty, and the blur of their maps in cells.
CHANNELS, DETECTOR, BLUR = 128, 0.01, 0.7


def look_boxes(centers: Features, side: float = LOOK) -> Boxes:
    """Return squares around centers (..., 2), moved into the image: (..., 4), all over the image's sides.

    Examples
    --------
    >>> look_boxes(np.array([[0.5, 0.5], [0.0, 0.9]]), 0.5).tolist()
    [[0.25, 0.25, 0.75, 0.75], [0.0, 0.5, 0.5, 1.0]]
    """
    low = np.clip(centers - side / 2, 0, 1 - side)
    return np.concatenate([low, low + side], axis=-1).astype(np.float32)


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


def cells_of(maps: Sequence[Tensor], training: Positions) -> NDArray[np.float32]:
    """Return what detectors read of each cell of all images: (N, g, g, CHANNELS) or less, on the grid of the finest map.

    All depths of a cell, each scaled to the same mean length, in the main directions of the training images' cells.
    """
    grid = max(one.shape[-1] for one in maps)
    cells = []
    for one in maps:
        fine = torch.nn.functional.interpolate(one.float(), size=(grid, grid), mode="bilinear", align_corners=False)
        cells.append(fine / fine[torch.from_numpy(training)].pow(2).sum(dim=1).sqrt().mean())
    found = torch.cat(cells, 1).permute(0, 2, 3, 1).numpy()
    known = found[training].reshape(-1, found.shape[-1])
    reduced = PCA(min(CHANNELS, *known.shape), svd_solver="randomized", random_state=0).fit(known)
    short = reduced.transform(found.reshape(-1, found.shape[-1]))
    return np.asarray(short / reduced.transform(known).std(), np.float32).reshape(*found.shape[:3], -1)


def cells_in(boxes: Boxes, grid: int) -> NDArray[np.bool_]:
    """Return the cells (grid, grid) whose center is in one of the boxes (n, 4); of a box without any, the one at its center.

    Examples
    --------
    >>> cells_in(np.array([[0, 0, 0.5, 0.25], [0.9, 0.9, 0.95, 0.95]]), 4).astype(int).tolist()
    [[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]
    """
    middle = (np.arange(grid) + 0.5) / grid
    found = np.zeros((grid, grid), bool)
    for x0, y0, x1, y1 in boxes:
        rows, columns = (middle >= y0) & (middle <= y1), (middle >= x0) & (middle <= x1)
        if not (rows.any() and columns.any()):
            column, row = (min(int((low + high) / 2 * grid), grid - 1) for low, high in ((x0, x1), (y0, y1)))
            rows, columns = np.arange(grid) == row, np.arange(grid) == column
        found |= rows[:, None] & columns[None, :]
    return found


def train_shared(cells: NDArray[np.float32], regions: Mapping[int, Boxes], training: Positions) -> LogisticRegression | None:
    """Return what tells cells in a part's regions from all others of the training images that have one; None without any."""
    own = [int(image) for image in training if int(image) in regions]
    if not own:
        return None
    inside = np.stack([cells_in(regions[image], cells.shape[1]) for image in own])
    model = LogisticRegression(C=DETECTOR, class_weight="balanced", max_iter=300)
    return model.fit(cells[own].reshape(-1, cells.shape[-1]), inside.ravel())


def peaks(scores: Features) -> Features:
    """Return where blurred maps of log odds (n, g, g) are highest, to parts of a cell: (n, 2), x and y over the image's sides.

    Examples
    --------
    >>> scores = np.full((1, 8, 8), -20.0)
    >>> scores[0, 2, 4] = 20
    >>> peaks(scores).round(2).tolist()
    [[0.56, 0.31]]
    """
    grid = scores.shape[1]
    middle = (np.arange(grid) + 0.5) / grid
    found = np.empty((len(scores), 2))
    for image, own in enumerate(scores):
        blurred = gaussian_filter(0.5 * (1 + np.tanh(own / 2)), BLUR)
        row, column = np.unravel_index(int(blurred.argmax()), blurred.shape)
        rows, columns = (slice(max(one - 1, 0), one + 2) for one in (row, column))
        near = blurred[rows, columns] / blurred[rows, columns].sum()
        found[image] = near.sum(axis=0) @ middle[columns], near.sum(axis=1) @ middle[rows]
    return found


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
        for k, regions in enumerate(parts):
            detector = train_shared(cells, regions, seen)
            if detector is not None and len(asked):
                scores = detector.decision_function(cells[asked].reshape(-1, cells.shape[-1]))
                found[asked, k] = peaks(scores.reshape(len(asked), *cells.shape[1:3]))
    return found


def as_block(features: Features, training: Positions) -> Features:
    """Return features (N, D) centered and scaled so that the mean squared length of the training images' is 1.

    Examples
    --------
    >>> as_block(np.array([[3.0, 0], [-1, 0], [5, 0]]), np.array([0, 1])).tolist()
    [[1.0, 0.0], [-1.0, 0.0], [2.0, 0.0]]
    """
    center, scale = standard(features[training])
    return np.asarray((features - center) / scale)


def standard(features: Features) -> tuple[Features, float]:
    """Return the mean of features (n, D), and the root of their mean squared distance from it."""
    center = features.mean(axis=0)
    return center, max(float(np.sqrt(((features - center) ** 2).sum(axis=1).mean())), 1e-12)


@dataclass(frozen=True, eq=False)
class Head:
    """A linear head: weights (C, D) and constants (C,) of the features as they are.

    `held_out` are the training images' logits (n, C) by heads that were fitted without their fold, at the strength chosen.
    """

    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    strength: float
    held_out: NDArray[np.float64]

    def __call__(self, features: Features) -> NDArray[np.float64]:
        """Return logits (n, C)."""
        return np.asarray(features @ self.weights.T + self.bias)

    def layer(self, center: Features | float = 0.0, scale: float = 1.0) -> nn.Linear:
        """Return the head as a layer that takes features from before ``(features - center) / scale``."""
        layer = nn.Linear(self.weights.shape[1], len(self.bias)).requires_grad_(False)
        layer.weight.copy_(torch.from_numpy(self.weights / scale))
        layer.bias.copy_(torch.from_numpy(self.bias - self.weights @ np.broadcast_to(center, self.weights.shape[1]) / scale))
        return layer


def fit_head(features: Features, labels: Positions, folds: Positions) -> Head:
    """Return the logistic regression of the strength whose held-out log likelihood, over the folds, is best.

    There are three classes or more. Weights lie in the span of the training images, so all is computed there.
    """
    _, values, directions = np.linalg.svd(features, full_matrices=False)
    directions = directions[values > 1e-6 * values[0]]
    x = np.asarray(features @ directions.T, np.float64)
    best: tuple[float, float, NDArray[np.float64]] = (-np.inf, STRENGTHS[0], np.zeros(0))
    for strength in STRENGTHS:
        out = np.empty((len(labels), len(np.unique(labels))))
        for fold in np.unique(folds):
            left = folds == fold
            out[left] = _logistic(strength).fit(x[~left], labels[~left]).decision_function(x[left])
        likelihood = float(log_softmax(out)[np.arange(len(labels)), labels].mean())
        if likelihood > best[0]:
            best = (likelihood, strength, out)
    model = _logistic(best[1]).fit(x, labels)
    return Head(model.coef_ @ directions, model.intercept_, best[1], best[2])


def log_softmax(logits: Features) -> Features:
    """Return log probabilities (n, C)."""
    return np.asarray(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))


def stack(held_out: Sequence[Features], labels: Positions) -> NDArray[np.float64]:
    """Return a weight, not below 0, for each head's log probabilities: those of the best held-out likelihood of their sum.

    Parameters
    ----------
    held_out : sequence of ndarray, (n, C)
        Training images' logits by each head fitted without them; the first is the plain head.
    labels : ndarray, (n,)

    Examples
    --------
    >>> good, noise = np.log([[0.8, 0.2], [0.2, 0.8], [0.4, 0.6]]), np.log([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9]])
    >>> weights = stack([good, noise], np.array([0, 1, 0]))
    >>> bool(weights[0] > 100 * weights[1])
    True
    """
    logs = np.stack([log_softmax(one) for one in held_out])

    def loss(exponents: NDArray[np.float64]) -> float:
        mixed = log_softmax(np.tensordot(np.exp(exponents), logs, axes=1))
        return -float(mixed[np.arange(len(labels)), labels].mean())

    start = np.array([0.0, *[-1.0] * (len(logs) - 1)])
    return np.exp(minimize(loss, start, method="L-BFGS-B", bounds=[(-8, 3)] * len(logs)).x)


def _logistic(strength: float) -> LogisticRegression:
    # With the usual tolerance it stops before weights that are hardly held back are found.
    return LogisticRegression(C=strength, max_iter=2000, tol=1e-6)


def pooled_places(maps: Tensor, cells: int) -> NDArray[np.float32]:
    """Return the means of maps (N, C, h, w) in a grid of `cells` x `cells` places: (N, cells² C), place by place.

    Examples
    --------
    >>> pooled_places(torch.arange(16.0).reshape(1, 1, 4, 4), 2).tolist()
    [[2.5, 4.5, 10.5, 12.5]]
    """
    pooled = torch.nn.functional.adaptive_avg_pool2d(maps.float(), cells)
    return np.asarray(pooled.flatten(2).transpose(1, 2).flatten(1).numpy())
