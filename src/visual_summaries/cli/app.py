"""The command ``visual-summaries``: each subcommand calls one function of the library and shows what it gave."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from visual_summaries._version import __version__
from visual_summaries.cli import applying, comparing, many, naming, outputs, running, specializing
from visual_summaries.cli.console import StageProgress, interruptible, set_up_logging, stdout
from visual_summaries.cli.showing import say, show_run
from visual_summaries.cli.study import study
from visual_summaries.settings import PRESETS

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help=(
        "Which parts of its images does a classifier use, again and again, for one class?\n\n"
        "Exit codes: 0 done; 1 unexpected error; 2 wrong usage or setting; 3 model cannot be loaded; 4 class not in the "
        "network or no image classified as it; 5 no usable images; 6 run folder in the way, incomplete or damaged; "
        "7 a method did not converge; 8 out of memory; 9 the cluster cannot be reached or went away; 10 some runs of an audit "
        "failed; 11 a study or answers to it that cannot be used; 130 interrupted (143 by a scheduler)."
    ),
)

app.command()(running.run)
app.command()(outputs.figure)
app.command()(outputs.export)
app.command()(naming.tag)
app.command()(naming.rename)
app.command()(comparing.compare)
app.command()(many.index)
app.command()(many.audit)
app.command()(applying.apply)
app.command()(applying.check)
app.command()(specializing.specialize)
app.add_typer(study, name="study")

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result's summary as one JSON object on stdout.")]


def _version(value: bool) -> None:
    if value:
        stdout.print(f"visual-summaries {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Hold the options that stand before every subcommand."""


@app.command()
def report(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run.")],
    out: Annotated[Path | None, typer.Option(help="Where to write the page; `DIR/report.html` unless given.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write the HTML report of a run again."""
    from visual_summaries import load_run

    result = load_run(directory)
    show_run(result, result.report(out), as_json)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="New or empty folder for images, run and report.")] = Path("demo-run"),
    images: Annotated[int, typer.Option(min=5, help="Images to draw.")] = 40,
    bird: Annotated[str, typer.Option("--class", help="Class of birds to draw, by name or index.")] = "0",
    network: Annotated[str, typer.Option(help="One of the networks that come with the package.")] = "main",
    preset: Annotated[str, typer.Option(help=f"Parameters of the method: {' or '.join(PRESETS)}.")] = "default",
    seed: Annotated[int, typer.Option(help="Seed of everything drawn at random.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run in the same folder.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Do the whole job on drawn birds with planted parts, and score the answer against the truth; needs no download."""
    from visual_summaries.demo import run_demo, scorecard_text

    set_up_logging(quiet)
    with interruptible(), StageProgress(quiet) as progress:
        result, scorecard = run_demo(
            out, n=images, bird=bird, network=network, preset=preset, resume=resume, random_state=seed, progress=progress
        )
    page = result.report()
    if as_json:
        show_run(result, page, as_json, scorecard=scorecard.to_dict())
    else:
        say(scorecard_text(scorecard))
        show_run(result, page, as_json)
