"""Pictures and polygons in the forms that a page can hold: data URIs and SVG paths."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from visual_summaries.report.geometry import Polygon


def data_uri(picture: NDArray[np.uint8], *, quality: int | None = 82) -> str:
    """Return an image as a WebP data URI.

    Parameters
    ----------
    picture : ndarray of uint8, (H, W, 3) or (H, W)
        RGB or grey.
    quality : int or None
        Of the lossy compression, 1 to 100; None keeps every pixel.

    Examples
    --------
    >>> data_uri(np.zeros((2, 3, 3), np.uint8))[:23]
    'data:image/webp;base64,'
    """
    buffer = io.BytesIO()
    image = PIL.Image.fromarray(np.ascontiguousarray(picture))
    if quality is None:
        image.save(buffer, "WEBP", lossless=True, quality=100, method=4)
    else:
        image.save(buffer, "WEBP", quality=quality, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def grey_levels(mask: NDArray[np.floating], levels: int = 32) -> NDArray[np.uint8]:
    """Return a mask in [0, 1] as grey values 0 .. 255 of a few levels, which compress well.

    Examples
    --------
    >>> grey_levels(np.array([[0.0, 0.49, 1.0]]), levels=3).tolist()
    [[0, 128, 255]]
    """
    steps = np.round(np.clip(mask.astype(np.float32), 0, 1) * (levels - 1))
    return np.asarray(np.round(steps * 255 / (levels - 1)), np.uint8)


def svg_path(polygons: Iterable[Polygon]) -> str:
    """Return closed polygons as the ``d`` of one SVG path, coordinates rounded to a tenth.

    Examples
    --------
    >>> svg_path([np.array([[0, 0], [2.5, 0], [2.5, 1.04], [0, 0]])])
    'M0 0 2.5 0 2.5 1Z'
    """
    parts = []
    for polygon in polygons:
        points = polygon[:-1] if len(polygon) > 1 and np.array_equal(polygon[0], polygon[-1]) else polygon
        if len(points):
            parts.append("M" + " ".join(f"{_short(x)} {_short(y)}" for x, y in points) + "Z")
    return "".join(parts)


def _short(value: float) -> str:
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text
