"""A run applied to new images, on disk: plain data, pixels, and one page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from visual_summaries.files.arrays import save_arrays
from visual_summaries.files.atomic import write_json, write_text
from visual_summaries.pages.context import palette
from visual_summaries.pages.geometry import contours
from visual_summaries.pages.shell import base_style, data_uri, render_self_contained, resource, svg_path
from visual_summaries.pages.words import counted, percent, score_text, text
from visual_summaries.results import Application, Explained

_TOLERANCE = 0.3  # simplification of outlines, in pixels


def write_application(application: Application, folder: Path) -> Path:
    """Write ``apply.json``, ``masks.npz`` and ``apply.html`` into a folder and return the page's path."""
    arrays: dict[str, Any] = {}
    for k, one in enumerate(application.images):
        arrays[f"evidence_{k}"] = one.mask.final
        arrays |= {f"summary_{k}_{own.summary}": own.pixels for own in one.present}
    save_arrays(folder / "masks.npz", arrays)
    write_json(folder / "apply.json", application.to_dict())
    page = folder / "apply.html"
    write_text(page, render_application(application))
    return page


def render_application(application: Application) -> str:
    """Return the page: each image with the summaries found in it, and what its score owes to each."""
    colors = "".join(f".c{k}{{--c:{color}}}\n" for k, color in enumerate(palette(len(application.least)), start=1))
    style = base_style() + resource("apply.css") + colors
    context = {
        "target": text(application.target),
        "images": [_image(one, application.target) for one in application.images],
        "skipped": [(text(name), text(reason)) for name, reason in application.skipped],
        "matching": [
            (k, percent(found), percent(mistaken))
            for k, (found, mistaken) in enumerate(zip(application.found, application.mistaken, strict=True), start=1)
        ],
    }
    return render_self_contained("apply.html.j2", style=style, scripts={}, context=context)


def _image(one: Explained, target: str) -> dict[str, Any]:
    height, width = one.image.view.shape[:2]
    return {
        "name": text(one.image.name),
        "view": data_uri(one.image.view),
        "width": width,
        "height": height,
        "evidence": svg_path(contours(np.asarray(one.mask.final > 0.5), _TOLERANCE)),
        "score": score_text(one.image.score),
        "predicted": text(one.predicted),
        "other": one.predicted != target,
        "sentence": _sentence(one, target),
        "present": [
            {
                "number": own.summary + 1,
                "outline": svg_path(contours(own.pixels, _TOLERANCE)),
                "boxes": [(x0, y0, x1 - x0, y1 - y0) for x0, y0, x1, y1 in own.boxes],
                "importance": percent(own.importance),
                "width": round(100 * min(max(own.importance, 0), 1), 1),
                "control": percent(own.control),
            }
            for own in one.present
        ],
    }


def _sentence(one: Explained, target: str) -> str:
    score = f"Its score of “{target}” is {score_text(one.image.score)}"
    if not one.present:
        return f"{score}; no summary was found in its evidence."
    found = counted(len(one.present), "summary", "summaries")
    return f"{score}; {found} found in it, which account for {percent(one.explained)} of that."
