"""Where the object is, without labels, and whether summaries are said to lie on it.

Run with ``python benchmarks/shortcuts/objects.py --data DIR --json FILE``. Photographs are of the twelve species of cub12_320
with the bird's box; six species, and one design of each planted cue, are what was chosen on, the others are what is reported.
Drawn birds have the truth of every pixel. Three things are measured:

- estimates of the object: how well a map ranks pixels of the box before others (area under the ROC curve), and share in the
  box, share of the box, and intersection over union of what it takes for the object. A bird does not fill its box;
- summaries of runs (preset ``quick``): on the object or not, against whether most of their pixels lie in the box;
- cues that are planted in the photographs, each taken for a summary: whether their place is named rightly, and how much of them
  an estimate takes for the object.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
from numpy.typing import NDArray
from scipy.stats import rankdata

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.harness import Finished, Row, bar, demo_classifier, finish, mean, parser, pretrained, results, rounded
from benchmarks.parts.photos import run_preset
from benchmarks.parts.planted import drawn
from benchmarks.parts.units import CHOSEN, REPORTED, Photographs, Unit, listed_boxes, read_unit, units
from benchmarks.shortcuts.planting import REGIONS, Cue
from visual_summaries.analyses.objects import CELLS, estimate_object, learn_looks, middle_of, objectness, project
from visual_summaries.analyses.places import measure_place
from visual_summaries.birds.render import render
from visual_summaries.birds.world import PARTS
from visual_summaries.classifiers import Classifier
from visual_summaries.classifiers.frames import view_frame
from visual_summaries.masks.controls import object_mask
from visual_summaries.parts import grid_features, grid_of
from visual_summaries.results import Run

Map = NDArray[np.floating]
Pixels = NDArray[np.bool_]
View = NDArray[np.uint8]

NETWORK = "efficientnet_lite0"
IMAGES = 14
OURS = "look-alikes in the middle"
#: Species of each half that cues are planted in.
PLANTED = {"quick": 1, "full": 3}
DRAWN = {"quick": (("main", 0),), "full": (("main", 0), ("main", 3), ("tiny", 1), ("tiny", 6), ("brief", 5))}
#: Raised when this file measures something else.
VERSION = 2


def boxes(photographs: Photographs, data: Path) -> list[Pixels]:
    """Return the bird's box in each view."""
    transform, listed = pretrained(NETWORK, data).transform, listed_boxes(data / "images/cub12_320")
    found = []
    for name, view in zip(photographs.names, photographs.views, strict=True):
        with PIL.Image.open(data / "images/cub12_320" / name) as image:
            frame = view_frame(transform, (image.height, image.width))
        x0, y0, x1, y1 = (max(round(one), 0) for one in frame.to_view(np.array([listed[name]]))[0])
        mask = np.zeros(view.shape[:2], bool)
        mask[y0:y1, x0:x1] = True
        found.append(mask)
    return found


def described(views: Sequence[View], classifier: Classifier) -> list[NDArray[np.float32]]:
    """Return the features of all cells of each view."""
    return [grid_features(view, classifier, grid_of(view.shape[:2], CELLS)) for view in views]


def ours(features: Sequence[NDArray[np.float32]], views: Sequence[View]) -> tuple[list[Map], list[Pixels]]:
    """Return the package's map and estimate of each view."""
    grids = [grid_of(view.shape[:2], CELLS) for view in views]
    looks = [project(one) for one in features]
    known = learn_looks(looks, grids, range(len(views)))
    maps = [objectness(one, grid, known, k) for k, (one, grid) in enumerate(zip(looks, grids, strict=True))]
    return maps, [estimate_object(one, view.shape[:2]) for one, view in zip(maps, views, strict=True)]


