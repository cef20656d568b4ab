"""Commands that write a finished run in other forms: figures, and data for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from visual_summaries.cli.console import stdout

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run.")]


def figure(
    directory: Directory,
    out: Annotated[Path, typer.Option(help="File to write; its ending chooses .png, .svg or .pdf.")],
    kind: Annotated[
        str, typer.Option(help="`summaries`: one row a summary, as the paper prints them; `importance`: a chart.")
    ] = "summaries",
) -> None:
    """Write a static figure of a run (extra `plot`)."""
    from visual_summaries import load_run
    from visual_summaries.pages.figures import write_figure

    path = write_figure(load_run(directory), out, kind)
    stdout.print(f"figure: {path}", highlight=False, markup=False)


def export(
    directory: Directory,
    out: Annotated[Path, typer.Option(help="File to write; for `coco` a new or empty folder.")],
    format: Annotated[
        str, typer.Option(help="`json`, `csv` (a row for each region), or `coco` (annotations and views).")
    ] = "json",
    summary: Annotated[
        list[int] | None, typer.Option(min=1, help="Number of a summary, as in the report; may be repeated. All unless given.")
    ] = None,
    masks: Annotated[
        str, typer.Option(help="Of `coco`: `rle` (every pixel) or `polygon` (outlines, for programs that read no run lengths).")
    ] = "rle",
) -> None:
    """Write a run's regions and summaries for other programs."""
    from visual_summaries import load_run
    from visual_summaries.pages.exports import export_run

    chosen = None if summary is None else [number - 1 for number in summary]
    path = export_run(load_run(directory), out, format, chosen, masks=masks)
    stdout.print(f"{format}: {path}", highlight=False, markup=False)
