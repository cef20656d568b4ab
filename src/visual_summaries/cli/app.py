"""The command ``visual-summaries``: each subcommand calls one function of the library and shows what it gave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visual_summaries import __version__
from visual_summaries.cli import many, outputs
from visual_summaries.cli.console import StageProgress, interruptible, note, set_up_logging, stdout
from visual_summaries.cli.study import study
from visual_summaries.presets import PRESETS

if TYPE_CHECKING:
    from visual_summaries.results import Run

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

app.command()(outputs.figure)
app.command()(outputs.export)
app.command()(many.index)
app.command()(many.audit)
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
def run(
    model: Annotated[
        str,
        typer.Argument(
            help="What to explain: `timm/NAME`, `torchvision/NAME`, `hf/NAME`, `FILE.py:FUNCTION` or "
            "`PACKAGE.MODULE:FUNCTION` (these two run that code), or `FILE.pt2`."
        ),
    ],
    images: Annotated[Path, typer.Argument(help="Folder with images of one class; searched recursively.")],
    target: Annotated[str, typer.Option(help="The class: its name or index.")],
    out: Annotated[Path, typer.Option(help="New or empty folder for the run.")],
    checkpoint: Annotated[Path | None, typer.Option(help="Weights: safetensors, or a weights-only torch file.")] = None,
    class_names: Annotated[Path | None, typer.Option(help="Names of the classes: text, one a line, or JSON.")] = None,
    max_images: Annotated[int | None, typer.Option(min=3, help="Explain at most this many images.")] = None,
    preset: Annotated[str, typer.Option(help=f"Parameters of the method: {' or '.join(PRESETS)}.")] = "default",
    device: Annotated[str | None, typer.Option(help="For example cpu or cuda:0; found unless given.")] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Images at a time; found from free memory unless given.")
    ] = None,
    include_misclassified: Annotated[
        bool, typer.Option("--include-misclassified", help="Keep images that the network gives another class.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of everything drawn at random.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run in the same folder.")] = False,
    engine: Annotated[
        str, typer.Option(help="Where the work is done: `local`, `ray`, or `ray://HOST:PORT` (extra `ray`).")
    ] = "local",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Explain one class of a network: compute its visual summaries and write the report."""
    from visual_summaries import load_classifier, summarize  # slow to import: only when they are used

    set_up_logging(quiet)
    classifier = load_classifier(model, checkpoint=checkpoint, class_names=class_names, device=device)
    if not quiet:
        note(f"{classifier.spec}: {classifier.transform.in_words()}")
    with interruptible(), StageProgress(quiet) as progress:
        result = summarize(
            classifier,
            images,
            target,
            out,
            preset=preset,
            max_images=max_images,
            include_misclassified=include_misclassified,
            batch_size=batch_size,
            resume=resume,
            random_state=seed,
            engine=engine,
            progress=progress,
        )
    page = result.report()
    _show(result, page, as_json)


@app.command()
def report(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run.")],
    out: Annotated[Path | None, typer.Option(help="Where to write the page; `DIR/report.html` unless given.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write the HTML report of a run again."""
    from visual_summaries import load_run

    result = load_run(directory)
    _show(result, result.report(out), as_json)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="New or empty folder for images, run and report.")] = Path("demo-run"),
    images: Annotated[int, typer.Option(min=5, help="Images to draw.")] = 60,
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
        _show(result, page, as_json, scorecard=scorecard.to_dict())
    else:
        stdout.print(scorecard_text(scorecard), highlight=False, markup=False)
        _show(result, page, as_json)


def _is_text(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _show(result: Run, page: Path, as_json: bool, **more: Any) -> None:
    # A run of somebody else's may lack any of these.
    accuracy, target = result.manifest.get("accuracy") or {}, result.manifest.get("target", {})
    if as_json:
        found = {
            "classifier": result.manifest.get("classifier", {}).get("spec"),
            "target": target,
            "accuracy": accuracy,
            "counts": result.manifest.get("counts", {}),
            "timings": result.manifest.get("timings", {}),
            "summaries": [
                {
                    "rank": summary.index + 1,
                    "exemplar": result.images[result.regions[summary.exemplar].image].name,
                    "members": len(summary.members),
                    "cluster": len(summary.cluster),
                    "score": summary.score,
                    "importance": summary.importance,
                    "analysis": None if summary.analysis is None else summary.analysis.figures(),
                }
                for summary in result.summaries
            ],
            "report": str(page),
            **more,
        }
        # Names of files may hold bytes that are no text, which an escape can show and a terminal cannot.
        typer.echo(json.dumps(found, ensure_ascii=not _is_text(found)))
        return
    from visual_summaries.report.findings import summary_line

    seen = f"{accuracy['correct']} of {accuracy['total']} images classified as it; " if accuracy else ""
    stdout.print(
        f"{target.get('name', 'target')}: {seen}{len(result.summaries)} summaries from {len(result.regions)} regions of "
        f"{len(result.images)} images",
        highlight=False,
        markup=False,
    )
    for summary in result.summaries:
        stdout.print(f"  {summary.index + 1:2d}. {summary_line(result, summary)}", highlight=False, markup=False)
    stdout.print(f"report: {page}", highlight=False, markup=False)
