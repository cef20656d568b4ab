"""ACE's construction of concepts, for ``peers.py``: superpixels at three scales, grouped by the features of their patches.

Ghorbani et al., "Towards Automatic Concept-based Explanations", NeurIPS 2019, written from the paper: each image is cut into
superpixels at three resolutions, less those that repeat one of a coarser resolution; each superpixel, all else gray, is
resized to the network's input; the pooled activations of a layer are grouped by k-means into 25 clusters; clusters of too few
images are dropped; a cluster is the 40 patches that are nearest to its center. The concept score (TCAV) is left out: it needs
random images, which the user of ACE has to give, and drops or ranks concepts without changing where they lie.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import slic
from sklearn.cluster import KMeans

from benchmarks.parts.baselines import pooled_maps
from visual_summaries.classifiers import Classifier

View = NDArray[np.uint8]
Pixels = NDArray[np.bool_]

#: Superpixels an image at each resolution, and the share of two that overlaps from which on they are one (Jaccard index).
SEGMENTS, ALIKE = (15, 50, 80), 0.5
#: Clusters, and patches that a cluster keeps.
CLUSTERS, NEAREST = 25, 40

_COMPACTNESS, _SIGMA, _GRAY = 20.0, 1.0, 117


def superpixels(view: View) -> list[Pixels]:
    """Return the superpixels (H, W) of an image at all resolutions, without repeated ones."""
    found: list[Pixels] = []
    for count in SEGMENTS:
        labels = slic(view, n_segments=count, compactness=_COMPACTNESS, sigma=_SIGMA, start_label=0)
        before = list(found)
        for label in range(labels.max() + 1):
            own = labels == label
            if own.any() and all(np.sum(own & other) <= ALIKE * np.sum(own | other) for other in before):
                found.append(own)
    return found


def patch(view: View, segment: Pixels) -> View:
    """Return what a superpixel shows, all else gray, its box as large as the view."""
    rows, columns = np.nonzero(segment)
    box = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    shown = np.where(segment[..., None], view, np.uint8(_GRAY))[box]
    return np.asarray(cv2.resize(shown, view.shape[1::-1], interpolation=cv2.INTER_CUBIC), np.uint8)


def popular(patches: int, images: int, total: int) -> bool:
    """Tell whether a cluster of so many patches, of so many images out of `total`, is kept.

    It is of more than half of the images; of more than a quarter, with more patches than there are images; or has more than
    twice as many patches as there are images.

    Examples
    --------
    >>> popular(6, 6, 10), popular(11, 3, 10), popular(21, 1, 10), popular(10, 5, 10)
    (True, True, True, False)
    """
    return images > total / 2 or (images > total / 4 and patches > total) or patches > 2 * total


def ace_labels(classifier: Classifier, views: Sequence[View], random_state: int = 0) -> list[NDArray[np.int16]]:
    """Return which concept each pixel of each image (H, W) is in, the largest concept 0; -1 for none."""
    segments = [superpixels(view) for view in views]
    owners = np.repeat(np.arange(len(views)), [len(own) for own in segments])
    pictures = [patch(view, one) for view, own in zip(views, segments, strict=True) for one in own]
    groups, distances = grouped(pooled_maps(classifier, pictures), owners, len(views), random_state)
    starts = np.cumsum([0, *(len(own) for own in segments)])
    return [
        nearest_label(own, groups[start : start + len(own)], distances[start : start + len(own)])
        for own, start in zip(segments, starts[:-1], strict=True)
    ]


def grouped(
    features: NDArray[np.float32], owners: NDArray[np.intp], total: int, random_state: int = 0
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the concept of each patch (n,), -1 for none, and its distance from the center.

    Parameters
    ----------
    features : ndarray of float32, (n, C)
    owners : ndarray of intp, (n,)
        Image of each patch.
    total : int
        Images.
    random_state : int
    """
    model = KMeans(min(CLUSTERS, len(features)), n_init=10, random_state=random_state).fit(features)
    distances = np.linalg.norm(features - model.cluster_centers_[model.labels_], axis=1)
    members = [np.flatnonzero(model.labels_ == k) for k in range(model.n_clusters)]
    kept = [own for own in members if popular(len(own), len(set(owners[own])), total)]
    found = np.full(len(features), -1, np.intp)
    for concept, own in enumerate(sorted(kept, key=len, reverse=True)):
        found[own[np.argsort(distances[own], kind="stable")[:NEAREST]]] = concept
    return found, np.asarray(distances, np.float64)


def nearest_label(
    segments: Sequence[Pixels], groups: NDArray[np.integer], distances: NDArray[np.floating]
) -> NDArray[np.int16]:
    """Return the concept of each pixel of an image: of its superpixels in one, that which is nearest to the center."""
    found = np.full(segments[0].shape, -1, np.int16)
    for one in np.argsort(-distances, kind="stable"):
        if groups[one] >= 0:
            found[segments[one]] = groups[one]
    return found
