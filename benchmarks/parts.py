"""Whether summaries are true: planted parts, real birds and a planted shortcut on photographs.

Run with ``python benchmarks/parts.py --json FILE [--data DIR] [--size quick|full]``. Finished units (a network and a class; a
set of photographs) are kept in ``--keep`` and found again: an interrupted run goes on, and several can work side by side on
different ``--networks``. What is measured, and what was tried, is in ``docs/truth.md``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

from parts_planted import analysed, run_paper, run_unit
from visual_summaries.demo import CLASSES, LABELS, NETWORKS
from visual_summaries.pipeline.manifest import hardware, versions
from visual_summaries.store import digest

#: Images of a unit.
IMAGES = {"quick": 8, "full": 16}

#: Units that the preset `paper` is run on as well: its masks take ten times as long.
PAPER = {
    "quick": {("tiny", 1)},
    "full": {
        ("main", 0),
        ("main", 6),
        ("tiny", 1),
        ("tiny", 3),
        ("narrow", 2),
        ("narrow", 4),
        ("brief", 0),
        ("brief", 5),
    },
}
QUICK = {("main", 0), ("main", 6), ("tiny", 1)}

USED, UNUSED = 0.1, 0.02
NAMES = [bird.name for bird in CLASSES]

#: The class with the shortcut comes first, so that an interrupted run has it.
ORDER = (6, 0, 1, 5, 2, 3, 4, 7)
GROUND = ("background", "distractor", "occluder")


def kept(path: Path, key: str, make: Callable[[], Any]) -> Any:
    """Return what a file holds for this key, or make it and write the file."""
    if path.exists() and (found := json.loads(path.read_text()))["key"] == key:
        return found["value"]
    value = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"key": key, "value": value}, indent=1) + "\n", encoding="utf-8")
    return value


def is_kept(path: Path, key: str) -> bool:
    """Return whether a file holds a value for this key."""
    return path.exists() and json.loads(path.read_text())["key"] == key


def key_of(preset: str, size: str) -> str:
    """Return what a unit's file is known by: all that goes into it."""
    return digest([asdict(analysed(preset)), IMAGES[size]])


def unit_of(network: str, index: int, size: str, keep: Path) -> dict[str, Any]:
    """Return what was measured of a network and a class with the default and the baselines."""
    path = keep / size / f"{network}_{index}.json"
    unit: dict[str, Any] = kept(path, key_of("default", size), lambda: run_unit(network, index, IMAGES[size], keep / "pieces"))
    return unit


def paper_of(unit: dict[str, Any], index: int, size: str, keep: Path) -> list[dict[str, Any]]:
    """Return what was measured with the preset `paper`."""
    network = unit["network"]
    path = keep / size / f"{network}_{index}_paper.json"
    rows: list[dict[str, Any]] = kept(
        path, key_of("paper", size), lambda: run_paper(network, index, IMAGES[size], unit["effects"], keep / "pieces")
    )
    return rows


def judge(units: Sequence[dict[str, Any]], method: str, effect: str = "shapley") -> dict[str, Any]:
    """Return the figures of one method over the units that it was run on, by one reading of the parts' effects."""
    purity, fragments, false, importance, alone, true = [], [], [], [], [], []
    by_part: list[float] = []
    by_part_true: list[float] = []
    by_part_share: list[float] = []
    recalled = wanted = beating = summaries = 0
    for unit in units:
        if method not in unit["methods"]:
            continue
        rows = unit["methods"][method]
        summaries += len(rows)
        purity += [row["purity"] for row in rows]
        for part, value in unit["effects"][effect].items():
            if value >= USED and part != "background":
                wanted += 1
                count = sum(row["part"] == part for row in rows)
                recalled += count > 0
                fragments += [count] if count else []
        together: dict[str, float] = {}  # each pixel counts for one summary, so that those of a part may be summed
        for row in rows:
            if "above_control" in row:
                together[row["part"]] = together.get(row["part"], 0.0) + row["class_effect"]
                importance.append(row["class_effect"])
                alone.append(row["alone"])
                true.append(row[effect])
                if row["beats_control"]:
                    beating += 1
                    false.append(row["part"] in GROUND or row[effect] < UNUSED)
        own = unit["effects"][effect]
        by_part += together.values()
        truth = [own["background" if part in GROUND else part] for part in together]
        by_part_true += truth
        all_of_it = sum(max(value, 0.0) for value in own.values())
        by_part_share += [value / all_of_it for value in truth]
    ranks = len(set(true)) > 2
    return {
        "units": sum(method in unit["methods"] for unit in units),
        "summaries": summaries,
        "purity": mean(purity),
        "recall": recalled / wanted if wanted else None,
        "parts": wanted,
        "fragments": mean(fragments),
        "false_alarms": mean(false),
        "beating_control": beating,
        "ranking": float(spearmanr(by_part, by_part_true)[0]) if ranks else None,
        "ranking_of_shares": float(spearmanr(by_part, by_part_share)[0]) if ranks else None,
        "ranking_of_summaries": float(spearmanr(importance, true)[0]) if ranks else None,
        "ranking_alone": float(spearmanr(alone, true)[0]) if ranks else None,
    }


def mean(values: Sequence[float | bool]) -> float | None:
    """Return the mean, None of nothing."""
    return float(np.mean(values)) if len(values) else None


