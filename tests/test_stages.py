"""A stage whose code changes is given a new version, or its results are known to be the same."""

from __future__ import annotations

import ast
import json
from typing import Any

import pytest

import stage_code
from visual_summaries.masks.perturb import gaussian_blur


@pytest.mark.parametrize("name", sorted(stage_code.stages()))
def test_code_that_changes_has_a_new_version(name: str) -> None:
    known = json.loads(stage_code.FILE.read_text(encoding="utf-8")).get(name)
    stage = stage_code.stages()[name]
    assert known == {"code": stage.code, "hash": stage_code.code_of(stage)}, (
        f"the code of stage {name!r} has changed: raise its `code` if it computes something else now, so that pieces of "
        "earlier runs are not taken for its own; then run `python tests/stage_code.py`"
    )


def test_no_stage_is_forgotten() -> None:
    assert sorted(json.loads(stage_code.FILE.read_text(encoding="utf-8"))) == sorted(stage_code.stages())


def test_docstrings_and_annotations_are_no_code() -> None:
    def blurred(image: Any, size: int = 3) -> Any:
        """Blur."""
        return gaussian_blur(image, size, 1.0)  # of one pixel

    first = blurred

    def blurred(image, size=3):  # type: ignore[no-redef]
        return gaussian_blur(image, size, 1.0)

    second = blurred

    def blurred(image, size=5):  # type: ignore[no-redef]
        return gaussian_blur(image, size, 1.0)

    assert ast.dump(stage_code.source_of(first)) == ast.dump(stage_code.source_of(second))
    assert ast.dump(stage_code.source_of(first)) != ast.dump(stage_code.source_of(blurred))


def test_code_far_below_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = stage_code.code_of(stage_code.stages()["importance"])

    def moved_copies(mask: Any, draws: int, random_state: Any, within: Any = None) -> Any:
        return mask

    moved_copies.__module__ = "visual_summaries.masks.controls"
    monkeypatch.setattr("visual_summaries.analyses.importance.moved_copies", moved_copies)
    assert stage_code.code_of(stage_code.stages()["importance"]) != before
