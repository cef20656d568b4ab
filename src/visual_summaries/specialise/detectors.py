"""A detector of one part: a linear SVM on the network's features over the part's regions, calibrated to log odds."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GroupKFold
from sklearn.svm import LinearSVC
from torch import Tensor

from visual_summaries.specialise.settings import SpecializeSettings
from visual_summaries.specialise.windows import pool, slide

#: Boxes over width and height of their image: (n, 4) in [0, 1].
Boxes = NDArray[np.float32]

_BATCH = 64  # images whose windows are scored at a time
_SMALLEST = 0.02  # side of a window drawn at random, over the image's


@dataclass(frozen=True, eq=False)
class Detector:
    """A linear function of the features of a window, calibrated: its value is the log odds that the window shows the part.

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


def described(maps: Sequence[Tensor], boxes: Mapping[int, Boxes]) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Return the features (n, D) of boxes of some images, and the image of each.

    Parameters
    ----------
    maps : sequence of Tensor, (N, C, h, w)
        Of all images, for each depth.
    boxes : mapping of int to ndarray
        By position of the image.
    """
    images = np.array([image for image, own in boxes.items() for _ in own], np.intp)
    places = torch.from_numpy(np.concatenate([np.empty((0, 4), np.float32), *boxes.values()]))
    rows = [torch.empty(0, sum(one.shape[1] for one in maps))]
    for start in range(0, len(images), _BATCH):
        batch, own = torch.from_numpy(images[start : start + _BATCH]), places[start : start + _BATCH]
        rows.append(torch.cat([pool(one[batch].float(), own) for one in maps], 1))
    return torch.cat(rows).numpy(), images


def window_sizes(boxes: Mapping[int, Boxes], scales: Sequence[float]) -> NDArray[np.float32]:
    """Return the sizes (S, 2) of a detector's windows: of the median box, at several scales, 1 at most."""
    every = np.concatenate(list(boxes.values()))
    median = np.median(np.stack([every[:, 3] - every[:, 1], every[:, 2] - every[:, 0]], 1), axis=0)
    sizes: NDArray[np.float32] = np.minimum(np.asarray(scales)[:, None] * median[None, :], 1).astype(np.float32)
    return sizes


def random_boxes(sizes: NDArray[np.float32], count: int, rng: np.random.Generator) -> Boxes:
    """Return boxes of sizes like these, anywhere in the image: (count, 4)."""
    height, width = np.maximum(sizes[rng.integers(0, len(sizes), count)].T, _SMALLEST)
    x0, y0 = rng.random(count) * (1 - width), rng.random(count) * (1 - height)
    return np.stack([x0, y0, x0 + width, y0 + height], 1).astype(np.float32)


def scores_of(detectors: Sequence[Detector], maps: Sequence[Tensor], images: NDArray[np.intp], places: int) -> Tensor:
    """Return the scores of all windows of some images: (n, P, S, places, places)."""
    split = [one.shape[1] for one in maps]
    stacked = torch.from_numpy(np.stack([one.weights for one in detectors]))
    bias = torch.tensor([one.bias for one in detectors], dtype=torch.float32)
    sizes = torch.from_numpy(np.stack([one.sizes for one in detectors]))
    parts = []
    for start in range(0, len(images), _BATCH):
        batch = torch.from_numpy(images[start : start + _BATCH])
        small = [one[batch].float() for one in maps]
        parts.append(slide(small, list(torch.split(stacked, split, 1)), bias, sizes, places))
    return torch.cat(parts)


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
    own: NDArray[np.intp] | None = None,
) -> Detector:
    """Train the detector of one part.

    Parameters
    ----------
    maps : sequence of Tensor, (N, C, h, w)
        Reduced feature maps of all training images, for each depth.
    positives : mapping of int to ndarray, (n, 4)
        Regions of the part, over width and height, by position of their image; at least one.
    others : ndarray of int
        Images that do not show it: random windows of them are rejected first, then the windows that the detector so far takes
        for the part most.
    places : int
        Places of windows along each side.
    settings : SpecializeSettings
    random_state : int
    own : ndarray of int, optional
        Further images of the class: from those in which the detector so far finds the part most surely, its window is learnt.

    Returns
    -------
    Detector
        Of weight 0 where the part cannot be told from the rest in images that it was not trained on.
    """
    rng = np.random.default_rng(random_state)
    sizes = window_sizes(positives, settings.scales)
    good, good_images = described(maps, positives)
    bad, bad_images = described(maps, {int(image): random_boxes(sizes, settings.windows, rng) for image in others})
    centre, spread = bad.mean(0), bad.std(0) + 1e-6
    known, known_images = good, good_images
    own = np.empty(0, np.intp) if own is None else own
    for left in range(settings.rounds, -1, -1):
        detector = _fit(good, good_images, bad, bad_images, centre, spread, sizes, settings, random_state, calibrate=not left)
        if left:
            more, where = described(maps, best_windows(detector, maps, others, places))
            bad, bad_images = np.concatenate([bad, more]), np.concatenate([bad_images, where])
            # Always from the known regions on, so that what was found before can be taken back.
            more, where = described(maps, best_windows(detector, maps, own, places) if len(own) else {})
            surest = np.argsort(-(more @ detector.weights), kind="stable")[: round(settings.more * len(own))]
            good, good_images = np.concatenate([known, more[surest]]), np.concatenate([known_images, where[surest]])
    return detector


def _fit(
    good: NDArray[np.float32],
    good_images: NDArray[np.intp],
    bad: NDArray[np.float32],
    bad_images: NDArray[np.intp],
    centre: NDArray[np.float32],
    spread: NDArray[np.float32],
    sizes: NDArray[np.float32],
    settings: SpecializeSettings,
    random_state: int,
    *,
    calibrate: bool,
) -> Detector:
    x = (np.concatenate([good, bad]) - centre) / spread
    y = np.repeat([1, 0], [len(good), len(bad)])
    svm = LinearSVC(C=settings.svm, class_weight="balanced", random_state=random_state)
    folds = min(3, len(np.unique(good_images)), len(np.unique(bad_images)))
    slope, offset = 1.0, 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        if calibrate and folds >= 2:
            # Images are split by kind, so that each fold has regions of the part.
            splits = _splits(good_images, bad_images, folds)
            wrapped = (
                CalibratedClassifierCV(svm, method="sigmoid", ensemble=False, cv=splits).fit(x, y).calibrated_classifiers_[0]
            )
            svm, sigmoid = wrapped.estimator, wrapped.calibrators[0]
            slope, offset = -float(sigmoid.a_), -float(sigmoid.b_)
        else:
            svm.fit(x, y)
    if slope <= 0:
        return Detector(np.zeros(x.shape[1], np.float32), offset, sizes)
    weights = slope * svm.coef_[0] / spread
    bias = slope * float(svm.intercept_[0]) + offset - float(weights @ centre)
    return Detector(weights.astype(np.float32), bias, sizes)


def _splits(
    good_images: NDArray[np.intp], bad_images: NDArray[np.intp], folds: int
) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Return (training, left out) rows, each image's rows together, each fold with images of both kinds."""
    assigned = np.empty(len(good_images) + len(bad_images), np.intp)
    for own, rows in ((good_images, np.arange(len(good_images))), (bad_images, len(good_images) + np.arange(len(bad_images)))):
        for number, (_, left_out) in enumerate(GroupKFold(folds).split(rows, groups=own)):
            assigned[rows[left_out]] = number
    return [(np.flatnonzero(assigned != number), np.flatnonzero(assigned == number)) for number in range(folds)]
