"""The catalog over many runs: what it reads, what it refuses, and its page in a browser."""

from __future__ import annotations

import builtins
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.made_runs import small_run
from visual_summaries.batch.catalog import scan_runs
from visual_summaries.cli import main
from visual_summaries.errors import MissingExtraError, RunError, SettingsError
from visual_summaries.pages.catalog import write_index
from visual_summaries.results import TargetInfo
from visual_summaries.runs.directory import FORMAT, save_run

if TYPE_CHECKING:
    from playwright.sync_api import Page

HOSTILE = "<script>alert(1)</script>"


def write_manifest(folder: Path, number: int, **changes: Any) -> None:
    """Write what a catalog reads of a run, and no more."""
    folder.mkdir(parents=True)
    importances = [round((number * 7 + k * 13) % 100 / 100, 2) for k in range(number % 6)]
    manifest = {
        "format": FORMAT,
        "complete": True,
        "created": f"2026-{1 + number % 12:02d}-{1 + number % 28:02d}T10:00:00+00:00",
        "classifier": {"spec": f"timm/network_{number % 3}"},
        "target": {"index": number, "name": f"class {number}"},
        "accuracy": {"correct": number % 101, "total": 100},
        "counts": {"images": 40 + number % 60, "skipped": 1, "rejected": 2},
        "faithfulness": {"deletion": [0.1 + number % 10 / 50, 0.6], "insertion": [0.7, 0.4]},
        "warnings": {"weak": number % 4},
        "timings": {"masks": 12.5, "similarity": 3.0},
    } | changes
    (folder / "manifest.json").write_text(json.dumps(manifest))
    summaries = [{"index": k, "importance": value} for k, value in enumerate(importances)]
    (folder / "run.json").write_text(json.dumps({"summaries": summaries}))


def test_rows_are_what_the_runs_say(tmp_path: Path) -> None:
    run = small_run()
    save_run(run, tmp_path / "b" / "one")
    (tmp_path / "b" / "one" / "report.html").write_text("x")
    write_manifest(tmp_path / "a", 4)
    (entry, other), broken = scan_runs(tmp_path)
    assert broken == []
    assert (entry.path, entry.report, entry.importances) == ("a", "", [0.28, 0.41, 0.54, 0.67])
    assert (entry.deletion, entry.deletion_control, entry.seconds, entry.warnings) == (0.18, 0.6, 15.5, 0)
    assert (other.path, other.report) == ("b/one", "b/one/report.html")
    assert (other.target, other.network, other.accuracy) == ("cock", "timm/resnet18", 0.75)
    assert (other.summaries, other.importances, other.images) == (1, [0.3], 3)


def test_what_was_analyzed_is_shown_where_it_was(tmp_path: Path) -> None:
    write_manifest(tmp_path / "a", 2)
    data = json.loads((tmp_path / "a" / "run.json").read_text())
    data["analyzed"] = [True, True, False]
    data["analyses"] = [{"interval": [0.1 - 0.095 * k, 0.5], "stability": 0.25 + 0.5 * k} for k in range(2)]
    (tmp_path / "a" / "run.json").write_text(json.dumps(data))
    (entry,), _ = scan_runs(tmp_path)
    assert (entry.control, entry.stability) == ([True, False], [0.25, 0.75])


def test_broken_and_unfinished_runs_are_listed_and_not_fatal(tmp_path: Path) -> None:
    write_manifest(tmp_path / "good", 1)
    write_manifest(tmp_path / "no-name", 1, target={"index": 1})
    write_manifest(tmp_path / "wrong", 1, counts={"images": "many"})
    write_manifest(tmp_path / "other-format", 1, format=7)
    write_manifest(tmp_path / "nested" / "rubbish", 1)
    (tmp_path / "nested" / "rubbish" / "run.json").write_bytes(b"\xff{")
    (tmp_path / "unfinished" / "pieces" / "masks").mkdir(parents=True)
    entries, broken = scan_runs(tmp_path)
    assert [entry.path for entry in entries] == ["good"]
    reason = re.compile(r"is missing|is damaged|format 7, but this version reads format 3")
    assert {item.path: reason.search(item.reason)[0] for item in broken} == {
        "nested/rubbish": "is damaged",
        "no-name": "is damaged",
        "other-format": "format 7, but this version reads format 3",
        "unfinished": "is missing",
        "wrong": "is damaged",
    }


