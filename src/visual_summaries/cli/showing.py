"""Commands that show finished runs: report, figure, export, index, compare; and what is printed of a run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import visual_summaries as vs
from visual_summaries.cli.console import (
    METHOD,
    OUTPUT,
    AsJson,
    Open,
    Quiet,
    RunFolder,
    RunFolders,
    Seed,
    StageProgress,
    note,
    open_page,
    percent,
    say,
    say_json,
)

if TYPE_CHECKING:
    from visual_summaries.compare import Comparison
    from visual_summaries.results import Run, Summary


def report(
    run: RunFolder,
    out: Annotated[
        Path | None, typer.Option(help="File to write; `RUN/report.html` unless given.", rich_help_panel=OUTPUT)
    ] = None,
    open: Open = False,
    as_json: AsJson = False,
) -> None:
    """Write the HTML report of a run again."""
    result = vs.load_run(run)
    page = result.report(out)
    show_run(result, page, as_json)
    if open:
        open_page(page)


def figure(
    run: RunFolder,
    out: Annotated[Path, typer.Option(help="File to write: .png, .svg or .pdf.", rich_help_panel=OUTPUT)],
    kind: Annotated[str, typer.Option(help="`summaries`: one row per summary; `importance`: a bar chart.")] = "summaries",
) -> None:
    """Draw a static figure of a run (extra `plot`)."""
    from visual_summaries.pages.figures import write_figure

    path = write_figure(vs.load_run(run), out, kind)
    say(f"figure: {path}")


def export(
    run: RunFolder,
    out: Annotated[Path, typer.Option(help="File to write; for `coco` a new or empty folder.", rich_help_panel=OUTPUT)],
    format: Annotated[
        str | None,
        typer.Option(
            help="`json`, `csv` (one row per region) or `coco` (annotations and images). Follows the ending of --out unless "
            "given."
        ),
    ] = None,
    summary: Annotated[
        list[int] | None, typer.Option(min=1, help="Number of a summary, as in the report; repeatable. All unless given.")
    ] = None,
    masks: Annotated[
        str, typer.Option(help="Masks in `coco`: `rle` (exact) or `polygon` (outlines, for programs that cannot read RLE).")
    ] = "rle",
) -> None:
    """Export the regions and summaries of a run to other programs."""
    from visual_summaries.pages.exports import export_run, format_of

    kind = format or format_of(out)
    path = export_run(vs.load_run(run), out, kind, summary, masks=masks)
    say(f"{kind}: {path}")


def index(
    runs: Annotated[Path, typer.Argument(metavar="RUNS", help="Folder that holds runs; searched recursively.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for page and table; `RUNS` unless given.", rich_help_panel=OUTPUT)
    ] = None,
    table: Annotated[
        str, typer.Option(help="Format of the table: `json` or `parquet` (extra `table`).", rich_help_panel=OUTPUT)
    ] = "json",
    open: Open = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write a catalog of many runs: a page to search and sort, and a table for other programs."""
    from visual_summaries.pages.catalog import write_index

    with StageProgress(quiet) as progress:
        found = write_index(runs, out, table=table, progress=progress)
    if open:
        open_page(found.page)
    for broken in found.broken:
        note(f"could not read {broken.path}: {broken.reason}")
    if as_json:
        say_json({"runs": found.runs, "broken": len(found.broken), "page": str(found.page), "table": str(found.table)})
        return
    say(f"{found.runs} runs, {len(found.broken)} could not be read")
    say(f"page: {found.page}")
    say(f"table: {found.table}")


def compare(
    runs: RunFolders,
    out: Annotated[Path, typer.Option(help="Folder for `comparison.html` and `comparison.json`.", rich_help_panel=OUTPUT)],
    level: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Significance level at which two summaries show the same part.", rich_help_panel=METHOD
        ),
    ] = 0.05,
    seed: Seed = 0,
    open: Open = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Compare networks: parts that several use, parts that only one uses, and number of summaries against accuracy."""
    from visual_summaries.compare import compare_runs
    from visual_summaries.pages.comparison import write_comparison
    from visual_summaries.runs.directory import find_runs

    loaded = [vs.load_run(path) for path in find_runs(runs)]
    with StageProgress(quiet) as progress:
        comparison = compare_runs(loaded, level=level, random_state=seed, progress=progress)
    page = write_comparison(comparison, out)
    if open:
        open_page(page)
    if as_json:
        say_json({**comparison.to_dict(), "page": str(page)})
        return
    _show_comparison(comparison)
    say(f"comparison: {page}")


def _show_comparison(comparison: Comparison) -> None:
    from visual_summaries.pages.comparison import headline

    for group in comparison.classes:
        say(f"{group.target}: {headline(comparison, group)}")
        for part in (part for part in group.parts if len(part.uses) > 1):
            uses = "; ".join(
                f"{comparison.networks[use.run]} summary {use.summary + 1}, importance {percent(use.importance)}"
                for use in part.uses
            )
            say(f"  {part.name or 'one part'}: {uses}")
    for kind, words in (("pooled", "all runs together"), ("within", "within classes")):
        value = comparison.correlations["summaries"][kind]
        if value.rho == value.rho:
            interval = f" (95 % interval {value.low:.2f} to {value.high:.2f})" if value.low == value.low else ""
            say(f"number of summaries against accuracy, {words}: Spearman {value.rho:.2f}{interval}, {value.points} runs")


def run_values(run: Run) -> dict[str, Any]:
    """Return what ``--json`` tells of a run."""
    from visual_summaries.files.atomic import plain

    return {
        "classifier": run.info.classifier.spec,
        "target": vars(run.info.target),
        "accuracy": vars(run.info.accuracy),
        "counts": run.info.counts,
        "evidence": None if run.info.evidence is None else vars(run.info.evidence),
        "timings": run.info.timings,
        "summaries": plain(run.to_records()),
        "verdict": run.verdict.to_dict(),
    }


def show_run(run: Run, page: Path, as_json: bool, **more: Any) -> None:
    """Print a run's summaries and where its report is."""
    if as_json:
        say_json({**run_values(run), "report": str(page), **more})
        return
    from visual_summaries.pages.findings import evidence_sentence
    from visual_summaries.pages.summaries import summary_line
    from visual_summaries.pages.verdict import verdict_lines

    accuracy = run.info.accuracy
    seen = f"{accuracy.correct} of {accuracy.total} images classified as it; " if accuracy.total else ""
    say(
        f"{run.info.target.name}: {seen}{len(run.summaries)} summaries from {len(run.regions)} regions of "
        f"{len(run.images)} images"
    )
    if run.info.evidence is not None:
        say(f"  {evidence_sentence(run.info.evidence)}")
    for summary in run.summaries:
        say(f"  {summary.number:2d}. {name_in_words(summary)}{summary_line(run, summary)}")
    for line in verdict_lines(run):
        say(line)
    say(f"report: {page}")


def name_in_words(summary: Summary) -> str:
    """Return a summary's name for the start of a line, or nothing.

    Examples
    --------
    >>> from visual_summaries.results import Summary, Tag
    >>> name_in_words(Summary(0, 0, (), (), 1.0, 0.5, tag=Tag("beak", 0.991, False)))
    'beak (confidence 0.99): '
    """
    if summary.tag is None:
        return ""
    sure = "by hand" if math.isnan(summary.tag.confidence) else f"confidence {summary.tag.confidence:.2f}"
    return f"{summary.tag.name} ({sure}): "
