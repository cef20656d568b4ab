"""The map of regions: their places, and what the page's script needs to show, select and save them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visual_summaries.pages.exports import coco_head
from visual_summaries.pages.geometry import crop_window
from visual_summaries.pages.summaries import groups_of, part_name
from visual_summaries.pages.words import text
from visual_summaries.regions import full_mask, run_length
from visual_summaries.results import Run

#: Fewer regions than this make no map.
FEWEST = 5
#: More regions than this are not laid out by distances (each round of it looks at every pair); of a divided run, not shown.
MOST = 1500
#: Rounds of stress majorization; the plane changes little after them.
_ROUNDS = 60
#: Width, height and rim of the map, in its own units.
MAP_SIZE, MAP_RIM = (400, 250), 8


def region_map(run: Run) -> dict[str, Any] | None:
    """Return the map of a run's regions as plain values, or None where there are too few.

    Returns
    -------
    dict or None
        ``size``; ``kinds``: the ways to lay it out; ``points`` (place and row of each region) and ``labels`` (number and place
        of each summary) by the first of them; ``data`` for the script: rows, the places by every way, and what COCO annotations
        of any selection share.
    """
    shown = mapped_regions(run)
    if len(shown) < FEWEST:
        return None
    gaps = distances(run.similarity) if run.parts is None else distances_between(run.descriptors[shown])
    places = {"neighbors": _places(layout(gaps, run.info.random_state))}
    if len(shown) <= MOST:
        places["distances"] = _places(layout_by_distances(gaps))
    rows = region_rows(run, shown)
    labels: dict[str, list[tuple[float, ...]]] = {kind: [] for kind in places}
    for number in (summary.index + 1 for summary in run.summaries):
        own = [k for k, row in enumerate(rows) if row["summary"] == number]
        for kind, points in places.items() if own else ():
            labels[kind].append((number, *np.median([points[k] for k in own], axis=0).round(1).tolist()))
    return {
        "size": MAP_SIZE,
        "kinds": list(places),
        "points": list(zip(places["neighbors"], rows, strict=True)),
        "labels": labels["neighbors"],
        "data": {"rows": rows, "places": places, "labels": labels, "coco": coco_head(run)},
    }


def mapped_regions(run: Run) -> list[int]:
    """Return the regions that the map shows: all with the preset ``"paper"``, else the largest of each part in each image.

    At most :data:`MOST`, the largest.
    """
    if run.parts is None:
        return list(range(len(run.regions)))
    part = _part_numbers(run)
    best: dict[tuple[int, int], int] = {}
    for region in sorted(run.regions, key=lambda region: -int(region.mask.sum())):
        if region.index in part:
            best.setdefault((part[region.index], region.image), region.index)
    return sorted(list(best.values())[:MOST])


def _part_numbers(run: Run) -> dict[int, int]:
    return {region: k for k, part in enumerate((*run.summaries, *run.rejected), start=1) for region in part.cluster}


def region_rows(run: Run, shown: Sequence[int]) -> list[dict[str, Any]]:
    """Return what is known of some regions as plain data, their evidence as COCO's run lengths among it."""
    summaries, rejected = groups_of(run.summaries), groups_of(run.rejected)
    whole = run.parts is not None
    part = _part_numbers(run) if whole else {}
    similarity = {member.region: member.similarity for summary in run.summaries for member in summary.members}
    rows = []
    for region in (run.regions[index] for index in shown):
        evidence = full_mask(region.box, region.mask, run.images[region.image].view.shape[:2])
        rows.append(
            {
                "region": region.index,
                "image": region.image,
                "name": text(run.images[region.image].name),
                "box": [int(value) for value in region.box],
                "window": [0, 0, evidence.shape[1], evidence.shape[0]] if whole else crop_window(region.box, evidence.shape),
                "part": part_name(part[region.index], region.image) if region.index in part else None,
                "summary": summaries.get(region.index),
                "rejected": region.index in rejected,
                "member": region.index in similarity,
                "similarity": _number(similarity.get(region.index, math.nan)),
                "salient_share": _number(region.salient_share),
                "contribution": _number(region.contribution),
                "drop": _number(region.drop),
                "area": int(evidence.sum()),
                "counts": run_length(evidence)["counts"],
            }
        )
    return rows


