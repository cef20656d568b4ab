"""The pictures of a run's regions: boxes as the paper draws them, parts with all their pixels in the image."""

from __future__ import annotations

from collections.abc import Iterable

import jinja2
import numpy as np
from numpy.typing import NDArray

from visual_summaries.pages import words
from visual_summaries.pages.geometry import window_around
from visual_summaries.pages.rendering import render_part, render_region
from visual_summaries.pages.shell import data_uri
from visual_summaries.results import Run, Summary


def pixels_in(run: Run, cluster: Iterable[int], image: int) -> NDArray[np.bool_]:
    """Return the pixels that some regions have in an image: ``bool (H, W)``.

    Parameters
    ----------
    run : Run
    cluster : iterable of int
        Indices into ``run.regions``, of any images.
    image : int
        Index of the image.
    """
    height, width = run.images[image].view.shape[:2]
    pixels = np.zeros((height, width), bool)
    for region in (run.regions[index] for index in cluster):
        if region.image == image:
            x0, y0, x1, y1 = region.box
            pixels[y0:y1, x0:x1] |= region.mask
    return pixels


def part_of(run: Run, region: int) -> Summary | None:
    """Return the summary, kept or rejected, whose cluster a region is in."""
    return next((summary for summary in (*run.summaries, *run.rejected) if region in summary.cluster), None)


def part_pixels(run: Run, region: int) -> NDArray[np.bool_]:
    """Return the pixels that a region's part has in the region's image: ``bool (H, W)``, all pieces of it.

    Only the region's own where it is in no part, and with the preset ``"paper"``, where regions of a summary are not exclusive.
    """
    part = None if run.parts is None else part_of(run, region)
    return pixels_in(run, [region] if part is None else part.cluster, run.regions[region].image)


def draw_member(run: Run, region: int, side: int, *, style: str = "overlay", whole: bool = False) -> NDArray[np.uint8]:
    """Draw a region of a run.

    Parameters
    ----------
    run : Run
    region : int
        Index into ``run.regions``.
    side : int
        About how many pixels the picture's longer side has.
    style : str
        ``"overlay"``, ``"image"`` or ``"mask"``.
    whole : bool
        Whether a box is shown in its whole image (preset ``"paper"``); a part always is.

    Returns
    -------
    ndarray of uint8, (h, w, 3)
        By :func:`~visual_summaries.pages.rendering.render_part`; with the preset ``"paper"`` by
        :func:`~visual_summaries.pages.rendering.render_region`.
    """
    shown = run.regions[region]
    view, evidence = run.images[shown.image].view, run.evidence(shown.image)
    if run.parts is not None:
        scale = max(1, round(side / max(evidence.shape)))
        return render_part(view, part_pixels(run, region), evidence, style=style, scale=scale)
    height, width = evidence.shape
    window = (0, 0, width, height) if whole else window_around(shown.box, evidence.shape)
    scale = max(1, round(side / max(window[2] - window[0], window[3] - window[1])))
    return render_region(view, evidence, shown.box, window=window, scale=scale, style=style)


#: Members that a row shows, and about how many pixels wide each is.
MEMBERS, SIDE = 6, 96

_TEMPLATE = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(
    """<div><p><b>{{ target }}</b> in {{ network }}: {{ headline }}</p>
<table>{% for row in rows %}<tr><td style="text-align:left">{{ row.number }}{% if row.name %} {{ row.name }}{% endif %}<br>
importance {{ row.importance }}<br>in {{ row.covered }}</td>
{% for picture in row.pictures %}
<td><img alt="region of summary {{ row.number }}" width="{{ side }}" src="{{ picture }}"></td>{% endfor %}
</tr>{% endfor %}</table></div>"""
)


def render_strip(run: Run) -> str:
    """Return a run's summaries as a piece of HTML: pictures of the first members of each, and two figures.

    All text from outside is escaped; pictures are data URIs. Nothing is requested and nothing runs.
    """
    target = run.info.target.name
    rows = [
        {
            "number": summary.index + 1,
            "name": summary.tag.name if summary.tag else None,
            "importance": words.percent(summary.importance),
            "covered": f"{words.covered_images(run, summary)} of {words.counted(len(run.images), 'image')}",
            "pictures": _pictures(run, summary),
        }
        for summary in run.summaries
    ]
    return _TEMPLATE.render(
        target=target, network=run.info.classifier.spec, headline=words.headline(run, target), rows=rows, side=SIDE
    )


def _pictures(run: Run, summary: Summary) -> list[str]:
    return [data_uri(draw_member(run, member.region, 2 * SIDE)) for member in summary.members[:MEMBERS]]
