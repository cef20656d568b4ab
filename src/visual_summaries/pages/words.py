"""Figures and findings in words that a reader without the method in mind understands."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from statistics import median

import numpy as np
from numpy.typing import NDArray

from visual_summaries.results import Mask, Run, Skipped, Summary, SummaryAnalysis
from visual_summaries.settings.masks import infills_of

#: What stands for a figure that is not known.
UNKNOWN = "–"
#: Reasons of skipped images, in words (anything else is shown as it is).
REASONS = {
    "misclassified": "the network sees another class",
    "unreadable": "cannot be read as an image",
    "truncated": "the file is cut short",
    "too-small": "too small",
    "too-elongated": "too long and thin",
    "too-large": "too large",
}
#: A mask misses what the network relies on when more than this share of the score is left (as in ``Mask.warnings``).
SCORE_LEFT = 0.5


def text(value: object) -> str:
    r"""Return any value as text that UTF-8 can hold: file names may have bytes that are no characters.

    Examples
    --------
    >>> text("a\udcff.jpg")
    'a?.jpg'
    """
    return str(value).encode("utf-8", "replace").decode("utf-8")


def score_text(value: float) -> str:
    """Return a score in two decimals; small ones are not rounded to nothing.

    Examples
    --------
    >>> score_text(0.934), score_text(0.0004), score_text(0.0), score_text(0.9995), score_text(float("nan")), score_text(17.254)
    ('0.93', 'under 0.01', '0.00', 'over 0.99', '–', '17.25')
    """
    if not math.isfinite(value):
        return UNKNOWN
    if 0 < value < 0.005:
        return "under 0.01"
    return "over 0.99" if 0.995 <= value < 1 else f"{value:.2f}"


def percent(value: float) -> str:
    """Return a share as a percentage, with a real minus and a space that does not break.

    Examples
    --------
    >>> [percent(value).replace(chr(160), " ") for value in (0.431, -0.02, -0.002, float("nan"))]
    ['43 %', '−2 %', '0 %', '–']
    """
    if not math.isfinite(value):
        return UNKNOWN
    # Rounding first and adding 0 turns the -0 of a tiny negative share into 0.
    return f"{round(value, 2) + 0.0:.0%}".replace("-", "−").replace("%", "\u00a0%")


def changed(loss: float) -> str:
    """Return what a loss does to a score, with its sign.

    Examples
    --------
    >>> [changed(value).replace(chr(160), " ") for value in (0.03, -0.07, 0.001)]
    ['−3 %', '+7 %', '0 %']
    """
    shown = percent(-loss)
    return shown if shown.startswith(("−", "0\u00a0", UNKNOWN)) else f"+{shown}"


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Return a number and its noun.

    Examples
    --------
    >>> counted(1, "image"), counted(2, "image"), counted(0, "summary", "summaries")
    ('1 image', '2 images', '0 summaries')
    """
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def covered_images(run: Run, summary: Summary) -> int:
    """Return how many images have a region in the summary's cluster."""
    return len({run.regions[index].image for index in summary.cluster})


def headline(run: Run, name: str) -> str:
    """Return what the class relies on, in one or two plain sentences."""
    return f"{_hiding_sentence(run, name)} {_summaries_sentence(run)}"


def _hiding_sentence(run: Run, name: str) -> str:
    if not run.masks:
        return f"No image was explained, so nothing is known of what “{name}” relies on."
    before = median(mask.score_before for mask in run.masks)
    after = median(mask.score_after for mask in run.masks)
    if before > 0 and after > before * SCORE_LEFT:
        return (
            f"Hiding the evidence found here takes the score of “{name}” only from {score_text(before)} to {score_text(after)}:"
            " the masks miss much of what the network relies on."
        )
    return f"Hiding the evidence found here takes the score of “{name}” from {score_text(before)} to {score_text(after)}."


