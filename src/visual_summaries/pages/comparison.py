"""Number of summaries against accuracy as a scatter plot: places and labels, for inline SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from visual_summaries.compare.comparison import ClassComparison, Comparison, Part, Use
from visual_summaries.compare.counting import Correlation, Count
from visual_summaries.errors import RunError
from visual_summaries.files.atomic import write_json, write_text
from visual_summaries.pages import words
from visual_summaries.pages.context import palette
from visual_summaries.pages.shell import base_style, data_uri, render_self_contained, resource
from visual_summaries.pages.strips import draw_member
from visual_summaries.pages.words import text
from visual_summaries.results import Run, Summary

#: Size of the plot, and the rims left, right, above and below for its labels, in its own units.
WIDTH, HEIGHT = 560, 340

LEFT, RIGHT, TOP, BOTTOM = 46, 14, 14, 46

#: One mark for each network: a path around the origin, filled with the color of the class.
MARKS = (
    "M-5 0A5 5 0 1 0 5 0A5 5 0 1 0 -5 0Z",
    "M-4.6 -4.6H4.6V4.6H-4.6Z",
    "M0 -5.8L5.4 4.4H-5.4Z",
    "M0 -6.4L6.4 0L0 6.4L-6.4 0Z",
    "M-2 -6H2V-2H6V2H2V6H-2V2H-6V-2H-2Z",
    "M0 5.8L5.4 -4.4H-5.4Z",
)


def scatter(counts: Sequence[Count]) -> dict[str, Any]:
    """Return the plot's marks, axes and legends.

    Parameters
    ----------
    counts : sequence of Count

    Returns
    -------
    dict
        ``size``, ``frame``, ``points`` (x, y, mark, class number, title), ``x_ticks`` and ``y_ticks`` (place, label),
        ``classes`` (number, name) and ``networks`` (name, mark), in the order of `counts`.

    Examples
    --------
    >>> plot = scatter([Count("a", "cat", 0.5, 20, 4, 4.0, 20), Count("b", "cat", 1.0, 20, 8, 8.0, 20)])
    >>> [(point["x"], point["y"]) for point in plot["points"]]
    [(129.3, 154.0), (546.0, 14.0)]
    """
    classes = list(dict.fromkeys(count.target for count in counts))
    networks = list(dict.fromkeys(count.network for count in counts))
    lowest = math.floor(10 * min(count.accuracy for count in counts) - 1e-9) / 10
    low = max(0.0, min(lowest, 0.9))
    top = _round_up(max(count.summaries for count in counts))

    def x(accuracy: float) -> float:
        return round(LEFT + (accuracy - low) / (1 - low) * (WIDTH - LEFT - RIGHT), 1)

    def y(number: float) -> float:
        return round(HEIGHT - BOTTOM - number / top * (HEIGHT - TOP - BOTTOM), 1)

    step = 0.1 if low >= 0.45 else 0.2
    ticks = [low + step * i for i in range(round((1 - low) / step) + 1) if low + step * i <= 1 + 1e-9]
    return {
        "size": (WIDTH, HEIGHT),
        "frame": (LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM),
        "points": [
            {
                "x": x(count.accuracy),
                "y": y(count.summaries),
                "mark": MARKS[networks.index(count.network) % len(MARKS)],
                "class": classes.index(count.target),
                "title": f"{count.network}, {count.target}: {count.summaries} summaries, accuracy {count.accuracy:.0%}",
            }
            for count in counts
        ],
        "x_ticks": [(x(tick), f"{tick:.0%}") for tick in ticks],
        "y_ticks": [(y(number), number) for number in range(0, top + 1, max(1, top // 4))],
        "classes": list(enumerate(classes)),
        "networks": [(name, MARKS[index % len(MARKS)]) for index, name in enumerate(networks)],
    }


def _round_up(number: int) -> int:
    """Return the next number that four steps reach.

    Examples
    --------
    >>> _round_up(0), _round_up(8), _round_up(9)
    (4, 8, 12)
    """
    return max(4, 4 * math.ceil(number / 4))


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
    colors = palette(len(comparison.classes))
    style = (
        base_style()
        + resource("comparison.css")
        + "".join(f".c{number}{{--c:{color}}}\n" for number, color in enumerate(colors))
    )
    return render_self_contained("comparison.html.j2", style=style, scripts={}, context=context(comparison))


def context(comparison: Comparison) -> dict[str, Any]:
    """Return everything that the template reads."""
    networks = list(dict.fromkeys(comparison.networks))
    return {
        "title": f"{_listed([group.target for group in comparison.classes])} in {words.counted(len(networks), 'network')}",
        "networks": [text(network) for network in networks],
        "kinds": {"parts" if run.parts is not None else "boxes" for run in comparison.runs},
        "classes": [_class(comparison, group) for group in comparison.classes],
        "chart": scatter(comparison.counts) if len(comparison.counts) > 2 else None,
        "marks": [(text(network), index) for index, network in enumerate(networks)],
        "counts": [
            {
                "network": text(count.network),
                "target": text(count.target),
                "accuracy": words.percent(count.accuracy),
                "images": count.images,
                "summaries": count.summaries,
                "at_equal": f"{count.at_equal:.1f} in {count.equal_images}",
                "stable": [str(count.stable[t]) for t in count.stable],
            }
            for count in comparison.counts
        ],
        "thresholds": [f"{t:g}" for t in next((c.stable for c in comparison.counts if c.stable), {})],
        "correlations": _correlations(comparison) if len(comparison.counts) > 2 else [],
    }


def _class(comparison: Comparison, group: ClassComparison) -> dict[str, Any]:
    several = [part for part in group.parts if len(part.uses) > 1]
    alone = [part for part in group.parts if len(part.uses) == 1]
    overlap = {((pair.runs[0], match.a), (pair.runs[1], match.b)): match for pair in group.pairs for match in pair.matches}
    return {
        "target": text(group.target),
        "headline": headline(comparison, group),
        "pairs": [
            {
                "names": f"{text(comparison.networks[pair.runs[0]])} and {text(comparison.networks[pair.runs[1]])}",
                "images": pair.images,
                "matches": len(pair.matches),
            }
            for pair in group.pairs
        ],
        "runs": [
            {
                "network": text(comparison.networks[position]),
                "accuracy": "{correct} of {total}".format(**vars(comparison.runs[position].info.accuracy)),
                "images": len(comparison.runs[position].images),
                "summaries": len(comparison.runs[position].summaries),
            }
            for position in group.runs
        ],
        "shared": [_part(comparison, part, number, overlap) for number, part in enumerate(several, start=1)],
        "alone": [
            {
                "network": text(comparison.networks[position]),
                "parts": [_part(comparison, part, 0, {}) for part in alone if part.uses[0].run == position],
            }
            for position in group.runs
            if len(group.runs) > 1 and any(part.uses[0].run == position for part in alone)
        ],
    }


def headline(comparison: Comparison, group: ClassComparison) -> str:
    """Return what the networks share, in a sentence or two."""
    if len(group.runs) == 1:
        network = comparison.networks[group.runs[0]]
        return text(f"Only {network} was run on this class, so it is counted below and compared with nothing.")
    names = {position: comparison.networks[position] for position in group.runs}
    everyone = sum(len(part.uses) == len(group.runs) for part in group.parts)
    who = "Both networks" if len(group.runs) == 2 else f"All {len(group.runs)} networks"
    if everyone:
        first = f"{who} use {words.counted(everyone, 'part')}."
    else:
        first = f"No part is surely used by {who[0].lower()}{who[1:]}."
    own = [
        f"{words.counted(count, 'part')} by {names[position]}"
        for position in group.runs
        if (count := sum(len(part.uses) == 1 and part.uses[0].run == position for part in group.parts))
    ]
    second = f"Used by one alone: {_listed(own)}." if own else "No part is used by one alone."
    return text(f"{first} {second}")


def _part(comparison: Comparison, part: Part, number: int, overlap: Mapping[Any, Any]) -> dict[str, Any]:
    runs = [comparison.runs[use.run] for use in part.uses]
    summaries = [run.summaries[use.summary] for run, use in zip(runs, part.uses, strict=True)]
    chosen = _photographs(runs, summaries)
    found = [
        overlap[(a.run, a.summary), (b.run, b.summary)]
        for i, a in enumerate(part.uses)
        for b in part.uses[i + 1 :]
        if ((a.run, a.summary), (b.run, b.summary)) in overlap
    ]
    values = [use.importance for use in part.uses if math.isfinite(use.importance)]
    return {
        "number": number,
        "name": text(part.name) if part.name else None,
        "overlap": " and ".join(f"{match.overlap:.2f} (by chance {match.chance:.2f})" for match in found),
        "difference": words.percent(max(values) - min(values)) if len(values) > 1 else None,
        "rows": [
            {
                "network": text(comparison.networks[use.run]),
                "summary": use.summary + 1,
                "importance": words.percent(use.importance),
                "width": round(100 * min(max(use.importance, 0.0), 1.0), 1) if math.isfinite(use.importance) else 0.0,
                "above": _above(use),
                "coverage": f"{round(use.coverage * len(run.images))} of {len(run.images)}",
                "tiles": [_tile(run, summary, sha256) for sha256 in chosen],
            }
            for use, run, summary in zip(part.uses, runs, summaries, strict=True)
        ],
    }


def _above(use: Use) -> str | None:
    if use.above_control is None or use.low is None or use.high is None:
        return None
    return f"{words.percent(use.above_control)} over moved pixels ({words.percent(use.low)} to {words.percent(use.high)})"


def _photographs(runs: Sequence[Run], summaries: Sequence[Summary]) -> list[str]:
    """Return the images that a part's strips show: those in which most of its networks have it, in the order of its members."""
    order: dict[str, int] = {}
    for run, summary in zip(runs, summaries, strict=True):
        regions = [member.region for member in summary.members] + list(summary.cluster)
        for sha256 in dict.fromkeys(run.images[run.regions[index].image].sha256 for index in regions):
            order[sha256] = order.get(sha256, 0) + 1
    return sorted(order, key=lambda sha256: -order[sha256])[:TILES]


