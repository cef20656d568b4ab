"""A detector of one part: a linear SVM on the network's features over the part's regions, and its scores as log odds."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from torch import Tensor

from visual_summaries.specialization.settings import SpecializeSettings
from visual_summaries.specialization.windows import pool, slide

#: Boxes over width and height of their image: (n, 4) in [0, 1].
Boxes = NDArray[np.float32]

_BATCH = 64  # images whose windows are scored at a time
_SMALLEST = 0.02  # side of a window drawn at random, over the image's
_TOLERANCE = 1e-2  # of the SVM: half the time of scikit-learn's, weights within a few thousandths


@dataclass(frozen=True, eq=False)
class Detector:
    """A linear function of the features of a window: the score that it shows the part; once calibrated, log odds.

    Attributes
    ----------
    weights : ndarray of float32, (D,)
        Of the channels of all depths, one depth after the other.
    bias : float
    sizes : ndarray of float32, (S, 2)
        Heights and widths of its windows over the image's.
    """

    weights: NDArray[np.float32]
    bias: float
    sizes: NDArray[np.float32]

    def calibrated(self, slope: float, offset: float) -> Detector:
        """Return the detector whose score is ``slope * score + offset``."""
        return Detector((slope * self.weights).astype(np.float32), slope * self.bias + offset, self.sizes)


def described(maps: Sequence[Tensor], boxes: Mapping[int, Boxes]) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Return the features (n, D) of boxes of images, by position in the maps (N, C, h, w), and the image of each."""
    images = np.array([image for image, own in boxes.items() for _ in own], np.intp)
    places = torch.from_numpy(np.concatenate([np.empty((0, 4), np.float32), *boxes.values()]))
    rows = [torch.empty(0, sum(one.shape[1] for one in maps))]
    for start in range(0, len(images), _BATCH):
        batch, own = torch.from_numpy(images[start : start + _BATCH]), places[start : start + _BATCH]
        rows.append(torch.cat([pool(one[batch].float(), own) for one in maps], 1))
    return torch.cat(rows).numpy(), images


def random_boxes(sizes: NDArray[np.float32], count: int, rng: np.random.Generator) -> Boxes:
    """Return boxes of sizes like these, anywhere in the image: (count, 4)."""
    height, width = np.maximum(sizes[rng.integers(0, len(sizes), count)].T, _SMALLEST)
    x0, y0 = rng.random(count) * (1 - width), rng.random(count) * (1 - height)
    return np.stack([x0, y0, x0 + width, y0 + height], 1).astype(np.float32)


def stacked(detectors: Sequence[Detector], maps: Sequence[Tensor], scales: int) -> tuple[list[Tensor], Tensor, Tensor]:
    """Return the weights (P, C) for each depth, biases (P,) and sizes (P, S, 2) of some detectors, or of none."""
    split = [one.shape[1] for one in maps]
    weights = np.array([one.weights for one in detectors], np.float32).reshape(-1, sum(split))
    sizes = np.array([one.sizes for one in detectors], np.float32).reshape(-1, scales, 2)
    bias = torch.tensor([one.bias for one in detectors], dtype=torch.float32)
    return list(torch.split(torch.from_numpy(weights), split, 1)), bias, torch.from_numpy(sizes)


def scores_of(detectors: Sequence[Detector], maps: Sequence[Tensor], images: NDArray[np.intp], places: int) -> Tensor:
    """Return the scores of all windows of some images: (n, P, S, places, places)."""
    weights, bias, sizes = stacked(detectors, maps, len(detectors[0].sizes))
    batches = torch.split(torch.from_numpy(images), _BATCH)
    return torch.cat([slide([one[batch].float() for one in maps], weights, bias, sizes, places) for batch in batches])


def best_windows(detector: Detector, maps: Sequence[Tensor], images: NDArray[np.intp], places: int) -> dict[int, Boxes]:
    """Return the window of each image that a detector likes most, by the image's position: (1, 4) each."""
    scores = scores_of([detector], maps, images, places)[:, 0]
    best = scores.flatten(1).argmax(1).numpy()
    scale, row, column = np.unravel_index(best, scores.shape[1:])
    height, width = detector.sizes[scale].T
    x, y = (column + 0.5) / places, (row + 0.5) / places
    boxes = np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], 1).clip(0, 1).astype(np.float32)
    return {int(image): boxes[position : position + 1] for position, image in enumerate(images)}


def train_detector(
    maps: Sequence[Tensor],
    positives: Mapping[int, Boxes],
    others: NDArray[np.intp],
    places: int,
    settings: SpecializeSettings,
    random_state: int,
) -> Detector:
    """Train the detector of one part on its regions, by position of their image; it is not calibrated, see :func:`sigmoid`.

    Of `others`, images that do not show it, random windows are rejected first, then the windows that the detector so far takes
    for the part most.
    """
    rng = np.random.default_rng(random_state)
    every = np.concatenate(list(positives.values()))
    median = np.median(np.stack([every[:, 3] - every[:, 1], every[:, 2] - every[:, 0]], 1), axis=0)
    sizes = np.minimum(np.asarray(settings.scales)[:, None] * median[None, :], 1).astype(np.float32)  # 1: the whole image
    good, _ = described(maps, positives)
    bad, _ = described(maps, {int(image): random_boxes(sizes, settings.windows, rng) for image in others})
    center, spread = bad.mean(0), bad.std(0) + 1e-6

    def fitted() -> Detector:
        x, y = (np.concatenate([good, bad]) - center) / spread, np.repeat([1, 0], [len(good), len(bad)])
        svm = LinearSVC(C=settings.svm, class_weight="balanced", tol=_TOLERANCE, random_state=random_state)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            svm.fit(x, y)
        weights = svm.coef_[0] / spread
        return Detector(weights.astype(np.float32), float(svm.intercept_[0]) - float(weights @ center), sizes)

    for _ in range(settings.rounds):
        more, _ = described(maps, best_windows(fitted(), maps, others, places))
        bad = np.concatenate([bad, more])
    return fitted()


def sigmoid(scores: NDArray[np.float64], labels: NDArray[np.bool_]) -> tuple[float, float]:
    """Return slope and offset that make scores log odds, both answers being equally likely beforehand (Platt's sigmoid).

    Zeros where images of the part do not score higher than others. Scores (N,) are those of each image's best window, by a
    detector that was not trained on it.

    Examples
    --------
    >>> scores = np.repeat([3.0, 1.0], 20) + np.tile([-0.5, 0.5], 20)
    >>> slope, offset = sigmoid(scores, scores > 2)
    >>> slope > 1, round(-offset / slope, 2)
    (True, 2.0)
    >>> sigmoid(-scores, scores > 2)
    (0.0, 0.0)
    """
    center, spread = float(scores.mean()), float(scores.std()) + 1e-6
    model = LogisticRegression(class_weight="balanced").fit((scores[:, None] - center) / spread, labels)
    slope = float(model.coef_[0, 0]) / spread
    return (slope, float(model.intercept_[0]) - slope * center) if slope > 0 else (0.0, 0.0)
