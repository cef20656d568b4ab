"""Freed memory that stays with the process while networks run on the processor.

The C library of Linux hands large blocks back to the system when they are freed and gets them again for each tensor, page by
page, which takes up to a third of a network's pass (docs/masks.md).
"""

from __future__ import annotations

import ctypes
import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# From malloc.h, and what glibc has for them once a program has freed a large block.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_USUAL = {_TRIM_THRESHOLD: 2**26, _MMAP_MAX: 2**16}
_KEPT = {_TRIM_THRESHOLD: 2**31 - 1, _MMAP_MAX: 0}

_lock = threading.Lock()
_users = 0


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Keep freed memory for the next tensor; the last to leave gives it back. Does nothing where the C library is not glibc.

    Examples
    --------
    >>> with freed_memory_kept(), freed_memory_kept():
    ...     pass
    """
    global _users
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    libc = ctypes.CDLL(None)
    with _lock:
        if not _users:
            _set(libc, _KEPT)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                _set(libc, _USUAL)
                libc.malloc_trim(0)


def _set(libc: ctypes.CDLL, values: dict[int, int]) -> None:
    for name, value in values.items():
        libc.mallopt(name, value)
