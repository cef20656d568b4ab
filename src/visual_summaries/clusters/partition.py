"""What clustering gives, and what it asks of a similarity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visual_summaries.errors import SettingsError
from visual_summaries.results import Result


@dataclass(frozen=True, eq=False)
class Clusters(Result):
    """A partition of regions.

    Attributes
    ----------
    labels : ndarray of int64, (R,)
        Cluster of each region, 0 .. K-1, the largest cluster first.
    exemplars : ndarray of int64, (K,)
        Region that stands for each cluster.
    """

    labels: NDArray[np.int64]
    exemplars: NDArray[np.int64]

    def members(self, index: int) -> NDArray[np.int64]:
        """Return the regions of cluster `index`, ascending."""
        return np.flatnonzero(self.labels == index).astype(np.int64)


def checked_similarity(similarity: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return a similarity as float64.

    Raises
    ------
    SettingsError
        If it is not a square, symmetric, finite matrix.
    """
    checked: NDArray[np.float64] = np.asarray(similarity, dtype=np.float64)
    if checked.ndim != 2 or checked.shape[0] != checked.shape[1]:
        raise SettingsError(f"similarity has shape {checked.shape}, but must be square (regions x regions)")
    if not np.isfinite(checked).all():
        raise SettingsError("similarity holds NaN or infinite values; every pair of regions needs a finite similarity")
    if not np.allclose(checked, checked.T, rtol=1e-4, atol=1e-6):
        raise SettingsError("similarity is not symmetric; average it with its transpose first")
    return checked


def largest_first(labels: NDArray[np.integer], exemplars: NDArray[np.integer]) -> Clusters:
    """Return the clusters in the order of their sizes.

    Examples
    --------
    >>> largest_first(np.array([1, 0, 1]), np.array([1, 2])).labels.tolist()
    [0, 1, 0]
    """
    sizes = np.bincount(labels, minlength=len(exemplars))
    order = np.lexsort((exemplars, -sizes))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return Clusters(rank[labels], exemplars[order].astype(np.int64))
