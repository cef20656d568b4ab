"""How well the regions of a summary belong together, and to one part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from visual_summaries.results import Summary

_L = TypeVar("_L", bound=Hashable)


def cluster_labels(summaries: Sequence[Summary], regions: int) -> NDArray[np.int64]:
    """Return for each region the position of the summary whose cluster it is in, -1 where there is none.

    Examples
    --------
    >>> cluster_labels([Summary(0, 2, (), (0, 2), 1.0, 0.0)], 4).tolist()
    [0, -1, 0, -1]
    """
    labels = np.full(regions, -1, np.int64)
    for position, summary in enumerate(summaries):
        labels[list(summary.cluster)] = position
    return labels


def silhouettes(similarity: NDArray[np.floating], labels: ArrayLike, images: ArrayLike) -> NDArray[np.float64]:
    """Return the silhouette of each region by similarity: (a - b) / max(a, b).

    a is its mean similarity to the regions of its own cluster, b the largest of its mean similarities to those of another one
    (Rousseeuw 1987, with similarities instead of distances, so that the scale of the similarity does not matter). Regions
    of its own image are left out: they are never compared, their 0 means nothing.

    Similarities (R, R) are at least 0; `labels` has the cluster of each region, negative for none, `images` its image. Values
    lie in [-1, 1]; NaN for regions of no cluster, and for those that have no other region of their cluster in another image.

    Examples
    --------
    >>> similarity = np.array([[0, 4, 1, 1], [4, 0, 1, 1], [1, 1, 0, 2], [1, 1, 2, 0]])
    >>> silhouettes(similarity, [0, 0, 1, 1], [0, 1, 0, 1]).tolist()
    [0.75, 0.75, 0.5, 0.5]
    """
    own, other = likeness(similarity, labels, images)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(np.maximum(own, other) > 0, (own - other) / np.maximum(own, other), own * 0))


def likeness(
    similarity: NDArray[np.floating], labels: ArrayLike, images: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each region's mean similarity to the others of its cluster, and the largest of those to another cluster.

    NaN as in :func:`silhouettes`; the second is 0 where no other cluster is in another image.

    Examples
    --------
    >>> similarity = np.array([[0, 4, 1], [4, 0, 2], [1, 2, 0]])
    >>> [values.tolist() for values in likeness(similarity, [0, 0, 1], [0, 1, 2])]
    [[4.0, 4.0, nan], [1.0, 2.0, nan]]
    """
    labels, images = np.asarray(labels), np.asarray(images)
    own, other = np.full((2, len(labels)), np.nan)
    count = int(labels.max(initial=-1)) + 1
    if count:
        members = (labels[:, None] == np.arange(count)).astype(np.float64)
        comparable = (images[:, None] != images[None, :]).astype(np.float64)
        pairs = comparable @ members
        means = ((comparable * similarity) @ members) / np.maximum(pairs, 1)
        rows = np.flatnonzero(labels >= 0)
        rows = rows[pairs[rows, labels[rows]] > 0]
        own[rows] = means[rows, labels[rows]]
        means[rows, labels[rows]] = 0
        other[rows] = means[rows].max(axis=1)
    return own, other


def cohesion(similarity: NDArray[np.floating], labels: ArrayLike, images: ArrayLike) -> NDArray[np.float64]:
    """Return the mean silhouette (K,) of each cluster's regions; NaN where none has one."""
    labels = np.asarray(labels)
    values = silhouettes(similarity, labels, images)
    found = [values[(labels == index) & np.isfinite(values)] for index in range(int(labels.max(initial=-1)) + 1)]
    return np.array([own.mean() if own.size else np.nan for own in found])


def part_shares(summary: Summary, parts: Sequence[_L]) -> dict[_L, float]:
    """Return which share of a summary's members lies on each part, largest first: the first share is its purity.

    `parts` has what lies under each of the run's regions, from annotations: a name, an index, or anything that can be a key.

    Examples
    --------
    >>> from visual_summaries.results import Member
    >>> members = tuple(Member(region, 1.0, 1.0, np.zeros((1, 1, 3), np.uint8)) for region in (0, 1, 3))
    >>> part_shares(Summary(0, 0, members, (0, 1, 3), 1.0, 0.0), ["wing", "wing", "beak", "tail"])
    {'wing': 0.6666666666666666, 'tail': 0.3333333333333333}
    """
    counts = Counter(parts[member.region] for member in summary.members)
    return {part: count / len(summary.members) for part, count in counts.most_common()}
