"""Which summary a region of a new image belongs to: by similarity to the regions of the run, with a least one found there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class Matcher:
    """What counts as belonging to a summary.

    Attributes
    ----------
    labels : ndarray of int64, (R,)
        Summary of each reference region, -1 for none.
    least : ndarray of float64, (K,)
        Least mean similarity to a summary's reference regions; infinite where it has fewer than two.
    found, mistaken : ndarray of float64, (K,)
        On the references themselves, each image left out in turn: share of the summary's own regions, and of all others, that
        reach it.
    """

    labels: NDArray[np.int64]
    least: NDArray[np.float64]
    found: NDArray[np.float64]
    mistaken: NDArray[np.float64]

    def sureness(self, similarity: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return how far new regions reach the least similarity: ``(N, K)`` from ``(N, R)``; from 1 on they belong."""
        return np.asarray(_means(similarity, self.labels, len(self.least), np.ones_like(similarity)) / self.least)


def fit_matcher(similarity: NDArray[np.floating], labels: ArrayLike, images: ArrayLike, summaries: int) -> Matcher:
    """Find for each summary the least similarity that tells its own regions from all others.

    A region's similarity to a summary is its mean similarity to the summary's regions in *other* images, so that no image
    vouches for itself. The least one is where the share of own regions that reach it exceeds that of the others by most (Youden
    1950), half way to the next lower value.

    Parameters
    ----------
    similarity : ndarray of float, (R, R)
        Of the reference regions.
    labels : array_like of int, (R,)
        Summary of each, -1 for none.
    images : array_like of int, (R,)
        Image of each.
    summaries : int
        Number K of summaries.

    Examples
    --------
    >>> similarity = np.array([[0, 8, 1, 2], [8, 0, 2, 1], [1, 2, 0, 6], [2, 1, 6, 0]])
    >>> matcher = fit_matcher(similarity, [0, 0, 1, 1], [0, 1, 0, 1], 2)
    >>> matcher.least.tolist(), matcher.found.tolist(), matcher.mistaken.tolist()
    ([5.0, 4.0], [1.0, 1.0], [0.0, 0.0])
    >>> matcher.sureness(np.array([[5.0, 6.0, 1.0, 1.0]])).round(2).tolist()
    [[1.1, 0.25]]
    """
    labels, images = np.asarray(labels, np.int64), np.asarray(images)
    means = _means(similarity, labels, summaries, (images[:, None] != images[None, :]).astype(np.float64))
    least, found, mistaken = np.full(summaries, np.inf), np.zeros(summaries), np.zeros(summaries)
    for k in range(summaries):
        own = np.sort(means[(labels == k) & np.isfinite(means[:, k]), k])
        others = np.sort(means[(labels != k) & np.isfinite(means[:, k]), k])
        if len(own) < 2:
            continue
        hits = 1 - np.arange(len(own)) / len(own)
        false = 1 - np.searchsorted(others, own) / max(len(others), 1)
        place = int(np.argmax(hits - false))
        lower = np.concatenate([own[:place], others[others < own[place]]])
        least[k] = (own[place] + (lower.max() if lower.size else own[place])) / 2
        found[k], mistaken[k] = (own >= least[k]).mean(), (others >= least[k]).mean() if len(others) else 0.0
    return Matcher(labels, np.maximum(least, 1e-12), found, mistaken)


def _means(
    similarity: NDArray[np.floating], labels: NDArray[np.int64], summaries: int, weights: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return the mean similarity (N, K) to the regions of each summary; NaN where none may be looked at."""
    members = (labels[:, None] == np.arange(summaries)).astype(np.float64)
    with np.errstate(invalid="ignore"):
        return np.asarray((similarity * weights) @ members / (weights @ members))
