"""Figures of ``claims.py``: agreement of tags, correlations with accuracy, and whether each claim holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from benchmarks.harness import bar
from visual_summaries._statistics import percentile_interval
from visual_summaries.compare import Count, at_equal_images, correlate, correlations_of
from visual_summaries.settings.stages import SummarySettings

#: What claim a compares agreement within summaries with: published, and other summaries of the run; and what tags tell of them.
COMPARED = {
    "over_random": "agreement over random regions",
    "over_images": "agreement over whole images",
    "over_between": "agreement over other summaries of the run",
    "informed": "information about the summary",
}

#: The figure that tells whether claim c holds for clusters as published.
CLUSTERS = "published clusters with accuracy, within classes"


def resampled(values: Sequence[float], random_state: int = 0) -> tuple[float, float, float]:
    """Return the mean over runs and its 95 % bootstrap interval; NaN for fewer than three runs."""
    array = np.asarray(values, float)
    if len(array) < 3:
        return (float(array.mean()) if len(array) else math.nan, math.nan, math.nan)
    draws = np.random.default_rng(random_state).integers(0, len(array), (2000, len(array)))
    return (float(array.mean()), *percentile_interval(array[draws].mean(axis=1)))


def claim_a(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return, for each tagger and input, how far tags agree in summaries, random groups and whole images, over the runs.

    Runs with two summaries or more (``runs_of_several``) tell whether tags name parts: how far tags agree in summaries more
    than between them, and the information of tags about the summary, adjusted for chance.
    """
    found = []
    names = dict.fromkeys(name for row in rows for name in row.get("tags", {}))
    for name in names:
        for shown in ("box", "masked"):
            runs = [
                row["tags"][name][shown]
                for row in rows
                if name in row.get("tags", {}) and row["tags"][name][shown]["summaries"]
            ]
            if not runs:
                continue
            several = [run for run in runs if run["between"] is not None]
            compared = {
                "over_random": [run["within"] - run["random"] for run in runs],
                "over_images": [run["within"] - run["images"] for run in runs],
                "over_between": [run["within"] - run["between"] for run in several],
                "informed": [run["information"] for run in several],
            }
            found.append(
                {
                    "tagger": name,
                    "input": shown,
                    "runs": len(runs),
                    "summaries": sum(run["summaries"] for run in runs),
                    **{
                        key: _mean_of_known([run[key] for run in runs])
                        for key in ("within", "random", "images", "entropy_within", "entropy_random", "entropy_images")
                    },
                    "runs_of_several": len(several),
                    "within_of_several": _mean_of_known([run["within"] for run in several]),
                    **{key: _mean_of_known([run[key] for run in several]) for key in ("between", "bits", "bits_random")},
                    **{
                        key: dict(zip(("mean", "low", "high"), resampled(values), strict=True))
                        for key, values in compared.items()
                    },
                    "runs_with_p_below_0.05": sum(run["p_random"] <= 0.05 for run in runs),
                    "runs_with_p_information_below_0.05": sum(run["p_information"] <= 0.05 for run in several),
                    "named": sum(run["named"] for run in runs),
                }
            )
    return found


