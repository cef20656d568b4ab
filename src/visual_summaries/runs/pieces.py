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
import logging
import os
import shutil
import struct
import zipfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from visual_summaries.files.atomic import atomic_file
from visual_summaries.files.journal import Journal

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
    """Return the keys of a file's records, without reading them; raise DamagedPieceError if it has none."""
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
    """Return the records of a file by their keys; raise DamagedPieceError if its checksum does not fit."""
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


logger = logging.getLogger("visual_summaries")


def digest(value: Any) -> str:
    """Return a hash of plain data (dicts, lists, strings, numbers) and arrays, the same in every process.

    Examples
    --------
    >>> digest({"a": 1, "b": [2.5]}) == digest({"b": [2.5], "a": 1})
    True
    >>> digest(np.zeros((2, 3))) == digest(np.zeros((3, 2)))
    False
    """
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=_plain).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        pixels = hashlib.sha256(repr((value.shape, value.dtype.str)).encode() + value.tobytes())
        return {"array": pixels.hexdigest()}
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no hash that is the same in every process; give plain data or arrays")


def _file_name(keys: Sequence[str]) -> str:
    """Name of the file of records with these keys."""
    return f"{(keys[0] if len(keys) == 1 else digest(list(keys)))[:40]}.npz"


class Pieces:
    """The folder ``pieces`` of a run directory, or nothing at all for a run that is kept in memory.

    The journal records every piece that is computed, or found damaged; `damaged` lists the latter.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pieces = Pieces(Path(folder))
    ...     pieces.put("masks", {"0a1b": {"sharp": np.zeros(3), "score": 0.5}})
    ...     pieces.get("masks", "0a1b"), pieces.get("masks", "ffff")
    ({'sharp': array([0., 0., 0.]), 'score': 0.5}, None)
    """

    def __init__(self, folder: Path | None, journal: Journal | None = None) -> None:
        self.folder = folder
        self.journal = journal or Journal(None)
        self._counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.damaged: list[dict[str, str]] = []
        self._files: dict[str, dict[str, Path]] = {}  # of each stage, the file of each key
        self._last: tuple[Path, dict[str, dict[str, Any]]] | None = None  # what was read last: a file may hold many records

    def get(self, stage: str, key: str) -> dict[str, Any] | None:
        """Return the record of `stage` that was made from inputs with hash `key`, or None if it is not there.

        A damaged file is reported and deleted, with all its records: what was computed together will be so again.
        """
        path = self._index(stage).get(key)
        if path is None:
            return None
        try:
            if self._last is None or self._last[0] != path:
                self._last = (path, read_piece(path))
            return self._last[1][key]
        except (DamagedPieceError, KeyError) as error:
            self._drop(stage, path, str(error))
            return None

    def put(self, stage: str, records: Mapping[str, Content], *, compress: bool = True) -> None:
        """Store records in one file: all of them are there afterwards, or none."""
        self._counts[stage]["computed"] += len(records)
        if self.folder is None:
            return
        keys = list(records)
        path = self.folder / stage / _file_name(keys)
        write_piece(path, stage, records, compress=compress)
        self._index(stage).update(dict.fromkeys(keys, path))
        self.journal.write("computed", stage=stage, keys=keys)

    def found(self, stage: str, count: int) -> None:
        """Count pieces of `stage` that did not have to be computed."""
        self._counts[stage]["found"] += count

    def counts(self) -> dict[str, dict[str, int]]:
        """Return for each stage how many records were computed and found, and how many files were damaged."""
        return {
            stage: {kind: count[kind] for kind in ("computed", "found", "damaged")} for stage, count in self._counts.items()
        }

    def forget(self, stage: str) -> None:
        """Delete all pieces of a stage that are only of use until the run is complete."""
        self._files.pop(stage, None)
        if self.folder is not None:
            shutil.rmtree(self.folder / stage, ignore_errors=True)

    def _index(self, stage: str) -> dict[str, Path]:
        if stage not in self._files:
            self._files[stage] = {}
            paths = [] if self.folder is None else sorted((self.folder / stage).glob("*.npz"))
            for path in paths:
                try:
                    keys = read_keys(path)
                    if path.name != _file_name(keys):  # else a piece whose key is damaged would be absent, not damaged
                        raise DamagedPieceError("its keys do not fit its name")
                except DamagedPieceError as error:
                    self._drop(stage, path, str(error))
                else:
                    self._files[stage].update(dict.fromkeys(keys, path))
        return self._files[stage]

    def _drop(self, stage: str, path: Path, why: str) -> None:
        logger.warning("%s is damaged (%s); it is deleted and computed again", path, why)
        index = self._files[stage]
        for key in [key for key, other in index.items() if other == path]:
            del index[key]
        path.unlink(missing_ok=True)
        self._counts[stage]["damaged"] += 1
        self.damaged.append({"stage": stage, "file": path.name, "why": why})
        self.journal.write("damaged", stage=stage, file=path.name, why=why)
