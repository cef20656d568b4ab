"""Outlines of the parts, as closed polygons in each part's own frame.

A part's frame has its origin where the part is attached; ``u`` runs along the part, ``v`` across it, both in bird lengths (the
distance from the tip of the tail to the tip of the beak). Where a part is attached is said in :data:`FRAMES`.

Examples
--------
>>> [polygon.shape for polygon in outline("feet", "toes")]
[(..., 2), (..., 2)]
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Polygon = NDArray[np.float64]


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


def smooth(points: list[tuple[float, float]], steps: int = 6) -> Polygon:
    """Return the closed Catmull-Rom curve through the points, `steps` segments between two of them."""
    p = np.asarray(points, float)
    before, after, beyond = np.roll(p, 1, 0), np.roll(p, -1, 0), np.roll(p, -2, 0)
    t = (np.arange(steps) / steps)[None, :, None]
    a, b, c, d = (q[:, None, :] for q in (before, p, after, beyond))
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    closed: Polygon = curve.reshape(-1, 2)
    return closed


def ellipse(cu: float, cv: float, ru: float, rv: float, egg: float = 0.0) -> Polygon:
    """Return an ellipse; `egg` > 0 makes the end at positive u narrower."""
    t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    return np.stack([cu + ru * np.cos(t), cv + rv * np.sin(t) * (1 - egg * np.cos(t))], axis=1)


def _mirrored(half: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Close a half outline (v <= 0, base to tip) with its mirror image."""
    return half + [(u, -v) for u, v in reversed(half) if v != 0]


def _leg(v: float, foot: list[tuple[float, float]], width: float = 0.017) -> Polygon:
    """Return a leg at `v`, its foot given from the ankle's front round to its back."""
    return np.asarray([(-0.05, v + width), (-0.05, v - width), *[(u, v + dv) for u, dv in foot]], float)


# v of the feet's frame points to the left (tail), hence negative v is forward
_TOES = [
    (0.135, -0.014),
    (0.148, -0.085),
    (0.166, -0.1),
    (0.176, -0.075),
    (0.172, -0.03),
    (0.2, -0.06),
    (0.208, -0.035),
    (0.182, 0.012),
    (0.192, 0.045),
    (0.176, 0.056),
    (0.15, 0.016),
]
_WEB = [
    (0.12, -0.016),
    (0.175, -0.115),
    (0.195, -0.118),
    (0.19, -0.075),
    (0.212, -0.045),
    (0.2, -0.01),
    (0.21, 0.03),
    (0.19, 0.045),
    (0.13, 0.018),
]
_BOOT = [
    (0.0, -0.04),
    (0.08, -0.046),
    (0.135, -0.045),
    (0.15, -0.09),
    (0.175, -0.105),
    (0.195, -0.085),
    (0.198, 0.03),
    (0.185, 0.046),
    (0.08, 0.046),
    (0.0, 0.04),
]

