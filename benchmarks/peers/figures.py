"""Figures of ``peers.py``: what label maps of all methods say of the same images, their means, and whether bars hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Row, bar, mean
from benchmarks.parts.scores import agreement
from benchmarks.parts.units import Points
from visual_summaries.masks.scorer import Scorer
from visual_summaries.masks.seen import infill_of
from visual_summaries.settings.stages import PartSettings

Labels = NDArray[np.integer]
Pixels = NDArray[np.bool_]

#: Presets of this project that are measured, and how many times CRAFT's seconds each may take.
PRESETS = {"default": 4.0, "quick": 1.0}
#: What a user of each method has to choose or give, beside the network and the images of a class.
NEEDS = {
    "default": "nothing",
    "quick": "nothing",
    "CRAFT": "layer, number of concepts, size of crops",
    "k-means": "layers, number of groups",
    "SpRAy": "layer, number of clusters",
    "ACE": "layer, superpixels, number of clusters, random images",
    "zennit-crp": "layer, rules, canonizers for the architecture",
}
#: The network that the bars ask about.
JUDGED = "mobilenetv2_100"
#: A group is in an image when it has at least this share of its pixels: as much as a piece of one of our parts.
IN_IMAGE = PartSettings().min_piece

#: Figures whose means over units are shown.
_MEANS = ("groups", "seconds", "processor_seconds", "coverage", "together", "area", "agreement", "agreement_of_all")


def coverage(labels: Sequence[Labels], groups: int) -> list[float]:
    """Return for each of so many groups in which share of the images it is.

    Examples
    --------
    >>> coverage([np.array([[0, 0], [1, 1]]), np.array([[0, 0], [0, -1]])], 2)
    [1.0, 0.5]
    """
    found = [[float(np.mean(own == k)) >= IN_IMAGE for k in range(groups)] for own in labels]
    return [float(share) for share in np.mean(found, axis=0)]


def together(scorer: Scorer, views: Sequence[NDArray[np.uint8]], labels: Mapping[str, Sequence[Labels]]) -> dict[str, float]:
    """Return for each method the mean relative loss of the class's score when all pixels of its groups are hidden."""
    asked = []
    for i, view in enumerate(views):
        hidden = np.stack([np.zeros(view.shape[:2], bool), *(own[i] >= 0 for own in labels.values())])
        asked.append((view, hidden, [infill_of(view, scorer.settings)] * len(hidden)))
    scores = np.array(scorer.without_in(asked), np.float64)
    losses = ((scores[:, :1] - scores[:, 1:]) / scores[:, :1]).mean(axis=0)
    return {name: float(loss) for name, loss in zip(labels, losses, strict=True)}


def compared(
    points: Sequence[Points],
    labels: Mapping[str, NDArray[np.integer]],
    evidence: Mapping[str, NDArray[np.bool_]],
    facts: Mapping[str, Row],
    taken: Mapping[str, float],
) -> list[Row]:
    """Return the figures of each method on the same images.

    Parameters
    ----------
    points : sequence of dict
        Named part points (x, y) of each image.
    labels : mapping of str to ndarray, (N, H, W)
        Group of each pixel, for each method; -1: none.
    evidence : mapping of str to ndarray of bool, (N, H, W)
        Of each preset of ours: all methods are compared at points in it.
    facts : mapping of str to dict
        What each process says of itself, with ``seconds``.
    taken : mapping of str to float
        As :func:`together` gives it.

    Returns
    -------
    list of dict
        ``agreement`` is over points in the default's evidence, ``agreement_in`` over those in each preset's and over all
        points, ``points`` their numbers. ``ratio`` is of the seconds, to CRAFT's.
    """
    shape = next(iter(labels.values())).shape
    where = {**evidence, "all": np.ones(shape, bool)}
    craft = facts.get("CRAFT", {}).get("seconds")
    rows = []
    for method, own in labels.items():
        found = {name: agreement(list(own), list(pixels), points) for name, pixels in where.items()}
        groups = int(own.max()) + 1
        rows.append(
            {
                "method": method,
                "groups": groups,
                **facts[method],
                "ratio": facts[method]["seconds"] / craft if craft else None,
                "points": {name: count for name, (_, count) in found.items()},
                "agreement": found["default"][0] if "default" in found else None,
                "agreement_of_all": found["all"][0],
                "agreement_in": {name: value for name, (value, _) in found.items()},
                "coverages": coverage(list(own), groups),
                "coverage": mean(coverage(list(own), groups)),
                "together": taken[method],
                "area": float(np.mean(own >= 0)),
            }
        )
    return rows


