"""The report's images: the sentences about each mask, and the values that the template shows of an image and its parts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from visual_summaries.masks.seen import infill_of
from visual_summaries.pages.findings import INFILLS
from visual_summaries.pages.geometry import TOLERANCE, contours, outline, svg_path
from visual_summaries.pages.rendering import render_infill
from visual_summaries.pages.shell import data_uri
from visual_summaries.pages.summaries import PartPixels, groups_of, part_name
from visual_summaries.pages.words import counted, percent, score_text, text
from visual_summaries.results import Faithfulness, Mask, Run
from visual_summaries.settings.masks import infills_of

#: What near copies mean for the figures.
NEAR = (
    "Saved again, resized, brightened, cut a little or mirrored, or taken of the same thing at nearly the same moment. They are"
    " no independent evidence: they are resampled together in every interval and stability, and count as one image where a"
    " part must be in several. Leave them out, or bring other images of the class."
)
#: Title and explanation of each of :attr:`Mask.warnings <visual_summaries.results.Mask.warnings>`.
WARNINGS = {
    "weak": (
        "the mask does not halve the score",
        "The score with the evidence hidden is more than half of what it was: these masks do not show"
        " what the network relies on. More iterations, or a lower weight of the area (l1), may help; maps that were given"
        " may be cut to a larger area.",
    ),
    "shows": (
        "hiding all of the image leaves more than half of the score",
        "The network recognizes these images even when they are hidden altogether, so hiding pixels says little about them."
        " Another infill (masks.infill, for example strong-blur, mean or noise) may help.",
    ),
    "large": (
        "the mask hides more than 60\u00a0% of the image",
        "So much is hidden that the mask hardly points at a part. A higher weight of the area (l1) may help; maps"
        " that were given may be cut to a smaller one.",
    ),
}


#: What each figure of :class:`~visual_summaries.results.Faithfulness` means, and how it is written.
FAITHFULNESS: dict[str, tuple[str, Callable[[float], str]]] = {
    "drop": ("Score lost when the evidence is hidden (high is good)", percent),
    "drop_worst": ("The same in the worst infill", percent),
    "average_drop": ("Score lost when nothing but the evidence is shown (low is good)", percent),
    "average_drop_worst": ("The same in the worst infill", percent),
    "increase": ("Images whose score rises when nothing but the evidence is shown (high is good)", percent),
    "deletion": ("Mean score while pixels are hidden, strongest evidence first (low is good)", score_text),
    "insertion": ("Mean score while pixels are shown, strongest evidence first (high is good)", score_text),
}

#: What the columns of ``Faithfulness.holds`` mean.
HOLDS = (
    "Effect kept when the mask is shifted by 2\u00a0% of the side (high is good)",
    "Effect kept when its outline is smoothed (high is good)",
    "Effect kept in infills that no mask was optimized under (high is good)",
)


def image_values(run: Run, index: int, pixels: PartPixels) -> dict[str, Any]:
    """Return what the template shows of an image: pictures, scores, and its parts or regions."""
    image, mask, target = run.images[index], run.masks[index], run.info.target.index
    predicted = run.info.predicted.get(str(image.predicted), "")
    predicted = predicted if predicted not in ("", str(image.predicted)) else f"class {image.predicted}"
    scores = {"as it is": mask.score_before, "evidence hidden": mask.score_after, "everything hidden": mask.score_hidden}
    faithfulness = run.faithfulness
    if faithfulness is not None:
        scores["only the evidence shown"] = float(faithfulness.shown[index].mean(dtype=np.float64))
    highest = max([1.0, *(abs(score) for score in scores.values() if math.isfinite(score))])
    way = infill_of(image.view, run.settings.masks)
    return {
        "image": image,
        "width": image.view.shape[1],
        "height": image.view.shape[0],
        "smooth": data_uri(gray_levels(mask.smooth), quality=60),
        "sharp": data_uri(gray_levels(mask.final), quality=None),
        "evidence": outline(run.evidence(index)),
        "predicted": predicted if target is not None and image.predicted != target else None,
        "scores": [(label, score, score / highest) for label, score in scores.items()],
        "says": mask_sentence(mask),
        "holds": None if faithfulness is None else holds_sentence(faithfulness.holds[index]),
        "infill": data_uri(render_infill(image.view, run.settings.masks), quality=60),
        "way": INFILLS.get(way, way),
        "hidden_score": float(mask.after[infills_of(run.settings.masks.infill).index(way) if len(mask.after) > 1 else 0]),
        "regions": _regions_in(run, index) if run.parts is None else _parts_in(run, index, pixels),
        "notes": [WARNINGS[key][0] for key in mask.warnings],
        "left": mask.score_after,
        "find": f"{text(image.name)} {text(predicted)}".casefold(),
    }


def gray_levels(mask: NDArray[np.floating], levels: int = 32) -> NDArray[np.uint8]:
    """Return a mask in [0, 1] as gray values 0 .. 255 of a few levels, which compress well.

    Examples
    --------
    >>> gray_levels(np.array([[0.0, 0.49, 1.0]]), levels=3).tolist()
    [[0, 128, 255]]
    """
    steps = np.round(np.clip(mask.astype(np.float32), 0, 1) * (levels - 1))
    return np.asarray(np.round(steps * 255 / (levels - 1)), np.uint8)


def _regions_in(run: Run, image: int) -> list[dict[str, Any]]:
    """Return the regions of an image, those first that take most when they are hidden."""
    kept, rejected = groups_of(run.summaries), groups_of(run.rejected)
    width = run.images[image].view.shape[1]
    own = sorted((region for region in run.regions if region.image == image), key=lambda region: _lowest_last(region.drop))
    return [
        {
            "index": region.index,
            "part": None,
            "summary": kept.get(region.index),
            "rejected": region.index in rejected,
            "box": region.box,
            "digit": (round(region.box[0] + width / 80, 1), round(region.box[1] + width / 21, 1)),
            "evidence": svg_path(polygon + region.box[:2] for polygon in contours(region.mask, TOLERANCE)),
            "drop": region.drop,
        }
        for region in own
    ]


def _parts_in(run: Run, image: int, pixels: PartPixels) -> list[dict[str, Any]]:
    """Return the parts that an image has, those first that account for most of its score."""
    found = []
    for number, part in enumerate((*run.summaries, *run.rejected), start=1):
        if (number, image) in pixels:
            analysis = part.analysis
            shares = {} if analysis is None else dict(zip(analysis.images.tolist(), analysis.shares.tolist(), strict=True))
            found.append((shares.get(image, math.nan), number))
    kept = len(run.summaries)
    return [
        {
            "index": part_name(number, image),
            "part": part_name(number, image),
            "summary": number if number <= kept else None,
            "rejected": number > kept,
            "digit": _widest_place(pixels[number, image]),
            "drop": lost,
        }
        for lost, number in sorted(found, key=lambda pair: _lowest_last(pair[0]))
    ]


def _widest_place(pixels: NDArray[np.bool_]) -> tuple[float, float]:
    """Return where a number lies on a part: where it is widest."""
    depth = cv2.distanceTransform(np.pad(pixels, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    y, x = (int(value) for value in np.unravel_index(int(depth.argmax()), depth.shape))
    unit = pixels.shape[1] / 24
    return round(max(x + 0.5 - 0.3 * unit, 0.0), 1), round(max(y + 0.5 + 0.36 * unit, 0.8 * unit), 1)


def _lowest_last(drop: float) -> float:
    return -drop if math.isfinite(drop) else math.inf


def mask_sentence(mask: Mask) -> str:
    """Return what hiding an image's evidence does, in words."""
    says = f"Hiding the evidence, {percent(mask.area)} of the image, takes {percent(mask.drop)} off the score"
    if math.isfinite(mask.normalized_score):
        says += f" ({percent(-mask.normalized_score)} of what hiding everything takes)"
    if len(mask.after) == 1:
        return f"{says}."
    return f"{says} on average over {len(mask.after)} infills; the worst leaves {score_text(float(mask.after.max()))}."


