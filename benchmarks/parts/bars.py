"""From the figures of units to the rows and bars of ``parts.py``: photographs and cost.

Settings were chosen on one half of the units; bars are judged on the other half, with the value over all units beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.harness import Row, bar, mean
from benchmarks.parts.units import CHOSEN, REPORTED

#: The most important summaries, whose coverage counts.
_FIRST = 3

_HALVES = {CHOSEN: "chosen on", REPORTED: "reported half", None: "all units"}


def of_half(units: Sequence[Row], half: str | None) -> list[Row]:
    """Return the units of a half, all for None."""
    return [unit for unit in units if half is None or unit["half"] == half]


def figures(units: Sequence[Row]) -> Row:
    """Return the figures of the default over units of photographs; None where there is nothing to take one of.

    The coverage is that of the three most important summaries of a unit, or of all where it has fewer; 0 where it has none.

    Examples
    --------
    >>> unit = {"summaries": 2, "together": 0.9, "coverage": [1.0, 0.5], "reproducible": [True, False]}
    >>> {name: value for name, value in figures([unit]).items() if name != "units"}
    {'together': 0.9, 'least_together': 0.9, 'coverage': 0.75, 'least_coverage': 0.5, 'most_summaries': 2, 'reproducible': 0.5}
    """
    together = [unit["together"] or 0.0 for unit in units]  # not known where the evidence takes nothing
    first = [unit["coverage"][:_FIRST] or [0.0] for unit in units]
    stable = [bool(one) for unit in units for one in unit["reproducible"]]
    return {
        "units": len(units),
        "together": mean(together),
        "least_together": min(together, default=None),
        "coverage": mean([float(np.mean(own)) for own in first]),
        "least_coverage": mean([min(own) for own in first]),
        "most_summaries": max((unit["summaries"] for unit in units), default=None),
        "reproducible": mean(stable),
    }


def agreements(units: Sequence[Row]) -> dict[str, float | None]:
    """Return the mean agreement with part points of each method, over the units that have points."""
    birds = [unit["agreement"] for unit in units if unit.get("agreement")]
    names = dict.fromkeys(name for unit in birds for name in unit)
    return {name: mean([unit[name] or 0.0 for unit in birds if name in unit]) for name in names}


def photograph_rows(units: Sequence[Row], papers: Sequence[Row]) -> list[Row]:
    """Return a row for each half and method, and one for each unit."""
    rows: list[Row] = []
    for half, words in _HALVES.items():
        some = of_half(units, half)
        birds = sum(bool(unit.get("agreement")) for unit in some)
        if some:
            rows.append({"set": "photographs", "half": words, **figures(some)})
        for method, value in agreements(some).items():
            rows.append({"set": "birds", "half": words, "method": method, "units": birds, "agreement": value})
    for unit in units:
        shown = {name: unit[name] for name in ("network", "class", "half", "images", "summaries", "together")}
        agreed = {name: (unit.get("agreement") or {}).get(name) for name in ("default", "k-means", "concepts")}
        coverage = ", ".join(f"{value:.2f}" for value in unit["coverage"])
        background = max_background(unit)
        stable = sum(bool(one) for one in unit["reproducible"])
        rows.append(
            {
                "set": "unit",
                **shown,
                "coverage": coverage,
                "reproducible": stable,
                "background": background,
                "agreement": agreed,
            }
        )
    for unit in papers:
        shown = {name: unit[name] for name in ("network", "class", "half", "images", "summaries", "together", "agreement")}
        rows.append({"set": "paper", **shown, "coverage": ", ".join(f"{value:.2f}" for value in unit["coverage"])})
    return rows


def max_background(unit: Row) -> float | None:
    """Return the largest share of background of a summary that beats its control; None for units without background.

    Examples
    --------
    >>> max_background({"background": [0.9, 0.7], "beats_control": [False, True]})
    0.7
    """
    if "background" not in unit:
        return None
    return max((share for share, beats in zip(unit["background"], unit["beats_control"], strict=True) if beats), default=0.0)


def photograph_bars(units: Sequence[Row]) -> list[Row]:
    """Return what has to hold on photographs: on the half that settings were not chosen on, and over all units."""
    bars = []
    for half in (REPORTED, None):
        some, words = of_half(units, half), f"({_HALVES[half]})"
        if not some:
            continue
        own = figures(some)
        if agreed := agreements(some):
            default, groups = agreed["default"] or 0.0, agreed["k-means"] or 0.0
            concepts = max((value or 0.0 for name, value in agreed.items() if name.startswith("concepts")), default=0.0)
            bars += [
                bar(f"agreement with part points {words}", default, 0.35, ">="),
                bar(f"agreement, above k-means of the evidence {words}", default - groups, 0.03, ">="),
                bar(
                    f"agreement, over that of concepts, the better of two numbers {words}",
                    default / max(concepts, 1e-9),
                    1.4,
                    ">=",
                ),
            ]
        bars += [
            bar(f"together, of what the evidence takes: mean {words}", own["together"], 0.80, ">="),
            bar(f"together: least of a unit {words}", own["least_together"], 0.65, ">="),
            bar(f"three most important summaries: mean coverage {words}", own["coverage"], 0.70, ">="),
            bar(f"three most important summaries: coverage of the least {words}", own["least_coverage"], 0.70, ">="),
            bar(f"most summaries of a class {words}", own["most_summaries"], 12, "<="),
            bar(f"share of reproducible summaries {words}", own["reproducible"], 0.70, ">="),
        ]
    for unit in units:
        if "background" in unit:
            name = f"{unit['class']}: background of a summary that beats its control ({_HALVES[unit['half']]})"
            bars.append(bar(name, max_background(unit), 0.60, ">="))
    return bars


def cost_bars(rows: Sequence[Row], times: int) -> list[Row]:
    """Return what has to hold of the cost; rows are those of :mod:`benchmarks.parts.cost`, the one of growth last."""
    first, last = rows
    ratio = (first["ratio"], 1 / 3, "<=")
    return [
        bar(f"stages after the masks, over masks of the former default ({first['images']} photographs)", *ratio),
        bar(f"growth from {last['fewer_images']} to {last['images']} images, times", last["ratio"], 1.1 * times, "<="),
    ]