def test_wrong_folders_say_so(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not a folder"):
        write_index(tmp_path / "none")
    with pytest.raises(RunError, match="holds no runs"):
        write_index(tmp_path)
    write_manifest(tmp_path / "a", 1)
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="is a file"):
        write_index(tmp_path, tmp_path / "file")
    with pytest.raises(SettingsError, match="table is 'csv'"):
        write_index(tmp_path, table="csv")


def test_links_are_not_followed_and_nothing_is_written_outside(tmp_path: Path) -> None:
    write_manifest(tmp_path / "outside" / "secret", 1)
    inside = tmp_path / "inside"
    write_manifest(inside / "a", 2, source="../../outside", target={"index": 1, "name": "../../outside/x"})
    (inside / "link").symlink_to(tmp_path / "outside", target_is_directory=True)
    (inside / "loop").symlink_to(inside, target_is_directory=True)
    (inside / "index.html").symlink_to(tmp_path / "outside" / "page.html")
    before = sorted(tmp_path.joinpath("outside").rglob("*"))
    found = write_index(inside)
    assert [found.runs, found.broken] == [1, []]
    assert sorted(tmp_path.joinpath("outside").rglob("*")) == before
    assert not (inside / "index.html").is_symlink()


def test_json_table_holds_every_row(tmp_path: Path) -> None:
    write_manifest(tmp_path / "a", 4)
    write_manifest(tmp_path / "b", 0)
    save_run(replace(small_run(), info=replace(small_run().info, target=TargetInfo(1, "a\udcff"))), tmp_path / "c")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "run.json").write_text("{}")
    found = write_index(tmp_path, tmp_path / "out")
    table = json.loads(found.table.read_text())
    assert [row["path"] for row in table["runs"]] == ["a", "b", "c"]
    assert table["runs"][0]["importances"] == [0.28, 0.41, 0.54, 0.67]
    assert table["runs"][1]["importances"] == []
    assert table["runs"][2]["target"] == "a\udcff"
    assert [item["path"] for item in table["broken"]] == ["d"]


def test_parquet_table_holds_the_same_rows(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    for number in range(5):
        write_manifest(tmp_path / f"{number}", number)
    rows = json.loads(write_index(tmp_path).table.read_text())["runs"]
    found = write_index(tmp_path, table="parquet")
    assert parquet.read_table(found.table).to_pylist() == rows


def test_parquet_is_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **options: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *args, **options)

    write_manifest(tmp_path / "a", 1)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"pip install 'visual-summaries\[table\]', or write JSON"):
        write_index(tmp_path, table="parquet")


def test_command_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_manifest(tmp_path / "a", 1)
    (tmp_path / "b" / "pieces").mkdir(parents=True)
    assert main(["index", str(tmp_path), "--json", "--quiet"]) == 0
    out, err = capfd.readouterr()
    assert json.loads(out) | {"page": "", "table": ""} == {"runs": 1, "broken": 1, "page": "", "table": ""}
    assert "could not read b: " in err
    assert main(["index", str(tmp_path / "none")]) == 6


