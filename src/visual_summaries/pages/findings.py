"""What the analyses found, in words that a reader without statistics understands, and as a chart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visual_summaries.pages.words import counted, covered_images, percent, score_text
from visual_summaries.results import Chance, JointEffects, Run, Summary, SummaryAnalysis, Together

#: Random moves are as good as the run in more than this share of cases: chance explains the summaries.
_BY_CHANCE = 0.1
#: The first sentence names this many summaries at most, and says "mostly" when they take more than this share of the score.
_NAMED, _MOSTLY = 3, 0.5
#: Width and height of a chart in its own units, and the room for its labels: left, top, right, bottom.
_CHART, _ROOM = (320, 190), (42, 8, 10, 30)


def doubts(analysis: SummaryAnalysis) -> list[tuple[str, str]]:
    """Return what speaks against a summary: a few words for a badge, and a sentence."""
    found = []
    low, high = analysis.interval
    if not analysis.beats_control:
        within = f" (95\u00a0% interval of the difference: {span(low, high)})" if math.isfinite(low) else ""
        found.append(("not above control", f"It does not beat its control{within}: do not build on it."))
    if analysis.reproducible is False:
        found.append(
            (
                "not reproducible",
                f"Stability only {percent(analysis.stability)}: when the images are resampled, little of this part comes back."
                " Its outline is uncertain, and it may merge with another part or fall apart.",
            )
        )
    return found


def certainty(analysis: SummaryAnalysis) -> str:
    """Return how sure the importance and the group are; nothing that :func:`doubts` says."""
    parts = []
    if analysis.beats_control:
        low, high = analysis.interval
        parts.append(f"It beats its control (95\u00a0% interval of the difference: {span(low, high)}).")
    if analysis.reproducible:
        parts.append(
            f"Stability {percent(analysis.stability)}: how much of this part comes back when the images are resampled."
        )
    return " ".join(parts)


def relies_on(run: Run, name: str) -> str:
    """Return one plain sentence: what the network relies on to see a class."""
    if not run.summaries and not (run.parts and run.rejected):
        return f"No part of the images comes back often enough to say what the network sees “{name}” by."
    measured = [summary for summary in run.summaries if summary.analysis is not None]
    if run.summaries and not measured:
        parts = _parts(run.summaries[:_NAMED])
        return f"The network looks again and again at {parts} to see “{name}”; what else would do was not measured."
    sure = [summary for summary in measured if summary.analysis is not None and summary.analysis.beats_control]
    if not sure:
        return f"No part stands out: none beats its control for “{name}” (the same pixels elsewhere; 95\u00a0% interval)."
    parts = _parts(sure[:_NAMED])
    together = None if run.analysis is None else run.analysis.together
    if together is not None and (share := together_sentence(together, len(run.summaries))):
        much = "mostly" if together.share > _MOSTLY else "in part"
        return f"To see “{name}”, the network relies {much} on {parts}. {share}"
    if run.analysis is None or run.analysis.joint is None:
        return f"To see “{name}”, the network relies on {parts}."
    lost = 1 - float(run.analysis.joint.deletion[-1])
    much = "mostly" if lost > _MOSTLY else "in part"
    them = _them(len(run.summaries), len(sure[:_NAMED]))
    return f"To see “{name}”, the network relies {much} on {parts}: hiding {them} takes {percent(lost)} off the score."


def together_sentence(together: Together, summaries: int) -> str:
    """Return what hiding all summaries takes, as a share of what hiding all evidence takes; empty where that takes nothing.

    Examples
    --------
    >>> print(together_sentence(Together(0.6, 0.8, (0.6, 0.85), 0.1, 0.05, 0.2), 6).replace(chr(160), " "))
    Hiding all 6 summaries takes 75 % of what hiding all evidence takes (95 % interval 60 to 85 %).
    """
    if not summaries or not math.isfinite(together.share):
        return ""
    them = {1: "the one summary", 2: "both summaries"}.get(summaries, f"all {summaries} summaries")
    within = f" (95\u00a0% interval {span(*together.interval)})" if math.isfinite(together.interval[0]) else ""
    return f"Hiding {them} takes {percent(together.share)} of what hiding all evidence takes{within}."


def rest_sentence(together: Together) -> str:
    """Return what the evidence that is in no summary does.

    Examples
    --------
    >>> print(rest_sentence(Together(0.6, 0.8, (0.6, 0.85), 0.1, 0.05, 0.2)).replace(chr(160), " "))
    20 % of the evidence is in no summary; hiding it alone takes 10 % off the score (the same pixels elsewhere: 5 %).
    """
    if together.rest_area <= 0:
        return "Each pixel of the evidence is in a summary: nothing is left over."
    return (
        f"{percent(together.rest_area)} of the evidence is in no summary; hiding it alone takes {percent(together.rest)} off"
        f" the score (the same pixels elsewhere: {percent(together.rest_control)})."
    )


def span(low: float, high: float) -> str:
    """Return both ends of an interval of shares.

    Examples
    --------
    >>> span(-0.1, 0.05).replace(chr(160), " ")
    '−10 to 5 %'
    """
    return f"{percent(low).removesuffix(chr(160) + '%')} to {percent(high)}"


def _them(all_of_them: int, named: int) -> str:
    if named < all_of_them:
        return f"all {all_of_them} summaries"
    return {1: "it", 2: "both"}.get(named, "them")


def _parts(summaries: Sequence[Summary]) -> str:
    """Return summaries as a list in words, by their names where they have some."""
    if not any(summary.tag for summary in summaries):
        return _listed(tuple(summary.index for summary in summaries))
    words = [
        f"“{summary.tag.name}” (summary {summary.index + 1})" if summary.tag else f"summary {summary.index + 1}"
        for summary in summaries
    ]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def summary_line(run: Run, summary: Summary) -> str:
    """Return one line about a summary for a terminal."""
    covered = f"in {covered_images(run, summary)} of {counted(len(run.images), 'image')}"
    analysis = summary.analysis
    if analysis is None:
        return f"{covered}, quality {summary.score:.2f}, hiding one takes {summary.importance:.0%} of the score on average"
    steady = "" if math.isnan(analysis.stability) else f", stability {analysis.stability:.0%}"
    marks = "".join(f"; {badge.upper()}" for badge, _ in doubts(analysis))
    return (
        f"importance {analysis.importance:.0%} (same pixels elsewhere {analysis.control:.0%}),"
        f" {covered}{steady}, quality {summary.score:.2f}{marks}"
    )


def sure_sentence(run: Run) -> str:
    """Return how many summaries stand out from their controls; empty where it was not measured."""
    analyses = [summary.analysis for summary in run.summaries if summary.analysis is not None]
    if not analyses:
        return ""
    sure = sum(analysis.beats_control for analysis in analyses)
    beat = "beats its" if len(analyses) == 1 else "beat their"
    return f"{sure} of {counted(len(analyses), 'summary', 'summaries')} {beat} control (95\u00a0% interval)."


def joint_sentences(joint: JointEffects, together: Together | None = None) -> list[str]:
    """Return which few summaries destroy the class, and which are enough for it.

    Where no few do, the first sentence says what all of them take, unless that is known of all images (`together`).
    """
    names = {kind: _listed(getattr(joint, kind)) for kind in ("destroying", "sufficient")}
    hidden, shown = joint.evidence
    if joint.destroying:
        first = (
            f"Hiding {names['destroying']} does nearly all that hiding all evidence does ({percent(1 - hidden)} of the score)."
        )
    elif together is not None:
        first = ""
    else:
        first = (
            f"All summaries together take off {percent(1 - float(joint.deletion[-1]))} of the score, all evidence of the masks"
            f" {percent(1 - hidden)}: part of what the network uses is in no summary."
        )
    if joint.sufficient:
        second = (
            f"Showing nothing but {names['sufficient']} brings nearly as much of the score as all evidence ({percent(shown)})."
        )
    else:
        second = (
            f"Showing nothing but the summaries brings {percent(float(joint.insertion[-1]))} of the score, nothing but all"
            f" evidence {percent(shown)}."
        )
    return [first, second] if first else [second]


def chance_sentence(chance: Chance) -> str:
    """Return what random masks give, beside the run."""
    usual = float(np.median(chance.random_summaries))
    text = (
        f"When the masks of {counted(chance.images, 'image')} are moved to random places, the same steps find"
        f" {counted(round(usual), 'group')} (here: {chance.summaries}), and the regions of a group are"
    )
    typical = float(np.nanmedian(chance.random_likeness)) if np.isfinite(chance.random_likeness).any() else 0.0
    if typical <= 0:
        ratio = "not alike at all"
    elif chance.likeness >= typical:
        ratio = f"{chance.likeness / typical:.1f} times less alike"
    else:
        ratio = "more alike than here"
    as_good = round(chance.p_value * (1 + len(chance.random_likeness)) - 1)
    verdict = f"{as_good} of {len(chance.random_likeness)} random moves made groups as alike as these."
    caution = " So these summaries could be chance." if chance.p_value > _BY_CHANCE else ""
    return f"{text} {ratio}. {verdict}{caution}"


def charts(joint: JointEffects) -> list[dict[str, Any]]:
    """Return the curves of joint effects for drawing: one chart for hiding, one for showing.

    Examples
    --------
    >>> curve = np.array([1.0, 0.0], np.float32)
    >>> joint = JointEffects((0,), curve, 1 - curve, curve[None], 1 - curve[None], (0.0, 1.0), (0,), (0,))
    >>> [chart["title"] for chart in charts(joint)], charts(joint)[0]["ordered"]
    (['Hidden one after the other', 'Shown one after the other'], '42.0,8.0 310.0,160.0')
    """
    highest = max(1.0, float(joint.insertion.max()), float(joint.deletion.max()))
    areas = joint.areas()
    result = []
    for kind, title in (("deletion", "Hidden one after the other"), ("insertion", "Shown one after the other")):
        own, mean = getattr(joint, kind), getattr(joint, f"random_{kind}").mean(axis=0)
        ordered, at_random = areas[kind]
        result.append(
            {
                "title": title,
                "size": _CHART,
                "frame": (_ROOM[0], _ROOM[1], _CHART[0] - _ROOM[0] - _ROOM[2], _CHART[1] - _ROOM[1] - _ROOM[3]),
                "ordered": _points(own, highest),
                "random": _points(mean, highest),
                "steps": [(x, k) for k, x in enumerate(_across(len(own))) if len(own) <= 12 or k % 5 == 0],
                "levels": [(_height(value, highest), percent(value)) for value in (0.0, 0.5, 1.0)],
                "reading": f"Mean score: {score_text(ordered)} by importance, {score_text(at_random)} in random order.",
            }
        )
    return result


def _listed(positions: tuple[int, ...]) -> str:
    numbers = [str(position + 1) for position in sorted(positions)]
    if len(numbers) < 2:
        return f"summary {''.join(numbers)}"
    return f"summaries {', '.join(numbers[:-1])} and {numbers[-1]}"


def _across(count: int) -> list[float]:
    left, _, right, _ = _ROOM
    return [round(left + (_CHART[0] - left - right) * k / max(count - 1, 1), 1) for k in range(count)]


def _height(value: float, highest: float) -> float:
    _, top, _, bottom = _ROOM
    return round(top + (_CHART[1] - top - bottom) * (1 - min(max(value, 0.0), highest) / highest), 1)


def _points(curve: NDArray[np.floating], highest: float) -> str:
    return " ".join(f"{x},{_height(float(y), highest)}" for x, y in zip(_across(len(curve)), curve, strict=True))
