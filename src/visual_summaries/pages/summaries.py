"""The report's summaries and the rest of the evidence: the sentences about each, and the values that the template shows."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visual_summaries.masks.seen import infill_of
from visual_summaries.pages import words
from visual_summaries.pages.effects import effect_strip, headline_figure
from visual_summaries.pages.findings import INFILLS, rest_sentence
from visual_summaries.pages.geometry import (
    TOLERANCE,
    contours,
    convex_hull,
    crop_window,
    outline,
    svg_path,
    touching_regions,
)
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


def piece_paths(run: Run) -> list[tuple[str, str]]:
    """Return the outlines of members that are not all that their part has in the image: what was hidden to get their score."""
    found = {
        member.region: run.regions[member.region]
        for summary in (*run.summaries, *run.rejected)
        for member in summary.members
        if not _is_whole(run, summary, member.region)
    }
    return [
        (_piece_name(index), svg_path(polygon + region.box[:2] for polygon in contours(region.mask, TOLERANCE)))
        for index, region in sorted(found.items())
    ]


def _piece_name(region: int) -> str:
    return f"r{region}"


def _is_whole(run: Run, summary: Summary, region: int) -> bool:
    """Tell whether a region is all that its part has in its image."""
    image = run.regions[region].image
    return run.parts is not None and [index for index in summary.cluster if run.regions[index].image == image] == [region]


def summary_values(
    run: Run, summary: Summary, number: int, *, kept: bool, ends: tuple[float, float] = (0.0, 1.0)
) -> dict[str, Any]:
    """Return what the template shows of a summary or a rejected cluster.

    `number` is that of its part, `ends` the scale of the strips.
    """
    analysis = summary.analysis
    values: dict[str, Any] = {
        "summary": summary,
        "number": summary.index + 1,
        "covered": covered_images(run, summary),
        "sentence": summary_sentence(run, summary),
        "members": [_member(run, summary, member, number, kept=kept) for member in summary.members],
        "stability": None if analysis is None or math.isnan(analysis.stability) else percent(analysis.stability),
        "difference": None if analysis is None or math.isnan(analysis.interval[0]) else span(*analysis.interval),
        "doubts": [] if analysis is None else doubts(analysis),
        "certainty": "" if analysis is None else certainty(analysis),
    }
    if kept:
        values["lies"] = lies_sentence(run, summary.index)
        values["card"] = draw_member(run, summary.exemplar, CARD_SIDE)
        values["exemplar"] = values["members"][0]
        values["headline"] = headline_figure(run, summary)
        values["strip"] = effect_strip(run, summary, ends)
        values["sorting"] = _sorting(run, summary)
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


def _sorting(run: Run, summary: Summary) -> dict[str, float]:
    """Return what the strip of summaries can be sorted by, all of it best when high; what is not known comes last."""
    analysis, rank = summary.analysis, -float(summary.index)
    figures = {"rank": rank, "images": float(covered_images(run, summary)), "quality": summary.score}
    if analysis is not None:
        figures |= {"importance": analysis.importance, "stability": analysis.stability}
    else:
        figures["importance"] = summary.importance
    return {key: round(value, 6) if math.isfinite(value) else -1e9 for key, value in figures.items()}


def _whole(run: Run, image: int, part: int) -> dict[str, Any]:
    """Return what a part has in an image, for SVG in view pixels."""
    height, width = run.images[image].view.shape[:2]
    way = infill_of(run.images[image].view, run.settings.masks)
    return {
        "way": INFILLS.get(way, way),
        "piece": None,
        "score": None,
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


def _member(run: Run, summary: Summary, member: Member, part: int, *, kept: bool) -> dict[str, Any]:
    region, similarity = run.regions[member.region], member.similarity
    drop, score = region.drop, run.images[region.image].score
    likeness = percent(similarity) if run.parts is not None else f"{similarity:.3g}"
    return _drawn(run, region, part) | {
        "piece": None if _is_whole(run, summary, member.region) else _piece_name(member.region),
        # Measured by the run, with this region alone hidden by this infill.
        "score": (score, score * (1 - drop)) if math.isfinite(drop) else None,
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
                f"Stability only {percent(analysis.stability)}: when the images are resampled, little of this part is found"
                " again. Its outline is uncertain, and it may merge with another part or split.",
            )
        )
    return found


def certainty(analysis: SummaryAnalysis) -> str:
    """Return the intervals of the importance and of the group; nothing that :func:`doubts` says."""
    parts = []
    if analysis.beats_control:
        low, high = analysis.interval
        parts.append(f"It beats its control (95\u00a0% interval of the difference: {span(low, high)}).")
    if analysis.reproducible:
        parts.append(
            f"Stability {percent(analysis.stability)}: how much of this part is found again when the images are resampled."
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
        hiding = f"hiding one takes {percent(summary.importance)} of the score on average"
        return f"{covered}, quality {summary.score:.2f}, {hiding}".replace("\u00a0", " ")
    steady = "" if math.isnan(analysis.stability) else f", stability {percent(analysis.stability)}"
    marks = "".join(f"; {badge.upper()}" for badge, _ in doubts(analysis))
    line = (
        f"importance {percent(analysis.importance)} (same pixels elsewhere {percent(analysis.control)}),"
        f" {covered}{steady}, quality {summary.score:.2f}{marks}"
    )
    return line.replace("\u00a0", " ")
