"""One self-contained page per run: template, styles and script joined under a policy that lets nothing else in."""

from __future__ import annotations

from pathlib import Path

from visual_summaries.errors import RunError
from visual_summaries.files.atomic import write_text
from visual_summaries.pages.context import Page, palette
from visual_summaries.pages.shell import base_style, render_self_contained, resource
from visual_summaries.results import Run


def write_report(run: Run, path: str | Path | None = None) -> Path:
    """Write a run's report: one HTML file that needs neither network nor other files.

    Parameters
    ----------
    run : Run
        What to show.
    path : str or Path, optional
        File to write; ``report.html`` in the run's folder unless given. An older report is replaced, when the new one is whole.

    Returns
    -------
    Path
        Where it is.

    Raises
    ------
    RunError
        If the run has no folder and no path is given, or the path cannot be written to.
    """
    if path is None:
        if run.path is None:
            raise RunError("this run was not stored in a folder, so give the report a path: run.report('report.html')")
        path = run.path / "report.html"
    path = Path(path)
    if path.is_dir():
        raise RunError(f"{path} is a folder, but the report is one file: give a path like {path / 'report.html'}")
    write_text(path, render_page(run))
    return path


def render_page(run: Run) -> str:
    """Return the report's HTML.

    All text from outside (class, network and file names, reasons) is escaped. The page's policy allows images from data URIs
    and the very style sheet and scripts that are built in, known by their hashes; all else, requests included, is refused.
    """
    # Files of this package and hexadecimal colors: nothing in them comes from a run.
    style = base_style() + resource("report.css") + _colors(palette(len(run.summaries)))
    scripts = {"early": resource("early.js"), "script": resource("map.js") + resource("report.js")}
    return render_self_contained("report.html.j2", style=style, scripts=scripts, context=Page(run).context())


def _colors(colors: list[str]) -> str:
    return "".join(f".c{number}{{--c:{color}}}\n" for number, color in enumerate(colors, start=1))
