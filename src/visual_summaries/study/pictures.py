"""The pictures that people see: one square of each region, all the same size, evidence bright and the rest grey."""

from __future__ import annotations

import math
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from visual_summaries.demo import CLASSES, PARTS, render, sample_scene
from visual_summaries.report.embedding import data_uri
from visual_summaries.report.geometry import window_around
from visual_summaries.report.rendering import render_region
from visual_summaries.results import Box, Run

#: Pixels of a picture's longer side; those of a row of a comparison are smaller.
SIDE, SMALL_SIDE = 300, 168
#: A part of a drawn bird with fewer pixels is hidden by something else.
SMALLEST = 50


def region_picture(run: Run, region: int, side: int = SIDE) -> str:
    """Return a region of a run as a data URI."""
    shown = run.regions[region]
    evidence = run.evidence(shown.image)
    return data_uri(draw(run.images[shown.image].view, evidence, shown.box, side))


@cache
def practice_picture(part: str | None, seed: int, side: int = SIDE) -> str:
    """Return a part of a drawn bird as a data URI; with None for the part, one that the seed chooses.

    Parameters
    ----------
    part : str or None
        One of ``visual_summaries.demo.PARTS``.
    seed : int
        Which bird: the first one from this seed on whose part is there and not tiny.
    side : int
    """
    part = part or PARTS[seed % len(PARTS)]
    for attempt in range(seed, seed + 20):
        drawn = render(sample_scene(attempt % len(CLASSES), seed=attempt, size=(160, 160)))
        evidence = drawn.part(part)
        rows, columns = np.nonzero(evidence)
        if rows.size >= SMALLEST:
            box = (int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
            return data_uri(draw(drawn.image, evidence, box, side))
    raise ValueError(f"no bird from seed {seed} on shows its {part}")


def draw(view: NDArray[np.uint8], evidence: NDArray[np.bool_], box: Box, side: int) -> NDArray[np.uint8]:
    """Draw a region with some of what is around it.

    Parameters
    ----------
    view : ndarray of uint8, (H, W, 3)
    evidence : ndarray of bool, (H, W)
    box : tuple of int
    side : int
        Pixels of the picture's longer side.

    Returns
    -------
    ndarray of uint8, (h, w, 3)
    """
    window = window_around(box, evidence.shape)
    longer = max(window[2] - window[0], window[3] - window[1])
    # One outline says where to look; the report's other lines are for readers who know the method.
    scale = max(1, math.ceil(side / longer))
    picture = render_region(view, evidence, box, window=window, scale=scale, draw_box=False, draw_touching=False)
    factor = side / max(picture.shape[:2])
    size = (round(picture.shape[1] * factor), round(picture.shape[0] * factor))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
