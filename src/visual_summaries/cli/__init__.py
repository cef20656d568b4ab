"""The command line: the only place where errors become messages and exit codes."""

from __future__ import annotations

import sys

from visual_summaries.cli.app import app
from visual_summaries.cli.console import note
from visual_summaries.cli.stopping import stoppable
from visual_summaries.errors import VisualSummariesError

__all__ = ["app", "entry_point", "main"]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    arguments : list of str, optional
        Instead of ``sys.argv[1:]``.

    Examples
    --------
    >>> main(["--version"])
    visual-summaries ...
    0
    """
    try:
        app(arguments)
    except SystemExit as done:  # how typer ends: usage errors (2), --help, typer.Exit
        return done.code if isinstance(done.code, int) else 0
    except VisualSummariesError as error:
        note(f"error: {error}", style="red")
        return error.exit_code
    return 0


def entry_point() -> None:
    """Start the program from the shell."""
    with stoppable():
        sys.exit(main())
