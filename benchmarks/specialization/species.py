"""Twelve species of birds as squares, with their annotated points, and splits of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from benchmarks.shortcuts.training import SIDE, Photo, class_names, frame, read_photos
from visual_summaries.specialization.detectors import Boxes
from visual_summaries.specialization.heads import Features, Positions
from visual_summaries.specialization.looking import LOOK

SET = "cub12_320"
#: Images of a class that may be trained on; all others are held out, whatever the count.
MOST = 30


def split(labels: Positions, count: int, seed: int, held_out: int = 100) -> tuple[Positions, Positions]:
    """Return `count` images of each class to train on, and those held out, at most so many; larger counts hold smaller ones.

    Examples
    --------
    >>> train, test = split(np.repeat([0, 1], 40), 5, 0)
    >>> len(train), len(test), set(train) <= set(split(np.repeat([0, 1], 40), 15, 0)[0])
    (10, 20, True)
    """
    rng = np.random.default_rng(seed)
    drawn = [rng.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]
    return np.concatenate([own[:count] for own in drawn]), np.concatenate([own[MOST:][:held_out] for own in drawn])


def points_in(square: tuple[int, int, int], parts: Mapping[str, Sequence[float]], names: Sequence[str]) -> NDArray[np.float32]:
    """Return those of the named points that are annotated, over the sides of a square (left, top, side): (n, 2).

    Examples
    --------
    >>> points_in((100, 0, 200), {"beak": [200, 50], "tail": [0, 0]}, ["beak", "crown"]).tolist()
    [[0.5, 0.25]]
    """
    left, top, side = square
    own = [((parts[name][0] - left) / side, (parts[name][1] - top) / side) for name in names if name in parts]
    return np.array(own, np.float32).reshape(-1, 2).clip(0, 1)


def box_around(points: NDArray[np.float32], least: float) -> Boxes:
    """Return the box (1, 4) of some points, at least of this side; the middle of the image where there is none.

    Examples
    --------
    >>> box_around(np.array([[0.25, 0.5], [0.75, 0.5]]), 0.25).tolist()
    [[0.25, 0.375, 0.75, 0.625]]
    """
    if not len(points):
        return np.array([[0.25, 0.25, 0.75, 0.75]], np.float32)
    low, high = points.min(axis=0), points.max(axis=0)
    more = np.maximum(least - (high - low), 0) / 2
    return np.concatenate([low - more, high + more])[None].clip(0, 1).astype(np.float32)


def look_boxes(centers: Features, side: float = LOOK) -> Boxes:
    """Return squares around centers (..., 2), moved into the image: (..., 4), all over the image's sides.

    Examples
    --------
    >>> look_boxes(np.array([[0.5, 0.5], [0.0, 0.9]]), 0.5).tolist()
    [[0.25, 0.25, 0.75, 0.75], [0.0, 0.5, 0.5, 1.0]]
    """
    low = np.clip(centers - side / 2, 0, 1 - side)
    return np.concatenate([low, low + side], axis=-1).astype(np.float32)


@dataclass(frozen=True)
class Birds:
    """Photographs as squares, with the annotated points of each."""

    folder: Path
    photos: tuple[Photo, ...]
    names: tuple[str, ...]
    squares: tuple[tuple[int, int, int], ...]
    parts: tuple[dict[str, list[float]], ...]
    objects: Boxes  # (N, 4), the square around each annotated bird over the sides of its photograph's square

    @property
    def labels(self) -> Positions:
        return np.array([photo.label for photo in self.photos], np.intp)

    def look(self, position: int, box: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return what is in a box of a square, from the photograph as it is, as large as the network takes it."""
        (left, top, side), file = self.squares[position], self.folder / self.photos[position].file
        x0, y0, x1, y1 = (side * box + [left, top, left, top]).tolist()
        with PIL.Image.open(file) as image:
            near = image.convert("RGB").resize((SIDE, SIDE), PIL.Image.Resampling.BICUBIC, box=(x0, y0, x1, y1))
        return np.asarray(near)

    def oracle(self, names: Sequence[str], least: float) -> Boxes:
        """Return the box around some annotated points in each image: (N, 4)."""
        pairs = zip(self.squares, self.parts, strict=True)
        return np.concatenate([box_around(points_in(square, parts, names), least) for square, parts in pairs])


def read_birds(data: Path) -> Birds:
    """Return all photographs of the set."""
    folder = data / "images" / SET
    listed = json.loads((folder / "parts.json").read_text(encoding="utf-8"))["images"]
    photos = tuple(read_photos(folder, most=1000))
    squares, objects = [], []
    for photo in photos:
        bbox = listed[photo.file]["bbox"]
        with PIL.Image.open(folder / photo.file) as image:
            left, top, side = frame(image.size, bbox)
        squares.append((left, top, side))
        x, y, width, height = bbox
        center = np.array([x + width / 2 - left, y + height / 2 - top]) / side
        objects.append(look_boxes(center, min(max(width, height) / side, 1)))
    parts = tuple(listed[photo.file]["parts"] for photo in photos)
    return Birds(folder, photos, tuple(class_names(folder)), tuple(squares), parts, np.stack(objects))
