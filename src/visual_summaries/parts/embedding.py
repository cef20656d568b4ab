"""Parts: what the evidence of many images is divided among, found by grouping its cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from warnings import catch_warnings, simplefilter

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.exceptions import ConvergenceWarning

from visual_summaries.parts.cells import Cells
from visual_summaries.results import Parts
from visual_summaries.settings.stages import PartSettings

#: Most cells, over all images, that parts are found on; more images give fewer each, so that time and memory stay bounded.
MOST_CELLS = 12_000
#: Most cells that others are averaged with.
MOST_REFERENCES = 4096
#: More cells than this are grouped in mini-batches.
MOST_AT_ONCE = 20_000
_STARTS = 5
_OWN = 0.5  # weight of a cell's own features beside the mean of its neighbors
_CHUNK = 2048  # cells whose neighbors are searched for at a time
_ROWS = 256  # of which so many are ordered at a time
_REACH, _SLACK = 0.99, 1.25  # share of a part's cells within its reach, and how much further new images' may lie


@dataclass(frozen=True, eq=False)
class Sample:
    """Cells of several images in one table.

    Attributes
    ----------
    features : ndarray of float32, (n, d)
        Embedded (:func:`embed`).
    weight : ndarray of float32, (n,)
    image : ndarray of int64, (n,)
    """

    features: NDArray[np.float32]
    weight: NDArray[np.float32]
    image: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.weight)


def unit(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return rows of length 1; rows of zeros stay."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-9), np.float32)


def learn_embedding(
    cells: Sequence[Cells], settings: PartSettings, random_state: int = 0, origins: Sequence[int] | None = None
) -> tuple[Parts, Sample]:
    """Learn how cells are compared, and return the cells that parts are to be found on.

    Features are centered on the mean over all images and brought to length 1; their main directions are kept (truncated SVD of
    the evidence). Each cell is then averaged with its most similar cells of other images, its *neighbors*: what several images
    agree on stays, what one image alone has fades. Its place relative to the evidence of its image is appended.

    Parameters
    ----------
    cells : sequence of Cells
        Of each image; read once from end to end and once more for the sample.
    settings : PartSettings
    random_state : int
    origins : sequence of int, optional
        For each image the position of the one that it counts with; its own unless given. Near copies are no *other* images.

    Returns
    -------
    Parts
        Without centers.
    Sample
    """
    rng = np.random.default_rng(random_state)
    mean = np.asarray(np.mean([one.mean for one in cells], axis=0, dtype=np.float64), np.float32)
    share = max(MOST_CELLS // max(len(cells), 1), 1)
    looks, places, weights, images = [], [], [], []
    for origin, one in zip(range(len(cells)) if origins is None else origins, cells, strict=True):
        core = np.flatnonzero(one.core)
        if len(core) > share:
            core = np.sort(rng.choice(core, share, replace=False))
        looks.append(unit(one.features[core] - mean))
        places.append(one.place[core])
        weights.append(one.weight[core])
        images.append(np.full(len(core), origin, np.int64))
    look, image = np.concatenate(looks), np.concatenate(images)
    directions = _main_directions(look, settings.dimensions, random_state)
    look = unit(look @ directions)
    chosen = np.arange(len(look))
    if len(chosen) > MOST_REFERENCES:
        chosen = np.sort(rng.choice(chosen, MOST_REFERENCES, replace=False))
    parts = Parts(
        mean=mean,
        directions=directions,
        references=look[chosen],
        reference_images=image[chosen],
        neighbors=settings.neighbors,
        place=settings.place,
        centers=np.zeros((0, directions.shape[1] + 2), np.float32),
        reach=np.zeros(0, np.float32),
        tree=np.zeros((0, 4)),
    )
    embedded = _join(parts, look, np.concatenate(places), image)
    return parts, Sample(embedded, np.concatenate(weights), image)


def _main_directions(look: NDArray[np.float32], dimensions: int, random_state: int) -> NDArray[np.float32]:
    """Return the main directions (D, d) of unit rows (n, D): d is `dimensions`, or less where D or n is."""
    rows, columns = look.shape
    if columns <= dimensions or not rows:
        return np.eye(columns, min(columns, dimensions), dtype=np.float32)
    svd = TruncatedSVD(min(dimensions, rows), random_state=random_state).fit(look)
    return np.asarray(svd.components_.T, np.float32)


def _join(parts: Parts, look: NDArray[np.float32], place: NDArray[np.float32], image: NDArray[np.int64]) -> NDArray[np.float32]:
    """Average looks (n, d) with their neighbors in other images, and append places."""
    count = min(parts.neighbors, len(parts.references))
    joined = np.array(look, np.float32)
    for start in range(0, len(look) if count else 0, _CHUNK):
        rows = slice(start, start + _CHUNK)
        similarity = look[rows] @ parts.references.T
        similarity[image[rows, None] == parts.reference_images[None]] = -np.inf
        best = _largest(similarity, count)
        usable = np.isfinite(np.take_along_axis(similarity, best, axis=1))
        total = np.einsum("nk,nkd->nd", usable.astype(np.float32), parts.references[best])
        joined[rows] = total / np.maximum(usable.sum(axis=1, keepdims=True), 1) + _OWN * look[rows]
    return np.concatenate([unit(joined), parts.place * place], axis=1).astype(np.float32)


def _largest(values: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    """Return the columns of the largest values of each row, in no order; a few rows at a time, as their order takes 8 bytes."""
    some = (values[start : start + _ROWS] for start in range(0, len(values), _ROWS))
    return np.concatenate([np.argpartition(-rows, count - 1, axis=1)[:, :count] for rows in some])


def embed(parts: Parts, cells: Cells, image: int = -1) -> NDArray[np.float32]:
    """Return the cells of an image as points ``(n, d + 2)`` whose distances separate parts.

    Parameters
    ----------
    parts : Parts
    cells : Cells
    image : int
        The image's position in the run, whose own cells do not vouch for it; -1 for a new image.
    """
    look = unit(unit(cells.features - parts.mean) @ parts.directions)
    return _join(parts, look, cells.place, np.full(len(cells), image))


def embed_looks(parts: Parts, looks: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return mean features ``(n, D)`` of larger areas as points ``(n, d + 2)`` beside those of cells; they have no place."""
    return np.pad(unit(unit(looks - parts.mean) @ parts.directions), ((0, 0), (0, 2)))


