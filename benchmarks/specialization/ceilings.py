"""What could be gained at best: a linear model beside the score, its strength chosen on the test images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from benchmarks.specialization.methods import pooled_features
from benchmarks.specialization.worlds import subset
from visual_summaries.specialization.examples import Examples
from visual_summaries.specialization.fusion import margins
from visual_summaries.specialization.learning import average_precision

STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0)

#: Images of each class that are learned from.
COUNTS = (12, 25, 50)

#: The margin is hardly held back by the penalty.
FREE = 10.0


def ceilings(fit: Examples, test: Examples, seed: int) -> dict[str, float]:
    """Return gains in points of mAP by how many images of each class are learned from; the last: and from test images.

    Each class's best strength is chosen on the very images that it is measured on, so no honest choice can do better.
    """
    rng = np.random.default_rng(seed)
    x, z = pooled_features(fit, test)
    found = {}
    for count in COUNTS:
        chosen = [np.flatnonzero(fit.labels < 0)]
        for owner in range(len(fit.classes)):
            chosen.append(rng.permutation(np.flatnonzero(fit.labels == owner))[:count])
        rows = np.concatenate(chosen)
        found[f"{count} images"] = _gain(subset(fit, rows), x[rows], [(test, z)], [None])
    # Half of the test images are learned from as well, the other half is tested on; then the other way round.
    half = np.zeros(len(test), bool)
    for label in np.unique(test.labels):
        places = np.flatnonzero(test.labels == label)
        half[rng.permutation(places)[: len(places) // 2]] = True
    halves = [(subset(test, np.flatnonzero(own)), z[own]) for own in (~half, half)]
    found["and half of the test images"] = _gain(fit, x, halves, [halves[1], halves[0]])
    return found


def _gain(
    fit: Examples,
    x: NDArray[np.float32],
    tests: Sequence[tuple[Examples, NDArray[np.float32]]],
    further: Sequence[tuple[Examples, NDArray[np.float32]] | None],
) -> float:
    gains = []
    for owner, index in enumerate(fit.classes):
        for (test, z), more in zip(tests, further, strict=True):
            parts = [(fit, x), *([more] if more else [])]
            rows = np.concatenate([_joined(one, features, index) for one, features in parts])
            labels = np.concatenate([one.labels == owner for one, _ in parts])
            truth, before = test.labels == owner, margins(test.logits, index)
            after = [
                LogisticRegression(C=strength, max_iter=2000).fit(rows, labels).decision_function(_joined(test, z, index))
                for strength in STRENGTHS
            ]
            best = max(average_precision(truth, score) for score in after)
            gains.append(100 * (best - average_precision(truth, before)))
    return float(np.mean(gains))


def _joined(examples: Examples, features: NDArray[np.float32], index: int) -> NDArray[np.float64]:
    return np.column_stack([FREE * margins(examples.logits, index), features])
