"""What all results share: equality by value, one line for a reader, boxes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from visual_summaries._short import Short
from visual_summaries.errors import SettingsError

#: ``(x0, y0, x1, y1)`` in view pixels, half open.
Box = tuple[int, int, int, int]


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal, looking into arrays, sequences, mappings and results.

    Examples
    --------
    >>> same({"x": np.zeros(2)}, {"x": np.zeros(2)}), same(np.zeros(2), np.zeros(3))
    (True, False)
    """
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return (
            isinstance(a, np.ndarray)
            and isinstance(b, np.ndarray)
            and a.dtype == b.dtype
            and a.shape == b.shape
            and bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))
        )
    if isinstance(a, Result):
        return bool(a == b)
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b or (a != a and b != b))  # NaN equals NaN: a loaded run equals the computed one


def area_under(curve: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the area under curves over [0, 1] by the trapezoidal rule; curves lie along the last axis.

    Examples
    --------
    >>> float(area_under(np.array([1.0, 0.0, 0.0])))
    0.25
    """
    return np.asarray(np.trapezoid(curve.astype(np.float64), dx=1 / (curve.shape[-1] - 1), axis=-1))


class Result(Short):
    """Equality by value for dataclasses that hold arrays, and one line for a reader instead of all that they hold.

    Fields marked ``compare=False`` do not count for equality. Dataclasses that inherit it are made with
    ``eq=False, repr=False``.
    """

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(
            same(getattr(self, f.name), getattr(other, f.name))
            for f in fields(self)  # type: ignore[arg-type]
            if f.compare
        )

    __hash__ = None  # type: ignore[assignment]


def require_image(image: NDArray[np.uint8]) -> tuple[int, int]:
    """Return height and width of an image, or raise SettingsError unless it is uint8 (H, W, 3)."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise SettingsError(f"image has shape {image.shape} and type {image.dtype}, but must be uint8 (H, W, 3)")
    return image.shape[0], image.shape[1]


def require_boxes(boxes: ArrayLike, size: tuple[int, int]) -> NDArray[np.int32]:
    """Return boxes as int32 (n, 4), or raise SettingsError if one is empty or leaves an image of `size` (H, W)."""
    array = np.asarray(boxes, np.int32).reshape(-1, 4)
    height, width = size
    wrong = (array[:, :2] < 0).any(1) | (array[:, 2:] > (width, height)).any(1) | (array[:, 2:] <= array[:, :2]).any(1)
    if wrong.any():
        raise SettingsError(
            f"box {array[wrong][0].tolist()} is empty or leaves the image of {width} x {height} pixels; "
            "boxes are (x0, y0, x1, y1), half open"
        )
    return array
