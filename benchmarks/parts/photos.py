"""One unit of photographs of ``parts.py``: the default's summaries, and baselines that divide the same evidence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import visual_summaries as vs
from benchmarks.harness import Row, rounded
from benchmarks.parts.baselines import concept_labels, feature_maps, kmeans_labels, pooled_crops
from benchmarks.parts.scores import agreement, background_like, background_shares
from benchmarks.parts.units import Photographs, Unit
from visual_summaries.errors import ConvergenceError
from visual_summaries.results import Run

#: Raised when this file measures something else, so that kept figures are not taken for new ones.
VERSION = 1
#: Concepts beside as many as the default has summaries: the number of CRAFT's own examples.
CONCEPTS = 10
#: What the background of a confounded class looks like.
GROUNDS = {"husky_on_grass": "grass", "wolf_on_snow": "snow"}


def run_preset(photographs: Photographs, preset: str, folder: Path | None = None) -> Run:
    """Run a preset on a unit's images; in a folder what an earlier run has left is not computed again."""
    x = photographs.classifier.to_tensor(photographs.views)
    resume = folder is not None and folder.exists()
    run = vs.summarize(photographs.classifier, x, photographs.target, folder, settings=vs.preset(preset), resume=resume)
    # Points and masks are compared pixel by pixel: a run that cut or dropped an image would be compared with the wrong ones.
    if not all((image.view == view).all() for image, view in zip(run.images, photographs.views, strict=True)):
        raise ValueError(f"the images of {folder or 'the run'} are not those that were given")
    return run


def divided(run: Run) -> tuple[list[NDArray[np.bool_]], list[NDArray[np.int16]]]:
    """Return the evidence and the label map of each image of a run."""
    positions = range(len(run.images))
    return [run.evidence(i) for i in positions], [run.labels(i) for i in positions]


def rest_of(evidence: Sequence[NDArray[np.bool_]], labels: Sequence[NDArray[np.integer]]) -> float:
    """Return the share of all evidence that is in no summary."""
    left = sum(int((pixels & (own < 0)).sum()) for pixels, own in zip(evidence, labels, strict=True))
    return left / max(sum(int(pixels.sum()) for pixels in evidence), 1)


def measure_unit(unit: Unit, photographs: Photographs, folder: Path) -> Row:
    """Return the figures of a unit; `folder` is where its run is kept."""
    run = run_preset(photographs, "default", folder)
    evidence, labels = divided(run)
    return {**named(unit, run), **of_summaries(unit, run, labels), **of_points(photographs, run, evidence, labels)}


def named(unit: Unit, run: Run) -> Row:
    """Return what a unit is."""
    return {
        "kind": unit.kind,
        "network": unit.network,
        "class": unit.folder.split("/")[-1],
        "half": unit.half,
        "images": len(run.images),
    }


def of_summaries(unit: Unit, run: Run, labels: Sequence[NDArray[np.integer]]) -> Row:
    """Return the figures of the summaries, in their order, and of all together."""
    found = [one.analysis for one in run.summaries if one.analysis is not None]
    together = None if run.analysis is None else run.analysis.together
    row: Row = {
        "summaries": len(found),
        "rejected": len(run.rejected),
        # Without a summary nothing of what the evidence takes is in any.
        "together": 0.0 if together is None or not found else together.share,
        "coverage": [one.coverage for one in found],
        "effect": [one.class_effect for one in found],
        "beats_control": [one.beats_control for one in found],
        "stability": [one.stability for one in found],
        "reproducible": [one.reproducible for one in found],
    }
    if together is not None:
        row |= {
            "together_interval": list(together.interval),
            "evidence_takes": together.evidence,
            "rest_takes": together.rest,
            "rest_area": together.rest_area,
        }
    if (ground := GROUNDS.get(unit.folder.split("/")[-1])) is not None:
        grounds = [background_like(image.view, ground) for image in run.images]
        shares = background_shares(labels, grounds, len(found))
        row |= {"background": shares, "background_of_images": float(np.mean(grounds))}
    return rounded(row)


def of_points(
    photographs: Photographs, run: Run, evidence: Sequence[NDArray[np.bool_]], labels: Sequence[NDArray[np.integer]]
) -> Row:
    """Return the agreement of the default and the baselines with part points; nothing where there are none."""
    if photographs.points is None:
        return {}
    views = [image.view for image in run.images]
    count = max(len(run.summaries) + (rest_of(evidence, labels) > 0), 2)
    maps, pooled = feature_maps(photographs.classifier, views), pooled_crops(photographs.classifier, views)
    methods = {
        "default": labels,
        "k-means": kmeans_labels(maps, evidence, count),
        "concepts": concept_labels(pooled, maps, evidence, count),
        f"concepts ({CONCEPTS})": concept_labels(pooled, maps, evidence, CONCEPTS),
    }
    found = {name: agreement(own, evidence, photographs.points) for name, own in methods.items()}
    agreed = rounded({name: value for name, (value, _) in found.items()})
    return {"groups": count, "points": found["default"][1], "agreement": agreed}


def measure_paper(unit: Unit, photographs: Photographs, folder: Path, default: Run) -> Row:
    """Return the figures of the preset `paper` on some images of a unit, and the default's agreement on the same ones.

    Parameters
    ----------
    unit : Unit
    photographs : Photographs
        Fewer images than the default's run has: the first of them.
    folder : Path
        Where the run is kept.
    default : Run
        The unit's run by the default.
    """
    x, points = photographs.classifier.to_tensor(photographs.views), photographs.points or []
    try:
        run = vs.summarize(photographs.classifier, x, photographs.target, folder, preset="paper", resume=folder.exists())
    except ConvergenceError:
        return {}
    evidence, labels = divided(run)
    count = len(photographs.views)
    theirs, their_labels = divided(default)
    return {
        **named(unit, run),
        **of_summaries(unit, run, labels),
        "agreement": rounded(
            {
                "paper": agreement(labels, evidence, points)[0],
                "default": agreement(their_labels[:count], theirs[:count], points)[0],
            }
        ),
    }
