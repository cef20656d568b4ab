"""Regions in two dimensions, near each other where they are similar."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.manifold import TSNE

#: Fewer regions than this make no map.
FEWEST = 5


def distances(similarity: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return distances in [0, 1] from similarities.

    Confidences of matching have a long tail and no common scale, so each is taken relative to the best ones of its two regions:
    d(i, j) = 1 - s(i, j) / sqrt(max s(i, .) * max s(j, .)).

    Parameters
    ----------
    similarity : ndarray of float, (R, R)
        Symmetric, >= 0.

    Examples
    --------
    >>> distances(np.array([[0, 4, 1], [4, 0, 0], [1, 0, 0]], float)).tolist()
    [[0.0, 0.0, 0.5], [0.0, 0.0, 1.0], [0.5, 1.0, 0.0]]
    """
    best = similarity.max(axis=1, initial=0)
    scale = np.sqrt(np.outer(best, best))
    relative = np.divide(similarity, scale, out=np.zeros(similarity.shape), where=scale > 0)
    result = np.clip(1 - relative, 0, 1).astype(np.float32)
    np.fill_diagonal(result, 0)
    return np.asarray(result)


def layout(similarity: NDArray[np.floating], random_state: int = 0) -> NDArray[np.float64]:
    """Place regions in the unit square by t-SNE (van der Maaten & Hinton, JMLR 2008) of their distances, evenly spread.

    Parameters
    ----------
    similarity : ndarray of float, (R, R)
        Symmetric, >= 0, R at least :data:`FEWEST`.
    random_state : int
        Same state, same map.

    Returns
    -------
    ndarray of float64, (R, 2)
        Positions (x, y) in [0, 1].

    Raises
    ------
    ValueError
        If there are too few regions for a map.
    """
    count = len(similarity)
    if count < FEWEST:
        raise ValueError(f"{count} regions make no map: {FEWEST} are needed")
    tsne = TSNE(metric="precomputed", init="random", perplexity=min(20.0, (count - 1) / 3), random_state=random_state)
    points = tsne.fit_transform(distances(similarity)).astype(np.float64)
    # Regions that are like no other fly far off and would press the rest into a spot; half of each coordinate is its rank.
    low, span = points.min(axis=0), np.ptp(points, axis=0)
    ranks = rankdata(points, axis=0) - 1
    return np.asarray((points - low) / np.where(span > 0, span, 1) + ranks / (count - 1)) / 2
