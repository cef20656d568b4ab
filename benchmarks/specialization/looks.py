"""Parts that all classes share, found by detectors and seen again from near, and a linear head on all that is seen.

Few images of each class cannot teach each class detectors of its own. But birds of all species have a head: regions of the
summaries of all classes are put into few groups together, and each group, a *shared part*, gets one detector.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from torch import Tensor, nn

from visual_summaries.specialization.detectors import Boxes, Detector, best_windows, described, random_boxes
from visual_summaries.specialization.examples import Examples
from visual_summaries.specialization.settings import SpecializeSettings

Features = NDArray[np.floating]
Positions = NDArray[np.intp]

#: Side of a closer look over the image's, and how many places along each side there are for one.
LOOK, LOOKS = 0.4, 4
#: Inverses of the penalty of a head, each tried; features have a mean squared length of 1.
STRENGTHS = (1.0, 10.0, 100.0, 1e3, 1e4, 1e5)
#: Random windows of each training image that are no region of the part.
WINDOWS = 6


def look_boxes() -> Boxes:
    """Return all places for a closer look, row by row: (LOOKS², 4), over the image's sides."""
    starts = np.linspace(0, 1 - LOOK, LOOKS)
    y, x = (one.ravel() for one in np.meshgrid(starts, starts, indexing="ij"))
    return np.stack([x, y, x + LOOK, y + LOOK], 1).astype(np.float32)


def nearest_look(boxes: Boxes) -> Positions:
    """Return for each box (n, 4) the look whose center is nearest to the box's.

    Examples
    --------
    >>> nearest_look(np.array([[0, 0, 0.1, 0.1], [0.8, 0, 1, 0.2], [0.9, 0.9, 1, 1]])).tolist()
    [0, 3, 15]
    """
    looks = look_boxes()
    away = (boxes[:, None, :2] + boxes[:, None, 2:] - looks[None, :, :2] - looks[None, :, 2:]) / 2
    return np.asarray((away**2).sum(axis=2).argmin(axis=1))


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


def outside(windows: Boxes, regions: Boxes) -> NDArray[np.bool_]:
    """Return which windows (n, 4) have their center in none of the regions (m, 4).

    Examples
    --------
    >>> outside(np.array([[0, 0, 0.2, 0.2], [0.4, 0.4, 0.8, 0.8]]), np.array([[0.5, 0.5, 1, 1]])).tolist()
    [True, False]
    """
    centers = (windows[:, None, :2] + windows[:, None, 2:]) / 2
    return np.asarray(~((centers >= regions[None, :, :2]) & (centers <= regions[None, :, 2:])).all(axis=2).any(axis=1))


def train_shared(
    examples: Examples, regions: Mapping[int, Boxes], training: Positions, settings: SpecializeSettings, seed: int
) -> Detector | None:
    """Return the detector of a shared part, by its regions in training images against the rest of these images.

    Other than :func:`~visual_summaries.specialization.detectors.train_detector` it is not fitted against other images: those
    of all classes show the part. None where no region is left.
    """
    rng = np.random.default_rng(seed)
    own = {int(image): regions[int(image)] for image in training if int(image) in regions}
    if not own:
        return None
    every = np.concatenate(list(own.values()))
    sides = np.stack([every[:, 3] - every[:, 1], every[:, 2] - every[:, 0]], 1)
    sizes = np.minimum(np.asarray(settings.scales)[:, None] * np.median(sides, axis=0)[None], 1).astype(np.float32)
    good, _ = described(examples.maps, own)

    def rejected(windows: dict[int, Boxes]) -> Features:
        left = {image: boxes[outside(boxes, own[image])] for image, boxes in windows.items()}
        return described(examples.maps, {image: boxes for image, boxes in left.items() if len(boxes)})[0]

    bad = rejected({image: random_boxes(sizes, WINDOWS, rng) for image in own})
    if not len(bad):
        return None
    center, spread = bad.mean(0), bad.std(0) + 1e-6
    for turn in range(settings.rounds + 1):
        svm = LinearSVC(C=settings.svm, class_weight="balanced", tol=1e-2, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            svm.fit((np.concatenate([good, bad]) - center) / spread, np.repeat([1, 0], [len(good), len(bad)]))
        weights = svm.coef_[0] / spread
        detector = Detector(weights.astype(np.float32), float(svm.intercept_[0]) - float(weights @ center), sizes)
        if turn < settings.rounds:
            likes = best_windows(detector, examples.maps, np.array(list(own), np.intp), examples.places(settings))
            bad = np.concatenate([bad, rejected(likes)])
    return detector


def find_parts(
    examples: Examples,
    parts: Sequence[Mapping[int, Boxes]],
    training: Positions,
    folds: Positions,
    settings: SpecializeSettings,
    seed: int,
) -> Boxes:
    """Return where each shared part is in each image (N, K, 4): the window that its detector likes most.

    In a training image that is by a detector that was trained without the image's fold. The middle of the image where there is
    no detector.
    """
    places = examples.places(settings)
    others = np.setdiff1d(np.arange(len(examples)), training)
    found = np.tile(np.array([0.25, 0.25, 0.75, 0.75], np.float32), (len(examples), len(parts), 1))
    rounds = [(training[folds != fold], training[folds == fold]) for fold in np.unique(folds)]
    for seen, asked in [*rounds, (training, others)]:
        for k, regions in enumerate(parts):
            detector = train_shared(examples, regions, seen, settings, seed)
            if detector is not None:
                for image, box in best_windows(detector, examples.maps, asked, places).items():
                    found[image, k] = box[0]
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
        likelihood = float((out[np.arange(len(labels)), labels] - np.logaddexp.reduce(out, axis=1)).mean())
        if likelihood > best[0]:
            best = (likelihood, strength, out)
    model = _logistic(best[1]).fit(x, labels)
    return Head(model.coef_ @ directions, model.intercept_, best[1], best[2])


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
