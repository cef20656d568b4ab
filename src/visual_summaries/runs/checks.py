"""Whether what a run directory held is a run: its shapes, ranges and references (for types see :mod:`.packed`).

A directory may come from somebody else, or from a disk that fails; what passes here can be used without further thought.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visual_summaries.errors import RunError
from visual_summaries.results import PLACES, Faithfulness, Parts, RandomizationCheck, Run, RunAnalysis, Summary
from visual_summaries.runs.packed import MismatchError
from visual_summaries.settings.masks import infills_of


def check_run(run: Run, path: Path) -> Run:
    """Return `run` if all of it fits together; raise RunError that names the first thing that does not."""
    try:
        correct, total = run.info.accuracy.correct, run.info.accuracy.total
        _require(0 <= correct <= total, correct, f"from 0 to {total}", "manifest.accuracy.correct")
        _check_shapes(run)
        _check_references(run)
    except MismatchError as error:
        raise RunError(f"{path} is damaged: {error}; compute the run again, or get the folder again") from error
    return run


def _require(holds: bool, value: Any, expected: str, where: str) -> None:
    if not holds:
        raise MismatchError(f"{where} is {value!r:.60}, but must be {expected}")


def _in_range(index: int, count: int, where: str) -> None:
    _require(0 <= index < count, index, f"from 0 to {count - 1}", where)


def _shaped(item: Any, where: str, shapes: Mapping[str, tuple[int | str, ...]], why: str = "") -> None:
    """Require shapes of arrays; the name of a side stands for any length."""
    for name, shape in shapes.items():
        given = getattr(item, name).shape
        fits = len(given) == len(shape) and all(isinstance(b, str) or a == b for a, b in zip(given, shape, strict=True))
        _require(fits, given, str(shape).replace("'", "") + why, f"{where}.{name}")


def _picture(values: NDArray[np.uint8], where: str) -> None:
    _require(values.ndim == 3 and values.shape[2] == 3 and values.size > 0, values.shape, "(H, W, 3)", where)


def _finite(item: Any, where: str, *names: str) -> None:
    for name in names:
        _require(bool(np.isfinite(getattr(item, name)).all()), "not so", "finite everywhere", f"{where}.{name}")


def _check_shapes(run: Run) -> None:
    infills = len(infills_of(run.settings.masks.infill))
    _require(len(run.images) == len(run.masks), len(run.masks), f"{len(run.images)}, one for each image", "number of masks")
    for number, (image, mask) in enumerate(zip(run.images, run.masks, strict=True)):
        where = f"run.masks.{number}"
        _picture(image.view, f"run.images.{number}.view")
        _shaped(mask, where, {"after": (infills,), "hidden": (infills,)}, ", one for each infill")
        for name in ("smooth", "sharp", "superpixel"):
            values = getattr(mask, name)
            if values is not None:
                _shaped(mask, where, {name: image.view.shape[:2]}, ", that of the view")
                fits = bool(np.isfinite(values).all()) and values.min() >= -0.01 and values.max() <= 1.01
                _require(fits, "not so", "finite and in [0, 1]", f"{where}.{name}")
    count = len(run.regions)
    if run.parts is None:
        _shaped(run, "run", {"similarity": (count, count), "descriptors": (count, 0)})
    else:
        _shaped(run, "run", {"similarity": (0, 0), "descriptors": (count, _check_parts(run.parts))})
    _finite(run, "run", "similarity", "descriptors")
    for group in ("components", "regions"):
        for number, item in enumerate(getattr(run, group)):
            where = f"run.{group}.{number}"
            _in_range(item.image, len(run.images), f"{where}.image")
            height, width = run.images[item.image].view.shape[:2]
            x0, y0, x1, y1 = item.box
            fits = 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height
            _require(fits, item.box, f"a box inside of {height} x {width} pixels (H x W)", f"{where}.box")
            _shaped(item, where, {"mask": (y1 - y0, x1 - x0)}, ", as large as its box")
    if run.faithfulness is not None:
        _check_curves(run.faithfulness, len(run.images), infills)


def _check_parts(parts: Parts) -> int:
    """Check that the arrays of parts belong together, and return how many numbers describe a region."""
    _shaped(parts, "run.parts", {"directions": ("D", "d"), "centers": ("K", "d + 2")})
    deep, width = parts.directions.shape
    count, references = len(parts.centers), len(parts.references)
    shapes = {"mean": (deep,), "references": (references, width), "reference_images": (references,)}
    shapes |= {"centers": (count, width + 2), "reach": (count,), "tree": (max(count - 1, 0), 4)}
    _shaped(parts, "run.parts", {"fixed": ("H", "W"), "look": (*parts.fixed.shape, 3)})
    _in_range(parts.fixed_count, count + 1, "run.parts.fixed")
    _shaped(parts, "run.parts", shapes)
    _finite(parts, "run.parts", *shapes)
    return int(width) + 2


def _check_curves(curves: Faithfulness, images: int, infills: int) -> None:
    where, points = "run.faithfulness", {name: getattr(curves, name).shape[-1:] for name in ("deletion", "insertion")}
    _shaped(curves, where, {name: (images, 2, max([2, *last])) for name, last in points.items()})
    _shaped(curves, where, {"after": (images, infills), "shown": (images, infills), "moved": (images, 2), "holds": (images, 3)})
    _shaped(curves, where, {"score_before": (images,), "area": (images,)})


def _check_references(run: Run) -> None:
    for group in ("images", "regions", "summaries"):
        for number, item in enumerate(getattr(run, group)):
            _require(item.index == number, item.index, f"{number}, its position", f"run.{group}.{number}.index")
    for group in ("summaries", "rejected"):
        for number, summary in enumerate(getattr(run, group)):
            _check_summary(run, summary, f"run.{group}.{number}")
    if run.analysis is not None:
        _check_shortcuts(run.analysis, len(run.summaries), len(run.images))
    if run.analysis is not None and run.analysis.joint is not None:
        joint, where, count = run.analysis.joint, "run.analysis.joint", len(run.summaries)
        for name in ("order", "destroying", "sufficient"):
            for index in getattr(joint, name):
                _in_range(index, count, f"{where}.{name}")
        many = ("orders", count + 1)
        _shaped(joint, where, {"deletion": many[1:], "insertion": many[1:], "random_deletion": many, "random_insertion": many})


def _check_shortcuts(analysis: RunAnalysis, summaries: int, images: int) -> None:
    for name in ("places", "cues"):
        count = len(getattr(analysis, name))
        _require(count in (0, summaries), count, f"0 or {summaries}, one for each summary", f"run.analysis.{name}")
    for number, place in enumerate(analysis.places):
        where = f"run.analysis.places.{number}"
        _require(place.kind in PLACES, place.kind, f"one of {', '.join(PLACES)}", f"{where}.kind")
        for index in place.images.tolist():
            _in_range(index, images, f"{where}.images")
        _shaped(place, where, dict.fromkeys(("images", "on_object", "at_border", "area"), place.images.shape))
    for number, cue in enumerate(analysis.cues):
        _shaped(cue, f"run.analysis.cues.{number}", {"gains": ("pictures",), "controls": cue.gains.shape})
    for number, change in enumerate(analysis.changes):
        where = f"run.analysis.changes.{number}"
        _shaped(change, where, {"losses": ("images",), "other_losses": ("others",), "gains": change.other_losses.shape})
    for number, mistake in enumerate(analysis.mistakes):
        where = f"run.analysis.mistakes.{number}"
        _picture(mistake.view, f"{where}.view")
        _shaped(mistake, where, {"strengths": (summaries,), "labels": mistake.view.shape[:2]})


def check_randomization(run: Run, found: RandomizationCheck) -> None:
    """Check that what the randomization check found is of this run; raise MismatchError that names what is not."""
    where, count = "check", len(found.images)
    _require(count > 0, count, "at least 1", f"{where}.images")
    for index in found.images:
        _in_range(index, len(run.images), f"{where}.images")
    _shaped(found, where, {"masks": (count,), "moved": (count,), "summaries": (len(run.summaries),)})
    _finite(found, where, "masks", "moved")
    for name in ("masks", "moved", "summaries"):
        values = getattr(found, name)
        fits = bool((np.isnan(values) | ((values >= 0) & (values <= 1))).all())
        _require(fits, "not so", "in [0, 1]", f"{where}.{name}")
    _require(found.clusters >= 0, found.clusters, "at least 0", f"{where}.clusters")


def _check_summary(run: Run, summary: Summary, where: str) -> None:
    _in_range(summary.exemplar, len(run.regions), f"{where}.exemplar")
    _require(len(summary.members) > 0, "empty", "of one member at least", f"{where}.members")
    _require(len(summary.cluster) > 0, "empty", "of one region at least", f"{where}.cluster")
    for region in summary.cluster:
        _in_range(region, len(run.regions), f"{where}.cluster")
    for number, member in enumerate(summary.members):
        _in_range(member.region, len(run.regions), f"{where}.members.{number}.region")
        _picture(member.warped, f"{where}.members.{number}.warped")
    if run.parts is None:
        _require(summary.part is None, summary.part, "None", f"{where}.part")
    else:
        _in_range(-1 if summary.part is None else summary.part, run.parts.count, f"{where}.part")
    if summary.analysis is not None:
        where, images = f"{where}.analysis", summary.analysis.images
        _shaped(summary.analysis, where, {"images": ("images",)})
        for index in images.tolist():
            _in_range(index, len(run.images), f"{where}.images")
        _shaped(summary.analysis, where, dict.fromkeys(("shares", "share_controls"), images.shape), ", one for each image")
