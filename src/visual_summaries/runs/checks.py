"""Whether what a run directory held is a run: its shapes, ranges and references (for types see :mod:`.packed`).

A directory may come from somebody else, or from a disk that fails; what passes here can be used without further thought.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from visual_summaries.errors import RunError
from visual_summaries.results import Faithfulness, JointEffects, Parts, Run, Summary, SummaryAnalysis
from visual_summaries.runs.packed import MismatchError
from visual_summaries.settings.masks import infills_of


def check_run(run: Run, path: Path) -> Run:
    """Return `run` if all of it fits together.

    Raises
    ------
    RunError
        Naming the first thing that does not.
    """
    try:
        correct, total = run.info.accuracy.correct, run.info.accuracy.total
        _require(0 <= correct <= total, correct, f"from 0 to {total}", "manifest.accuracy.correct")
        _check_shapes(run)
        _check_references(run)
    except MismatchError as error:
        raise RunError(f"{path} is damaged: {error}; compute the run again, or get the folder anew") from error
    return run


def _require(holds: bool, value: Any, expected: str, where: str) -> None:
    if not holds:
        raise MismatchError(f"{where} is {value!r:.60}, but must be {expected}")


def _check_shapes(run: Run) -> None:
    _require(len(run.images) == len(run.masks), len(run.masks), f"{len(run.images)}, one for each image", "number of masks")
    for number, (image, mask) in enumerate(zip(run.images, run.masks, strict=True)):
        where = f"run.images.{number}.view"
        _require(
            image.view.ndim == 3 and image.view.shape[2] == 3 and min(image.view.shape) > 0,
            image.view.shape,
            "(H, W, 3)",
            where,
        )
        for name in ("after", "hidden"):
            infills = (len(infills_of(run.settings.masks.infill)),)
            scores = getattr(mask, name)
            _require(scores.shape == infills, scores.shape, f"{infills}, one for each infill", f"run.masks.{number}.{name}")
        for name in ("smooth", "sharp", "superpixel"):
            values = getattr(mask, name)
            if values is not None:
                shape = image.view.shape[:2]
                _require(values.shape == shape, values.shape, f"{shape}, that of the view", f"run.masks.{number}.{name}")
                fits = bool(np.isfinite(values).all()) and values.min() >= -0.01 and values.max() <= 1.01
                _require(fits, "not so", "finite and in [0, 1]", f"run.masks.{number}.{name}")
    count = len(run.regions)
    pairs = (count, count) if run.parts is None else (0, 0)
    _require(run.similarity.shape == pairs, run.similarity.shape, f"{pairs}", "run.similarity")
    width = 0 if run.parts is None else _check_parts(run.parts)
    _require(run.descriptors.shape == (count, width), run.descriptors.shape, f"{(count, width)}", "run.descriptors")
    for name in ("similarity", "descriptors"):
        _require(bool(np.isfinite(getattr(run, name)).all()), "not so", "finite everywhere", f"run.{name}")
    for group in ("components", "regions"):
        for number, item in enumerate(getattr(run, group)):
            where = f"run.{group}.{number}"
            _in_range(item.image, len(run.images), f"{where}.image")
            height, width = run.images[item.image].view.shape[:2]
            x0, y0, x1, y1 = item.box
            fits = 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height
            _require(fits, item.box, f"a box inside of {height} x {width} pixels (H x W)", f"{where}.box")
            _require(item.mask.shape == (y1 - y0, x1 - x0), item.mask.shape, "as large as its box", f"{where}.mask")
    if run.faithfulness is not None:
        _check_curves(run.faithfulness, len(run.images), len(infills_of(run.settings.masks.infill)))


def _check_parts(parts: Parts) -> int:
    """Check that the arrays of parts belong together, and return how many numbers describe a region."""
    where = "run.parts"
    _require(parts.directions.ndim == 2, parts.directions.shape, "(D, d)", f"{where}.directions")
    _require(parts.centers.ndim == 2, parts.centers.shape, "(K, d + 2)", f"{where}.centers")
    deep, width = parts.directions.shape
    count, references = len(parts.centers), len(parts.references)
    for name, shape in {
        "mean": (deep,),
        "references": (references, width),
        "reference_images": (references,),
        "centers": (count, width + 2),
        "reach": (count,),
        "tree": (max(count - 1, 0), 4),
    }.items():
        values = getattr(parts, name)
        _require(values.shape == shape, values.shape, f"{shape}", f"{where}.{name}")
        _require(bool(np.isfinite(values).all()), "not so", "finite everywhere", f"{where}.{name}")
    return int(width) + 2


def _check_curves(curves: Faithfulness, images: int, infills: int) -> None:
    shapes: dict[str, tuple[int, ...]] = {
        "deletion": (images, 2, max([2, *curves.deletion.shape[-1:]])),
        "insertion": (images, 2, max([2, *curves.insertion.shape[-1:]])),
        "after": (images, infills),
        "shown": (images, infills),
        "moved": (images, 2),
        "holds": (images, 3),
        "score_before": (images,),
        "area": (images,),
    }
    for name, shape in shapes.items():
        values = getattr(curves, name)
        _require(values.shape == shape, values.shape, f"{shape}", f"run.faithfulness.{name}")


def _check_references(run: Run) -> None:
    for group in ("images", "regions", "summaries"):
        for number, item in enumerate(getattr(run, group)):
            _require(item.index == number, item.index, f"{number}, its position", f"run.{group}.{number}.index")
    for where, summary in _summaries(run):
        _in_range(summary.exemplar, len(run.regions), f"{where}.exemplar")
        _require(len(summary.members) > 0, "empty", "of one member at least", f"{where}.members")
        _require(len(summary.cluster) > 0, "empty", "of one region at least", f"{where}.cluster")
        for region in summary.cluster:
            _in_range(region, len(run.regions), f"{where}.cluster")
        for number, member in enumerate(summary.members):
            _in_range(member.region, len(run.regions), f"{where}.members.{number}.region")
            shape = member.warped.shape
            fits = len(shape) == 3 and shape[2] == 3 and min(shape) > 0
            _require(fits, shape, "(h, w, 3)", f"{where}.members.{number}.warped")
        parts = 0 if run.parts is None else run.parts.count
        known = summary.part is None if run.parts is None else summary.part is not None and 0 <= summary.part < parts
        _require(known, summary.part, f"from 0 to {parts - 1}" if parts else "None", f"{where}.part")
        if summary.analysis is not None:
            _check_analysis(summary.analysis, len(run.images), f"{where}.analysis")
    if run.analysis is not None and run.analysis.joint is not None:
        _check_joint(run.analysis.joint, len(run.summaries))


def _check_analysis(analysis: SummaryAnalysis, images: int, where: str) -> None:
    _require(analysis.images.ndim == 1, analysis.images.shape, "(images,)", f"{where}.images")
    count = len(analysis.images)
    for index in analysis.images.tolist():
        _in_range(index, images, f"{where}.images")
    for name in ("shares", "share_controls"):
        values = getattr(analysis, name)
        _require(values.shape == (count,), values.shape, "one number for each image", f"{where}.{name}")


def _check_joint(joint: JointEffects, summaries: int) -> None:
    where = "run.analysis.joint"
    for name in ("order", "destroying", "sufficient"):
        for index in getattr(joint, name):
            _in_range(index, summaries, f"{where}.{name}")
    for name in ("deletion", "insertion"):
        shape, many = getattr(joint, name).shape, getattr(joint, f"random_{name}").shape
        _require(shape == (summaries + 1,), shape, f"({summaries + 1},)", f"{where}.{name}")
        fits = len(many) == 2 and many[1] == summaries + 1
        _require(fits, many, f"(orders, {summaries + 1})", f"{where}.random_{name}")


def _summaries(run: Run) -> Iterable[tuple[str, Summary]]:
    for group in ("summaries", "rejected"):
        for number, summary in enumerate(getattr(run, group)):
            yield f"run.{group}.{number}", summary


def _in_range(index: int, count: int, where: str) -> None:
    _require(0 <= index < count, index, f"from 0 to {count - 1}", where)
