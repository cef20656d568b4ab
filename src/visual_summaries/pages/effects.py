"""What a summary does in each image, as a strip of dots beside the figure that it is ranked by."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

from visual_summaries.pages.words import percent, score_text, span
from visual_summaries.results import Run, Summary

#: Width and height of a strip, in its own units; dots are so wide, and stack up to so many above and below the middle.
WIDTH, HEIGHT, DOT, STACK = 120, 24, 3.4, 4
_RIM = 4


def ranked_by_importance(run: Run) -> bool:
    """Tell whether summaries are ranked by what they do; else by their quality."""
    return run.settings.summaries.rank == "importance"


def headline_figure(run: Run, summary: Summary) -> tuple[str, str, str]:
    """Return the figure that a summary is ranked by, what it is of, and its 95 % interval; what is not known is empty."""
    if not ranked_by_importance(run):
        return score_text(summary.score), "quality", ""
    found = summary.analysis
    if found is None:
        return percent(summary.importance), "of the score, hidden alone", ""
    low, high = (bound * found.coverage for bound in found.interval)
    return percent(found.class_effect), "of the score", span(low, high) if math.isfinite(low) else ""


def effects_of(run: Run, summary: Summary) -> dict[int, float]:
    """Return what a summary takes above its control in each image that has it; their sum over all images makes its effect."""
    found = summary.analysis
    if found is None:
        return {}
    return dict(zip(found.images.tolist(), (found.shares - found.share_controls).astype(float).tolist(), strict=True))


def strip_range(run: Run) -> tuple[float, float]:
    """Return the least and the greatest effect of all summaries, for one scale of all strips; 0 lies in it."""
    every = [effect for summary in run.summaries for effect in effects_of(run, summary).values() if math.isfinite(effect)]
    return min([0.0, *every]), max([0.05, *every])


def effect_strip(run: Run, summary: Summary, ends: tuple[float, float]) -> dict[str, Any] | None:
    """Return a strip: a dot an image at what the summary takes there above its control; hollow at 0 without it.

    Returns
    -------
    dict or None
        ``size``, ``zero``, ``mean``, ``band`` (x and width of the interval, or None), ``dots`` (x, y, image, name, effect in
        words, whether the image has it), ``label``. None where nothing was measured.

    Examples
    --------
    >>> place_dots([10.0, 10.5, 30.0])
    [(10.0, 12.0), (10.5, 15.4), (30.0, 12.0)]
    """
    found = summary.analysis
    if found is None or not ranked_by_importance(run):
        return None
    low, high = ends

    def x(value: float) -> float:
        share = (min(max(value, low), high) - low) / (high - low)
        return round(_RIM + share * (WIDTH - 2 * _RIM), 1)

    effects = {image: effect for image, effect in effects_of(run, summary).items() if math.isfinite(effect)}
    rows = sorted((effects.get(image.index, 0.0), image.index) for image in run.images)
    places = place_dots([x(effect) for effect, _ in rows])
    bounds = [x(bound * found.coverage) for bound in found.interval] if math.isfinite(found.interval[0]) else None
    shown, of, within = headline_figure(run, summary)
    return {
        "size": (WIDTH, HEIGHT),
        "zero": x(0.0),
        "mean": x(found.class_effect),
        "band": None if bounds is None else (bounds[0], round(max(bounds[1] - bounds[0], 0.5), 1)),
        "dots": [
            (*place, index, run.images[index].name, percent(effect), index in effects)
            for place, (effect, index) in zip(places, rows, strict=True)
        ],
        "label": f"Effect in each of {len(rows)} images, mean {shown} {of}"
        + (f", 95\u00a0% interval {within}" if within else ""),
    }


def place_dots(xs: Iterable[float]) -> list[tuple[float, float]]:
    """Return a place for each dot: at its x, stacked above and below the middle where others are."""
    taken: Counter[int] = Counter()
    places = []
    for x in xs:
        column = round(x / DOT)
        step = taken[column] % (2 * STACK)  # more lie over one another
        taken[column] += 1
        offset = (step + 1) // 2 * (DOT if step % 2 else -DOT)
        places.append((x, round(HEIGHT / 2 + min(max(offset, -HEIGHT / 2 + 2), HEIGHT / 2 - 2), 1)))
    return places