def shortcut_figures(results: Row | None) -> dict[str, Row]:
    """Return, from the results of ``shortcuts/shortcuts.py``, how often methods find a planted cue and accuse a clean network.

    Heat maps and concepts accuse no network: they have no verdict.
    """
    half = next((one for one in (results or {}).get("halves", []) if one["half"] == "report"), None)
    if half is None:
        return {}
    return {
        "default": {"shortcut_found": half["found"], "accused": half["accused"]},
        "SpRAy": {"shortcut_found": half["spray"]},
        "CRAFT": {"shortcut_found": half["craft"]},
    }


def mean_rows(rows: Sequence[Row], shortcuts: Mapping[str, Row]) -> list[Row]:
    """Return a row for each method: means over its units, what it needs, and what is known of shortcuts."""
    found = []
    for method in dict.fromkeys(row["method"] for row in rows if row["kind"] == "unit"):
        own = [row for row in rows if row["method"] == method and row["kind"] == "unit"]
        values = {name: _known_mean([row[name] for row in own]) for name in _MEANS}
        shown = {"method": method, "needs": NEEDS.get(method), "units": len(own), **values}
        found.append({"kind": "mean", **shown, **shortcuts.get(method, {})})
    return found


def _known_mean(values: Sequence[float | None]) -> float | None:
    return mean([value for value in values if value is not None])


def over_units(rows: Sequence[Row], network: str, method: str, preset: str) -> Row:
    """Return a method's seconds in all units of a network together, and its mean agreement at points in a preset's evidence.

    Where no point lies in the evidence, agreement counts as 0.

    Examples
    --------
    >>> unit = {"kind": "unit", "network": "n", "method": "m", "seconds": 10.0, "agreement_in": {"default": 0.4}}
    >>> over_units([unit, {**unit, "agreement_in": {"default": None}}], "n", "m", "default")
    {'seconds': 20.0, 'agreement': 0.2}
    """
    own = [row for row in rows if (row["kind"], row["network"], row["method"]) == ("unit", network, method)]
    values = [row["agreement_in"].get(preset) or 0.0 for row in own]
    return {"seconds": float(sum(row["seconds"] for row in own)), "agreement": mean(values)}


def peer_bars(rows: Sequence[Row], presets: Sequence[str]) -> list[Row]:
    """Return the bars of each preset: its seconds beside CRAFT's, its agreement above that of each other method."""
    bars: list[Row] = []
    units = [row for row in rows if row["kind"] == "unit" and row["network"] == JUDGED]
    others = dict.fromkeys(row["method"] for row in units if row["method"] not in presets)
    for name in presets:
        own = over_units(rows, JUDGED, name, name)
        theirs: dict[str, Any] = {method: over_units(rows, JUDGED, method, name) for method in others}
        if name in PRESETS and "CRAFT" in theirs:
            ratio = own["seconds"] / theirs["CRAFT"]["seconds"] if own["seconds"] else None
            bars.append(bar(f"{name}: seconds, in those of CRAFT", ratio, PRESETS[name], "<="))
        bars += [
            bar(f"{name}: agreement with part points above {method}'s", own["agreement"], found["agreement"] or 0.0, ">")
            for method, found in theirs.items()
        ]
    return bars
