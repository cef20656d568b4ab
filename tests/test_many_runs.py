"""Many runs: that one failure stops no other, what is kept, and what each process may use."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from rich.console import Console

from visual_summaries.batch import work
from visual_summaries.batch.jobs import Job
from visual_summaries.batch.work import do_job, run_jobs
from visual_summaries.cli import console, main

NETS = """
import os
import signal
import sys
import time
sys.path.insert(0, {tests!r})
from conftest import make_stripe_network

def build():
    return make_stripe_network()

def broken():
    return make_stripe_network()[0]

def waits():
    time.sleep(600)

def dies():
    print("a" * 300_000, file=sys.stderr)  # more than a pipe takes
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("nets") / "nets.py"
    path.write_text(NETS.format(tests=str(Path(__file__).parent)))
    return path


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, draw_striped_images: Any) -> Path:
    """Images of one class that can be explained, and of one that cannot: too few of them."""
    path = tmp_path_factory.mktemp("classes")
    for folder, count in (("0_marked", 4), ("plain", 1)):
        (path / folder).mkdir()
        for index, image in enumerate(draw_striped_images(count).images):
            PIL.Image.fromarray(image).save(path / folder / f"-{index}.png")
    (path / ".hidden").mkdir()
    (path / "notes.txt").touch()
    return path


def test_several_runs_at_a_time(nets: Path, folders: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["run", f"{nets}:build", str(folders), "--out", str(tmp_path / "runs"), "--json"]
    assert main([*arguments, "--workers", "2"]) == 10  # one of the two cannot be done
    out, err = capfd.readouterr()
    answer = json.loads(out)
    rows = [(Path(row["images"]).name, row["state"]) for row in answer["runs"]]
    assert rows == [("0_marked", "done"), ("plain", "failed")]
    assert "none of the 1 images is classified as plain" in answer["runs"][1]["error"]
    assert "error: build/plain: " in err
    for line in ("build/0_marked: masks 0/4", "build/plain: images", "build/0_marked: done, "):
        assert line in err
    run = tmp_path / "runs" / "build" / "0_marked"
    assert (run / "report.html").is_file()
    assert "marked" in Path(answer["page"]).read_text()
    before = (run / "manifest.json").stat().st_mtime_ns
    jobs = [Job(f"{nets}:build", str(folders / "0_marked"), str(run)), Job("none.py:build", str(folders), str(tmp_path / "x"))]
    kept, failed = run_jobs(jobs, resume=True)
    assert (kept.job, kept.state, failed.state) == (jobs[0], "kept", "failed")
    assert "none.py" in failed.error
    assert (run / "manifest.json").stat().st_mtime_ns == before
    [refused] = run_jobs(jobs[:1])
    assert "already holds a complete run" in refused.error
    # a run made with another preset or seed is not the one that is asked for
    assert jobs[0].finished
    assert not replace(jobs[0], preset="paper").finished
    assert not replace(jobs[0], parts=3).finished
    assert not replace(jobs[0], random_state=1).finished
    (run / "manifest.json").write_text("[]")
    assert not jobs[0].finished


@pytest.mark.parametrize(
    ("given", "threads"),
    [({}, "3"), ({"OMP_NUM_THREADS": "1"}, "1"), ({"OMP_NUM_THREADS": "5", "MKL_NUM_THREADS": "2"}, "5")],
    ids=["share", "fewer", "as-the-user-says"],
)
def test_threads_of_each_process(given: dict[str, str], threads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """More threads than cores made runs ten times slower."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    environment = work._environment(2)
    assert environment["OMP_NUM_THREADS"] == environment["OPENBLAS_NUM_THREADS"] == threads
    assert environment["MKL_NUM_THREADS"] == given.get("MKL_NUM_THREADS", threads)
    assert environment["OMP_WAIT_POLICY"] == "passive"


def test_an_error_of_any_kind_is_a_result(nets: Path, folders: Path, tmp_path: Path) -> None:
    result = do_job(Job(f"{nets}:broken", str(folders / "plain"), str(tmp_path / "x"), "0"))
    assert (result.state, result.error) == ("failed", "TypeError: 'StripeNetwork' object is not subscriptable")


def test_a_process_that_dies_takes_no_other_along(nets: Path, folders: Path, tmp_path: Path) -> None:
    jobs = [
        Job(f"{nets}:{function}", str(folders / "0_marked"), str(tmp_path / function), max_images=3, preset="paper")
        for function in ("dies", "build")
    ]
    results = {Path(result.job.out).name: result for result in run_jobs(jobs, workers=2)}
    assert results["dies"].state == "failed"
    assert re.match(r"the process ended with -9: a+", results["dies"].error)
    assert results["build"].state == "done"


def test_a_process_ends_with_the_one_that_started_it(nets: Path, folders: Path, tmp_path: Path) -> None:
    job = Job(f"{nets}:waits", str(folders / "0_marked"), str(tmp_path / "x"))
    command = [sys.executable, "-m", "visual_summaries.batch.work"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        print(json.dumps([asdict(job), False]), file=process.stdin, flush=True)
        process.stdin.close()
        assert process.wait(timeout=300) == 1


def test_a_bar_for_each_active_run(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(console, "stderr", Console(file=shown, force_terminal=True, width=120))
    with console.StageProgress() as progress:
        for stage, done, run in (("images", 3, "net/a"), ("images", 1, "net/b"), ("masks", 2, "net/b")):
            progress(stage, done, 3, run)
        progress.remove("net/a")
        progress.remove("net/c")  # failed before its first stage
    last = shown.getvalue().rpartition("net/b: masks")[2]
    assert "2/3" in last
    assert "net/a" not in last