def _mean_of_known(values: Sequence[float | None]) -> float:
    """Return the mean of the values that there are; NaN where there is none.

    Examples
    --------
    >>> _mean_of_known([1.0, None, 2.0, math.nan]), _mean_of_known([None])
    (1.5, nan)
    """
    known = [value for value in values if value is not None and not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def claim_c(rows: Sequence[dict[str, Any]], settings: SummarySettings) -> dict[str, Any]:
    """Return, for each world, the correlations of the number of summaries with accuracy."""
    result: dict[str, Any] = {}
    for world in dict.fromkeys(row["world"] for row in rows):
        own = [row for row in rows if row["world"] == world and row["summaries"] is not None]
        fewest = {
            target: min(row["images"] for row in own if row["class"] == target) for target in {row["class"] for row in own}
        }
        counts = [
            Count(
                network=row["network"],
                target=row["class"],
                accuracy=row["accuracy"],
                images=row["images"],
                summaries=row["summaries"],
                at_equal=at_equal_images(row["presence"], row["images"], row["with_regions"], fewest[row["class"]], settings),
                equal_images=fewest[row["class"]],
                stable={float(key): value for key, value in row["stable"].items()},
            )
            for row in own
        ]
        result[world] = {"on_the_images": _correlations(correlations_of(counts))}
        if all(row["published"] is not None for row in own):
            result[world]["published"] = _correlations(correlations_of(counts, [row["published"] for row in own]))
        counted = [row for row in own if row.get("published_clusters") is not None]
        most = max((row["images"] for row in counted), default=0)
        largest = [row for row in counted if row["images"] == most]
        # what else the number may follow: how many regions there are to group
        result[world]["reasons"] = {
            "summaries with regions, within classes": _within(own, "regions", "summaries"),
            "regions with accuracy, within classes": _within(own, "accuracy", "regions"),
            "published clusters with their regions, within classes": _within(
                counted, "published_regions", "published_clusters"
            ),
            "published regions with accuracy, within classes": _within(counted, "accuracy", "published_regions"),
            CLUSTERS: _within(counted, "accuracy", "published_clusters"),
            f"{CLUSTERS}, runs of as many images as the largest": _within(largest, "accuracy", "published_clusters"),
        }
    return result


def _within(rows: Sequence[dict[str, Any]], x: str, y: str) -> dict[str, Any]:
    """Return the correlation of two figures of the runs, within classes."""
    return asdict(correlate([row[x] for row in rows], [row[y] for row in rows], [row["class"] for row in rows]))


def _correlations(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {measure: {kind: asdict(value) for kind, value in kinds.items()} for measure, kinds in found.items()}


def bars_of(tags: Sequence[dict[str, Any]], counts: dict[str, Any]) -> list[dict[str, Any]]:
    """Return whether each claim holds: by the lower end of its 95 % interval, which must be above 0."""
    bars = []
    for found in tags:
        for key, words in COMPARED.items():
            bars.append(_bar(f"a: {found['tagger']}, {found['input']}: {words}", found[key]))
    for world, kinds in counts.items():
        for accuracy, measures in kinds.items():
            if accuracy == "reasons":
                bars.append(_bar(f"c: {world}: {CLUSTERS}", {"mean": measures[CLUSTERS]["rho"], **measures[CLUSTERS]}))
            else:
                for measure, found in measures.items():
                    words = accuracy.replace("_", " ")
                    bars.append(
                        _bar(
                            f"c: {world}: {measure} with accuracy ({words}), within classes",
                            {"mean": found["within"]["rho"], **found["within"]},
                        )
                    )
    return bars


def _bar(name: str, found: dict[str, Any]) -> dict[str, Any]:
    return bar(f"{name}: lower end of the interval", found["low"], 0, ">", mean=found["mean"], high=found["high"])


def told(tags: Sequence[dict[str, Any]], counts: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each figure of the claims, as tables show them."""
    rows: list[dict[str, Any]] = []
    for found in tags:
        differences = {key: _in_words(found[key]["mean"], found[key]) for key in COMPARED}
        rows.append({"claim": "a", **found, **differences})
    for world, kinds in counts.items():
        for accuracy, measures in kinds.items():
            for measure, found in measures.items():
                row = {
                    "claim": "c",
                    "world": world,
                    "accuracy": accuracy.replace("_", " "),
                    "measure": measure.replace("_", " "),
                }
                if accuracy == "reasons":
                    rows.append({**row, "within": _in_words(found["rho"], found), "runs": found["points"]})
                else:
                    shown = {kind: _in_words(found[kind]["rho"], found[kind]) for kind in ("within", "pooled")}
                    rows.append({**row, **shown, "runs": found["pooled"]["points"]})
    return rows


def _in_words(value: float, found: dict[str, Any]) -> str:
    """Return a value with its interval.

    Examples
    --------
    >>> _in_words(0.5, {"low": 0.25, "high": 0.625}), _in_words(0.5, {"low": math.nan, "high": math.nan})
    ('0.50 (0.25 to 0.62)', '0.50')
    """
    if not math.isfinite(value):
        return "-"
    return f"{value:.2f}" + (f" ({found['low']:.2f} to {found['high']:.2f})" if math.isfinite(found["low"]) else "")
