"""Results in one line: what a notebook or a terminal shows of an object that holds many arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

#: The most characters that a result and one of its values take in a notebook or a terminal.
_LINE, _VALUE = 240, 48


def in_short(value: Any) -> str:
    """Return a value in a few words: arrays by type and shape, long sequences by their length.

    Examples
    --------
    >>> in_short(np.zeros((2, 3), np.float32)), in_short((0.123456, None)), in_short(list(range(99)))
    ('float32 (2, 3)', '(0.1235, None)', '99 values')
    """
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    if isinstance(value, Short):
        return f"<{type(value).__name__}>"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple) and len(value) <= 4 and all(isinstance(one, float | int | str | None) for one in value):
        inside = ", ".join(map(in_short, value)) + ("," if len(value) == 1 and isinstance(value, tuple) else "")
        text = f"[{inside}]" if isinstance(value, list) else f"({inside})"
        return text if len(text) <= _VALUE else f"{len(value)} values"
    if isinstance(value, list | tuple | Mapping):
        kinds = {type(one).__name__ for one in value}
        [kind] = kinds if len(kinds) == 1 and not isinstance(value, Mapping) else ["value"]
        kind = kind if kind[:1].isupper() else "value"
        return f"{len(value)} {kind}{'' if len(value) == 1 else 's'}"
    text = " ".join(repr(value).split())
    return text if len(text) <= _VALUE else f"{text[: _VALUE - 1]}…"


class Short:
    """One line for a reader instead of all that a dataclass holds; those that inherit it are made with ``repr=False``."""

    def __repr__(self) -> str:
        values = (f"{f.name}={in_short(getattr(self, f.name))}" for f in fields(self) if f.repr)  # type: ignore[arg-type]
        text = f"{type(self).__name__}({', '.join(values)})"
        return text if len(text) <= _LINE else f"{text[: _LINE - 2]}…)"
