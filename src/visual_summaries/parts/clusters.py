"""Affinity propagation of regions, the published way to groups."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import AffinityPropagation
from sklearn.exceptions import ConvergenceWarning

from visual_summaries._validate import require_settings
from visual_summaries.errors import ConvergenceError, SettingsError
from visual_summaries.results import Result
from visual_summaries.settings.stages import ClusterSettings


@dataclass(frozen=True, eq=False, repr=False)
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


def cluster(similarity: NDArray[np.floating], settings: ClusterSettings | None = None, *, random_state: int = 0) -> Clusters:
    """Group regions that are similar by affinity propagation; the number of groups is not given.

    The similarities are shifted by their maximum; the preference of every region is ``settings.preference_factor`` (1.3) times
    the median of the shifted off-diagonal similarities.

    Parameters
    ----------
    similarity : ndarray of float, (R, R)
        Symmetric; the diagonal is not used.
    settings : ClusterSettings, optional
        The published constants unless given.
    random_state : int
        Seed of the tiny noise that breaks ties.

    Returns
    -------
    Clusters

    Raises
    ------
    SettingsError
        If `similarity` is not a square, symmetric, finite matrix.
    ConvergenceError
        If the messages do not settle within ``settings.max_iterations`` steps.

    Examples
    --------
    >>> similarity = np.kron(np.eye(2), np.ones((3, 3))) + 0.01
    >>> cluster(similarity).labels.tolist()
    [0, 0, 0, 1, 1, 1]
    """
    require_settings(settings, ClusterSettings)
    similarity = np.asarray(similarity, dtype=np.float64)
    if similarity.ndim != 2 or similarity.shape[0] != similarity.shape[1]:
        raise SettingsError(f"similarity has shape {similarity.shape}, but must be square (regions x regions)")
    if not np.isfinite(similarity).all():
        raise SettingsError("similarity holds NaN or infinite values; every pair of regions needs a finite similarity")
    if not np.allclose(similarity, similarity.T, rtol=1e-4, atol=1e-6):
        raise SettingsError("similarity is not symmetric; average it with its transpose first")
    count = len(similarity)
    if count < 2:
        return Clusters(np.zeros(count, dtype=np.int64), np.arange(count, dtype=np.int64))
    settings = settings or ClusterSettings()
    off_diagonal = ~np.eye(count, dtype=bool)
    shifted = similarity - similarity[off_diagonal].max()
    preference = settings.preference_factor * float(np.median(shifted[off_diagonal]))
    model = AffinityPropagation(
        affinity="precomputed",
        preference=preference,
        damping=settings.damping,
        max_iter=settings.max_iterations,
        convergence_iter=settings.convergence_iterations,
        random_state=random_state,
    )
    with warnings.catch_warnings():
        # scikit-learn tells of both failures by a warning only, with labels that look like a result.
        warnings.simplefilter("error", ConvergenceWarning)
        warnings.filterwarnings("ignore", message="All samples have mutually equal similarities")
        try:
            model.fit(shifted)
        except ConvergenceWarning as error:
            raise ConvergenceError(
                f"affinity propagation did not converge on {count} regions within {settings.max_iterations} steps "
                f"(damping {settings.damping}, preference {preference:.4g}); raise ClusterSettings.max_iterations or damping "
                "(below 1), or use the preset 'default'"
            ) from error
    return _largest_first(np.asarray(model.labels_), np.asarray(model.cluster_centers_indices_))


def _largest_first(labels: NDArray[np.integer], exemplars: NDArray[np.integer]) -> Clusters:
    sizes = np.bincount(labels, minlength=len(exemplars))
    order = np.lexsort((exemplars, -sizes))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return Clusters(rank[labels], exemplars[order].astype(np.int64))
