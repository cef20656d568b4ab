"""Outlines of the parts and of the objects beside the bird, as closed polygons (n, 2) in frames of their own.

A part's frame has its origin where the part is attached; ``u`` runs along the part, ``v`` across it, both in bird lengths (the
distance from the tip of the tail to the tip of the beak). Where a part is attached is stated in :data:`FRAMES`. Objects are one
unit long. Points are written as in SVG, ``"u,v u,v ..."``.

Examples
--------
>>> [polygon.shape for polygon in OUTLINES["feet"]["toes"]]
[(13, 2), (13, 2)]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Polygon = NDArray[np.float64]
#: What is painted together.
Shape = tuple[Polygon, ...]


@dataclass(frozen=True)
class Frame:
    """Where a part is attached to the bird that faces right (x to the right, y down, in bird lengths).

    Attributes
    ----------
    origin : tuple of float
        The point of attachment; of parts of the head, from the head's center.
    angle : float
        Direction of ``u``, in degrees, clockwise from the right as the image shows it.
    on_head : bool
        Whether the part turns with the head.
    """

    origin: tuple[float, float]
    angle: float
    on_head: bool = False


#: The head turns about this point; the head's frame has its origin in the head's center.
NECK = (0.13, -0.10)
HEAD = (0.205, -0.195)

FRAMES = {
    "tail": Frame((-0.19, 0.05), 176.0),
    "feet": Frame((0.02, 0.135), 90.0),
    "belly": Frame((0.0, 0.0), -24.0),
    "head": Frame((0.0, 0.0), -10.0, on_head=True),
    "beak": Frame((0.115, 0.012), 6.0, on_head=True),
    "crest": Frame((-0.03, -0.11), -108.0, on_head=True),
    "eye": Frame((0.05, -0.03), 0.0, on_head=True),
    "wing": Frame((0.085, -0.055), 161.0),
}


def polygon(points: str) -> Polygon:
    """Return the points of a polygon.

    Examples
    --------
    >>> polygon("0,0 0.5,-1").tolist()
    [[0.0, 0.0], [0.5, -1.0]]
    """
    return np.array([point.split(",") for point in points.split()], float)


def curve(points: str, steps: int = 6) -> Polygon:
    """Return the closed Catmull-Rom curve through the points, `steps` segments between two of them."""
    p = polygon(points)
    before, after, beyond = np.roll(p, 1, 0), np.roll(p, -1, 0), np.roll(p, -2, 0)
    t = (np.arange(steps) / steps)[None, :, None]
    a, b, c, d = (q[:, None, :] for q in (before, p, after, beyond))
    between = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    closed: Polygon = between.reshape(-1, 2)
    return closed


def ellipse(cu: float, cv: float, ru: float, rv: float, egg: float = 0.0) -> Polygon:
    """Return an ellipse; `egg` > 0 makes the end at positive u narrower."""
    t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    return np.stack([cu + ru * np.cos(t), cv + rv * np.sin(t) * (1 - egg * np.cos(t))], axis=1)


def _shape(*polygons: Polygon) -> Shape:
    for points in polygons:
        points.setflags(write=False)
    return polygons


def _legs(points: str) -> Shape:
    """Return both legs; v of the feet's frame points to the left (tail), hence negative v is forward."""
    return _shape(*(polygon(points) + np.array((0.0, v)) for v in (0.065, -0.055)))


def _petals(count: int = 5) -> Shape:
    turns = np.arange(count) * 2 * np.pi / count
    return _shape(
        *(
            ellipse(0, 0, 0.2, 0.14) @ np.array([[np.cos(t), np.sin(t)], [-np.sin(t), np.cos(t)]])
            + (0.28 * np.cos(t), 0.28 * np.sin(t))
            for t in turns
        )
    )


