"""From runs to a study: the page that people take, and the key, kept apart, that says what its ids stand for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from visual_summaries._version import __version__
from visual_summaries.errors import StudyError
from visual_summaries.files.atomic import write_json, write_text
from visual_summaries.pages.shell import base_style, render_self_contained, resource
from visual_summaries.pages.words import text
from visual_summaries.progress import Progress, report_progress
from visual_summaries.results import Run
from visual_summaries.results.info import short_spec
from visual_summaries.runs.pieces import digest
from visual_summaries.study.key import KEY_FORMAT, VERSION, Key, key_path
from visual_summaries.study.pictures import (
    SIDE,
    SMALL_SIDE,
    Drawn,
    check_items,
    practice_items,
    practice_picture,
    region_picture,
)
from visual_summaries.study.tasks import IntruderTask, NameTask, PreferenceTask, StudySettings, Tasks, draw_tasks

TITLE = "What do these pictures show?"
#: Seconds that a task of each kind is assumed to take, and all instructions and practice together.
SECONDS = {"intruder": 9, "name": 12, "preference": 18}
PRACTICE_SECONDS = 90


@dataclass(frozen=True)
class Study:
    """A study that was written.

    Attributes
    ----------
    page : Path
        The page that people take.
    key : Key
        What the ids of the page stand for.
    tasks : Tasks
        What is asked.
    """

    page: Path
    key: Key
    tasks: Tasks

    @property
    def minutes(self) -> int:
        """How long it takes, estimated from assumed times for each task."""
        return _minutes(self.tasks, self.key.data["settings"]["checks"])


class _Builder:
    """Collects the pictures of a page under ids that say nothing, and the key to them."""

    def __init__(self, runs: Sequence[Run], settings: StudySettings) -> None:
        self.runs = runs
        self.settings = settings
        self.pictures: dict[str, str] = {}
        self.key: dict[str, dict[str, Any]] = {}
        self._rng = np.random.default_rng([settings.random_state, 1])  # another stream than the tasks'
        self._used: set[str] = set()

    def id(self, letter: str) -> str:
        while True:
            name = f"{letter}{self._rng.integers(16**7):07x}"
            if name not in self._used:
                self._used.add(name)
                return name

    def region(self, run: int, region: int, side: int = SIDE) -> str:
        name = self.id("p")
        self.pictures[name] = region_picture(self.runs[run], region, side)
        return name

    def drawn(self, picture: Drawn, side: int = SIDE) -> str:
        name = self.id("p")
        self.pictures[name] = practice_picture(*picture, side=side)
        return name

    def task(self, task: IntruderTask | NameTask | PreferenceTask) -> dict[str, Any]:
        """Return what the page gets of a task, and keep what it does not."""
        name = self.id("t")
        if isinstance(task, PreferenceTask):
            return self.preference(task, name)
        shown = (*task.members, task.intruder) if isinstance(task, IntruderTask) else task.regions
        options = {self.region(task.run, region): region for region in shown}
        own: dict[str, Any] = {"kind": task.kind, "run": task.run, "summary": task.summary, "options": options}
        if isinstance(task, IntruderTask):
            own |= {"condition": task.condition, "source": task.source, "answer": list(options)[-1]}
        self.key[name] = own
        return {"id": name, "options": sorted(options)}

    def preference(self, task: PreferenceTask, name: str) -> dict[str, Any]:
        sides: dict[str, dict[str, Any]] = {
            self.id("s"): {
                "run": run,
                "rows": [{self.region(run, region, SMALL_SIDE): region for region in row} for row in rows],
            }
            for run, rows in zip(task.runs, task.rows, strict=True)
        }
        self.key[name] = {"kind": "preference", "runs": list(task.runs), "sides": sides}
        target = text(self.runs[task.runs[0]].info.target.name).replace("_", " ")
        shown = [{"id": side, "rows": [list(row) for row in sides[side]["rows"]]} for side in sorted(sides)]
        return {"id": name, "class": target, "sides": shown}

    def practice(self, kind: str) -> Iterator[dict[str, Any]]:
        for item in practice_items(kind, self.settings):
            common = {"id": self.id("t"), "explanation": item["explanation"]}
            if kind == "preference":
                sides = [
                    {"id": self.id("s"), "rows": [[self.drawn(one, SMALL_SIDE) for one in row] for row in rows]}
                    for rows in item["sides"]
                ]
                yield common | {"class": item["class"], "sides": sides, "answer": sides[item["answer"]]["id"]}
            else:
                options = [self.drawn(picture) for picture in item["pictures"]]
                answer = options[item["answer"]] if kind == "intruder" else item["answer"]
                yield common | {"options": options, "answer": answer}

    def checks(self, kind: str) -> Iterator[dict[str, Any]]:
        for item in check_items(kind, self.settings, self._rng):
            name = self.id("t")
            wanted: dict[str, Any] = {part: item[part] for part in ("position", "text") if part in item}
            self.key[name] = {"kind": kind, "check": True, **wanted}
            yield {
                "id": name,
                "options": sorted(self.drawn(picture) for picture in item["pictures"]),
                "instruction": item["instruction"],
            }


def build_study(
    runs: Sequence[Run],
    out: str | Path = "study.html",
    *,
    settings: StudySettings | None = None,
    title: str = TITLE,
    contact: str = "",
    progress: Progress | None = None,
) -> Study:
    """Write a user study: one page that people take in any browser, and beside it the key that only you keep.

    Parameters
    ----------
    runs : sequence of Run
        What to ask about. For preferences two of them explain one class by different networks.
    out : str or Path
        The page; the key is ``study.key.json`` for ``study.html``.
    settings : StudySettings, optional
    title : str
        Heading of the page. It should not say which networks are compared.
    contact : str
        Where people send their file to, shown at the end, such as an address.
    progress : callable, optional

    Returns
    -------
    Study

    Raises
    ------
    StudyError
        If these runs give no task of a kind that is requested, or one is given twice.
    RunError
        If the page cannot be written, or a run was not stored in a folder (the key has to name it).
    """
    runs, out, settings = tuple(runs), Path(out), settings or StudySettings()
    _require_runs(runs, out)
    tasks = draw_tasks(runs, settings)
    builder = _Builder(runs, settings)
    drawn = tasks.by_kind()
    total, done = sum(map(len, drawn.values())), count(1)
    sections = []
    for kind in filter(drawn.get, drawn):
        shown = []
        for task in drawn[kind]:
            shown.append(builder.task(task))
            report_progress(progress, "pictures", next(done), total)
        sections.append({"kind": kind, "practice": list(builder.practice(kind)), "tasks": [*shown, *builder.checks(kind)]})
    described = _described(runs, out.parent)
    content = {"settings": settings.to_dict(), "runs": described, "tasks": builder.key}
    study = digest(content)[:16]
    key = Key(
        key_path(out),
        {
            "format": KEY_FORMAT,
            "version": VERSION,
            "study": study,
            "title": title,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "visual_summaries": __version__,
            "notes": list(tasks.notes),
            **content,
        },
    )
    page = {
        "study": study,
        "title": title,
        "contact": contact,
        "minutes": _minutes(tasks, settings.checks),
        "sections": sections,
        "pictures": builder.pictures,
    }
    # The key first: a page without its key could be taken, but never be analyzed.
    write_json(key.path, key.data)
    style, scripts = base_style() + resource("study.css"), {"script": resource("study.js")}
    context = {"title": title, "study": page}
    write_text(out, render_self_contained("study.html.j2", style=style, scripts=scripts, context=context))
    return Study(out, key, tasks)


def _minutes(tasks: Tasks, checks: bool) -> int:
    asked = {kind: len(own) + (checks and kind != "preference") for kind, own in tasks.by_kind().items() if own}
    return max(1, round((PRACTICE_SECONDS + sum(SECONDS[kind] * count for kind, count in asked.items())) / 60))


def _require_runs(runs: Sequence[Run], out: Path) -> None:
    if not runs:
        raise StudyError("no run was given; give the folders of one or more runs")
    if out.is_dir():
        raise StudyError(f"{out} is a folder, but the study is one file: give a path like {out / 'study.html'}")
    for run in runs:
        if run.path is None:
            raise StudyError("a run was not stored in a folder, so the key cannot name it: compute it with out=..., or load it")
    paths = [str(run.path) for run in runs]
    twice = sorted({path for path in paths if paths.count(path) > 1})
    if twice:
        raise StudyError(f"{', '.join(twice)} is given more than once; give each run once")


def _described(runs: Sequence[Run], folder: Path) -> list[dict[str, Any]]:
    """Return what the key keeps of each run: where it is, what it explains, and what tells it from any other."""
    found: list[dict[str, Any]] = [
        {
            "path": os.path.relpath(run.path or "", folder),
            "target": text(run.info.target.name),
            "target_index": run.info.target.index,
            "network": short_spec(text(run.info.classifier.spec)),
            "spec": text(run.info.classifier.spec),
            "weights_sha256": run.info.classifier.weights_sha256,
            "created": run.info.created,
            "images": len(run.images),
            "regions": len(run.regions),
            "summaries": len(run.summaries),
        }
        for run in runs
    ]
    weights: dict[str, set[Any]] = {}
    for one in found:
        weights.setdefault(one["network"], set()).add(one["weights_sha256"])
    for one in found:  # one network before and after training has one name
        if len(weights[one["network"]]) > 1:
            one["network"] += f" ({str(one['weights_sha256'])[:6]})"
    return found
