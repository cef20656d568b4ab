"""A run as notebooks show it: its summaries in a table, without script."""

from __future__ import annotations

import jinja2

from visual_summaries.report import words
from visual_summaries.report.embedding import data_uri
from visual_summaries.report.members import draw_member
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
    return [data_uri(draw_member(run, member.region, 2 * SIDE)) for member in summary.members[:MEMBERS]]
