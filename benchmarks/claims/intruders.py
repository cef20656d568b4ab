"""How hard intruder tasks are, for ``study.py``: by a network's features, and by the annotated parts that the pictures show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.parts.scores import without_side
from visual_summaries.study.simulate import likeness

#: A shown pixel belongs to the nearest annotated point within this share of the object's size (the diagonal of its points).
REACH = 0.15
#: What lies farther from all points.
BESIDE = "beside"
#: The annotated parts of birds as most people would name them.
GROUPS = {
    "head": ("beak", "crown", "forehead", "eye", "nape", "throat"),
    "body": ("back", "belly", "breast", "wing"),
    "legs": ("leg",),
    "tail": ("tail",),
}

Points = Mapping[str, tuple[float, float]]


def by_features(vectors: NDArray[np.float32]) -> dict[str, Any]:
    """Return how far the last of these vectors (N, D), of length 1, is from the others: the intruder from its row.

    Returns
    -------
    dict
        ``found``: the intruder is the least like the others; ``within``: the mean likeness of the others to each other;
        ``intruder``: its mean likeness to them.
    """
    like = likeness(vectors)
    return {
        "found": bool(like.argmin() == len(vectors) - 1),
        "within": float(likeness(vectors[:-1]).mean()),
        "intruder": float(like[-1]),
    }


def shown_part(pixels: NDArray[np.bool_], points: Points) -> str:
    """Return the annotated part that most of the shown pixels (H, W) are nearest to, without its side; or :data:`BESIDE`.

    Points are (x, y) in pixels of the same view, those outside it included: they tell the object's size.
    """
    if not points or not pixels.any():
        return BESIDE
    places = np.array(list(points.values()), float)
    rows, columns = np.nonzero(pixels)
    away = np.hypot(columns[:, None] + 0.5 - places[:, 0], rows[:, None] + 0.5 - places[:, 1])
    near = away.min(axis=1) <= REACH * float(np.hypot(*np.ptp(places, axis=0)))
    names = [without_side(name) for name in points]
    counts = Counter(names[i] for i in away.argmin(axis=1)[near])
    counts[BESIDE] += int((~near).sum())
    return max(sorted(counts), key=lambda name: counts[name])


def grouped(part: str) -> str:
    """Return the group of :data:`GROUPS` that a part belongs to.

    Examples
    --------
    >>> grouped("beak"), grouped(BESIDE)
    ('head', 'beside')
    """
    return next((group for group, parts in GROUPS.items() if part in parts), part)


def by_parts(parts: Sequence[str]) -> dict[str, Any]:
    """Return what the parts of a task's pictures, the intruder's last, let people do.

    Returns
    -------
    dict
        ``majority``: more than half of the row shows one part; ``same``: the intruder shows that part, too, and nobody should
        find it; ``solvable``: it shows another; ``observer``: the chance of who sees these parts, chooses one that fewest
        pictures show, and guesses among several.

    Examples
    --------
    >>> by_parts(["head", "head", "head", "tail", "legs"])
    {'majority': True, 'same': False, 'solvable': True, 'observer': 0.5}
    """
    *row, intruder = parts
    part, count = Counter(row).most_common(1)[0]
    majority = 2 * count > len(row)
    counts = Counter(parts)
    rare = [name for name in parts if counts[name] == min(counts.values())]
    return {
        "majority": majority,
        "same": majority and intruder == part,
        "solvable": majority and intruder != part,
        "observer": (intruder in rare) / len(rare),
    }


def difficulty(tasks: Sequence[Mapping[str, Any]], chance: float) -> dict[str, Any]:
    """Return the mean figures of some tasks.

    Each has those of :func:`by_features` and, where there are annotated parts, under ``points`` those of :func:`by_parts`, by
    level. ``expected`` is the share that attentive people find at most: all solvable ones, and by guessing of the others.
    """
    found: dict[str, Any] = {"tasks": len(tasks)}
    for name in ("found", "within", "intruder"):
        found[name] = mean(float(task[name]) for task in tasks)
    found["margin"] = found["within"] - found["intruder"]
    for level in dict.fromkeys(level for task in tasks for level in task.get("points", {})):
        own = [task["points"][level] for task in tasks if "points" in task]
        figures: dict[str, Any] = {
            name: mean(float(one[name]) for one in own) for name in ("majority", "same", "solvable", "observer")
        }
        figures["expected"] = figures["solvable"] + (1 - figures["solvable"]) * chance
        found[level] = {"tasks": len(own), **figures}
    return found
