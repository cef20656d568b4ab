"""Masks from heat maps that somebody brought: which of their pixels are evidence, and what hiding these does."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from visual_summaries.masks.scorer import Scorer
from visual_summaries.results import Mask
from visual_summaries.settings.masks import EvidenceSettings, infills_of

Map = NDArray[np.float32]
Pixels = NDArray[np.bool_]

#: The area that costs a share of the score is found to this share of the view.
STEP = 0.005


def is_binary(given: Map) -> bool:
    """Whether a map is a mask: it has only two values.

    Examples
    --------
    >>> is_binary(np.array([[0.0, 255.0]], np.float32)), is_binary(np.array([[0.0, 0.5, 1.0]], np.float32))
    (True, False)
    """
    return bool(((given == given.min()) | (given == given.max())).all())


def masks_of_maps(
    scorer: Scorer, views: Sequence[NDArray[np.uint8]], maps: Sequence[Map], settings: EvidenceSettings
) -> list[tuple[Mask, str]]:
    """Return the mask of each map, and how it was made of it.

    Only positive values are ever evidence, and pixels of one value are evidence together. Scores are means over the infills of
    the scorer's settings. For scores that are no probabilities, the loss is a share of what hiding everything takes.

    Parameters
    ----------
    scorer : Scorer
    views : sequence of ndarray of uint8, (H, W, 3)
    maps : sequence of ndarray of float32, (H, W)
        In [0, 1], each with two values at least.
    settings : EvidenceSettings

    Returns
    -------
    list of (Mask, str)
        ``"binary"``: only two values, taken as it is; ``"area"``: the strongest pixels of the given area; ``"loss"``: the
        smallest area of the strongest pixels whose hiding takes the given share of the score; ``"short"``: all positive
        pixels, because even hiding them takes less.
    """
    ordered = [np.sort(given[given > 0])[::-1] for given in maps]
    ways = ["binary" if is_binary(given) else "loss" if settings.area is None else "area" for given in maps]
    counts = [len(values) for values in ordered]  # pixels that are evidence
    if settings.area is not None:
        wanted = [max(1, round(settings.area * given.size)) for given in maps]
        counts = [n if way == "binary" else min(n, area) for n, way, area in zip(counts, ways, wanted, strict=True)]

    def evidence(k: int) -> Pixels:
        return np.asarray(maps[k] >= ordered[k][counts[k] - 1])

    with scorer.frozen():
        start = [np.stack([np.zeros(m.shape, bool), np.ones(m.shape, bool), evidence(k)]) for k, m in enumerate(maps)]
        before, hidden, after = (list(rows) for rows in zip(*_scores(scorer, views, start), strict=True))
        absolute = scorer.target.index is not None and scorer.target.kind != "logit"
        floors = [0.0 if absolute else float(own.mean()) for own in hidden]
        goals = [own.mean() - settings.loss * max(own.mean() - floor, 0) for own, floor in zip(before, floors, strict=True)]
        for k, way in enumerate(ways):
            if way == "loss" and after[k].mean() > goals[k]:
                ways[k] = "short"
        sought = [k for k, way in enumerate(ways) if way == "loss"]
        low, high = dict.fromkeys(sought, 0), {k: counts[k] for k in sought}  # hiding `low` takes too little, `high` enough
        while sought := [k for k in sought if high[k] - low[k] > max(1, STEP * maps[k].size)]:
            for k in sought:
                counts[k] = math.ceil((low[k] + high[k]) / 2)
            asked = _scores(scorer, [views[k] for k in sought], [evidence(k)[None] for k in sought])
            for k, (own,) in zip(sought, asked, strict=True):
                if own.mean() > goals[k]:
                    low[k] = counts[k]
                else:
                    high[k], after[k] = counts[k], own
        counts = [high.get(k, count) for k, count in enumerate(counts)]
    none = np.zeros(0, np.float32)
    return [
        (Mask(given.astype(np.float16), evidence(k).astype(np.float16), None, float(b.mean()), a, h, none), way)
        for k, (given, b, a, h, way) in enumerate(zip(maps, before, after, hidden, ways, strict=True))
    ]


def _scores(scorer: Scorer, views: Sequence[NDArray[np.uint8]], hidden: Sequence[Pixels]) -> list[NDArray[np.float32]]:
    """Return the scores (M, W) of each view with the pixels of its masks (M, H, W) hidden, in each infill."""
    infills = infills_of(scorer.settings.infill)
    asked = [(view, own.repeat(len(infills), axis=0), infills * len(own)) for view, own in zip(views, hidden, strict=True)]
    return [found.reshape(-1, len(infills)) for found in scorer.without_in(asked)]
