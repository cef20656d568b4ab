"""Finished pieces of a run, found again by what went into them, so that an interrupted run can be resumed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visual_summaries.store.arrays import Arrays, load_arrays, save_arrays


def digest(value: Any) -> str:
    """Return a hash of plain data (dicts, lists, strings, numbers), the same in every process.

    Examples
    --------
    >>> digest({"a": 1, "b": [2.5]}) == digest({"b": [2.5], "a": 1})
    True
    """
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


class Pieces:
    """The folder ``pieces`` of a run directory, or nothing at all for a run that is kept in memory.

    Parameters
    ----------
    folder : Path or None
        None stores and finds nothing.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pieces = Pieces(Path(folder))
    ...     pieces.put("masks", "0a1b", {"sharp": np.zeros(3)})
    ...     pieces.get("masks", "0a1b")["sharp"].shape, pieces.get("masks", "ffff")
    ((3,), None)
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def _path(self, stage: str, key: str) -> Path | None:
        return None if self.folder is None else self.folder / stage / f"{key[:40]}.npz"

    def get(self, stage: str, key: str) -> Arrays | None:
        """Return the piece of `stage` that was made from inputs with hash `key`, or None if it is not there."""
        path = self._path(stage, key)
        return load_arrays(path) if path is not None and path.is_file() else None

    def put(self, stage: str, key: str, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Store a piece."""
        path = self._path(stage, key)
        if path is not None:
            save_arrays(path, arrays)
