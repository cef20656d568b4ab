"""The tables of README and docs are those of the committed results."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks.harness import RESULTS, default_hash, unfinished

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def make_tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_tables", ROOT / "scripts" / "make_tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))], ids=lambda page: page.name)
def test_no_table_is_out_of_date(make_tables: ModuleType, page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert make_tables.updated(text) == text, "run python scripts/make_tables.py"


def test_results_are_of_the_default_as_it_is() -> None:
    named = {path.stem: json.loads(path.read_text(encoding="utf-8")).get("default") for path in RESULTS.glob("*.json")}
    assert named
    assert {name for name, default in named.items() if default != default_hash()} == set()


def test_rows_are_added_to_results_of_the_default_as_it_is_alone(tmp_path: Path) -> None:
    path = tmp_path / "some.json"
    assert unfinished(None) is None
    assert unfinished(path) is None
    for former in ({"default": "0123456789ab"}, {}):
        path.write_text(json.dumps({"rows": [], **former}))
        with pytest.raises(SystemExit, match="give another --json file, or move it away"):
            unfinished(path)
    path.write_text(json.dumps({"rows": [1], "default": default_hash()}))
    assert unfinished(path) == {"rows": [1], "default": default_hash()}


def test_a_table_of_no_results_says_so(make_tables: ModuleType) -> None:
    page = "<!-- results {} bars -->\nold\n<!-- end -->\n"
    assert make_tables.updated(page.format("none.json")) == page.format("none.json").replace("old", "*Not measured yet.*")
    assert "| figure |" in make_tables.updated(page.format("specialize.json"))


def test_bars_and_rows(make_tables: ModuleType) -> None:
    results = {
        "bars": [{"name": "speed", "value": 12.3456, "bound": 10, "sense": ">=", "holds": True}],
        "rows": [{"network": "a", "published": {"objective": 0.5}}, {"network": "b"}],
    }
    assert make_tables.render(results, "bars", "").splitlines()[2] == "| speed | 12.35 | at least 10 | yes |"
    rows = make_tables.render(results, "rows", ' network=Network published.objective="L, published"')
    assert rows.splitlines() == ["| Network | L, published |", "| --- | --- |", "| a | 0.5 |"]
    assert make_tables.render(results, "rows", " where.network=x network published.objective=L") == "*Not measured yet.*\n"
    results["rows"].append({"network": "c", "published": {"objective": 0.25}})
    rows = make_tables.render(results, "rows", " where.network=c network published.objective=L")
    assert rows.splitlines() == ["| network | L |", "| --- | --- |", "| c | 0.25 |"]
