"""A run applied to new images, on disk: plain data, pixels, and one page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from visual_summaries.files.arrays import save_arrays
from visual_summaries.files.atomic import write_json, write_text
from visual_summaries.pages.charts import color_rules
from visual_summaries.pages.shell import base_style, render_self_contained, resource
from visual_summaries.pages.words import counted, listed, percent, score_text
from visual_summaries.results import Application, Explained


def write_application(application: Application, folder: Path) -> Path:
    """Write ``apply.json``, ``masks.npz`` and ``apply.html`` into a folder and return the page's path."""
    arrays: dict[str, Any] = {}
    for k, one in enumerate(application.images, start=1):
        arrays[f"evidence_{k}"] = one.mask.final
        arrays |= {f"summary_{k}_{own.summary + 1}": own.pixels for own in one.present}
    save_arrays(folder / "masks.npz", arrays)
    write_json(folder / "apply.json", application.to_dict())
    page = folder / "apply.html"
    write_text(page, render_application(application))
    return page


def render_application(application: Application) -> str:
    """Return the page: each image with the summaries found in it, and the effect of each on its score."""
    style = base_style() + resource("apply.css") + color_rules(len(application.least))
    context = {
        "application": application,
        "sentences": [_sentence(one, application.target) for one in application.images],
        "matching": list(zip(application.found, application.mistaken, strict=True)),
    }
    return render_self_contained("apply.html.j2", style=style, scripts={}, context=context)


def _sentence(one: Explained, target: str) -> str:
    score = f"Its score of “{target}” is {score_text(one.image.score)}"
    if not one.present:
        return f"{score}; no summary was found in its evidence."
    if one.near_zero:
        present = listed([f"summary {own.summary + 1}" for own in one.present])
        return f"{score}, near 0: shares of it have no meaning. Found in its evidence: {present}."
    found = counted(len(one.present), "summary", "summaries")
    return f"{score}; {found} found in it, which account for {percent(one.explained)} of that."
