"""Commands on many runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from visual_summaries.cli.console import StageProgress, interruptible, note, set_up_logging, stdout

#: Exit code of an audit some of whose runs failed.
SOME_FAILED = 10


def index(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that holds runs; searched recursively.")],
    out: Annotated[Path | None, typer.Option(help="Folder for page and table; `DIR` unless given.")] = None,
    table: Annotated[str, typer.Option(help="Table for other programs: `json` or `parquet` (extra `table`).")] = "json",
    as_json: Annotated[bool, typer.Option("--json", help="Print where they are as one JSON object on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Write a catalog of many runs: a page to search and sort, and a table."""
    from visual_summaries.pages.catalog import write_index

    with StageProgress(quiet) as progress:
        found = write_index(directory, out, table=table, progress=progress)
    for broken in found.broken:
        note(f"not read: {broken.path}: {broken.reason}")
    if as_json:
        answer = {"runs": found.runs, "broken": len(found.broken), "page": str(found.page), "table": str(found.table)}
        typer.echo(json.dumps(answer))
        return
    stdout.print(f"{found.runs} runs, {len(found.broken)} not read", highlight=False, markup=False)
    stdout.print(f"page: {found.page}\ntable: {found.table}", highlight=False, markup=False)


def audit(
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL...", help="What to explain; as for `run`. Models that are Python code run that code."),
    ],
    images: Annotated[
        Path, typer.Option(help="Folder that holds a folder of images for each class, called like the class or by its index.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for all runs: `OUT/NETWORK/CLASS`, and for the catalog.")],
    targets: Annotated[
        Path | None, typer.Option(help="Classes of class folders: a line `FOLDER,CLASS` each, or JSON. Only these are taken.")
    ] = None,
    checkpoint: Annotated[list[Path] | None, typer.Option(help="Weights of each model, in their order.")] = None,
    class_names: Annotated[Path | None, typer.Option(help="Names of the classes: text, one a line, or JSON.")] = None,
    max_images: Annotated[int | None, typer.Option(min=3, help="Explain at most this many images of a class.")] = None,
    preset: Annotated[str, typer.Option(help="Parameters of the method.")] = "default",
    parts: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="Divide the evidence among this many parts; found from the data unless given."),
    ] = None,
    device: Annotated[str | None, typer.Option(help="For example cpu or cuda:0; found unless given.")] = None,
    include_misclassified: Annotated[
        bool, typer.Option("--include-misclassified", help="Keep images that the network gives another class.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of everything drawn at random.")] = 0,
    engine: Annotated[
        str, typer.Option(help="`local`: processes of this machine; `ray`, `ray://HOST:PORT`: each run a task (extra `ray`).")
    ] = "local",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Runs at a time on this machine; a quarter of the cores unless given.")
    ] = None,
    cpus_per_run: Annotated[int | None, typer.Option(min=1, help="Cores of each run; shared out unless given.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what became of each run as one JSON object on stdout.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Explain many classes of one or more networks: a run for each pair, and a catalog of all.

    Runs that are there already are kept, unfinished ones go on: give the same command again after an interruption.
    """
    from visual_summaries.batch.jobs import Job, plan_jobs, read_targets
    from visual_summaries.batch.work import Outcome, run_audit
    from visual_summaries.pages.catalog import write_index

    set_up_logging(quiet)
    jobs = plan_jobs(
        models,
        images,
        out,
        targets=None if targets is None else read_targets(targets),
        checkpoints=checkpoint or (),
        class_names=None if class_names is None else str(class_names),
        device=device,
        preset=preset,
        parts=parts,
        max_images=max_images,
        include_misclassified=include_misclassified,
        random_state=seed,
    )
    found: dict[Job, Outcome] = {}
    with interruptible("give the same command again to go on where it stopped"), StageProgress(quiet) as progress:
        for outcome in run_audit(jobs, engine=engine, workers=workers, cpus_per_job=cpus_per_run, progress=progress):
            found[outcome.job] = outcome
            if outcome.state == "failed":
                note(f"failed: {outcome.job.out}: {outcome.error}", style="red")
    outcomes = [found[job] for job in jobs]
    failed = [outcome for outcome in outcomes if outcome.state == "failed"]
    page = write_index(out).page if len(failed) < len(outcomes) else None
    if as_json:
        rows = [
            {
                "out": o.job.out,
                "model": o.job.model,
                "images": o.job.images,
                "state": o.state,
                "seconds": round(o.seconds, 3),
                "error": o.error,
            }
            for o in outcomes
        ]
        typer.echo(json.dumps({"runs": rows, "page": None if page is None else str(page)}))
    else:
        stdout.print(f"{len(outcomes) - len(failed)} of {len(outcomes)} runs are finished", highlight=False, markup=False)
        if page is not None:
            stdout.print(f"page: {page}", highlight=False, markup=False)
    if failed:
        raise typer.Exit(SOME_FAILED)
