"""The command ``visual-summaries``: each subcommand calls one function of the library and shows what it gave.

This is the only place where errors become messages and exit codes.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from visual_summaries._version import __version__
from visual_summaries.cli import applying, doctor, judging, naming, running, showing
from visual_summaries.cli.console import HELP_OPTIONS, note, say, write_anything
from visual_summaries.cli.examples import examples, exit_codes
from visual_summaries.cli.stopping import stoppable
from visual_summaries.cli.study import study
from visual_summaries.errors import VisualSummariesError

__all__ = ["app", "entry_point", "main"]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings=HELP_OPTIONS,
    help="Find the parts of images that a classifier relies on for one class, and report them.",
    epilog=exit_codes(),
)

for _panel, _commands in (
    ("Explain", (running.run, running.demo, doctor.doctor)),
    ("Show a run", (showing.report, judging.verdict, showing.figure, showing.export, naming.tag, naming.rename)),
    ("Show several runs", (showing.compare, showing.index)),
    ("Use a run with its network", (applying.apply, applying.check, applying.specialize, applying.look_closer)),
):
    for _command in _commands:
        app.command(epilog=examples(_command.__name__.replace("_", "-")), rich_help_panel=_panel)(_command)
app.add_typer(study, name="study", rich_help_panel="Ask people")


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
