"""The commands that explain: one class of one network, several classes and networks in one call, and the demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import visual_summaries as vs
from visual_summaries.cli.console import (
    IMAGES,
    METHOD,
    NETWORK,
    OUTPUT,
    WORK,
    AsJson,
    Open,
    Quiet,
    Seed,
    StageProgress,
    note,
    open_page,
    say,
    say_json,
)
from visual_summaries.cli.networks import Loading, loads_network
from visual_summaries.cli.showing import run_values, show_run
from visual_summaries.errors import SettingsError
from visual_summaries.settings import PRESETS

if TYPE_CHECKING:
    from visual_summaries.batch.jobs import Job
    from visual_summaries.batch.work import JobResult

#: Exit code where some of several runs failed.
SOME_FAILED = 10

Preset = Annotated[str, typer.Option(help=f"Parameters of the method: {', '.join(PRESETS)}.", rich_help_panel=METHOD)]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Keep finished runs in the folder and continue interrupted ones.", rich_help_panel=OUTPUT),
]


@loads_network
def run(
    loading: Loading,
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="Network to explain: `timm/NAME`, `torchvision/NAME`, `hf/NAME`, `FILE.py:FUNCTION` or "
            "`PACKAGE.MODULE:FUNCTION` (these two run that code), `FILE.pt2`, `FILE.onnx`, or a folder of timm or "
            "transformers. Several networks give one run each.",
        ),
    ],
    images: Annotated[
        Path,
        typer.Argument(
            help="Folder with images of one class, searched recursively; or a folder of class folders, each named after its "
            "class or the class's index."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="New or empty folder for the run. Several runs go to `OUT/NETWORK/CLASS`, with a catalog of all.",
            rich_help_panel=OUTPUT,
        ),
    ],
    target: Annotated[
        str | None,
        typer.Option(
            help="Class to explain, by name or index. Taken from the name of each class folder unless given.",
            rich_help_panel=IMAGES,
        ),
    ] = None,
    targets: Annotated[
        Path | None,
        typer.Option(
            help="File that maps class folders to classes: one line `FOLDER,CLASS` each, or JSON. Other folders are left out.",
            rich_help_panel=IMAGES,
        ),
    ] = None,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(
            help="Weights: safetensors, or a weights-only torch file. For several models, one each, in their order.",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    max_images: Annotated[
        int | None,
        typer.Option(
            min=3,
            help="Explain at most this many images of a class, a random sample that --seed draws.",
            rich_help_panel=IMAGES,
        ),
    ] = None,
    preset: Preset = "default",
    parts: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=64,
            help="Number of parts to divide the evidence into; found from the data unless given.",
            rich_help_panel=METHOD,
        ),
    ] = None,
    evidence: Annotated[
        Path | None,
        typer.Option(
            help="Folder with heat maps or masks to use instead of optimizing masks: gray PNG or `.npy`, named like the "
            "images, as large as these or as the network's input; for class folders, a folder each. For one network only.",
            rich_help_panel=METHOD,
        ),
    ] = None,
    evidence_loss: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            max=1,
            help="Threshold heat maps where hiding the area above takes this share of the score; 0.9 unless given.",
            rich_help_panel=METHOD,
        ),
    ] = None,
    evidence_area: Annotated[
        float | None,
        typer.Option(
            min=0.001, max=1, help="Threshold heat maps at this share of the image's area instead.", rich_help_panel=METHOD
        ),
    ] = None,
    others: Annotated[
        Path | None,
        typer.Option(
            help="Folder with images of other classes, to test for shortcuts. The folder of class folders itself will do; it "
            "is the default where several classes are explained.",
            rich_help_panel=IMAGES,
        ),
    ] = None,
    objects: Annotated[
        Path | None,
        typer.Option(
            "--object",
            help="Where the object is: a folder of PNG masks named like the images, or a COCO file; estimated unless given.",
            rich_help_panel=IMAGES,
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, help="Images per batch; found from free memory unless given.", rich_help_panel=WORK),
    ] = None,
    include_misclassified: Annotated[
        bool,
        typer.Option(
            "--include-misclassified", help="Keep images that the network assigns to another class.", rich_help_panel=IMAGES
        ),
    ] = False,
    seed: Seed = 0,
    resume: Resume = False,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Runs at a time, one process each; 1 unless given. On a cluster, as many as fit unless this is 1.",
            rich_help_panel=WORK,
        ),
    ] = None,
    engine: Annotated[
        str,
        typer.Option(
            help="Where to compute: `local`, `ray` or `ray://HOST:PORT` (extra `ray`). A cluster gets one task per run, or the "
            "batches of a single run.",
            rich_help_panel=WORK,
        ),
    ] = "local",
    open: Open = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Explain classes of networks: compute visual summaries and write a report for each.

    A failed run does not stop the others; the command then exits with code 10. After an interruption, or when the cause is
    fixed, give the same command again with --resume.
    """
    from visual_summaries.batch.jobs import plan_jobs, read_targets  # slow to import: only when they are used
    from visual_summaries.batch.work import compute_run, run_jobs
    from visual_summaries.pages.catalog import write_index

    if target is not None and targets is not None:
        raise SettingsError("--target is the class of all images, --targets maps folders to classes: give one of them")
    jobs = plan_jobs(
        models,
        images,
        out,
        target=target,
        targets=None if targets is None else read_targets(targets),
        checkpoints=checkpoint or (),
        **loading.given(),
        preset=preset,
        parts=parts,
        evidence=None if evidence is None else str(evidence),
        evidence_loss=evidence_loss,
        evidence_area=evidence_area,
        others=None if others is None else str(others),
        objects=None if objects is None else str(objects),
        max_images=max_images,
        batch_size=batch_size,
        include_misclassified=include_misclassified,
        random_state=seed,
    )
    if [job.out for job in jobs] == [str(out)]:
        with StageProgress(quiet) as progress:
            result = compute_run(jobs[0], resume=resume, engine=engine, progress=progress)
        show_run(result, out / "report.html", as_json)
        if open:
            open_page(out / "report.html")
        return

    results: dict[Job, JobResult] = {}
    with StageProgress(quiet) as progress:

        def show(job: Job, stage: str, done: int, total: int) -> None:
            progress(stage, done, total, job.name)

        for found in run_jobs(jobs, workers=workers, engine=engine, resume=resume, progress=show):
            results[found.job] = found
            progress.remove(found.job.name)
            if found.error:
                note(f"error: {found.job.name}: {found.error}", style="red")
            elif not quiet:
                note(f"{found.job.name}: {found.state}, {len(results)} of {len(jobs)} runs, {found.seconds:.0f} s")
    ordered = [results[job] for job in jobs]
    failed = sum(found.state == "failed" for found in ordered)
    page = write_index(out).page if failed < len(jobs) else None
    if as_json:
        say_json({"runs": [_values(found) for found in ordered], "page": None if page is None else str(page)})
    else:
        _show_table(ordered)
        if page is not None:
            say(f"catalog: {page}")
    if open and page is not None:
        open_page(page)
    if failed:
        note(f"{failed} of {len(jobs)} runs failed; fix the cause and run the same command with --resume", style="red")
        raise typer.Exit(SOME_FAILED)


