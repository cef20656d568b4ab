"""Fixed parts: what looks the same at the same place of most images (a logo, a text, a scale bar, a frame)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from visual_summaries._statistics import resamples
from visual_summaries.results import Box

View = NDArray[np.uint8]

_LEAST_IMAGES = 8  # fewer may look the same at a place by chance
_MOST_IMAGES = 64  # a part is found in so many at most; memory does not grow with more
_TYPICAL = 0.6  # share of the images whose distance from the median image tells ...
_STEADY = 0.2  # ... that a pixel looks the same: it is so much of the usual one
_COHERENT = 0.7  # as does one whose edges have so much of one direction in all images: what is half transparent, say
_ALIKE, _EDGES = 0.7, 0.5  # an image has a part if so many of its pixels look the same, or its edges agree so well (cosine)
_FAINT = 8.0  # edges of less than a gray level a pixel (Sobel: 8) are none
_IMAGES = 0.5  # share of the images that have a part
_RESAMPLINGS = 20
_STABLE = 0.5  # stability of a part at least
_GAP = 0.03  # of the shorter side: pieces this near to each other are one part
_STROKE = 0.025  # of the shorter side: gaps of this size, as in letters, are filled
_LEAST, _MOST = 0.004, 0.35  # area of a part, as a share of the image
_TINY = 1e-6


@dataclass(frozen=True, eq=False)
class FixedParts:
    """What looks the same at the same place of most images.

    Attributes
    ----------
    labels : ndarray of int16, (H, W)
        Part of each pixel, largest first; -1 for none. (0, 0) where there are no parts.
    look : ndarray of uint8, (H, W, 3)
        The median image; (0, 0, 3) where there are no parts.
    stability : ndarray of float64, (F,)
        Mean Jaccard index of each part's pixels and those that look the same in resampled images.
    """

    labels: NDArray[np.int16]
    look: View
    stability: NDArray[np.float64]

    @classmethod
    def none(cls) -> FixedParts:
        """Return what is the same for all images without fixed parts, so that no image's pieces depend on the others."""
        return cls(np.zeros((0, 0), np.int16), np.zeros((0, 0, 3), np.uint8), np.zeros(0))


def find_fixed(views: Sequence[View], random_state: int = 0) -> FixedParts:
    """Find what looks the same at the same place of most images, without asking the network.

    A pixel is fixed if it differs little from the median of all images, compared with other pixels, or if its edges have the
    same direction in all images, as those of a watermark have. A part is in half of the images at least, and stable when they
    are resampled. Nothing is found in fewer than eight images.

    Parameters
    ----------
    views : sequence of ndarray of uint8, (H, W, 3)
        Near copies count once: give one of each. Sizes may differ: places are shares of the sides.
    random_state : int

    Examples
    --------
    >>> views = np.random.default_rng(0).integers(0, 256, (12, 56, 56, 3), np.uint8)
    >>> views[:, 40:50, 4:24] = (200, 30, 30)
    >>> found = find_fixed(list(views))
    >>> int(found.labels.max()), int((found.labels == 0).sum()), int((found.labels[40:50, 4:24] == 0).sum())
    (0, 196, 196)
    """
    rng = np.random.default_rng(random_state)
    chosen = [views[k] for k in sorted(rng.choice(len(views), min(len(views), _MOST_IMAGES), replace=False))]
    height, width = chosen[0].shape[:2]
    if len(chosen) < _LEAST_IMAGES:
        return FixedParts.none()
    stack = np.stack([_sized(view, (height, width)) for view in chosen])
    look = np.asarray(np.median(stack, axis=0), np.uint8)
    away = np.stack([_away(view, look) for view in stack])
    edges = np.stack([_edges(view) for view in stack])
    same = _same(away, edges)
    labels, now = _parts(same), same.max(axis=0)
    count = int(labels.max()) + 1
    held = np.array([np.array(fixed_confidence(view, labels, look)) >= 1 for view in stack]).reshape(len(stack), count)
    figures = np.zeros((_RESAMPLINGS, count))
    for row, draw in zip(figures, resamples(len(stack), _RESAMPLINGS, random_state), strict=True):
        again = _same(away[draw], edges[draw]).max(axis=0)
        for k in range(count):
            near = cv2.dilate((labels == k).astype(np.uint8), _disc(labels.shape, _GAP))
            row[k] = (near & now & again).sum() / max((near & (now | again)).sum(), 1)
    stability = figures.mean(axis=0)
    kept = [k for k in range(count) if held[:, k].mean() >= _IMAGES and stability[k] >= _STABLE]
    if not kept:
        return FixedParts.none()
    renumbered = np.full(count + 1, -1, np.int16)
    renumbered[kept] = np.arange(len(kept))
    return FixedParts(renumbered[labels], look, stability[kept])