def group(sample: Sample, count: int, random_state: int = 0, starts: int = _STARTS) -> NDArray[np.float32]:
    """Return the centers ``(k, d)`` of k-means of weighted cells; k is `count`, or less where fewer cells are distinct."""
    distinct = len(np.unique(sample.features, axis=0)) if len(sample) <= 4 * count else count
    options = {"n_init": starts, "random_state": random_state}
    kind = KMeans if len(sample) <= MOST_AT_ONCE else MiniBatchKMeans
    with catch_warnings():
        simplefilter("ignore", ConvergenceWarning)  # of fewer distinct cells than centers
        model = kind(min(count, distinct), **options).fit(sample.features, sample_weight=sample.weight)
    return np.asarray(model.cluster_centers_[np.unique(model.labels_)], np.float32)


def squared_distances(features: NDArray[np.float32], centers: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the squared distances ``(n, k)`` of points to centers."""
    squares = (features**2).sum(axis=1)[:, None] + (centers**2).sum(axis=1)[None] - 2 * features @ centers.T
    return np.asarray(np.maximum(squares, 0), np.float32)


def with_centers(parts: Parts, sample: Sample, centers: NDArray[np.float32]) -> Parts:
    """Return the parts with these centers, largest part first, their reach, and the tree of their merges."""
    distances = squared_distances(sample.features, centers)
    labels = distances.argmin(axis=1)
    mass = np.bincount(labels, sample.weight, len(centers))
    order = np.lexsort((np.arange(len(centers)), -mass))
    nearest = np.sqrt(distances.min(axis=1))
    reach = [_SLACK * np.quantile(nearest[labels == k], _REACH) if (labels == k).any() else 0.0 for k in order]
    centers = centers[order]
    return replace(parts, centers=centers, reach=np.array(reach, np.float32), tree=_merges(centers))


def with_fixed(
    parts: Parts, labels: NDArray[np.int16], look: NDArray[np.uint8], points: Sequence[NDArray[np.float32]]
) -> Parts:
    """Return the parts with fixed ones behind them; `points` has for each its descriptors ``(n, d + 2)`` in the images."""
    if not points:
        return parts
    added = np.stack([own.mean(axis=0) for own in points])
    reach = [
        _SLACK * np.quantile(np.linalg.norm(own - middle, axis=1), _REACH) for own, middle in zip(points, added, strict=True)
    ]
    centers = np.concatenate([parts.centers, added])
    return replace(
        parts,
        centers=centers,
        reach=np.concatenate([parts.reach, reach]).astype(np.float32),
        tree=_merges(centers),
        fixed=labels,
        look=look,
    )


def _merges(centers: NDArray[np.float32]) -> NDArray[np.float64]:
    return linkage(centers, "ward") if len(centers) > 1 else np.zeros((0, 4))
