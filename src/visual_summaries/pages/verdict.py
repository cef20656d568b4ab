"""The verdict in sentences: the same on the page, in the terminal and in files for continuous integration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visual_summaries.analyses.verdict import LEAST_EFFECT, SURE
from visual_summaries.pages.rendering import render_part
from visual_summaries.pages.words import UNKNOWN, chance_caution, class_name, decimal, is_named, listed, percent, span, text
from visual_summaries.results import Reliance, Run, Suspicion, Verdict

#: A sentence names this many summaries at most.
NAMED = 3
#: A summary is weak in an image where there is less than this share of its usual area.
WEAK = 0.5
#: Changes of the whole image, in words, after "The score depends on".
CHANGES = {
    "gray": "color (gray images)",
    "hue": "color (hue turned)",
    "darker": "brightness (darker)",
    "brighter": "brightness (brighter)",
    "tone": "color and brightness of the whole (tone)",
    "contrast": "contrast (less of it)",
    "blur": "sharpness (blurred)",
    "sharpen": "sharpness (sharpened)",
    "jpeg": "compression (JPEG)",
    "smaller": "size in the frame (smaller)",
    "larger": "size in the frame (larger)",
    "mirrored": "which side it faces (mirrored)",
    "border": "the border (hidden)",
}
#: Places, in words, after "lies".
_LIES = {
    "object": "on the object",
    "beside": "beside the object",
    "fixed place": "at a fixed place of the picture",
    "border": "along the border",
    "everywhere": "on the object and around it",
}
_UNTESTED = {
    "others": "No images of other classes were given to test cues on: give some with --others DIR.",
    "object": "Where the object lies is estimated: give masks or boxes with --object.",
    "stability": "Stability was not measured: no summary counts as strong.",
    "chance": "Chance was not measured: no summary counts as strong.",
}
_TODO = {
    "beside": "Collect images of the class without it, or crop or mask it in training; retrain and run again.",
    "fixed place": "Crop or mask that place in training and test images; retrain and run again.",
    "border": "Crop the border of training and test images; retrain and run again.",
    "change": "Give all classes images of the same source, or vary this property in training; retrain and run again.",
}

#: What images of other classes are given where it is not the change itself.
_GIVEN = {"border": "The border of the class’s images", "tone": "The color and brightness of the class’s images"}


def verdict_values(run: Run) -> dict[str, Any]:
    """Return the verdict as what page and terminal show.

    Returns
    -------
    dict
        ``relies``: the first sentence; ``unexplained``: what is in no summary; ``suspicions``: dictionaries with ``confirmed``,
        ``summary`` (its number, from 1, or None), ``title``, ``evidence`` and ``todo``; ``unsuspected``: a sentence where
        there is no suspicion; ``cautions``, ``untested``: sentences.
    """
    verdict = run.verdict
    return {
        "relies": relies_sentence(run, verdict, class_name(run)),
        "unexplained": unexplained_sentence(verdict),
        "suspicions": [
            {
                "confirmed": one.confirmed,
                "summary": None if one.summary is None else one.summary + 1,
                "title": suspicion_title(run, one),
                "evidence": evidence_sentence(one),
                "todo": _TODO[one.kind],
            }
            for one in verdict.suspicions
        ],
        "unsuspected": "" if verdict.suspicions else _unsuspected(verdict),
        "cautions": _cautions(run),
        "untested": [_UNTESTED[one] for one in verdict.untested],
    }


def _cautions(run: Run) -> list[str]:
    chance = None if run.analysis is None else run.analysis.chance
    cautions = [] if chance is None or not run.summaries else [chance_caution(chance.p_value)]
    if not is_named(run):
        cautions.append(
            f"Caution: the network's classes have no names, so class {run.info.target.index} has the name of its image"
            " folder. Give names with --class-names FILE."
        )
    return [one for one in cautions if one]


def relies_sentence(run: Run, verdict: Verdict, name: str) -> str:
    """Return what the network relies on, no firmer than the figures are."""
    if not run.summaries and not (run.parts and run.rejected):
        return f"No part is in enough of the images to tell what the network sees “{name}” by."
    if run.summaries and all(summary.analysis is None for summary in run.summaries):
        parts = listed([_label(run, summary.index) for summary in run.summaries[:NAMED]])
        return f"The network looks again and again at {parts} to see “{name}”; what else would do was not measured."
    strong = [one for one in verdict.relies_on if one.strength == "strong"]
    weak = [one for one in verdict.relies_on if one.strength == "weak"]
    if not strong and not weak:
        return f"Nothing reliable: no summary of “{name}” beats its control (the same pixels elsewhere; 95\u00a0% interval)."
    found = []
    if strong:
        found.append(f"firmly on {_labels(run, strong)}")
    if weak:
        found.append(f"{'perhaps' if strong else 'perhaps, on weak evidence,'} on {_labels(run, weak)}")
    return f"To see “{name}”, the network relies {' and '.join(found)}."


def _labels(run: Run, ones: Sequence[Reliance]) -> str:
    more = [f"{len(ones) - NAMED} more"] if len(ones) > NAMED else []
    return listed([f"{_label(run, one.summary)} ({percent(one.effect)} of the score)" for one in ones[:NAMED]] + more)


def _label(run: Run, summary: int) -> str:
    tag = run.summaries[summary].tag
    return f"“{text(tag.name)}” (summary {summary + 1})" if tag else f"summary {summary + 1}"


def unexplained_sentence(verdict: Verdict) -> str:
    """Return how much of the score no summary accounts for; empty where it was not measured."""
    if not math.isfinite(verdict.unexplained):
        return ""
    return f"{percent(verdict.unexplained)} of the score is in no summary: it is left when all of them are hidden."


def suspicion_title(run: Run, one: Suspicion) -> str:
    """Return what is suspicious, in a line."""
    if one.summary is None:
        return f"The score depends on {CHANGES.get(one.change, one.change)}"
    label = _label(run, one.summary)
    return f"{label[0].upper()}{label[1:]} lies {_LIES[one.kind]}"


def evidence_sentence(one: Suspicion) -> str:
    """Return the figures behind a suspicion.

    Examples
    --------
    >>> one = Suspicion("beside", 0.31, (0.2, 0.4), True, summary=0, share=0.94, fired=0.8, fired_before=0.05)
    >>> print(evidence_sentence(one).replace(chr(160), " "))
    94 % of its pixels lie beside the object. It takes 31 % of the score above its control (95 % interval 20 to 40 %). Put into
    images of other classes, it makes the network see the class in 80 % of them (5 % without it).
    """
    parts = []
    if math.isfinite(one.share):
        parts.append(f"{percent(one.share)} of its pixels lie beside the object.")
    within = f" (95\u00a0% interval {span(*one.interval)})" if math.isfinite(one.interval[0]) else ""
    if one.kind == "change":
        given = _GIVEN.get(one.change, "The change")
        does = (
            f"{given} adds {{}} to the score of images of other classes"
            if one.confirmed
            else "The change takes {} more of the score than of other classes’"
        )
        parts.append(f"{does.format(percent(one.effect))}{within}.")
    else:
        parts.append(f"It takes {percent(one.effect)} of the score above its control{within}.")
    if math.isfinite(one.fired):
        verb = f"{given} makes" if one.kind == "change" else "Put into images of other classes, it makes"
        whose = "images of other classes" if one.kind == "change" else "them"
        parts.append(
            f"{verb} the network see the class in {percent(one.fired)} of {whose} ({percent(one.fired_before)} without it)."
        )
    return " ".join(parts)


def _unsuspected(verdict: Verdict) -> str:
    if verdict.reliable == "nothing":
        return "So nothing can be said about shortcuts: see what is in no summary."
    takes = f"takes {percent(LEAST_EFFECT)} of the score or more (95\u00a0% interval)"
    return f"No summary that {takes} clearly lies beside the object, at a fixed place or along the border."


def place_words(kind: str, share: float, sure: float) -> str:
    """Return where a summary lies, in words.

    Examples
    --------
    >>> print(place_words("beside", 0.12, 0.97).replace(chr(160), " "))
    beside the object (12 % of its pixels on the object)
    >>> print(place_words("beside", 0.42, 0.6).replace(chr(160), " "))
    perhaps beside the object (42 % of its pixels on the object)
    """
    what = "" if kind == "object" else " on the object"
    on = f" ({percent(share)} of its pixels{what})" if math.isfinite(share) else ""
    return f"{'' if sure >= SURE else 'perhaps '}{_LIES[kind]}{on}"


def verdict_lines(run: Run) -> list[str]:
    """Return the verdict as lines for a terminal."""
    values = verdict_values(run)
    lines = [f"verdict: {values['relies']}"]
    if values["unexplained"]:
        lines.append(f"  {values['unexplained']}")
    for one in values["suspicions"]:
        mark = "SHORTCUT LIKELY" if one["confirmed"] else "to check"
        lines += [f"  {mark}: {one['title']}. {one['evidence']}", f"    next: {one['todo']}"]
    if values["unsuspected"]:
        lines.append(f"  {values['unsuspected']}")
    return [
        line.replace("\u00a0", " ") for line in [*lines, *(f"  {one}" for one in (*values["cautions"], *values["untested"]))]
    ]


def lies_sentence(run: Run, summary: int) -> str:
    """Return where a summary lies and what it does alone; empty where neither was measured."""
    analysis = run.analysis
    if analysis is None:
        return ""
    parts = []
    if summary < len(analysis.places):
        place = analysis.places[summary]
        parts.append(f"It lies {place_words(place.kind, place.share_on_object, place.sure)}.")
    if summary < len(analysis.cues):
        cue = analysis.cues[summary]
        if cue.ground == "others":
            parts.append(
                f"Put into images of other classes, it makes the network see the class in {percent(cue.fired)} of them"
                f" ({percent(cue.fired_before)} without it)."
            )
        before = percent(cue.accuracy_before)
        parts.append(f"With it hidden, {percent(cue.accuracy)} of its images are still seen as the class (before: {before}).")
    return " ".join(parts)


def change_rows(run: Run) -> list[tuple[str, str, str, str]]:
    """Return what changes of the whole image do: name, loss of this class and of others, how often others become the class."""
    changes = () if run.analysis is None else run.analysis.changes
    return [
        (
            CHANGES.get(one.name, one.name),
            percent(one.loss),
            percent(one.other_loss),
            f"{percent(one.fired)} ({percent(one.fired_before)})" if math.isfinite(one.fired) else percent(one.fired),
        )
        for one in changes
    ]


def contrast_rows(run: Run) -> list[tuple[int, str, str, str, str]]:
    """Return what each summary does in images of other classes: empty where none were given.

    Number of the summary; what it adds to the score of this class there, and other pixels in its place; the 95 % interval of
    the difference; how many of them are seen as the class with it, and before.
    """
    cues = () if run.analysis is None else run.analysis.cues
    return [
        (
            number,
            decimal(cue.gain),
            decimal(cue.gain - cue.above_control),
            f"{decimal(cue.interval[0])} to {decimal(cue.interval[1])}" if math.isfinite(cue.interval[0]) else UNKNOWN,
            f"{percent(cue.fired)} ({percent(cue.fired_before)})",
        )
        for number, cue in enumerate(cues, start=1)
        if cue.ground == "others"
    ]


def mistake_values(run: Run) -> list[dict[str, Any]]:
    """Return the images that the network gets wrong: picture, name, what it says of them, which summaries are in them."""
    return [
        {
            "name": one.name,
            "missed": one.kind == "missed",
            "predicted": one.predicted,
            "score": one.score,
            "picture": render_part(one.view, one.labels >= 0, one.labels >= 0),
            "present": _numbers(one.strengths >= WEAK),
            "weak": _numbers((one.strengths < WEAK) & (one.strengths > 0)),
            "absent": _numbers(one.strengths <= 0),
        }
        for one in (() if run.analysis is None else run.analysis.mistakes)
    ]


def _numbers(which: NDArray[np.bool_]) -> str:
    return listed([number + 1 for number in np.flatnonzero(which).tolist()]) if which.any() else ""


def short_verdict(reliable: str, suspicions: Sequence[str], confirmed: int) -> str:
    """Return a verdict in a few words, for tables; `suspicions` are kinds, the `confirmed` ones first.

    Examples
    --------
    >>> short_verdict("strong", [], 0), short_verdict("weak", ["border", "beside"], 1)
    ('nothing suspicious', 'shortcut likely: border')
    """
    if not suspicions:
        return {"": UNKNOWN, "nothing": "nothing reliable"}.get(reliable, "nothing suspicious")
    kinds = listed(sorted(set(suspicions[: confirmed or None])))
    return f"shortcut likely: {kinds}" if confirmed else f"to check: {kinds}"
