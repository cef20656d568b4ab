"""Commands that name the summaries of a run: by a tagger, and by hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import visual_summaries as vs
from visual_summaries.cli.console import AsJson, Directory, Quiet, StageProgress, note, say, say_json
from visual_summaries.cli.networks import Loading, loads_network
from visual_summaries.cli.showing import name_in_words
from visual_summaries.errors import SettingsError

if TYPE_CHECKING:
    from visual_summaries.results import Run
    from visual_summaries.tags import Tagger, Tagging


def _print_vocabulary(value: bool) -> None:
    if value:
        from visual_summaries.tags import shipped_vocabulary

        typer.echo(shipped_vocabulary(), nl=False)
        raise typer.Exit


@loads_network
def tag(
    directory: Directory,
    loading: Loading,
    clip: Annotated[
        str | None,
        typer.Option(
            help="Words by CLIP (extra `clip`): a model and weights of open_clip as `NAME/PRETRAINED` (downloaded when first "
            "used), a folder with `open_clip_config.json` and its weights, or `NAME` with --checkpoint. The default, with "
            "`ViT-B-32/laion2b_s34b_b79k`."
        ),
    ] = None,
    classifier: Annotated[
        str | None, typer.Option(help="The classes of a classifier, on each region: a model as `run` takes it.")
    ] = None,
    parts: Annotated[
        Path | None,
        typer.Option(help="Annotated parts: a JSON file of part points, or a folder of demo images."),
    ] = None,
    vocabulary: Annotated[
        Path | None, typer.Option(help="Words for CLIP, one a line; a list of parts comes with the package.")
    ] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="Weights for --clip or --classifier.")] = None,
    input: Annotated[
        str, typer.Option(help="Names come from the region's `box`, or `masked`: its evidence alone. Both are measured.")
    ] = "box",
    top: Annotated[
        int | None, typer.Option(min=1, help="How many tags of a region count; the tagger knows unless given.")
    ] = None,
    level: Annotated[float, typer.Option(min=0, max=1, help="A random group of regions gets a name as often as this.")] = 0.05,
    seed: Annotated[int, typer.Option(help="Seed of the random groups.")] = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    print_vocabulary: Annotated[
        bool,
        typer.Option("--print-vocabulary", callback=_print_vocabulary, is_eager=True, help="Print the shipped words, to edit."),
    ] = False,
) -> None:
    """Name the summaries of a run by a tagger, measure how far tags agree, and write both into `tags.json` and the report."""
    from visual_summaries import tags

    if sum(given is not None for given in (clip, classifier, parts)) > 1:
        raise SettingsError("--clip, --classifier and --parts are three taggers: give one of them")
    run = vs.load_run(directory)
    if parts is not None:
        tagger: Tagger = tags.reference_tagger(run, parts, top)
    elif classifier is not None:
        tagger = tags.ClassifierTagger(loading.load(classifier, checkpoint))
    else:
        tagger = tags.ClipTagger(clip or tags.DEFAULT_CLIP, checkpoint=checkpoint, vocabulary=vocabulary, device=loading.device)
    with StageProgress(quiet) as progress:
        tagging = tags.tag_run(run, tagger, input=input, top=top, level=level, random_state=seed, progress=progress)
    run, orphans = tags.save_tagging(run, tagging)
    page = run.report()
    for orphan in orphans:
        note(f"the name {orphan!r}, given by hand, belongs to a summary that this run no longer has; it stays in tags.json")
    _show(run, tagging, page, as_json)


def rename(
    directory: Directory,
    summary: Annotated[int, typer.Argument(min=1, help="Number of the summary, as in the report.")],
    name: Annotated[str | None, typer.Argument(help="Its name.")] = None,
    no_name: Annotated[bool, typer.Option("--no-name", help="It has no name, whatever tagging says.")] = False,
    automatic: Annotated[bool, typer.Option("--automatic", help="Go back to the name that tagging gave.")] = False,
) -> None:
    """Name a summary by hand; later runs of `tag` keep that name."""
    from visual_summaries.runs.tags_file import rename as write_name

    if sum((name is not None, no_name, automatic)) != 1:
        raise SettingsError("give the summary's new name, or --no-name, or --automatic: one of them")
    run = write_name(vs.load_run(directory), summary, name, automatic=automatic)
    page = run.report()
    renamed = run.summary(summary)
    say(f"summary {summary}: {renamed.tag.name if renamed.tag else 'no name'}")
    say(f"report: {page}")


def _show(run: Run, tagging: Tagging, page: Path, as_json: bool) -> None:
    if as_json:
        names: list[dict[str, Any]] = [
            {"summary": s.number, "name": s.tag.name if s.tag else None, "by_hand": s.tag is not None and s.tag.by_hand}
            for s in run.summaries
        ]
        say_json({"names": names, **tagging.to_dict(), "report": str(page)})
        return
    for summary, found in zip(run.summaries, tagging.names[tagging.input], strict=True):
        title = name_in_words(summary) or "no name (nothing beats chance): "
        tags = ", ".join(f"{tag.tag} {tag.frequency:.2f} (x{tag.lift:.1f})" for tag in found.tags[:3])
        say(f"  {summary.number:2d}. {title}{tags or 'no tags'}")
    for shown, agreement in tagging.agreement.items():
        if agreement.summaries:
            say(
                f"agreement of the top {tagging.top} tags, {shown}: {agreement.within:.2f} within summaries, "
                f"{agreement.random:.2f} in random groups (p = {agreement.p_random:.3f}), {agreement.images:.2f} over whole "
                f"images (p = {agreement.p_images:.3f})"
            )
    say(f"report: {page}")