def shortcut_rows(units: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return for each network whether the planted shortcut has a summary, and its place by importance and by true effect."""
    found = []
    for unit in units:
        if not CLASSES[NAMES.index(unit["class"])].shortcut_rate or not unit["methods"]:
            continue
        effects = unit["effects"]["shapley"]
        best: dict[str, float] = {}
        for row in unit["methods"]["default"]:
            best[row["part"]] = max(best.get(row["part"], -1.0), row["class_effect"])
        by_importance = sorted(best, key=lambda part: -best[part])
        by_effect = sorted(best, key=lambda part: -effects.get(part, effects["background"]))
        found.append(
            {
                "network": unit["network"],
                "shortcut_effect": effects["shortcut"],
                "shortcut_found": "shortcut" in best,
                "rank_by_importance": by_importance.index("shortcut") + 1 if "shortcut" in best else None,
                "rank_by_effect": by_effect.index("shortcut") + 1 if "shortcut" in best else None,
            }
        )
    return found


def bar(name: str, value: float | None, bound: float, sense: str) -> dict[str, Any]:
    """Return a figure with what was asked for."""
    checks: dict[str, Callable[[float], bool]] = {
        ">=": lambda x: x >= bound,
        "<=": lambda x: x <= bound,
        "<": lambda x: x < bound,
        ">": lambda x: x > bound,
    }
    return {"name": name, "value": value, "bound": bound, "sense": sense, "holds": value is not None and checks[sense](value)}


def planted_bars(judged: dict[str, dict[str, Any]], shortcuts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what has to hold on planted parts."""
    default = judged["default"]
    bars = [
        bar("default: purity", default["purity"], 0.90, ">="),
        bar("default: recall", default["recall"], 0.95, ">="),
        bar("default: false alarms", default["false_alarms"], 0.05, "<="),
        bar("default: fragments", default["fragments"], 1.5, "<="),
        bar("default: ranking (Spearman)", default["ranking"], 0.8, ">="),
    ]
    users = [row for row in shortcuts if row["shortcut_effect"] >= USED]
    if users:
        found = sum(row["shortcut_found"] for row in users) / len(users)
        bars.append(bar("default: networks that use the shortcut whose shortcut has a summary", found, 1.0, ">="))
    for name in ("k-means", "concepts"):
        for figure in ("purity", "recall"):
            bars.append(bar(f"{name}: {figure}, below the default", judged[name][figure], default[figure], "<"))
    return bars


def planted(units: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return rows and bars of the planted parts."""
    methods = list(dict.fromkeys(method for unit in units for method in unit["methods"]))
    rows, judged = [], {}
    for method in methods:
        for effect in ("shapley", "redrawn"):
            one = judge(units, method, effect)
            if effect == "shapley":
                judged[method] = one
            first = effect == "shapley" and method in ("default", "paper", "k-means", "concepts")
            rows.append({"method": method, "effect": effect, "kind": "main" if first else "beside", **one})
    beside = [unit for unit in units if "paper" in unit["methods"]]
    if beside:
        rows.append({"method": "default, on paper's units", "effect": "shapley", **judge(beside, "default")})
    shortcuts = shortcut_rows(units)
    return {"rows": rows, "shortcut": shortcuts, "bars": planted_bars(judged, shortcuts)}


def main() -> None:
    """Measure what is not measured yet, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where the results go")
    parser.add_argument("--size", choices=("quick", "full"), default="full", help="quick: 3 units of 8 images; full: 32 of 16")
    parser.add_argument("--data", type=Path, help="folder with weights/nets.py and images/: photographs as well")
    parser.add_argument("--keep", type=Path, default=Path("build/parts"), help="where finished units are kept")
    parser.add_argument("--finished", action="store_true", help="measure nothing: write what the finished units give")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    arguments = parser.parse_args()
    names = [(network, index) for index in ORDER for network in arguments.networks]
    chosen = [name for name in names if arguments.size == "full" or name in QUICK]
    units = []
    for network, index in chosen:
        path = arguments.keep / arguments.size / f"{network}_{index}.json"
        if arguments.finished and not is_kept(path, key_of("default", arguments.size)):
            continue
        unit = unit_of(network, index, arguments.size, arguments.keep)
        units.append(unit)
        one = judge([unit], "default") if unit["methods"] else {}
        print(network, unit["class"], {name: one.get(name) for name in ("purity", "recall", "fragments")}, flush=True)
    for unit in units:
        index = NAMES.index(unit["class"])
        path = arguments.keep / arguments.size / f"{unit['network']}_{index}_paper.json"
        if (unit["network"], index) not in PAPER[arguments.size] or not unit["methods"]:
            continue
        if not arguments.finished or is_kept(path, key_of("paper", arguments.size)):
            unit["methods"]["paper"] = paper_of(unit, index, arguments.size, arguments.keep)
    results: dict[str, Any] = {
        "benchmark": "parts",
        "size": arguments.size,
        "hardware": hardware(torch.device("cpu")),
        "versions": versions(),
        "settings": {
            "default": asdict(analysed("default")),
            "paper": asdict(analysed("paper")),
            "images_a_unit": IMAGES[arguments.size],
            "labels": list(LABELS),
        },
        **planted([unit for unit in units if unit["methods"]]),
        "units": units,
    }
    if arguments.data is not None:
        from parts_photos import photographs

        found = photographs(arguments.data, arguments.size, arguments.keep)
        results["rows"] += found["rows"]
        results["bars"] += found["bars"]
        results["photographs"] = found["details"]
    for one in results["bars"]:
        value = "-" if one["value"] is None else f"{one['value']:.3f}"
        print(f"  {'ok ' if one['holds'] else 'NOT'} {one['name']}: {value} {one['sense']} {one['bound']:.3f}")
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
