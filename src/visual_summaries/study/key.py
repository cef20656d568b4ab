"""The key of a study: which picture is which region of which run, and the right answers. People never get it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visual_summaries.errors import StudyError

KEY_FORMAT = "visual-summaries study key"
VERSION = 1
_ENDING = ".key.json"


@dataclass(frozen=True)
class Key:
    """A study's key.

    Attributes
    ----------
    path : Path
        Where it is kept.
    data : dict
        ``study`` (the study's id), ``settings``, ``runs`` (a list), ``tasks`` (by their ids), and where it comes from.
    """

    path: Path
    data: dict[str, Any]

    @property
    def study(self) -> str:
        """The id that page, key and answers of one study share."""
        return str(self.data["study"])

    @property
    def tasks(self) -> Mapping[str, Mapping[str, Any]]:
        """What is behind each task, checks of attention included."""
        found: Mapping[str, Mapping[str, Any]] = self.data["tasks"]
        return found

    @property
    def runs(self) -> list[dict[str, Any]]:
        """The runs that the study is about."""
        found: list[dict[str, Any]] = self.data["runs"]
        return found

    def of_kind(self, kind: str) -> dict[str, Mapping[str, Any]]:
        """Return the tasks of one kind that count, without its checks of attention."""
        return {name: task for name, task in self.tasks.items() if task["kind"] == kind and not task.get("check")}

    def page(self) -> Path:
        """Return where the study's page was written."""
        return self.path.with_name(self.path.name.removesuffix(_ENDING) + ".html")


def key_path(page: Path) -> Path:
    """Return where the key of a page is kept.

    Examples
    --------
    >>> key_path(Path("out/study.html")).as_posix()
    'out/study.key.json'
    """
    return page.with_name(page.stem + _ENDING)


def load_key(path: str | Path) -> Key:
    """Return the key of a study from its file, or that of the page that it lies beside.

    Raises
    ------
    StudyError
        If there is none, or the file is no key of this format.

    Examples
    --------
    >>> load_key("no/such/study.html")
    Traceback (most recent call last):
    ...
    visual_summaries.errors.StudyError: no/such/study.key.json is missing; ...
    """
    path = Path(path)
    path = path if path.name.endswith(_ENDING) else key_path(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StudyError(
            f"{path} is missing; the key is written beside the study's page by 'visual-summaries study build': give its path"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise StudyError(f"{path} cannot be read ({error}); build the study again with the same runs and seed") from error
    if not isinstance(data, dict) or data.get("format") != KEY_FORMAT or data.get("version") != VERSION:
        raise StudyError(
            f"{path} is not the key of a study of this version ({KEY_FORMAT}, {VERSION}); give the file *{_ENDING}"
        )
    if not _is_whole(data):
        raise StudyError(f"{path} is damaged: study, runs or tasks are not what they must be; build the study again")
    return Key(path, data)


def _is_whole(data: Mapping[str, Any]) -> bool:
    """Whether a key holds what those who read it rely on."""
    tasks, runs = data.get("tasks"), data.get("runs")
    if not (isinstance(data.get("study"), str) and isinstance(tasks, dict) and isinstance(runs, list)):
        return False
    return all(isinstance(run, dict) for run in runs) and all(map(_is_task, tasks.values()))


def _is_task(task: Any) -> bool:
    kind = task.get("kind") if isinstance(task, dict) else None
    if kind not in ("intruder", "name", "preference"):
        return False
    if task.get("check"):
        return isinstance(task.get("text"), str) if kind == "name" else "text" in task or isinstance(task.get("position"), int)
    return kind == "name" or isinstance(task.get("options" if kind == "intruder" else "sides"), list | dict)


def find_key(study: str, folders: Iterable[Path]) -> Key:
    """Return the key of the study of that id from the first folder that has it.

    Raises
    ------
    StudyError
        If none of the folders has it.
    """
    looked = list(dict.fromkeys(folders))
    for folder in looked:
        for path in sorted(folder.glob(f"*{_ENDING}")):
            try:
                key = load_key(path)
            except StudyError:  # another program's file may end alike; the search continues
                continue
            if key.study == study:
                return key
    places = ", ".join(str(folder) for folder in looked)
    raise StudyError(f"no key of study {study} lies in {places}; say where the study is, with --study study.html")