def _summaries_sentence(run: Run) -> str:
    if not run.summaries and run.parts is not None:
        return f"None of its {counted(run.parts.count, 'part')} is a visual summary."
    if not run.summaries:
        return "No part of it comes back often and alike enough to be a visual summary."
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
    if run.rejected:
        why = (
            "hardly beat their control"
            if summaries.keep == "used"
            else f"look too unlike each other: their quality is under {summaries.min_score:g}"
        )
        return (
            f"{counted(len(run.regions), 'region')} were compared, but the members of every cluster ({len(run.rejected)})"
            f" {why}. They are shown under “Rejected clusters”. More images of the class usually help."
        )
    if summaries.min_coverage:
        return (
            f"{counted(len(run.regions), 'region')} were compared, but no group of them comes from"
            f" {summaries.min_members} images or more and from {percent(summaries.min_coverage)} of all. More images of the"
            " class usually help."
        )
    return (
        f"{counted(len(run.regions), 'region')} were compared, but no group of them comes from"
        f" {run.settings.summaries.min_members} images or more. More images of the class usually help."
    )


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


#: Infills, in words (anything else is shown as it is).
INFILLS = {"strong-blur": "strong blur", "mean": "the mean color", "inpaint": "inpainting"}


def hiding_sentence(run: Run) -> str:
    """Return how pixels are hidden when effects are measured, and what the figures are."""
    infills = [INFILLS.get(name, name) for name in infills_of(run.settings.masks.infill)]
    means = "figures are means over the images"
    if len(infills) == 1:
        return f"Pixels are hidden by {infills[0]}, as when the masks were sought; {means}."
    listed = f"{', '.join(infills[:-1])} or {infills[-1]}"
    return (
        f"Pixels are hidden by {listed}, as when the masks were sought: in each image by one of these infills, which the image"
        f" itself decides; {means}."
    )


def left_out_sentence(run: Run) -> str:
    """Return which infills were left out of the run, and why; empty where none was."""
    used = infills_of(run.settings.masks.infill)
    out = {name: share for name, share in run.info.left_when_hidden.items() if name not in used}
    if not out:
        return ""
    listed = ", ".join(f"{INFILLS.get(name, text(name))} ({percent(share)})" for name, share in out.items())
    return f"Left out, because hiding everything with these infills leaves more than a tenth of the score: {listed}."


def rejection_rule(run: Run) -> str:
    """Return why clusters are rejected in this run, after "Groups of regions"."""
    if run.settings.summaries.keep == "used":
        return (
            "that hardly beat their control: over all images they take less than"
            f" {percent(run.settings.summaries.min_effect)} of the score above what the same pixels take elsewhere"
        )
    return f"whose members look too unlike each other: quality under {run.settings.summaries.min_score:g} of the median cluster"


def summary_sentence(run: Run, summary: Summary) -> str:
    """Return what a summary is, in plain words."""
    covered, images, shown = covered_images(run, summary), len(run.images), len(summary.members)
    drop = summary.importance
    if summary.analysis is not None:
        effect = measured_effect(summary.analysis)
    elif not math.isfinite(drop):
        effect = "What hiding it does to the score was not measured."
    elif drop > 0:
        effect = f"Hiding it, and nothing else, takes {percent(drop)} off the score, on average over the members shown."
    else:
        effect = "Hiding it alone does not lower the score: other evidence makes up for it."
    found = f"Found in {covered} of {counted(images, 'image')} ({percent(covered / images) if images else UNKNOWN})"
    clearest = f"; the {shown} clearest are shown" if shown < covered else ""
    return f"{found}{clearest}. {effect}"


def measured_effect(analysis: SummaryAnalysis) -> str:
    """Return what hiding a summary does, beside the same pixels elsewhere.

    Examples
    --------
    >>> import numpy as np
    >>> zero = np.zeros(2, np.float32)
    >>> one = SummaryAnalysis(np.arange(2), zero + 0.4, zero, (0.3, 0.5), 1.0)
    >>> print(measured_effect(one).replace(chr(160), " "))
    It accounts for 40 % of the score there, the same pixels elsewhere on the object for 0 %.
    """
    return (
        f"It accounts for {percent(analysis.importance)} of the score there, the same pixels elsewhere on the object for"
        f" {percent(analysis.control)}."
    )