def demo(
    out: Annotated[Path, typer.Option(help="New or empty folder for images, run and report.", rich_help_panel=OUTPUT)] = Path(
        "demo-run"
    ),
    images: Annotated[int, typer.Option(min=5, help="Number of images to draw.", rich_help_panel=IMAGES)] = 40,
    bird: Annotated[
        str, typer.Option("--class", help="Class of birds to draw, by name or index.", rich_help_panel=IMAGES)
    ] = "0",
    network: Annotated[
        str, typer.Option(help="One of the networks that come with the package.", rich_help_panel=NETWORK)
    ] = "main",
    preset: Preset = "default",
    seed: Seed = 0,
    resume: Resume = False,
    open: Open = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Explain an embedded network on drawn birds and score the summaries against the planted parts; needs no download."""
    from visual_summaries.demo import run_demo, scorecard_text

    with StageProgress(quiet) as progress:
        result, scorecard = run_demo(
            out, n=images, bird=bird, network=network, preset=preset, resume=resume, random_state=seed, progress=progress
        )
    page = result.report()
    if as_json:
        show_run(result, page, as_json, scorecard=scorecard.to_dict())
    else:
        say(scorecard_text(scorecard))
        show_run(result, page, as_json)
    if open:
        open_page(page)


def _values(found: JobResult) -> dict[str, Any]:
    """Return what ``--json`` says of one of several runs: it is read again, so that no more than one is in memory."""
    job = found.job
    values = {
        "model": job.model,
        "images": job.images,
        "out": job.out,
        "state": found.state,
        "seconds": round(found.seconds, 1),
        "error": found.error or None,
    }
    if found.error:
        return values
    return {**values, **run_values(vs.load_run(job.out)), "report": str(Path(job.out) / "report.html")}


def _show_table(results: list[JobResult]) -> None:
    from visual_summaries.batch.catalog import judged
    from visual_summaries.pages.verdict import short_verdict
    from visual_summaries.runs.directory import read_info, read_results

    lines: list[tuple[str, ...]] = [("class", "network", "correct", "images", "summaries", "verdict", "folder")]
    for found in results:
        folder = Path(found.job.out)
        if found.state == "failed":
            lines.append((folder.name, folder.parent.name, "failed", "", "", "", str(folder)))
            continue
        info = read_info(folder)
        right = f"{info.accuracy.correct} of {info.accuracy.total}"
        counts = (str(info.counts[name]) for name in ("images", "summaries"))
        verdict = short_verdict(**judged(read_results(folder)))
        lines.append((info.target.name, folder.parent.name, right, *counts, verdict, str(folder)))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