def where_fixed(view: View, labels: NDArray[np.int16], look: View) -> NDArray[np.int16]:
    """Return the fixed part of each pixel (H, W) of a view, -1 for none; a part that the view has not is nowhere.

    `labels` and `look` are those of :class:`FixedParts`; the view may have another size.
    """
    if not labels.size:
        return np.full(view.shape[:2], -1, np.int16)
    own = labels.copy()
    for part, confidence in enumerate(fixed_confidence(view, labels, look)):
        if confidence < 1:
            own[own == part] = -1
    return np.asarray(cv2.resize(own, view.shape[1::-1], interpolation=cv2.INTER_NEAREST), np.int16)


def fixed_confidence(view: View, labels: NDArray[np.int16], look: View) -> list[float]:
    """Return for each fixed part how well a view agrees with its look, over the least that counts."""
    sized = _sized(view, (look.shape[0], look.shape[1]))
    away, here, there = _away(sized, look), _edges(sized), _edges(look)
    steady = away <= _STEADY * _usual(away)
    found = []
    for part in range(int(labels.max(initial=-1)) + 1):
        pixels = labels == part
        a, b = here[:, pixels], there[:, pixels]
        cosine = float((a * b).sum() / max(np.linalg.norm(a) * np.linalg.norm(b), _TINY))
        found.append(max(float(steady[pixels].mean()) / _ALIKE, cosine / _EDGES))
    return found


def fixed_pieces(own: NDArray[np.int16], first: int) -> list[tuple[int, Box, NDArray[np.bool_]]]:
    """Return part, box and pixels in the box of each fixed part of an image (H, W); the first of them is part `first`.

    Examples
    --------
    >>> [(part, box) for part, box, _ in fixed_pieces(np.array([[-1, 0, -1, 0], [1, -1, -1, -1]], np.int16), 5)]
    [(5, (1, 0, 4, 1)), (6, (0, 1, 1, 2))]
    """
    found = []
    for number, window in enumerate(find_objects(own + 1), first):
        if window is not None:
            y, x = window
            found.append((number, (x.start, y.start, x.stop, y.stop), np.asarray(own[window] == number - first)))
    return found


def _sized(view: View, size: tuple[int, int]) -> View:
    return view if view.shape[:2] == size else np.asarray(cv2.resize(view, size[::-1], interpolation=cv2.INTER_AREA))


def _away(view: View, look: View) -> NDArray[np.float32]:
    return np.asarray(np.abs(view.astype(np.float32) - look).mean(axis=2))


def _edges(view: View) -> NDArray[np.float32]:
    """Return the gradient of the brightness (2, H, W)."""
    gray = view.mean(axis=2, dtype=np.float32)
    return np.stack([cv2.Sobel(gray, cv2.CV_32F, x, 1 - x) for x in (1, 0)])


def _usual(away: NDArray[np.floating]) -> float:
    return max(float(np.median(away)), _TINY)


def _same(away: NDArray[np.float32], edges: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return which pixels look the same, and which have the same edges (2, H, W).

    `away` has distances (n, H, W) to the median image, `edges` gradients (n, 2, H, W).
    """
    typical = np.quantile(away, _TYPICAL, axis=0)
    common = cv2.blur(np.linalg.norm(edges.mean(axis=0), axis=0), (3, 3))
    usual = cv2.blur(np.linalg.norm(edges, axis=1).mean(axis=0), (3, 3))
    both = typical <= _STEADY * _usual(typical), common >= np.maximum(_COHERENT * usual, _FAINT)
    return np.stack([cv2.medianBlur(one.astype(np.uint8), 3) for one in both])


def _disc(shape: tuple[int, ...], share: float) -> NDArray[np.uint8]:
    radius = max(round(share * min(shape)), 1)
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2))


def _parts(same: NDArray[np.uint8]) -> NDArray[np.int16]:
    """Return the parts (H, W), largest first, of what looks the same and what has the same edges (2, H, W)."""
    disc = _disc(same.shape[1:], _STROKE)
    radius = len(disc) // 2
    wider = np.pad(same.max(axis=0), radius)  # what lies beyond the image fills no gap to its border
    closed = cv2.morphologyEx(wider, cv2.MORPH_CLOSE, disc)[radius:-radius, radius:-radius]
    # An edge is seen a pixel beyond it.
    clean = np.maximum(same[0], cv2.erode(closed, np.ones((3, 3), np.uint8)))
    _, numbers = cv2.connectedComponents(cv2.dilate(clean, _disc(clean.shape, _GAP)), connectivity=8)
    numbers *= clean
    sizes = np.bincount(numbers.ravel())
    sizes[0] = 0
    labels = np.full(clean.shape, -1, np.int16)
    large = [k for k in np.argsort(-sizes, kind="stable").tolist() if _LEAST <= sizes[k] / clean.size <= _MOST]
    for part, number in enumerate(large):
        labels[numbers == number] = part
    return labels
