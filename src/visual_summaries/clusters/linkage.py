"""Average linkage of mutual matches: the default, which the planted truth favours (docs/truth.md).

Affinity propagation looks at similarities alone. Here three more things are used that the regions tell:

- two regions of different images *match* when each is the best of its image for the other (or overlaps the best): a match asks
  who is nearest, not how near, so that it means the same for large and small regions, for all networks and descriptors;
- regions of one image that overlap are the same place, those that do not are different ones;
- a part is not in doubt because it has few regions: no preference has to be set from the similarities' median.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from visual_summaries.clusters.partition import Clusters, largest_first
from visual_summaries.clusters.settings import ClusterSettings

_TOP = 0.999  # quantile of the similarities between images that counts as full strength: a few are far above all others


def average_linkage(
    similarity: NDArray[np.float64], images: NDArray[np.int64], boxes: NDArray[np.int64] | None, settings: ClusterSettings
) -> Clusters:
    """Group regions by average linkage of :func:`match_strengths`; groups are joined while the mean is at least ``strength``.

    Parameters
    ----------
    similarity : ndarray of float64, (R, R)
        Symmetric, R at least 2; entries between regions of one image are not used.
    images : ndarray of int64, (R,)
        Image of each region.
    boxes : ndarray of int64, (R, 4), optional
        Box of each region.
    settings : ClusterSettings
    """
    strengths = match_strengths(similarity, images, boxes, settings.overlap)
    distances = 1 - strengths
    np.fill_diagonal(distances, 0)
    tree = linkage(squareform(distances, checks=False), "average")
    labels = fcluster(tree, 1 - settings.strength, "distance") - 1
    exemplars = np.empty(labels.max() + 1, np.int64)
    between = strengths * (images[:, None] != images[None])
    # of equals (one region, or no match among them) the one that is most like the others
    between += 1e-6 * similarity / max(float(similarity.max()), 1e-12)
    for index in range(len(exemplars)):
        group = np.flatnonzero(labels == index)
        exemplars[index] = group[between[np.ix_(group, group)].sum(axis=1).argmax()]
    return largest_first(labels, exemplars)


def match_strengths(
    similarity: NDArray[np.float64], images: NDArray[np.int64], boxes: NDArray[np.int64] | None = None, overlap: float = 0.5
) -> NDArray[np.float64]:
    """Return how strongly regions match.

    Between images: the similarity, over its 99.9 % quantile and at most 1, where the two match mutually, and 0 elsewhere.
    Within an image: 1 where the boxes overlap, 0 where they do not.

    Parameters
    ----------
    similarity : ndarray of float64, (R, R)
    images : ndarray of int64, (R,)
        Image of each region.
    boxes : ndarray of int64, (R, 4), optional
        Box of each region; without it no two overlap.
    overlap : float
        Boxes of one image overlap when their intersection over the smaller area reaches it.

    Returns
    -------
    ndarray of float64, (R, R)
        In [0, 1], symmetric.

    Examples
    --------
    >>> boxes = np.array([(0, 0, 4, 4), (0, 1, 4, 5), (8, 8, 12, 12)] * 2)
    >>> similarity = np.zeros((6, 6))
    >>> similarity[0, 3] = similarity[3, 0] = 0.5  # the first regions of both images are each other's best
    >>> similarity[0, 4] = similarity[4, 0] = 0.25  # this one lies where the best one lies
    >>> similarity[2, 3] = similarity[3, 2] = 0.25  # 3 has a better one elsewhere
    >>> match_strengths(similarity, np.repeat([0, 1], 3), boxes)[0].round(2).tolist()
    [1.0, 1.0, 0.0, 1.0, 0.5, 0.0]
    """
    count = len(similarity)
    shared = np.eye(count) if boxes is None else _overlaps(boxes)
    same = images[:, None] == images[None]
    if same.all():
        return np.asarray(shared >= overlap, np.float64)
    best = np.zeros((count, count), dtype=bool)
    for image in np.unique(images):
        group = np.flatnonzero(images == image)
        winner = group[similarity[:, group].argmax(axis=1)]
        has = similarity[np.arange(count), winner] > 0
        best[:, group] = (shared[np.ix_(winner, group)] >= overlap) & has[:, None]
    top = float(np.quantile(similarity[~same], _TOP))
    strengths = np.clip(similarity / max(top, 1e-12), 0, 1) * (best & best.T)
    strengths[same] = (shared >= overlap)[same]
    return strengths


def _overlaps(boxes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Intersection of all pairs of boxes over the smaller area (R, R)."""
    low, high = boxes[:, :2], boxes[:, 2:]
    width, height = (
        np.clip(np.minimum.outer(high[:, axis], high[:, axis]) - np.maximum.outer(low[:, axis], low[:, axis]), 0, None)
        for axis in (0, 1)
    )
    areas = (high - low).prod(axis=1)
    return np.asarray(width * height / np.minimum.outer(areas, areas), np.float64)
