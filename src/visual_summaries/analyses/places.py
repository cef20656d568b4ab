"""Where a summary lies in its images: on the object, beside it, at one place of the picture, along the border, or all over."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from visual_summaries._statistics import percentile_interval, resamples
from visual_summaries.results.shortcuts import PLACES, Place

OBJECT, BESIDE, FIXED, BORDER, EVERYWHERE = PLACES

_SIDE = 56  # cells along the shorter side of the copies that places are compared on
_BLOCKS = 5  # a view is cut into so many blocks along each side, to tell how far a summary is spread
_DRAWS = 200  # of moved summaries, and of resampled images
_ALPHA = 0.01  # a summary is fixed if so few of its moved copies lie as much on themselves from image to image ...
_COMMON = 0.75  # ... and so many images have it at one place
_RIM = 0.1  # of the shorter side: what is along the border
_AT_BORDER = 0.5  # share of a summary's pixels along the border that makes it one of the border ...
_AROUND = 0.6  # ... if it is spread over so much of the border
_SPREAD = 0.6  # share of the blocks that a summary touches that makes it one of everywhere
_ON_OBJECT = 0.5  # share of its pixels on the object that makes it one of the object
_ONLY_OBJECT = 0.8  # the same for one that touches most blocks: the object fills the view
_TINY = 1e-6


def measure_place(
    masks: Sequence[NDArray[np.bool_]],
    objects: Sequence[NDArray[np.bool_] | None],
    images: Sequence[int] | None = None,
    origins: Sequence[int] | None = None,
    *,
    known: str = "estimated",
    random_state: int = 0,
) -> Place:
    """Return where a summary lies.

    Parameters
    ----------
    masks : sequence of ndarray of bool, (H, W)
        Its pixels in each image that has it, none of them empty.
    objects : sequence of ndarray of bool, (H, W), or None
        The object in the same images; None where it is not known.
    images : sequence of int, optional
        Indices of these images; 0, 1, ... unless given.
    origins : sequence of int, optional
        The image that each counts with (near copies are drawn together); itself unless given.
    known : str
        How the object is known; see :class:`~visual_summaries.results.shortcuts.Place`.
    random_state : int

    Returns
    -------
    Place

    Raises
    ------
    ValueError
        If there is no image, or a mask has no pixel.

    Examples
    --------
    A logo in the corner while the object moves:

    >>> objects, logo = np.zeros((12, 60, 60), bool), np.zeros((60, 60), bool)
    >>> for k, one in enumerate(objects):
    ...     one[5 + 2 * k : 30 + 2 * k, 30 - 2 * k : 55 - 2 * k] = True
    >>> logo[4:12, 46:56] = True
    >>> place = measure_place([logo] * 12, list(objects))
    >>> place.kind, place.sure, place.common
    ('fixed place', 1.0, 1.0)
    """
    if not masks or not all(mask.any() for mask in masks):
        raise ValueError("a summary lies nowhere: give its pixels in at least one image, and leave out images that have none")
    on_object = np.array([np.nan if o is None else o[m].mean() for m, o in zip(masks, objects, strict=True)], np.float32)
    small = np.stack([_shrunk(mask) for mask in masks])
    common = float(small.mean(axis=0).max())
    p_fixed = _p_fixed(small, _centers(masks, objects, small.shape[1:]), random_state)
    rims = np.array([_profile(mask) for mask in masks])
    at_border = np.array([mask[_rim(mask.shape)].mean() * _rim(mask.shape).sum() / mask.sum() for mask in masks], np.float32)
    spread = np.array([_blocks(mask) for mask in masks])
    keys = np.arange(len(masks)) if origins is None else np.asarray(origins)
    groups = [np.flatnonzero(keys == key) for key in np.unique(keys)]
    draws = [np.concatenate([groups[k] for k in row]) for row in resamples(len(groups), _DRAWS, random_state)]

    def kind(rows: NDArray[np.intp]) -> str:
        on = on_object[rows]
        return _kind(
            float(np.nanmean(on)) if np.isfinite(on).any() else float("nan"),
            float(at_border[rows].mean()),
            _evenness(rims[rows].mean(axis=0)),
            float(spread[rows].mean()),
            float(small[rows].mean(axis=0).max()),
            p_fixed,
        )

    found = kind(np.arange(len(masks)))
    known_on = [on_object[rows][np.isfinite(on_object[rows])] for rows in draws]
    means = np.array([values.mean() if values.size else np.nan for values in known_on], np.float64)
    return Place(
        kind=found,
        sure=float(np.mean([kind(rows) == found for rows in draws])),
        images=np.asarray(range(len(masks)) if images is None else images, np.int64),
        on_object=on_object,
        at_border=at_border,
        area=np.array([mask.mean() for mask in masks], np.float32),
        common=common,
        p_fixed=p_fixed,
        interval=percentile_interval(means),
        object=known,
    )


def _kind(on_object: float, at_border: float, around: float, spread: float, common: float, p_fixed: float) -> str:
    if at_border >= _AT_BORDER and around >= _AROUND:
        return BORDER
    if p_fixed <= _ALPHA and common >= _COMMON:
        return FIXED
    if spread >= _SPREAD and not on_object >= _ONLY_OBJECT:
        return EVERYWHERE
    return OBJECT if on_object >= _ON_OBJECT else BESIDE


def _shrunk(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return a mask on a grid of about 56 cells along the shorter side: share of each cell."""
    factor = max(min(mask.shape) / _SIDE, 1)
    size = (round(mask.shape[1] / factor), round(mask.shape[0] / factor))
    return np.asarray(cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA), np.float32)


