"""The map of regions: their places, and what the page's script needs to show, select and save them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visual_summaries.pages.geometry import window_around
from visual_summaries.pages.layout import FEWEST, MOST_DISTANCES, distances, distances_between, layout, layout_by_distances
from visual_summaries.pages.words import text
from visual_summaries.regions import full_mask, run_length, view_file
from visual_summaries.results import Box, Run, Summary

#: Width, height and rim of the map, in its own units.
MAP_SIZE, MAP_RIM = (400, 250), 8

#: Most regions on the map of a divided run.
MOST = 1500


def region_map(run: Run, target: str) -> dict[str, Any] | None:
    """Return the map of a run's regions as plain values, or None where there are too few.

    Parameters
    ----------
    run : Run
    target : str
        Name of the class.

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
    if len(shown) <= MOST_DISTANCES:
        places["distances"] = _places(layout_by_distances(gaps))
    place = {index: k for k, index in enumerate(shown)}
    labels = {
        kind: [
            (s.index + 1, *np.median([points[place[i]] for i in s.cluster if i in place], axis=0).round(1).tolist())
            for s in run.summaries
            if any(i in place for i in s.cluster)
        ]
        for kind, points in places.items()
    }
    rows = region_rows(run, shown)
    return {
        "size": MAP_SIZE,
        "kinds": list(places),
        "points": list(zip(places["neighbors"], rows, strict=True)),
        "labels": labels["neighbors"],
        "data": {"rows": rows, "places": places, "labels": labels, "coco": _coco(run, target)},
    }


def mapped_regions(run: Run) -> list[int]:
    """Return the regions that the map shows: all with the preset ``"paper"``, else the largest of each part in each image.

    At most :data:`MOST`, the largest.
    """
    if run.parts is None:
        return list(range(len(run.regions)))
    part = {index: summary.index for summary in (*run.summaries, *run.rejected) for index in summary.cluster}
    best: dict[tuple[int, int], int] = {}
    by_size = sorted((r for r in run.regions if r.index in part), key=lambda r: -int(r.mask.sum()))
    for region in by_size:
        best.setdefault((part[region.index], region.image), region.index)
    return sorted(list(best.values())[:MOST])


def region_rows(run: Run, shown: Sequence[int]) -> list[dict[str, Any]]:
    """Return what is known of some regions as plain data, their evidence as COCO's run lengths among it."""
    summaries, rejected = groups_of(run.summaries), groups_of(run.rejected)
    whole = run.parts is not None
    part = {r: k for k, own in enumerate((*run.summaries, *run.rejected), start=1) for r in own.cluster} if whole else {}
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


def part_name(part: int, image: int) -> str:
    """Return by which name the page has the outline of a part in an image: number from 1, kept ones first; 0 is the rest."""
    return f"{part}-{image}"


def groups_of(summaries: Iterable[Summary]) -> dict[int, int]:
    """Return the number of the summary, from 1, of each region that is in one."""
    return {region: summary.index + 1 for summary in summaries for region in summary.cluster}


def crop_window(box: Box, shape: tuple[int, ...]) -> list[int]:
    """Return the part of an image to show around a box: x, y, width, height."""
    x0, y0, x1, y1 = window_around(box, (shape[0], shape[1]))
    return [x0, y0, x1 - x0, y1 - y0]


def _coco(run: Run, target: str) -> dict[str, Any]:
    return {
        "info": {
            "description": f"Visual summaries of {target}",
            "date_created": text(run.info.created),
        },
        "images": [
            {"id": image.index + 1, "file_name": view_file(image.index), "height": height, "width": width}
            for image in run.images
            for height, width in [image.view.shape[:2]]
        ],
        "categories": [
            {"id": summary.index + 1, "name": text(summary.label), "supercategory": target} for summary in run.summaries
        ],
    }


def _places(unit: NDArray[np.floating]) -> list[tuple[float, float]]:
    span = np.array(MAP_SIZE) - 2 * MAP_RIM
    return [(round(x, 1), round(y, 1)) for x, y in (unit * span + MAP_RIM).tolist()]


def _number(value: float) -> float | None:
    """Return a number that JSON can hold."""
    return round(float(value), 6) if math.isfinite(value) else None
