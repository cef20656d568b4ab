"""Affinity propagation (Frey & Dueck, Science 2007) with the published preference (docs/paper.md, clusters and summaries)."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import AffinityPropagation
from sklearn.exceptions import ConvergenceWarning

from visual_summaries.clusters.partition import Clusters, largest_first
from visual_summaries.errors import ConvergenceError
from visual_summaries.settings.clusters import ClusterSettings


def affinity_propagation(similarity: NDArray[np.float64], settings: ClusterSettings, random_state: int = 0) -> Clusters:
    """Group regions by affinity propagation; the number of groups is not given.

    The similarities are shifted by their maximum, the preference of every region is ``settings.preference_factor`` (1.3) times
    the median of the shifted off-diagonal similarities.

    Parameters
    ----------
    similarity : ndarray of float64, (R, R)
        Symmetric, R at least 2; the diagonal is not used.
    settings : ClusterSettings
    random_state : int
        Seed of the tiny noise that breaks ties between equal messages.

    Raises
    ------
    ConvergenceError
        If the messages do not settle within ``settings.max_iterations`` steps.
    """
    count = len(similarity)
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
    return largest_first(np.asarray(model.labels_), np.asarray(model.cluster_centers_indices_))
