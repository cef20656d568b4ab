"""Figures of ``benchmarks/specialise.py``: accuracies, curves, intervals, and the bars made of them."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import average_precision_score

import visual_summaries as vs
from specialise_methods import Method
from visual_summaries.classifiers import Classifier
from visual_summaries.specialise.examples import (
    Examples,
)
from visual_summaries.specialise.job import build_network
from visual_summaries.specialise.learning import Learnt

#: Largest losses of bystanders, in points, at which methods are compared: other kinds, other dogs.
LOSSES = (0.5, 2.0)


RESAMPLES = 300


def first_choices(test: Examples, classes: Sequence[int], method: Method, constant: float | None) -> NDArray[np.intp]:
    """Return the class that each image gets; `constant` for all classes, or the method's own."""
    moved = test.logits.astype(np.float64).copy()
    added = method.offsets + (method.shifts if constant is None else constant)
    if constant is None:
        added = np.where(method.offsets.any(axis=0) | (method.shifts != 0), added, 0)
    moved[:, list(classes)] += added
    return np.asarray(moved.argmax(axis=1))


def comparison(before: NDArray[np.bool_], after: NDArray[np.bool_], seed: int) -> dict[str, Any]:
    """Return accuracies in percent, the change with its paired bootstrap interval, and McNemar's exact test."""
    change = after.astype(float) - before.astype(float)
    draws = np.random.default_rng(seed).integers(0, len(change), (2000, len(change)))
    low, high = np.percentile(change[draws].mean(axis=1), [2.5, 97.5])
    better, worse = int((change > 0).sum()), int((change < 0).sum())
    p = float(binomtest(better, better + worse).pvalue) if better + worse else 1.0
    return {
        "before": 100 * float(before.mean()),
        "after": 100 * float(after.mean()),
        "change": {"mean": 100 * float(change.mean()), "low": 100 * float(low), "high": 100 * float(high)},
        "mcnemar": {"better": better, "worse": worse, "p": p},
    }


def trade_off(
    test: Examples,
    classes: Sequence[int],
    method: Method,
    truth: NDArray[np.intp],
    groups: NDArray[np.str_],
    before: NDArray[np.bool_],
) -> dict[str, Any]:
    """Return the curve of a method over its constant, and the most that it reaches at the bearable losses of bystanders."""
    curve = []
    for constant in np.arange(-4, 8.01, 0.05):
        right = first_choices(test, classes, method, float(constant)) == truth
        losses = [
            100 * float(before[groups == g].mean() - right[groups == g].mean()) if (groups == g).any() else 0.0
            for g in ("far", "near")
        ]
        curve.append((float(constant), 100 * float(right[groups == "test"].mean()), *losses))
    allowed = [point for point in curve if point[2] <= LOSSES[0] and point[3] <= LOSSES[1]]
    best = max(allowed, key=lambda point: point[1], default=None)
    return {
        "accuracy": best[1] if best else None,
        "constant": best[0] if best else None,
        "curve": [[round(value, 2) for value in point] for point in curve[::8]],
    }


def cost(classifier: Classifier, fit: Examples, learnt: Learnt, settings: vs.SpecializeSettings) -> dict[str, float]:
    """Return how much longer a forward pass takes with every detector, used or not, over the plain one; one image, and 16."""
    every = replace(learnt, fusions=tuple(replace(f, weights=np.ones(len(f.weights))) for f in learnt.fusions))
    module = build_network(classifier, fit, every, settings).eval()
    ratios = {}
    for batch in (1, 16):
        x = torch.rand(batch, *classifier.input_size)
        with torch.inference_mode():
            times: dict[int, list[float]] = {0: [], 1: []}
            for turn in range(24):
                for which, network in enumerate((classifier.module, module)):
                    start = time.perf_counter()
                    network(x)
                    if turn >= 4:
                        times[which].append(time.perf_counter() - start)
        ratios[f"batch of {batch}"] = float(np.median(times[1]) / np.median(times[0]))
    return {**ratios, "detectors": float(len(fit.parts))}


