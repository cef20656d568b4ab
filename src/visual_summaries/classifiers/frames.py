"""Where a view lies in the image that it was made from: boxes and points, there and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visual_summaries.classifiers.transforms import ViewTransform
from visual_summaries.errors import RunError


@dataclass(frozen=True)
class Frame:
    """The affine map from view pixels to pixels of the original image: ``x_image = left + x_view * scale_x``, rows likewise.

    Both count pixel *edges*, as boxes do: 0 is the left edge of the first pixel.

    Attributes
    ----------
    left, top : float
        Where the view's corner lies in the image; negative where the view is padded.
    scale_x, scale_y : float
        Image pixels for each view pixel.
    height, width : int
        Size of the original image.

    Examples
    --------
    >>> frame = Frame(left=10.0, top=0.0, scale_x=2.0, scale_y=2.0, height=100, width=120)
    >>> frame.to_image(np.array([[0, 0, 5, 10]])).tolist(), frame.to_view(np.array([[20.0, 30.0]])).tolist()
    ([[10.0, 0.0, 20.0, 20.0]], [[5.0, 15.0]])
    """

    left: float
    top: float
    scale_x: float
    scale_y: float
    height: int
    width: int

    def to_image(self, places: NDArray[Any]) -> NDArray[np.float64]:
        """Map view coordinates ``(N, 2)`` (points x, y) or ``(N, 4)`` (boxes) into the image."""
        offset, scale = self._terms(places)
        return offset + np.asarray(places, np.float64) * scale

    def to_view(self, places: NDArray[Any]) -> NDArray[np.float64]:
        """Map image coordinates ``(N, 2)`` (points x, y) or ``(N, 4)`` (boxes) into the view; they may lie outside of it."""
        offset, scale = self._terms(places)
        return (np.asarray(places, np.float64) - offset) / scale

    def _terms(self, places: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        pairs = places.shape[-1] // 2
        return np.array([self.left, self.top] * pairs), np.array([self.scale_x, self.scale_y] * pairs)


def view_frame(transform: ViewTransform, size: tuple[int, int]) -> Frame:
    """Return where the view of an image of `size` (H, W) lies in it.

    Examples
    --------
    >>> view_frame(ViewTransform(size=(100, 100), crop_pct=0.5), (400, 600))
    Frame(left=200.0, top=100.0, scale_x=2.0, scale_y=2.0, height=400, width=600)
    """
    height, width = size
    resized = transform.resized_size(height, width)
    offsets = [_offset(long, short) for long, short in zip(resized, transform.size, strict=True)]
    scale_y, scale_x = height / resized[0], width / resized[1]
    return Frame(offsets[1] * scale_x, offsets[0] * scale_y, scale_x, scale_y, height, width)


def _offset(long: int, short: int) -> int:
    """Where cutting or padding to the center puts the view's first row, in pixels of the resized image."""
    # torchvision and timm pad first, the smaller half first, and round half to even when they cut
    return -((short - long) // 2) if short > long else round((long - short) / 2)


def frame_of(transform: Mapping[str, Any], size: tuple[int, int] | None, name: str = "") -> Frame:
    """Return where an image's view lies in it, from what a run records of the transform and of the image's size (H, W).

    Raises
    ------
    RunError
        If the size is unknown: the run was written by a version that did not record it.
    """
    if size is None:
        raise RunError(
            f"the run does not say how large {name or 'an image'} is, so its regions cannot be placed in it; an earlier "
            "version wrote it: give its `visual-summaries run` command again with --resume (finished masks are kept)"
        )
    return view_frame(ViewTransform.from_dict(transform), size)
