"""Commands that use finished runs together with their network: apply, check, specialize, look-closer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import visual_summaries as vs
from visual_summaries.cli.console import (
    IMAGES,
    METHOD,
    NETWORK,
    OUTPUT,
    AsJson,
    Checkpoint,
    Open,
    Quiet,
    RunFolder,
    RunFolders,
    Seed,
    StageProgress,
    open_page,
    percent,
    say,
    say_json,
)
from visual_summaries.cli.networks import Loading, loads_network
from visual_summaries.errors import ClassifierError, RunError

Model = Annotated[
    str | None,
    typer.Option(
        help="The network that the run explained, as for `run`. Needed unless a name alone loads it (`timm/...`, "
        "`torchvision/...`, `hf/...`, the demo's): code and paths are never taken from a run's folder.",
        rich_help_panel=NETWORK,
    ),
]


@loads_network
def apply(
    run: RunFolder,
    loading: Loading,
    images: Annotated[Path, typer.Argument(help="Folder with new images, of any class; searched recursively.")],
    out: Annotated[Path, typer.Option(help="Folder for apply.html, apply.json and masks.npz.", rich_help_panel=OUTPUT)],
    model: Model = None,
    checkpoint: Checkpoint = None,
    open: Open = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Find the summaries of a run in new images: which are there, where, and each one's effect on the score."""
    loaded = vs.load_run(run)
    classifier = network_of(loaded, model, checkpoint, loading)
    with StageProgress(quiet) as progress:
        found = loaded.apply(images, classifier, progress=progress)
    page = found.save(out)
    if open:
        open_page(page)
    if as_json:
        say_json({**found.to_dict(), "page": str(page)})
        return
    for one in found.images:
        shares = ["" if one.near_zero else f" {percent(own.importance)}" for own in one.present]
        parts = ", ".join(f"summary {own.summary + 1}{share}" for own, share in zip(one.present, shares, strict=True))
        said = "" if one.predicted == found.target else f" (classified as {one.predicted})"
        low = ", near 0: shares of it have no meaning" if one.near_zero else ""
        say(f"{one.image.name}: score {one.image.score:.2f}{low}{said}; {parts or 'no summary'}")
    say(f"page: {page}")


