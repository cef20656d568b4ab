"""What the randomization check found, in words."""

from __future__ import annotations

import numpy as np

from visual_summaries.results import RandomizationCheck


def check_sentence(found: RandomizationCheck) -> str:
    """Return what is left with shuffled weights, and what follows from it.

    Examples
    --------
    >>> half = np.array([0.5, 0.5])
    >>> check_sentence(RandomizationCheck((0, 1), half / 5, half / 10, np.array([0.2]), 3))  # doctest: +NORMALIZE_WHITESPACE
    'With shuffled weights, 10 % of the evidence is found again (5 % by chance), and 20 % of the summaries: they depend on what
    the network has learned.'
    """
    known = found.summaries[np.isfinite(found.summaries)]
    left = f", and {known.mean():.0%} of the summaries" if known.size else "; no summary is in these images"
    verdict = "they depend" if found.passed else "THEY DO NOT DEPEND"
    text = (
        f"With shuffled weights, {found.masks.mean():.0%} of the evidence is found again ({found.moved.mean():.0%} by chance)"
        f"{left}: {verdict} on what the network has learned."
    )
    return text.replace("%", " %")
