"""What the randomization check found, in words."""

from __future__ import annotations

import numpy as np

from visual_summaries.pages.words import percent
from visual_summaries.results import RandomizationCheck


def check_sentence(found: RandomizationCheck) -> str:
    """Return what is left with shuffled weights, and what follows from it.

    Examples
    --------
    >>> half = np.array([0.5, 0.5])
    >>> print(check_sentence(RandomizationCheck((0, 1), half / 5, half / 10, np.array([0.2]), 3)).replace(chr(160), " "))
    With shuffled weights, 10 % of the evidence is found again (5 % by chance), and 20 % of the summaries: they depend on what
    the network has learned.
    """
    known = found.summaries[np.isfinite(found.summaries)]
    left = f", and {percent(known.mean())} of the summaries" if known.size else "; no summary is in these images"
    verdict = "they depend" if found.passed else "THEY DO NOT DEPEND"
    again, moved = percent(float(found.masks.mean())), percent(float(found.moved.mean()))
    return (
        f"With shuffled weights, {again} of the evidence is found again ({moved} by chance){left}: {verdict} on what the"
        " network has learned."
    )
