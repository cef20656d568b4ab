"""Linear heads on frozen features, fitted on few images, and the weights with which their log probabilities are added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from torch import nn

Features = NDArray[np.floating]
Positions = NDArray[np.intp]

#: Inverses of the penalty of a head, each tried; features have a mean squared length of 1.
STRENGTHS = (1.0, 10.0, 100.0, 1e3, 1e4, 1e5)


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

    Weights lie in the span of the training images, so all is computed there.

    Parameters
    ----------
    features : ndarray, (n, D)
        Of the training images, with a mean squared length of 1 (:func:`as_block`).
    labels : ndarray of int, (n,)
        Two classes or more.
    folds : ndarray of int, (n,)
    """
    _, values, directions = np.linalg.svd(features, full_matrices=False)
    directions = directions[values > 1e-6 * values[0]]
    x = np.asarray(features @ directions.T, np.float64)
    best: tuple[float, float, NDArray[np.float64]] = (-np.inf, STRENGTHS[0], np.zeros(0))
    for strength in STRENGTHS:
        out = np.empty((len(labels), len(np.unique(labels))))
        for fold in np.unique(folds):
            left = folds == fold
            weights, bias = _weights(_logistic(strength).fit(x[~left], labels[~left]))
            out[left] = x[left] @ weights.T + bias
        likelihood = float(log_softmax(out)[np.arange(len(labels)), labels].mean())
        if likelihood > best[0]:
            best = (likelihood, strength, out)
    weights, bias = _weights(_logistic(best[1]).fit(x, labels))
    return Head(weights @ directions, bias, best[1], best[2])


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
    return np.asarray(np.exp(minimize(loss, start, method="L-BFGS-B", bounds=[(-8, 3)] * len(logs)).x))


def _logistic(strength: float) -> LogisticRegression:
    # With the usual tolerance it stops before weights that are hardly held back are found.
    return LogisticRegression(C=strength, max_iter=2000, tol=1e-6)


def _weights(model: LogisticRegression) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return weights (C, D) and constants (C,); of two classes scikit-learn gives those of the second over the first."""
    weights, bias = model.coef_, model.intercept_
    if len(bias) == 1:
        weights, bias = np.concatenate([0 * weights, weights]), np.concatenate([0 * bias, bias])
    return weights, bias
