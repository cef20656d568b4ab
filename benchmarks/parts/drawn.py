"""From the summaries of drawn birds (``planted.py``) to the rows and bars of ``parts.py``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scipy.stats import spearmanr

from benchmarks.harness import Row, bar, mean
from visual_summaries.birds.world import CLASS_NAMES, CLASSES

#: True effects from which on a part is one that the network uses, and under which it is not.
USED, UNUSED = 0.1, 0.02
GROUND = ("background", "distractor", "occluder")


def judge(units: Sequence[dict[str, Any]], method: str, effect: str = "shapley") -> dict[str, Any]:
    """Return the figures of one method over the units that it was run on, by one reading of the parts' effects."""
    purity, fragments, false, importance, true = [], [], [], [], []
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
    }


def shortcut_rows(units: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return for each network whether the planted shortcut has a summary, and its place by importance and by true effect."""
    found = []
    for unit in units:
        if not CLASSES[CLASS_NAMES.index(unit["class"])].shortcut_rate or not unit["methods"]:
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


def planted_bars(default: Row, shortcuts: Sequence[Row]) -> list[Row]:
    """Return what has to hold on planted parts."""
    bars = [
        bar("drawn birds: purity", default["purity"], 0.85, ">="),
        bar("drawn birds: recall", default["recall"], 0.90, ">="),
        bar("drawn birds: false alarms", default["false_alarms"], 0.05, "<="),
        bar("drawn birds: fragments", default["fragments"], 1.5, "<="),
        bar("drawn birds: ranking (Spearman)", default["ranking"], 0.8, ">="),
    ]
    users = [row for row in shortcuts if row["shortcut_effect"] >= USED]
    if users:
        found = sum(row["shortcut_found"] for row in users) / len(users)
        bars.append(bar("drawn birds: networks that use the shortcut whose shortcut has a summary", found, 1.0, ">="))
    return bars


def planted(units: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return rows and bars of the planted parts."""
    methods = list(dict.fromkeys(method for unit in units for method in unit["methods"]))
    rows: list[Row] = []
    for method in methods:
        for effect in ("shapley", "redrawn"):
            kind = "main" if effect == "shapley" else "beside"
            rows.append({"set": "drawn", "method": method, "effect": effect, "kind": kind, **judge(units, method, effect)})
    beside = [unit for unit in units if "paper" in unit["methods"]]
    if beside:
        rows.append({"set": "drawn", "method": "default, on paper's units", "effect": "shapley", **judge(beside, "default")})
    shortcuts = shortcut_rows(units)
    return {"rows": rows, "shortcut": shortcuts, "bars": planted_bars(judge(units, "default"), shortcuts)}
