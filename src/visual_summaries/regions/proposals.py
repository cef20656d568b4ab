"""Boxes that may hold an object or a part, from one of several sources, chosen evenly over all scales.

- *selective search*: unions of like segments (Uijlings, van de Sande, Gevers, Smeulders, IJCV 2013, by OpenCV contrib);
- *grid*: all places and sizes at regular steps;
- *edge boxes*: windows that hold whole contours (Zitnick, Dollár, ECCV 2014, by OpenCV contrib), on edges found by a structured
  forest (Dollár, Zitnick, ICCV 2013) where its model is available, else on Canny's edges.

Every source gives all boxes that it can think of, sorted and without repeats; :func:`propose_boxes` chooses among them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from visual_summaries._validate import require_contrib, require_in_range
from visual_summaries.errors import SettingsError
from visual_summaries.results.base import require_image
from visual_summaries.settings.stages import check_source

Picture = NDArray[np.uint8]
Boxes = NDArray[np.int32]

_SMALLEST = 8  # boxes with a side below this many pixels, or ...
_SMALLEST_SHARE = 0.04  # ... below this share of the image's shorter side, show nothing that can be compared
_SLIMMEST = 5.0  # boxes with a larger aspect ratio are slivers of the segmentation
_SEARCH_SIDES = (160, 192)  # shorter side, in pixels, within which Selective Search works
_OCTAVE = 0.5  # width of a scale bin, in octaves of the side
_BLUR = 1.5  # pixels by which an image is blurred before Canny's edges are looked for


def propose_boxes(image: Picture, n: int = 500, source: str = "selective_search", random_state: int = 0) -> Boxes:
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
        ``"selective_search"`` (published), ``"grid"`` or ``"edge_boxes"``; ``"edge_boxes:PATH"`` finds edges by the structured
        forest in that file instead of Canny's.
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
        If there is no such source, `n` is below 1, the image is not uint8 (H, W, 3), or the edge model cannot be read.

    Examples
    --------
    >>> image = np.zeros((48, 64, 3), np.uint8)
    >>> image[10:30, 20:50] = 255
    >>> boxes = propose_boxes(image)
    >>> boxes[0], bool((abs(boxes - [20, 10, 50, 30]) <= 2).all(1).any())
    (array([ 0,  0, 64, 48], dtype=int32), True)
    """
    check_source(source)
    if source != "grid":
        require_contrib()
    require_in_range("n", n, 1)
    height, width = require_image(image)
    whole = np.array([[0, 0, width, height]], np.int32)
    name, _, model = source.partition(":")
    if name == "edge_boxes":
        found = edge_boxes(image, n, Path(model) if model else None)
    else:
        found = {"selective_search": selective_search, "grid": grid}[name](image, n)
    boxes = usable_boxes(found, (height, width))
    boxes = boxes[(boxes != whole).any(1)]
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1, dtype=np.int64)
    if len(boxes) > n - 1:
        level = np.floor(0.5 * np.log2(height * width / area) / _OCTAVE).astype(np.int64)
        keep = _stratified(level, n - 1, np.random.default_rng(random_state))
        boxes, area = boxes[keep], area[keep]
    return np.concatenate([whole, boxes[np.argsort(-area, kind="stable")]])


