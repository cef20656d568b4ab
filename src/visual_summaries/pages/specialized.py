"""The page of a specialized network."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from visual_summaries.files.atomic import write_text
from visual_summaries.pages import words
from visual_summaries.pages.rendering import draw_member
from visual_summaries.pages.shell import base_style, data_uri, render_self_contained, resource
from visual_summaries.results import Run
from visual_summaries.specialization.specializing import ClassResult, Specialization

PAGE = "specialized.html"

#: Regions that the row of a part shows, and about how many pixels on a side.
TILES, SIDE = 5, 200


def write_specialization(result: Specialization, folder: Path) -> Path:
    """Write the page into a folder and return its path."""
    write_text(folder / PAGE, render_page(result))
    return folder / PAGE


def render_page(result: Specialization) -> str:
    """Return the page's HTML; all text from outside is escaped, and it runs no script."""
    parts = [part for one in result.classes for part in one.parts]
    used = words.counted(sum(part.weight > 0 for part in parts), "detector")
    context = {
        "result": result,
        "verdict": verdict(result),
        "counts": f"{used} of {words.counted(len(parts), 'summary', 'summaries')} used",
        "settings": result.to_dict()["settings"],
        **{one.__name__: one for one in (gain, signed, tiles)},
    }
    style = base_style() + resource("specialized.css")
    return render_self_contained("specialized.html.j2", style=style, scripts={}, context=context)


def verdict(result: Specialization) -> str:
    """Return the result, in a sentence."""
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


def gain(one: ClassResult) -> str:
    """Return the gain in log likelihood of a class, in thousandths, with its standard error."""
    return f"{signed(1000 * one.gain, 2)} ± {1000 * one.error:.2f}" if math.isfinite(one.error) else words.UNKNOWN


def tiles(run: Run, summary: int) -> list[tuple[str, str]]:
    """Return pictures of a summary's first regions, each with the name of its image."""
    regions = [member.region for member in run.summaries[summary].members[:TILES]]
    names = [run.images[run.regions[region].image].name for region in regions]
    return [(data_uri(draw_member(run, region, SIDE, whole=True)), name) for region, name in zip(regions, names, strict=True)]


def signed(value: float, digits: int) -> str:
    """Return a number with its sign.

    Examples
    --------
    >>> signed(-0.125, 2), signed(0.5, 1)
    ('−0.12', '+0.5')
    """
    return f"{value:+.{digits}f}".replace("-", "−")
