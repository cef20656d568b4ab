"""A run as notebooks show it: its summaries in a table, without script."""

from __future__ import annotations

import jinja2

from visual_summaries.report import words
from visual_summaries.report.embedding import data_uri
from visual_summaries.report.geometry import window_around
from visual_summaries.report.rendering import render_region
from visual_summaries.results import Run, Summary

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
    target = str(run.manifest["target"]["name"])
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
        target=target, network=run.manifest["classifier"]["spec"], headline=words.headline(run, target), rows=rows, side=SIDE
    )


def _pictures(run: Run, summary: Summary) -> list[str]:
    pictures = []
    for member in summary.members[:MEMBERS]:
        region = run.regions[member.region]
        evidence = run.evidence(region.image)
        window = window_around(region.box, evidence.shape)
        scale = max(1, round(2 * SIDE / max(window[2] - window[0], window[3] - window[1])))
        pictures.append(
            data_uri(render_region(run.images[region.image].view, evidence, region.box, window=window, scale=scale))
        )
    return pictures
