"""Audits: which runs there are, that one failure stops no other, and that what is there is kept."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import PIL.Image
import pytest

from visual_summaries.audit import Job, plan_jobs, run_audit
from visual_summaries.audit.plan import class_of
from visual_summaries.audit.work import _command, do_job
from visual_summaries.classifiers import load_classifier
from visual_summaries.cli import main
from visual_summaries.errors import NoImagesError, SettingsError, TargetError

NETS = """
import sys
sys.path.insert(0, {tests!r})
from conftest import make_stripe_network

def build():
    return make_stripe_network()

def broken():
    return make_stripe_network()[0]
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


def test_each_class_times_each_network(nets: Path, folders: Path, tmp_path: Path) -> None:
    jobs = plan_jobs([f"{nets}:build", f"{nets}:build"], folders, tmp_path, max_images=3)
    assert [(Path(job.out).relative_to(tmp_path).as_posix(), job.target, job.name) for job in jobs] == [
        ("nets.py-build/0_marked", 0, "marked"),
        ("nets.py-build/plain", 1, "plain"),
        ("nets.py-build-2/0_marked", 0, "marked"),
        ("nets.py-build-2/plain", 1, "plain"),
    ]


def test_folders_are_called_like_classes(nets: Path) -> None:
    classifier = load_classifier("torch.nn:Flatten", input_size=(2, 4), class_names=[f"sort {i}" for i in range(24)])
    names = {"sort_5": 5, "sort 7": 7, "Sort-8": 8, "9": 9, "10_anything": 10, "11.other": 11}
    assert {name: class_of(name, classifier) for name in names} == names
    for name in ("99", "99_x", "kind 3", "x5"):
        with pytest.raises(TargetError, match="is called like no class"):
            class_of(name, classifier)


def test_wrong_plans_say_so(nets: Path, folders: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="at least one network"):
        plan_jobs([], folders, tmp_path)
    with pytest.raises(SettingsError, match="1 checkpoints are given for 2 models"):
        plan_jobs(["a", "b"], folders, tmp_path, checkpoints=["x"])
    with pytest.raises(NoImagesError, match="is not a folder"):
        plan_jobs([f"{nets}:build"], tmp_path / "none", tmp_path)
    with pytest.raises(NoImagesError, match="holds no folders"):
        plan_jobs([f"{nets}:build"], folders / "plain", tmp_path)
    (tmp_path / "images" / "unknown").mkdir(parents=True)
    with pytest.raises(TargetError, match=r"1 folders of .* called like no class: unknown"):
        plan_jobs([f"{nets}:build"], tmp_path / "images", tmp_path)


def test_what_a_user_names_cannot_be_taken_for_an_option() -> None:
    command = _command(Job("--help", "-rf", "out", 3, "x", checkpoint="w", max_images=5, include_misclassified=True))
    assert command[-3:] == ["--", "--help", "-rf"]
    assert command[command.index("--checkpoint") + 1] == "w"
    assert command[:4] == [sys.executable, "-m", "visual_summaries", "run"]


def test_an_audit_on_the_command_line(nets: Path, folders: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["audit", f"{nets}:build", "--images", str(folders), "--out", str(tmp_path / "runs"), "--quiet", "--json"]
    assert main([*arguments, "--workers", "2"]) == 10  # one of the two cannot be done
    out, err = capfd.readouterr()
    answer = json.loads(out)
    assert [(row["class"], row["state"]) for row in answer["runs"]] == [("marked", "done"), ("plain", "failed")]
    assert "none of the 1 images is classified as plain" in answer["runs"][1]["error"]
    assert "failed: " in err
    run = tmp_path / "runs" / "nets.py-build" / "0_marked"
    assert (run / "report.html").is_file()
    assert "marked" in Path(answer["page"]).read_text()
    before = (run / "manifest.json").stat().st_mtime_ns
    again = run_audit([job for job in plan_jobs([f"{nets}:build"], folders, tmp_path / "runs") if job.target == 0])
    assert [outcome.state for outcome in again] == ["kept"]
    assert (run / "manifest.json").stat().st_mtime_ns == before


def test_a_job_that_raises_anything_is_told(nets: Path, folders: Path, tmp_path: Path) -> None:
    outcome = do_job(Job(f"{nets}:broken", str(folders / "plain"), str(tmp_path / "x"), 0, "plain"))
    assert (outcome.state, outcome.error) == ("failed", "TypeError: 'StripeNetwork' object is not subscriptable")
