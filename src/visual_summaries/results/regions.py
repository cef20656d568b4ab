"""Parts of one image's evidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visual_summaries.results.base import Box, Result


@dataclass(frozen=True, eq=False)
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


@dataclass(frozen=True, eq=False)
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
