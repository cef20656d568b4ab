"""What was made last, kept as far as a limit allows: several stages ask the same of an image."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar


class _Sized(Protocol):
    """A tensor or an array."""

    @property
    def nbytes(self) -> int: ...


T = TypeVar("T", bound=_Sized)


class Recent(Generic[T]):
    """The tensors or arrays that were used last.

    Parameters
    ----------
    most : int
        Bytes that are kept.

    Examples
    --------
    >>> import torch
    >>> recent = Recent(2**10)
    >>> first = recent("a", lambda: (torch.zeros(200),))
    >>> recent("a", lambda: ()) is first
    True
    >>> recent("b", lambda: (torch.ones(100),)) is recent("a", lambda: ())  # there was no room for both
    False
    """

    def __init__(self, most: int) -> None:
        self._most, self._bytes = most, 0
        self._kept: OrderedDict[Hashable, tuple[T, ...]] = OrderedDict()

    def __call__(self, key: Hashable, make: Callable[[], tuple[T, ...]]) -> tuple[T, ...]:
        """Return what is kept under a key, or else make it; nobody may write to it."""
        if key not in self._kept:
            self._kept[key] = made = make()
            self._bytes += sum(one.nbytes for one in made)
            while self._bytes > self._most and len(self._kept) > 1:
                self._bytes -= sum(one.nbytes for one in self._kept.popitem(last=False)[1])
        self._kept.move_to_end(key)
        return self._kept[key]