def _centers(
    masks: Sequence[NDArray[np.bool_]], objects: Sequence[NDArray[np.bool_] | None], grid: tuple[int, ...]
) -> NDArray[np.float64]:
    """Middle of the object beyond the summary in each image, in cells of the grid (M, 2); NaN where there is none."""
    found = np.full((len(masks), 2), np.nan)
    for row, mask, one in zip(found, masks, objects, strict=True):
        if one is not None and (rest := one & ~mask).any():
            row[:] = np.argwhere(rest).mean(axis=0) * np.divide(grid, mask.shape)
    return found


def _p_fixed(small: NDArray[np.float32], centers: NDArray[np.float64], random_state: int) -> float:
    """Return how often the summary lies as much on itself if it is moved as the object moves from image to image.

    What is a part of the object keeps its place relative to it, so that moving it as the object moves changes little; what
    is fixed no longer lies on itself. A move ends at the border of the view, as the object's would.
    """
    known = np.flatnonzero(np.isfinite(centers[:, 0]))
    if len(known) < 2:
        return 1.0
    rng = np.random.default_rng(random_state)
    rows, columns = (np.stack([_ends(one.any(axis=axis)) for one in small]) for axis in (1, 0))
    found, as_much = _overlap(small.mean(axis=0)), 0
    height, width = small.shape[1], small.shape[2]
    for _ in range(_DRAWS):
        other = rng.choice(known, size=len(small))
        shift = np.nan_to_num(np.rint(centers[other] - centers)).astype(int)
        total = np.zeros((height, width))
        for one, (y, x), (top, bottom), (left, right) in zip(small, shift, rows, columns, strict=True):
            y, x = max(-top, min(y, height - bottom)), max(-left, min(x, width - right))
            total[top + y : bottom + y, left + x : right + x] += one[top:bottom, left:right]
        as_much += _overlap(total / len(small)) >= found - _TINY
    return (1 + as_much) / (1 + _DRAWS)


def _overlap(mean: NDArray[np.floating]) -> float:
    """Return in which share of images a pixel of the summary is one of it, from that share at each place."""
    return float((mean**2).sum() / mean.sum())


def _ends(line: NDArray[np.bool_]) -> tuple[int, int]:
    """First position that is True, and the one behind the last."""
    places = np.flatnonzero(line)
    return int(places[0]), int(places[-1]) + 1


def _rim(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return what is along the border of a view (H, W)."""
    width = max(round(_RIM * min(shape)), 1)
    rim = np.ones(shape, bool)
    rim[width:-width, width:-width] = False
    return rim


def _profile(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Share of the depth along the border that a mask covers, around the view: 14 stretches of each side."""
    width = max(round(_RIM * min(mask.shape)), 1)
    sides = (mask[:width].mean(axis=0), mask[-width:].mean(axis=0), mask[:, :width].mean(axis=1), mask[:, -width:].mean(axis=1))
    return np.concatenate([[part.mean() for part in np.array_split(side, _SIDE // 4)] for side in sides])


def _evenness(profile: NDArray[np.float64]) -> float:
    """Over how much of the border a profile is spread, in [0, 1]: 1 if it is the same everywhere."""
    return float(profile.sum() ** 2 / max(len(profile) * (profile**2).sum(), 1e-12))


def _blocks(mask: NDArray[np.bool_]) -> float:
    """Share of the blocks of a view that a mask covers at least half as densely as the whole."""
    share = cv2.resize(mask.astype(np.float32), (_BLOCKS, _BLOCKS), interpolation=cv2.INTER_AREA)
    return float((share >= mask.mean() / 2).mean())
