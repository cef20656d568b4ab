"""Textures of the parts: functions of a part's own coordinates, anti-aliased for the pixel size.

A texture gives, for every pixel, how much of the accent color there is (0 = the base color, 1 = the accent color). ``u`` and
``v`` are in bird lengths, and so is ``pixel``, the size of a pixel: edges of the pattern are blended over about one pixel.

Examples
--------
>>> import numpy as np
>>> u = np.array([[0.25, 0.75]], np.float32)
>>> texture("bars", u, np.zeros_like(u), period=1.0, pixel=0.01, offset=(0.0, 0.0)).tolist()
[[1.0, 0.0]]
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import cv2
import numpy as np

from visual_summaries._validate import require_choice
from visual_summaries.birds.canvas import Plane

_TAU = np.float32(2 * np.pi)


@cache
def _noise() -> Plane:
    """Return a fixed tileable (256, 256) smooth noise in [0, 1]: three octaves, made once."""
    rng = np.random.default_rng(7)
    total = np.zeros((256, 256), np.float32)
    for cells, weight in ((8, 1.0), (16, 0.6), (32, 0.35)):
        grid = rng.random((cells, cells), dtype=np.float32)
        padded = np.pad(grid, 2, mode="wrap")
        step = 256 // cells
        smooth = cv2.resize(padded, None, fx=step, fy=step, interpolation=cv2.INTER_CUBIC)
        total += weight * smooth[2 * step : -2 * step, 2 * step : -2 * step]
    low, high = total.min(), total.max()
    result: Plane = (total - low) / (high - low)
    result.setflags(write=False)
    return result


@cache
def _grain() -> Plane:
    """Return a fixed (256, 256, 3) tile of standard normal values."""
    tile = np.random.default_rng(8).standard_normal((256, 256, 3), dtype=np.float32)
    tile.setflags(write=False)
    return tile


def grain(size: tuple[int, int], offset: tuple[float, float]) -> Plane:
    """Return standard normal noise (H, W, 3) from a fixed tile (drawing it again is slow); `offset` says where it starts."""
    rows = (np.arange(size[0]) + int(offset[0] * 256)) % 256
    columns = (np.arange(size[1]) + int(offset[1] * 256)) % 256
    return _grain()[rows[:, None], columns]


def noise(u: Plane, v: Plane, scale: float, offset: tuple[float, float]) -> Plane:
    """Return smooth noise in [0, 1] at the coordinates; `scale` is the size of its tile in the coordinates' unit."""
    factor = np.float32(256 / scale)
    x = u * factor + np.float32(offset[0] * 256)
    y = v * factor + np.float32(offset[1] * 256)
    result: Plane = cv2.remap(_noise(), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return result


def _edge(wave: Plane, period: float, pixel: float) -> Plane:
    """Turn a wave in [-1, 1] into stripes whose edges are about a pixel wide."""
    sharpness = np.float32(max(period / (2 * np.pi * 1.3 * pixel), 0.4))
    edges: Plane = np.clip(0.5 + sharpness * wave, 0, 1)
    return edges


def _sine(x: Plane, period: float) -> Plane:
    wave: Plane = np.sin(_TAU / period * x)
    return wave


def _zigzag(u: Plane, v: Plane, period: float) -> Plane:
    """Return a wave along the part whose phase goes up and down across it."""
    width = np.float32(1.6 * period)
    return _sine(0.8 * (u + np.abs(v - width * np.round(v / width))), period)


def _crossed(u: Plane, v: Plane, period: float) -> Plane:
    lines: Plane = np.maximum(np.cos(_TAU / period * (u + v)), np.cos(_TAU / period * (u - v)))
    return 1.4 * (lines - 0.62)


def _cells(u: Plane, v: Plane, period: float) -> tuple[Plane, Plane]:
    """Return the offset of each point from the nearest point of a hexagonal lattice of that spacing."""
    height = np.float32(period * 0.866)
    row: Plane = np.round(v / height)
    dv: Plane = v - row * height
    shifted = u + (row % 2) * np.float32(period / 2)
    du: Plane = (shifted - np.round(shifted / np.float32(period)) * np.float32(period)).astype(np.float32, copy=False)
    return du, dv


def disc(distance: Plane, radius: float, edge: float) -> Plane:
    """Return the coverage by a disc at distances from its middle; its rim is blended over `edge`."""
    covered: Plane = np.clip(0.5 + (np.float32(radius) - distance) / np.float32(edge), 0, 1)
    return covered


def _distance(du: Plane, dv: Plane) -> Plane:
    distance: Plane = np.sqrt(du * du + dv * dv)  # hypot rounds otherwise
    return distance


def _spots(u: Plane, v: Plane, period: float, edge: float) -> Plane:
    return disc(_distance(*_cells(u, v, period)), 0.36 * period, edge)


def _eyespots(u: Plane, v: Plane, period: float, edge: float) -> Plane:
    distance = _distance(*_cells(u, v, period))
    return disc(np.abs(distance - np.float32(0.31 * period)), 0.1 * period, edge) + disc(distance, 0.1 * period, edge)


def _scales(u: Plane, v: Plane, period: float, edge: float) -> Plane:
    row = np.floor(u / np.float32(period * 0.6))
    du = u - row * np.float32(period * 0.6)
    shifted = v + (row % 2) * np.float32(period / 2)
    dv = shifted - np.round(shifted / np.float32(period)) * np.float32(period)
    return disc(np.abs(_distance(du, dv) - np.float32(0.5 * period)), 0.13 * period, edge)


# waves in [-1, 1], by u, v and period
_WAVES: dict[str, Callable[[Plane, Plane, float], Plane]] = {
    "bars": lambda u, v, period: _sine(u, period),
    "stripes": lambda u, v, period: _sine(v, period),
    "chevrons": _zigzag,
    "rings": lambda u, v, period: _sine(_distance(u, v), period),
    "checks": lambda u, v, period: 1.6 * _sine(u, period) * _sine(v, period),
    "lattice": _crossed,
}

_DISCS = {"spots": _spots, "eyespots": _eyespots, "scales": _scales}
_SMOOTH = ("plain", "gradient", "mottled", "tipped")


def texture(
    name: str, u: Plane, v: Plane, period: float, pixel: float, offset: tuple[float, float], length: float = 1.0
) -> Plane:
    """Return the share of the accent color at each point (h, w), in [0, 1]; all lengths are in bird lengths.

    A pattern's elements have the spacing `period`, which ``plain``, ``gradient``, ``mottled`` and ``tipped`` do not use.
    `offset`, in [0, 1], is where the noise of ``mottled`` starts; ``gradient`` and ``tipped`` go by `length`, the largest u.
    """
    if name in _WAVES:
        return _edge(_WAVES[name](u, v, period), period, pixel)
    if name in _DISCS:
        return _DISCS[name](u, v, period, 1.3 * pixel)
    require_choice("texture", name, (*_WAVES, *_DISCS, *_SMOOTH))
    if name == "mottled":
        share = 2.2 * noise(u, v, 0.5, offset) - 0.6
    elif name == "gradient":
        share = u * np.float32(1.1 / length)
    elif name == "tipped":
        share = (u - np.float32(0.5 * length)) / np.float32(0.2 * length)
    else:
        share = np.full_like(u, 0.12)
    result: Plane = np.clip(share, 0, 1)
    return result
