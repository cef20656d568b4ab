"""The command line: what it prints where, and the exit code of each kind of failure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image as PillowImage

import visual_summaries
from visual_summaries.cli import app, main
from visual_summaries.cli.console import StageProgress, note, say

NETWORK = f"{Path(__file__).parent / 'conftest.py'}:make_stripe_network"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, draw_striped_images: Callable[..., Any]) -> Path:
    path = tmp_path_factory.mktemp("images")
    for index, image in enumerate(draw_striped_images(4).images):
        PillowImage.fromarray(image).save(path / f"{index}.png")
    return path


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Path:
    path = tmp_path_factory.mktemp("runs") / "marked"
    assert main(["run", NETWORK, str(folder), "--target", "marked", "--out", str(path), "--quiet"]) == 0
    return path


def test_a_run_writes_its_folder_and_report(out: Path) -> None:
    assert {"manifest.json", "run.json", "arrays.npz", "report.html"} <= {entry.name for entry in out.iterdir()}
    assert json.loads((out / "manifest.json").read_text())["preset"] == "default"


def test_json_alone_is_on_stdout_and_progress_on_stderr(
    tmp_path: Path, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["run", NETWORK, str(folder), "--target", "0", "--out", str(tmp_path / "out"), "--json", "--seed", "3"]
    assert main(arguments) == 0
    printed = capfd.readouterr()
    found = json.loads(printed.out)
    assert found["accuracy"] == {"correct": 4, "total": 4}
    assert found["counts"]["summaries"] == len(found["summaries"])
    assert Path(found["report"]) == tmp_path / "out" / "report.html"
    for stage in ("masks", "parts", "summaries"):
        assert stage in printed.err
    assert "4 of 4 images are classified as marked" in printed.err


def test_resume_of_a_complete_run(out: Path, folder: Path) -> None:
    arguments = ["run", NETWORK, str(folder), "--target", "marked", "--out", str(out), "--quiet"]
    assert main(arguments) == 6
    before = json.loads((out / "run.json").read_text())
    assert main([*arguments, "--resume"]) == 0
    assert json.loads((out / "run.json").read_text()) == before


def test_the_report_is_written_again(out: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "again.html"
    assert main(["report", str(out), "--out", str(page)]) == 0
    assert page.read_text() == (out / "report.html").read_text()
    assert "again.html" in capfd.readouterr().out


SHOWN = {"--input-size": "24,32", "--mean": "0.4", "--std": "0.2,0.3,0.4", "--resize": "30", "--interpolation": "bicubic"}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Path:
    """A run whose network was shown images as the command says."""
    path = tmp_path_factory.mktemp("shown") / "run"
    options = [part for option in SHOWN.items() for part in option]
    arguments = ["run", NETWORK, str(folder), "--target", "0", "--out", str(path), "--include-misclassified", *options]
    assert main([*arguments, "--preset", "quick", "--quiet"]) == 0
    return path


def test_how_images_are_shown_is_said_on_the_command_line_and_recorded(shown: Path) -> None:
    recorded = json.loads((shown / "manifest.json").read_text())["classifier"]["transform"]
    assert recorded["size"] == [24, 32]
    assert recorded["mean"] == [0.4, 0.4, 0.4]
    assert recorded["std"] == [0.2, 0.3, 0.4]
    assert (recorded["resize"], recorded["interpolation"]) == (30, "bicubic")


def test_later_commands_show_images_as_the_run_did(shown: Path) -> None:
    from visual_summaries.cli.applying import network_of
    from visual_summaries.cli.networks import Loading

    run = visual_summaries.load_run(shown)
    assert network_of(run, NETWORK).transform.to_dict() == run.info.classifier.transform
    asked = network_of(run, NETWORK, None, Loading(mean=0.1, input_size=(24, 32)))
    assert asked.transform.mean == (0.1, 0.1, 0.1)
    assert asked.transform.std != (0.2, 0.3, 0.4)


def test_a_finished_run_is_kept_where_it_was_shown_the_same(shown: Path, folder: Path) -> None:
    from visual_summaries.batch.jobs import Job

    made = Job(NETWORK, str(folder), str(shown), preset="quick", include_misclassified=True)
    assert made.finished  # nothing is said of it
    same = {"input_size": (24, 32), "mean": 0.4, "std": (0.2, 0.3, 0.4), "resize": 30, "interpolation": "bicubic"}
    assert replace(made, **same).finished
    for name, value in {"input_size": 32, "mean": 0.5, "std": 0.3, "resize": 31, "interpolation": "bilinear"}.items():
        assert not replace(made, **{**same, name: value}).finished, name


@pytest.mark.parametrize("command", ["run", "tag", "apply", "check", "specialize", "study simulate"])
def test_every_command_that_loads_a_network_can_say_how(command: str) -> None:
    import typer

    found: Any = typer.main.get_command(app)
    for name in command.split():
        found = found.commands[name]
    options = {option for parameter in found.params for option in parameter.opts}
    assert options >= {*SHOWN, "--class-names", "--device", "--score", "--weights", "--checkpoint"}


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--input-size", "a", "not a whole number"),
        ("--resize", "25.5", "not a whole number"),
        ("--mean", "0.5,", "not a number"),
        ("--mean", "0.5,0.5", "give one number for each"),
        ("--std", "0", "must be positive"),
        ("--input-size", "4,24,32", "only networks of 1 channel (luminance) and of 3 (RGB)"),
        ("--interpolation", "cubic", "'bicubic'"),
    ],
)
def test_impossible_transforms(
    option: str, value: str, message: str, folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["run", NETWORK, str(folder), "--target", "0", "--out", str(tmp_path / "out"), "--quiet", option, value]
    assert main(arguments) == 2
    assert message in " ".join(capfd.readouterr().err.replace("│", " ").split())


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"model": "timm/resnet5o"}, 3, "resnet50"),
        ({"model": "no_such_file.py:network"}, 3, "no_such_file.py"),
        ({"--checkpoint": "wrong.safetensors"}, 3, "unexpected"),
        ({"--target": "market"}, 4, "marked"),
        ({"--target": "plain"}, 4, "none of the 4 images is classified as plain"),
        ({"--target": "plain"}, 4, "where several labels may hold together, load the network with --score sigmoid"),
        ({"images": "nowhere"}, 5, "nowhere"),
        ({"--out": "taken"}, 6, "is not empty"),
        ({"--preset": "papers"}, 2, "'default', 'quick', 'paper'"),
        ({"--max-images": "2"}, 2, "max-images"),
    ],
    ids=["model", "file", "checkpoint", "class", "never-predicted", "labels", "no-folder", "output", "preset", "too-few"],
)
def test_wrong_input_ends_with_a_remedy_and_its_code(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    capfd: pytest.CaptureFixture[str],
    change: dict[str, str],
    code: int,
    message: str,
) -> None:
    from safetensors.torch import save_file

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    save_file({"nothing.weight": torch.zeros(1)}, "wrong.safetensors")
    Path("taken").mkdir()
    Path("taken", "thesis.tex").touch()
    values = {"model": NETWORK, "images": str(folder), "--target": "marked", "--out": "out"} | change
    arguments = ["run", values.pop("model"), values.pop("images"), "--quiet"]
    for option, value in values.items():
        arguments += [option, value]
    assert main(arguments) == code
    assert message in capfd.readouterr().err
    assert not Path("out", "manifest.json").exists()


def test_a_folder_that_is_no_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path)]) == 6
    assert "holds no complete run" in capfd.readouterr().err.replace("\n", " ")


def test_an_interrupted_run_says_how_to_go_on(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from visual_summaries.runs import summarize as job

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(job, "compute_masks", interrupted)
    assert main(["run", NETWORK, str(folder), "--target", "0", "--out", str(tmp_path / "out"), "--quiet"]) == 130
    assert "--resume" in capfd.readouterr().err


def test_what_users_name_is_printed_as_it_is(capfd: pytest.CaptureFixture[str]) -> None:
    names = ["leafnet.py:corn:", "[bold]nets[/bold]:smile:", "[/]", "[link=x]y", "a :thumbs_up: b"]
    for name in names:
        say(name)
        note(name)
        note(name, style="red")
    printed = capfd.readouterr()
    assert printed.out.splitlines() == names
    assert printed.err.splitlines() == [name for name in names for _ in range(2)]
    with StageProgress() as progress:
        progress("masks", 1, 2, ":corn:/[bold]")
    assert ":corn:/[bold]: masks 1/2" in capfd.readouterr().err


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_no_encoding_of_a_terminal_fails_a_command(encoding: str, out: Path, tmp_path: Path) -> None:
    name = "d\u00e9mo-\u732b" + os.fsdecode(b"\xff")
    environment = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONPATH": str(Path(visual_summaries.__file__).parent.parent)}
    told = {}
    for option in ([], ["--json"]):
        done = subprocess.run(
            [sys.executable, "-m", "visual_summaries", "report", str(out), "--out", str(tmp_path / f"{name}.html"), *option],
            env=environment,
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr
        told["--json" in option] = done.stdout.decode(encoding)
    assert json.loads(told[True])["report"] == str(tmp_path / f"{name}.html")
    assert "\\udcff.html" in told[False]
    assert ("\u732b" if encoding == "utf-8" else "\\u732b") in told[False]


def test_help_names_every_command_and_exit_code() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "visual_summaries", "--help"], capture_output=True, text=True, check=True, env={"COLUMNS": "200"}
    )
    for word in ("run", "report", "demo", "Exit codes", "130"):
        assert word in done.stdout


@pytest.mark.parametrize("command", ["help", "report", "export", "figure", "index", "verdict"])
def test_commands_without_a_network_do_not_load_torch(command: str, out: Path, tmp_path: Path) -> None:
    arguments = {
        "help": ["run", "--help"],
        "report": ["report", str(out), "--out", str(tmp_path / "report.html")],
        "export": ["export", str(out), "--out", str(tmp_path / "coco"), "--format", "coco"],
        "figure": ["figure", str(out), "--out", str(tmp_path / "figure.svg")],
        "index": ["index", str(out.parent), "--out", str(tmp_path / "index")],
        "verdict": ["verdict", str(out), "--json"],
    }[command]
    code = (
        f"import sys; from visual_summaries.cli import main; code = main({arguments}); sys.exit(code or 'torch' in sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(visual_summaries.__file__).parent.parent)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
