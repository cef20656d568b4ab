"""The catalog as a table for other programs."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote

from visual_summaries._validate import require_choice
from visual_summaries.batch.catalog import Broken, Entry, scan_runs
from visual_summaries.classifiers.names import short_spec
from visual_summaries.errors import MissingExtraError, RunError
from visual_summaries.files.atomic import atomic_file, write_text
from visual_summaries.pages.shell import base_style, render_self_contained, resource
from visual_summaries.pages.words import text
from visual_summaries.progress import Progress

#: Formats of the table.
TABLES = ("json", "parquet")


def write_json_table(path: Path, entries: Sequence[Entry], broken: Sequence[Broken]) -> None:
    """Write all rows, and what could not be read, as one JSON object; what is no number is null."""
    content = {"runs": [_plain(asdict(entry)) for entry in entries], "broken": [vars(item) for item in broken]}
    # Names of a user's files may hold what UTF-8 cannot: escapes can.
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def write_parquet_table(path: Path, entries: Sequence[Entry]) -> None:
    """Write all rows as a Parquet file.

    Raises
    ------
    MissingExtraError
        If pyarrow is not installed.
    """
    pyarrow, parquet = require_pyarrow()
    text, number, count, flag = pyarrow.string(), pyarrow.float64(), pyarrow.int64(), pyarrow.bool_()
    kinds = {
        "str": text, "int": count, "float": number, "float | None": number,
        "list[float]": pyarrow.list_(number), "list[bool]": pyarrow.list_(flag),
    }  # fmt: skip
    schema = pyarrow.schema([(name, kinds[kind]) for name, kind in Entry.__annotations__.items()])
    rows = [{name: _text(value) for name, value in _plain(asdict(entry)).items()} for entry in entries]
    table = pyarrow.Table.from_pylist(rows, schema=schema)
    with atomic_file(path) as file:
        parquet.write_table(table, file)


def require_pyarrow() -> tuple[Any, Any]:
    """Return pyarrow and its Parquet module.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError(
            "Parquet tables need pyarrow: pip install 'visual-summaries[table]', or write JSON with --table json"
        ) from error
    return pyarrow, pyarrow.parquet


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and value != value else value


def _text(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


#: Bars of at most this many summaries are drawn in a row.
_BARS = 10


@dataclass(frozen=True)
class Written:
    """What writing a catalog gave.

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
    """Write the catalog of all runs below a folder: a page and a table.

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
        raise RunError(f"{out} is a file, but the catalog is two files: give a folder")
    entries, broken = scan_runs(folder, progress)
    page, data = out / "index.html", out / f"index.{table}"
    if table == "json":
        write_json_table(data, entries, broken)
    else:
        write_parquet_table(data, entries)
    write_text(page, render_index(entries, broken, title=folder.resolve().name, base=_base(folder, out)))
    return Written(page, data, len(entries), broken)


def render_index(entries: Sequence[Entry], broken: Sequence[Broken] = (), *, title: str = "runs", base: str = "") -> str:
    """Return the HTML of the catalog.

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
    style = base_style() + resource("catalog.css")
    scripts = {"early": resource("early.js"), "script": resource("catalog.js")}
    return render_self_contained("catalog.html.j2", style=style, scripts=scripts, context=context)


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
