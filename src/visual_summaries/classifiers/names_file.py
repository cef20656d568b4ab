"""Names of classes from a file: text, CSV, JSON or YAML, in the order of their ids where it has any."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from visual_summaries.errors import ClassifierError

# What the columns of tables, and the fields of objects, are called.
_IDS = ("id", "index", "idx", "class_id", "class_index", "class_idx", "label_id", "number", "nr", "target")
_NAMES = ("name", "class_name", "label_name", "display_name", "label", "class", "category", "title", "description")
# Under these a configuration keeps its names.
_HOLDERS = ("names", "classes", "class_names", "labels", "label_names", "categories", "id2label")


def read_names(path: Path) -> Any:
    r"""Return the names in a file: a list in their order, or a mapping from indices.

    Raises
    ------
    ClassifierError
        If it cannot be read, or it does not say which of its columns or fields are the names.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "names.csv"
    >>> _ = path.write_text("id,name\n1,dog\n0,cat\n")
    >>> read_names(path)
    ['cat', 'dog']
    """
    source = f"class_names file {path}"
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ClassifierError(f"{source} cannot be read: {error}") from error
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        return _of_table(list(csv.reader(text.splitlines(), delimiter="\t" if suffix == ".tsv" else _delimiter(text))), source)
    if suffix not in (".json", ".yaml", ".yml"):
        return _of_lines(text.rstrip("\r\n").splitlines())
    try:
        content = json.loads(text) if suffix == ".json" else msgspec.yaml.decode(text)
    except (ValueError, RecursionError) as error:
        raise ClassifierError(f"{source} is not valid {'JSON' if suffix == '.json' else 'YAML'}: {error}") from error
    if isinstance(content, Mapping):
        content = next((content[holder] for holder in _HOLDERS if isinstance(content.get(holder), list | Mapping)), content)
    return _of_objects(content, source)


def _delimiter(text: str) -> str:
    first = text.partition("\n")[0]
    return max(",;\t", key=first.count)


def _of_lines(lines: Sequence[str]) -> list[str]:
    """Return lines as names; where each begins with an id (``2 dog``, ``2: dog``, ``2,dog``), by their ids."""
    found = [re.fullmatch(r"\s*(\d+)\s*[\s,;:]\s*(.+)", line) for line in lines]
    pairs = [(int(one[1]), one[2]) for one in found if one]
    if len(pairs) == len(lines) and _are_ids([number for number, _ in pairs]):
        return [name for _, name in sorted(pairs)]
    return list(lines)


def _are_ids(numbers: Sequence[int]) -> bool:
    return bool(numbers) and sorted(numbers) in (list(range(len(numbers))), list(range(1, len(numbers) + 1)))


def _by_id(pairs: Sequence[tuple[Any, Any]], source: str) -> list[Any]:
    """Return names in the order of their ids, which count from 0 or 1."""
    try:
        numbered = [(int(number), name) for number, name in pairs]
    except (TypeError, ValueError) as error:
        raise ClassifierError(f"{source} has ids that are no numbers: {error}") from error
    if not _are_ids([number for number, _ in numbered]):
        raise ClassifierError(f"{source} must have each id from 0 (or from 1) to the last once: add those that are missing")
    return [name for _, name in sorted(numbered, key=lambda pair: pair[0])]


def _of_table(rows: list[list[str]], source: str) -> list[str]:
    rows = [[cell.strip() for cell in row] for row in rows if any(cell.strip() for cell in row)]
    if not rows or any(len(row) != len(rows[0]) for row in rows):
        raise ClassifierError(
            f"{source} has rows of different lengths: give each an id and a name, in quotes where it has commas"
        )
    titles = [re.sub(r"[\s_-]+", "_", cell.casefold()) for cell in rows[0]]
    columns = list(zip(*rows[1:], strict=True)) if len(rows) > 1 else [()] * len(titles)
    names = next((titles.index(title) for title in _NAMES if title in titles), None)
    if names is not None and (len(titles) == 1 or len({*titles} & {*_IDS, *_NAMES}) > 1 or not rows[0][0].isdecimal()):
        ids = next((titles.index(title) for title in _IDS if title in titles), None)
        return list(columns[names]) if ids is None else _by_id(list(zip(columns[ids], columns[names], strict=True)), source)
    columns = list(zip(*rows, strict=True))
    if len(columns) == 1:
        return list(columns[0])
    numbers = [number for number, column in enumerate(columns) if all(cell.isdecimal() for cell in column)]
    words = [column for number, column in enumerate(columns) if number not in numbers]
    if len(numbers) != 1 or not words:
        raise ClassifierError(f"{source} has several columns: say in a first row which is the id and which the name (id,name)")
    return _by_id(list(zip(columns[numbers[0]], words[-1], strict=True)), source)


def _of_objects(content: Any, source: str) -> Any:
    """Return a list of objects as names in the order of their ids; anything else as it is."""
    if not isinstance(content, list) or not content or not all(isinstance(item, Mapping) for item in content):
        return content
    names = next((key for key in _NAMES if all(isinstance(item.get(key), str) for item in content)), None)
    if names is None:
        held = ", ".join(map(repr, list(content[0])[:5]))
        raise ClassifierError(f"{source} is a list of objects with {held}: call the fields 'id' and 'name'")
    ids = next((key for key in _IDS if all(key in item for item in content)), None)
    return [item[names] for item in content] if ids is None else _by_id([(one[ids], one[names]) for one in content], source)