@loads_network
def check(
    run: RunFolder,
    loading: Loading,
    model: Model = None,
    checkpoint: Checkpoint = None,
    images: Annotated[int, typer.Option(min=3, help="Number of the run's images to use.", rich_help_panel=IMAGES)] = 12,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Check that summaries depend on what the network has learned: compute them again with shuffled weights.

    The result is kept in the run and shown in its report.
    """
    from visual_summaries.pages.check import check_sentence

    loaded = vs.load_run(run)
    classifier = network_of(loaded, model, checkpoint, loading)
    with StageProgress(quiet) as progress:
        found = vs.randomization_check(loaded, classifier, images=images, progress=progress)
    page = vs.load_run(run).report()
    if as_json:
        say_json({**found.to_dict(), "report": str(page)})
        return
    say(check_sentence(found))
    say(f"report: {page}")


@loads_network
def specialize(
    runs: RunFolders,
    loading: Loading,
    negatives: Annotated[
        Path,
        typer.Option(
            help="Folder with training images of other classes: some that the network confuses with the runs' classes, and a "
            "broad sample.",
            rich_help_panel=IMAGES,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="Folder for the network (safetensors and JSON) and the page `specialized.html`.", rich_help_panel=OUTPUT
        ),
    ],
    images: Annotated[
        Path | None,
        typer.Option(
            help="Further training images of the classes, also ones that the network gets wrong: a folder of class folders "
            "(for one run: of images).",
            rich_help_panel=IMAGES,
        ),
    ] = None,
    model: Model = None,
    checkpoint: Checkpoint = None,
    apply: Annotated[
        bool,
        typer.Option(
            "--apply/--no-apply",
            help="Find the summaries in the further images; this takes most of the time.",
            rich_help_panel=METHOD,
        ),
    ] = True,
    seed: Seed = 0,
    open: Open = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Specialize a network: add detectors of the parts it uses to the logits of the runs' classes, where that helps."""
    from visual_summaries.runs.directory import find_runs

    loaded = [vs.load_run(path) for path in find_runs(runs)]
    classifier = network_of(loaded[0], model, checkpoint, loading)
    with StageProgress(quiet) as progress:
        settings = vs.SpecializeSettings(apply=apply)
        result = vs.specialize(
            loaded, classifier, negatives, images=images, settings=settings, random_state=seed, progress=progress
        )
    page = result.save(out)
    if open:
        open_page(page)
    if as_json:
        say_json({**result.to_dict(), "page": str(page)})
        return
    _show_specialization(result)
    say(f"network: {out}\npage: {page}")


@loads_network
def look_closer(
    runs: RunFolders,
    loading: Loading,
    out: Annotated[
        Path,
        typer.Option(
            help="Folder for the network (safetensors and JSON) and the page `specialized.html`.", rich_help_panel=OUTPUT
        ),
    ],
    test: Annotated[
        Path | None,
        typer.Option(
            help="Folder of class folders with images that neither the network nor the runs have seen: tests both networks.",
            rich_help_panel=IMAGES,
        ),
    ] = None,
    model: Model = None,
    checkpoint: Checkpoint = None,
    parts: Annotated[int, typer.Option(min=1, max=64, help="Shared parts to look at, at most.", rich_help_panel=METHOD)] = 4,
    seed: Seed = 0,
    open: Open = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Improve a network that was fitted on few images: look again, from near, at parts that its classes share.

    Takes a run of each class. New linear heads are fitted on the images of the runs.
    """
    from visual_summaries.pages.looks import verdict
    from visual_summaries.runs.directory import find_runs

    loaded = [vs.load_run(path) for path in find_runs(runs)]
    classifier = network_of(loaded[0], model, checkpoint, loading)
    with StageProgress(quiet) as progress:
        result = vs.look_closer(loaded, classifier, parts=parts, test=test, random_state=seed, progress=progress)
    page = result.save(out)
    if open:
        open_page(page)
    if as_json:
        say_json({**result.to_dict(), "page": str(page)})
        return
    say(verdict(result))
    for number, one in enumerate(result.looks):
        what = f"part {number}, of {one.regions} regions of {one.classes} classes" if number else "whole image"
        say(f"  {what}: {f'weight {one.weight:.2f}' if one.weight else 'not taken'}, {one.alone:.1%} right alone")
    say(f"network: {out}\npage: {page}")


def _show_specialization(result: vs.Specialization) -> None:
    from visual_summaries.pages.specialized import verdict

    say(verdict(result))
    for one in result.classes:
        if one.unchanged:
            say(f"{one.name}: unchanged; its parts add nothing to the network's own score")
            continue
        say(
            f"{one.name}: average precision {one.before.precision:.3f} before, {one.after.precision:.3f} after; correct "
            f"{one.before.right} before, {one.after.right} after, of {one.images}; false positives "
            f"{one.before.fired} before, {one.after.fired} after, of {one.others}"
        )
        for part in one.parts:
            say(f"  {part.name}: weight {part.weight:.2f}, average precision without it {part.precision:+.4f}")


def network_of(
    run: vs.Run, model: str | None = None, checkpoint: Path | None = None, loading: Loading | None = None
) -> vs.Classifier:
    """Return the network of a run: the one that is given, or the one whose name the run has, if that names no file or code.

    It is shown images and read as in the run, unless `loading` says otherwise.
    """
    from visual_summaries.classifiers.loading import DEMO, REGISTRIES
    from visual_summaries.demo import demo_network

    made, loading = run.info.classifier, loading or Loading()
    if model is None and made.spec.startswith(DEMO):
        return loading.load(demo_network(made.spec.removeprefix(DEMO)))
    if model is None and not made.spec.startswith(REGISTRIES):
        raise ClassifierError(
            f"the run explained {made.spec}, which cannot be loaded by its name alone; give the network with --model "
            "(and --checkpoint), as it was given to the run"
        )
    weights = made.weights if checkpoint is not None else ""
    shown = {} if loading.shows else _shown(run)
    return loading.load(model or made.spec, checkpoint, score=made.score or None, weights=weights or None, **shown)


def _shown(run: vs.Run) -> dict[str, Any]:
    """Return how a run showed images to its network, as parameters of :func:`visual_summaries.load_classifier`."""
    from visual_summaries.classifiers import ViewTransform

    if not run.info.classifier.transform:
        return {}
    try:
        transform = ViewTransform.from_dict(run.info.classifier.transform)
    except (TypeError, ValueError) as error:
        remedy = "give --input-size, --mean and --std"
        raise RunError(f"{run.path} is damaged, its transform cannot be read ({error}): {remedy}") from error
    values = {name: value for name, value in vars(transform).items() if name not in ("size", "channels")}
    return {"input_size": (transform.channels, *transform.size), **values}
