"""How a network's own margin and the evidence of parts are joined: a small logistic model that may add nothing.

For one class, an image's log odds are modeled as ``slope * margin + weights @ evidence + constant``, weights not negative and
held at 0 by a penalty. The margin is the network's own log odds of the class. Divided by `slope`, this is the margin with an
offset beside it, and that offset is all that a specialized network adds to the class's logit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logsumexp

from visual_summaries.specialization.settings import SpecializeSettings

_LEAST_SLOPE = 0.1


@dataclass(frozen=True, eq=False)
class Fusion:
    """What is added to the logit of one class.

    Attributes
    ----------
    weights : ndarray of float64, (P,)
        Of the evidence of its parts; all 0 where nothing is added.
    shift : float
        Constant beside them.
    penalty : float
        The penalty that was chosen; infinite where nothing is added.
    gain, error : float
        Cross-validated gain in log likelihood for each image, over the network's own margin (recalibrated alike), of the best
        penalty, and its standard error.
    """

    weights: NDArray[np.float64]
    shift: float
    penalty: float
    gain: float
    error: float

    @property
    def unchanged(self) -> bool:
        """Whether the class is left as it was."""
        return not self.weights.any()


def margins(logits: NDArray[np.floating], index: int) -> NDArray[np.float64]:
    """Return a class's log odds (N,) by the network's own softmax.

    Examples
    --------
    >>> margins(np.log([[0.8, 0.1, 0.1]]), 0).round(4).tolist() == [np.log(4).round(4)]
    True
    """
    array = np.asarray(logits, np.float64)
    return np.asarray(array[:, index] - logsumexp(np.delete(array, index, axis=1), axis=1))


def fit_logistic(
    margin: NDArray[np.float64], evidence: NDArray[np.float64], labels: NDArray[np.bool_], penalty: float
) -> tuple[float, NDArray[np.float64], float]:
    """Return slope, weights (P,) and constant of the penalized logistic model; convex, so the answer is the only one.

    Half of `penalty` times the sum of squared weights is added to the sum of the images' negative log likelihoods.
    """
    count = evidence.shape[1]
    x = np.column_stack([margin, evidence, np.ones(len(margin))])
    held = np.concatenate([[0.0], np.full(count, penalty), [0.0]])

    def loss(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = x @ theta
        value = float(losses(z, labels).sum() + 0.5 * (held * theta**2).sum())
        return value, x.T @ (expit(z) - labels) + held * theta

    start = np.concatenate([[1.0], np.zeros(count + 1)])
    bounds = [(_LEAST_SLOPE, None)] + [(0.0, None)] * count + [(None, None)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500}).x
    return float(found[0]), np.asarray(found[1:-1]), float(found[-1])


def fit_fusion(
    margin: NDArray[np.float64],
    evidence: NDArray[np.float64],
    labels: NDArray[np.bool_],
    folds: NDArray[np.intp],
    settings: SpecializeSettings,
) -> Fusion:
    """Choose how much the evidence of parts counts, by cross-validation; nothing, unless it helps by more than its error.

    The margin (N,) is the network's log odds of the class, the evidence (N, P) is by detectors that were not trained on the
    image; `labels` say whether it shows the class. The shift is 0, see :func:`choose_shift`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> labels, folds = np.arange(200) % 2 == 0, np.arange(200) // 2 % 5
    >>> noise, part = rng.normal(size=(2, 200))
    >>> fit_fusion(noise, part[:, None] + 2 * labels[:, None], labels, folds, SpecializeSettings()).weights.round() > 0
    array([ True])
    >>> fit_fusion(noise + 2 * labels, part[:, None], labels, folds, SpecializeSettings()).unchanged
    True
    """
    alone = losses(out_of_fold(margin, evidence[:, :0], labels, folds, 0.0), labels)
    found = []
    for penalty in sorted(settings.penalties, reverse=True):
        gains = alone - losses(out_of_fold(margin, evidence, labels, folds, penalty), labels)
        found.append((float(gains.mean()), float(gains.std(ddof=1) / np.sqrt(len(gains))), penalty))
    gain, error, penalty = max(found, key=lambda one: one[0])
    if not gain > settings.least_gain * error:
        return Fusion(np.zeros(evidence.shape[1]), 0.0, np.inf, gain, error)
    slope, weights, _ = fit_logistic(margin, evidence, labels, penalty)
    return Fusion(weights / slope, 0.0, penalty, gain, error)


def out_of_fold(
    margin: NDArray[np.float64],
    evidence: NDArray[np.float64],
    labels: NDArray[np.bool_],
    folds: NDArray[np.intp],
    penalty: float,
) -> NDArray[np.float64]:
    """Return the log odds (N,) of the class in each image, by a model that was fitted without its fold."""
    scores = np.empty(len(margin))
    for fold in np.unique(folds):
        out = folds == fold
        slope, weights, constant = fit_logistic(margin[~out], evidence[~out], labels[~out], penalty)
        scores[out] = slope * margin[out] + evidence[out] @ weights + constant
    return scores


def losses(scores: NDArray[np.float64], labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the negative log likelihood (N,) of each image's label, given its log odds."""
    return np.asarray(np.logaddexp(0, scores) - labels * scores)


def choose_shift(
    logits: NDArray[np.floating],
    offsets: NDArray[np.float64],
    index: int,
    labels: NDArray[np.bool_],
    spare: float,
    limit: float = 6.0,
) -> float:
    """Return the constant that makes most images of a class the network's first choice, and hardly any others.

    Of the best constants, the smallest. Beside it `offsets` (N,) are added to the logits (N, K) of the class; at most the share
    `spare` of the other images may newly become this class, and `limit` is the largest constant, either way.

    Examples
    --------
    >>> logits = np.array([[0.0, 1], [0, 2], [0, 3], [0, 5]])
    >>> labels = np.array([True, True, False, False])
    >>> round(choose_shift(logits, np.zeros(4), 0, labels, 0.0), 3)
    2.001
    """
    array = np.asarray(logits, np.float64)
    gap = np.delete(array, index, axis=1).max(axis=1) - array[:, index]
    needed = gap - offsets  # a larger constant makes the image this class
    candidates = np.unique(needed[labels]) + 1e-3
    other = np.sort(needed[~labels & (gap > 0)])
    fired = np.searchsorted(other, candidates, side="left") / max(int((~labels).sum()), 1)
    allowed = candidates[(fired <= spare) & (np.abs(candidates) <= limit)]
    return float(allowed[-1]) if len(allowed) else 0.0
