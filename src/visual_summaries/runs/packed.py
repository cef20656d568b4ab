"""Results as plain values for JSON with packed arrays for ``.npz``, and as typed dataclasses again.

Reading checks every value against the dataclass's annotations: a file may come from somebody else, or from a disk that fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from visual_summaries.files.arrays import Arrays, pack, unpack
from visual_summaries.results import Result

_T = TypeVar("_T")


class MismatchError(ValueError):
    """Something is of another type or shape than it must be, or refers to what is not there; becomes a :class:`RunError`."""


def typed(values: Any, kind: type[_T], where: str) -> _T:
    """Return plain data and arrays as the type that they must fit.

    Raises
    ------
    MismatchError
        Naming the first value that does not fit.

    Examples
    --------
    >>> from visual_summaries.results import Accuracy
    >>> typed({"correct": 3, "total": 4}, Accuracy, "accuracy")
    Accuracy(correct=3, total=4)
    >>> typed({"correct": "three"}, Accuracy, "accuracy")
    Traceback (most recent call last):
    ...
    visual_summaries.runs.packed.MismatchError: accuracy: Expected `int`, got `str` - at `$.correct`
    """
    try:
        return msgspec.convert(values, kind, dec_hook=_array)
    except msgspec.ValidationError as error:
        raise MismatchError(f"{where}: {error}") from error


def _array(kind: Any, value: Any) -> Any:
    """Return an array of the annotated kind of numbers; msgspec asks for what it does not know itself."""
    (number,) = get_args(get_args(kind)[1])
    if not isinstance(value, np.ndarray) or not np.issubdtype(value.dtype, number):
        given = f"an array of {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__
        raise TypeError(f"Expected an array of {number.__name__}, got {given}")
    return value


def split_results(name: str, items: Sequence[Result]) -> tuple[list[dict[str, Any]], Arrays]:
    """Return the plain fields of results of one class, and their arrays packed under ``name.field``.

    Examples
    --------
    >>> from visual_summaries.results import Component
    >>> items = [Component(image, (0, 0, 2, 1), np.ones((1, 2), bool), 0.4, 0.2) for image in (0, 1)]
    >>> plain, arrays = split_results("parts", items)
    >>> plain[1], sorted(arrays)
    ({'image': 1, 'box': (0, 0, 2, 1), 'contribution': 0.4, 'drop': 0.2}, ['parts.mask_shapes', 'parts.mask_values'])
    >>> join_results(Component, "parts", plain, arrays) == items
    True
    """
    plain: list[dict[str, Any]] = [{} for _ in items]
    arrays: Arrays = {}
    for field in fields(items[0]) if items else ():  # type: ignore[arg-type]
        values = [getattr(item, field.name) for item in items]
        if isinstance(values[0], np.ndarray):
            arrays |= pack(f"{name}.{field.name}", values, values[0].ndim, values[0].dtype)
        else:
            for own, value in zip(plain, values, strict=True):
                own[field.name] = value
    return plain, arrays


def join_results(
    kind: type[_T], name: str, plain: Sequence[Mapping[str, Any]], arrays: Mapping[str, NDArray[np.generic]]
) -> list[_T]:
    """Return the results that :func:`split_results` split; each value fits its annotation.

    Raises
    ------
    MismatchError
    """
    values = [dict(item) for item in plain]
    for field in fields(kind):  # type: ignore[arg-type]
        if values and f"{name}.{field.name}_values" in arrays:
            for own, array in zip(values, unpack(f"{name}.{field.name}", arrays), strict=True):
                own[field.name] = array
    return [typed(own, kind, f"{name}.{number}") for number, own in enumerate(values)]
