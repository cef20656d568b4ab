"""What the randomization check found: how much of a run is left when the network's weights are shuffled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visual_summaries.results.base import Result

#: Summaries and masks depend on the weights when less than this much of them is found again without.
PASSED = 0.5


@dataclass(frozen=True, eq=False, repr=False)
class RandomizationCheck(Result):
    """How much of a run is left when the network's weights are shuffled.

    Attributes
    ----------
    images : tuple of int
        The run's images that it was tried on.
    masks : ndarray of float64, (N,)
        Intersection over union of the evidence of each, with the shuffled network and with the run's.
    moved : ndarray of float64, (N,)
        The same for the run's evidence moved to a random place: what chance gives.
    summaries : ndarray of float64, (K,)
        For each summary the intersection over union of its evidence in these images with that of the cluster of the shuffled
        network that it is matched with (Hungarian assignment); 0 where there is none, NaN for a summary that is in none of
        these images.
    clusters : int
        Summaries, kept or rejected, of the shuffled network.
    """

    images: tuple[int, ...]
    masks: NDArray[np.float64]
    moved: NDArray[np.float64]
    summaries: NDArray[np.float64]
    clusters: int

    @property
    def passed(self) -> bool:
        """Whether masks and summaries depend on the weights: on average less than half of both is left."""
        summaries = self.summaries[np.isfinite(self.summaries)]
        return bool(self.masks.mean() < PASSED and (not summaries.size or summaries.mean() < PASSED))

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "passed": self.passed,
            "images": len(self.images),
            "masks": float(self.masks.mean()),
            "masks_by_chance": float(self.moved.mean()),
            "summaries": [None if np.isnan(value) else float(value) for value in self.summaries],
            "clusters_of_shuffled_network": self.clusters,
        }
