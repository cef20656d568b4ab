"""The catalog of many runs: its page, and the table for other programs."""

from __future__ import annotations

import json
import math
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
from visual_summaries.errors import MissingExtraError, RunError
from visual_summaries.files.atomic import atomic_file, plain, write_text
from visual_summaries.pages.shell import base_style, render_self_contained, resource
from visual_summaries.pages.verdict import short_verdict
from visual_summaries.progress import Progress
from visual_summaries.results.info import short_spec

#: Formats of the table.
TABLES = ("json", "parquet")


def write_json_table(path: Path, entries: Sequence[Entry], broken: Sequence[Broken]) -> None:
    """Write all rows, and what could not be read, as one JSON object; what is no number is null."""
    content = {"runs": [plain(asdict(entry)) for entry in entries], "broken": [vars(item) for item in broken]}
    # Names of a user's files may hold what UTF-8 cannot: escapes can.
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def write_parquet_table(path: Path, entries: Sequence[Entry]) -> None:
    """Write all rows as a Parquet file; pyarrow must be there."""
    pyarrow, parquet = require_pyarrow()
    text, number, count, flag = pyarrow.string(), pyarrow.float64(), pyarrow.int64(), pyarrow.bool_()
    kinds = {
        "str": text, "int": count, "float": number, "float | None": number,
        "list[float]": pyarrow.list_(number), "list[bool]": pyarrow.list_(flag),
        "list[str]": pyarrow.list_(text),
    }  # fmt: skip
    schema = pyarrow.schema([(name, kinds[kind]) for name, kind in Entry.__annotations__.items()])
    rows = [{name: _text(value) for name, value in plain(asdict(entry)).items()} for entry in entries]
    table = pyarrow.Table.from_pylist(rows, schema=schema)
    with atomic_file(path) as file:
        parquet.write_table(table, file)


def require_pyarrow() -> tuple[Any, Any]:
    """Return pyarrow and its Parquet module, or raise :class:`MissingExtraError`."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError(
            "Parquet tables need pyarrow: pip install 'visual-summaries[table]', or write JSON with --table json"
        ) from error
    return pyarrow, pyarrow.parquet


def _text(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


@dataclass(frozen=True)
class Written:
    """The files that writing a catalog gave, how many runs they hold, and what could not be read."""

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
        If the table is to be Parquet and pyarrow is not installed.
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
        "title": title,
        # Suspicious ones first; sorting is stable, so that paths decide among equals.
        "rows": [_row(entry, base) for entry in sorted(entries, key=lambda one: (-one.confirmed, -len(one.suspicions)))],
        "broken": broken,
        "classes": len({entry.target for entry in entries}),
        "networks": len({entry.network for entry in entries}),
        "accuracy": median(seen) if seen else None,
        "median": median,
        "measured": {
            "verdict": any(entry.reliable for entry in entries),
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
    network = short_spec(entry.network)
    return {
        "entry": entry,
        "network": network,
        "name": f"class {entry.target}" if entry.target.isdecimal() else entry.target,
        "find": f"{entry.target} {network} {entry.path}".casefold(),
        # Only paths that this program found itself become links, and quoted they hold nothing but a path below the page.
        "href": quote((base + entry.report).encode("utf-8", "surrogateescape")) if entry.report else None,
        "verdict": short_verdict(entry.reliable, entry.suspicions, entry.confirmed),
        "importances": [0.0 if math.isnan(value) else value for value in entry.importances],
    }