#: Part, name of the outline, and its shape.
OUTLINES: Mapping[str, Mapping[str, Shape]] = {
    "beak": {
        "cone": _shape(curve("-0.04,-0.07 0.04,-0.07 0.13,-0.035 0.21,0.006 0.13,0.035 0.04,0.064 -0.04,0.07")),
        "hook": _shape(curve("-0.04,-0.075 0.05,-0.08 0.14,-0.055 0.185,0.005 0.175,0.075 0.14,0.045 0.05,0.06 -0.04,0.065")),
        "spoon": _shape(
            curve("-0.04,-0.055 0.06,-0.045 0.13,-0.06 0.2,-0.055 0.225,0 0.2,0.055 0.13,0.06 0.06,0.045 -0.04,0.055")
        ),
    },
    "eye": {
        "round": _shape(ellipse(0, 0, 0.042, 0.042)),
        "drowsy": _shape(curve("-0.045,-0.008 0,-0.016 0.045,-0.008 0.03,0.026 0,0.036 -0.03,0.026")),
    },
    "crest": {
        "plume": _shape(
            curve("-0.06,-0.08 0.05,-0.1 0.13,-0.115 0.2,-0.15 0.215,-0.08 0.19,0 0.12,0.055 0.03,0.08 -0.06,0.07")
        ),
        "spikes": _shape(
            polygon(
                "-0.05,-0.1 0.07,-0.135 0.17,-0.19 0.105,-0.09 0.225,-0.085 0.12,-0.03 0.235,0.015 0.105,0.035 0.175,0.105 "
                "0.05,0.09 -0.05,0.085"
            )
        ),
        "fan": _shape(curve("-0.06,-0.06 0.06,-0.12 0.16,-0.14 0.205,-0.075 0.215,0 0.2,0.075 0.15,0.125 0.05,0.1 -0.06,0.06")),
    },
    "head": {
        "round": _shape(ellipse(0, 0, 0.155, 0.15)),
        "tall": _shape(curve("-0.15,0.02 -0.12,-0.12 0,-0.165 0.12,-0.12 0.15,0.01 0.11,0.11 0,0.15 -0.12,0.13")),
    },
    "wing": {
        "drop": _shape(curve("-0.06,0 0,0.1 0.14,0.115 0.28,0.055 0.38,-0.02 0.27,-0.085 0.12,-0.115 0,-0.09")),
        "sickle": _shape(curve("-0.06,-0.01 0,0.1 0.14,0.13 0.28,0.09 0.4,0.03 0.3,-0.02 0.17,-0.09 0.02,-0.1")),
        "feathered": _shape(
            curve(
                "-0.06,0 0,0.1 0.15,0.12 0.29,0.075 0.395,0.035 0.315,0 0.36,-0.035 0.255,-0.04 0.27,-0.095 0.17,-0.08 "
                "0.15,-0.135 0.02,-0.1",
                steps=4,
            )
        ),
    },
    "belly": {
        "egg": _shape(ellipse(-0.01, 0.0, 0.275, 0.2, 0.14)),
        "slim": _shape(ellipse(-0.01, 0.0, 0.285, 0.185, 0.2)),
    },
    "tail": {
        "wedge": _shape(
            curve("-0.08,-0.06 0.1,-0.075 0.26,-0.11 0.325,-0.08 0.335,0 0.325,0.08 0.26,0.11 0.1,0.075 -0.08,0.06")
        ),
        "fork": _shape(
            curve(
                "-0.08,-0.06 0.12,-0.08 0.26,-0.12 0.36,-0.14 0.3,-0.05 0.23,0 0.3,0.05 0.36,0.14 0.26,0.12 0.12,0.08 "
                "-0.08,0.06"
            )
        ),
        "fan": _shape(
            curve(
                "-0.08,-0.05 0.08,-0.08 0.22,-0.15 0.28,-0.145 0.3,-0.09 0.33,-0.05 0.315,0 0.33,0.05 0.3,0.09 0.28,0.145 "
                "0.22,0.15 0.08,0.08 -0.08,0.05"
            )
        ),
    },
    "feet": {
        "toes": _legs(
            "-0.05,0.017 -0.05,-0.017 0.135,-0.014 0.148,-0.085 0.166,-0.1 0.176,-0.075 0.172,-0.03 0.2,-0.06 0.208,-0.035 "
            "0.182,0.012 0.192,0.045 0.176,0.056 0.15,0.016"
        ),
        "webbed": _legs(
            "-0.05,0.017 -0.05,-0.017 0.12,-0.016 0.175,-0.115 0.195,-0.118 0.19,-0.075 0.212,-0.045 0.2,-0.01 0.21,0.03 "
            "0.19,0.045 0.13,0.018"
        ),
        "boots": _legs(
            "-0.05,0.038 -0.05,-0.038 0,-0.04 0.08,-0.046 0.135,-0.045 0.15,-0.09 0.175,-0.105 0.195,-0.085 0.198,0.03 "
            "0.185,0.046 0.08,0.046 0,0.04"
        ),
    },
}

#: Kind of object and its layers, back to front.
THINGS: Mapping[str, tuple[Shape, ...]] = {
    "leaf": (_shape(curve("-0.5,0 -0.3,-0.17 0,-0.24 0.3,-0.15 0.52,0 0.3,0.15 0,0.24 -0.3,0.17")),),
    "stone": (_shape(curve("-0.5,0.05 -0.35,-0.28 0.05,-0.36 0.42,-0.2 0.5,0.1 0.2,0.32 -0.25,0.3")),),
    "berries": (
        _shape(ellipse(-0.22, 0.1, 0.22, 0.22)),
        _shape(ellipse(0.2, 0.18, 0.22, 0.22)),
        _shape(ellipse(0.02, -0.2, 0.24, 0.24)),
    ),
    "flower": (_petals(), _shape(ellipse(0, 0, 0.15, 0.15))),
    "twig": (
        _shape(
            curve("-1,0.03 -0.4,-0.03 0.1,0 1,-0.06 1,0 0.1,0.07 -0.4,0.05 -1,0.09"),
            curve("-0.05,0 0.22,-0.2 0.42,-0.26 0.44,-0.22 0.25,-0.15 0.05,0.03"),
        ),
    ),
    "egg": (_shape(ellipse(0, 0, 0.42, 0.3, 0.18)),),
    "mushroom": (
        _shape(curve("-0.13,0 0.13,0 0.13,0.25 0.2,0.48 0,0.52 -0.2,0.48 -0.13,0.25")),
        _shape(curve("-0.5,0.02 -0.44,-0.24 -0.22,-0.44 0,-0.5 0.22,-0.44 0.44,-0.24 0.5,0.02 0.25,0.09 0,0.11 -0.25,0.09")),
    ),
}
