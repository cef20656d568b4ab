"""How far people agree: Krippendorff's alpha for nominal answers, with missing ones allowed.

Source: K. Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011. The packages that offer it are under a license
that does not go with this one's, or unkept; the formula is short, and tested against the worked examples of that paper.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np

_DRAWS = 2000
#: Level of the intervals.
LEVEL = 0.95


def krippendorff_alpha(units: Sequence[Sequence[Hashable]]) -> float:
    """Return Krippendorff's alpha for nominal values.

    Parameters
    ----------
    units : sequence of sequences
        For each thing that was judged, the answers it got, in any order; those who did not answer are left out.

    Returns
    -------
    float
        1: all agree; 0: as by chance; below: less. NaN where no unit has two answers, or all answers are the same (then
        agreement by chance is complete as well, and alpha is not defined).

    Examples
    --------
    >>> meg, owen = "0100000010", "1110010000"
    >>> round(krippendorff_alpha(list(zip(meg, owen))), 3)
    0.095
    """
    counts = [Counter(unit) for unit in units if len(unit) > 1]
    return _alpha(counts)


def alpha_interval(units: Sequence[Sequence[Hashable]], random_state: int = 0) -> tuple[float, float]:
    """Return the 95 % interval of alpha by resampling the units (percentile bootstrap); NaN with fewer than three of them.

    Examples
    --------
    >>> alpha_interval([["a", "a"], ["b", "b"], ["a", "a"], ["b", "b"]])
    (1.0, 1.0)
    """
    counts = [Counter(unit) for unit in units if len(unit) > 1]
    if len(counts) < 3:
        return (float("nan"), float("nan"))
    rng = np.random.default_rng(random_state)
    draws = [_alpha([counts[i] for i in rng.integers(len(counts), size=len(counts))]) for _ in range(_DRAWS)]
    known = [draw for draw in draws if not np.isnan(draw)]
    if not known:
        return (float("nan"), float("nan"))
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return (float(low), float(high))


def pairwise_agreement(answers: Sequence[Hashable]) -> float:
    """Return the share of pairs of answers that are the same; NaN with fewer than two.

    Examples
    --------
    >>> pairwise_agreement(["wing", "wing", "tail"])
    0.3333333333333333
    """
    count = len(answers)
    if count < 2:
        return float("nan")
    return sum(n * (n - 1) for n in Counter(answers).values()) / (count * (count - 1))


def _alpha(counts: Sequence[Counter[Hashable]]) -> float:
    totals: Counter[Hashable] = Counter()
    disagreements = 0.0
    for unit in counts:
        size = unit.total()
        totals.update(unit)
        disagreements += (size * size - sum(n * n for n in unit.values())) / (size - 1)
    answers = totals.total()
    expected = answers * answers - sum(n * n for n in totals.values())
    if expected == 0:
        return float("nan")
    return 1 - (answers - 1) * disagreements / expected
