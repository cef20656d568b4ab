"""Parameters of the analyses."""

from __future__ import annotations

from dataclasses import dataclass

from visual_summaries._validate import require_in_range


@dataclass(frozen=True)
class AnalysisSettings:
    """How much is measured of a finished set of summaries; none of it changes what the summaries are.

    Attributes
    ----------
    draws : int
        Random places that a summary's pixels are moved to, of each kind of control in each image.
    passes : int
        Network passes for the shares of one image; with few summaries in it all their combinations fit and shares are exact.
    bootstrap : int
        Resamplings of the images behind an interval.
    """

    draws: int = 2
    passes: int = 32
    bootstrap: int = 1000

    def __post_init__(self) -> None:
        require_in_range("draws", self.draws, 1)
        require_in_range("passes", self.passes, 2)
        require_in_range("bootstrap", self.bootstrap, 1)