_OUTLINES: dict[str, dict[str, Callable[[], list[Polygon]]]] = {
    "beak": {
        "cone": lambda: [
            smooth([(-0.04, -0.07), (0.04, -0.07), (0.13, -0.035), (0.21, 0.006), (0.13, 0.035), (0.04, 0.064), (-0.04, 0.07)])
        ],
        "hook": lambda: [
            smooth(
                [
                    (-0.04, -0.075),
                    (0.05, -0.08),
                    (0.14, -0.055),
                    (0.185, 0.005),
                    (0.175, 0.075),
                    (0.14, 0.045),
                    (0.05, 0.06),
                    (-0.04, 0.065),
                ]
            )
        ],
        "spoon": lambda: [
            smooth(
                [
                    (-0.04, -0.055),
                    (0.06, -0.045),
                    (0.13, -0.06),
                    (0.2, -0.055),
                    (0.225, 0.0),
                    (0.2, 0.055),
                    (0.13, 0.06),
                    (0.06, 0.045),
                    (-0.04, 0.055),
                ]
            )
        ],
    },
    "eye": {
        "round": lambda: [ellipse(0, 0, 0.042, 0.042)],
        "drowsy": lambda: [smooth([(-0.045, -0.008), (0, -0.016), (0.045, -0.008), (0.03, 0.026), (0, 0.036), (-0.03, 0.026)])],
    },
    "crest": {
        "plume": lambda: [
            smooth(
                [
                    (-0.06, -0.08),
                    (0.05, -0.1),
                    (0.13, -0.115),
                    (0.2, -0.15),
                    (0.215, -0.08),
                    (0.19, 0.0),
                    (0.12, 0.055),
                    (0.03, 0.08),
                    (-0.06, 0.07),
                ]
            )
        ],
        "spikes": lambda: [
            np.asarray(
                [
                    (-0.05, -0.1),
                    (0.07, -0.135),
                    (0.17, -0.19),
                    (0.105, -0.09),
                    (0.225, -0.085),
                    (0.12, -0.03),
                    (0.235, 0.015),
                    (0.105, 0.035),
                    (0.175, 0.105),
                    (0.05, 0.09),
                    (-0.05, 0.085),
                ]
            )
        ],
        "fan": lambda: [
            smooth(
                [
                    (-0.06, -0.06),
                    (0.06, -0.12),
                    (0.16, -0.14),
                    (0.205, -0.075),
                    (0.215, 0.0),
                    (0.2, 0.075),
                    (0.15, 0.125),
                    (0.05, 0.1),
                    (-0.06, 0.06),
                ]
            )
        ],
    },
    "head": {
        "round": lambda: [ellipse(0, 0, 0.155, 0.15)],
        "tall": lambda: [
            smooth(
                [
                    (-0.15, 0.02),
                    (-0.12, -0.12),
                    (0.0, -0.165),
                    (0.12, -0.12),
                    (0.15, 0.01),
                    (0.11, 0.11),
                    (0.0, 0.15),
                    (-0.12, 0.13),
                ]
            )
        ],
    },
    "wing": {
        "drop": lambda: [
            smooth(
                [
                    (-0.06, 0.0),
                    (0.0, 0.1),
                    (0.14, 0.115),
                    (0.28, 0.055),
                    (0.38, -0.02),
                    (0.27, -0.085),
                    (0.12, -0.115),
                    (0.0, -0.09),
                ]
            )
        ],
        "sickle": lambda: [
            smooth(
                [(-0.06, -0.01), (0.0, 0.1), (0.14, 0.13), (0.28, 0.09), (0.4, 0.03), (0.3, -0.02), (0.17, -0.09), (0.02, -0.1)]
            )
        ],
        "feathered": lambda: [
            smooth(
                [
                    (-0.06, 0.0),
                    (0.0, 0.1),
                    (0.15, 0.12),
                    (0.29, 0.075),
                    (0.395, 0.035),
                    (0.315, 0.0),
                    (0.36, -0.035),
                    (0.255, -0.04),
                    (0.27, -0.095),
                    (0.17, -0.08),
                    (0.15, -0.135),
                    (0.02, -0.1),
                ],
                4,
            )
        ],
    },
    "belly": {
        "egg": lambda: [ellipse(-0.01, 0.0, 0.275, 0.2, 0.14)],
        "slim": lambda: [ellipse(-0.01, 0.0, 0.285, 0.185, 0.2)],
    },
    "tail": {
        "wedge": lambda: [smooth(_mirrored([(-0.08, -0.06), (0.1, -0.075), (0.26, -0.11), (0.325, -0.08), (0.335, 0.0)]))],
        "fork": lambda: [
            np.concatenate(
                [
                    smooth(
                        [
                            (-0.08, -0.06),
                            (0.12, -0.08),
                            (0.26, -0.12),
                            (0.36, -0.14),
                            (0.3, -0.05),
                            (0.23, 0.0),
                            (0.3, 0.05),
                            (0.36, 0.14),
                            (0.26, 0.12),
                            (0.12, 0.08),
                            (-0.08, 0.06),
                        ]
                    )
                ]
            )
        ],
        "fan": lambda: [
            smooth(
                _mirrored(
                    [(-0.08, -0.05), (0.08, -0.08), (0.22, -0.15), (0.28, -0.145), (0.3, -0.09), (0.33, -0.05), (0.315, 0.0)]
                )
            )
        ],
    },
    "feet": {
        "toes": lambda: [_leg(0.065, _TOES), _leg(-0.055, _TOES)],
        "webbed": lambda: [_leg(0.065, _WEB), _leg(-0.055, _WEB)],
        "boots": lambda: [_leg(0.065, _BOOT, 0.038), _leg(-0.055, _BOOT, 0.038)],
    },
}


@cache
def outline(part: str, name: str) -> tuple[Polygon, ...]:
    """Return the polygons, each (n, 2) in the part's frame, of an outline; they must not be written to."""
    polygons = tuple(_OUTLINES[part][name]())
    for polygon in polygons:
        polygon.setflags(write=False)
    return polygons
