"""The form of a piece's file: an ``.npz`` that NumPy opens, and behind it what it holds and its checksum.

::

    <npz: arrays named RECORD/NAME; values that are no arrays as JSON in RECORD/.json>
    {"format": 1, "stage": "masks", "keys": ["...", ...]}     one line
    <SHA-256 of all bytes before this line, hexadecimal>

One file may hold several records: what was computed together is there together or not at all. Nothing in it is pickled.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from visual_summaries.store.atomic import atomic_file

#: A record: arrays, and plain data (numbers, strings, lists, dicts with string keys) that JSON can hold.
Content = Mapping[str, Any]

FORMAT = 1
_VALUES = ".json"
_CHECKSUM = 65  # 64 digits and the end of the line

# What zipfile and NumPy raise on damaged files; a flipped bit may also claim encryption (RuntimeError) or an unknown
# compression (NotImplementedError).
DAMAGED = (OSError, ValueError, EOFError, KeyError, TypeError, RuntimeError, zipfile.BadZipFile, zlib.error, struct.error)


class DamagedPieceError(Exception):
    """A piece's file does not hold what was written to it; only the store sees this, and has the piece computed again."""


def write_piece(path: Path, stage: str, records: Mapping[str, Content], *, compress: bool = True) -> None:
    """Write records (by their keys) to one file, atomically."""
    arrays: dict[str, Any] = {}
    for number, content in enumerate(records.values()):
        values = {name: value for name, value in content.items() if not isinstance(value, np.ndarray)}
        arrays |= {f"{number}/{name}": value for name, value in content.items() if isinstance(value, np.ndarray)}
        text = json.dumps(values, ensure_ascii=False).encode()
        arrays[f"{number}/{_VALUES}"] = np.frombuffer(text, np.uint8)
    buffer = io.BytesIO()
    (np.savez_compressed if compress else np.savez)(buffer, allow_pickle=False, **arrays)
    about = {"format": FORMAT, "stage": stage, "keys": list(records)}
    buffer.write(f"\n{json.dumps(about)}\n".encode())
    whole = buffer.getbuffer()
    with atomic_file(path) as file:
        file.write(whole)
        file.write(f"{hashlib.sha256(whole).hexdigest()}\n".encode())


def read_keys(path: Path) -> list[str]:
    """Return the keys of a file's records, without reading them.

    Raises
    ------
    DamagedPieceError
        If the end of the file is not that of a piece.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            length = 4096
            while True:
                file.seek(max(0, size - length))
                lines = file.read().split(b"\n")
                if len(lines) >= 4 or length >= size:  # ..., about, checksum, nothing
                    break
                length *= 8
        return _keys(lines[-3])
    except (*DAMAGED, IndexError) as error:
        raise DamagedPieceError(f"its end cannot be read ({error})") from error


def _keys(line: bytes) -> list[str]:
    about = json.loads(line)
    if about["format"] != FORMAT:
        raise ValueError(f"format {about['format']}")
    keys = about["keys"]
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ValueError("its keys are not a list of strings")
    return keys


def read_piece(path: Path) -> dict[str, dict[str, Any]]:
    """Return the records of a file by their keys.

    Raises
    ------
    DamagedPieceError
        If the checksum does not fit, or the file cannot be read.
    """
    try:
        raw = path.read_bytes()
        whole, checksum = raw[:-_CHECKSUM], raw[-_CHECKSUM:]
        if hashlib.sha256(whole).hexdigest().encode() + b"\n" != checksum:
            raise ValueError("its checksum does not fit")
        keys = _keys(whole.rsplit(b"\n", 2)[1])
        records: dict[str, dict[str, Any]] = {key: {} for key in keys}
        with np.load(io.BytesIO(whole), allow_pickle=False) as arrays:
            for entry in arrays.files:
                number, _, name = entry.partition("/")
                record = records[keys[int(number)]]
                if name == _VALUES:
                    record.update(json.loads(arrays[entry].tobytes()))
                else:
                    record[name] = arrays[entry]
    except (*DAMAGED, IndexError) as error:
        raise DamagedPieceError(str(error)) from error
    return records
