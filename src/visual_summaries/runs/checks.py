"""Whether what a run directory held is a run: types by the dataclasses' own annotations, references and shapes by rule.

A directory may come from somebody else, or from a disk that fails; what passes here can be used without further thought.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

from visual_summaries.errors import RunError
from visual_summaries.results import Faithfulness, JointEffects, Parts, Run, Summary, SummaryAnalysis
from visual_summaries.settings.masks import infills_of

# What the manifest's entries are, where they are there; readers of runs rely on it.
_MANIFEST: dict[str, Any] = {
    "created": str,
    "left_when_hidden": dict[str, float],
    "source": str,
    "preset": str,
    "parts": int | None,
    "random_state": int,
    "classifier": dict[str, Any],
    "target": dict[str, Any],
    "accuracy": dict[str, int],
    "predicted": dict[str, str],
    "counts": dict[str, int],
    "timings": dict[str, float],
    "versions": dict[str, str],
    "hardware": dict[str, Any],
    "warnings": dict[str, int] | list[str],
    "faithfulness": dict[str, Any],
    "peak_memory_mib": float,
}


class MismatchError(ValueError):
    """Something is of another type or shape than it must be, or refers to what is not there; becomes a :class:`RunError`."""


def check_run(run: Run, path: Path) -> Run:
    """Return `run` if all of it fits together.

    Raises
    ------
    RunError
        Naming the first thing that does not.
    """
    try:
        check(run, _hints(Run), "run")
        check_manifest(run.manifest)
        _check_shapes(run)
        _check_references(run)
    except MismatchError as error:
        raise RunError(f"{path} is damaged: {error}; compute the run again, or get the folder anew") from error
    return run


def check_manifest(manifest: Mapping[str, Any]) -> None:
    """Check the entries of a manifest that are there.

    Raises
    ------
    MismatchError

    Examples
    --------
    >>> check_manifest({"counts": {"images": 3}, "note": "anything"})
    >>> check_manifest({"counts": {"images": "three"}})
    Traceback (most recent call last):
    ...
    visual_summaries.runs.checks.MismatchError: manifest.counts.images is 'three', but must be int
    """
    for name, expected in _MANIFEST.items():
        if name in manifest:
            check(manifest[name], expected, f"manifest.{name}")
    accuracy = manifest.get("accuracy", {})
    if accuracy and not ({"correct", "total"} <= accuracy.keys() and 0 <= accuracy["correct"] <= accuracy["total"]):
        raise MismatchError(f"manifest.accuracy is {accuracy}, but must be so many correct of so many in total")


def check(value: Any, expected: Any, where: str) -> None:
    """Check a value against an annotation, all the way down.

    Raises
    ------
    MismatchError

    Examples
    --------
    >>> check((1, 2), tuple[int, ...], "cluster")
    >>> check((1, 2.5), tuple[int, ...], "cluster")
    Traceback (most recent call last):
    ...
    visual_summaries.runs.checks.MismatchError: cluster.1 is 2.5, but must be int
    """
    if isinstance(expected, dict):  # the annotations of a dataclass
        for name, inner in expected.items():
            check(getattr(value, name), inner, f"{where}.{name}")
        return
    origin, inner_types = get_origin(expected), get_args(expected)
    if expected is Any:
        return
    if origin in (types.UnionType, Union):
        _check_union(value, inner_types, where)
    elif is_dataclass(expected):
        _require(isinstance(value, expected), value, expected, where)  # type: ignore[arg-type]
        check(value, _hints(expected), where)  # type: ignore[arg-type]
    elif origin is np.ndarray:
        (kind,) = get_args(inner_types[1])
        _require(isinstance(value, np.ndarray) and np.issubdtype(value.dtype, kind), value, kind, where)
    elif origin is tuple:
        _require(isinstance(value, tuple | list), value, expected, where)
        every = inner_types[-1] is Ellipsis
        _require(every or len(value) == len(inner_types), value, expected, where)
        for number, item in enumerate(value):
            check(item, inner_types[0] if every else inner_types[number], f"{where}.{number}")
    elif origin is list:
        _require(isinstance(value, list), value, expected, where)
        for number, item in enumerate(value):
            check(item, inner_types[0], f"{where}.{number}")
    elif origin in (dict, Mapping):
        _require(isinstance(value, dict), value, expected, where)
        for name, item in value.items():
            check(item, inner_types[1], f"{where}.{name}")
    elif expected is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        _require(number and (abs(value) < 1e300 or value != value), value, expected, where)
    elif expected is int:
        _require(isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63, value, expected, where)
    else:
        _require(isinstance(value, expected), value, expected, where)


def _check_union(value: Any, choices: tuple[Any, ...], where: str) -> None:
    for choice in choices:
        try:
            return check(value, choice, where)
        except MismatchError:
            continue
    return _require(False, value, " or ".join(getattr(choice, "__name__", str(choice)) for choice in choices), where)


def _require(holds: bool, value: Any, expected: Any, where: str) -> None:
    if not holds:
        given = f"an array of {value.dtype}" if isinstance(value, np.ndarray) else repr(value)[:60]
        name = expected if isinstance(expected, str) else getattr(expected, "__name__", expected)
        raise MismatchError(f"{where} is {given}, but must be {name}")


@cache
def _hints(kind: type) -> dict[str, Any]:
    from visual_summaries.settings import Settings  # results names it for type checkers only

    found = get_type_hints(kind, localns={"Settings": Settings, "Path": Path})
    return {field.name: found[field.name] for field in fields(kind)}


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
