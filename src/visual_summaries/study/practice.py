"""Practice, and the checks of attention: birds that the package draws, so that nothing of the study is seen before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from visual_summaries.study.settings import StudySettings

#: A practice picture: the part of the bird (None: any) and the seed of the bird.
Drawn = tuple[str | None, int]

_WORDS = ("river", "window", "garden", "pencil", "winter", "bridge")


def practice_items(kind: str, settings: StudySettings) -> list[dict[str, Any]]:
    """Return the practice of one kind of task: what is shown, in a fixed order, and the feedback.

    ``pictures`` (or ``sides`` of rows for a preference) hold :data:`Drawn` pictures; ``answer`` is a position in them, or the
    answer itself; None where there is no wrong one.
    """
    if kind == "intruder":
        return [
            {
                "pictures": _with(_birds("wing", 100, settings.members), 1, ("eye", 310)),
                "answer": 1,
                "explanation": "All the others show a wing. The patterns differ, the part is the same.",
            },
            {
                "pictures": _with(_birds("tail", 140, settings.members), 2, ("crest", 350)),
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
                "pictures": [(part, 220 + i) for i, part in zip(range(settings.named), _mixed(settings.named), strict=True)],
                "answer": "nothing",
                "explanation": "These are different parts: “Nothing in common” is the right answer here.",
            },
        ]
    return [
        {
            "class": "bird",
            "sides": [
                [_birds(part, 400 + 20 * row, settings.row_members) for row, part in enumerate(("wing", "crest"))],
                [[(part, 500 + 9 * row + i) for i, part in enumerate(_mixed(settings.row_members))] for row in range(2)],
            ],
            "answer": 0,
            "explanation": "On one side each row shows one part, wings and crests; on the other side the rows are mixed up. "
            "Most people choose the first. In the tasks that count there is no right or wrong: your opinion is asked.",
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
                "pictures": [(part, 600 + i) for i, part in enumerate(_mixed(settings.members + 1))],
                "instruction": f"A check that you are reading: please choose picture {position} here.",
                "position": position,
            }
        ]
    if kind == "name":
        word = str(rng.choice(_WORDS))
        return [
            {
                "pictures": [(part, 640 + i) for i, part in enumerate(_mixed(settings.named))],
                "instruction": f"A check that you are reading: please write the word “{word}” here.",
                "text": word,
            }
        ]
    return []


def _birds(part: str, seed: int, count: int) -> list[Drawn]:
    return [(part, seed + 5 * i) for i in range(count)]


def _mixed(count: int) -> list[str]:
    parts = ("tail", "eye", "wing", "feet", "crest", "beak")
    return [parts[i % len(parts)] for i in range(count)]


def _with(pictures: Sequence[Drawn], place: int, other: Drawn) -> list[Drawn]:
    return [*pictures[:place], other, *pictures[place:]]