# In a browser.


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A thousand runs, one of them hostile, one unfinished."""
    folder = tmp_path_factory.mktemp("runs") / f"all {HOSTILE.replace('/', '∕')}"
    for number in range(999):
        write_manifest(folder / f"net{number % 3}" / f"{number:04d}", number)
    name = f'"><img src=x onerror=alert(1)>{HOSTILE}'
    hostile = folder / "javascript:alert(1)" / name.replace("/", "∕")
    write_manifest(hostile, 3, target={"index": 1, "name": name}, classifier={"spec": f"{HOSTILE}.py:x"}, created=HOSTILE)
    (hostile / "report.html").write_text("<title>the report</title>")
    (folder / f"broken {HOSTILE.replace('/', '∕')}" / "pieces").mkdir(parents=True)
    return write_index(folder).page


@pytest.fixture
def page(watched: Callable[..., Page], catalog: Path) -> Page:
    """The catalog in a browser, watched."""
    return watched(catalog)


def visible(page: Page, column: int = 1) -> list[str]:
    """Text of a column of the rows that are shown: its first line."""
    return page.eval_on_selector_all(
        "#runs tbody tr",
        f"rows => rows.filter(row => !row.hidden).map(row => row.cells[{column - 1}].innerText.split('\\n')[0])",
    )


@pytest.mark.browser
def test_search_sort_and_address(page: Page, catalog: Path) -> None:
    assert len(visible(page)) == 1000
    page.fill("#search", "NETWORK_1 class 10")
    assert page.inner_text("#shown") == "8 of 1000 runs"
    assert visible(page)[:3] == ["class 10", "class 100", "class 103"]
    page.click("thead button[data-key=accuracy]")
    seen = [int(value.rstrip("%")) for value in visible(page, 4)]
    assert seen == sorted(seen, reverse=True)
    page.click("thead button[data-key=accuracy]")
    assert [int(value.rstrip("%")) for value in visible(page, 4)] == sorted(seen)
    assert page.get_attribute("th:has(button[data-key=accuracy])", "aria-sort") == "ascending"
    assert "find=NETWORK_1+class+10&sort=accuracy" in page.evaluate("location.href")
    page.goto("about:blank")
    page.goto(f"{catalog.as_uri()}#find=class+99&sort=target&down=1&theme=dark")
    assert visible(page)[:3] == ["class 998", "class 997", "class 996"]
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.fill("#search", "no such class")
    assert page.is_visible("#nothing")


@pytest.mark.browser
def test_markup_in_names_is_text(page: Page) -> None:
    page.fill("#search", "onerror")
    (name,) = visible(page)
    assert name == f'"><img src=x onerror=alert(1)>{HOSTILE}'
    assert page.eval_on_selector_all("main img, main script", "found => found.length") == 0
    assert HOSTILE.replace("/", "∕") in page.inner_text("h1")
    assert "broken <script>" in page.inner_text("#broken")
    # the link is a path below the page, whatever the folders are called
    page.click("#runs tbody tr:not([hidden]) a")
    page.wait_for_url("file:**/report.html")
    assert page.title() == "the report"


@pytest.mark.browser
def test_policy_lets_nothing_in(page: Page) -> None:
    policy = page.get_attribute("meta[http-equiv=Content-Security-Policy]", "content")
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert (
        page.evaluate("document.querySelectorAll('[style], [onclick], [onerror], link[rel=stylesheet], script[src]').length")
        == 0
    )
    for attribute in page.evaluate(
        "[...document.querySelectorAll('[src], [href]')].map(e => e.getAttribute('src') ?? e.getAttribute('href'))"
    ):
        assert attribute.startswith(("#", "data:,")) or attribute.endswith("/report.html")
        assert not attribute.startswith("javascript:")


@pytest.mark.browser
@pytest.mark.parametrize("width", [360, 800, 1600])
def test_the_page_itself_never_scrolls_sideways(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@pytest.mark.browser
def test_the_catalog_keeps_nobody_out(
    watched: Callable[..., Page], faults: Callable[[Page], list[str]], tmp_path: Path
) -> None:
    for number in range(3):
        write_manifest(tmp_path / "runs" / str(number), number)
    (tmp_path / "runs" / "broken" / "pieces").mkdir(parents=True)
    assert faults(watched(write_index(tmp_path / "runs").page)) == []


@pytest.mark.browser
def test_all_is_there_without_a_script(watched: Callable[..., Page], catalog: Path) -> None:
    page = watched(catalog, java_script_enabled=False)
    assert page.locator("#runs tbody tr").count() == 1000
    assert not page.is_visible("#search")
