"""The README: its code runs as it stands, its commands exist with these options, its files are there."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import timm
import typer
from PIL import Image as PillowImage

import visual_summaries as vs
from visual_summaries.cli import app

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
COMMANDS = sorted(set(re.findall(r"visual-summaries ((?:[a-z]+ )[^\n`#]*)", README)))


def test_own_model_takes_ten_lines_that_run_as_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stripe_network: Any, draw_striped_images: Callable[..., Any]
) -> None:
    """The one line that would download a network gives a small one; folder, class and everything after are as written."""
    [block] = BLOCKS
    assert len([line for line in block.splitlines() if line.strip()]) <= 10
    (tmp_path / "photos" / "robin").mkdir(parents=True)
    for index, image in enumerate(draw_striped_images(6).images):
        PillowImage.fromarray(image).save(tmp_path / "photos" / "robin" / f"{index}.png")
    asked = []
    load = vs.load_classifier

    def instead(spec: str) -> vs.Classifier:
        asked.append(spec)
        return load(stripe_network, class_names=("robin", "other"))

    monkeypatch.setattr(vs, "load_classifier", instead)
    monkeypatch.chdir(tmp_path)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(block, "README.md", "exec"), {})  # noqa: S102
    assert (tmp_path / "runs" / "robin" / "report.html").is_file()
    assert "report.html" in printed.getvalue()
    [spec] = asked
    assert timm.is_model_pretrained(spec.removeprefix("timm/"))  # what is not loaded here is there to be loaded


def commands_of(words: list[str]) -> Iterator[Any]:
    """Yield each command that a line goes through, and at last what is left of the line."""
    command = typer.main.get_command(app)
    while hasattr(command, "commands"):
        name, *words = words
        assert name in command.commands, f"there is no command {name}"
        command = command.commands[name]
    yield command
    yield words


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_are_there_with_these_options(line: str) -> None:
    command, words = commands_of(shlex.split(line))
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    for word in words:
        assert not word.startswith("-") or word in options, f"{line}: there is no option {word}"


def test_there_are_commands_to_check() -> None:
    assert len(COMMANDS) > 6


def test_it_is_short() -> None:
    lines = README.splitlines()
    assert len(lines) <= 110
    assert [line for line in lines if len(line) > 140] == []
    assert README.count("<!-- results ") <= 1  # the other tables are in docs


def test_files_that_it_names_are_there() -> None:
    """Links are relative until the project names a repository; then they are absolute, for pages outside of it."""
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"].get("urls", {})
    repository = urls.get("Repository")
    links = re.findall(r"\]\(([^)#]+)", README)
    relative = [link for link in links if "://" not in link]
    own = relative
    if repository is not None:
        assert relative == []
        below = re.compile(re.escape(repository) + r"/(?:blob|raw)/[^/]+/(.+)")
        own = [found[1] for link in links if (found := below.match(link))]
    assert len(own) > 10
    assert [name for name in own if not (ROOT / name).exists()] == []
    assert "docs/images/report.jpg" in own
