"""Boxes that may hold an object or a part, from one of several sources, chosen evenly over all scales."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visual_summaries._validate import require_in_range
from visual_summaries.regions.sources import (
    OCTAVE,
    Boxes,
    Picture,
    edge_boxes,
    grid,
    selective_search,
    usable_boxes,
)
from visual_summaries.settings.stages import check_source


def _all_boxes(image: Picture, n: int, source: str) -> Boxes:
    """All boxes of a source."""
    name, _, model = source.partition(":")
    if name == "edge_boxes":
        return edge_boxes(image, n, Path(model) if model else None)
    return {"selective_search": selective_search, "grid": grid}[name](image, n)


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
        If there is no such source, `n` is below 1, or the edge model cannot be read.
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
    check_source(source)
    require_in_range("n", n, 1)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"image has shape {image.shape} and type {image.dtype}, but must be uint8 (H, W, 3)")
    height, width = image.shape[:2]
    whole = np.array([[0, 0, width, height]], np.int32)
    boxes = usable_boxes(_all_boxes(image, n, source), (height, width))
    boxes = boxes[(boxes != whole).any(1)]
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1, dtype=np.int64)
    if len(boxes) > n - 1:
        level = np.floor(0.5 * np.log2(height * width / area) / OCTAVE).astype(np.int64)
        keep = _stratified(level, n - 1, np.random.default_rng(random_state))
        boxes, area = boxes[keep], area[keep]
    return np.concatenate([whole, boxes[np.argsort(-area, kind="stable")]])


def _stratified(level: NDArray[np.int64], places: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw `places` indices, as evenly over the levels as these have members."""
    members = [rng.permutation(np.flatnonzero(level == value)) for value in np.unique(level)]
    # Round k takes the k-th member of every level; later rounds go on with the levels that still have some.
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
