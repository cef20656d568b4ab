"""Boxes that may hold an object or a part: object proposals.

A *source* is a function from an image to all the boxes that it can think of; :func:`propose_boxes` chooses among them.
Selective Search is that of Uijlings, van de Sande, Gevers, Smeulders, IJCV 2013, as OpenCV contrib implements it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import cv2
import numpy as np
from numpy.typing import NDArray

from visual_summaries._validate import require_choice, require_in_range

#: A source: image (uint8, (H, W, 3)) and number of boxes wanted -> all its boxes (m, 4), in any order, repeats allowed.
Source = Callable[[NDArray[np.uint8], int], NDArray[np.int32]]

_SMALLEST = 8  # boxes with a side below this many pixels, or ...
_SMALLEST_SHARE = 0.04  # ... below this share of the image's shorter side, show nothing that can be compared
_SLIMMEST = 5.0  # boxes with a larger aspect ratio are slivers of the segmentation
_SEARCH_SIDES = (160, 192)  # shorter side, in pixels, within which Selective Search works
_OCTAVE = 0.5  # width of a scale bin, in octaves of the side


def selective_search(image: NDArray[np.uint8], n: int) -> NDArray[np.int32]:
    """Return the boxes of Selective Search: its fast strategy, joined by the thorough one if that gives fewer than `n`.

    Images whose shorter side lies outside 160 to 192 pixels are resized into that range first: below it there are too few
    segments, above it only time is lost. OpenCV ranks boxes by the C library's random numbers; the *set* of boxes does not
    depend on them, and only the set is used.

    Examples
    --------
    >>> image = np.zeros((48, 64, 3), np.uint8)
    >>> image[10:30, 20:50] = 255
    >>> bool((selective_search(image, 10) == selective_search(image, 10)).all())
    True
    """
    height, width = image.shape[:2]
    shorter = min(height, width)
    factor = min(max(shorter, _SEARCH_SIDES[0]), _SEARCH_SIDES[1]) / shorter
    size = (max(round(width * factor), 1), max(round(height * factor), 1))
    if size != (width, height):
        method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
        image = cv2.resize(image, size, interpolation=method)
    search = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    search.setBaseImage(np.ascontiguousarray(image[:, :, ::-1]))  # OpenCV expects blue first
    search.switchToSelectiveSearchFast()
    found = [np.asarray(search.process(), np.int32)]
    if len(_usable(_in_pixels(found[0], size, (width, height)), (height, width))) < n:
        search.switchToSelectiveSearchQuality()
        found.append(np.asarray(search.process(), np.int32))
    return _unique(_in_pixels(np.concatenate(found), size, (width, height)))


def _in_pixels(found: NDArray[np.int32], size: tuple[int, int], original: tuple[int, int]) -> NDArray[np.int32]:
    """Turn (x, y, w, h) at the working size into (x0, y0, x1, y1) at the original one."""
    boxes = np.concatenate([found[:, :2], found[:, :2] + found[:, 2:]], 1) * np.tile(np.divide(original, size), 2)
    inside: NDArray[np.int32] = np.clip(np.rint(boxes), 0, np.tile(original, 2)).astype(np.int32)
    return inside


def grid(image: NDArray[np.uint8], n: int) -> NDArray[np.int32]:
    """Return regular grids of square, lying and upright boxes, a little over `n` in all, as many of each scale as of any other.

    Scales are half an octave of the side apart, from the image's shorter side down to a twelfth of it.

    Examples
    --------
    >>> boxes = grid(np.zeros((100, 150, 3), np.uint8), 200)
    >>> 200 <= len(boxes) < 400
    True
    """
    height, width = image.shape[:2]
    shorter = min(height, width)
    octaves = math.log2(max(shorter / max(_SMALLEST, shorter / 12), 1))
    layers = [
        (min(side * math.sqrt(aspect), width), min(side / math.sqrt(aspect), height))
        for side in shorter * 2.0 ** -np.arange(0, octaves + 0.01, _OCTAVE)
        for aspect in (1.0, 2.0, 0.5)
    ]
    return _unique(np.concatenate([_layer(width - w, height - h, w, h, math.ceil(n / len(layers))) for w, h in layers]))


def _layer(free_x: float, free_y: float, w: float, h: float, count: int) -> NDArray[np.int32]:
    """Lay boxes of w x h pixels at equal steps: the largest steps that give at least `count` boxes, but none below a pixel."""
    for step in np.geomspace(max(free_x, free_y, 1), 1, 64):
        columns, rows = int(free_x / step) + 1, int(free_y / step) + 1
        if columns * rows >= count:
            break
    x, y = (axis.ravel() for axis in np.meshgrid(np.linspace(0, free_x, columns), np.linspace(0, free_y, rows)))
    return np.rint(np.stack([x, y, x + w, y + h], 1)).astype(np.int32)


#: Sources of boxes by name.
SOURCES: dict[str, Source] = {"selective_search": selective_search, "grid": grid}


def propose_boxes(
    image: NDArray[np.uint8],
    n: int = 500,
    source: str = "selective_search",
    random_state: int = 0,
) -> NDArray[np.int32]:
    """Propose boxes of all scales for an image.

    Of all boxes of the source, those too small or too slim to be compared are dropped. The whole image is always one of the
    rest; if these are more than `n`, they are sorted into bins of half an octave of their side, every bin gets the same
    number of places (places that it cannot fill go to the others), and boxes are drawn from each bin at random.

    Parameters
    ----------
    image : ndarray of uint8, (H, W, 3)
    n : int
        At most this many boxes (500 published).
    source : str
        One of :data:`SOURCES`: ``"selective_search"`` (published) or ``"grid"``.
    random_state : int
        Seed of the draw; same image and seed, same boxes.

    Returns
    -------
    ndarray of int32, (<= n, 4)
        ``(x0, y0, x1, y1)`` in pixels, half open, no two alike; the first is the whole image, the others follow from large
        to small.

    Raises
    ------
    SettingsError
        If there is no such source, or `n` is below 1.
    ValueError
        If the image is not uint8 (H, W, 3).

    Examples
    --------
    >>> image = np.zeros((48, 64, 3), np.uint8)
    >>> image[10:30, 20:50] = 255
    >>> boxes = propose_boxes(image)
    >>> boxes[0], bool((abs(boxes - [20, 10, 50, 30]) <= 2).all(1).any())
    (array([ 0,  0, 64, 48], dtype=int32), True)
    """
    require_choice("source", source, tuple(SOURCES))
    require_in_range("n", n, 1)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"image has shape {image.shape} and type {image.dtype}, but must be uint8 (H, W, 3)")
    height, width = image.shape[:2]
    whole = np.array([[0, 0, width, height]], np.int32)
    boxes = _usable(_unique(SOURCES[source](image, n)), (height, width))
    boxes = boxes[(boxes != whole).any(1)]
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1, dtype=np.int64)
    if len(boxes) > n - 1:
        level = np.floor(0.5 * np.log2(height * width / area) / _OCTAVE).astype(np.int64)
        keep = _stratified(level, n - 1, np.random.default_rng(random_state))
        boxes, area = boxes[keep], area[keep]
    return np.concatenate([whole, boxes[np.argsort(-area, kind="stable")]])


def _usable(boxes: NDArray[np.int32], size: tuple[int, int]) -> NDArray[np.int32]:
    """Return the boxes that are neither too small nor too slim."""
    sides = boxes[:, 2:] - boxes[:, :2]
    smallest = max(_SMALLEST, _SMALLEST_SHARE * min(size))
    shorter, longer = sides.min(1), sides.max(1)
    usable: NDArray[np.int32] = boxes[(shorter >= smallest) & (longer <= _SLIMMEST * shorter)]
    return usable


def _unique(boxes: NDArray[np.int32]) -> NDArray[np.int32]:
    """Sorted boxes without repeats: an order that owes nothing to the source's."""
    return np.unique(boxes.reshape(-1, 4), axis=0)


