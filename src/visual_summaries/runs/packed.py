"""Results that hold arrays, split into plain values for JSON and packed arrays for ``.npz``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from visual_summaries.files.arrays import Arrays, pack, unpack
from visual_summaries.results import Result

_R = TypeVar("_R", bound=Result)


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
    kind: type[_R], name: str, plain: Sequence[Mapping[str, Any]], arrays: Mapping[str, NDArray[np.generic]]
) -> list[_R]:
    """Return the results that :func:`split_results` split; lists, which JSON made of tuples, are tuples again."""
    values = [{key: _tuples(value) for key, value in item.items()} for item in plain]
    for field in fields(kind):  # type: ignore[arg-type]
        if values and f"{name}.{field.name}_values" in arrays:
            for own, array in zip(values, unpack(f"{name}.{field.name}", arrays), strict=True):
                own[field.name] = array
    return [kind(**own) for own in values]


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list | tuple) else value
