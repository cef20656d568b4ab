"""Mutated files of every kind give a result or an error of the package's own; ``make test-faults`` tries many more."""

from __future__ import annotations

import os
import random

import pytest

from benchmarks.scale.fuzzing import KINDS, fuzz, image_seeds, one_input, shares
from benchmarks.scale.mutations import mutate_bytes, mutate_json
from visual_summaries.errors import VisualSummariesError

#: All inputs together; the long run of ``make test-faults`` sets it.
COUNT = int(os.environ.get("VISUAL_SUMMARIES_FUZZ", "600"))


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_input_is_a_typed_error(kind: str) -> None:
    tally = fuzz(kind, shares(COUNT)[kind])
    assert tally.failures == []
    # mutations that are always noticed, or never, would test nothing
    assert sum(tally.errors.values()) > tally.inputs * 0.2
    assert tally.accepted > tally.inputs * 0.05


def test_the_shares_add_up_to_what_is_asked_for() -> None:
    assert sum(shares(10_000).values()) >= 10_000


def test_an_input_is_made_again_from_its_number(tmp_path) -> None:
    seed = image_seeds()[3]
    assert mutate_bytes(seed, random.Random(7)) == mutate_bytes(seed, random.Random(7))
    changed = sum(mutate_bytes(seed, random.Random(number)) != seed for number in range(100))
    assert changed > 90
    assert mutate_json({"a": [1, {"b": "c"}]}, random.Random(3)) == mutate_json({"a": [1, {"b": "c"}]}, random.Random(3))
    for kind in KINDS:
        assert _outcome(kind, tmp_path) == _outcome(kind, tmp_path)


def _outcome(kind, folder):
    try:
        one_input(kind, 5, 0, folder)
    except VisualSummariesError as error:
        return str(error)
    return "accepted"


def test_a_crash_is_reported(monkeypatch) -> None:
    def crash(rng, folder):
        raise IndexError("list index out of range")

    monkeypatch.setitem(KINDS, "names", (crash, 1))
    tally = fuzz("names", 3)
    assert len(tally.failures) == 3
    assert "IndexError" in tally.failures[0]


def test_a_file_outside_of_the_folder_is_reported(monkeypatch) -> None:
    monkeypatch.setitem(KINDS, "names", (lambda rng, folder: (folder / ".." / "escaped").write_text("x"), 1))
    assert "files were written outside" in fuzz("names", 1).failures[0]
