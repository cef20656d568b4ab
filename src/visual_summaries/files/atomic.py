"""Files that are complete or absent, and the checksums that say whether they are undamaged."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from visual_summaries.errors import RunError

#: Where checksums are in a manifest.
CHECKSUMS = "files"

_TEMPORARY = ".tmp"

_REMEDIES = {
    errno.ENOSPC: "free some space there (or move the folder to another disk)",
    errno.EDQUOT: "free some of your quota there (or move the folder to another disk)",
}


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path` that takes its place, flushed to the disk, when the block ends without an error.

    Raises
    ------
    RunError
        If the folder cannot be written to, or the disk is full; what `path` held before is still there.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_file(Path(folder) / "a.txt") as file:
    ...         _ = file.write(b"whole")
    ...     (Path(folder) / "a.txt").read_text()
    'whole'
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=_TEMPORARY)
    try:
        with writing(path):
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            # mkstemp makes files that only the owner may read; results are as public as any other file the user writes.
            umask = os.umask(0)
            os.umask(umask)
            Path(temporary).chmod(0o666 & ~umask)
            Path(temporary).replace(path)
            _flush_folder(path.parent)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the operating system says while `path` is written into a RunError that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in _REMEDIES:
            remedy = f"{_REMEDIES[error.errno]} and give the same command with --resume; what was finished is kept"
            free = shutil.disk_usage(next(folder for folder in path.absolute().parents if folder.is_dir())).free // 2**20
            raise RunError(f"cannot write {path}: {error.strerror}, {free} MiB are free; {remedy}") from error
        raise RunError(f"cannot write {path}: {error.strerror or error}; choose a folder that you can write to") from error


def _flush_folder(folder: Path) -> None:
    """Make a renaming survive a power failure, where the system can (Windows cannot open folders)."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def temporary_of(name: str, of: str) -> bool:
    """Tell whether a file of this name is what a process that was killed left of writing the file `of`.

    Examples
    --------
    >>> temporary_of(".holder.json.k3x9.tmp", "holder.json"), temporary_of(".other.tmp", "holder.json")
    (True, False)
    """
    return name.startswith(f".{of}.") and name.endswith(_TEMPORARY)


def remove_temporaries(folder: Path) -> None:
    """Delete what killed processes left below `folder`; only for the holder of the run's lock: nobody else is writing then."""
    for path in list(folder.rglob(f".*{_TEMPORARY}")):
        if path.is_file():
            path.unlink()


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON, atomically."""
    try:
        text = (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()
    except UnicodeEncodeError:  # a file name of bytes that are no text: only escapes can hold it
        text = (json.dumps(value, indent=1) + "\n").encode()
    with atomic_file(path) as file:
        file.write(text)


def write_text(path: Path, text: str) -> None:
    """Write `text` in UTF-8, atomically."""
    with atomic_file(path) as file:
        file.write(text.encode())


def plain(value: Any) -> Any:
    """Return nested values with NaN and infinities as None, and tuples as lists: what strict JSON can hold.

    Examples
    --------
    >>> plain({"a": (1.5, float("nan")), "b": ["text", None]})
    {'a': [1.5, None], 'b': ['text', None]}
    """
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


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
    expected = manifest.pop(CHECKSUMS, None)
    if not isinstance(expected, dict):
        return
    present = [name for name in names if name in expected and (folder / name).is_file()]
    for name, checksum in sha256_of(folder, present).items():
        if checksum != expected[name]:
            raise RunError(
                f"{folder / name} is damaged: its checksum does not fit; give the command of the run again with --resume"
            )
