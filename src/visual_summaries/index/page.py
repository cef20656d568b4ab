"""The catalogue as one self-contained page: a table to search and sort, with a link to each run's report."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote

from visual_summaries._validate import require_choice
from visual_summaries.errors import RunError
from visual_summaries.index.scan import Broken, Entry, scan_runs
from visual_summaries.index.table import TABLES, require_pyarrow, write_json_table, write_parquet_table
from visual_summaries.progress import Progress
from visual_summaries.report.context import short_spec
from visual_summaries.report.shell import base_style, render_self_contained, resource
from visual_summaries.report.words import text
from visual_summaries.store.atomic import write_text

_PACKAGE = "visual_summaries.index"
#: Bars of at most this many summaries are drawn in a row.
_BARS = 10


@dataclass(frozen=True)
class Written:
    """What writing a catalogue gave.

    Attributes
    ----------
    page, table : Path
        The files.
    runs : int
        How many runs they hold.
    broken : list of Broken
        What could not be read.
    """

    page: Path
    table: Path
    runs: int
    broken: list[Broken]


def write_index(
    folder: str | Path, out: str | Path | None = None, *, table: str = "json", progress: Progress | None = None
) -> Written:
    """Write the catalogue of all runs below a folder: a page and a table.

    Parameters
    ----------
    folder : str or Path
        Folder of runs; see :func:`scan_runs`.
    out : str or Path, optional
        Where to write ``index.html`` and ``index.json`` or ``index.parquet``; the folder itself unless given.
    table : str
        ``"json"`` or ``"parquet"`` (extra ``table``).
    progress : callable, optional

    Returns
    -------
    Written

    Raises
    ------
    RunError
        If there is no run in the folder, or the files cannot be written.
    MissingExtraError
        If a Parquet table is asked for and pyarrow is not installed.
    """
    require_choice("table", table, TABLES)
    if table == "parquet":
        require_pyarrow()  # before the work
    folder = Path(folder)
    if not folder.is_dir():
        raise RunError(f"{folder} is not a folder; give one that holds runs (folders written with --out)")
    out = folder if out is None else Path(out)
    if out.exists() and not out.is_dir():
        raise RunError(f"{out} is a file, but the catalogue is two files: give a folder")
    entries, broken = scan_runs(folder, progress)
    page, data = out / "index.html", out / f"index.{table}"
    if table == "json":
        write_json_table(data, entries, broken)
    else:
        write_parquet_table(data, entries)
    write_text(page, render_index(entries, broken, title=folder.resolve().name, base=_base(folder, out)))
    return Written(page, data, len(entries), broken)


def render_index(entries: Sequence[Entry], broken: Sequence[Broken] = (), *, title: str = "runs", base: str = "") -> str:
    """Return the HTML of the catalogue.

    Parameters
    ----------
    entries, broken : sequence
        As :func:`scan_runs` gives them.
    title : str
    base : str
        Path from the page's folder to the one that the entries' paths start at, for links; ends in ``/`` or is empty.
    """
    seen = [entry.accuracy for entry in entries if entry.accuracy is not None]
    context = {
        "title": text(title),
        "rows": [_row(entry, base) for entry in entries],
        "broken": [{"path": text(item.path), "reason": text(item.reason)} for item in broken],
        "count": len(entries),
        "classes": len({entry.target for entry in entries}),
        "networks": len({entry.network for entry in entries}),
        "accuracy": f"{median(seen):.0%}" if seen else None,
        "measured": {
            "control": any(entry.control for entry in entries),
            "stability": any(entry.stability for entry in entries),
            "faithfulness": any(entry.deletion is not None for entry in entries),
        },
        "written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }
    style = base_style() + resource(_PACKAGE, "index.css")
    scripts = {"early": resource("visual_summaries.report", "early.js"), "script": resource(_PACKAGE, "index.js")}
    return render_self_contained(_PACKAGE, "index.html.j2", style=style, scripts=scripts, context=context)


def _base(folder: Path, out: Path) -> str:
    relative = os.path.relpath(folder.resolve(), out.resolve())
    return "" if relative == "." else Path(relative).as_posix() + "/"


def _row(entry: Entry, base: str) -> dict[str, Any]:
    target, network, path = text(entry.target), short_spec(text(entry.network)), text(entry.path)
    finite = [value if value == value else 0.0 for value in entry.importances]
    return {
        "target": target,
        "network": network,
        "path": path,
        "find": f"{target} {network} {path}".casefold(),
        # Only paths that this program found itself become links, and quoted they hold nothing but a path below the page.
        "href": quote((base + entry.report).encode("utf-8", "surrogateescape")) if entry.report else None,
        "date": text(entry.created)[:10],
        "created": text(entry.created)[:25],
        "images": entry.images,
        "accuracy": None if entry.accuracy is None else f"{entry.accuracy:.0%}",
        "accuracy_sort": -1.0 if entry.accuracy is None else round(entry.accuracy, 6),
        "of": f"{entry.correct} of {entry.total}",
        "summaries": entry.summaries,
        "bars": [round(20 * min(max(value, 0.0), 1.0), 1) for value in finite[:_BARS]],
        "more": max(0, len(finite) - _BARS),
        "top": f"{max(finite):.0%}" if finite else "–",
        "top_sort": round(max(finite), 6) if finite else -1.0,
        "label": "importances " + ", ".join(f"{value:.0%}" for value in finite[:_BARS]) if finite else "no summary",
        "control": f"{sum(entry.control)} of {len(entry.control)}" if entry.control else "–",
        "control_sort": sum(entry.control) if entry.control else -1,
        "stability": f"{median(entry.stability):.2f}" if entry.stability else "–",
        "stability_sort": round(median(entry.stability), 6) if entry.stability else -1.0,
        "deletion": _against(entry.deletion, entry.deletion_control),
        "deletion_sort": 9.0 if entry.deletion is None else round(entry.deletion, 6),
        "warnings": entry.warnings,
    }


def _against(own: float | None, control: float | None) -> str:
    return "–" if own is None or control is None else f"{own:.2f} / {control:.2f}"