def skipped_by_reason(skipped: Iterable[Skipped]) -> list[tuple[str, int]]:
    """Return the reasons in words with their counts, most frequent first.

    Examples
    --------
    >>> skipped_by_reason([Skipped("a", "truncated", ""), Skipped("b", "truncated", ""), Skipped("c", "odd", "")])
    [('the file is cut short', 2), ('odd', 1)]
    """
    return Counter(REASONS.get(item.reason, item.reason) for item in skipped).most_common()


#: Title and explanation of each of :attr:`Mask.warnings <visual_summaries.results.Mask.warnings>`.
WARNINGS = {
    "weak": (
        "the mask does not halve the score",
        "The score with the evidence hidden is more than half of what it was: these masks do not show"
        " what the network relies on. More iterations, or a lower weight of the area (l1), may help.",
    ),
    "shows": (
        "hiding all of the image leaves more than half of the score",
        "The network recognizes these images even when they are hidden altogether, so hiding pixels says little about them."
        " Another infill (masks.infill, for example strong-blur, mean or noise) may help.",
    ),
    "large": (
        "the mask hides more than 60\u00a0% of the image",
        "So much is hidden that the mask hardly points at a part. A higher weight of the area (l1) may help.",
    ),
}


#: What each figure of :class:`~visual_summaries.results.Faithfulness` means, and how it is written.
FAITHFULNESS: dict[str, tuple[str, Callable[[float], str]]] = {
    "drop": ("Score lost when the evidence is hidden (high is good)", percent),
    "drop_worst": ("The same in the worst infill", percent),
    "average_drop": ("Score lost when nothing but the evidence is shown (low is good)", percent),
    "average_drop_worst": ("The same in the worst infill", percent),
    "increase": ("Images whose score rises when nothing but the evidence is shown (high is good)", percent),
    "deletion": ("Mean score while pixels are hidden, strongest evidence first (low is good)", score_text),
    "insertion": ("Mean score while pixels are shown, strongest evidence first (high is good)", score_text),
}

#: What the columns of ``Faithfulness.holds`` mean.
HOLDS = (
    "Effect kept when the mask is shifted by 2\u00a0% of the side (high is good)",
    "Effect kept when its outline is smoothed (high is good)",
    "Effect kept in infills that no mask was optimized under (high is good)",
)


def mask_sentence(mask: Mask) -> str:
    """Return what hiding an image's evidence does, in words."""
    says = f"Hiding the evidence, {percent(mask.area)} of the image, takes {percent(mask.drop)} off the score"
    if math.isfinite(mask.normalized_score):
        says += f" ({percent(-mask.normalized_score)} of what hiding everything takes)"
    if len(mask.after) == 1:
        return f"{says}."
    return f"{says} on average over {len(mask.after)} infills; the worst leaves {score_text(float(mask.after.max()))}."


def holds_sentence(holds: NDArray[np.float32]) -> str | None:
    """Return how much of a mask's effect is kept when the mask is changed, in words; None where it has no effect.

    Examples
    --------
    >>> holds_sentence(np.array([0.97, 0.95, 0.9], np.float32)).replace(chr(160), " ")
    'It keeps 97 % of this effect when it is shifted by 2 % of the side, 95 % when its outline is smoothed, and ...'
    """
    if not np.isfinite(holds).all():
        return None
    shifted, smoothed, others = (percent(float(value)) for value in holds)
    return (
        f"It keeps {shifted} of this effect when it is shifted by 2\u00a0% of the side, {smoothed} when its outline is"
        f" smoothed, and {others} in infills that it was not optimized under."
    )


def warning_groups(masks: Sequence[Mask]) -> list[tuple[str, str, list[int]]]:
    """Return title, explanation and image positions of each warning that holds for some mask."""
    flags = [mask.warnings for mask in masks]
    groups = []
    for key, (title, text) in WARNINGS.items():
        positions = [position for position, found in enumerate(flags) if key in found]
        if positions:
            groups.append((f"{counted(len(positions), 'image')}: {title}", text, positions))
    return groups
