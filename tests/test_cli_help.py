"""The help of the command line, what it shows while it works, and its check of the installation."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from visual_summaries import errors
from visual_summaries.cli import app, console, doctor, main
from visual_summaries.cli.examples import EXAMPLES, EXIT_CODES
from visual_summaries.errors import RunError


def commands() -> dict[str, Any]:
    """Every command by its name, those of a group by both."""
    found = {}
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        inside = getattr(command, "commands", None)
        found |= {f"{name} {own}": one for own, one in inside.items()} if inside else {name: command}
    return found


def test_every_command_has_examples_and_no_other() -> None:
    assert set(EXAMPLES) == set(commands())


@pytest.mark.parametrize("line", [line for lines in EXAMPLES.values() for line in lines])
def test_examples_are_what_commands_take(line: str) -> None:
    program, *words = shlex.split(line)
    assert program == "visual-summaries"
    name = next(name for name in commands() if words[: len(name.split())] == name.split())
    command = commands()[name]
    given = [word for word in words[len(name.split()) :] if word != "--print-vocabulary"]
    context = command.make_context(name, given, resilient_parsing=True)
    assert not context.args  # nothing is left over, and unknown options are errors
    command.parse_args(context, given)


@pytest.mark.parametrize("name", sorted(commands()))
def test_help_by_its_short_name_with_groups_and_examples(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*name.split(), "-h"]) == 0
    text = capfd.readouterr().out
    assert text.rindex("Examples") > text.rindex("╰")  # after all options
    assert "DIR" not in text.replace("DIRECTORY", "")


def test_help_ends_with_every_exit_code(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["-h"]) == 0
    end = capfd.readouterr().out.rpartition("Exit codes")[2]
    for code, meaning in EXIT_CODES.items():
        assert f"{code}: {meaning}" in end
    raised = {kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "exit_code")}
    assert raised <= set(EXIT_CODES)


def test_without_a_terminal_stages_are_lines(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([0.0, 1.0, 40.0, 41.0, 42.0, 43.0])
    monkeypatch.setattr(console.time, "monotonic", lambda: next(seconds))
    with console.StageProgress() as progress:
        for done in (1, 2, 3, 4, 4):
            progress("masks", done, 4)
    assert capfd.readouterr().err.splitlines() == ["masks 3/4", "masks 4/4"]  # after half a minute, and at the end, once


@pytest.mark.parametrize("opens", [True, False])
def test_a_page_is_opened_or_its_address_is_said(
    opens: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(console.webbrowser, "open", lambda address: asked.append(address) or opens)
    console.open_page(tmp_path / "a b.html")
    assert asked == [(tmp_path / "a b.html").as_uri()]
    assert ("no browser" in capfd.readouterr().err) is not opens


def test_the_doctor_tells_versions_devices_and_extras(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--no-self-test", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert {"visual-summaries", "torch", "python"} <= set(found["versions"])
    assert found["devices"][0].startswith("cpu")
    assert "plot" in found["extras"]
    assert not {"test", "docs", "lint"} & set(found["extras"])


def test_the_doctor_explains_the_embedded_network(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["doctor", "--quiet"]) == 0
    assert "self-test: passed" in capfd.readouterr().out

    def broken(*_: Any, **__: Any) -> None:
        raise RunError("the disk is full")

    monkeypatch.setattr("visual_summaries.demo.run_demo", broken)
    assert main(["doctor", "--quiet"]) == 1
    assert "self-test: FAILED with RunError: the disk is full" in capfd.readouterr().out


def test_an_extra_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = ["numpy>=2", 'numpy>=2; extra == "near"', 'no-such-library>=1; extra == "far"', 'pytest; extra == "test"']
    monkeypatch.setattr(doctor.metadata, "requires", lambda package: needed)
    assert doctor.extras() == {"near": [], "far": ["no-such-library"]}
