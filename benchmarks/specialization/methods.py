"""What ``specialize.py`` compares: summaries, and the controls that could explain a gain away."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

import visual_summaries as vs
from visual_summaries.files.atomic import atomic_file
from visual_summaries.specialization.detectors import Boxes
from visual_summaries.specialization.examples import Examples
from visual_summaries.specialization.fusion import Fusion, choose_shift, fit_fusion, margins
from visual_summaries.specialization.learning import Learned, best_scores, parts_of, train_detectors, weigh
from visual_summaries.specialization.windows import bounded

Scores = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Method:
    """What a method adds to the specialized classes' logits (n, C), beside its constants (C,); `alone`: scores of its own.

    `known` is what it adds to them in the training images, by what was learned without the image: constants are chosen by it.
    """

    offsets: Scores
    shifts: Scores
    known: Scores
    unchanged: tuple[bool, ...] = ()
    penalties: tuple[float, ...] = ()
    alone: Scores | None = None


def random_regions(examples: Examples, salient: Sequence[dict[int, Boxes]], seed: int) -> Examples:
    """Return the examples with as many random salient regions in the place of each part's; where none is known, random boxes.

    Images that a run did not explain have no salient regions: there boxes of the part's own sizes are put anywhere.
    """
    rng = np.random.default_rng(seed)
    parts = []
    for part in examples.parts:
        boxes: dict[int, Boxes] = {}
        for image, own in part.boxes.items():
            offered = salient[part.owner].get(image)
            if offered is not None:
                boxes[image] = offered[rng.integers(0, len(offered), len(own))]
            else:
                sides = own[:, 2:] - own[:, :2]
                corner = rng.random(sides.shape).astype(np.float32) * (1 - sides)
                boxes[image] = np.concatenate([corner, corner + sides], 1)
        parts.append(replace(part, boxes=boxes))
    return replace(examples, parts=tuple(parts))


def shuffled_salient(salient: Sequence[dict[int, Boxes]], chosen: NDArray[np.intp]) -> list[dict[int, Boxes]]:
    """Return salient regions by the new positions of chosen images."""
    place = {int(old): new for new, old in enumerate(chosen)}
    return [{place[image]: boxes for image, boxes in own.items() if image in place} for own in salient]


def by_parts(
    fit: Examples, test: Examples, folds: NDArray[np.intp], settings: vs.SpecializeSettings, seed: int, kept: Path
) -> tuple[Method, Learned]:
    """Do what :func:`visual_summaries.specialization.learning.learn` does, and keep each fold's part of it."""
    scores = np.empty((len(fit), len(fit.parts)))
    for fold in range(int(folds.max()) + 1):
        left_out = folds == fold
        file = kept.with_name(f"{kept.name}-{fold}.npy")
        if not file.is_file():
            detectors = train_detectors(fit, ~left_out, settings, seed)
            with atomic_file(file) as opened:
                np.save(opened, best_scores(detectors, fit, np.flatnonzero(left_out), settings))
        scores[left_out] = np.load(file, allow_pickle=False)
    final = train_detectors(fit, np.ones(len(fit), bool), settings, seed)
    learned = weigh(fit, final, scores, folds, settings)
    tested = bounded(best_scores(learned.detectors, test, np.arange(len(test)), settings), settings.evidence_limit)
    offsets, known = (
        np.stack([values[:, parts_of(fit, owner)] @ f.weights for owner, f in enumerate(learned.fusions)], axis=1)
        for values in (tested, learned.evidence)
    )
    return _method(offsets, known, learned.fusions, settings), learned


def constants(method: Method, fit: Examples, settings: vs.SpecializeSettings) -> Scores:
    """Return the constants (C,) beside a method, chosen on the training images; of classes that it leaves alone as well."""
    spare = settings.spare / len(fit.classes)
    return np.array(
        [
            choose_shift(fit.logits, method.known[:, owner], index, fit.labels == owner, spare, settings.offset_limit)
            for owner, index in enumerate(fit.classes)
        ]
    )


def _method(offsets: Scores, known: Scores, fusions: Sequence[Fusion], settings: vs.SpecializeSettings) -> Method:
    limit = settings.offset_limit
    return Method(
        bounded(offsets, limit),
        np.array([fusion.shift for fusion in fusions]),
        bounded(known, limit),
        tuple(fusion.unchanged for fusion in fusions),
        tuple(fusion.penalty for fusion in fusions),
    )


def pooled_features(fit: Examples, test: Examples) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the pooled features of training and test images, standardized by the former; their length is about 1."""
    x, z = (one.maps[-1].float().mean(dim=(2, 3)).numpy() for one in (fit, test))
    center, spread = x.mean(0), (x.std(0) + 1e-6) * math.sqrt(x.shape[1])
    return (x - center) / spread, (z - center) / spread


def by_pooled(fit: Examples, test: Examples, folds: NDArray[np.intp], settings: vs.SpecializeSettings) -> tuple[Method, Method]:
    """Return the linear classifier on pooled features, alone and joined with the network's score."""
    x, z = pooled_features(fit, test)
    evidence, tested = np.zeros((len(fit), len(fit.classes))), np.zeros((len(test), len(fit.classes)))
    for owner in range(len(fit.classes)):
        labels = fit.labels == owner

        def model(strength: float) -> LogisticRegression:
            return LogisticRegression(C=strength, max_iter=1000)

        best = (-np.inf, 1.0, np.zeros(len(fit)))
        for strength in (0.1, 1.0, 10.0, 100.0):
            out = np.zeros(len(fit))
            for fold in np.unique(folds):
                own = folds == fold
                out[own] = model(strength).fit(x[~own], labels[~own]).decision_function(x[own])
            value = -float((np.logaddexp(0, out) - labels * out).mean())
            if value > best[0]:
                best = (value, strength, out)
        evidence[:, owner] = best[2]
        tested[:, owner] = model(best[1]).fit(x, labels).decision_function(z)
    fusions = []
    for owner, index in enumerate(fit.classes):
        labels = fit.labels == owner
        own = evidence[:, owner : owner + 1]
        # One number of a classifier that was penalized already: it may count as much as it will.
        light = replace(settings, penalties=(1.0, 0.1, 0.01, 1e-6))
        fusion = fit_fusion(margins(fit.logits, index), own, labels, folds, light)
        if not fusion.unchanged:
            shift = choose_shift(fit.logits, own @ fusion.weights, index, labels, settings.spare / len(fit.classes))
            fusion = replace(fusion, shift=shift)
        fusions.append(fusion)
    weights = np.array([float(fusion.weights[0]) for fusion in fusions])
    return replace(nothing(fit, len(test)), alone=tested), _method(tested * weights, evidence * weights, fusions, settings)


def nothing(fit: Examples, count: int) -> Method:
    """Return the method that leaves the logits of `count` test images as they are."""
    classes = len(fit.classes)
    return Method(np.zeros((count, classes)), np.zeros(classes), np.zeros((len(fit), classes)))


def by_shift(fit: Examples, count: int, settings: vs.SpecializeSettings) -> Method:
    untouched = nothing(fit, count)
    return replace(untouched, shifts=constants(untouched, fit, settings))
