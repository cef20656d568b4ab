"""The pictures that people see: of each region all pixels of its part, bright in its whole image, which is dark and gray.

Runs of all presets are drawn alike, so that a picture does not tell which method it is of.
"""

from __future__ import annotations

import math
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from visual_summaries.birds.render import render
from visual_summaries.birds.scene import sample_scene
from visual_summaries.birds.world import CLASSES, PARTS
from visual_summaries.pages.rendering import render_part
from visual_summaries.pages.shell import data_uri
from visual_summaries.pages.strips import part_pixels
from visual_summaries.results import Run

#: Pixels of a picture's longer side; those of a row of a comparison are smaller.
SIDE, SMALL_SIDE = 300, 168
#: A part of a drawn bird with fewer pixels is hidden by something else.
SMALLEST = 50


def region_picture(run: Run, region: int, side: int = SIDE) -> str:
    """Return a region of a run as a data URI."""
    return data_uri(draw(run.images[run.regions[region].image].view, part_pixels(run, region), side))


@cache
def practice_picture(part: str | None, seed: int, side: int = SIDE) -> str:
    """Return a part of a drawn bird as a data URI; with None for the part, one that the seed chooses.

    Parameters
    ----------
    part : str or None
        One of ``visual_summaries.birds.world.PARTS``.
    seed : int
        Which bird: the first one from this seed on whose part is there and not tiny.
    side : int
    """
    part = part or PARTS[seed % len(PARTS)]
    for attempt in range(seed, seed + 20):
        drawn = render(sample_scene(attempt % len(CLASSES), seed=attempt, size=(160, 160)))
        evidence = drawn.part(part)
        if evidence.sum() >= SMALLEST:
            return data_uri(draw(drawn.image, evidence, side))
    raise ValueError(f"no bird from seed {seed} on shows its {part}")


def draw(view: NDArray[np.uint8], part: NDArray[np.bool_], side: int) -> NDArray[np.uint8]:
    """Draw a part of an image, and nothing else that a method found there.

    Parameters
    ----------
    view : ndarray of uint8, (H, W, 3)
    part : ndarray of bool, (H, W)
    side : int
        Pixels of the picture's longer side.

    Returns
    -------
    ndarray of uint8, (side, side, 3)
        What is missing to a square is black, so that all pictures have one size.
    """
    picture = render_part(view, part, part, scale=max(1, math.ceil(side / max(part.shape))))
    factor = side / max(picture.shape[:2])
    size = (round(picture.shape[1] * factor), round(picture.shape[0] * factor))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    square = np.zeros((side, side, 3), np.uint8)
    top, left = (side - size[1]) // 2, (side - size[0]) // 2
    square[top : top + size[1], left : left + size[0]] = small
    return square
