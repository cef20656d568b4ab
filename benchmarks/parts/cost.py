"""What the stages after the masks cost, for ``parts.py``: beside the masks, and with ten times as many images."""

from __future__ import annotations

import shutil
import tempfile
import timeit
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

import visual_summaries as vs
from benchmarks.parts.photos import run_preset
from benchmarks.parts.units import CHOSEN, Unit, read_unit
from visual_summaries._allocator import freed_memory_kept
from visual_summaries.classifiers import Classifier, classify, resolve_target
from visual_summaries.masks.gradients import fold
from visual_summaries.masks.network import GradientMode
from visual_summaries.masks.plan import make_network
from visual_summaries.results import Image, Mask
from visual_summaries.runs.analyzing import analyze_summaries
from visual_summaries.runs.dividing import group_evidence
from visual_summaries.runs.manifest import Stopwatch
from visual_summaries.runs.pieces import Pieces
from visual_summaries.runs.reading import ImageSet
from visual_summaries.runs.shortcuts import Beside, measure_shortcuts
from visual_summaries.runs.stages import Context, Shared

#: What is timed.
UNIT = Unit("objects", "mobilenetv2_100", "imagewoof320/229_Old_English_sheepdog", CHOSEN)

#: Stages that are not among those whose cost is bounded.
BEFORE = ("images", "masks", "faithfulness")

#: What an image's mask cost when the bar was set: gradient passes and scores of the former default.
FORMER = (68, 17)

_WARM = 4  # images that the stages see before they are timed: what is found out once about a network does not count
_TIMED = 16  # images whose passes are timed, at a time
_LEAST = 0.8  # smallest side of a crop, of the image's


def cost(data: Path, count: int, keep: Path) -> dict[str, Any]:
    """Return the seconds of each stage of a fresh run; an earlier run in its folder is deleted."""
    photographs = read_unit(UNIT, data, count, keep)
    folder = keep / "cost" / str(count)
    shutil.rmtree(folder, ignore_errors=True)
    run = run_preset(photographs, "default", folder)
    seconds = run.info.timings
    after = sum(value for name, value in seconds.items() if name not in BEFORE)
    former = len(run.images) * former_seconds(photographs.classifier, run)
    return {
        "of": "stages after the masks",
        "network": UNIT.network,
        "images": len(run.images),
        "masks": seconds["masks"],
        "after": round(after, 2),
        "former_masks": round(former, 2),
        "ratio": round(after / former, 4),
        "ratio_to_masks": round(after / seconds["masks"], 4),
        "seconds": seconds,
    }


def index_of(run: vs.Run) -> int:
    assert run.info.target.index is not None
    return run.info.target.index


def former_seconds(classifier: Classifier, run: vs.Run) -> float:
    """Return what a mask of the former default takes here and now: its passes and scores, each timed (the fastest counts).

    As it ran: in bfloat16 or float32, whichever this machine is faster in, 16 images at a time, with memory handed back to the
    system.
    """
    x = classifier.to_tensor([image.view for image in run.images[:_TIMED]])
    target = resolve_target(classifier, index_of(run))
    with torch.no_grad(), classifier.frozen():
        network = make_network(classifier, target, run.settings.masks, x[:1])
        network.chunk, folded, mask = _TIMED, fold(classifier, x[:1]), torch.rand(len(x), *x.shape[-2:])

        def fastest(ask: Callable[[], object]) -> float:
            return min(timeit.repeat(ask, number=1, repeat=3)) / len(x)

        gradients = []
        for bfloat16 in (False, True):
            network.mode = GradientMode(bfloat16, channels_last=True, classifier=folded)
            gradients.append(fastest(lambda: network.odds_and_gradient(x, torch.zeros_like(x), mask)))
        passes, scores = FORMER
        return passes * min(gradients) + scores * fastest(lambda: network.quick_scores(x))


def growth(data: Path, count: int, times: int, keep: Path) -> dict[str, Any]:
    """Return the seconds of the stages after the masks for the images of :func:`cost`, and for `times` as many.

    No masks are optimized for these: they are random crops of the same images, half of them mirrored, with masks moved along.
    """
    run = vs.load_run(keep / "cost" / str(count))
    classifier = read_unit(UNIT, data, 1, keep).classifier
    target = index_of(run)
    few, many = (list(run.images), list(run.masks)), enlarged(classifier, target, run.images, run.masks, times)
    stages_after_masks(classifier, target, few[0][:_WARM], few[1][:_WARM])
    seconds = [stages_after_masks(classifier, target, *some) for some in (few, many)]
    totals = [sum(own.values()) for own in seconds]
    return {
        "of": f"growth: {times} times the images, as crops with their masks moved along",
        "network": UNIT.network,
        "images": len(many[0]),
        "fewer_images": len(few[0]),
        "after": round(totals[1], 2),
        "fewer_after": round(totals[0], 2),
        "ratio": round(totals[1] / totals[0], 3),
        "seconds": seconds[1],
        "fewer_seconds": seconds[0],
    }


def enlarged(
    classifier: Classifier, target: int, images: Sequence[Image], masks: Sequence[Mask], times: int
) -> tuple[list[Image], list[Mask]]:
    """Return `times` as many images, each a random crop of one of these, perhaps mirrored, with the mask cut out alike."""
    rng = np.random.default_rng(0)
    views: list[NDArray[np.uint8]] = []
    moved: list[Mask] = []
    for _ in range(times):
        for image, mask in zip(images, masks, strict=True):
            height, width = image.view.shape[:2]
            rows, columns = (round(side * rng.uniform(_LEAST, 1)) for side in (height, width))
            y, x = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
            step = int(rng.choice((1, -1)))

            def cut(
                values: NDArray[Any], y: int = y, x: int = x, rows: int = rows, columns: int = columns, step: int = step
            ) -> Any:
                own = np.ascontiguousarray(values[y : y + rows, x : x + columns][:, ::step])
                kind = np.float32 if own.dtype == np.float16 else own.dtype
                size = (values.shape[1], values.shape[0])
                return cv2.resize(own.astype(kind), size, interpolation=cv2.INTER_LINEAR).astype(values.dtype)

            views.append(cut(image.view))
            moved.append(replace(mask, smooth=cut(mask.smooth), sharp=cut(mask.sharp)))
    scores = classify(classifier, views, resolve_target(classifier, target)).scores
    made = [
        Image(k, f"{k:04d}", "", view, float(score), target) for k, (view, score) in enumerate(zip(views, scores, strict=True))
    ]
    return made, moved


@freed_memory_kept()
def stages_after_masks(classifier: Classifier, target: int, images: Sequence[Image], masks: Sequence[Mask]) -> dict[str, float]:
    """Go through the stages of a run that come after the masks' faithfulness, as ``summarize`` does; return their seconds.

    Pieces are written to a new folder, which is deleted again.
    """
    watch, settings = Stopwatch(), vs.preset("default")
    with tempfile.TemporaryDirectory() as folder:
        context = Context(Shared(classifier, resolve_target(classifier, target), settings), Pieces(Path(folder)))
        evidence = [mask.binary(settings.regions.threshold) for mask in masks]
        grouped = group_evidence(context, watch, images, evidence)
        summaries, analysis = analyze_summaries(context, watch, images, evidence, grouped)
        read = ImageSet(tuple(images), (), len(images), len(images), {})
        measure_shortcuts(context, watch, read, evidence, grouped, summaries, analysis, Beside())
    return watch.seconds