def _stratified(level: NDArray[np.int64], places: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw `places` indices, as evenly over the levels as these have members."""
    members = [rng.permutation(np.flatnonzero(level == value)) for value in np.unique(level)]
    # Round k takes the k-th member of every level; later rounds go on with the levels that still have some.
    rank = np.concatenate([np.arange(len(one)) for one in members])
    order = np.lexsort((rng.random(len(rank)), rank))
    chosen: NDArray[np.int64] = np.concatenate(members)[order[:places]]
    return chosen


def propose_all(
    images: Iterable[NDArray[np.uint8]],
    n: int = 500,
    source: str = "selective_search",
    random_state: int = 0,
    *,
    workers: int | None = None,
) -> Iterator[NDArray[np.int32]]:
    """Yield :func:`propose_boxes` of each image, in order, several images at a time.

    OpenCV releases Python's lock, so threads run side by side and nothing has to be copied to other processes. Only as many
    images as there are workers are held.

    Parameters
    ----------
    images : iterable of ndarray of uint8, (H, W, 3)
        Taken lazily.
    n, source, random_state
        As in :func:`propose_boxes`.
    workers : int, optional
        Threads; by default one for each CPU.

    Examples
    --------
    >>> images = (np.full((40, 50, 3), value, np.uint8) for value in (0, 255))
    >>> [len(boxes) for boxes in propose_all(images, n=10, workers=2)]
    [1, 1]
    """
    workers = workers or os.cpu_count() or 1
    stream = iter(images)
    with ThreadPoolExecutor(workers) as pool:
        waiting = [pool.submit(propose_boxes, image, n, source, random_state) for image in islice(stream, workers)]
        while waiting:
            boxes = waiting.pop(0).result()
            waiting.extend(pool.submit(propose_boxes, image, n, source, random_state) for image in islice(stream, 1))
            yield boxes
