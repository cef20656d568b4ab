"""The commands that explain: one class of one network, several classes and networks in one call, and the demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import visual_summaries as vs
from visual_summaries.cli.console import AsJson, Quiet, Seed, StageProgress, note, say, say_json
from visual_summaries.cli.networks import Loading, loads_network
from visual_summaries.cli.showing import run_values, show_run
from visual_summaries.errors import SettingsError
from visual_summaries.settings import PRESETS

if TYPE_CHECKING:
    from visual_summaries.batch.jobs import Job
    from visual_summaries.batch.work import JobResult

#: Exit code where some of several runs failed.
SOME_FAILED = 10

Preset = Annotated[str, typer.Option(help=f"Parameters of the method: {' or '.join(PRESETS)}.")]
Resume = Annotated[bool, typer.Option("--resume", help="Keep finished runs in the same folder, go on with interrupted ones.")]


@loads_network
def run(
    loading: Loading,
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="What to explain: `timm/NAME`, `torchvision/NAME`, `hf/NAME`, `FILE.py:FUNCTION` or "
            "`PACKAGE.MODULE:FUNCTION` (these two run that code), `FILE.pt2`, `FILE.onnx`, or a folder of timm or "
            "transformers. Several networks make one run each.",
        ),
    ],
    images: Annotated[
        Path,
        typer.Argument(
            help="Folder with images of one class, searched recursively; or a folder of class folders, each called like the "
            "class or by its index."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="New or empty folder for the run; several runs go to `OUT/NETWORK/CLASS` below it, with a catalog of all."
        ),
    ],
    target: Annotated[
        str | None, typer.Option(help="The class: its name or index. Found from the name of each class folder unless given.")
    ] = None,
    targets: Annotated[
        Path | None, typer.Option(help="Classes of class folders: a line `FOLDER,CLASS` each, or JSON. Only these are taken.")
    ] = None,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(help="Weights: safetensors, or a weights-only torch file. Of several models one each, in their order."),
    ] = None,
    max_images: Annotated[int | None, typer.Option(min=3, help="Explain at most this many images of a class.")] = None,
    preset: Preset = "default",
    parts: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="Divide the evidence among this many parts; found from the data unless given."),
    ] = None,
    evidence: Annotated[
        Path | None,
        typer.Option(
            help="Folder of heat maps or masks to take instead of finding masks: gray PNG or `.npy`, called as the images, as "
            "large as these or of the network's view; of class folders a folder of theirs each. Of one network."
        ),
    ] = None,
    evidence_loss: Annotated[
        float | None,
        typer.Option(
            min=0.01, max=1, help="Cut heat maps to the area whose hiding takes this share of the score; 0.9 unless given."
        ),
    ] = None,
    evidence_area: Annotated[
        float | None, typer.Option(min=0.001, max=1, help="Cut heat maps to this share of the image instead.")
    ] = None,
    others: Annotated[
        Path | None,
        typer.Option(
            help="Folder with images of other classes: what makes them look like the class is a shortcut. The folder of class "
            "folders itself will do, and is taken where several classes are explained."
        ),
    ] = None,
    objects: Annotated[
        Path | None,
        typer.Option(
            "--object",
            help="Where the object is: a folder of PNG masks called as the images, or a COCO file; estimated unless given.",
        ),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Images at a time; found from free memory unless given.")
    ] = None,
    include_misclassified: Annotated[
        bool, typer.Option("--include-misclassified", help="Keep images that the network gives another class.")
    ] = False,
    seed: Seed = 0,
    resume: Resume = False,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Runs at a time, each a process with its share of the cores; 1 unless given. On a cluster as many as it has "
            "room for, unless it is 1.",
        ),
    ] = None,
    engine: Annotated[
        str,
        typer.Option(
            help="Where the work is done: `local`, `ray`, or `ray://HOST:PORT` (extra `ray`). On a cluster each of several "
            "runs is a task; the work of a single one is shared out."
        ),
    ] = "local",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Explain classes of networks: compute their visual summaries and write a report for each.

    One of several runs that fails does not stop the others; the command then exits with 10. After an interruption, or when the
    cause is mended, give the same command again with --resume.
    """
    from visual_summaries.batch.jobs import plan_jobs, read_targets  # slow to import: only when they are used
    from visual_summaries.batch.work import compute_run, run_jobs
    from visual_summaries.pages.catalog import write_index

    if target is not None and targets is not None:
        raise SettingsError("--target names the one class of all images, --targets the class of each folder: give one of them")
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
    if failed:
        note(f"{failed} of {len(jobs)} runs failed; mend the cause and give the same command with --resume", style="red")
        raise typer.Exit(SOME_FAILED)


def demo(
    out: Annotated[Path, typer.Option(help="New or empty folder for images, run and report.")] = Path("demo-run"),
    images: Annotated[int, typer.Option(min=5, help="Images to draw.")] = 40,
    bird: Annotated[str, typer.Option("--class", help="Class of birds to draw, by name or index.")] = "0",
    network: Annotated[str, typer.Option(help="One of the networks that come with the package.")] = "main",
    preset: Preset = "default",
    seed: Seed = 0,
    resume: Resume = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Do the whole job on drawn birds with planted parts, and score the answer against the truth; needs no download."""
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

    lines: list[tuple[str, ...]] = [("class", "network", "right on", "images", "summaries", "verdict", "folder")]
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
