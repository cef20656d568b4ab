"""What applying a run's summaries to new images gave."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visual_summaries._late import late
from visual_summaries.files.atomic import plain
from visual_summaries.results.base import Box, Result
from visual_summaries.results.images import Image, Mask


@dataclass(frozen=True, eq=False, repr=False)
class Found(Result):
    """Where a summary is in a new image.

    Attributes
    ----------
    summary, boxes, pixels, confidence
        As in :class:`Presence`.
    """

    summary: int
    boxes: tuple[Box, ...]
    pixels: NDArray[np.bool_]
    confidence: float


@dataclass(frozen=True, eq=False, repr=False)
class Presence(Found):
    """A summary in a new image, and what it does there.

    Attributes
    ----------
    summary : int
        Position in ``run.summaries``.
    boxes : tuple of Box
        Where it was found: the largest piece first, with the preset ``"paper"`` the surest box.
    pixels : ndarray of bool, (H, W)
        Its evidence there, none of it shared with another summary: what is hidden to measure its effect.
    confidence : float
        At least 1. The reach of the part over the distance of the largest piece from its center; with the preset ``"paper"``,
        similarity to the summary's regions over the least one that counts, of the surest box.
    importance, control : float
        Relative losses of this image's score, as in :class:`~visual_summaries.results.SummaryAnalysis`: over all orders of
        hiding the image's evidence; the same pixels elsewhere on the object.
    """

    importance: float
    control: float


@dataclass(frozen=True, eq=False, repr=False)
class Explained(Result):
    """One new image in the vocabulary of the run's class.

    Attributes
    ----------
    image : Image
        With the score of the run's class, and the class that the network gives it.
    predicted : str
        Name of that class.
    mask : Mask
        Evidence for the run's class.
    present : tuple of Presence
        The summaries in it, the most important first.
    near_zero : bool
        Whether the score is so low that shares of it say nothing: under 5 % of the median score of the run's images.
    """

    image: Image
    predicted: str
    mask: Mask
    present: tuple[Presence, ...]
    near_zero: bool = False

    @property
    def explained(self) -> float:
        """Sum of the importances: the share of the score that the summaries account for; NaN where the score is near 0."""
        return float("nan") if self.near_zero else float(sum(one.importance for one in self.present))


@dataclass(frozen=True, eq=False, repr=False)
class Application(Result):
    """A run applied to new images.

    Attributes
    ----------
    images : tuple of Explained
    target : str
        Name of the run's class.
    least : tuple of float
        For each of the run's summaries the least similarity that counts, found on the run itself (1, of the confidence, where
        the evidence is divided among parts).
    found, mistaken : tuple of float
        For each summary, on the run itself: the share of its own regions, and of all other regions, that are taken for it.
    skipped : tuple of (str, str)
        Names of the files that could not be read, and why.
    """

    images: tuple[Explained, ...]
    target: str
    least: tuple[float, ...]
    found: tuple[float, ...]
    mistaken: tuple[float, ...]
    skipped: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        """Return one line."""
        present = sum(len(one.present) for one in self.images)
        return f"<Application to {len(self.images)} images, {present} summaries of {self.target!r} in them>"

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON, without pixels; what is not finite becomes None, and so do shares of a score near 0."""
        data = {
            "target": self.target,
            "images": [
                {
                    "name": one.image.name,
                    "score": one.image.score,
                    "score_near_zero": one.near_zero,
                    "predicted": one.predicted,
                    "score_without_evidence": one.mask.score_after,
                    "explained": one.explained,
                    "summaries": [
                        {
                            "summary": own.summary + 1,
                            "boxes": own.boxes,
                            "confidence": own.confidence,
                            "importance": None if one.near_zero else own.importance,
                            "control": None if one.near_zero else own.control,
                        }
                        for own in one.present
                    ],
                }
                for one in self.images
            ],
            "matching": [
                {"summary": k + 1, "least": least, "found": found, "mistaken": mistaken}
                for k, (least, found, mistaken) in enumerate(zip(self.least, self.found, self.mistaken, strict=True))
            ],
            "skipped": [{"name": name, "reason": reason} for name, reason in self.skipped],
        }
        return dict(plain(data))

    def save(self, folder: str | Path) -> Path:
        """Write ``apply.json``, ``masks.npz`` and the page ``apply.html`` into a folder, and return the page's path.

        ``masks.npz`` holds the evidence of each image (``evidence_1``, ...) and the pixels of each summary in it
        (``summary_1_3``: of the first image, the run's third summary).

        Raises
        ------
        RunError
            If the folder cannot be written to.
        """
        page: Path = late("write_application")(self, Path(folder))
        return page
