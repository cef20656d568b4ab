"""The command that explains: one class of one network, or several classes and networks in one call."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visual_summaries.cli.console import StageProgress, interruptible, note, set_up_logging
from visual_summaries.cli.showing import run_values, say, say_json, show_run
from visual_summaries.settings import PRESETS

if TYPE_CHECKING:
    from visual_summaries.batch.work import Outcome


def run(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="What to explain: `timm/NAME`, `torchvision/NAME`, `hf/NAME`, `FILE.py:FUNCTION` or "
            "`PACKAGE.MODULE:FUNCTION` (these two run that code), or `FILE.pt2`. Several networks make one run each.",
        ),
    ],
    images: Annotated[
        Path, typer.Argument(help="Folder with images of one class, searched recursively; or a folder of class folders.")
    ],
    out: Annotated[
        Path, typer.Option(help="New or empty folder for the run; several runs go to `OUT/NETWORK/CLASS` below it.")
    ],
    target: Annotated[
        str | None, typer.Option(help="The class: its name or index. Found from the name of each class folder unless given.")
    ] = None,
    targets: Annotated[
        Path | None, typer.Option(help="Classes of class folders: a line `FOLDER,CLASS` each, or JSON. Only these are taken.")
    ] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="Weights: safetensors, or a weights-only torch file.")] = None,
    class_names: Annotated[Path | None, typer.Option(help="Names of the classes: text, one a line, or JSON.")] = None,
    max_images: Annotated[int | None, typer.Option(min=3, help="Explain at most this many images of a class.")] = None,
    preset: Annotated[str, typer.Option(help=f"Parameters of the method: {' or '.join(PRESETS)}.")] = "default",
    parts: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="Divide the evidence among this many parts; found from the data unless given."),
    ] = None,
    device: Annotated[str | None, typer.Option(help="For example cpu or cuda:0; found unless given.")] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Images at a time; found from free memory unless given.")
    ] = None,
    include_misclassified: Annotated[
        bool, typer.Option("--include-misclassified", help="Keep images that the network gives another class.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of everything drawn at random.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with interrupted runs in the same folder.")] = False,
    engine: Annotated[
        str, typer.Option(help="Where the work is done: `local`, `ray`, or `ray://HOST:PORT` (extra `ray`).")
    ] = "local",
    as_json: Annotated[bool, typer.Option("--json", help="Print the result's summary as one JSON object on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Explain classes of networks: compute their visual summaries and write a report for each."""
    from visual_summaries import load_classifier, summarize  # slow to import: only when they are used
    from visual_summaries.batch.jobs import class_folders, plan_jobs, read_targets, target_of_folder
    from visual_summaries.batch.work import do_job
    from visual_summaries.errors import SettingsError

    set_up_logging(quiet)
    if target is not None and targets is not None:
        raise SettingsError("--target names the one class of all images, --targets the class of each folder: give one of them")
    if len(models) > 1 and (checkpoint is not None or class_names is not None):
        raise SettingsError("--checkpoint and --class-names belong to one network, but several were given; run it by itself")
    options: dict[str, Any] = {
        "preset": preset,
        "parts": parts,
        "max_images": max_images,
        "include_misclassified": include_misclassified,
        "batch_size": batch_size,
        "random_state": seed,
    }
    how: dict[str, Any] = {"resume": resume, "engine": engine}
    one_class = target is not None or (targets is None and not class_folders(images))
    if len(models) == 1 and one_class:
        classifier = load_classifier(models[0], checkpoint=checkpoint, class_names=class_names, device=device)
        if not quiet:
            note(f"{classifier.spec}: {classifier.transform.in_words()}")
        wanted: int | str = target if target is not None else target_of_folder(images.resolve().name, classifier)
        with interruptible(), StageProgress(quiet) as progress:
            result = summarize(classifier, images, wanted, out, progress=progress, **options, **how)
        show_run(result, result.report(), as_json)
        return

    jobs = plan_jobs(
        models,
        images,
        out,
        target=target,
        targets=None if targets is None else read_targets(targets),
        checkpoints=() if checkpoint is None else (checkpoint,),
        class_names=None if class_names is None else str(class_names),
        device=device,
        **options,
    )
    rows: list[dict[str, Any]] = []
    failed: list[Outcome] = []
    with interruptible(), StageProgress(quiet) as progress:
        for number, job in enumerate(jobs, start=1):
            progress.clear()
            called = f"{Path(job.images).name} in {job.model}"
            if not quiet:
                note(f"run {number} of {len(jobs)}: {called}")
            outcome = do_job(job, progress=progress, **how)
            rows.append(_row(outcome))
            if outcome.state == "failed":
                failed.append(outcome)
                note(f"error: {called}: {outcome.error}", style="red")
    if as_json:
        say_json({"runs": rows})
    else:
        _show_table(rows)
    if failed:
        note(f"{len(failed)} of {len(jobs)} runs failed; mend the cause and give the same command with --resume", style="red")
        raise typer.Exit(failed[0].code)


def _row(outcome: Outcome) -> dict[str, Any]:
    """Return what is told of a run: it is read again, so that no more than one is in memory."""
    from visual_summaries import load_run

    job = outcome.job
    row: dict[str, Any] = {
        "model": job.model,
        "images": job.images,
        "out": job.out,
        "seconds": round(outcome.seconds, 1),
        "error": outcome.error or None,
    }
    if outcome.state != "failed":
        row |= {**run_values(load_run(job.out)), "report": str(Path(job.out) / "report.html")}
    return row


def _show_table(rows: list[dict[str, Any]]) -> None:
    lines = [("class", "network", "right on", "images", "summaries", "folder")]
    for row in rows:
        folder = Path(row["out"])
        if row["error"] is None:
            right, counts = row["accuracy"], row["counts"]
            values = (f"{right['correct']} of {right['total']}", str(counts["images"]), str(counts["summaries"]))
            lines.append((row["target"]["name"], folder.parent.name, *values, row["out"]))
        else:
            lines.append((folder.name, folder.parent.name, "failed", "", "", row["out"]))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]) - 1)]
    for line in lines:
        say("  ".join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[-1]]))
