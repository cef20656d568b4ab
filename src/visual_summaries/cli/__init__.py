"""The command ``visual-summaries``: each subcommand calls one function of the library and shows what it gave.

This is the only place where errors become messages and exit codes.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from visual_summaries._version import __version__
from visual_summaries.cli import applying, judging, naming, running, showing
from visual_summaries.cli.console import note, say, write_anything
from visual_summaries.cli.stopping import stoppable
from visual_summaries.cli.study import study
from visual_summaries.errors import VisualSummariesError

__all__ = ["app", "entry_point", "main"]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help=(
        "Which parts of its images does a classifier use, again and again, for one class?\n\n"
        "Exit codes: 0 done; 1 unexpected error; 2 wrong usage or setting; 3 model cannot be loaded; 4 class not in the "
        "network or no image classified as it; 5 no usable images; 6 run folder in the way, incomplete or damaged; "
        "7 a method did not converge; 8 out of memory; 9 the cluster cannot be reached or went away; 10 some of several runs "
        "failed; 11 a study or answers to it that cannot be used; 12 a verdict fails a check; "
        "130 interrupted (143 by a scheduler)."
    ),
)

for _command in (
    running.run,
    running.demo,
    showing.report,
    judging.verdict,
    showing.figure,
    showing.export,
    naming.tag,
    naming.rename,
    showing.compare,
    showing.index,
    applying.apply,
    applying.check,
    applying.specialize,
):
    app.command()(_command)
app.add_typer(study, name="study")


def _version(value: bool) -> None:
    if value:
        say(f"visual-summaries {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Hold the options that stand before every subcommand."""


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
    write_anything()
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