def _stratified(level: NDArray[np.int64], places: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw `places` indices, as evenly over the levels as these have members."""
    members = [rng.permutation(np.flatnonzero(level == value)) for value in np.unique(level)]
    # Round k takes the k-th member of every level; later rounds continue with the levels that still have some.
    rank = np.concatenate([np.arange(len(one)) for one in members])
    order = np.lexsort((rng.random(len(rank)), rank))
    chosen: NDArray[np.int64] = np.concatenate(members)[order[:places]]
    return chosen


def propose_all(
    images: Iterable[Picture],
    n: int = 500,
    source: str = "selective_search",
    random_state: int = 0,
    *,
    workers: int | None = None,
) -> Iterator[Boxes]:
    """Yield :func:`propose_boxes` of each image, in order, several images at a time.

    OpenCV releases Python's lock, so threads (one for each CPU, or so many `workers`) run side by side and nothing has to be
    copied to other processes.
    """
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        yield from pool.map(partial(propose_boxes, n=n, source=source, random_state=random_state), images)


def selective_search(image: Picture, n: int) -> Boxes:
    """Return the boxes of Selective Search: its fast strategy, joined by the thorough one if that gives fewer than `n`.

    Images whose shorter side lies outside 160 to 192 pixels are resized into that range first: below it there are too few
    segments, above it only time is lost. OpenCV ranks boxes by the C library's random numbers; the *set* of boxes does not
    depend on them, and only the set is used.
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
    if len(usable_boxes(_in_pixels(found[0], size, (width, height)), (height, width))) < n:
        search.switchToSelectiveSearchQuality()
        found.append(np.asarray(search.process(), np.int32))
    return unique_boxes(_in_pixels(np.concatenate(found), size, (width, height)))


def _in_pixels(found: Boxes, size: tuple[int, int], original: tuple[int, int]) -> Boxes:
    """Turn (x, y, w, h) at the working size into (x0, y0, x1, y1) at the original one."""
    boxes = np.concatenate([found[:, :2], found[:, :2] + found[:, 2:]], 1) * np.tile(np.divide(original, size), 2)
    inside: Boxes = np.clip(np.rint(boxes), 0, np.tile(original, 2)).astype(np.int32)
    return inside


def grid(image: Picture, n: int) -> Boxes:
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
    return unique_boxes(np.concatenate([_layer(width - w, height - h, w, h, math.ceil(n / len(layers))) for w, h in layers]))


def _layer(free_x: float, free_y: float, w: float, h: float, count: int) -> Boxes:
    """Lay boxes of w x h pixels at equal steps: the largest steps that give at least `count` boxes, but none below a pixel."""
    for step in np.geomspace(max(free_x, free_y, 1), 1, 64):
        columns, rows = int(free_x / step) + 1, int(free_y / step) + 1
        if columns * rows >= count:
            break
    x, y = (axis.ravel() for axis in np.meshgrid(np.linspace(0, free_x, columns), np.linspace(0, free_y, rows)))
    return np.rint(np.stack([x, y, x + w, y + h], 1)).astype(np.int32)


def edge_boxes(image: Picture, n: int, model: Path | None = None) -> Boxes:
    """Return the windows of Edge Boxes, at least `n` where it finds as many.

    Edges are those of a structured forest (`model`, in OpenCV's format: ``model.yml.gz`` of ``opencv_extra``); without it those
    of Canny on the slightly blurred image, weighted by their gradient.

    Examples
    --------
    >>> image = np.zeros((60, 80, 3), np.uint8)
    >>> image[15:45, 20:60] = 255
    >>> boxes = edge_boxes(image, 50)
    >>> bool((abs(boxes - [20, 15, 60, 45]) <= 5).all(1).any())
    True
    """
    edges, direction = _canny(image) if model is None else _forest(image, model)
    finder = cv2.ximgproc.createEdgeBoxes()
    finder.setMaxBoxes(max(10 * n, 1000))  # many are too small, too slim, or alike in scale
    finder.setMinScore(0.0)
    finder.setMinBoxArea(_SMALLEST**2)
    found = finder.getBoundingBoxes(edges, direction)[0]
    size = (image.shape[1], image.shape[0])
    return unique_boxes(_in_pixels(np.asarray(found, np.int32).reshape(-1, 4), size, size))


def _canny(image: Picture) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return strength in [0, 1] and direction in [0, pi) of the edges, thinned to a pixel."""
    smooth = cv2.GaussianBlur(image, (0, 0), _BLUR).astype(np.float32)
    dx, dy = (cv2.Sobel(smooth, cv2.CV_32F, x, 1 - x) for x in (1, 0))
    strongest = (dx * dx + dy * dy).argmax(2)[:, :, None]  # the color channel that changes most
    dx, dy = (np.take_along_axis(part, strongest, 2)[:, :, 0] for part in (dx, dy))
    strength = np.hypot(dx, dy)
    high = max(float(np.quantile(strength, 0.9)), 1.0)
    x, y = (np.rint(part).astype(np.int16) for part in (dx, dy))
    thin = cv2.Canny(x, y, 0.3 * high, high, L2gradient=True)
    edges = np.where(thin > 0, np.minimum(strength / (2 * high), 1), 0)
    return edges.astype(np.float32), np.mod(np.arctan2(dy, dx), np.pi).astype(np.float32)


def _forest(image: Picture, model: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return strength and direction of the edges that a structured forest finds, thinned to a pixel."""
    remedy = "give one in OpenCV's format (model.yml.gz of opencv_extra), or 'edge_boxes' without a path to use Canny's edges"
    if not model.is_file():
        raise SettingsError(f"there is no structured edge model {model}; {remedy}")
    try:
        detector = cv2.ximgproc.createStructuredEdgeDetection(str(model))
        edges = detector.detectEdges(np.ascontiguousarray(image, np.float32) / 255)
    except (cv2.error, SystemError) as error:
        raise SettingsError(f"{model} is not a structured edge model that OpenCV can read; {remedy}") from error
    direction = detector.computeOrientation(edges)
    return np.asarray(detector.edgesNms(edges, direction), np.float32), np.asarray(direction, np.float32)


def usable_boxes(boxes: Boxes, size: tuple[int, int]) -> Boxes:
    """Return the boxes (n, 4) that are neither too small nor too slim for an image of `size` (H, W)."""
    sides = boxes[:, 2:] - boxes[:, :2]
    smallest = max(_SMALLEST, _SMALLEST_SHARE * min(size))
    shorter, longer = sides.min(1), sides.max(1)
    usable: Boxes = boxes[(shorter >= smallest) & (longer <= _SLIMMEST * shorter)]
    return usable


def unique_boxes(boxes: Boxes) -> Boxes:
    """Sorted boxes without repeats: an order that does not depend on the source's."""
    return np.unique(boxes.reshape(-1, 4), axis=0)
