"""Whether the same clusters are found again on other images and with other seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

from visual_summaries.errors import ConvergenceError
from visual_summaries.parts.clusters import cluster
from visual_summaries.settings.stages import ClusterSettings

#: A resampling takes no more regions than this, so that its time stays bounded (clustering is quadratic in them).
LARGEST = 1000


def resample(
    similarity: NDArray[np.floating],
    images: ArrayLike,
    clusters: Sequence[Sequence[int]],
    settings: ClusterSettings | None = None,
    *,
    number: int = 0,
    random_state: int = 0,
) -> NDArray[np.float64]:
    """Cluster resampled images again, and return how much of each cluster is found again (Hennig 2007).

    As many images are drawn as there are, with replacement; the distinct ones (about 63 %) are clustered with another seed,
    from the similarity that is there. Old and new clusters are matched one to one by Hungarian assignment, so that the sum of
    their Jaccard indices is largest; NaN where no region of a cluster was drawn. Where clustering does not converge nothing
    is found again. Each resampling draws by its `number`, so that they can be computed anywhere, in any order.

    Examples
    --------
    >>> similarity = np.kron(np.eye(2), np.ones((10, 10))) + np.random.default_rng(0).uniform(0, 0.01)
    >>> resample(similarity, np.tile(np.arange(10), 2), [range(10), range(10, 20)]).tolist()
    [1.0, 1.0]
    """
    images = np.asarray(images)
    names = np.unique(images)
    rng = np.random.default_rng([random_state, number])
    drawn = rng.permutation(np.unique(rng.choice(names, size=len(names))) if len(names) else names)
    sizes = np.cumsum([int((images == name).sum()) for name in drawn])
    chosen = np.flatnonzero(np.isin(images, drawn[: max(int((sizes <= LARGEST).sum()), 1)]))
    member = np.zeros((len(clusters), len(images)), bool)
    for row, regions in zip(member, clusters, strict=True):
        row[list(regions)] = True
    old = member[:, chosen]
    try:
        again = cluster(similarity[np.ix_(chosen, chosen)], settings, random_state=int(rng.integers(2**31)))
        labels = again.labels
    except ConvergenceError:
        labels = np.full(len(chosen), -1)
    new = labels[None, :] == np.arange(labels.max(initial=-1) + 1)[:, None]
    return np.where(old.any(axis=1), matched_jaccard(old, new), np.nan)


def mean_jaccard(found: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over resamplings (N, K) of what was found again of each cluster (K,); NaN where none had any of it.

    Examples
    --------
    >>> mean_jaccard(np.array([[1.0, np.nan], [0.5, np.nan]])).tolist()
    [0.75, nan]
    """
    counts = np.isfinite(found).sum(axis=0)
    return np.where(counts > 0, np.nansum(found, axis=0) / np.maximum(counts, 1), np.nan)


def matched_jaccard(old: NDArray[np.bool_], new: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return for each old set, a row (K, R), the Jaccard index with the new one (L, R) that it is matched with; 0 if none is.

    Examples
    --------
    >>> old = np.array([[1, 1, 0, 0], [0, 0, 1, 1], [0, 1, 0, 0]], bool)
    >>> new = np.array([[0, 0, 1, 0], [1, 1, 0, 0]], bool)
    >>> matched_jaccard(old, new).tolist()
    [1.0, 0.5, 0.0]
    """
    result = np.zeros(len(old))
    if old.size and new.size:
        a, b = old.astype(np.int64), new.astype(np.int64)
        both = a @ b.T
        union = a.sum(axis=1)[:, None] + b.sum(axis=1)[None, :] - both
        jaccard = both / np.maximum(union, 1)
        rows, columns = linear_sum_assignment(jaccard, maximize=True)
        result[rows] = jaccard[rows, columns]
    return result
