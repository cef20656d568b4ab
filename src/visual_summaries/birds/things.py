"""Objects beside the bird: leaves, stones, berries, flowers, twigs, eggs, and the mushroom of the planted shortcut."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from visual_summaries.birds.canvas import Canvas, placement
from visual_summaries.birds.outlines import Polygon, ellipse, smooth
from visual_summaries.birds.scene import Thing
from visual_summaries.birds.textures import noise, texture


@cache
def _shapes(kind: str) -> tuple[tuple[Polygon, ...], ...]:
    """Return the layers of an object, back to front, each of one or more polygons; an object is one unit long."""
    layers: list[list[Polygon]]
    if kind == "leaf":
        layers = [
            [smooth([(-0.5, 0), (-0.3, -0.17), (0, -0.24), (0.3, -0.15), (0.52, 0), (0.3, 0.15), (0, 0.24), (-0.3, 0.17)])]
        ]
    elif kind == "stone":
        layers = [[smooth([(-0.5, 0.05), (-0.35, -0.28), (0.05, -0.36), (0.42, -0.2), (0.5, 0.1), (0.2, 0.32), (-0.25, 0.3)])]]
    elif kind == "berries":
        layers = [[ellipse(-0.22, 0.1, 0.22, 0.22)], [ellipse(0.2, 0.18, 0.22, 0.22)], [ellipse(0.02, -0.2, 0.24, 0.24)]]
    elif kind == "flower":
        petals = [
            ellipse(0, 0, 0.2, 0.14) @ np.array([[np.cos(t), np.sin(t)], [-np.sin(t), np.cos(t)]])
            + (0.28 * np.cos(t), 0.28 * np.sin(t))
            for t in np.arange(5) * 2 * np.pi / 5
        ]
        layers = [petals, [ellipse(0, 0, 0.15, 0.15)]]
    elif kind == "twig":
        layers = [
            [
                smooth(
                    [(-1.0, 0.03), (-0.4, -0.03), (0.1, 0.0), (1.0, -0.06), (1.0, 0.0), (0.1, 0.07), (-0.4, 0.05), (-1.0, 0.09)]
                ),
                smooth([(-0.05, 0.0), (0.22, -0.2), (0.42, -0.26), (0.44, -0.22), (0.25, -0.15), (0.05, 0.03)]),
            ]
        ]
    elif kind == "egg":
        layers = [[ellipse(0, 0, 0.42, 0.3, 0.18)]]
    else:
        cap = smooth(
            [
                (-0.5, 0.02),
                (-0.44, -0.24),
                (-0.22, -0.44),
                (0.0, -0.5),
                (0.22, -0.44),
                (0.44, -0.24),
                (0.5, 0.02),
                (0.25, 0.09),
                (0.0, 0.11),
                (-0.25, 0.09),
            ]
        )
        stem = smooth([(-0.13, 0.0), (0.13, 0.0), (0.13, 0.25), (0.2, 0.48), (0.0, 0.52), (-0.2, 0.48), (-0.13, 0.25)])
        layers = [[stem], [cap]]
    return tuple(tuple(layer) for layer in layers)


def draw_thing(canvas: Canvas, thing: Thing, label: int) -> None:
    """Paint an object on the canvas.

    Parameters
    ----------
    canvas : Canvas
    thing : Thing
    label : int
        Its value in the label map.
    """
    height, width = canvas.labels.shape
    scale = thing.size * min(height, width)
    matrix = placement(thing.x * width, thing.y * height, scale, thing.angle, False)
    base, accent = np.asarray(thing.base, np.float32), np.asarray(thing.accent, np.float32)
    for number, layer in enumerate(_shapes(thing.kind)):
        patch = canvas.patch(layer, matrix, line=max(0.7, 0.02 * scale))
        if patch is None:
            continue
        share = _share(thing.kind, number, patch.u, patch.v, 1 / scale)[..., None]
        color = (base + share * (accent - base)) * (0.88 + 0.24 * noise(patch.u, patch.v, 1.5, (thing.x, thing.y)))[..., None]
        canvas.paint(patch, color, label=label, line_color=0.4 * base, relief=0.1 * scale)


def _share(kind: str, layer: int, u: NDArray[np.float32], v: NDArray[np.float32], pixel: float) -> NDArray[np.float32]:
    """Return the share of the accent color of a layer of an object."""
    if kind == "leaf":
        veins = (
            np.maximum(1 - np.abs(v) / 0.03, 0)
            + np.maximum(1 - np.abs(((u + 1.0 - 0.9 * np.abs(v)) % 0.2) - 0.1) / 0.025, 0) * 0.5
        )
        drawn: NDArray[np.float32] = np.clip(0.6 * veins, 0, 1)
        return drawn
    if kind == "flower":
        return np.full_like(u, float(layer))
    if kind == "egg":
        return 0.7 * texture("spots", u, v, 0.2, pixel, (0.0, 0.0))
    if kind == "mushroom":
        return np.ones_like(u) if layer == 0 else texture("spots", u + np.float32(0.1), v, 0.26, pixel, (0.0, 0.0))
    speckles: NDArray[np.float32] = np.clip(noise(u, v, 2.0, (0.3, 0.7)) - 0.4, 0, 1)
    return speckles
