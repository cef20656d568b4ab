"""Batches that are even, and the memory that they need."""

from __future__ import annotations

import ctypes
import platform

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visual_summaries import _allocator
from visual_summaries._allocator import freed_memory_kept
from visual_summaries._batches import even_batch


@given(st.integers(0, 5000), st.integers(1, 256))
def test_even_batches_fill_up_and_keep_to_the_limit(count: int, most: int) -> None:
    size = even_batch(count, most)
    assert 1 <= size <= most
    batches = [min(size, count - start) for start in range(0, count, size)]
    if count >= 16 and most >= 32:
        assert size >= 16
        assert len(batches) <= count // 16 or batches[-1] >= 16 or len(batches) == 1
    if count <= most and count < 32:
        assert len(batches) <= 1


def test_memory_is_kept_once_and_given_back_by_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, int, int] | str] = []

    class Library:
        def mallopt(self, name: int, value: int) -> int:
            said.append(("mallopt", name, value))
            return 1

        def malloc_trim(self, pad: int) -> int:
            said.append("trim")
            return 1

    monkeypatch.setattr(_allocator.ctypes, "CDLL", lambda name: Library())
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.36"))

    @freed_memory_kept()
    def work() -> None:
        said.append("work")
        raise KeyError

    with freed_memory_kept(), pytest.raises(KeyError):
        work()
    usual = [("mallopt", -1, 2**26), ("mallopt", -4, 2**16)]
    assert said == [("mallopt", -1, 2**31 - 1), ("mallopt", -4, 0), "work", *usual, "trim"]

    said.clear()
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    with freed_memory_kept():
        pass
    assert said == []


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_the_c_library_takes_the_values() -> None:
    libc = ctypes.CDLL(None)
    for values in (_allocator._KEPT, _allocator._USUAL):
        assert all(libc.mallopt(name, value) == 1 for name, value in values.items())
