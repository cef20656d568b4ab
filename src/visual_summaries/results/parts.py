"""What the evidence of a run is divided among."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from visual_summaries.results.base import Result


@dataclass(frozen=True, eq=False, repr=False)
class PartNumber(Result):
    """A number of parts that was tried.

    Attributes
    ----------
    count : int
    explained : float
        Share of the variation of the evidence's features that the parts explain.
    stability : float
        Mean Jaccard index of the parts when the images are resampled.
    reproducible : float
        Share of the parts whose own index reaches one half.
    chosen : bool
        Whether the run has this number of parts.
    """

    count: int
    explained: float
    stability: float
    reproducible: float
    chosen: bool


@dataclass(frozen=True, eq=False, repr=False)
class Parts(Result):
    """How evidence is divided: enough to find the same parts in new images.

    Attributes
    ----------
    mean : ndarray of float32, (D,)
        Mean features over all images, that are subtracted.
    directions : ndarray of float32, (D, d)
        Main directions of the evidence's features.
    references : ndarray of float32, (M, d)
        Cells that others are averaged with.
    reference_images : ndarray of int64, (M,)
        Position of the image that each is of.
    neighbors : int
        How many references a cell is averaged with.
    place : float
        Weight of a cell's place.
    centers : ndarray of float32, (K, d + 2)
        Of each part, the one with most evidence first; fixed parts come last.
    reach : ndarray of float32, (K,)
        How far from its center evidence of a new image may be: 1.25 times what holds 99 % of the part's own.
    tree : ndarray of float64, (K - 1, 4)
        Which parts would be merged first, in the form of :func:`scipy.cluster.hierarchy.linkage` (Ward).
    numbers : tuple of PartNumber
        The numbers that were tried; empty where the user gave it.
    fixed : ndarray of int16, (H, W)
        Fixed part of each pixel of the picture: 0 for the first of the last parts, -1 for none; (0, 0) where there are none.
    look : ndarray of uint8, (H, W, 3)
        What fixed parts look like.
    """

    mean: NDArray[np.float32]
    directions: NDArray[np.float32]
    references: NDArray[np.float32]
    reference_images: NDArray[np.int64]
    neighbors: int
    place: float
    centers: NDArray[np.float32]
    reach: NDArray[np.float32]
    tree: NDArray[np.float64]
    numbers: tuple[PartNumber, ...] = ()
    fixed: NDArray[np.int16] = field(default_factory=lambda: np.zeros((0, 0), np.int16))
    look: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, 0, 3), np.uint8))

    def groups(self, count: int) -> NDArray[np.int64]:
        """Return the group of each part (K,) when the most similar are merged until `count` are left: a coarser division.

        Examples
        --------
        >>> none, tree = np.zeros((0, 0), np.float32), np.array([[0.0, 2.0, 0.1, 2.0], [1.0, 3.0, 0.9, 3.0]])
        >>> centers = np.zeros((3, 2), np.float32)
        >>> parts = Parts(none[0:0].ravel(), none, none, np.zeros(0, np.int64), 20, 0.5, centers, centers[:, 0], tree)
        >>> parts.groups(2).tolist(), parts.groups(1).tolist(), parts.groups(9).tolist()
        ([0, 1, 0], [0, 0, 0], [0, 1, 2])
        """
        groups = {part: [part] for part in range(self.count)}
        for step, (a, b) in enumerate(self.tree[: max(self.count - max(count, 1), 0), :2].astype(int).tolist()):
            groups[self.count + step] = groups.pop(a) + groups.pop(b)
        labels = np.zeros(self.count, np.int64)
        for number, members in enumerate(sorted(groups.values(), key=min)):
            labels[members] = number
        return labels

    @property
    def count(self) -> int:
        """Number of parts, those that became no summary included."""
        return len(self.centers)

    @property
    def fixed_count(self) -> int:
        """Number of fixed parts among them: what looks the same at the same place of most images."""
        return int(self.fixed.max(initial=-1)) + 1
