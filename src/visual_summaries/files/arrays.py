"""Arrays in ``.npz`` files, without pickle: stacks, and lists of arrays of different shapes."""

from __future__ import annotations

import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

from visual_summaries.errors import RunError
from visual_summaries.files.atomic import atomic_file

Arrays = dict[str, NDArray[np.generic]]

# What zipfile and NumPy raise on damaged files; a flipped bit may also claim encryption (RuntimeError), an unknown
# compression (NotImplementedError), or more elements than there is memory for; NumPy's header is Python's syntax.
_DAMAGED = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    RuntimeError,
    MemoryError,
    OverflowError,
    TypeError,
    SyntaxError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
)


def save_arrays(path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Write named arrays to one compressed file, atomically."""
    with atomic_file(path) as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def load_arrays(path: Path) -> Arrays:
    """Return the arrays of a file that :func:`save_arrays` wrote.

    Raises
    ------
    RunError
        If the file is absent, damaged or holds pickled objects.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            _require_room(path, sum(member.file_size for member in file.zip.infolist()))
            return {name: file[name] for name in file.files}
    except FileNotFoundError as error:
        raise RunError(f"{path} is missing; the run is incomplete: resume it or compute it again") from error
    except _DAMAGED as error:
        raise RunError(f"{path} cannot be read ({error}); it is damaged: delete it and resume the run") from error


def _require_room(path: Path, needed: int) -> None:
    """Refuse what would not fit into the memory: a file of some megabytes can unpack to a thousand times as much."""
    if hasattr(os, "sysconf") and needed > os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"):
        raise RunError(
            f"{path} unpacks to {needed / 2**30:,.0f} GiB, more than this machine has memory: it is no run, or that of a "
            "larger machine"
        )


def pack(name: str, items: Sequence[NDArray[np.generic]], ndim: int, dtype: DTypeLike) -> Arrays:
    """Return two arrays that hold a list of arrays of different shapes: their values one after the other, and their shapes.

    Examples
    --------
    >>> items = [np.ones((1, 2), bool), np.zeros((3, 1), bool)]
    >>> packed = pack("mask", items, ndim=2, dtype=bool)
    >>> [a.shape for a in unpack("mask", packed)]
    [(1, 2), (3, 1)]
    """
    return {
        f"{name}_values": np.concatenate([item.reshape(-1) for item in items]).astype(dtype)
        if items
        else np.empty(0, dtype=dtype),
        f"{name}_shapes": np.array([item.shape for item in items], dtype=np.int64).reshape(-1, ndim),
    }


def unpack(name: str, arrays: Mapping[str, NDArray[np.generic]]) -> list[NDArray[np.generic]]:
    """Return the list that :func:`pack` packed."""
    values, shapes = arrays[f"{name}_values"], arrays[f"{name}_shapes"]
    ends = np.cumsum(shapes.prod(axis=1))
    if (ends[-1] if len(ends) else 0) != len(values):
        raise RunError(f"the arrays of {name!r} do not fit their shapes; the file is damaged: delete it and resume the run")
    return [part.reshape(shape) for part, shape in zip(np.split(values, ends[:-1]), shapes, strict=False)]