def holds_sentence(holds: NDArray[np.float32]) -> str | None:
    """Return how much of a mask's effect is kept when the mask is changed, in words; None where it has no effect.

    Examples
    --------
    >>> holds_sentence(np.array([0.97, 0.95, 0.9], np.float32)).replace(chr(160), " ")
    'It keeps 97 % of this effect when it is shifted by 2 % of the side, 95 % when its outline is smoothed, and ...'
    """
    if not np.isfinite(holds).all():
        return None
    shifted, smoothed, others = (percent(float(value)) for value in holds)
    return (
        f"It keeps {shifted} of this effect when it is shifted by 2\u00a0% of the side, {smoothed} when its outline is"
        f" smoothed, and {others} in infills that it was not optimized under."
    )


def warning_groups(run: Run) -> list[dict[str, Any]]:
    """Return title, explanation and images (index, name) of near copies, and of each warning that holds for some mask."""
    groups = []
    near = [(image.index, image.name) for image in run.images if image.near is not None]
    if near:
        title = f"{counted(len(near), 'image')}: nearly a copy of another"
        groups.append({"title": title, "text": NEAR, "images": near})
    for key, (title, explanation) in WARNINGS.items():
        images = [(image.index, image.name) for image, mask in zip(run.images, run.masks, strict=True) if key in mask.warnings]
        if images:
            groups.append({"title": f"{counted(len(images), 'image')}: {title}", "text": explanation, "images": images})
    return groups


def faithfulness_rows(found: Faithfulness) -> list[tuple[str, str, str]]:
    """Return what each figure means, its value for the masks and for their moved copies, where these have one."""
    figures = found.figures()
    kept = figures.pop("holds")
    rows = []
    for key, (meaning, form) in FAITHFULNESS.items():
        own, *control = map(form, figures[key])
        rows.append((meaning, own, control[0] if control else ""))
    if len(kept) < len(HOLDS):  # no mask has an effect
        return rows
    return rows + [(meaning, percent(value), "") for meaning, value in zip(HOLDS, kept, strict=True)]
