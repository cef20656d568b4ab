"""Parts of one image's evidence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visual_summaries._late import late
from visual_summaries.errors import RunError
from visual_summaries.results.analysis import SummaryAnalysis
from visual_summaries.results.base import Box, Result


@dataclass(frozen=True, eq=False, repr=False)
class Component(Result):
    """A connected region of one image's binary evidence mask, ranked by what hiding it alone does.

    Attributes
    ----------
    image : int
        Index of its image.
    box : tuple of int
        Its bounding box.
    mask : ndarray of bool, (y1 - y0, x1 - x0)
        Its pixels inside the box.
    contribution : float
        1 minus the class score with this region alone hidden.
    drop : float
        Relative loss of the score with this region alone hidden.
    """

    image: int
    box: Box
    mask: NDArray[np.bool_]
    contribution: float
    drop: float

    @property
    def area(self) -> int:
        """Number of its pixels."""
        return int(self.mask.sum())


@dataclass(frozen=True, eq=False, repr=False)
class Region(Result):
    """A connected piece of one part in one image; with the preset ``"paper"`` a kept salient box and the evidence in it.

    Attributes
    ----------
    index : int
        Position in ``run.regions``, and in ``run.descriptors`` or ``run.similarity``.
    image : int
        Index of its image in ``run.images``.
    box : tuple of int
        ``(x0, y0, x1, y1)`` in view pixels, half open.
    mask : ndarray of bool, (y1 - y0, x1 - x0)
        Its pixels inside the box.
    salient_share : float
        Share of the box that `mask` covers.
    contribution : float
        1 minus the class score with this region alone hidden; NaN where it was not measured (no member of a summary).
    drop : float
        Relative loss of the score with this region alone hidden; NaN as well.
    distinctiveness : float
        Preset ``"paper"``: mean of its best similarities (100 published) to all boxes of the other images, which decides which
        redundant box stays; else NaN.
    """

    index: int
    image: int
    box: Box
    mask: NDArray[np.bool_]
    salient_share: float
    contribution: float
    drop: float
    distinctiveness: float

    @property
    def area(self) -> int:
        """Area of the box in pixels."""
        x0, y0, x1, y1 = self.box
        return (x1 - x0) * (y1 - y0)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the box in pixels."""
        x0, y0, x1, y1 = self.box
        return (y1 - y0, x1 - x0)


@dataclass(frozen=True, eq=False, repr=False)
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


@dataclass(frozen=True, eq=False, repr=False)
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


@dataclass(frozen=True, eq=False, repr=False)
class Summary(Result):
    """A group of regions that show one part that the network uses.

    Attributes
    ----------
    index : int
        Position in ``run.summaries``, best first: from 0, as Python counts. Its :attr:`number` counts from 1.
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
    def number(self) -> int:
        """Its number, from 1: what pages, commands, files and :meth:`Run.summary <visual_summaries.Run.summary>` call it."""
        return self.index + 1

    @property
    def effect(self) -> float:
        """What importance ranks by: ``analysis.class_effect``, or where that was not measured `importance`."""
        return self.importance if self.analysis is None else self.analysis.class_effect

    @property
    def label(self) -> str:
        """Its name, or its number where it has none: "summary 3"."""
        return self.tag.name if self.tag is not None else f"summary {self.number}"

    def figures(self) -> dict[str, Any]:
        """Return its figures by their names: plain values; None where one was not measured."""
        tag = self.tag
        named = {
            "name": None if tag is None else tag.name,
            "name_confidence": None if tag is None or tag.by_hand else tag.confidence,
            "name_by_hand": tag is not None and tag.by_hand,
        }
        measured = dict.fromkeys(SummaryAnalysis.FIGURES) if self.analysis is None else self.analysis.figures()
        values = {"members": len(self.members), "regions": len(self.cluster), "score": self.score}
        return {"summary": self.number, **named, **values, **measured, "importance": self.importance}

    def __repr__(self) -> str:
        """Return one line: number, name, members, importance."""
        name = "" if self.tag is None else f" {self.tag.name!r}"
        return f"<Summary {self.number}{name}: {len(self.members)} members, importance {self.importance:.0%}>"

    def plot(self, ax: Any = None, **options: Any) -> Any:
        """Draw the members side by side on matplotlib axes; see :func:`visual_summaries.pages.figures.plot_summary`.

        Raises
        ------
        RunError
            If the summary is of no run, for example after it was sent to another process by itself.
        """
        run = self.__dict__.get("_run")
        if run is None:
            raise RunError(
                f"{self!r} is of no run, so its images are not known; take it from a run: run.summary({self.number})"
            )
        return late("plot_summary")(run, self, ax, **options)

    def of(self, run: Result) -> Summary:
        """Return the summary as one of `run`, whose images it draws; a copy if it is of another run."""
        own = self if self.__dict__.get("_run", run) is run else replace(self)
        own.__dict__["_run"] = run
        return own

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_run"}


#: A region, whatever it belongs to: the number of its owner, its box, and its pixels inside the box.
Owned = tuple[int, Box, NDArray[np.bool_]]


def label_map(owned: Iterable[Owned], shape: tuple[int, int]) -> NDArray[np.int16]:
    """Return the owner of each pixel of an image (H, W), -1 for none; a pixel counts for the smallest region that holds it.

    Examples
    --------
    >>> label_map([(1, (1, 0, 2, 1), np.array([[True]])), (0, (0, 0, 3, 1), np.array([[True, True, False]]))], (1, 4)).tolist()
    [[0, 1, -1, -1]]
    """
    labels = np.full(shape, -1, np.int16)
    for owner, (x0, y0, x1, y1), mask in sorted(owned, key=lambda one: (-int(one[2].sum()), one[0])):  # the smallest comes last
        labels[y0:y1, x0:x1][mask] = owner
    return labels


def owned_by_summaries(summaries: Sequence[Summary], regions: Sequence[Region], image: int) -> Iterator[Owned]:
    """Yield the regions that an image has of the clusters of summaries; owners are positions in `summaries`."""
    for position, summary in enumerate(summaries):
        for region in (regions[index] for index in summary.cluster):
            if region.image == image:
                yield position, region.box, region.mask