def interval_of(kept: Sequence[dict[str, NDArray[Any]]], first: str, second: str) -> dict[str, float]:
    """Return the mean difference in mAP of two methods over the splits of one network, and its 95 % bootstrap interval.

    Images are drawn anew, the same ones in all splits.
    """
    everyone = sorted({sha for one in kept for sha in one["sha256"].tolist()})
    place = {sha: position for position, sha in enumerate(everyone)}
    rows = [np.array([place[sha] for sha in one["sha256"].tolist()]) for one in kept]

    def difference(weights: NDArray[np.float64]) -> float:
        values = []
        for one, row in zip(kept, rows, strict=True):
            own = weights[row]
            keep = own > 0
            for k in range(one[first].shape[1]):
                labels = one["labels"][keep] == k
                a, b = (average_precision_score(labels, one[m][keep, k], sample_weight=own[keep]) for m in (first, second))
                values.append(a - b)
        return 100 * float(np.mean(values))

    rng = np.random.default_rng(0)
    count = len(everyone)
    draws = [difference(rng.multinomial(count, np.full(count, 1 / count)).astype(float)) for _ in range(RESAMPLES)]
    low, high = np.percentile(draws, [2.5, 97.5])
    return {"mean": difference(np.ones(count)), "low": float(low), "high": float(high)}


def conclusions(
    rows: Sequence[dict[str, Any]], arrays: dict[tuple[str, str], list[dict[str, NDArray[Any]]]]
) -> list[dict[str, Any]]:
    """Return for each network its figures over all splits."""
    found = []
    for (world, network), kept in arrays.items():
        own = [row for row in rows if (row["world"], row["network"]) == (world, network)]
        reached = {
            name: float(np.mean([row["at_equal_loss"][name]["accuracy"] for row in own]))
            for name in own[0]["at_equal_loss"]
            if all(row["at_equal_loss"][name]["accuracy"] is not None for row in own)
        }
        found.append(
            {
                "world": world,
                "network": network,
                "splits": len(own),
                "map": {name: 100 * float(np.mean([row["map"][name] for row in own])) for name in own[0]["map"]},
                "over_network": interval_of(kept, "summaries", "network"),
                "over_regions": interval_of(kept, "summaries", "regions"),
                "over_pooled": interval_of(kept, "summaries", "pooled"),
                "over_pooled_joined": interval_of(kept, "summaries", "pooled, joined"),
                "at_equal_loss": reached,
                "top1": {
                    name: {
                        group: {
                            key: float(np.mean([row["points"][name][group][key] for row in own])) for key in ("before", "after")
                        }
                        for group in own[0]["points"][name]
                    }
                    for name in own[0]["points"]
                },
                "cost": max(value for row in own for key, value in row["cost"].items() if key != "detectors"),
                "unchanged": float(np.mean([value for row in own for value in row["unchanged"]["summaries"]])),
            }
        )
    return found


def bars_of(found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    bars: list[dict[str, Any]] = []

    def bar(name: str, value: float | None, bound: float, sense: str = ">=") -> None:
        known = value is not None and math.isfinite(value)
        holds = known and (value >= bound if sense == ">=" else value <= bound if sense == "<=" else value > bound)
        bars.append({"name": name, "value": value if known else None, "bound": bound, "sense": sense, "holds": bool(holds)})

    for world in dict.fromkeys(one["world"] for one in found):
        own = [one for one in found if one["world"] == world]
        bar(
            f"{world}: points of mAP over the network's own score",
            float(np.mean([one["over_network"]["mean"] for one in own])),
            5,
        )
        if world == "photographs":
            above = sum(one["over_network"]["low"] > 0 for one in own)
            bar(f"{world}: networks whose interval is above 0", float(above), 2)
        reached = [one["at_equal_loss"] for one in own]
        if all("summaries" in one and "shift" in one for one in reached):
            ahead = float(np.mean([one["summaries"] - one["shift"] for one in reached]))
            bar(f"{world}: points over the prior shift at equal losses of bystanders", ahead, 3)
        bar(f"{world}: points of mAP over random regions", float(np.mean([one["over_regions"]["mean"] for one in own])), 0, ">")
        better = [min(one["over_pooled"]["mean"], one["over_pooled_joined"]["mean"]) for one in own]
        bar(f"{world}: points of mAP over the better pooled control", float(np.mean(better)), 0)
        bar(f"{world}: forward pass over the plain one", max(one["cost"] for one in own), 1.5, "<=")
    return bars
