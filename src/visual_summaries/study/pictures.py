"""The pictures that people see, and the practice and checks of attention, which show other birds than the study.

Of each region all pixels of its part are in color, within a thin line, in its whole image, which is gray and dark. Runs of all
presets are drawn alike, so that a picture does not tell which method it is of.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from visual_summaries.birds.render import render
from visual_summaries.birds.scene import sample_scene
from visual_summaries.birds.world import CLASSES, PARTS
from visual_summaries.pages.rendering import part_pixels, render_part
from visual_summaries.pages.shell import data_uri
from visual_summaries.results import Run
from visual_summaries.study.tasks import StudySettings

#: Pixels of a picture's longer side; those of a row of a comparison are smaller.
SIDE, SMALL_SIDE = 300, 168
#: Mean gray level that surroundings are darkened to, and the least and most that remains of their brightness: people have to
#: see where a part is in a dark photograph, too. Without the line around it, a dark part would not stand out.
SURROUNDINGS, DARKEST, BRIGHTEST = 46, 0.25, 0.6
LINE = (255, 255, 255)
#: A part of a drawn bird with fewer pixels is hidden by something else.
SMALLEST = 50

#: A practice picture: the part of the bird (None: any) and the seed of the bird.
Drawn = tuple[str | None, int]

_WORDS = ("river", "window", "garden", "pencil", "winter", "bridge")


def region_picture(run: Run, region: int, side: int = SIDE) -> str:
    """Return a region of a run as a data URI."""
    return data_uri(draw(run.images[run.regions[region].image].view, part_pixels(run, region), side))


@cache
def practice_picture(part: str | None, seed: int, side: int = SIDE) -> str:
    """Return a part (with None one that the seed chooses) of the first bird from `seed` on that shows it, as a data URI."""
    part = part or PARTS[seed % len(PARTS)]
    for attempt in range(seed, seed + 20):
        drawn = render(sample_scene(attempt % len(CLASSES), seed=attempt, size=(160, 160)))
        evidence = drawn.part(part)
        if evidence.sum() >= SMALLEST:
            return data_uri(draw(drawn.image, evidence, side))
    raise ValueError(f"no bird from seed {seed} on shows its {part}")


def draw(view: NDArray[np.uint8], part: NDArray[np.bool_], side: int) -> NDArray[np.uint8]:
    """Draw a part (H, W) of an image, and nothing else that a method found there, as a square of `side`, padded with black."""
    dark = float(np.clip(SURROUNDINGS / max(view.mean(), 1), DARKEST, BRIGHTEST))
    picture = render_part(view, part, part, scale=max(1, math.ceil(side / max(part.shape))), dark=dark)
    factor = side / max(picture.shape[:2])
    size = (round(picture.shape[1] * factor), round(picture.shape[0] * factor))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    inside = cv2.resize(part.astype(np.float32), size, interpolation=cv2.INTER_LINEAR) > 0.5
    lines, _ = cv2.findContours(inside.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(small, lines, -1, LINE, 1, cv2.LINE_AA)
    square = np.zeros((side, side, 3), np.uint8)
    top, left = (side - size[1]) // 2, (side - size[0]) // 2
    square[top : top + size[1], left : left + size[0]] = small
    return square


def practice_items(kind: str, settings: StudySettings) -> list[dict[str, Any]]:
    """Return the practice of one kind of task: what is shown, in a fixed order, and the feedback.

    ``pictures`` (or ``sides`` of rows for a preference) hold :data:`Drawn` pictures; ``answer`` is a position in them, or the
    answer itself; None where there is no wrong one.
    """
    if kind == "intruder":
        wings, tails = _birds("wing", 100, settings.members), _birds("tail", 140, settings.members)
        return [
            {
                "pictures": [*wings[:1], ("eye", 310), *wings[1:]],
                "answer": 1,
                "explanation": "All the others show a wing. The patterns differ, the part is the same.",
            },
            {
                "pictures": [*tails[:2], ("crest", 350), *tails[2:]],
                "answer": 2,
                "explanation": "All the others show a tail, the odd one shows the crest on a head.",
            },
        ]
    if kind == "name":
        return [
            {
                "pictures": _birds("feet", 180, settings.named),
                "answer": "text",
                "explanation": "“Feet” is a good answer, so is “legs”. One or two plain words are enough.",
            },
            {
                "pictures": _mixed(220, settings.named),
                "answer": "nothing",
                "explanation": "These are different parts: “Nothing in common” is the right answer here.",
            },
        ]
    return [
        {
            "class": "bird",
            "sides": [
                [_birds(part, 400 + 20 * row, settings.row_members) for row, part in enumerate(("wing", "crest"))],
                [_mixed(500 + 9 * row, settings.row_members) for row in range(2)],
            ],
            "answer": 0,
            "explanation": "On one side each row shows one part, wings and crests; on the other side the rows are mixed up "
            "and explain less. In the tasks that count there is no right or wrong: your opinion is asked.",
        }
    ]


def check_items(kind: str, settings: StudySettings, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Return the attention checks of one kind: pictures as in :func:`practice_items`, the instruction, and the answer."""
    if not settings.checks:
        return []
    if kind == "intruder":
        position = int(rng.integers(settings.members + 1)) + 1
        return [
            {
                "pictures": _mixed(600, settings.members + 1),
                "instruction": f"A check that you are reading: please choose picture {position} here.",
                "position": position,
            }
        ]
    if kind == "name":
        word = str(rng.choice(_WORDS))
        return [
            {
                "pictures": _mixed(640, settings.named),
                "instruction": f"A check that you are reading: please write the word “{word}” here.",
                "text": word,
            }
        ]
    return []


def _birds(part: str, seed: int, count: int) -> list[Drawn]:
    return [(part, seed + 5 * i) for i in range(count)]


def _mixed(seed: int, count: int) -> list[Drawn]:
    parts = ("tail", "eye", "wing", "feet", "crest", "beak")
    return [(parts[i % len(parts)], seed + i) for i in range(count)]
