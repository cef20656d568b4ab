"""What the command line shows while it works: on stderr, so that stdout is free for results."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

#: Exit code of a program that Ctrl-C ended.
INTERRUPTED = 130

stderr = Console(stderr=True)
stdout = Console(soft_wrap=True)


class StageProgress:
    """A bar for each stage, with the time left; use it as a context manager and pass it as ``progress``.

    Parameters
    ----------
    quiet : bool
        Show nothing.
    """

    def __init__(self, quiet: bool = False) -> None:
        self._bars = Bars(
            TextColumn("{task.description:<14}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=stderr,
            disable=quiet,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> StageProgress:
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bars.stop()

    def clear(self) -> None:
        """Take the bars of a finished run away, for those of the next."""
        for task in self._tasks.values():
            self._bars.remove_task(task)
        self._tasks.clear()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show that `done` of `total` units of `stage` are complete."""
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=total)
        self._bars.update(self._tasks[stage], completed=done, total=total)


@contextmanager
def interruptible(remedy: str = "give the same command with --resume to go on where it stopped") -> Iterator[None]:
    """Turn Ctrl-C into a sentence that says how to go on, and the exit code that shells expect."""
    try:
        yield
    except KeyboardInterrupt:
        note(f"interrupted; {remedy}")
        raise typer.Exit(INTERRUPTED) from None


def note(message: str, style: str | None = None) -> None:
    """Print a line on stderr, above the bars; unlike a paragraph it is not wrapped, so that it can be searched for."""
    stderr.print(message, style=style, highlight=False, markup=False, soft_wrap=True)


class _NoteHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        note(self.format(record))


def set_up_logging(quiet: bool) -> None:
    """Send the package's messages to stderr, beside the bars."""
    logger = logging.getLogger("visual_summaries")
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    logger.handlers = [_NoteHandler()]
    logger.propagate = False