def _tile(run: Run, summary: Summary, sha256: str) -> dict[str, str] | None:
    """Return the region of a summary in a photograph, or None where it has none."""
    best = [member.region for member in summary.members] + list(summary.cluster)
    for index in best:
        region = run.regions[index]
        image = run.images[region.image]
        if image.sha256 == sha256:
            return {"picture": data_uri(draw_member(run, index, SIDE, whole=True)), "name": text(image.name)}
    return None


def _correlations(comparison: Comparison) -> list[dict[str, str]]:
    names = {"summaries": "all summaries", "at_equal": "summaries in equally many images"}
    kinds = {"pooled": "all runs together", "within": "within classes"}
    rows = []
    for measure, found in comparison.correlations.items():
        for kind, value in found.items():
            stable = measure.removeprefix("stable ")
            rows.append(
                {
                    "measure": names.get(measure, f"summaries with stability {stable} or more"),
                    "kind": text(kinds.get(kind, kind)),
                    "rho": _figure(value.rho),
                    "interval": _interval(value),
                    "points": str(value.points),
                }
            )
    return rows


def _interval(value: Correlation) -> str:
    return f"{_figure(value.low)} to {_figure(value.high)}" if math.isfinite(value.low) else words.UNKNOWN


def _figure(value: float) -> str:
    return f"{value:.2f}".replace("-", "−") if math.isfinite(value) else words.UNKNOWN


def _listed(items: Sequence[str]) -> str:
    """Return items as people list them.

    Examples
    --------
    >>> _listed(["a"]), _listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return text(items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}")
