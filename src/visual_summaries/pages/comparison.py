"""The page of a comparison of networks."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from itertools import chain, combinations
from pathlib import Path
from typing import Any

from visual_summaries.compare import ClassComparison, Comparison, Match, Part
from visual_summaries.errors import RunError
from visual_summaries.files.atomic import write_json, write_text
from visual_summaries.pages.charts import color_rules, scatter
from visual_summaries.pages.rendering import draw_member
from visual_summaries.pages.shell import base_style, data_uri, render_self_contained, resource
from visual_summaries.pages.words import counted, listed, text
from visual_summaries.results import Run, Summary

#: Photographs that a strip shows, and about how many pixels on a side.
TILES, SIDE = 6, 224


def write_comparison(comparison: Comparison, out: str | Path) -> Path:
    """Write a comparison into a folder: ``comparison.json``, and ``comparison.html``, a page that needs no other file.

    Parameters
    ----------
    comparison : Comparison
    out : str or Path
        Folder; made if it is not there. An older comparison in it is replaced.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    RunError
        If it cannot be written to.
    """
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is a file, but a comparison needs a folder; choose another --out")
    write_json(folder / "comparison.json", comparison.to_dict())
    write_text(folder / "comparison.html", render_comparison(comparison))
    return folder / "comparison.html"


def render_comparison(comparison: Comparison) -> str:
    """Return the page's HTML; all text from outside is escaped, and it runs no script."""
    style = base_style() + resource("comparison.css") + color_rules(len(comparison.classes), start=0)
    several = len(comparison.counts) > 2
    context = {
        "comparison": comparison,
        "networks": list(dict.fromkeys(comparison.networks)),
        "kinds": {"boxes" if run.parts is None else "parts" for run in comparison.runs},
        "classes": [_class(comparison, group) for group in comparison.classes],
        "chart": scatter(comparison.counts) if several else None,
        "thresholds": next((list(count.stable) for count in comparison.counts if count.stable), []),
        "correlations": comparison.correlations if several else {},
    }
    return render_self_contained("comparison.html.j2", style=style, scripts={}, context=context)


def _class(comparison: Comparison, group: ClassComparison) -> dict[str, Any]:
    matches = {
        frozenset([(pair.runs[0], match.a), (pair.runs[1], match.b)]): match for pair in group.pairs for match in pair.matches
    }
    alone = [part for part in group.parts if len(part.uses) == 1 and len(group.runs) > 1]
    by_run = {position: [part for part in alone if part.uses[0].run == position] for position in group.runs}
    return {
        "target": group.target,
        "headline": headline(comparison, group),
        "runs": group.runs,
        "shared": [_part(comparison, part, matches) for part in group.parts if len(part.uses) > 1],
        "alone": {
            position: [_part(comparison, part, matches) for part in parts] for position, parts in by_run.items() if parts
        },
    }


def headline(comparison: Comparison, group: ClassComparison) -> str:
    """Return what the networks share, in a sentence or two."""
    if len(group.runs) == 1:
        network = comparison.networks[group.runs[0]]
        return text(f"Only {network} was run on this class, so it is counted below and compared with nothing.")
    names = {position: comparison.networks[position] for position in group.runs}
    everyone = sum(len(part.uses) == len(group.runs) for part in group.parts)
    who = "Both networks" if len(group.runs) == 2 else f"All {len(group.runs)} networks"
    none = f"No part beats its control in {who[0].lower()}{who[1:]}."
    first = f"{who} use {counted(everyone, 'part')}." if everyone else none
    own = [
        f"{counted(count, 'part')} by {names[position]}"
        for position in group.runs
        if (count := sum(len(part.uses) == 1 and part.uses[0].run == position for part in group.parts))
    ]
    second = f"Used by one alone: {listed(own)}." if own else "No part is used by one alone."
    return text(f"{first} {second}")


def _part(comparison: Comparison, part: Part, matches: Mapping[frozenset[tuple[int, int]], Match]) -> dict[str, Any]:
    runs = [comparison.runs[use.run] for use in part.uses]
    shown = [_photographs(run, run.summaries[use.summary]) for run, use in zip(runs, part.uses, strict=True)]
    # Those in which most of the networks have the part, in the order of its members.
    chosen = [sha256 for sha256, _ in Counter(chain.from_iterable(shown)).most_common(TILES)]
    pairs = map(frozenset, combinations([(use.run, use.summary) for use in part.uses], 2))
    values = [use.importance for use in part.uses if math.isfinite(use.importance)]
    return {
        "name": part.name,
        "matches": [matches[pair] for pair in pairs if pair in matches],
        "difference": max(values) - min(values) if len(values) > 1 else None,
        "rows": [
            (use, [_tile(run, regions.get(sha256)) for sha256 in chosen])
            for use, run, regions in zip(part.uses, runs, shown, strict=True)
        ],
    }


def _photographs(run: Run, summary: Summary) -> dict[str, int]:
    """Return the region of a summary in each photograph that has it: members first, in their order."""
    regions = [*(member.region for member in summary.members), *summary.cluster]
    found: dict[str, int] = {}
    for index in regions:
        found.setdefault(run.images[run.regions[index].image].sha256, index)
    return found


def _tile(run: Run, region: int | None) -> tuple[str, str] | None:
    """Return the picture of a region in its photograph, and the photograph's name; None where a summary has none."""
    if region is None:
        return None
    return data_uri(draw_member(run, region, SIDE, whole=True)), run.images[run.regions[region].image].name
