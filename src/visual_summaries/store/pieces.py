"""Finished pieces of a run, found again by what went into them, so that an interrupted run can be resumed."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from visual_summaries.store.journal import Journal
from visual_summaries.store.piece_file import Content, DamagedPieceError, read_keys, read_piece, write_piece

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

    Parameters
    ----------
    folder : Path or None
        None stores and finds nothing.
    journal : Journal, optional
        Told of every piece that is computed, or found damaged.

    Attributes
    ----------
    damaged : list of dict
        Stage, file and what is wrong with it, of every damaged file that was met.

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
        self._counts: dict[str, Counter[str]] = {}
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
        self._count(stage)["computed"] += len(records)
        if self.folder is None:
            return
        keys = list(records)
        path = self.folder / stage / _file_name(keys)
        write_piece(path, stage, records, compress=compress)
        self._index(stage).update(dict.fromkeys(keys, path))
        self.journal.write("computed", stage=stage, keys=keys)

    def found(self, stage: str, count: int) -> None:
        """Count pieces of `stage` that did not have to be computed."""
        self._count(stage)["found"] += count

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

    def _count(self, stage: str) -> Counter[str]:
        return self._counts.setdefault(stage, Counter())

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
        self._count(stage)["damaged"] += 1
        self.damaged.append({"stage": stage, "file": path.name, "why": why})
        self.journal.write("damaged", stage=stage, file=path.name, why=why)
