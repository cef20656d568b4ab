"""The report's summaries and the rest of the evidence: what is said of each, and the values that the template shows."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visual_summaries.pages import words
from visual_summaries.pages.findings import rest_sentence
from visual_summaries.pages.geometry import convex_hull, crop_window, outline, svg_path, touching_regions
from visual_summaries.pages.rendering import draw_member, pixels_in, render_part
from visual_summaries.pages.verdict import lies_sentence
from visual_summaries.pages.words import covered_images, percent, span
from visual_summaries.results import Member, Region, Run, Summary, SummaryAnalysis

#: The exemplar pictures of the strip have about this many pixels on a side.
CARD_SIDE = 320
#: So many images of the rest are shown, those with most of it.
REST_IMAGES = 6

#: Pixels by number of the part and index of the image. Parts are numbered from 1, kept ones first; 0 is the rest.
PartPixels = dict[tuple[int, int], NDArray[np.bool_]]


def part_name(part: int, image: int) -> str:
    """Return by which name the page has the outline of a part in an image."""
    return f"{part}-{image}"


def groups_of(summaries: Iterable[Summary]) -> dict[int, int]:
    """Return the number of the summary, from 1, of each region that is in one."""
    return {region: summary.index + 1 for summary in summaries for region in summary.cluster}


def pixels_of_parts(run: Run) -> PartPixels:
    """Return the pixels of each part of a divided run in each image that has it, and those of the rest that are shown."""
    if run.parts is None:
        return {}
    pixels = {
        (number, image): pixels_in(run, part.cluster, image)
        for number, part in enumerate((*run.summaries, *run.rejected), start=1)
        for image in sorted({run.regions[index].image for index in part.cluster})
    }
    if run.analysis is None or run.analysis.together is None:
        return pixels
    left = [run.evidence(index) & (run.labels(index) < 0) for index in range(len(run.images))]
    most = sorted(range(len(left)), key=lambda index: (-int(left[index].sum()), index))[:REST_IMAGES]
    return pixels | {(0, index): left[index] for index in most if left[index].any()}


def summary_values(run: Run, summary: Summary, number: int, *, kept: bool) -> dict[str, Any]:
    """Return what the template shows of a summary or a rejected cluster; `number` is that of its part."""
    analysis = summary.analysis
    values: dict[str, Any] = {
        "summary": summary,
        "number": summary.index + 1,
        "covered": covered_images(run, summary),
        "sentence": summary_sentence(run, summary),
        "members": [_member(run, member, number, kept=kept) for member in summary.members],
        "stability": None if analysis is None or math.isnan(analysis.stability) else percent(analysis.stability),
        "difference": None if analysis is None or math.isnan(analysis.interval[0]) else span(*analysis.interval),
        "doubts": [] if analysis is None else doubts(analysis),
        "certainty": "" if analysis is None else certainty(analysis),
    }
    if kept:
        values["lies"] = lies_sentence(run, summary.index)
        values["card"] = draw_member(run, summary.exemplar, CARD_SIDE)
        values["exemplar"] = _drawn(run, run.regions[summary.exemplar], number)
    return values


def rest_values(run: Run, pixels: PartPixels) -> dict[str, Any] | None:
    """Return how much evidence is in no summary, what it does, and the images with most of it."""
    together = None if run.analysis is None else run.analysis.together
    if run.parts is None or together is None or not run.images:
        return None
    shown = [image for part, image in pixels if part == 0]
    card = None
    for image in shown[:1]:
        scale = max(1, round(CARD_SIDE / max(pixels[0, image].shape)))
        card = render_part(run.images[image].view, pixels[0, image], run.evidence(image), scale=scale)
    tiles = [_whole(run, image, 0) for image in shown]
    return {"together": together, "sentence": rest_sentence(together), "card": card, "tiles": tiles}


def _whole(run: Run, image: int, part: int) -> dict[str, Any]:
    """Return what a part has in an image, for SVG in view pixels."""
    height, width = run.images[image].view.shape[:2]
    return {
        "image": image,
        "name": run.images[image].name,
        "width": width,
        "height": height,
        "window": f"0 0 {width} {height}",
        "part": part_name(part, image),
    }


def _drawn(run: Run, region: Region, part: int) -> dict[str, Any]:
    """Return a region's outlines, for SVG in view pixels; of a part all that it has in the image."""
    whole = _whole(run, region.image, part)
    if run.parts is not None:
        return whole
    evidence = run.evidence(region.image)
    return whole | {
        "part": None,
        "window": " ".join(map(str, crop_window(region.box, evidence.shape))),
        "box": region.box,
        "hull": svg_path([convex_hull(evidence, region.box)]),
        "touching": outline(touching_regions(evidence, region.box)),
    }


def _member(run: Run, member: Member, part: int, *, kept: bool) -> dict[str, Any]:
    drop, similarity = run.regions[member.region].drop, member.similarity
    likeness = percent(similarity) if run.parts is not None else f"{similarity:.3g}"
    return _drawn(run, run.regions[member.region], part) | {
        "similarity": likeness if math.isfinite(similarity) else None,
        "drop": drop if math.isfinite(drop) else None,
        "warped": member.warped if kept else None,
    }


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


def summary_sentence(run: Run, summary: Summary) -> str:
    """Return what a summary is, in plain words."""
    covered, images, shown = covered_images(run, summary), len(run.images), len(summary.members)
    drop = summary.importance
    if summary.analysis is not None:
        effect = (
            f"It accounts for {percent(summary.analysis.importance)} of the score there, the same pixels elsewhere on the"
            f" object for {percent(summary.analysis.control)}."
        )
    elif not math.isfinite(drop):
        effect = "What hiding it does to the score was not measured."
    elif drop > 0:
        effect = f"Hiding it, and nothing else, takes {percent(drop)} off the score, on average over the members shown."
    else:
        effect = "Hiding it alone does not lower the score: other evidence makes up for it."
    found = f"Found in {covered} of {words.counted(images, 'image')} ({percent(covered / images) if images else words.UNKNOWN})"
    clearest = f"; the {shown} clearest are shown" if shown < covered else ""
    return f"{found}{clearest}. {effect}"


def summary_line(run: Run, summary: Summary) -> str:
    """Return one line about a summary for a terminal."""
    covered = f"in {covered_images(run, summary)} of {words.counted(len(run.images), 'image')}"
    analysis = summary.analysis
    if analysis is None:
        return f"{covered}, quality {summary.score:.2f}, hiding one takes {summary.importance:.0%} of the score on average"
    steady = "" if math.isnan(analysis.stability) else f", stability {analysis.stability:.0%}"
    marks = "".join(f"; {badge.upper()}" for badge, _ in doubts(analysis))
    return (
        f"importance {analysis.importance:.0%} (same pixels elsewhere {analysis.control:.0%}),"
        f" {covered}{steady}, quality {summary.score:.2f}{marks}"
    )
