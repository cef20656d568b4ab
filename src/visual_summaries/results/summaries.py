"""Groups of regions, and what is known of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visual_summaries._late import late
from visual_summaries.results.analysis import SummaryAnalysis
from visual_summaries.results.base import Result


@dataclass(frozen=True, eq=False)
class Member(Result):
    """A region as a member of a summary.

    Attributes
    ----------
    region : int
        Index of the region in ``run.regions``.
    similarity : float
        Similarity to the exemplar by semantic flow, as a share of the largest (``"paper"``: as in ``run.similarity``); of the
        exemplar itself the largest of its summary.
    ssim : float
        Median structural similarity of this member, warped to the exemplar, to the other members; NaN where it has no other.
    warped : ndarray of uint8, (h, w, 3)
        The member's image warped by dense flow into the exemplar's box.
    """

    region: int
    similarity: float
    ssim: float
    warped: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Tag(Result):
    """The name of a summary, from ``tags.json`` of the run.

    Attributes
    ----------
    name : str
    confidence : float
        1 minus the share of random groups of regions whose heaviest tag is as heavy; NaN for a name given by hand.
    by_hand : bool
        Whether a person gave it.
    """

    name: str
    confidence: float
    by_hand: bool


@dataclass(frozen=True, eq=False)
class Summary(Result):
    """A group of regions that show one part that the network uses.

    Attributes
    ----------
    index : int
        Rank in ``run.summaries``, best first.
    exemplar : int
        Index of the exemplar's region in ``run.regions``.
    members : tuple of Member
        Exemplar first, then by similarity to it; at most one region of any image, at most 10 (published).
    cluster : tuple of int
        All regions of the part, or of the cluster, that the summary was made from.
    score : float
        Quality: median SSIM of the warped members over the median of all clusters.
    importance : float
        Mean relative loss of the class score that hiding the summary brings, averaged over orders in which an image's
        evidence can be hidden (``analysis.importance``). Without an analysis, the mean over the members of the loss when that
        member alone is hidden.
    analysis : SummaryAnalysis or None
        Importance beside its controls, share, stability.
    tag : Tag or None
        Its name, where tagging or a person gave one.
    part : int or None
        Which of ``run.parts`` it is; None with the preset ``"paper"``.
    """

    index: int
    exemplar: int
    members: tuple[Member, ...]
    cluster: tuple[int, ...]
    score: float
    importance: float
    analysis: SummaryAnalysis | None = None
    tag: Tag | None = None
    part: int | None = None

    @property
    def effect(self) -> float:
        """What importance ranks by: ``analysis.class_effect``, or where that was not measured `importance`."""
        return self.importance if self.analysis is None else self.analysis.class_effect

    @property
    def label(self) -> str:
        """Its name, or its number where it has none: "summary 3"."""
        return self.tag.name if self.tag is not None else f"summary {self.index + 1}"

    def plot(self, run: Result, ax: Any = None, **options: Any) -> Any:
        """Draw the members side by side on matplotlib axes; see :func:`visual_summaries.figures.plot_summary`."""
        return late("plot_summary")(run, self, ax, **options)
