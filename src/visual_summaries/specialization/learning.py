"""From training images to detectors and what they may add: the pure core of specializing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedKFold

from visual_summaries.errors import NoImagesError
from visual_summaries.progress import Progress, report_progress
from visual_summaries.specialization.detectors import Detector, scores_of, sigmoid, train_detector
from visual_summaries.specialization.examples import Examples
from visual_summaries.specialization.fusion import Fusion, choose_shift, fit_fusion, losses, margins, out_of_fold
from visual_summaries.specialization.settings import SpecializeSettings
from visual_summaries.specialization.windows import bounded

_LEAST = 4  # images of a class: fewer cannot be cut into folds that say anything


@dataclass(frozen=True, eq=False)
class Learned:
    """Detectors, and the evidence that says what they are worth.

    Attributes
    ----------
    detectors : tuple of Detector
        One for each of the examples' parts, trained on all images, calibrated.
    evidence : ndarray of float64, (N, P)
        Log odds of each part in each training image, by detectors that were trained without the image, calibrated by others.
    folds : ndarray of int, (N,)
    fusions : tuple of Fusion
        For each class; its weights are those of the class's own parts, in their order.
    """

    detectors: tuple[Detector, ...]
    evidence: NDArray[np.float64]
    folds: NDArray[np.intp]
    fusions: tuple[Fusion, ...]


def parts_of(examples: Examples, owner: int) -> list[int]:
    """Return the positions of the parts of one class."""
    return [position for position, part in enumerate(examples.parts) if part.owner == owner]


def learn(
    examples: Examples, settings: SpecializeSettings, *, random_state: int = 0, progress: Progress | None = None
) -> Learned:
    """Train part detectors, and find out by cross-validation what their evidence adds; `progress` hears of ``"detectors"``.

    Raises
    ------
    NoImagesError
        If a class has fewer than four images, or there are fewer than four of other classes.
    """
    folds = cut(examples.labels, settings.folds, random_state)
    count = int(folds.max()) + 1
    scores = np.empty((len(examples), len(examples.parts)))
    for fold in range(count):
        left_out = folds == fold
        detectors = train_detectors(examples, ~left_out, settings, random_state)
        scores[left_out] = best_scores(detectors, examples, np.flatnonzero(left_out), settings)
        report_progress(progress, "detectors", fold + 1, count + 1)
    final = train_detectors(examples, np.ones(len(examples), bool), settings, random_state)
    report_progress(progress, "detectors", count + 1, count + 1)
    return weigh(examples, final, scores, folds, settings)


def weigh(
    examples: Examples,
    detectors: Sequence[Detector],
    scores: NDArray[np.float64],
    folds: NDArray[np.intp],
    settings: SpecializeSettings,
) -> Learned:
    """Calibrate detectors, which were trained on all images, and find out what their evidence adds.

    `scores` (N, P) are the best ones of each part in each image, by detectors that were trained without its fold.
    """
    evidence, calibrated = np.zeros_like(scores), []
    for position, (part, detector) in enumerate(zip(examples.parts, detectors, strict=True)):
        shows = np.isin(np.arange(len(examples)), list(part.boxes))
        known = shows | (examples.labels != part.owner)  # other images of the class may show it as well
        own = scores[:, position]
        for fold in np.unique(folds):
            out = folds == fold
            if shows[~out].any():
                slope, offset = sigmoid(own[known & ~out], shows[known & ~out])
                evidence[out, position] = slope * own[out] + offset
        calibrated.append(detector.calibrated(*sigmoid(own[known], shows[known])))
    evidence = bounded(evidence, settings.evidence_limit)
    fusions = []
    for owner, index in enumerate(examples.classes):
        own, labels = evidence[:, parts_of(examples, owner)], examples.labels == owner
        fusion = fit_fusion(margins(examples.logits, index), own, labels, folds, settings)
        if not fusion.unchanged:
            spare = settings.spare / len(examples.classes)
            offsets = bounded(own @ fusion.weights, settings.offset_limit)
            shift = choose_shift(examples.logits, offsets, index, labels, spare, settings.offset_limit)
            fusion = replace(fusion, shift=shift)
        fusions.append(fusion)
    return Learned(tuple(calibrated), evidence, folds, tuple(fusions))


def train_detectors(
    examples: Examples, training: NDArray[np.bool_], settings: SpecializeSettings, random_state: int
) -> tuple[Detector, ...]:
    """Return a detector of each part, trained on some of the images (N,)."""
    detectors = []
    for part in examples.parts:
        positives = {image: boxes for image, boxes in part.boxes.items() if training[image]}
        if not positives:  # all its images were left out: nothing is known of it
            width = sum(one.shape[1] for one in examples.maps)
            sizes = np.ones((len(settings.scales), 2), np.float32)
            detectors.append(Detector(np.zeros(width, np.float32), 0.0, sizes))
            continue
        others = np.flatnonzero(training & (examples.labels != part.owner))
        margin = margins(examples.logits[others], examples.classes[part.owner])
        others = others[choose_others(margin, settings, random_state)]
        places = examples.places(settings)
        detectors.append(train_detector(examples.maps, positives, others, places, settings, random_state))
    return tuple(detectors)


def best_scores(
    detectors: Sequence[Detector], examples: Examples, images: NDArray[np.intp], settings: SpecializeSettings
) -> NDArray[np.float64]:
    """Return the score (n, P) of each detector's best window in some images."""
    scores = scores_of(detectors, examples.maps, images, examples.places(settings))
    return np.asarray(scores.amax(dim=(2, 3, 4)).double().numpy())


