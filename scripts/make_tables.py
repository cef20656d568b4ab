"""Write the tables of README and docs from the committed results of the benchmarks.

A table stands between two comments; the first names the results file and what to show of it:

    <!-- results masks.json bars -->
    <!-- results masks.json rows network=Network speedup="Times faster" -->
    ...
    <!-- end -->

`bars` shows each figure that has a target, with its bound; `rows` shows chosen keys of the rows, with their headings;
`where.section=speed` shows only the rows that have this value there. Where there is no file yet, or no such row, the table says
that it is not measured. Run without arguments to write the tables, with --check to
fail when one is not what the results say.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
BLOCK = re.compile(
    r"(<!-- results (?P<file>\S+) (?P<what>bars|rows)(?P<columns>[^>]*?) -->\n)(?P<body>.*?)(<!-- end -->)", re.DOTALL
)


def cell(value: Any) -> str:
    """Return a value as a table shows it."""
    if isinstance(value, bool):
        return "yes" if value else "**no**"
    if isinstance(value, float):
        return f"{value:.4g}"
    return "-" if value is None else str(value).replace("|", "\\|")


def table(headings: list[str], rows: list[list[Any]]) -> str:
    """Return a Markdown table; where there is no row, a line that says so."""
    if not rows:
        return "*Not measured yet.*\n"
    lines = ["| " + " | ".join(headings) + " |", "|" + " --- |" * len(headings)]
    lines += ["| " + " | ".join(cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def look_up(row: Any, key: str) -> Any:
    """Return the value of a key like ``published.objective``, or None where there is none."""
    for name in key.split("."):
        row = row.get(name) if isinstance(row, dict) else None
    return row


def render(results: dict[str, Any], what: str, columns: str) -> str:
    """Return the table that one block asks for."""
    if what == "bars":
        signs = {"<=": "at most", ">=": "at least", "<": "under", ">": "over"}
        rows = [
            [b["name"], b["value"], f"{signs.get(b['sense'], b['sense'])} {cell(b['bound'])}", b["holds"]]
            for b in results["bars"]
        ]
        return table(["figure", "measured", "target", "met"], rows)
    pairs = [item.partition("=") for item in shlex.split(columns)]
    wanted = {key.removeprefix("where."): value for key, _, value in pairs if key.startswith("where.")}
    chosen = [(key, heading or key) for key, _, heading in pairs if not key.startswith("where.")]
    shown = [row for row in results["rows"] if all(str(look_up(row, key)) == value for key, value in wanted.items())]
    rows = [[look_up(row, key) for key, _ in chosen] for row in shown]
    rows = [row for row in rows if any(value is not None for value in row[1:])]
    return table([heading for _, heading in chosen], rows)


def updated(text: str) -> str:
    """Return a page with its tables made anew."""

    def block(found: re.Match[str]) -> str:
        path = RESULTS / found["file"]
        results = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"rows": [], "bars": []}
        return found[1] + render(results, found["what"], found["columns"]) + found[6]

    return BLOCK.sub(block, text)


def main() -> int:
    """Write or check all pages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a table is out of date")
    check = parser.parse_args().check
    stale = []
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]:
        text = page.read_text(encoding="utf-8")
        new = updated(text)
        if new != text:
            stale.append(page.relative_to(ROOT))
            if not check:
                page.write_text(new, encoding="utf-8")
    for page in stale:
        print(f"{page}: {'out of date; run python scripts/make_tables.py' if check else 'written'}")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