def others(features: Sequence[NDArray[np.float32]], views: Sequence[View]) -> dict[str, list[Map]]:
    """Return the maps of other ways to find the object: each needs the views, or their cells, and nothing else."""
    grids = [grid_of(view.shape[:2], CELLS) for view in views]
    centered = [one - np.mean([two.mean(axis=0) for two in features], axis=0) for one in features]
    unit = [one / np.maximum(np.linalg.norm(one, axis=1, keepdims=True), 1e-9) for one in centered]
    rims = [np.pad(np.zeros((rows - 2, columns - 2), bool), 1, constant_values=True).ravel() for rows, columns in grids]
    first = np.linalg.svd(np.concatenate([one[::3] for one in unit]), full_matrices=False)[2][0]
    rim, inner = (np.mean([(one[own == side] @ first).mean() for one, own in zip(unit, rims, strict=True)]) for side in (1, 0))
    made: Any = cv2.saliency
    saliency = {
        "spectral residual": made.StaticSaliencySpectralResidual_create(),
        "fine-grained saliency": made.StaticSaliencyFineGrained_create(),
    }
    return {
        "the middle alone": [middle_of(grid) for grid in grids],
        "unlike the border": [
            -np.sort(one @ one[own].T, axis=1)[:, -8:].mean(axis=1).reshape(grid)
            for one, own, grid in zip(unit, rims, grids, strict=True)
        ],
        "first direction": [np.sign(inner - rim) * (one @ first).reshape(grid) for one, grid in zip(unit, grids, strict=True)],
        **{
            name: [
                cv2.resize(
                    cv2.GaussianBlur(np.float32(how.computeSaliency(view)[1]), (0, 0), 8),
                    grid[::-1],
                    interpolation=cv2.INTER_AREA,
                )
                for view, grid in zip(views, grids, strict=True)
            ]
            for name, how in saliency.items()
        },
    }


def rated(maps: Sequence[Map] | None, found: Sequence[Pixels], truth: Sequence[Pixels]) -> Row:
    """Return how well maps and estimates agree with the truth; means over the images where some is object and some is not."""
    rows = []
    for k, (own, true) in enumerate(zip(found, truth, strict=True)):
        if not true.any() or true.all():
            continue
        both = (own & true).sum()
        auc = float("nan")
        if maps is not None:
            ranks = rankdata(cv2.resize(np.float32(maps[k]), true.shape[::-1], interpolation=cv2.INTER_LINEAR).ravel())
            on = true.ravel()
            auc = (ranks[on].mean() - (on.sum() + 1) / 2) / (~on).sum()
        rows.append((auc, both / max(own.sum(), 1), both / true.sum(), both / (own | true).sum()))
    return dict(zip(("auc", "in_truth", "of_truth", "iou"), np.mean(rows, axis=0).tolist(), strict=True))


def estimated(features: Sequence[NDArray[np.float32]], views: Sequence[View]) -> dict[str, tuple[list[Map], list[Pixels]]]:
    """Return maps and estimates of every way that needs no evidence."""
    found = {OURS: ours(features, views)}
    for name, maps in others(features, views).items():
        found[name] = maps, [estimate_object(one, view.shape[:2]) for one, view in zip(maps, views, strict=True)]
    return found


def estimates(
    features: Sequence[NDArray[np.float32]], views: Sequence[View], truth: Sequence[Pixels], run: Run | None
) -> dict[str, Row]:
    """Return the figures of every way to find the object."""
    found = {name: rated(*one, truth) for name, one in estimated(features, views).items()}
    if run is not None:
        grown = [object_mask(image.view, run.evidence(k)) for k, image in enumerate(run.images)]
        found["GrabCut from the evidence"] = rated(None, grown, truth)
    return found


def of_summaries(run: Run, objects: Sequence[Pixels], truth: Sequence[Pixels]) -> list[Row]:
    """Return where each summary of a run is said to lie, and how much of it lies in the box."""
    rows = []
    labels = [run.labels(k) for k in range(len(run.images))]
    for number, summary in enumerate(run.summaries):
        own = [k for k, one in enumerate(labels) if (one == number).any()]
        masks = [labels[k] == number for k in own]
        place = measure_place(masks, [objects[k] for k in own], own)
        in_box = float(np.mean([truth[k][mask].mean() for k, mask in zip(own, masks, strict=True)]))
        effect = summary.effect
        rows.append({"summary": number + 1, "images": len(own), "effect": effect, "in_box": in_box, **said(place)})
        rows[-1]["right"] = (place.kind == "object") == (in_box >= 0.5)
    return rows


def said(place: object) -> Row:
    """Return what is said of a place."""
    names = ("kind", "sure", "share_on_object", "common", "p_fixed")
    return {name: getattr(place, name) for name in names}


def of_cue(name: str, design: int, photographs: Photographs, truth: Sequence[Pixels]) -> Row:
    """Plant a cue in every view, and return where it is said to lie, and how much of it every estimate takes for the object."""
    cue = Cue(name, design)
    spans = [[np.flatnonzero(one.any(axis=axis))[[0, -1]] for axis in (0, 1)] for one in truth]
    boxes_of = [(x[0], y[0], x[1] + 1, y[1] + 1) for x, y in spans]
    planted = [cue.plant(view, k, box) for k, (view, box) in enumerate(zip(photographs.views, boxes_of, strict=True))]
    views, masks = zip(*planted, strict=True)
    found = estimated(described(views, photographs.classifier), views)
    taken = {how: np.mean([one[mask].mean() for one, mask in zip(own, masks, strict=True)]) for how, (_, own) in found.items()}
    place = measure_place(masks, found[OURS][1])
    return {"cue": name, "design": design, "place": cue.place, **said(place), "right": place.kind == cue.place, "taken": taken}


