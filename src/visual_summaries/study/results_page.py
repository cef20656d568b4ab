"""The analysis as a page: what was found, summary by summary, with the pictures that people saw."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from visual_summaries.files.atomic import write_text
from visual_summaries.pages.shell import base_style, render_self_contained, resource
from visual_summaries.pages.words import UNKNOWN, counted, percent
from visual_summaries.study.analysis import Analysis
from visual_summaries.study.key import Key
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
    data = analysis.to_dict()
    context = {
        "data": data,
        "key": analysis.key.data,
        "groups": {kind: data[kind] for kind in ("people", "simulated") if data[kind] is not None},
        "strip": _Strips(analysis.key),
        "conditions": (OTHER, RANDOM),
        **{one.__name__: one for one in (sentences, who, share, interval, alpha, number, p_value, equals)},
        "percent": lambda value: UNKNOWN if value is None else percent(value),
    }
    style = base_style() + resource("results.css")
    return render_self_contained("results.html.j2", style=style, scripts={}, context=context)


class _Strips:
    """Gives pictures of a summary (never the intruder), from the given task or any that shows it."""

    def __init__(self, key: Key) -> None:
        self.key = key
        self.pictures = _pictures(key.page(), key.study)

    def __call__(self, run: int, summary: int | None, task: str | None = None) -> list[str]:
        found: dict[int, str] = {}
        both = [own for kind in ("name", "intruder") for own in self.key.of_kind(kind).values()]
        shown = [own for own in both if (own["run"], own["summary"]) == (run, summary)]
        for own in [self.key.tasks[task]] if task else shown:
            for picture, region in own["options"].items():
                if picture != own.get("answer") and picture in self.pictures:
                    found.setdefault(region, self.pictures[picture])
        return list(found.values())[:SHOWN]


def sentences(group: Mapping[str, Any]) -> Iterator[str]:
    """Yield the main findings of one group of participants in words."""
    intruder, name, preference = group["intruder"], group["name"], group["preference"]
    if group["counted"] == 0:
        yield "Nobody's answers count, so there is nothing to evaluate."
    if intruder is not None:
        found = intruder["all"]
        yield (
            f"The intruder was found in {percent(found['share'])} of {found['count']} answers "
            f"(95 % interval {interval(found)}; chance is {percent(intruder['chance'])})."
        )
    if name is not None:
        own, control = name["summaries"]["named"], name["random_groups"]["named"]
        words = f"Summaries were given a name in {percent(own['share'])} of {own['count']} answers"
        random = f", groups of random salient regions in {percent(control['share'])} of {control['count']}"
        yield f"{words}{random if control['count'] else ''}."
    for row in preference["networks"] if preference is not None else ():
        a, b = row["networks"]
        yield (
            f"The summaries of {a} were preferred {counted(row['first'], 'time')}, those of {b} "
            f"{counted(row['second'], 'time')}, neither {counted(row['no_difference'], 'time')} "
            f"(sign test p {equals(row['sign_test']['p'])})."
        )


def who(group: Mapping[str, Any], simulated: bool) -> str:
    """Return how many participants count, and how many do not."""
    used, left = group["counted"], len(group["participants"]) - group["counted"]
    said = counted(used, "simulated participant") if simulated else counted(used, "person", "people")
    return f"{said}; {counted(left, 'other')} failed checks of attention and does not count" if left else said


def share(rate: Mapping[str, Any]) -> str:
    """Return a share of answers in words."""
    return f"{percent(rate['share'])} ({rate['hits']} of {rate['count']})" if rate["count"] else UNKNOWN


def interval(rate: Mapping[str, Any]) -> str:
    """Return the interval of a share in words."""
    return f"{percent(rate['low'])} to {percent(rate['high'])}" if rate["count"] else UNKNOWN


def alpha(agreement: Mapping[str, Any]) -> str:
    """Return Krippendorff's alpha with its interval."""
    bounds = "" if agreement["low"] is None else f" ({number(agreement['low'], 2)} to {number(agreement['high'], 2)})"
    return number(agreement["alpha"], 2) + bounds


def number(value: float | None, digits: int) -> str:
    """Return a number with some digits after the point."""
    return UNKNOWN if value is None else f"{value:.{digits}f}".replace("-", "−")


def p_value(value: float | None) -> str:
    """Return a p-value as it stands in a table."""
    if value is not None and value < 0.001:
        return "< 0.001"
    return number(value, 3 if value is not None and value < 0.1 else 2)


def equals(p: float | None) -> str:
    """Return a p-value as it stands after its letter.

    Examples
    --------
    >>> equals(0.0002), equals(0.0312), equals(None)
    ('< 0.001', '= 0.031', '–')
    """
    text = p_value(p)
    return text if p is None or text.startswith("<") else f"= {text}"


def _pictures(page: Path, study: str) -> dict[str, str]:
    """Return the pictures of a study's page by their ids, as data URIs; none where the page is gone or another's."""
    try:
        found = re.search(r'<script type="application/json" id="study">(.*?)</script>', page.read_text("utf-8"), re.DOTALL)
        data = json.loads(found[1]) if found else {}
    except (OSError, ValueError):
        return {}
    if data.get("study") != study:
        return {}
    return {name: uri for name, uri in data["pictures"].items() if re.fullmatch(r"data:image/webp;base64,[A-Za-z0-9+/=]+", uri)}