def distances(similarity: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return distances in [0, 1] from similarities.

    Match confidences have a long tail and no common scale, so each is taken relative to the best ones of its two regions:
    d(i, j) = 1 - s(i, j) / sqrt(max s(i, .) * max s(j, .)).

    Parameters
    ----------
    similarity : ndarray of float, (R, R)
        Symmetric, >= 0.

    Examples
    --------
    >>> distances(np.array([[0, 4, 1], [4, 0, 0], [1, 0, 0]], float)).tolist()
    [[0.0, 0.0, 0.5], [0.0, 0.0, 1.0], [0.5, 1.0, 0.0]]
    """
    best = similarity.max(axis=1, initial=0)
    scale = np.sqrt(np.outer(best, best))
    relative = np.divide(similarity, scale, out=np.zeros(similarity.shape), where=scale > 0)
    result = np.clip(1 - relative, 0, 1).astype(np.float32)
    np.fill_diagonal(result, 0)
    return np.asarray(result)


def distances_between(descriptors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the distances (R, R) of regions that have descriptors (R, d), as shares of the largest one.

    Examples
    --------
    >>> distances_between(np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 2.5]])).astype(float).round(2).tolist()
    [[0.0, 1.0, 0.5], [1.0, 0.0, 0.67], [0.5, 0.67, 0.0]]
    """
    from scipy.spatial.distance import pdist, squareform  # slow to import, as those below: only when they are used

    gaps = squareform(pdist(descriptors)).astype(np.float32)
    return np.asarray(gaps / max(float(gaps.max(initial=0)), 1e-12), np.float32)


def layout(gaps: NDArray[np.floating], random_state: int = 0) -> NDArray[np.float64]:
    """Place regions in the unit square by t-SNE (van der Maaten & Hinton, JMLR 2008) of their distances, evenly spread.

    Parameters
    ----------
    gaps : ndarray of float, (R, R)
        Distances in [0, 1], symmetric; R at least :data:`FEWEST`.
    random_state : int
        Same state, same map.

    Returns
    -------
    ndarray of float64, (R, 2)
        Positions (x, y) in [0, 1]. Neighbors can be trusted, distances between groups cannot.

    Raises
    ------
    ValueError
        If there are too few regions for a map.
    """
    from sklearn.manifold import TSNE

    count = _enough(gaps)
    tsne = TSNE(metric="precomputed", init="random", perplexity=min(20.0, (count - 1) / 3), random_state=random_state)
    return _spread(tsne.fit_transform(gaps).astype(np.float64))


def layout_by_distances(gaps: NDArray[np.floating]) -> NDArray[np.float64]:
    """Place regions in the unit square by metric multidimensional scaling of their distances (SMACOF; de Leeuw, 1977).

    Starts from classical scaling (Torgerson, 1952), so nothing is drawn at random. Distances, between groups too, are kept as
    well as a plane can; but most regions match few others, so most distances are nearly 1, and neighbors are less near than
    by :func:`layout`.

    Parameters
    ----------
    gaps : ndarray of float, (R, R)
        Distances in [0, 1], symmetric; R at least :data:`FEWEST`.

    Returns
    -------
    ndarray of float64, (R, 2)
        Positions (x, y) in [0, 1].

    Raises
    ------
    ValueError
        If there are too few regions for a map.
    """
    from scipy.sparse.linalg import eigsh
    from sklearn.manifold import smacof

    count = _enough(gaps)
    squared = gaps.astype(np.float64) ** 2
    inner = -(squared - squared.mean(axis=0) - squared.mean(axis=1)[:, None] + squared.mean()) / 2
    values, vectors = eigsh(inner, k=2, which="LA", v0=np.linspace(1, 2, count))
    start = vectors * np.sqrt(np.maximum(values, 1e-12))
    points, _ = smacof(gaps.astype(np.float64), n_components=2, init=start, n_init=1, max_iter=_ROUNDS, normalized_stress=False)
    return _spread(points)


def _enough(gaps: NDArray[np.floating]) -> int:
    count = len(gaps)
    if count < FEWEST:
        raise ValueError(f"{count} regions make no map: {FEWEST} are needed")
    return count


def _spread(points: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.stats import rankdata

    # Regions that are like no other fly far off and would press the rest into a spot; half of each coordinate is its rank.
    low, span = points.min(axis=0), np.ptp(points, axis=0)
    ranks = rankdata(points, axis=0) - 1
    return np.asarray((points - low) / np.where(span > 0, span, 1) + ranks / (len(points) - 1)) / 2


def _places(unit: NDArray[np.floating]) -> list[tuple[float, float]]:
    span = np.array(MAP_SIZE) - 2 * MAP_RIM
    return [(round(x, 1), round(y, 1)) for x, y in (unit * span + MAP_RIM).tolist()]


def _number(value: float) -> float | None:
    """Return a number that JSON can hold."""
    return round(float(value), 6) if math.isfinite(value) else None
