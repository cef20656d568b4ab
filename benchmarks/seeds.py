"""Seeds of drawn birds: who draws from which.

What networks learned from must not be in what they are measured on, and what one benchmark chose must not be in what another
reports. Whatever draws birds therefore has a range of its own, and a place in it for each class.

Examples
--------
>>> seeds("claims", 2, 3)
range(50002000, 50002003)
"""

from __future__ import annotations

from visual_summaries.birds.world import CLASSES

#: Seeds of all images by who draws them. What a background does (``parts/effects.py``) is measured with backgrounds of
#: other scenes, whose seeds are 5,000,000 further on: those have ranges, too.
SEEDS: dict[str, range] = {
    "training": range(5_000),
    "accuracy": range(10_000_000, 10_000_800),
    "effects": range(20_000_000, 20_001_000),
    "demo": range(30_000_000, 31_000_000),  # ten demos of up to 100,000 images
    "documentation of analyses": range(31_000_000, 31_001_000),
    "infill": range(40_000_000, 40_008_000),
    "claims": range(50_000_000, 50_008_000),
    "report": range(52_000_000, 52_008_000),
    "scale": range(53_000_000, 53_008_000),
    "inputs": range(54_000_000, 54_008_000),
    "parts": range(70_000_000, 70_080_000),
    "documentation of specialization": range(70_900_000, 71_000_000),
    "parts, other backgrounds": range(75_000_000, 75_080_000),
    "specialization": range(80_000_000, 80_080_000),
}


def seeds(name: str, class_index: int, count: int, start: int = 0) -> range:
    """Return `count` seeds of a class, from its `start`-th on.

    Raises
    ------
    ValueError
        If the class has not as many; give the range of that name more.
    """
    whole = SEEDS[name]
    own = whole[class_index * len(whole) // len(CLASSES) :][: len(whole) // len(CLASSES)]
    if start + count > len(own):
        raise ValueError(f"{name!r} has {len(own)} seeds a class, not {start + count}; make its range larger")
    return own[start : start + count]
