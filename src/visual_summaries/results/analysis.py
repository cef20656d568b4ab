"""What intervening on a finished set of summaries showed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visual_summaries.results.base import Result

#: A summary whose mean Jaccard over resampled images is below this is called not reproducible (a common bound for "a pattern").
REPRODUCIBLE = 0.5

#: A summary beats its control when it surely takes at least this much more of the score: less is of no use to a reader.
MARGIN = 0.01


@dataclass(frozen=True, eq=False)
class SummaryAnalysis(Result):
    """What a summary does to the class score, beside random regions, and how firmly it stands.

    All losses are relative: (score of the image - score with pixels hidden) / score of the image, so 1 is all of it and a
    negative loss is a gain. All regions of the summary's cluster in one image are hidden together.

    Attributes
    ----------
    images : ndarray of int64, (M,)
        Indices of the images that have the summary: those with a region in its cluster.
    losses : ndarray of float32, (M,)
        Loss when the summary alone is hidden.
    controls : ndarray of float32, (M, 2, D)
        Losses when the very same pixels are moved to D random places of the same image and hidden there: on the object (first),
        anywhere (second).
    shares : ndarray of float32, (M,)
        The summary's Shapley value in each image: the loss that hiding it adds, averaged over the orders in which the image's
        summaries can be hidden.
    share_controls : ndarray of float32, (M,)
        The same for the summary's pixels moved to a random place of the object: what they add in its stead.
    interval : tuple of float
        95 % interval, by resampling images, of `above_control`.
    coverage : float
        Share of the run's images that have it.
    cohesion : float
        Mean silhouette of its regions by the similarity itself, in [-1, 1]; NaN where it is not known.
    stability : float
        Mean Jaccard index of the cluster with its counterpart when images are resampled, in [0, 1]; NaN where it is not known.

    Examples
    --------
    >>> one = SummaryAnalysis(np.array([0, 2]), np.array([0.5, 0.7], np.float32), np.full((2, 2, 3), 0.1, np.float32),
    ...     np.array([0.4, 0.6], np.float32), np.array([0.0, 0.2], np.float32), (0.2, 0.6), 0.5)
    >>> round(one.importance, 3), round(one.control, 3), round(one.share, 3), round(one.above_control, 3), one.beats_control
    (0.6, 0.1, 0.5, 0.4, True)
    """

    images: NDArray[np.int64]
    losses: NDArray[np.float32]
    controls: NDArray[np.float32]
    shares: NDArray[np.float32]
    share_controls: NDArray[np.float32]
    interval: tuple[float, float]
    coverage: float
    cohesion: float = float("nan")
    stability: float = float("nan")

    @property
    def importance(self) -> float:
        """Mean loss when the summary alone is hidden."""
        return _mean(self.losses)

    @property
    def control_object(self) -> float:
        """Mean loss when its pixels are hidden elsewhere on the object."""
        return _mean(self.controls[:, 0])

    @property
    def control_anywhere(self) -> float:
        """Mean loss when its pixels are hidden anywhere else in the image."""
        return _mean(self.controls[:, 1])

    @property
    def control(self) -> float:
        """The stronger of the two controls."""
        return max(self.control_object, self.control_anywhere)

    @property
    def share(self) -> float:
        """Mean loss that the summary adds over random orders of hiding all summaries: its Shapley value."""
        return _mean(self.shares)

    @property
    def share_control(self) -> float:
        """Mean loss that the same pixels, moved to random places of the object, add in its stead."""
        return _mean(self.share_controls)

    @property
    def above_control(self) -> float:
        """`share` minus `share_control`: what summaries are ranked by."""
        return self.share - self.share_control

    @property
    def beats_control(self) -> bool:
        """Whether the whole interval lies above 0.01: one hundredth of the score."""
        return self.interval[0] > MARGIN

    @property
    def reproducible(self) -> bool | None:
        """Whether the stability reaches one half; None where it was not measured."""
        return None if math.isnan(self.stability) else self.stability >= REPRODUCIBLE


def _mean(values: NDArray[np.float32]) -> float:
    return float(values.mean(dtype=np.float64)) if values.size else float("nan")
