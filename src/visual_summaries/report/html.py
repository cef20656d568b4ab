"""One self-contained page per run: template, styles and script joined under a policy that lets nothing else in."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from pathlib import Path

import jinja2

from visual_summaries.errors import RunError
from visual_summaries.report.context import Page, palette
from visual_summaries.results import Run
from visual_summaries.store.atomic import write_text


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
    style = _resource("report.css") + _colors(palette(len(run.summaries)))
    early, script = _resource("early.js"), _resource("report.js") + _resource("map.js")
    policy = "; ".join(
        [
            "default-src 'none'",
            "img-src data:",
            f"style-src {_hash(style)}",
            f"script-src {_hash(early)} {_hash(script)}",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    # The three texts are files of this package and hexadecimal colours: nothing in them comes from a run.
    trusted = {"style": style, "early": early, "script": script}
    return _template().render(policy=policy, **trusted, **Page(run).context())


def _colors(colors: list[str]) -> str:
    return "".join(f".c{number}{{--c:{color}}}\n" for number, color in enumerate(colors, start=1))


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _resource(name: str) -> str:
    # The hashes are those of the text between the tags, where a browser reads any line end as \n.
    return (files("visual_summaries.report") / "templates" / name).read_text(encoding="utf-8").replace("\r\n", "\n")


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(_resource),
    )
    return environment.get_template("report.html.j2")
