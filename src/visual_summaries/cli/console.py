"""What all commands share: their common options, what they show while they work (on stderr), and how they print on stdout."""

from __future__ import annotations

import io
import json
import logging
import math
import sys
import time
import webbrowser
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from visual_summaries.cli.stopping import message

#: Exit code of a program that Ctrl-C ended.
INTERRUPTED = 130

# What is printed is the users' (paths, classes, networks): brackets are no markup, and colons around a word no emoji.
stderr = Console(stderr=True, markup=False, emoji=False, highlight=False)
stdout = Console(soft_wrap=True, markup=False, emoji=False, highlight=False)

#: Settings of every group of commands: help by either of two names.
HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}

# Groups of options in the help of commands.
IMAGES, METHOD, NETWORK, OUTPUT, WORK = "Images and class", "Method", "Network", "Output", "Resources"

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")]
RunFolders = Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of runs, or folders that hold some.")]
Checkpoint = Annotated[Path | None, typer.Option(help="Weights of the network, as for `run`.", rich_help_panel=NETWORK)]
Seed = Annotated[int, typer.Option(help="Seed of everything drawn at random.", rich_help_panel=METHOD)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.", rich_help_panel=OUTPUT)]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object on stdout.", rich_help_panel=OUTPUT)]
Open = Annotated[bool, typer.Option("--open", help="Open the page in a browser.", rich_help_panel=OUTPUT)]

#: Seconds between two log lines of a stage, where there is no terminal.
_PAUSE = 30.0


class StageProgress:
    """A bar for each stage, or for each of several runs, with the time left; use it as a context manager and as ``progress``.

    Where there is no terminal, log lines take the place of bars: at the end of each stage, and every half a minute.
    Ctrl-C within it becomes a sentence that says how to continue, and the exit code that shells expect.

    Parameters
    ----------
    quiet : bool
        Show nothing.
    """

    def __init__(self, quiet: bool = False) -> None:
        set_up_logging(quiet)
        self._bars = Bars(
            TextColumn("{task.description:<14}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=stderr,
            disable=quiet or not stderr.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._lines = not quiet and not stderr.is_terminal
        self._told: dict[str, float] = {}

    def __enter__(self) -> StageProgress:
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bars.stop()
        if isinstance(error, KeyboardInterrupt):
            note(message())
            raise typer.Exit(INTERRUPTED) from None

    def __call__(self, stage: str, done: int, total: int, run: str = "") -> None:
        """Show that `done` of `total` units of `stage` are complete; of one of several runs where `run` names it."""
        name = run or stage
        if self._lines:
            self._log(stage, done, total, run)
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total)
        description = f"{run}: {stage}" if run else stage
        self._bars.update(self._tasks[name], description=description, completed=done, total=total)

    def _log(self, stage: str, done: int, total: int, run: str) -> None:
        """Write a line where a stage of a run begins, and otherwise where one ends or has taken long."""
        key, now = f"{run}: {stage}" if run else stage, time.monotonic()
        begun = key not in self._told
        before = self._told.setdefault(key, now)
        if (done >= total and before < math.inf) or (begun and run) or now - before >= _PAUSE:
            note(f"{key} {done}/{total}")
            self._told[key] = math.inf if done >= total else now

    def remove(self, run: str) -> None:
        """Take the bar of a run away that has ended."""
        if run in self._tasks:
            self._bars.remove_task(self._tasks.pop(run))


def note(text: str, style: str | None = None) -> None:
    """Print a line on stderr, above the bars; unlike a paragraph it is not wrapped, so that it can be searched for."""
    stderr.print(text, style=style, soft_wrap=True)


class _NoteHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        note(self.format(record))


def set_up_logging(quiet: bool) -> None:
    """Send the package's messages to stderr, beside the bars."""
    logger = logging.getLogger("visual_summaries")
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    logger.handlers = [_NoteHandler()]
    logger.propagate = False


def write_anything() -> None:
    """Let stdout and stderr escape what their encoding cannot write: no run fails for how its name is printed."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with suppress(OSError, ValueError):  # closed, or opened in a way that cannot be changed
                stream.reconfigure(errors="backslashreplace")


def percent(share: float) -> str:
    """Return a share in percent, as pages write it.

    Examples
    --------
    >>> percent(0.514), percent(-0.001)
    ('51 %', '0 %')
    """
    return f"{share:.0%}".replace("-0%", "0%").replace("%", " %")


def say(line: str) -> None:
    """Print a line on stdout as it is."""
    stdout.print(line)


def open_page(page: Path) -> None:
    """Open a page in a browser, or say that there is none."""
    address = page.resolve().as_uri()
    if not webbrowser.open(address):
        note(f"no browser could be opened; open {address} in one")


def say_json(value: Any) -> None:
    """Print a value as one line of JSON on stdout."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:  # JSON has escapes for what a terminal cannot write, and for bytes of names that are no text
        text = json.dumps(value)
    typer.echo(text)
