"""Checksums of a run's files, kept in its manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from visual_summaries.errors import RunError

#: Where they are in the manifest.
ENTRY = "files"


def sha256_of(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 of files, by their names."""
    found = {}
    for name in names:
        with (folder / name).open("rb") as file:
            found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def take_checksums(folder: Path, manifest: dict[str, Any], names: Iterable[str]) -> None:
    """Take the checksums out of a manifest, and compare them with those of the files that are there.

    Raises
    ------
    RunError
        If one does not fit. (A file that is absent is somebody else's error; older runs have no checksums.)
    """
    expected = manifest.pop(ENTRY, None)
    if not isinstance(expected, dict):
        return
    present = [name for name in names if name in expected and (folder / name).is_file()]
    for name, checksum in sha256_of(folder, present).items():
        if checksum != expected[name]:
            raise RunError(
                f"{folder / name} is damaged: its checksum does not fit; give the command of the run again with --resume"
            )
