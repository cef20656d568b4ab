"""Commands that name the summaries of a run: by a tagger, and by hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import visual_summaries as vs
from visual_summaries.cli.console import METHOD, NETWORK, AsJson, Quiet, RunFolder, Seed, StageProgress, note, say, say_json
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
    run: RunFolder,
    loading: Loading,
    clip: Annotated[
        str | None,
        typer.Option(
            help="Names by CLIP, the default (extra `clip`): `NAME/PRETRAINED` of open_clip (downloaded on first use), a "
            "folder with `open_clip_config.json` and weights, or `NAME` with --checkpoint. Default: "
            "`ViT-B-32/laion2b_s34b_b79k`.",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    classifier: Annotated[
        str | None,
        typer.Option(help="Names by a classifier's classes: a model, as for `run`.", rich_help_panel=NETWORK),
    ] = None,
    parts: Annotated[
        Path | None,
        typer.Option(help="Names by annotated parts: a JSON file of part points, or a folder of demo images."),
    ] = None,
    vocabulary: Annotated[
        Path | None, typer.Option(help="File with words for CLIP, one a line; a list of parts comes with the package.")
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Weights for --clip or --classifier.", rich_help_panel=NETWORK)
    ] = None,
    input: Annotated[
        str, typer.Option(help="What the tagger sees: the region's `box`, or `masked`: its evidence alone. Both are measured.")
    ] = "box",
    top: Annotated[
        int | None, typer.Option(min=1, help="Number of tags that count per region; the tagger's own unless given.")
    ] = None,
    level: Annotated[
        float,
        typer.Option(min=0, max=1, help="Significance level: share of random groups that get a name.", rich_help_panel=METHOD),
    ] = 0.05,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    print_vocabulary: Annotated[
        bool,
        typer.Option("--print-vocabulary", callback=_print_vocabulary, is_eager=True, help="Print the shipped words, to edit."),
    ] = False,
) -> None:
    """Name the summaries of a run with CLIP, a classifier or annotated parts; needs the names to beat random groups."""
    from visual_summaries import tags

    if sum(given is not None for given in (clip, classifier, parts)) > 1:
        raise SettingsError("--clip, --classifier and --parts choose the tagger: give one of them")
    loaded = vs.load_run(run)
    if parts is not None:
        tagger: Tagger = tags.reference_tagger(loaded, parts, top)
    elif classifier is not None:
        tagger = tags.ClassifierTagger(loading.load(classifier, checkpoint))
    else:
        tagger = tags.ClipTagger(clip or tags.DEFAULT_CLIP, checkpoint=checkpoint, vocabulary=vocabulary, device=loading.device)
    with StageProgress(quiet) as progress:
        tagging = tags.tag_run(loaded, tagger, input=input, top=top, level=level, random_state=seed, progress=progress)
    named, orphans = tags.save_tagging(loaded, tagging)
    page = named.report()
    for orphan in orphans:
        note(f"the name {orphan!r}, given by hand, belongs to a summary that this run no longer has; it stays in tags.json")
    _show(named, tagging, page, as_json)


def rename(
    run: RunFolder,
    summary: Annotated[int, typer.Argument(min=1, help="Number of the summary, as in the report.")],
    name: Annotated[str | None, typer.Argument(help="Its name.")] = None,
    no_name: Annotated[bool, typer.Option("--no-name", help="Give it no name, whatever `tag` finds.")] = False,
    automatic: Annotated[bool, typer.Option("--automatic", help="Restore the name that `tag` gave.")] = False,
) -> None:
    """Name a summary by hand; `tag` keeps that name."""
    from visual_summaries.runs.tags_file import rename as write_name

    if sum((name is not None, no_name, automatic)) != 1:
        raise SettingsError("give the new name, --no-name or --automatic: one of them")
    named = write_name(vs.load_run(run), summary, name, automatic=automatic)
    page = named.report()
    renamed = named.summary(summary)
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
        if agreement.summaries > 1:
            say(
                f"tags tell summaries apart, {shown}: agreement of {agreement.between:.2f} between summaries "
                f"(p = {agreement.p_between:.3f}), information {agreement.information:.2f} (p = {agreement.p_information:.3f})"
            )
    say(f"report: {page}")
