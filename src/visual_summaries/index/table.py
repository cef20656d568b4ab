"""The catalogue as a table for other programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from visual_summaries.errors import MissingExtraError
from visual_summaries.index.scan import Broken, Entry
from visual_summaries.store.atomic import atomic_file, write_text

#: Formats of the table.
TABLES = ("json", "parquet")


def write_json_table(path: Path, entries: Sequence[Entry], broken: Sequence[Broken]) -> None:
    """Write all rows, and what could not be read, as one JSON object; what is no number is null."""
    content = {"runs": [_plain(entry.to_dict()) for entry in entries], "broken": [vars(item) for item in broken]}
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
    rows = [{name: _text(value) for name, value in _plain(entry.to_dict()).items()} for entry in entries]
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
