"""Pictures of the summaries of a unit of ``parts.py``, for looking at: one row a summary, its evidence bright."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from visual_summaries.results import Run, Summary

_SIDE, _LABEL = 110, 130  # pixels: of an image, and of the words beside a row
_IMAGES = 10
_DIM = 0.25


def lit(view: NDArray[np.uint8], pixels: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return an image with these pixels as they are and all others gray, at a quarter of their brightness."""
    gray = cv2.cvtColor(cv2.cvtColor(view, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return np.where(pixels[..., None], view, (gray * _DIM).astype(np.uint8))


def strip(run: Run, summary: Summary) -> NDArray[np.uint8]:
    """Return the row of a summary: its rank, effect and coverage in words, and its members' images."""
    words = np.zeros((_SIDE, _LABEL, 3), np.uint8)
    lines = [f"{summary.index + 1}"]
    if (found := summary.analysis) is not None:
        lines += [f"effect {found.class_effect:.2f}", f"in {found.coverage:.0%}", "" if found.beats_control else "in doubt"]
    for row, line in enumerate(lines):
        cv2.putText(words, line, (6, 24 + 24 * row), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
    pictures = [np.zeros((_SIDE, _SIDE, 3), np.uint8) for _ in range(_IMAGES)]
    for place, member in enumerate(summary.members[:_IMAGES]):
        image = run.regions[member.region].image
        picture = lit(run.images[image].view, run.labels(image) == summary.index)
        pictures[place] = cv2.resize(picture, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return np.concatenate([words, *pictures], axis=1)


def write_strips(run: Run, path: Path) -> None:
    """Write a picture of all summaries of a run, by rank; none for a run without."""
    if not run.summaries:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.fromarray(np.concatenate([strip(run, one) for one in run.summaries])).save(path, quality=88)
