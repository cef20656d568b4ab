"""One process at a time writes to a run directory."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from visual_summaries.errors import RunError
from visual_summaries.files.atomic import remove_temporaries, write_json, writing
from visual_summaries.files.journal import Journal

logger = logging.getLogger("visual_summaries")

#: The file that is locked, and the one that says by whom.
LOCK, HOLDER = "run.lock", "holder.json"

#: Folders that this process holds the lock of.
HELD: list[Path] = []


@contextmanager
def locked(folder: Path, journal: Journal) -> Iterator[None]:
    """Hold the lock of a run directory, which is made if it is not there.

    The lock is the operating system's: it ends with the process that holds it, however that ends, and no clock takes part. What
    a killed process left behind (who it was, half-written files) is cleared away.

    Raises
    ------
    RunError
        If another process holds the lock (the message says which), or the folder cannot be written to.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name, locked(Path(name), Journal(None)):
    ...     with locked(Path(name), Journal(None)):
    ...         pass
    Traceback (most recent call last):
    ...
    visual_summaries.errors.RunError: ... is in use: process ... on ..., since ..., is writing a run to it; ...
    """
    made = not folder.exists()
    with writing(folder / LOCK):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise RunError(_in_use(folder)) from None
        except NotImplementedError as error:
            raise RunError(
                f"the file system of {folder} has no locks ({error}), without which two processes could write to one run; "
                "choose an --out on another file system"
            ) from error
    try:
        former = _holder(folder)
        if former:
            logger.warning("taking over %s from %s, which ended before it was finished", folder, _in_words(former))
            journal.write("taken over", former=former)
        with writing(folder):
            remove_temporaries(folder)
        since = datetime.now().astimezone().isoformat(timespec="seconds")
        write_json(folder / HOLDER, {"pid": os.getpid(), "host": socket.gethostname(), "since": since})
        HELD.append(folder)
        yield
    finally:
        HELD[:] = [other for other in HELD if other != folder]
        (folder / HOLDER).unlink(missing_ok=True)
        (folder / LOCK).unlink(missing_ok=True)
        lock.release()
        if made and not any(folder.iterdir()):
            folder.rmdir()


def require_unlocked(folder: Path) -> None:
    """Raise RunError if another process is writing to a run directory."""
    if folder in HELD or not (folder / LOCK).exists():
        return
    try:
        with FileLock(folder / LOCK, timeout=0):
            pass
    except Timeout:
        raise RunError(_in_use(folder)) from None
    except (OSError, NotImplementedError):
        return  # the next attempt to lock it reports why it fails


def _holder(folder: Path) -> dict[str, Any]:
    """Who holds the lock, or held it when it was killed; empty where nobody says."""
    try:
        value = json.loads((folder / HOLDER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # not there (yet): the lock is what counts, this is only what is reported about it
    return value if isinstance(value, dict) else {}


def _in_words(holder: dict[str, Any]) -> str:
    return f"process {holder.get('pid')} on {holder.get('host')}, since {holder.get('since')}"


def _in_use(folder: Path) -> str:
    holder = _holder(folder)
    who = f"{_in_words(holder)}," if holder else "another process"
    return f"{folder} is in use: {who} is writing a run to it; wait until it ends, or choose another --out"
