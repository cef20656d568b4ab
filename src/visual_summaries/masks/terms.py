"""The objective of a mask: under each infill, that its evidence destroys the class, that it suffices, or both.

Examples
--------
>>> terms_of(MaskSettings(infill="blur+mean"))
(Term(infill=0, shown=False), Term(infill=1, shown=False))
>>> terms_of(MaskSettings(infill="blur", mode="both"))
(Term(infill=0, shown=False), Term(infill=0, shown=True))
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from visual_summaries.settings.masks import MaskSettings, infills_of

#: Sides of each mode: whether the evidence is hidden (False) or all else is (True).
_SIDES = {"deletion": (False,), "preservation": (True,), "both": (False, True)}


@dataclass(frozen=True)
class Term:
    """One network pass of a mask."""

    infill: int  # which of the settings'
    shown: bool  # False: the evidence is hidden, and the score shall be low. True: all else is, and it shall be high


def terms_of(settings: MaskSettings) -> tuple[Term, ...]:
    """Return all terms of a mask."""
    return tuple(Term(infill, shown) for infill in range(len(infills_of(settings.infill))) for shown in _SIDES[settings.mode])


def draw_terms(terms: Tensor, steps: int, seed: int) -> Tensor:
    """Return which of the `terms` (T,) is used at each step (steps,): all in turn, each round in an order of its own.

    Examples
    --------
    >>> draws = draw_terms(torch.tensor([0, 2, 3]), 6, seed=0).tolist()
    >>> sorted(draws[:3]), sorted(draws[3:])
    ([0, 2, 3], [0, 2, 3])
    """
    generator = torch.Generator().manual_seed(seed)
    rounds = [torch.randperm(len(terms), generator=generator) for _ in range(-(-steps // len(terms)))]
    return terms[torch.cat(rounds)[:steps]]
