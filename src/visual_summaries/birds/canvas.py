"""Painting anti-aliased, shaded polygons on an image and its label map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

#: An affine map (3, 3): ``(x, y, 1) = matrix @ (u, v, 1)``.
Matrix = NDArray[np.float64]
Plane = NDArray[np.float32]

_OVERSAMPLING = 4
_FRACTION_BITS = 4


def placement(x: float, y: float, scale: float = 1.0, angle: float = 0.0, flip: bool = False) -> Matrix:
    """Return the map that mirrors (when `flip`), scales, rotates by `angle` degrees clockwise, and moves to (x, y).

    Examples
    --------
    >>> placement(5, 0, 2) @ placement(1, 1) @ [0, 0, 1]
    array([7., 2., 1.])
    """
    c, s = np.cos(np.radians(angle)) * scale, np.sin(np.radians(angle)) * scale
    mirror = -1.0 if flip else 1.0
    return np.array([[c * mirror, -s, x], [s * mirror, c, y], [0.0, 0.0, 1.0]])


def rotation(angle: float, about: tuple[float, float]) -> Matrix:
    """Return the rotation by `angle` degrees, clockwise, about a point."""
    turn = placement(0.0, 0.0, angle=angle)
    turn[:2, 2] = np.asarray(about) - turn[:2, :2] @ np.asarray(about)
    return turn


@dataclass(frozen=True)
class Patch:
    """A shape on the canvas: where it is, what it covers, and its own coordinates.

    Attributes
    ----------
    rows, columns : slice
        The pixels of the canvas that it may touch.
    fill, line : ndarray of float32, (h, w)
        Coverage in [0, 1] by the shape, and by the shape with its outline.
    u, v : ndarray of float32, (h, w)
        The pixels' centers in the shape's frame.
    """

    rows: slice
    columns: slice
    fill: Plane
    line: Plane
    u: Plane
    v: Plane


class Canvas:
    """An image that is being painted, with its label map.

    Parameters
    ----------
    size : tuple of int
        Height and width.
    light : float
        Direction that the light comes from, in degrees clockwise from the right.
    """

    def __init__(self, size: tuple[int, int], light: float) -> None:
        self.image = np.zeros((*size, 3), np.float32)
        self.labels = np.zeros(size, np.uint8)
        self._light = (np.float32(np.cos(np.radians(light))), np.float32(np.sin(np.radians(light))))

    def patch(self, polygons: Sequence[NDArray[np.float64]], matrix: Matrix, line: float) -> Patch | None:
        """Return the shape that the polygons (in the frame of `matrix`) cover; None when it lies outside the canvas.

        `line` is the width of the outline in pixels.
        """
        height, width = self.labels.shape
        points = [polygon @ matrix[:2, :2].T + matrix[:2, 2] for polygon in polygons]
        every = np.concatenate(points)
        margin = line + 1
        x0, y0 = np.maximum(np.floor(every.min(0) - margin), 0).astype(int)
        x1, y1 = np.minimum(np.ceil(every.max(0) + margin), (width, height)).astype(int)
        if x0 >= x1 or y0 >= y1:
            return None
        fixed = [
            np.round(((p - (x0, y0)) * _OVERSAMPLING - 0.5) * (1 << _FRACTION_BITS)).astype(np.int32)[:, None, :]
            for p in points
        ]
        fill = np.zeros(((y1 - y0) * _OVERSAMPLING, (x1 - x0) * _OVERSAMPLING), np.uint8)
        for polygon in fixed:  # one by one: together, overlapping polygons would cancel
            cv2.fillPoly(fill, [polygon], 255, cv2.LINE_8, _FRACTION_BITS)
        lined = fill.copy()
        cv2.polylines(lined, fixed, True, 255, max(1, round(line * _OVERSAMPLING)), cv2.LINE_8, _FRACTION_BITS)
        small = (int(x1 - x0), int(y1 - y0))
        inverse = cv2.invertAffineTransform(matrix[:2]).astype(np.float32)
        x = (np.arange(x0, x1, dtype=np.float32) + np.float32(0.5))[None, :]
        y = (np.arange(y0, y1, dtype=np.float32) + np.float32(0.5))[:, None]
        return Patch(
            rows=slice(int(y0), int(y1)),
            columns=slice(int(x0), int(x1)),
            fill=cv2.resize(fill, small, interpolation=cv2.INTER_AREA).astype(np.float32) / np.float32(255),
            line=cv2.resize(lined, small, interpolation=cv2.INTER_AREA).astype(np.float32) / np.float32(255),
            u=inverse[0, 0] * x + inverse[0, 1] * y + inverse[0, 2],
            v=inverse[1, 0] * x + inverse[1, 1] * y + inverse[1, 2],
        )

    def paint(self, patch: Patch, color: Plane, *, label: int, line_color: Plane, relief: float, shadow: float = 0.0) -> None:
        """Paint a shape and its outline, shaded as if rounded; its label goes where it covers half a pixel.

        `relief` is the width of the rounded rim in pixels; `shadow` says how dark the shadow is that falls on what is already
        there other than the background.
        """
        image = self.image[patch.rows, patch.columns]
        labels = self.labels[patch.rows, patch.columns]
        soft = cv2.GaussianBlur(patch.line, (0, 0), relief, borderType=cv2.BORDER_REPLICATE)
        slope_x, slope_y = cv2.Sobel(soft, cv2.CV_32F, 1, 0, scale=0.125), cv2.Sobel(soft, cv2.CV_32F, 0, 1, scale=0.125)
        facing = -(self._light[0] * slope_x + self._light[1] * slope_y)
        color = color * (1 + np.float32(1.5 * relief) * facing)[..., None]
        if shadow > 0:
            image *= 1 - (np.float32(shadow) * np.clip(soft * 1.6, 0, 1) * (labels > 0))[..., None]
        image += patch.line[..., None] * (line_color - image)
        image += patch.fill[..., None] * (color - image)
        labels[patch.line > 0.5] = label

    def soften_background(self) -> None:
        """Blur what is there a little, so that what follows stands out as nearer."""
        self.image = cv2.GaussianBlur(self.image, (0, 0), max(0.5, min(self.labels.shape) / 250))
