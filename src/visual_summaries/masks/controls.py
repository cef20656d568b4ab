"""Controls: the very pixels of a mask or region, moved to a random place of the same image."""

from __future__ import annotations

import hashlib
from typing import TypeVar

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from visual_summaries._recent import Recent

_T = TypeVar("_T", bound=np.generic)

_PLACES = 96  # random places looked at for each of the four orientations
_OVERLAP = 0.05  # share of its own pixels that a moved region may still cover
_STUCK = 0.5  # a region whose copies cover so much of it, wherever they are, is compared with what is next to it instead
_GRABCUT_SIDE = 80  # pixels of the shorter side of what GrabCut sees
_GRABCUT_STEPS = 2
_RIM = 2  # pixels of that, along the border, that are taken for background
_ON_OBJECT = 0.9  # places whose share on the object reaches this much of the best one's are all as good

_RECENT = Recent[NDArray[np.bool_]](2**24)  # several stages, and each summary of an image, ask where its object is


def object_mask(view: NDArray[np.uint8], evidence: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return where the object is, as far as can be told without labels: GrabCut grown from the image's evidence.

    GrabCut (Rother, Kolmogorov, Blake, SIGGRAPH 2004) gets the evidence as object, the rest of its convex hull as probable
    object, and the image's rim outside the hull as background. It works on a copy of about 80 pixels. On drawn birds it
    finds the bird better than the hull, the smooth mask, or where proposals are dense do (docs/analyses.md).

    It is the hull alone where colors separate nothing, and all False without evidence. The array cannot be written to.

    Examples
    --------
    >>> view = np.full((60, 80, 3), 200, np.uint8)
    >>> view[10:40, 20:50] = (160, 40, 30)  # an object, of which two corners are evidence
    >>> evidence = np.zeros((60, 80), bool)
    >>> evidence[12:18, 22:28] = evidence[30:38, 40:48] = True
    >>> found = object_mask(view, evidence)
    >>> round(float(found[10:40, 20:50].mean()), 1), round(float(found.mean() * 60 * 80 / 900), 1)
    (1.0, 1.0)
    """
    digest = hashlib.sha256(view.tobytes())
    digest.update(np.packbits(evidence).tobytes())

    def make() -> tuple[NDArray[np.bool_]]:
        found = _grown(view, evidence)
        found.flags.writeable = False
        return (found,)

    return _RECENT((view.shape, digest.digest()), make)[0]


def _grown(view: NDArray[np.uint8], evidence: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return what :func:`object_mask` does, from GrabCut each time."""
    height, width = evidence.shape
    hull = np.zeros((height, width), np.uint8)
    rows, columns = np.nonzero(evidence)
    if not rows.size:
        return hull.astype(bool)
    cv2.fillConvexPoly(hull, cv2.convexHull(np.stack([columns, rows], axis=1).astype(np.int32)), 1)
    factor = max(min(height, width) / _GRABCUT_SIDE, 1)
    size = (max(round(width / factor), 1), max(round(height / factor), 1))
    small = cv2.resize(view, size, interpolation=cv2.INTER_AREA)
    seeds, probable = (cv2.resize(m.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) for m in (evidence, hull))
    state = np.where(probable > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    rim = np.ones(state.shape, bool)
    rim[_RIM:-_RIM, _RIM:-_RIM] = False
    state[rim & (probable == 0)] = cv2.GC_BGD
    state[seeds > 0] = cv2.GC_FGD
    is_object = np.isin(state, (cv2.GC_FGD, cv2.GC_PR_FGD))
    if is_object.all() or not is_object.any():  # GrabCut needs pixels of both kinds
        return hull.astype(bool)
    cv2.setRNGSeed(0)
    cv2.grabCut(small, state, None, np.zeros((1, 65)), np.zeros((1, 65)), _GRABCUT_STEPS, cv2.GC_INIT_WITH_MASK)
    found = np.isin(state, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    return np.asarray(cv2.resize(found, (width, height), interpolation=cv2.INTER_NEAREST) > 0)


def moved(values: NDArray[_T], random_state: np.random.Generator, *, mirrored: bool = False) -> NDArray[_T]:
    """Return a mask or map (H, W) moved to a random place, around the border where it leaves the image, and mirrored or not.

    Examples
    --------
    >>> moved(np.arange(6).reshape(2, 3), np.random.default_rng(0)).tolist()  # one row down, one column right
    [[5, 3, 4], [2, 0, 1]]
    """
    if mirrored:
        rows, columns = (slice(None, None, int(step)) for step in random_state.choice([1, -1], size=2))
        values = values[rows, columns]
    return np.roll(values, [int(random_state.integers(side)) for side in values.shape], axis=(0, 1))


def moved_copies(
    mask: NDArray[np.bool_],
    draws: int,
    random_state: np.random.Generator,
    within: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Return copies of a mask moved to random places of the image, off the mask itself, whole, mirrored or not.

    Places are drawn at random for the mask (H, W) and its three mirror images; those where the copy covers at most 5 % of the
    mask's own pixels are free (where there is none, those that cover least). Of the free ones, `within` (H, W) asks for those
    that lie most in it. What is as large as the image, as a frame is, can be moved nowhere: as many pixels next to it, or all
    others, take its place.

    Examples
    --------
    >>> mask = np.zeros((6, 9), bool)
    >>> mask[1:3, 1:4] = True
    >>> copies = moved_copies(mask, 4, np.random.default_rng(0))
    >>> copies.sum(axis=(1, 2)).tolist(), bool((copies & mask).any())
    ([6, 6, 6, 6], False)
    """
    copies = np.zeros((draws, *mask.shape), bool)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return copies
    shape = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = shape.shape
    shapes, corners, covers, inside = [], [], [], []
    for oriented in (shape, shape[::-1], shape[:, ::-1], shape[::-1, ::-1]):
        tops = random_state.integers(mask.shape[0] - height + 1, size=_PLACES)
        lefts = random_state.integers(mask.shape[1] - width + 1, size=_PLACES)
        corners += list(zip(tops.tolist(), lefts.tolist(), strict=True))
        shapes += [oriented] * _PLACES
        covers.append(_covered(mask, oriented, tops, lefts))
        inside.append(np.ones(_PLACES) if within is None else _covered(within, oriented, tops, lefts))
    cover, on_object = np.concatenate(covers), np.concatenate(inside)
    if cover.min() > _STUCK and not mask.all():
        away = distance_transform_edt(~mask)
        away[mask] = np.inf
        for copy in copies:
            order = np.argsort(away + random_state.random(away.shape), axis=None)
            copy.ravel()[order[: min(int(mask.sum()), int((~mask).sum()))]] = True
        return copies
    free = np.flatnonzero(cover <= max(_OVERLAP, float(cover.min())))
    good = free[on_object[free] >= _ON_OBJECT * on_object[free].max()]
    for copy, choice in zip(copies, random_state.choice(good, size=draws, replace=len(good) < draws), strict=True):
        top, left = corners[choice]
        copy[top : top + height, left : left + width] = shapes[choice]
    return copies


def _covered(
    area: NDArray[np.bool_], shape: NDArray[np.bool_], tops: NDArray[np.integer], lefts: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Share of a shape's pixels that lie in an area, for each place of its upper left corner."""
    windows = sliding_window_view(area, shape.shape)[tops, lefts]
    return np.asarray(windows[:, shape].mean(axis=1), dtype=np.float64)
