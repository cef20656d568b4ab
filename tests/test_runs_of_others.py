"""A run directory from somebody else is data: loading it executes nothing and writes nowhere but where it was told to."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import visual_summaries.classifiers as classifiers
from benchmarks.made_runs import small_run
from benchmarks.scale.mutations import forge_checksums
from visual_summaries import load_run
from visual_summaries.cli import main
from visual_summaries.errors import RunError
from visual_summaries.pages.exports import export_run
from visual_summaries.pages.report import render_page
from visual_summaries.results import ClassifierInfo, Run, RunInfo, Skipped, TargetInfo
from visual_summaries.runs.directory import save_run

if TYPE_CHECKING:
    from playwright.sync_api import Page

SCRIPT = '"><script>document.title="pwned"</script><img src=x onerror=document.title="pwned">'
PATHS = (
    "../../escaped",
    "/escaped-by-a-run",
    "..\\..\\escaped",
    "a/../../../escaped.jpg",
    "C:\\escaped",
    "\x00",
    "~/escaped",
)


def hostile_run(text: str) -> Run:
    """A run in which everything that is text is `text`."""
    run = small_run()
    return replace(
        run,
        images=tuple(replace(image, name=f"{text}{image.index}", sha256=text) for image in run.images),
        skipped=(Skipped(text, text, text),),
        info=RunInfo(
            ClassifierInfo(f"{text}.py:build", transform={text: [text]}),
            TargetInfo(7, text),
            created=text,
            source=text,
            preset=text,
            predicted={"7": text, "8": text},
            warnings={text: 1},
            versions={text: text},
            hardware={text: text},
        ),
    )


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", PATHS)
def test_names_are_never_paths(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = tmp_path / "a" / "b" / "inside"
    save_run(hostile_run(name), inside)
    (inside / "manifest.json").write_text(json.dumps(json.loads((inside / "manifest.json").read_text()) | {"path": name}))
    monkeypatch.chdir(inside)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    before = files_of(tmp_path)
    run = load_run(inside)
    assert run.path == inside
    run.report()
    for kind in ("json", "csv", "coco"):
        export_run(run, inside / "out" / kind, kind)
    assert main(["index", str(inside.parent), "--quiet", "--out", str(inside / "out" / "index")]) == 0
    after = files_of(tmp_path)
    assert {path: after[path] for path in before} == before
    written = set(after) - set(before)
    assert written
    assert {path for path in written if not path.startswith("a/b/inside/")} == set()
    assert not Path("/escaped-by-a-run").exists()


def test_links_in_a_run_are_not_written_through(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    save_run(small_run(), inside)
    outside.mkdir()
    (outside / "mine.html").write_text("mine")
    (inside / "report.html").symlink_to(outside / "mine.html")
    load_run(inside).report()
    assert (outside / "mine.html").read_text() == "mine"
    assert "<!doctype html>" in (inside / "report.html").read_text()
    assert [path.name for path in outside.iterdir()] == ["mine.html"]


def test_the_model_that_a_run_names_is_never_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = tmp_path / "evil.py"
    code.write_text(f"import os\nos.mkdir({str(tmp_path / 'executed')!r})\n")
    run = small_run()
    info = RunInfo(ClassifierInfo(f"{code}:build"), versions={"visual-summaries": f"{code}:x"})
    save_run(replace(run, info=info), tmp_path / "run")
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    manifest["classifier"] |= {"checkpoint": str(code), "module": "os:system", "file": str(code)}
    (tmp_path / "run" / "manifest.json").write_text(json.dumps(manifest))

    def refuse(*args: Any, **options: Any) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(classifiers, "load_classifier", refuse)
    monkeypatch.setattr("visual_summaries.classifiers.loading.load_classifier", refuse)
    for arguments in (["report"], ["export", "--out", str(tmp_path / "x.json")], ["figure", "--out", str(tmp_path / "x.svg")]):
        assert main([arguments[0], str(tmp_path / "run"), *arguments[1:]]) == 0
    assert main(["index", str(tmp_path), "--quiet"]) == 0
    assert not (tmp_path / "executed").exists()


class Payload:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_pickles_in_any_file_of_a_run_are_not_read(tmp_path: Path) -> None:
    trace = tmp_path / "executed"
    content = pickle.dumps(Payload(trace))
    for name in ("manifest.json", "run.json", "arrays.npz"):
        folder = tmp_path / name
        save_run(small_run(), folder)
        (folder / name).write_bytes(content)
        forge_checksums(folder)
        with pytest.raises(RunError, match="damaged"):
            load_run(folder)
    # as an array of objects inside the archive
    folder = tmp_path / "member"
    save_run(small_run(), folder)
    with zipfile.ZipFile(folder / "arrays.npz", "a") as archive, archive.open("extra.npy", "w") as member:
        np.lib.format.write_array(member, np.array([Payload(trace)], dtype=object))
    forge_checksums(folder)
    with pytest.raises(RunError, match="cannot be read"):
        load_run(folder)
    assert not trace.exists()


def test_an_archive_that_unpacks_to_more_than_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_run(small_run(), tmp_path)
    real = os.sysconf
    monkeypatch.setattr(os, "sysconf", lambda name: 1 if name == "SC_PHYS_PAGES" else real(name))
    with pytest.raises(RunError, match="more than this machine has memory"):
        load_run(tmp_path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"regions": [{"image": 7}]}, "regions.0.image is 7, but must be from 0 to 2"),
        ({"regions": [{"box": [0, 0, 99, 4]}]}, "a box inside of 12 x 20 pixels"),
        ({"images": [{"index": 2}]}, "images.0.index is 2, but must be 0, its position"),
        ({"images": [{"name": 5}]}, r"images\.0: Expected `str`, got `int` - at `\$\.name`"),
        ({"masks": [{"score_before": "0.9"}]}, r"masks\.0: Expected `float`, got `str` - at `\$\.score_before`"),
        ({"summaries": [{"exemplar": -1}]}, "summaries.0.exemplar is -1"),
        ({"summaries": [{"cluster": [0, 3]}]}, "summaries.0.cluster is 3"),
        ({"settings": {"regions": {"threshold": "half"}}}, "does not fit this version"),
    ],
)
def test_what_does_not_fit_together_is_named(change: dict[str, Any], says: str, tmp_path: Path) -> None:
    save_run(small_run(), tmp_path)
    data = json.loads((tmp_path / "run.json").read_text())
    for group, items in change.items():
        if isinstance(items, dict):
            data[group]["regions"] |= items["regions"]
        else:
            data[group][0] |= items[0]
    (tmp_path / "run.json").write_text(json.dumps(data))
    forge_checksums(tmp_path)
    with pytest.raises(RunError, match=says):
        load_run(tmp_path)


@pytest.mark.browser
def test_a_report_of_somebody_elses_run_runs_no_script(watched: Callable[..., Page], tmp_path: Path) -> None:
    save_run(hostile_run(SCRIPT), tmp_path / "run")
    hostile_page = watched(load_run(tmp_path / "run").report())
    assert hostile_page.title() != "pwned"
    assert SCRIPT in hostile_page.inner_text("h1")
    assert hostile_page.locator("main img[src=x]").count() == 0
    for panel in hostile_page.locator("details").all():
        panel.evaluate("element => { element.open = true }")
    assert hostile_page.inner_text("body").count("<script>") > 5
    assert hostile_page.title() != "pwned"


def test_every_page_has_a_strict_policy(tmp_path: Path) -> None:
    page = render_page(hostile_run(SCRIPT))
    policy = page.split('http-equiv="Content-Security-Policy" content="')[1].split('"')[0]
    assert policy.startswith("default-src &#39;none&#39;")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert SCRIPT not in page