def cut(labels: NDArray[np.intp], folds: int, random_state: int) -> NDArray[np.intp]:
    """Return a fold for each image, each with its share of every class."""
    found, counts = np.unique(labels, return_counts=True)
    if counts.min() < _LEAST:
        what = "other classes" if found[counts.argmin()] < 0 else "a specialized class"
        raise NoImagesError(
            f"there are {counts.min()} training images of {what}; at least {_LEAST} are needed, and 50 are better"
        )
    splitter = StratifiedKFold(min(folds, int(counts.min())), shuffle=True, random_state=random_state)
    result = np.empty(len(labels), np.intp)
    for number, (_, left_out) in enumerate(splitter.split(labels, labels)):
        result[left_out] = number
    return result


def choose_others(margin: NDArray[np.float64], settings: SpecializeSettings, random_state: int) -> NDArray[np.intp]:
    """Return which images of other classes a detector learns to reject: the most confused ones, and some of the rest.

    Examples
    --------
    >>> choose_others(np.array([0.0, 3, -9, 2, 1]), SpecializeSettings(confused=2, others=0), 0)
    array([1, 3])
    """
    order = np.argsort(-margin, kind="stable")
    confused, rest = order[: settings.confused], order[settings.confused :]
    drawn = np.random.default_rng(random_state).permutation(rest)[: settings.others]
    return np.sort(np.concatenate([confused, drawn]))


def ablate(examples: Examples, learned: Learned, owner: int) -> list[tuple[float, float]]:
    """Return what is lost without each part of a class, the others weighed again: log likelihood for each image, precision."""
    fusion = learned.fusions[owner]
    own = parts_of(examples, owner)
    if fusion.unchanged:
        return [(0.0, 0.0)] * len(own)
    margin, labels = margins(examples.logits, examples.classes[owner]), examples.labels == owner

    def measured(kept: Sequence[int]) -> tuple[float, float]:
        scores = out_of_fold(margin, learned.evidence[:, list(kept)], labels, learned.folds, fusion.penalty)
        return -float(losses(scores, labels).mean()), average_precision(labels, scores)

    whole = measured(own)
    without = [measured([other for other in own if other != position]) for position in own]
    return [(whole[0] - gain, whole[1] - precision) for gain, precision in without]


def average_precision(labels: NDArray[np.bool_], scores: NDArray[np.floating]) -> float:
    """Return the average precision of a score; NaN without images of the class."""
    return float(average_precision_score(labels, scores)) if labels.any() else float("nan")
