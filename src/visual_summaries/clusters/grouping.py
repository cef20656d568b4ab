"""Groups of regions from their similarities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visual_summaries.clusters.affinity import affinity_propagation
from visual_summaries.clusters.partition import Clusters, checked_similarity
from visual_summaries.settings.clusters import ClusterSettings


def cluster(similarity: NDArray[np.floating], settings: ClusterSettings | None = None, *, random_state: int = 0) -> Clusters:
    """Group regions that are alike by affinity propagation; the number of groups is not given.

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
    checked = checked_similarity(similarity)
    if len(checked) < 2:
        return Clusters(np.zeros(len(checked), dtype=np.int64), np.arange(len(checked), dtype=np.int64))
    return affinity_propagation(checked, settings or ClusterSettings(), random_state)
