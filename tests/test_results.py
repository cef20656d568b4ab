"""What a result is to its reader: one line, numbers from 1, rows, a table; and the check that is kept beside a run."""

from __future__ import annotations

import copy
import io
import json
import pickle
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import visual_summaries as vs
from visual_summaries.errors import MissingExtraError, RunError, SettingsError
from visual_summaries.pages.report import render_page
from visual_summaries.progress import ProgressLine, shown
from visual_summaries.results import RandomizationCheck
from visual_summaries.runs.check_file import CHECK, save_check
from visual_summaries.runs.directory import save_run


@pytest.fixture
def stored(striped_run: vs.Run, tmp_path: Path) -> vs.Run:
    save_run(striped_run, tmp_path / "run")
    return vs.load_run(tmp_path / "run")


def found_of(run: vs.Run) -> RandomizationCheck:
    summaries = np.array([0.1, *[np.nan] * (len(run) - 1)])
    return RandomizationCheck((0, 2), np.array([0.2, 0.1]), np.array([0.05, 0.0]), summaries, 3)


def parts_of(value: Any) -> Any:
    """Every object of the package inside of a value, itself included."""
    if type(value).__module__.startswith("visual_summaries"):
        yield value
        for own in [item for name, item in vars(value).items() if name != "_run"]:
            yield from parts_of(own)
    elif isinstance(value, tuple | list):
        for own in value:
            yield from parts_of(own)


def test_every_result_is_a_short_line(striped_run: vs.Run) -> None:
    seen = set()
    for value in [
        *parts_of(replace(striped_run, check=found_of(striped_run))),
        striped_run.verdict,
        *striped_run.verdict.relies_on,
    ]:
        if "settings" not in type(value).__module__:
            text = repr(value)
            assert text.count("\n") < 3, type(value)
            assert len(text) < 300, type(value)
            seen.add(type(value).__name__)
    assert {"Run", "Summary", "Region", "Mask", "Image", "Member", "RunAnalysis", "RunInfo", "Verdict", "Reliance"} <= seen


def test_a_run_is_its_summaries_by_number(striped_run: vs.Run) -> None:
    assert len(striped_run) == len(striped_run.summaries) == 2
    assert list(striped_run) == list(striped_run.summaries)
    assert [summary.number for summary in striped_run] == [1, 2]
    assert striped_run.summary(2) is striped_run.summaries[1]
    assert striped_run.target == striped_run.info.target.name
    assert replace(striped_run, summaries=())  # true all the same
    for number in (0, 3, -1):
        with pytest.raises(SettingsError, match=f"there is no summary {number}: the run has 2, numbered from 1"):
            striped_run.summary(number)


def test_records_have_the_figures_of_each_summary(striped_run: vs.Run) -> None:
    first, second = striped_run.to_records()
    assert (first["summary"], second["summary"]) == (1, 2)
    own = striped_run.summary(1)
    assert own.analysis is not None
    assert first["importance"] == own.importance
    assert (first["low"], first["high"]) == pytest.approx(own.analysis.interval)
    assert first["exemplar"] == striped_run.images[striped_run.regions[own.exemplar].image].name
    bare = replace(striped_run, summaries=tuple(replace(one, analysis=None) for one in striped_run)).to_records()[0]
    assert bare.keys() == first.keys()
    assert bare["control"] is None


def test_a_table_where_pandas_is(striped_run: vs.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match="pip install pandas"):
        striped_run.to_pandas()
    asked: list[Any] = []
    pandas = ModuleType("pandas")
    pandas.DataFrame = type("DataFrame", (), {"from_records": lambda rows, index: asked.append((rows, index))})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pandas", pandas)
    striped_run.to_pandas()
    assert asked == [(striped_run.to_records(), "summary")]


def test_a_summary_knows_its_run_and_no_other(striped_run: vs.Run) -> None:
    other = replace(striped_run, images=striped_run.images[:1])
    assert striped_run.summaries[0].__dict__["_run"] is striped_run
    assert other.summaries[0].__dict__["_run"] is other
    for copied in (pickle.loads(pickle.dumps(striped_run)), copy.deepcopy(striped_run)):  # noqa: S301 - made here
        assert copied == striped_run
        assert copied.summaries[0].__dict__["_run"] is copied
    with pytest.raises(RunError, match=r"take it from a run: run.summary\(1\)"):
        pickle.loads(pickle.dumps(striped_run.summaries[0])).plot()  # noqa: S301 - made here


def test_a_check_is_kept_beside_its_run_and_shown(stored: vs.Run) -> None:
    found = found_of(stored)
    assert save_check(stored, found).check == found
    assert stored.path is not None
    loaded = vs.load_run(stored.path)
    assert loaded.check == found
    assert "Randomization check" in render_page(loaded)
    assert "Randomization check" not in render_page(stored)
    save_run(stored, stored.path)  # the same again, as --resume writes it
    assert vs.load_run(stored.path).check == found
    save_run(replace(stored, summaries=stored.summaries[:1], analysis=None), stored.path)
    assert vs.load_run(stored.path).check is None  # it was of other summaries


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format 1"),
        ({"masks": [0.5]}, "masks"),
        ({"masks": [0.5, 1.5]}, "in \\[0, 1\\]"),
        ({"masks": [0.5, None]}, "masks"),
        ({"summaries": [0.5]}, "summaries"),
        ({"images": [0, 99]}, "images"),
        ({"images": "all"}, "images"),
        ({"clusters": -1}, "clusters"),
    ],
)
def test_a_damaged_check_is_told(stored: vs.Run, change: dict[str, Any], message: str) -> None:
    assert stored.path is not None
    save_check(stored, found_of(stored))
    path = stored.path / CHECK
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(RunError, match=f"(?s){message}.*delete it, and run `check` again"):
        vs.load_run(stored.path)


def test_progress_is_shown_where_somebody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    line = ProgressLine(stream)
    for stage, done in (("masks", 1), ("masks", 2), ("masks", 3), ("masks", 3), ("chance", 1), ("joint", 3)):
        line(stage, done, 3)
    assert [text.rpartition("\r")[2].split() for text in stream.getvalue().splitlines() if text.strip()][-1] == ["joint", "3/3"]
    assert stream.getvalue().count("3/3") == 2
    assert shown(None) is None
    monkeypatch.setattr(sys, "stderr", type("Terminal", (io.StringIO,), {"isatty": lambda self: True})())
    assert isinstance(shown(None), ProgressLine)
