"""The command that makes a network better at the classes that runs explain."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from visual_summaries.cli.applying import AsJson, Checkpoint, Device, Model, Quiet, network_of
from visual_summaries.cli.console import StageProgress, interruptible, set_up_logging
from visual_summaries.cli.showing import say, say_json

if TYPE_CHECKING:
    from visual_summaries.specialization import Specialization


def specialize(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Folders of runs of one network, one for each class; or folders that hold some."),
    ],
    negatives: Annotated[
        Path,
        typer.Option(
            help="Folder with training images of other classes: those that are confused with the runs', and all sorts."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the network (safetensors and JSON) and the page `specialized.html`.")],
    images: Annotated[
        Path | None,
        typer.Option(
            help="Further training images of the classes, a folder of class folders (of one run: of images): also such that "
            "the network gets wrong."
        ),
    ] = None,
    model: Model = None,
    checkpoint: Checkpoint = None,
    device: Device = None,
    apply: Annotated[
        bool, typer.Option("--apply/--no-apply", help="Look for the summaries in the further images; that takes the most time.")
    ] = True,
    seed: Annotated[int, typer.Option(help="Seed of everything drawn at random.")] = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Specialize a network: detectors of the parts it uses are added to the logits of the runs' classes, where that helps."""
    from visual_summaries import SpecializeSettings, load_run
    from visual_summaries import specialize as do_it
    from visual_summaries.runs.directory import find_runs

    set_up_logging(quiet)
    loaded = [load_run(path) for path in find_runs(runs)]
    classifier = network_of(loaded[0], model, checkpoint, device)
    with interruptible("give the same command again"), StageProgress(quiet) as progress:
        result = do_it(
            loaded,
            classifier,
            negatives,
            images=images,
            settings=SpecializeSettings(apply=apply),
            random_state=seed,
            progress=progress,
        )
    page = result.save(out)
    if as_json:
        say_json({**result.to_dict(), "page": str(page)})
        return
    _show(result)
    say(f"network: {out}")
    say(f"page: {page}")


def _show(result: Specialization) -> None:
    from visual_summaries.pages.specialized import verdict

    say(verdict(result))
    for one in result.classes:
        if one.unchanged:
            say(f"{one.name}: left as it was; its parts tell no more than the network's own score")
            continue
        say(
            f"{one.name}: average precision {one.before.precision:.3f} before, {one.after.precision:.3f} after; right "
            f"{one.before.right} before, {one.after.right} after, of {one.images}; other images taken for it "
            f"{one.before.fired} before, {one.after.fired} after, of {one.others}"
        )
        for part in one.parts:
            say(f"  {part.name}: weight {part.weight:.2f}, average precision without it {part.precision:+.4f}")
