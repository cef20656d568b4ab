"""Figures of ``specialize.py``: accuracies, curves, intervals, and the bars made of them."""

from __future__ import annotations

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
from benchmarks.harness import Row, bar
from benchmarks.specialization.methods import Method
from visual_summaries._statistics import percentile_interval, resamples
from visual_summaries.classifiers import Classifier
from visual_summaries.specialization.examples import Examples
from visual_summaries.specialization.learning import Learned
from visual_summaries.specialization.specializing import build_network

#: Largest losses of bystanders, in points, at which methods are compared: other kinds, other dogs.
LOSSES = (0.5, 2.0)


RESAMPLES = 300


#: Added to a method's constants of all classes, from weak to strong.
STRENGTHS = tuple(round(-4 + 0.1 * step, 1) for step in range(81))


def moved_logits(test: Examples, classes: Sequence[int], method: Method, shifts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logits of a method with some constants."""
    moved = test.logits.astype(np.float64).copy()
    moved[:, list(classes)] += method.offsets + shifts
    return moved


def first_choices(test: Examples, classes: Sequence[int], method: Method, shifts: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the class that each image gets."""
    return np.asarray(moved_logits(test, classes, method, shifts).argmax(axis=1))


def comparison(before: NDArray[np.bool_], after: NDArray[np.bool_], seed: int) -> Row:
    """Return accuracies in percent, the change with its paired bootstrap interval, and McNemar's exact test."""
    change = after.astype(float) - before.astype(float)
    low, high = percentile_interval(change[resamples(len(change), 2000, seed)].mean(axis=1))
    better, worse = int((change > 0).sum()), int((change < 0).sum())
    p = float(binomtest(better, better + worse).pvalue) if better + worse else 1.0
    return {
        "before": 100 * float(before.mean()),
        "after": 100 * float(after.mean()),
        "change": {"mean": 100 * float(change.mean()), "low": 100 * low, "high": 100 * high},
        "mcnemar": {"better": better, "worse": worse, "p": p},
    }


def trade_off(
    test: Examples,
    classes: Sequence[int],
    method: Method,
    chosen: NDArray[np.float64],
    truth: NDArray[np.intp],
    groups: NDArray[np.str_],
    before: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Return a method's curve over its strength: (S, 3), accuracy in percent, losses of other kinds and other dogs in points.

    `chosen` are its constants (C,) by the training images; all of them are made smaller and larger by the same number.
    """
    curve = []
    for more in STRENGTHS:
        right = first_choices(test, classes, method, chosen + more) == truth
        losses = [
            100 * float(before[groups == g].mean() - right[groups == g].mean()) if (groups == g).any() else 0.0
            for g in ("far", "near")
        ]
        curve.append((100 * float(right[groups == "test"].mean()), *losses))
    return np.array(curve)


def reached(curves: Sequence[NDArray[np.float64]]) -> Row:
    """Return the most that a method reaches at bearable losses, by the mean of its curves over the splits.

    Examples
    --------
    >>> one = np.zeros((len(STRENGTHS), 3))
    >>> one[:, 0] = one[:, 2] = np.arange(len(STRENGTHS))
    >>> found = reached([one, one])
    >>> found["accuracy"], found["strength"], found["lost"]
    (2.0, -3.8, [0.0, 2.0])
    """
    mean = np.mean(curves, axis=0)
    allowed = np.flatnonzero((mean[:, 1] <= LOSSES[0] + 1e-9) & (mean[:, 2] <= LOSSES[1] + 1e-9))
    curve = [[strength, *np.round(point, 2).tolist()] for strength, point in zip(STRENGTHS, mean, strict=True)][::5]
    if not len(allowed):
        return {"accuracy": None, "strength": None, "lost": None, "curve": curve}
    best = allowed[mean[allowed, 0].argmax()]
    return {
        "accuracy": float(mean[best, 0]),
        "strength": STRENGTHS[best],
        "lost": mean[best, 1:].tolist(),
        "curve": curve,
    }


def cost(classifier: Classifier, fit: Examples, learned: Learned, settings: vs.SpecializeSettings) -> dict[str, float]:
    """Return how much longer a forward pass takes with every detector, used or not, over the plain one; one image, and 16."""
    every = replace(learned, fusions=tuple(replace(f, weights=np.ones(len(f.weights))) for f in learned.fusions))
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
    low, high = percentile_interval(np.array(draws))
    return {"mean": difference(np.ones(count)), "low": low, "high": high}


def conclusions(rows: Sequence[Row], arrays: dict[tuple[str, str], list[dict[str, NDArray[Any]]]]) -> list[Row]:
    """Return for each network its figures over all splits."""
    found = []
    for (world, network), kept in arrays.items():
        own = [row for row in rows if (row["world"], row["network"]) == (world, network)]
        others = {"network": "network", "regions": "regions", "pooled": "pooled", "pooled_joined": "pooled, joined"}
        found.append(
            {
                "world": world,
                "network": network,
                "splits": len(own),
                "map": _means([row["map"] for row in own], 100),
                **{f"over_{name}": interval_of(kept, "summaries", other) for name, other in others.items()},
                "at_equal_loss": {
                    name: reached([one[f"curve of {name}"] for one in kept])
                    for name in ("shift", "summaries", "regions", "pooled, joined")
                },
                "top1": {
                    name: {
                        group: _means([{key: row["points"][name][group][key] for key in ("before", "after")} for row in own])
                        for group in groups
                    }
                    for name, groups in own[0]["points"].items()
                },
                "map_with_constants": _means([row["map_with_constants"] for row in own], 100),
                "ceilings": _means([row["ceilings"] for row in own]),
                # The slower of the batch sizes, the median of the splits: they were measured beside other work.
                "cost": float(np.median([max(v for k, v in row["cost"].items() if k != "detectors") for row in own])),
                "unchanged": float(np.mean([value for row in own for value in row["unchanged"]["summaries"]])),
            }
        )
    return found


def _means(rows: Sequence[dict[str, float]], times: float = 1) -> dict[str, float]:
    return {name: times * float(np.mean([row[name] for row in rows])) for name in rows[0]}


def bars_of(found: Sequence[Row]) -> list[Row]:
    bars: list[Row] = []
    for world in dict.fromkeys(one["world"] for one in found):
        own = [one for one in found if one["world"] == world]

        def over(other: str, own: list[Row] = own) -> float:
            return float(np.mean([one[f"over_{other}"]["mean"] for one in own]))

        bars.append(bar(f"{world}: points of mAP over the network's own score", over("network"), 5, ">="))
        if world == "photographs":
            above = sum(one["over_network"]["low"] > 0 for one in own)
            bars.append(bar(f"{world}: networks whose interval is above 0", float(above), 2, ">="))
        pairs = [[one["at_equal_loss"][name]["accuracy"] for name in ("summaries", "shift")] for one in own]
        if all(value is not None for pair in pairs for value in pair):
            ahead = float(np.mean([ours - theirs for ours, theirs in pairs]))
            bars.append(bar(f"{world}: points over the prior shift at equal losses of bystanders", ahead, 3, ">="))
        better = float(np.mean([min(one["over_pooled"]["mean"], one["over_pooled_joined"]["mean"]) for one in own]))
        slower = max(one["cost"] for one in own)
        bars += [
            bar(f"{world}: points of mAP over random regions", over("regions"), 0, ">"),
            bar(f"{world}: points of mAP over the better pooled control", better, 0, ">="),
            bar(f"{world}: forward pass over the plain one", slower, 1.5, "<="),
        ]
    return bars
