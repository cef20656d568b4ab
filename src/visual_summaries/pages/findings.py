"""What a run found, in sentences that a reader without the method in mind understands."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np

from visual_summaries.pages.words import chance_caution, counted, covered_images, listed, percent, score_text, span, text
from visual_summaries.results import Chance, EvidenceInfo, JointEffects, Parts, Run, Together
from visual_summaries.settings.masks import infills_of

#: A mask misses what the network relies on when more than this share of the score is left (as in ``Mask.warnings``).
SCORE_LEFT = 0.5
#: Infills, in words (anything else is shown as it is).
INFILLS = {"strong-blur": "strong blur", "mean": "the mean color", "inpaint": "inpainting"}


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


def _numbered(positions: Sequence[int]) -> str:
    """Return "summary 3" or "summaries 1, 2 and 3"."""
    noun = "summaries" if len(positions) > 1 else "summary"
    return f"{noun} {listed([position + 1 for position in sorted(positions)])}"


def headline(run: Run, name: str) -> str:
    """Return what the class relies on, in one or two plain sentences."""
    return f"{_hiding_sentence(run, name)} {_summaries_sentence(run)}"


def _hiding_sentence(run: Run, name: str) -> str:
    if not run.masks:
        return f"No image was explained, so nothing is known of what “{name}” relies on."
    here = " found here" if run.info.evidence is None else ""
    before = median(mask.score_before for mask in run.masks)
    after = median(mask.score_after for mask in run.masks)
    if before > 0 and after > before * SCORE_LEFT:
        return (
            f"Hiding the evidence{here} takes the score of “{name}” only from {score_text(before)} to {score_text(after)}:"
            " the masks miss much of what the network relies on."
        )
    return f"Hiding the evidence{here} takes the score of “{name}” from {score_text(before)} to {score_text(after)}."


def _summaries_sentence(run: Run) -> str:
    if not run.summaries and run.parts is not None:
        return f"None of its {counted(run.parts.count, 'part')} is a visual summary."
    if not run.summaries:
        return "No part of it is frequent and similar enough to be a visual summary."
    ranked = [summary for summary in run.summaries if math.isfinite(summary.importance)] or list(run.summaries)
    top = max(ranked, key=lambda summary: summary.importance if math.isfinite(summary.importance) else 0.0)
    where = f"{covered_images(run, top)} of {counted(len(run.images), 'image')}"
    if len(run.summaries) == 1:
        return f"The one visual summary covers {where}."
    number = "" if top.index == 0 else f", no. {top.index + 1},"
    return f"{len(run.summaries)} visual summaries; the most important{number} covers {where}."


def no_summary_reason(run: Run) -> str:
    """Return why a run has no summary, and what may help."""
    if run.parts is not None:
        return _no_part_reason(run, run.parts.count)
    regions = run.settings.regions
    if not run.regions:
        return (
            f"No proposed box is evidence over more than {percent(regions.salient_share)} of its area. Look at the masks of the"
            " images below: if they are empty or tiny, the network may rely on the whole picture; more proposed boxes"
            " (regions.boxes) or a lower regions.salient_share let smaller evidence through."
        )
    summaries = run.settings.summaries
    compared = f"{counted(len(run.regions), 'region')} were compared, but"
    more = "More images of the class usually help."
    if run.rejected:
        why = (
            "hardly beat their control"
            if summaries.keep == "used"
            else f"look too unlike each other: their quality is under {summaries.min_score:g}"
        )
        members = f"the members of every cluster ({len(run.rejected)}) {why}"
        return f"{compared} {members}. They are shown under “Rejected clusters”. {more}"
    share = f" and from {percent(summaries.min_coverage)} of all" if summaries.min_coverage else ""
    return f"{compared} no group of them comes from {summaries.min_members} images or more{share}. {more}"


def _no_part_reason(run: Run, parts: int) -> str:
    more = "More images of the class usually help."
    if not run.regions:
        return (
            "No image has evidence. Look at the masks of the images below: if they are empty or tiny, the network may rely on"
            " the whole picture."
        )
    divided = f"The evidence was divided among {counted(parts, 'part')}, but none"
    if run.rejected:
        return f"{divided} beats its control, the same pixels elsewhere. They are shown under “Rest”. {more}"
    summaries = run.settings.summaries
    return (
        f"{divided} is in {counted(summaries.min_members, 'image')} or more and in {percent(summaries.min_coverage)} of all."
        f" {more}"
    )


#: How evidence is made of a map, after how many maps.
_WAYS = {
    "binary": "with two values taken as they are",
    "area": "cut to their strongest {area} of the view",
    "loss": "cut to the smallest area whose hiding takes {loss} of the score",
    "short": "whose positive part is all evidence, as hiding even that takes less than {loss}",
}


def evidence_sentence(given: EvidenceInfo | None) -> str:
    """Return whose evidence it is where it was brought, and how it was made of the maps; else nothing.

    Examples
    --------
    >>> print(evidence_sentence(EvidenceInfo("cams", 0.9, None, {"loss": 11, "short": 1}, ["x.png"])).replace(chr(160), " "))
    Evidence: given, from cams, not found by this run. 11 maps cut to the smallest area whose hiding takes 90 % of the score,
    1 map whose positive part is all evidence, as hiding even that takes less than 90 %. Belongs to no image: x.png.
    """
    if given is None:
        return ""
    figures = {"loss": percent(given.loss), "area": percent(given.area or 0)}
    ways = [f"{counted(n, 'map')} {_WAYS.get(way, way).format(**figures)}" for way, n in given.ways.items()]
    listed_unused = ", ".join(map(text, given.unused[:3])) + (", ..." if len(given.unused) > 3 else "")
    unused = f" Belongs to no image: {listed_unused}." if given.unused else ""
    return f"Evidence: given, from {text(given.source)}, not found by this run. {', '.join(ways)}.{unused}"


def hiding_sentence(run: Run) -> str:
    """Return how pixels are hidden when effects are measured, and what the figures are."""
    infills = [INFILLS.get(name, name) for name in infills_of(run.settings.masks.infill)]
    each = "" if len(infills) == 1 else ": in each image by one of these infills, which the image itself decides"
    sought = ", as when the masks were sought" if run.info.evidence is None else ""
    hidden = f"Pixels are hidden by {listed(infills, 'or')}{sought}"
    return f"{hidden}{each}; figures are means over the images."


def left_out_sentence(run: Run) -> str:
    """Return which infills were left out of the run, and why; empty where none was."""
    used = infills_of(run.settings.masks.infill)
    out = {name: share for name, share in run.info.left_when_hidden.items() if name not in used}
    if not out:
        return ""
    names = ", ".join(f"{INFILLS.get(name, text(name))} ({percent(share)})" for name, share in out.items())
    return f"Left out, because hiding everything with these infills leaves more than a tenth of the score: {names}."


def rejection_rule(run: Run) -> str:
    """Return why clusters are rejected in this run, after "Groups of regions"."""
    if run.settings.summaries.keep == "used":
        return (
            "that hardly beat their control: over all images they take less than"
            f" {percent(run.settings.summaries.min_effect)} of the score above what the same pixels take elsewhere"
        )
    return f"whose members look too unlike each other: quality under {run.settings.summaries.min_score:g} of the median cluster"


def joint_sentences(joint: JointEffects, together: Together | None = None) -> list[str]:
    """Return which few summaries destroy the class, and which are enough for it.

    Where no few do, the first sentence says what all of them take, unless that is known of all images (`together`). What is
    shown stands beside the score when nothing is shown.
    """
    hidden, shown = joint.evidence
    nothing = f"nothing at all: {percent(float(joint.insertion[0]))}"
    if joint.destroying:
        few = _numbered(joint.destroying)
        first = f"Hiding {few} does nearly all that hiding all evidence does ({percent(1 - hidden)} of the score)."
    elif together is not None:
        first = ""
    else:
        first = (
            f"All summaries together take off {percent(1 - float(joint.deletion[-1]))} of the score, all evidence of the masks"
            f" {percent(1 - hidden)}: part of what the network uses is in no summary."
        )
    if joint.sufficient:
        few = _numbered(joint.sufficient)
        second = (
            f"Showing nothing but {few} brings nearly as much of the score as all evidence does ({percent(shown)}; {nothing})."
        )
    else:
        second = (
            f"Showing nothing but the summaries brings {percent(float(joint.insertion[-1]))} of the score, nothing but all"
            f" evidence {percent(shown)} ({nothing})."
        )
    return [first, second] if first else [second]


def chance_sentence(chance: Chance) -> str:
    """Return what random masks give, beside the run."""
    usual = float(np.median(chance.random_summaries))
    found = (
        f"When the masks of {counted(chance.images, 'image')} are moved to random places, the same steps find"
        f" {counted(round(usual), 'group')} (here: {chance.summaries}), and the regions of a group are"
    )
    typical = float(np.nanmedian(chance.random_likeness)) if np.isfinite(chance.random_likeness).any() else 0.0
    if typical <= 0:
        ratio = "not similar at all"
    elif chance.likeness >= typical:
        ratio = f"{chance.likeness / typical:.1f} times less similar"
    else:
        ratio = "more similar than here"
    as_good = round(chance.p_value * (1 + len(chance.random_likeness)) - 1)
    verdict = f"{as_good} of {len(chance.random_likeness)} random moves made groups as similar as these."
    return f"{found} {ratio}. {verdict} {chance_caution(chance.p_value)}".rstrip()


def number_of_parts(run: Run) -> dict[str, Any] | None:
    """Return which numbers of parts were tried, which one was taken and why, and which summaries would merge first.

    Returns
    -------
    dict or None
        ``count``, ``sentence``, ``became``; ``rows``: of each number that was tried count, explained, stability, reproducible
        parts, and whether it was taken; ``merges``: in words. None for a run that is not divided.
    """
    parts, wanted = run.parts, run.settings.parts
    if parts is None:
        return None
    own = counted(parts.count - parts.fixed_count, "part")
    if wanted is not None and wanted.count is not None:
        why = f"{own}, as requested."
    elif wanted is None or not parts.numbers:
        why = f"{own}."
    else:
        why = (
            f"{own}: the largest number whose parts are stable when the images are resampled (mean"
            f" stability {percent(wanted.stable)} or more, four fifths of the parts reproducible). Once the parts"
            f" explain {percent(wanted.explained)} of the variation of the evidence’s features, only splits that explain much"
            f" of the rest continue; at most {wanted.most}."
        )
    if parts.fixed_count:
        more = counted(parts.fixed_count, "fixed part looks", "fixed parts look")
        why += f" And {more} the same at the same place of most images."
    few = parts.count - len(run.summaries) - len(run.rejected)
    became = [f"{counted(len(run.summaries), 'is a summary', 'are summaries')}"]
    if run.rejected:
        became.append(counted(len(run.rejected), "hardly beats its control", "hardly beat their control"))
    if few > 0:
        became.append(counted(few, "is in too few images", "are in too few images"))
    return {
        "count": parts.count,
        "sentence": why,
        "became": ", ".join(became) + ".",
        "rows": [
            (one.count, percent(one.explained), percent(one.stability), round(one.reproducible * one.count), one.chosen)
            for one in parts.numbers
        ],
        "merges": merges(parts, [summary.part for summary in run.summaries]),
    }


def merges(parts: Parts, part_of: Sequence[int | None]) -> list[str]:
    """Return, for each coarser number of groups, which summaries would be joined: "1 and 3 with 2".

    Parts that became no summary are left out.

    Parameters
    ----------
    parts : Parts
    part_of : sequence of int
        Part of each summary.
    """
    groups = {part: [k + 1 for k, own in enumerate(part_of) if own == part] for part in range(parts.count)}
    found = []
    for step, (a, b) in enumerate(parts.tree[:, :2].astype(int).tolist()):
        first, second = sorted((groups[a], groups[b]))
        groups[parts.count + step] = sorted(first + second)
        if first and second:
            found.append(f"{listed(first)} with {listed(second)}")
    return found
