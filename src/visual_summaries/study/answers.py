"""Answer files, checked against the study's key and refused by name when they do not fit it; names that people write in them.

Small differences of spelling are not different answers: :func:`normalize_name` makes names comparable.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visual_summaries.errors import AnswersError, StudyError
from visual_summaries.study.key import Key

ANSWERS_FORMAT = "visual-summaries study answers"
VERSION = 1
#: The kinds of tasks that a simulated participant takes: it has no words for parts.
SIMULATED_KINDS = ("intruder", "preference")

_ARTICLES = frozenset(["a", "an", "the", "its", "his", "her", "their", "this", "that", "these", "those", "some"])
_IRREGULAR = {"feet": "foot", "teeth": "tooth", "leaves": "leaf", "people": "person", "men": "man", "women": "woman"}
_KEEP = ("ss", "us", "is")  # grass, cactus, iris
_LONG = ("ches", "shes", "sses", "xes", "zes")  # branches, brushes, glasses, boxes


@dataclass(frozen=True)
class Answers:
    """What one participant answered, checked against the key.

    Attributes
    ----------
    file : str
        Where it comes from.
    participant : str
        A random number, or what was simulated.
    simulated : str or None
        The network that answered, in words; None for a person.
    answers : dict
        By task: ``choice`` (the id of a picture or side, None for no difference), or ``text`` and ``nothing``; ``seconds``.
    failed_checks : int
        Checks of attention that were not passed.
    comment : str
    """

    file: str
    participant: str
    simulated: str | None
    answers: Mapping[str, Mapping[str, Any]]
    failed_checks: int
    comment: str

    @property
    def seconds(self) -> float | None:
        """Time spent on the tasks in all, as the page saw it; None for simulated participants."""
        times = [answer["seconds"] for answer in self.answers.values() if answer.get("seconds") is not None]
        return round(sum(times), 2) if times else None


def study_of(path: str | Path) -> str:
    """Return the id of the study that an answer file belongs to.

    Raises
    ------
    AnswersError
        If the file is no answer file.
    """
    try:
        return str(_parsed(Path(path))["study"])
    except _UnfitError as error:
        raise _refused({str(path): str(error)}) from error


def load_answers(paths: Sequence[str | Path], key: Key) -> list[Answers]:
    """Read answer files; all of them fit the study, or none is taken.

    Raises
    ------
    AnswersError
        If one is damaged, incomplete, of another study, or of a participant who has another file; the message and ``files``
        name each file that is refused, and why.
    """
    found: list[Answers] = []
    refused: dict[str, str] = {}
    for path in paths:
        try:
            found.append(_checked(str(path), _parsed(Path(path)), key))
        except _UnfitError as error:
            refused[str(path)] = str(error)
    counts = Counter((one.simulated is not None, one.participant) for one in found)
    for one in found:
        if counts[one.simulated is not None, one.participant] > 1:
            others = [other.file for other in found if other.participant == one.participant and other.file != one.file]
            refused[one.file] = f"the same participant as {', '.join(others)}" if others else "given twice"
    if refused:
        raise _refused(refused)
    return found


class _UnfitError(Exception):
    """What is wrong with one file."""


def _refused(files: Mapping[str, str]) -> AnswersError:
    lines = "".join(f"\n  {name}: {reason}" for name, reason in files.items())
    number = "1 answer file is" if len(files) == 1 else f"{len(files)} answer files are"
    return AnswersError(
        f"{number} refused, so nothing was analyzed:{lines}\nleave them out, or ask for them again", dict(files)
    )


def _parsed(path: Path) -> dict[str, Any]:
    """Return what a file holds."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise _UnfitError("there is no such file") from error
    except OSError as error:
        raise _UnfitError(f"cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise _UnfitError("damaged: it is not JSON") from error
    if not isinstance(data, dict) or data.get("format") != ANSWERS_FORMAT:
        raise _UnfitError("not a file of answers to a study")
    if data.get("version") != VERSION:
        raise _UnfitError(f"of version {data.get('version')!r}, but this program reads version {VERSION}")
    if not isinstance(data.get("answers"), list) or not isinstance(data.get("participant"), str) or "study" not in data:
        raise _UnfitError("damaged: answers, participant or study is missing")
    return data


def _checked(file: str, data: dict[str, Any], key: Key) -> Answers:
    if data["study"] != key.study:
        raise _UnfitError(f"foreign: it belongs to study {data['study']}, not to {key.study} ({key.path})")
    simulated = data.get("simulated")
    if simulated is not None and not (isinstance(simulated, dict) and isinstance(simulated.get("model"), str)):
        raise _UnfitError("damaged: it does not say what was simulated")
    wanted = {
        name: task
        for name, task in key.tasks.items()
        if simulated is None or (task["kind"] in SIMULATED_KINDS and not task.get("check"))
    }
    given: dict[str, dict[str, Any]] = {}
    for answer in data["answers"]:
        name = answer.get("task") if isinstance(answer, dict) else None
        if not isinstance(name, str) or name not in wanted:
            raise _UnfitError(f"foreign: it answers a task {name!r} that this study does not have")
        if name in given:
            raise _UnfitError(f"damaged: it answers task {name} twice")
        if wrong := _wrong(answer, wanted[name]):
            raise _UnfitError(f"damaged: task {name} {wrong}")
        given[name] = answer
    if missing := len(wanted) - len(given):
        raise _UnfitError(f"incomplete: {missing} of {len(wanted)} tasks have no answer")
    failed = sum(not _passed(given[name], task) for name, task in wanted.items() if task.get("check"))
    counted = {name: answer for name, answer in given.items() if not wanted[name].get("check")}
    model = None if simulated is None else str(simulated["model"])
    return Answers(file, data["participant"], model, counted, failed, str(data.get("comment") or ""))


def _wrong(answer: Mapping[str, Any], task: Mapping[str, Any]) -> str | None:
    seconds = answer.get("seconds")
    if seconds is not None and not (isinstance(seconds, int | float) and 0 <= seconds < math.inf):
        return "has no valid time"
    if task["kind"] == "name":
        written = isinstance(answer.get("text"), str) and answer["text"].strip() != ""
        return None if answer.get("nothing") is True or written else "has no name"
    choice = answer.get("choice")
    if choice is not None and not isinstance(choice, str):
        return "has no valid choice"
    if task.get("check"):
        shown = answer.get("shown")
        return None if isinstance(shown, list) and choice in shown else "chooses what was not shown"
    allowed: Iterable[Any] = task["options"] if task["kind"] == "intruder" else [*task["sides"], None]
    return None if "choice" in answer and choice in allowed else "chooses what was not shown"


def _passed(answer: Mapping[str, Any], task: Mapping[str, Any]) -> bool:
    if "text" in task:
        written = str(answer.get("text") or "").strip().strip("“”\"'.").casefold()
        return bool(written == task["text"])
    return bool(answer["shown"].index(answer["choice"]) + 1 == task["position"])


def normalize_name(text: str, synonyms: Mapping[str, str] | None = None) -> str:
    """Return a name in lower case, without accents, signs, articles and plurals; a synonym becomes the name it stands for.

    Examples
    --------
    >>> [normalize_name(text) for text in ("The Wings!", "a bird's  WING", "Teeth", "stripes", "grass", "Fußball")]
    ['wing', 'bird wing', 'tooth', 'stripe', 'grass', 'fussball']
    >>> normalize_name("bills", {"bill": "beak"})
    'beak'
    """
    plain = unicodedata.normalize("NFKD", text).casefold()
    plain = "".join(sign for sign in plain if not unicodedata.combining(sign))
    plain = re.sub(r"['’]s\b", "", plain)
    words = [_singular(word) for word in re.findall(r"[^\W_]+", plain) if word not in _ARTICLES]
    name = " ".join(words)
    return (synonyms or {}).get(name, name)


def _singular(word: str) -> str:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(_LONG):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(_KEEP):
        return word[:-1]
    return word


def load_synonyms(path: str | Path) -> dict[str, str]:
    """Return synonyms from a JSON file such as ``{"beak": ["bill", "snout"]}``: each name and what counts as the same.

    Raises
    ------
    StudyError
        If the file cannot be read or has another form.
    """
    path = Path(path)
    form = 'a JSON object such as {"beak": ["bill", "snout"]}'
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StudyError(f"{path} cannot be read ({error}); give {form}") from error
    if not isinstance(data, dict) or not all(
        isinstance(others, list) and all(isinstance(other, str) for other in others) for others in data.values()
    ):
        raise StudyError(f"{path} holds no synonyms; give {form}")
    return {normalize_name(other): normalize_name(name) for name, others in data.items() for other in [name, *others]}
