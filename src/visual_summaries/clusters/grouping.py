"""One name for all methods of clustering."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from visual_summaries.clusters.affinity import affinity_propagation
from visual_summaries.clusters.linkage import average_linkage
from visual_summaries.clusters.partition import Clusters, checked_similarity
from visual_summaries.clusters.settings import ClusterSettings
from visual_summaries.errors import SettingsError


def cluster(
    similarity: NDArray[np.floating],
    settings: ClusterSettings | None = None,
    *,
    images: ArrayLike | None = None,
    boxes: ArrayLike | None = None,
    random_state: int = 0,
) -> Clusters:
    """Group regions that are alike; the number of groups is not given.

    Parameters
    ----------
    similarity : ndarray of float, (R, R)
        Symmetric; the diagonal is not used.
    settings : ClusterSettings, optional
        Affinity propagation with the published constants unless given.
    images : array_like of int, (R,), optional
        Image of each region, for ``"linkage"``; without it each counts as of an image of its own.
    boxes : array_like of int, (R, 4), optional
        Box of each region, for ``"linkage"``; without it no two regions of an image overlap.
    random_state : int
        Seed of the tiny noise by which affinity propagation breaks ties.

    Returns
    -------
    Clusters

    Raises
    ------
    SettingsError
        If `similarity` is not a square, symmetric, finite matrix, or `images` or `boxes` are not as many as its rows.
    ConvergenceError
        If affinity propagation does not settle within ``settings.max_iterations`` steps.

    Examples
    --------
    >>> similarity = np.kron(np.eye(2), np.ones((3, 3))) + 0.01
    >>> cluster(similarity).labels.tolist()
    [0, 0, 0, 1, 1, 1]
    >>> cluster(similarity, ClusterSettings(method="linkage", strength=0.1)).labels.tolist()
    [0, 0, 0, 1, 1, 1]
    """
    settings = settings or ClusterSettings()
    checked = checked_similarity(similarity)
    count = len(checked)
    owner = np.arange(count) if images is None else np.asarray(images, np.int64)
    where = None if boxes is None else np.asarray(boxes, np.int64).reshape(-1, 4)
    for name, given in (("images", owner), ("boxes", where)):
        if given is not None and len(given) != count:
            raise SettingsError(f"{len(given)} {name} were given for a similarity of {count} rows; give one for each row")
    if count < 2:
        return Clusters(np.zeros(count, dtype=np.int64), np.arange(count, dtype=np.int64))
    if settings.method == "linkage":
        return average_linkage(checked, owner, where, settings)
    return affinity_propagation(checked, settings, random_state)
