"""``tags.json`` of a run: the names of its summaries, made by tagging or by hand, and what tagging measured.

A name is *by hand* when it differs from the one that tagging gave (somebody edited the file) or when :func:`rename` wrote it;
tagging again keeps it. A summary is known by its exemplar, image and box, so that names survive when ranks change.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from visual_summaries.errors import RunError
from visual_summaries.files.atomic import write_json
from visual_summaries.results import Run, Summary, Tag
from visual_summaries.runs.packed import MismatchError, typed

TAGS = "tags.json"
FORMAT = 1
_HELP = "Change the text after 'name' to rename a summary (null: no name); 'visual-summaries tag' keeps changed names."


@dataclass(frozen=True)
class _Exemplar:
    """What a summary is known by: the hash of an image, and a box in it."""

    sha256: str
    box: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """The name of one summary as the file has it."""

    name: str | None
    automatic: str | None
    confidence: float | None = None
    by_hand: bool = False
    exemplar: _Exemplar


def load_names(run: Run) -> Run:
    """Return a run with the names that its folder's ``tags.json`` gives to its summaries; unchanged if there is none."""
    if run.path is None or not (run.path / TAGS).is_file():
        return run
    entries = _entries(_read(run.path / TAGS), run.path / TAGS)
    return replace(run, summaries=tuple(replace(s, tag=_tag(entries.get(_key(run, s)))) for s in run.summaries))


def save_names(
    run: Run, names: Sequence[tuple[str | None, float]], measured: Mapping[str, Any] | None = None
) -> tuple[Run, tuple[str, ...]]:
    """Write ``tags.json`` with new automatic names and their confidences, one for each summary; names by hand are kept.

    What else was `measured` goes into the file as it is. Returns the run with its names, and the names by hand whose summary it
    no longer has: they stay in the file.
    """
    path = _path(run)
    old = _entries(_read(path), path) if path.is_file() else {}
    entries: dict[_Exemplar, _Entry] = {}
    for summary, (name, confidence) in zip(run.summaries, names, strict=True):
        key = _key(run, summary)
        before = old.pop(key, None)
        fresh = _Entry(name=name, automatic=name, confidence=None if name is None else confidence, exemplar=key)
        entries[key] = replace(fresh, name=before.name, by_hand=True) if before is not None and before.by_hand else fresh
    orphans = {key: entry for key, entry in old.items() if entry.by_hand}
    _write(run, path, {**entries, **orphans}, measured or {})
    return load_names(run), tuple(str(entry.name) for entry in orphans.values())


def rename(run: Run, number: int, name: str | None, *, automatic: bool = False) -> Run:
    """Name a summary by hand (None: no name), by its number from 1, and write that into ``tags.json``.

    With `automatic`, go back to the name that tagging gave, whatever `name` is. Raise SettingsError if there is no such
    summary.
    """
    path = _path(run)
    summary = run.summary(number)
    data = _read(path) if path.is_file() else {}
    entries = _entries(data, path)
    key = _key(run, summary)
    entry = entries.get(key, _Entry(name=None, automatic=None, exemplar=key))
    entries[key] = replace(entry, name=entry.automatic if automatic else name, by_hand=not automatic)
    _write(run, path, entries, {k: v for k, v in data.items() if k not in ("format", "help", "names")})
    return load_names(run)


def _path(run: Run) -> Path:
    if run.path is None:
        raise RunError("this run was not stored in a folder, so its names cannot be kept; give summarize() an `out` folder")
    return run.path / TAGS


def _key(run: Run, summary: Summary) -> _Exemplar:
    region = run.regions[summary.exemplar]
    return _Exemplar(run.images[region.image].sha256, tuple(region.box))


def _tag(entry: _Entry | None) -> Tag | None:
    if entry is None or entry.name is None:
        return None
    by_hand = entry.by_hand or entry.confidence is None
    return Tag(entry.name, float("nan") if by_hand or entry.confidence is None else entry.confidence, by_hand)


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read ({error}); fix it, or delete it and tag the run again") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        found = data.get("format") if isinstance(data, dict) else type(data).__name__
        raise RunError(
            f"{path} has format {found!r}, but this version reads format {FORMAT}; delete it and tag the run again, or use "
            "the version that wrote it"
        )
    return data


def _entries(data: Mapping[str, Any], path: Path) -> dict[_Exemplar, _Entry]:
    entries: dict[_Exemplar, _Entry] = {}
    for position, item in enumerate(data.get("names", ())):
        try:
            entry = typed(item, _Entry, "it")
        except MismatchError as error:
            raise RunError(
                f"entry {position + 1} of 'names' in {path} is damaged ({error}); fix it, or delete the file and tag the run "
                "again"
            ) from error
        name = (entry.name or "").strip() or None
        entries[entry.exemplar] = replace(entry, name=name, by_hand=entry.by_hand or name != entry.automatic)
    return entries


def _write(run: Run, path: Path, entries: Mapping[_Exemplar, _Entry], more: Mapping[str, Any]) -> None:
    ranks = {_key(run, summary): summary.number for summary in run.summaries}
    files = {image.sha256: image.name for image in run.images}
    names: list[dict[str, Any]] = [
        {"summary": ranks.get(key), **asdict(entry), "exemplar": {"image": files.get(key.sha256), **asdict(key)}}
        for key, entry in entries.items()
    ]
    names.sort(key=lambda item: (item["summary"] is None, item["summary"] or 0))
    write_json(path, {"format": FORMAT, "help": _HELP, "names": names, **more})
