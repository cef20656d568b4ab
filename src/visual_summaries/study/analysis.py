"""What the answers say: intruders found against chance, names agreed upon, networks preferred. People and simulations apart."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from visual_summaries._validate import require_in_range
from visual_summaries._version import __version__
from visual_summaries.errors import AnswersError
from visual_summaries.files.atomic import write_json
from visual_summaries.study.answers import Answers, load_answers, normalize_name, study_of
from visual_summaries.study.key import Key, find_key, load_key
from visual_summaries.study.statistics import agreement, differ, holm, known_or_none, pairwise_agreement, rate, sign_test
from visual_summaries.study.tasks import CONDITIONS, OTHER, RANDOM

ANALYSIS_FORMAT = "visual-summaries study analysis"
#: What "nothing in common" is among the names; no normalized name has this form.
NOTHING = "(nothing in common)"


@dataclass(frozen=True)
class Analysis:
    """The answers to a study, evaluated.

    Attributes
    ----------
    key : Key
        The study.
    people, simulated : dict or None
        Results of people's answers and of simulated ones, never of both together; None where there are none. Each holds
        ``participants``, ``intruder``, ``name`` and ``preference``, as in the JSON file.
    settings : dict
        How it was evaluated.
    """

    key: Key
    people: dict[str, Any] | None
    simulated: dict[str, Any] | None
    settings: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {
            "format": ANALYSIS_FORMAT,
            "version": 1,
            "study": self.key.study,
            "title": self.key.data["title"],
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "visual_summaries": __version__,
            "settings": self.settings,
            "runs": self.key.runs,
            "people": self.people,
            "simulated": self.simulated,
        }

    def save(self, path: str | Path) -> Path:
        """Write the analysis as JSON and return where it is."""
        write_json(Path(path), self.to_dict())
        return Path(path)


def analyze_answers(
    paths: Sequence[str | Path],
    study: str | Path | Key | None = None,
    *,
    synonyms: Mapping[str, str] | None = None,
    max_failed_checks: int = 0,
    random_state: int = 0,
) -> Analysis:
    """Evaluate the answer files of a study.

    Parameters
    ----------
    paths : sequence of str or Path
        The files, of people and of simulated participants; the files say which is which.
    study : str, Path or Key, optional
        The study's key, or the page beside it; looked for beside the answers and in the current folder unless given.
    synonyms : mapping of str to str, optional
        Names that count as others, see :func:`~visual_summaries.study.load_synonyms`.
    max_failed_checks : int
        People who failed more checks of attention than this are listed, but their answers do not count.
    random_state : int
        Seed of the intervals of alpha.

    Raises
    ------
    AnswersError
        If a file is damaged, incomplete, foreign or twice there (the message names each), or none is given.
    StudyError
        If the key is not found.
    """
    require_in_range("max_failed_checks", max_failed_checks, 0)
    if not paths:
        raise AnswersError("no answer file was given; give the files that people saved at the end of the study")
    if study is None:
        key = find_key(study_of(paths[0]), [*(Path(path).parent for path in paths), Path()])
    else:
        key = study if isinstance(study, Key) else load_key(study)
    answers = load_answers(paths, key)
    settings = {
        "synonyms": dict(synonyms or {}),
        "max_failed_checks": max_failed_checks,
        "random_state": random_state,
        "chance": key.data["settings"]["chance"],
    }
    people, simulated = (
        _group([one for one in answers if (one.simulated is not None) == simulated], key, settings)
        for simulated in (False, True)
    )
    return Analysis(key, people, simulated, settings)


def _group(answers: Sequence[Answers], key: Key, settings: Mapping[str, Any]) -> dict[str, Any] | None:
    if not answers:
        return None
    counted = [one for one in answers if one.failed_checks <= settings["max_failed_checks"]]
    return {
        "participants": [_participant(one, key, one in counted) for one in answers],
        "counted": len(counted),
        "intruder": _intruder(counted, key, settings["random_state"]),
        "name": _name([one for one in counted if one.simulated is None], key, settings["synonyms"], settings["random_state"]),
        "preference": _preference(counted, key),
    }


def _participant(one: Answers, key: Key, counts: bool) -> dict[str, Any]:
    hits, count = _hits([one], key.of_kind("intruder"))
    return {
        "file": Path(one.file).name,
        "participant": one.participant,
        "simulated": one.simulated,
        "counted": counts,
        "failed_checks": one.failed_checks,
        "seconds": one.seconds,
        "intruder": rate(hits, count, key.data["settings"]["chance"]),
        "comment": one.comment,
    }


def _hits(answers: Iterable[Answers], tasks: Mapping[str, Mapping[str, Any]]) -> tuple[int, int]:
    right = [one.answers[name]["choice"] == task["answer"] for one in answers for name, task in tasks.items()]
    return sum(right), len(right)


def _intruder(answers: Sequence[Answers], key: Key, random_state: int) -> dict[str, Any] | None:
    tasks = key.of_kind("intruder")
    if not tasks or not answers:
        return None
    chance = key.data["settings"]["chance"]

    def chosen(**wanted: Any) -> dict[str, Mapping[str, Any]]:
        return {name: task for name, task in tasks.items() if wanted.items() <= task.items()}

    def measured(**wanted: Any) -> dict[str, Any]:
        return rate(*_hits(answers, chosen(**wanted)), chance)

    def by_condition(**wanted: Any) -> dict[str, Any]:
        return {"all": measured(**wanted)} | {name: measured(**wanted, condition=name) for name in CONDITIONS}

    pooled = by_condition()
    summaries = []
    for run, summary in sorted({(task["run"], task["summary"]) for task in tasks.values()}):
        own = {"run": run, "summary": summary}
        summaries.append({**own, **by_condition(**own), "seconds": _middle(answers, chosen(**own))})
    for row, corrected in zip(summaries, holm([row["all"]["p"] for row in summaries]), strict=True):
        row["p_holm"] = corrected
    return {
        "chance": chance,
        **pooled,
        "conditions_differ_p": differ(pooled[OTHER], pooled[RANDOM]),
        "runs": [{"run": run, **measured(run=run)} for run in sorted({task["run"] for task in tasks.values()})],
        "summaries": summaries,
        "agreement": agreement([[one.answers[name]["choice"] for one in answers] for name in tasks], random_state),
    }


def _name(answers: Sequence[Answers], key: Key, synonyms: Mapping[str, str], random_state: int) -> dict[str, Any] | None:
    tasks = key.of_kind("name")
    if not tasks or not answers:
        return None
    given = {name: [_named(one.answers[name], synonyms) for one in answers] for name in tasks}
    items = []
    for name, task in tasks.items():
        counts = Counter(given[name])
        named = sum(answer != NOTHING for answer in given[name])
        spoken = [(word, count) for word, count in counts.most_common() if word != NOTHING]
        items.append(
            {
                "task": name,
                "run": task["run"],
                "summary": task["summary"],
                "named": rate(named, len(given[name])),
                "names": dict(spoken),
                "nothing": counts[NOTHING],
                "top": spoken[0][0] if spoken else None,
                "pairwise_agreement": known_or_none(pairwise_agreement(given[name])),
                "seconds": _middle(answers, [name]),
            }
        )
    items.sort(key=lambda item: (item["summary"] is None, item["run"], item["summary"] or 0))
    result: dict[str, Any] = {"items": items}
    for group, random in (("summaries", False), ("random_groups", True)):
        own = [name for name, task in tasks.items() if (task["summary"] is None) == random]
        words = [word for name in own for word in given[name]]
        result[group] = {
            "named": rate(sum(word != NOTHING for word in words), len(words)),
            "agreement": agreement([given[name] for name in own], random_state),
            "pairwise_agreement": _mean([pairwise_agreement([w for w in given[name] if w != NOTHING]) for name in own]),
        }
    result["named_differ_p"] = differ(result["summaries"]["named"], result["random_groups"]["named"])
    return result


def _named(answer: Mapping[str, Any], synonyms: Mapping[str, str]) -> str:
    if answer.get("nothing"):
        return NOTHING
    # What is nothing but signs is still an answer of its own.
    return normalize_name(answer["text"], synonyms) or answer["text"].strip()


def _preference(answers: Sequence[Answers], key: Key) -> dict[str, Any] | None:
    tasks = key.of_kind("preference")
    if not tasks or not answers:
        return None
    pairs: dict[tuple[int, int], list[str]] = defaultdict(list)
    for name, task in tasks.items():
        pairs[task["runs"][0], task["runs"][1]].append(name)
    rows = [{"runs": list(pair), **_votes(answers, tasks, dict.fromkeys(names, pair[0]))} for pair, names in pairs.items()]
    # Pooled over classes: pairs of the same two networks, whichever of them comes first in a pair.
    ids = [str(run["weights_sha256"] or run["spec"]) for run in key.runs]
    networks: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for pair, names in pairs.items():
        first, second = sorted(pair, key=lambda position: ids[position])
        networks[ids[first], ids[second]] |= dict.fromkeys(names, first)
    labels = {name: run["network"] for name, run in zip(ids, key.runs, strict=True)}
    pooled = [
        {
            "networks": [labels[a], labels[b]],
            "targets": sorted({key.runs[first]["target"] for first in firsts.values()}),
            **_votes(answers, tasks, firsts),
        }
        for (a, b), firsts in networks.items()
    ]
    return {"pairs": rows, "networks": pooled}


def _votes(answers: Sequence[Answers], tasks: Mapping[str, Mapping[str, Any]], firsts: Mapping[str, int]) -> dict[str, Any]:
    """Count preferences for the run that is named first for each task, by answers and by participants."""
    votes = []
    leaning = Counter[bool]()
    for one in answers:
        own = Counter[bool | None]()
        for name, first in firsts.items():
            choice = one.answers[name]["choice"]
            own[None if choice is None else tasks[name]["sides"][choice]["run"] == first] += 1
        votes.append(own)
        if own[True] != own[False]:
            leaning[own[True] > own[False]] += 1
    total = sum(votes, Counter[bool | None]())
    return {
        "first": total[True],
        "second": total[False],
        "no_difference": total[None],
        "sign_test": sign_test(total[True], total[False]),
        "participants": {
            "first": leaning[True],
            "second": leaning[False],
            "undecided": len(answers) - leaning.total(),
            "sign_test": sign_test(leaning[True], leaning[False]),
        },
    }


def _middle(answers: Sequence[Answers], tasks: Iterable[str]) -> float | None:
    times = [one.answers[name]["seconds"] for name in tasks for one in answers if one.answers[name].get("seconds") is not None]
    return round(median(times), 2) if times else None


def _mean(values: Sequence[float]) -> float | None:
    known = [value for value in values if value == value]
    return known_or_none(sum(known) / len(known)) if known else None
