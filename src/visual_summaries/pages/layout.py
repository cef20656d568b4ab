"""Regions in two dimensions, near each other where they are similar."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import eigsh
from scipy.spatial.distance import pdist, squareform
from scipy.stats import rankdata
from sklearn.manifold import TSNE, smacof

#: Fewer regions than this make no map.
FEWEST = 5
#: More regions than this are not laid out by distances: each round of it looks at every pair.
MOST_DISTANCES = 1500
#: Rounds of stress majorization; the plane changes little after them.
_ROUNDS = 60


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


def distances_between(descriptors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the distances (R, R) of regions that have descriptors (R, d), as shares of the largest one.

    Examples
    --------
    >>> distances_between(np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 2.5]])).astype(float).round(2).tolist()
    [[0.0, 1.0, 0.5], [1.0, 0.0, 0.67], [0.5, 0.67, 0.0]]
    """
    gaps = squareform(pdist(descriptors)).astype(np.float32)
    return np.asarray(gaps / max(float(gaps.max(initial=0)), 1e-12), np.float32)


def layout(gaps: NDArray[np.floating], random_state: int = 0) -> NDArray[np.float64]:
    """Place regions in the unit square by t-SNE (van der Maaten & Hinton, JMLR 2008) of their distances, evenly spread.

    Parameters
    ----------
    gaps : ndarray of float, (R, R)
        Distances in [0, 1], symmetric; R at least :data:`FEWEST`.
    random_state : int
        Same state, same map.

    Returns
    -------
    ndarray of float64, (R, 2)
        Positions (x, y) in [0, 1]. Neighbors can be trusted, distances between groups cannot.

    Raises
    ------
    ValueError
        If there are too few regions for a map.
    """
    count = _enough(gaps)
    tsne = TSNE(metric="precomputed", init="random", perplexity=min(20.0, (count - 1) / 3), random_state=random_state)
    return _spread(tsne.fit_transform(gaps).astype(np.float64))


def layout_by_distances(gaps: NDArray[np.floating]) -> NDArray[np.float64]:
    """Place regions in the unit square by metric multidimensional scaling of their distances (SMACOF; de Leeuw, 1977).

    Starts from classical scaling (Torgerson, 1952), so nothing is drawn at random. Distances, between groups too, are kept as
    well as a plane can; but most regions match few others, so most distances are nearly 1, and neighbors are less near than
    by :func:`layout`.

    Parameters
    ----------
    gaps : ndarray of float, (R, R)
        Distances in [0, 1], symmetric; R at least :data:`FEWEST`.

    Returns
    -------
    ndarray of float64, (R, 2)
        Positions (x, y) in [0, 1].

    Raises
    ------
    ValueError
        If there are too few regions for a map.
    """
    count = _enough(gaps)
    squared = gaps.astype(np.float64) ** 2
    inner = -(squared - squared.mean(axis=0) - squared.mean(axis=1)[:, None] + squared.mean()) / 2
    values, vectors = eigsh(inner, k=2, which="LA", v0=np.linspace(1, 2, count))
    start = vectors * np.sqrt(np.maximum(values, 1e-12))
    points, _ = smacof(gaps.astype(np.float64), n_components=2, init=start, n_init=1, max_iter=_ROUNDS, normalized_stress=False)
    return _spread(points)


def _enough(gaps: NDArray[np.floating]) -> int:
    count = len(gaps)
    if count < FEWEST:
        raise ValueError(f"{count} regions make no map: {FEWEST} are needed")
    return count


def _spread(points: NDArray[np.float64]) -> NDArray[np.float64]:
    # Regions that are like no other fly far off and would press the rest into a spot; half of each coordinate is its rank.
    low, span = points.min(axis=0), np.ptp(points, axis=0)
    ranks = rankdata(points, axis=0) - 1
    return np.asarray((points - low) / np.where(span > 0, span, 1) + ranks / (len(points) - 1)) / 2
