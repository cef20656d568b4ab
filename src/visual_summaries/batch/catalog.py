"""The runs below a folder, a row each, read from their manifests; what cannot be read is listed with the reason."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from visual_summaries.errors import RunError
from visual_summaries.progress import Progress, report_progress
from visual_summaries.results import RunInfo
from visual_summaries.results.analysis import MARGIN
from visual_summaries.runs.directory import MANIFEST, read_info, read_results
from visual_summaries.runs.packed import typed

#: Larger files are no manifests.
_LARGEST = 64 * 2**20


@dataclass(frozen=True)
class Entry:
    """One run of the catalog.

    Attributes
    ----------
    path : str
        Folder of the run, below the folder that was searched.
    target : str
        The class that was explained.
    network : str
        The model's specification.
    created : str
        Date and time, ISO 8601.
    images, skipped : int
        Images that were used, and that were set aside.
    correct, total : int
        How many of the readable images the network gives the class.
    accuracy : float or None
        Their ratio.
    summaries, rejected : int
        Clusters that became summaries, and that were too poor.
    importances : list of float
        Mean relative loss of the score with a summary's evidence hidden, for each summary in the order of the report.
    control : list of bool
        Whether each summary's importance lies above its control; empty where that was not measured.
    stability : list of float
        Of each summary; empty where that was not measured.
    deletion, deletion_control, insertion, insertion_control : float or None
        Faithfulness of the masks and of their moved copies.
    reliable : str
        ``"strong"``, ``"weak"`` or ``"nothing"``, as the verdict has it; empty for runs without one.
    suspicions : list of str
        Kinds of the verdict's suspicions, confirmed ones first.
    confirmed : int
        How many of them are confirmed.
    unexplained : float or None
        Share of the score that is in no summary.
    warnings : int
        How many masks have a warning of some kind, summed over the kinds.
    seconds : float
        Time that the run took.
    report : str
        Path of the report below the folder that was searched; empty if there is none.
    """

    path: str
    target: str
    network: str
    created: str = ""
    images: int = 0
    skipped: int = 0
    correct: int = 0
    total: int = 0
    accuracy: float | None = None
    summaries: int = 0
    rejected: int = 0
    importances: list[float] = field(default_factory=list)
    control: list[bool] = field(default_factory=list)
    stability: list[float] = field(default_factory=list)
    deletion: float | None = None
    deletion_control: float | None = None
    insertion: float | None = None
    insertion_control: float | None = None
    reliable: str = ""
    suspicions: list[str] = field(default_factory=list)
    confirmed: int = 0
    unexplained: float | None = None
    warnings: int = 0
    seconds: float = 0.0
    report: str = ""


@dataclass(frozen=True)
class Broken:
    """A folder that holds a run which cannot be read, or is not finished.

    Attributes
    ----------
    path : str
        Below the folder that was searched.
    reason : str
        A sentence for a reader.
    """

    path: str
    reason: str


def scan_runs(folder: str | Path, progress: Progress | None = None) -> tuple[list[Entry], list[Broken]]:
    """Read the runs below a folder.

    Parameters
    ----------
    folder : str or Path
        Searched with all folders below it; links to folders are not followed, and nothing is looked for inside a run.
    progress : callable, optional

    Returns
    -------
    entries : list of Entry
        In the order of their paths.
    broken : list of Broken
        Unfinished and damaged ones.

    Raises
    ------
    RunError
        If there is no such folder, or no run in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise RunError(f"{folder} is not a folder; give one that holds runs (folders written with --out)")
    entries: list[Entry] = []
    broken: list[Broken] = []
    found = list(_run_folders(folder))
    for number, path in enumerate(found, start=1):
        name = path.relative_to(folder).as_posix()
        try:
            entries.append(_read(path, name))
        except RunError as error:
            broken.append(Broken(name, str(error)))
        report_progress(progress, "index", number, len(found))
    if not found:
        raise RunError(
            f"{folder} holds no runs, nor do the folders below it; compute some first: visual-summaries run ... --out"
        )
    return entries, broken


def _run_folders(folder: Path) -> Iterator[Path]:
    for name, folders, files in os.walk(folder):
        if MANIFEST in files or "run.json" in files or "pieces" in folders:
            folders.clear()  # pieces and exports of a run are no runs
            yield Path(name)
        else:
            folders[:] = sorted(inner for inner in folders if not inner.startswith("."))


def _read(path: Path, name: str) -> Entry:
    for file in (MANIFEST, "run.json"):
        if (path / file).is_file() and (size := (path / file).stat().st_size) > _LARGEST:
            raise RunError(f"{path / file} has {size / 2**20:,.0f} MiB: that is no file of a run")
    info, data = read_info(path), read_results(path)
    try:
        return _entry(path, name, info, data)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise RunError(f"{path} is damaged, or does not fit this version ({type(error).__name__}: {error})") from error


def _entry(path: Path, name: str, info: RunInfo, data: Mapping[str, Any]) -> Entry:
    kept = data["summaries"]
    report = path / "report.html"
    values = {
        "path": name,
        "target": info.target.name,
        "network": info.classifier.spec,
        "created": info.created,
        "images": info.counts.get("images", 0),
        "skipped": info.counts.get("skipped", 0),
        "correct": info.accuracy.correct,
        "total": info.accuracy.total,
        "accuracy": info.accuracy.share,
        "summaries": len(kept),
        "rejected": info.counts.get("rejected", 0),
        "importances": [summary["importance"] for summary in kept],
        **_analyzed(data, len(kept)),
        **judged(data),
        "unexplained": (data.get("verdict") or {}).get("unexplained"),
        **_faithfulness(info.faithfulness),
        "warnings": sum(info.warnings.values()),
        "seconds": round(sum(info.timings.values()), 3),
        "report": (Path(name) / report.name).as_posix() if report.is_file() else "",
    }
    return typed(values, Entry, "run.json")


def judged(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the verdict in ``run.json`` says: how reliable, kinds of its suspicions, how many are confirmed."""
    verdict = data.get("verdict") or {}
    suspicions = verdict.get("suspicions", ())
    return {
        "reliable": verdict.get("reliable", ""),
        "suspicions": [one["kind"] for one in suspicions],
        "confirmed": sum(bool(one["confirmed"]) for one in suspicions),
    }


def _faithfulness(figures: Mapping[str, tuple[float, ...]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name in ("deletion", "insertion"):
        if name in figures:
            found[name], found[f"{name}_control"] = figures[name]
    return found


def _analyzed(data: Mapping[str, Any], kept: int) -> dict[str, Any]:
    """Return what the analyses of importance and stability found, where they were made of every summary."""
    made, found = data.get("analyzed", []), data.get("analyses", [])
    if not kept or len(made) < kept or not all(made[:kept]):
        return {}
    stability = [float(analysis["stability"]) for analysis in found[:kept]]
    return {
        "control": [bool(analysis["interval"][0] > MARGIN) for analysis in found[:kept]],
        "stability": [] if any(value != value for value in stability) else stability,
    }
