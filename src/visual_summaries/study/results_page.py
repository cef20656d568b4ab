"""The analysis as a page: what was found, summary by summary, with the pictures that people saw."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from visual_summaries.files.atomic import write_text
from visual_summaries.pages.shell import base_style, render_self_contained, resource
from visual_summaries.pages.words import UNKNOWN, counted, percent
from visual_summaries.study.analysis import Analysis
from visual_summaries.study.tasks import OTHER, RANDOM

#: Pictures beside each summary.
SHOWN = 4


def write_results(analysis: Analysis, path: str | Path) -> Path:
    """Write an analysis as one self-contained HTML page and return where it is.

    The pictures are those of the study's page, where it still lies beside the key; without it the page has none.
    """
    write_text(Path(path), render_results(analysis))
    return Path(path)


def render_results(analysis: Analysis) -> str:
    """Return the HTML of an analysis; all names and comments that people wrote are escaped."""
    pictures = _pictures(analysis.key.page(), analysis.key.study)
    style = base_style() + resource("results.css")
    return render_self_contained("results.html.j2", style=style, scripts={}, context=_Page(analysis, pictures).context())


class _Page:
    def __init__(self, analysis: Analysis, pictures: Mapping[str, str]) -> None:
        self.analysis = analysis
        self.key = analysis.key
        self.pictures = pictures

    def context(self) -> dict[str, Any]:
        data = self.analysis.to_dict()
        groups = [self._group(kind, data[kind]) for kind in ("people", "simulated") if data[kind] is not None]
        return {
            "title": data["title"],
            "study": data["study"],
            "created": data["created"],
            "groups": groups,
            "runs": [
                {
                    "number": number,
                    "target": run["target"],
                    "network": run["network"],
                    "images": run["images"],
                    "summaries": run["summaries"],
                    "path": run["path"],
                }
                for number, run in enumerate(data["runs"], start=1)
            ],
            "notes": self.key.data["notes"],
            "max_failed_checks": data["settings"]["max_failed_checks"],
            "chance": percent(data["settings"]["chance"]),
            "members": self.key.data["settings"]["members"],
        }

    def _group(self, kind: str, group: Mapping[str, Any]) -> dict[str, Any]:
        simulated = kind == "simulated"
        total, used = len(group["participants"]), group["counted"]
        noun = ("simulated participant", None) if simulated else ("person", "people")
        return {
            "simulated": simulated,
            "heading": "Simulated participants" if simulated else "People",
            "who": counted(used, *noun)
            + (f"; {counted(total - used, 'other')} failed checks of attention and does not count" if total > used else ""),
            "sentences": list(sentences(group)),
            "intruder": self._intruder(group["intruder"]),
            "name": self._name(group["name"]),
            "preference": self._preference(group["preference"]),
            "participants": [
                {
                    **one,
                    "minutes": UNKNOWN if one["seconds"] is None else f"{one['seconds'] / 60:.1f}",
                    "found": _share(one["intruder"]),
                }
                for one in group["participants"]
            ],
            "comments": [one["comment"] for one in group["participants"] if one["comment"]],
        }

    def _run(self, run: int, summary: int | None) -> dict[str, Any]:
        described = self.key.runs[run]
        label = "random regions" if summary is None else f"summary {summary + 1}"
        return {"label": label, "target": described["target"], "network": described["network"]}

    def _strip(self, run: int, summary: int | None, tasks: Iterable[str] = ()) -> list[str]:
        """Return pictures of a summary (never the intruder), from the given tasks or any that show it."""
        found: dict[int, str] = {}
        names = list(tasks) or [
            name
            for kind in ("name", "intruder")
            for name, task in self.key.of_kind(kind).items()
            if (task["run"], task["summary"]) == (run, summary)
        ]
        for name in names:
            task = self.key.tasks[name]
            for picture, region in task["options"].items():
                if picture != task.get("answer") and picture in self.pictures:
                    found.setdefault(region, self.pictures[picture])
        return list(found.values())[:SHOWN]

    def _intruder(self, result: Mapping[str, Any] | None) -> dict[str, Any] | None:
        if result is None:
            return None
        rows = [
            {
                **self._run(row["run"], row["summary"]),
                "pictures": self._strip(row["run"], row["summary"]),
                "all": _bar(row["all"]),
                "conditions": [_share(row[OTHER]), _share(row[RANDOM])],
                "p": _p(row["p_holm"]),
                "beats": row["p_holm"] is not None and row["p_holm"] < 0.05,
                "seconds": _number(row["seconds"], 1),
            }
            for row in result["summaries"]
        ]
        pooled = [
            (label, _bar(result[part]), _p(result[part]["p"]))
            for label, part in (
                ("Intruder from another summary", OTHER),
                ("Intruder a random salient region (control)", RANDOM),
                ("All", "all"),
            )
        ]
        return {
            "rows": rows,
            "pooled": pooled,
            "chance": round(100 * result["chance"], 2),
            "chance_text": percent(result["chance"]),
            "differ": equals(result["conditions_differ_p"]),
            "agreement": _alpha(result["agreement"]),
        }

    def _name(self, result: Mapping[str, Any] | None) -> dict[str, Any] | None:
        if result is None:
            return None
        rows = [
            {
                **self._run(item["run"], item["summary"]),
                "control": item["summary"] is None,
                "pictures": self._strip(item["run"], item["summary"], [item["task"]]),
                "names": list(item["names"].items()),
                "nothing": item["nothing"],
                "named": _share(item["named"]),
                "agree": UNKNOWN if item["pairwise_agreement"] is None else percent(item["pairwise_agreement"]),
            }
            for item in result["items"]
        ]
        groups = [
            (
                label,
                _bar(result[part]["named"]),
                _alpha(result[part]["agreement"]),
                UNKNOWN if result[part]["pairwise_agreement"] is None else percent(result[part]["pairwise_agreement"]),
            )
            for label, part in (("Summaries", "summaries"), ("Random salient regions (control)", "random_groups"))
        ]
        return {"rows": rows, "groups": groups, "differ": equals(result["named_differ_p"])}

    def _preference(self, result: Mapping[str, Any] | None) -> dict[str, Any] | None:
        if result is None:
            return None
        rows = []
        for row in result["networks"]:
            rows.append({"title": ", ".join(row["targets"]), "pooled": len(row["targets"]) > 1, **_votes(row, row["networks"])})
        for row in result["pairs"] if len(result["pairs"]) > len(result["networks"]) else ():
            first, second = (self.key.runs[run] for run in row["runs"])
            rows.append({"title": first["target"], "pooled": False, **_votes(row, [first["network"], second["network"]])})
        return {"rows": rows}


def sentences(group: Mapping[str, Any]) -> Iterator[str]:
    """Yield the main findings of one group of participants in words."""
    intruder, name, preference = group["intruder"], group["name"], group["preference"]
    if group["counted"] == 0:
        yield "Nobody's answers count, so there is nothing to evaluate."
    if intruder is not None:
        found = intruder["all"]
        level = percent(intruder["chance"])
        yield (
            f"The intruder was found in {percent(found['share'])} of {found['count']} answers "
            f"(95 % interval {percent(found['low'])} to {percent(found['high'])}; chance is {level})."
        )
    if name is not None:
        own, control = name["summaries"]["named"], name["random_groups"]["named"]
        words = f"Summaries were given a name in {percent(own['share'])} of {own['count']} answers"
        yield words + (
            f", groups of random salient regions in {percent(control['share'])} of {control['count']}."
            if control["count"]
            else "."
        )
    if preference is not None:
        for row in preference["networks"]:
            a, b = row["networks"]
            yield (
                f"The summaries of {a} were preferred {counted(row['first'], 'time')}, those of {b} "
                f"{counted(row['second'], 'time')}, neither {counted(row['no_difference'], 'time')} "
                f"(sign test p {equals(row['sign_test']['p'])})."
            )


def _votes(row: Mapping[str, Any], networks: Sequence[str]) -> dict[str, Any]:
    total = max(row["first"] + row["no_difference"] + row["second"], 1)
    parts = [100 * row[name] / total for name in ("first", "no_difference", "second")]
    people = row["participants"]
    return {
        "networks": list(networks),
        "counts": [row["first"], row["no_difference"], row["second"]],
        "widths": [round(part, 2) for part in parts],
        "starts": [0, round(parts[0], 2), round(parts[0] + parts[1], 2)],
        "p": equals(row["sign_test"]["p"]),
        "share": _interval(row["sign_test"]),
        "people": [people["first"], people["undecided"], people["second"]],
        "people_p": equals(people["sign_test"]["p"]),
    }


def _bar(rate: Mapping[str, Any]) -> dict[str, Any]:
    """Return a share as positions out of 100 and in words."""
    known = rate["share"] is not None
    return {
        "known": known,
        "share": round(100 * rate["share"], 2) if known else 0,
        "low": round(100 * rate["low"], 2) if known else 0,
        "width": round(100 * (rate["high"] - rate["low"]), 2) if known else 0,
        "text": _share(rate),
        "interval": _interval(rate),
        "p": _p(rate["p"]),
    }


def _share(rate: Mapping[str, Any]) -> str:
    return f"{percent(rate['share'])} ({rate['hits']} of {rate['count']})" if rate["count"] else UNKNOWN


def _interval(rate: Mapping[str, Any]) -> str:
    return f"{percent(rate['low'])} to {percent(rate['high'])}" if rate["count"] else UNKNOWN


def _alpha(agreement: Mapping[str, Any]) -> str:
    if agreement["alpha"] is None:
        return UNKNOWN
    bounds = "" if agreement["low"] is None else f" ({_number(agreement['low'], 2)} to {_number(agreement['high'], 2)})"
    return _number(agreement["alpha"], 2) + bounds


def _number(value: float | None, digits: int) -> str:
    return UNKNOWN if value is None else f"{value:.{digits}f}".replace("-", "−")


def _p(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return "< 0.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def equals(p: float | None) -> str:
    """Return a p-value as it stands after its letter.

    Examples
    --------
    >>> equals(0.0002), equals(0.0312), equals(None)
    ('< 0.001', '= 0.031', '–')
    """
    text = _p(p)
    return text if p is None or text.startswith("<") else f"= {text}"


def _pictures(page: Path, study: str) -> dict[str, str]:
    """Return the pictures of a study's page by their ids, as data URIs; none where the page is gone or another's."""
    try:
        html = page.read_text(encoding="utf-8")
    except OSError:
        return {}
    found = re.search(r'<script type="application/json" id="study">(.*?)</script>', html, re.DOTALL)
    if found is None:
        return {}
    try:
        data = json.loads(found[1])
    except ValueError:
        return {}
    if data.get("study") != study:
        return {}
    return {name: uri for name, uri in data["pictures"].items() if re.fullmatch(r"data:image/webp;base64,[A-Za-z0-9+/=]+", uri)}
