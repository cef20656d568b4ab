"""The page of a specialized network: what its template shows, as plain values."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from visual_summaries.files.atomic import write_text
from visual_summaries.pages import words
from visual_summaries.pages.shell import base_style, data_uri, render_self_contained, resource
from visual_summaries.pages.strips import draw_member
from visual_summaries.pages.words import text
from visual_summaries.results import Run
from visual_summaries.specialization.specializing import ClassResult, PartResult, Rates, Specialization

PAGE = "specialized.html"

#: Regions that the row of a part shows, and about how many pixels on a side.
TILES, SIDE = 5, 200


def write_specialization(result: Specialization, folder: Path) -> Path:
    """Write the page into a folder and return its path."""
    write_text(folder / PAGE, render_page(result))
    return folder / PAGE


def render_page(result: Specialization) -> str:
    """Return the page's HTML; all text from outside is escaped, and it runs no script."""
    style = base_style() + resource("specialized.css")
    return render_self_contained("specialized.html.j2", style=style, scripts={}, context=context(result))


def context(result: Specialization) -> dict[str, Any]:
    """Return everything that the template reads."""
    used = sum(part.weight > 0 for one in result.classes for part in one.parts)
    parts = sum(len(one.parts) for one in result.classes)
    return {
        "title": text(result.original.spec),
        "verdict": verdict(result),
        "unchanged": result.unchanged,
        "counts": f"{words.counted(used, 'detector')} of {words.counted(parts, 'summary', 'summaries')} used",
        "classes": [_class(one, run) for one, run in zip(result.classes, result.runs, strict=True)],
        "limits": (f"{result.settings.evidence_limit:g}", f"{result.settings.offset_limit:g}"),
        "spare": f"{100 * result.settings.spare:g}\N{NO-BREAK SPACE}%",
        "settings": [(name, text(str(value))) for name, value in result.to_dict()["settings"].items()],
        "skipped": [(text(name), text(reason)) for name, reason in result.skipped],
    }


def verdict(result: Specialization) -> str:
    """Return what came of it, in a sentence."""
    better = [one for one in result.classes if not one.unchanged]
    if not better:
        return "Nothing was added: no part tells more than the network's own score, so the network is unchanged."
    left = len(result.classes) - len(better)
    before, after = (float(np.mean([getattr(one, name).precision for one in better])) for name in ("before", "after"))
    said = (
        f"{words.counted(len(better), 'class', 'classes')} specialized: average precision {before:.3f} before, {after:.3f} "
        "after, by cross-validation on the training images."
    )
    return f"{said} {words.counted(left, 'class', 'classes')} left as before." if left else said


def _class(one: ClassResult, run: Run) -> dict[str, Any]:
    most = max((part.weight for part in one.parts), default=0.0) or 1.0
    return {
        "name": text(one.name),
        "unchanged": one.unchanged,
        "images": one.images,
        "others": one.others,
        "gain": f"{_signed(1000 * one.gain, 2)} ± {1000 * one.error:.2f}" if math.isfinite(one.error) else words.UNKNOWN,
        "shift": _signed(one.shift, 2),
        "rows": [
            _rates("as it was", one.before, one),
            _rates("with a constant added, nothing else", one.shifted, one),
            _rates("with its parts", one.after, one),
        ],
        "parts": [_part(part, run, most) for part in sorted(one.parts, key=lambda part: (-part.precision, -part.weight))],
    }


def _rates(name: str, rates: Rates, one: ClassResult) -> dict[str, str]:
    return {
        "name": name,
        "precision": f"{rates.precision:.3f}",
        "right": f"{rates.right} of {one.images}",
        "fired": f"{rates.fired} of {one.others}",
    }


def _part(part: PartResult, run: Run, most: float) -> dict[str, Any]:
    summary = run.summaries[part.summary]
    return {
        "name": text(part.name),
        "used": part.weight > 0,
        "weight": f"{part.weight:.2f}",
        "width": round(100 * part.weight / most, 1),
        "precision": _signed(part.precision, 4),
        "gain": _signed(1000 * part.gain, 2),
        "own": _signed(part.own, 1),
        "others": _signed(part.others, 1),
        "images": part.images,
        "applied": part.applied,
        "tiles": [_tile(run, member.region) for member in summary.members[:TILES]],
    }


def _tile(run: Run, index: int) -> dict[str, str]:
    image = run.images[run.regions[index].image]
    return {"picture": data_uri(draw_member(run, index, SIDE, whole=True)), "name": text(image.name)}


def _signed(value: float, digits: int) -> str:
    """Return a number with its sign.

    Examples
    --------
    >>> _signed(-0.125, 2), _signed(0.5, 1)
    ('−0.12', '+0.5')
    """
    return f"{value:+.{digits}f}".replace("-", "−")
