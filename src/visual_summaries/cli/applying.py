"""Commands that use a finished run together with its network: on new images, and against one that has learnt nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from visual_summaries.cli.console import StageProgress, interruptible, set_up_logging, stdout

if TYPE_CHECKING:
    from visual_summaries.classifiers import Classifier
    from visual_summaries.results import Run

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run.")]
Model = Annotated[
    str | None,
    typer.Option(
        help="The network that the run explained, as for `run`. Needed unless it is one that a name alone loads "
        "(`timm/...`, `torchvision/...`, `hf/...`, the demo's): no code or path is ever taken from a run's folder."
    ),
]
Checkpoint = Annotated[Path | None, typer.Option(help="Its weights, as for `run`.")]
Device = Annotated[str | None, typer.Option(help="For example cpu or cuda:0; found unless given.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object on stdout.")]


def apply(
    directory: Directory,
    images: Annotated[Path, typer.Argument(help="Folder with new images, of any class; searched recursively.")],
    out: Annotated[Path, typer.Option(help="Folder for apply.html, apply.json and masks.npz.")],
    model: Model = None,
    checkpoint: Checkpoint = None,
    device: Device = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Explain new images in the summaries of a run: which are there, where, and what the score owes to each."""
    from visual_summaries import load_run

    set_up_logging(quiet)
    run = load_run(directory)
    classifier = network_of(run, model, checkpoint, device)
    with interruptible("give the same command again"), StageProgress(quiet) as progress:
        found = run.apply(images, classifier, progress=progress)
    page = found.save(out)
    if as_json:
        typer.echo(json.dumps({**found.to_dict(), "page": str(page)}, ensure_ascii=False))
        return
    for one in found.images:
        parts = ", ".join(f"summary {own.summary + 1} {own.importance:.0%}" for own in one.present) or "no summary"
        said = "" if one.predicted == found.target else f" (taken for {one.predicted})"
        stdout.print(f"{one.image.name}: score {one.image.score:.2f}{said}; {parts}", highlight=False, markup=False)
    stdout.print(f"page: {page}", highlight=False, markup=False)


def check(
    directory: Directory,
    model: Model = None,
    checkpoint: Checkpoint = None,
    device: Device = None,
    images: Annotated[int, typer.Option(min=3, help="How many of the run's images to try it on.")] = 12,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Check that summaries depend on what the network has learnt: make them again with shuffled weights."""
    from visual_summaries import load_run, randomization_check

    set_up_logging(quiet)
    run = load_run(directory)
    classifier = network_of(run, model, checkpoint, device)
    with interruptible("give the same command again"), StageProgress(quiet) as progress:
        found = randomization_check(run, classifier, images=images, progress=progress)
    values = found.to_dict()
    if as_json:
        typer.echo(json.dumps(values))
        return
    parts = [value for value in values["summaries"] if value is not None]
    left = f"{sum(parts) / len(parts):.0%} of the summaries" if parts else "no summary is in these images"
    verdict = (
        "they depend on what the network has learnt" if found.passed else "THEY DO NOT DEPEND ON WHAT THE NETWORK HAS LEARNT"
    )
    stdout.print(
        f"With shuffled weights, {values['masks']:.0%} of the masks' evidence comes back (moved at random: "
        f"{values['masks_by_chance']:.0%}), and {left}: {verdict}.",
        highlight=False,
        markup=False,
    )


def network_of(run: Run, model: str | None, checkpoint: Path | None, device: str | None) -> Classifier:
    """Return the network of a run: the one that is given, or the one whose name the run has, if that names no file or code."""
    from visual_summaries import load_classifier
    from visual_summaries.classifiers.loading import DEMO, REGISTRIES
    from visual_summaries.demo import demo_network
    from visual_summaries.errors import ClassifierError

    spec = run.info.classifier.spec
    if model is None and spec.startswith(DEMO):
        return load_classifier(demo_network(spec.removeprefix(DEMO)), device=device)
    if model is None and not spec.startswith(REGISTRIES):
        raise ClassifierError(
            f"the run explained {spec}, which is no name that can be loaded from anywhere; give the network with --model "
            "(and --checkpoint), as it was given to the run"
        )
    return load_classifier(model or spec, checkpoint=checkpoint, device=device)
