"""Batches that become smaller when memory runs out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar
from weakref import WeakKeyDictionary

import torch

from visual_summaries.errors import OutOfMemoryError

logger = logging.getLogger("visual_summaries")

T = TypeVar("T")

_ENOUGH = 16  # images with which a pass is fast

#: Batch sizes that went after memory had run out.
_WENT: WeakKeyDictionary[object, int] = WeakKeyDictionary()


def in_batches(work: Callable[[slice], T], count: int, size: int, of: object | None = None) -> tuple[list[T], int]:
    """Do `work` on `count` items, `size` at a time; when memory runs out, all of it again with half as many.

    What went is remembered for `of` (a network, say), so that the next call begins with it.

    Returns
    -------
    results : list
        What `work` gave for each batch.
    size : int
        The size that went.

    Raises
    ------
    OutOfMemoryError
        If memory runs out with a single item.

    Examples
    --------
    >>> def work(part: slice) -> list[int]:
    ...     if part.stop - part.start > 2:
    ...         raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
    ...     return [0, 1, 2, 3, 4][part]
    >>> in_batches(work, count=5, size=8)
    ([[0, 1], [2, 3], [4]], 2)
    """
    size = min(size, _WENT.get(of, size) if of is not None else size)
    while True:
        try:
            return [work(slice(start, start + size)) for start in range(0, count, size)], size
        except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError is one; the CPU allocator raises a plain one
            if not is_out_of_memory(error):
                raise
            if size == 1:
                raise OutOfMemoryError(
                    f"memory ran out with a single image ({error}); end other programs that use it, or choose a smaller "
                    "input size or another device (--device cpu)"
                ) from error
        smaller = max(1, min(size, count) // 2)
        logger.warning("memory ran out with %d images at a time; continuing with %d", min(size, count), smaller)
        size = smaller
        if of is not None:
            _WENT[of] = size
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def even_batch(count: int, most: int = 32) -> int:
    """Return the size of batches that are as even as can be: at least 16 where there are so many items, at most `most`.

    With fewer than 16 images a convolution of the processor takes half as long again for each (docs/masks.md).

    Examples
    --------
    >>> [even_batch(count) for count in (5, 16, 31, 40, 400)], even_batch(40, most=8)
    ([5, 16, 31, 20, 16], 8)
    """
    return max(1, min(most, -(-count // max(1, count // _ENOUGH))))


def is_out_of_memory(error: BaseException) -> bool:
    """Tell an allocation that failed from every other error.

    Examples
    --------
    >>> is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory")), is_out_of_memory(RuntimeError("shape"))
    (True, False)
    """
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)