def photographed(unit: Unit, data: Path, keep: Path, cues: bool) -> list[Row]:
    """Return all rows of one species."""
    photographs = read_unit(unit, data, IMAGES, keep)
    truth = boxes(photographs, data)
    features = described(photographs.views, photographs.classifier)
    run = run_preset(photographs, "quick", keep / "runs" / unit.name)
    _, objects = ours(features, photographs.views)
    found = [{"what": "estimate", "how": how, **row} for how, row in estimates(features, photographs.views, truth, run).items()]
    found += [{"what": "summary", **row} for row in of_summaries(run, objects, truth)]
    if cues:
        design = int(unit.half == REPORTED)
        found += [{"what": "cue", **of_cue(name, design, photographs, truth)} for name in REGIONS]
    return rounded([{"half": unit.half, "class": unit.folder.split("/")[-1], **row} for row in found])


def of_drawn(network: str, index: int) -> list[Row]:
    """Return the estimates' figures on drawn birds; the truth is every pixel of the bird."""
    classifier = demo_classifier(network)
    made = [render(scene) for scene in drawn(classifier, index, IMAGES)]
    views = [classifier.view(PIL.Image.fromarray(one.image)) for one in made]
    bird = [np.isin(one.labels, range(1, 1 + len(PARTS))) for one in made]
    features = described(views, classifier)
    found = estimates(features, views, bird, None)
    return rounded(
        [{"half": "drawn", "class": f"{network} {index}", "what": "estimate", "how": how, **row} for how, row in found.items()]
    )


def bars(rows: Sequence[Row]) -> list[Row]:
    """Return what is asked for, of the half that is reported."""
    own = {what: [row for row in rows if row["half"] == REPORTED and row["what"] == what] for what in ("summary", "cue")}
    return [
        bar("summaries: on the object or not, right", mean([row["right"] for row in own["summary"]]), 0.9, ">="),
        bar("planted cues: place named rightly", mean([row["right"] for row in own["cue"]]), 0.9, ">="),
    ]


def means(rows: Sequence[Row]) -> list[Row]:
    """Return the mean figures of each estimate over the classes of each half."""
    own, cues = ([row for row in rows if row["what"] == what] for what in ("estimate", "cue"))
    found = []
    for half, how in sorted({(row["half"], row["how"]) for row in own}):
        same = [row for row in own if (row["half"], row["how"]) == (half, how)]
        figures = {
            name: mean([row[name] for row in same if row[name] is not None]) for name in ("auc", "in_truth", "of_truth", "iou")
        }
        beside = [
            row["taken"].get(how) for row in cues if row["half"] == half and row["cue"] != "text"
        ]  # which crosses the object
        taken = mean([one for one in beside if one is not None])
        found.append({"half": half, "what": "mean", "how": how, "classes": len(same), **figures, "cues_taken": taken})
    return rounded(sorted(found, key=lambda row: (row["half"], -row["iou"])))


def main() -> int:
    options = parser(__doc__, "two species of each half", "all species, drawn birds", needs_data=True, keep=True).parse_args()
    size, keep, data = options.size, options.keep or Path("build/objects"), options.data
    kept = Finished(keep / "figures", options.minutes)
    rows: list[Row] = []
    birds = [one for one in units() if one.kind == "new birds" and one.network == NETWORK]
    halves = zip(*([one for one in birds if one.half == half] for half in (CHOSEN, REPORTED)), strict=True)
    for number, pair in enumerate(islice(halves, 2 if size == "quick" else None)):
        for unit in pair:
            cues = number < PLANTED[size]
            rows += kept(unit.name, [VERSION, cues], partial(photographed, unit, data, keep, cues)) or []
    for network, index in DRAWN[size]:
        rows += kept(f"{network}-{index}", [VERSION], partial(of_drawn, network, index)) or []
    settings = {"network": NETWORK, "images": IMAGES, "preset": "quick", "cells": CELLS}
    return 0 if finish(results("objects", size, settings, [*means(rows), *rows], bars(rows)), options.json) else 1


if __name__ == "__main__":
    sys.exit(main())
