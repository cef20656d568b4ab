"""Statistics of answers: shares with exact intervals and tests, p-values corrected for their number, agreement of people.

Krippendorff's alpha is for nominal answers, with missing ones allowed. Source: K. Krippendorff, "Computing Krippendorff's
Alpha-Reliability", 2011. The packages that offer it are under a license that does not go with this one's, or unkept; the
formula is short, and tested against the worked examples of that paper.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import binom, binomtest, fisher_exact

from visual_summaries._statistics import percentile_interval, resamples

_DRAWS = 2000
#: The most answers that are tried for a power.
_MOST = 5000


def rate(hits: int, count: int, chance: float | None = None, alternative: str = "greater") -> dict[str, Any]:
    """Return a share, its exact 95 % interval (Clopper-Pearson) and, given a chance level, the exact binomial test against it.

    What is not known is None, as in JSON; `alternative` is ``"greater"`` or ``"two-sided"``.

    Examples
    --------
    >>> found = rate(8, 10, chance=0.5, alternative="two-sided")
    >>> found["low"], found["high"], round(found["p"], 4)
    (0.443905, 0.974789, 0.1094)
    """
    if count == 0:
        return {"hits": 0, "count": 0, "share": None, "low": None, "high": None, "p": None}
    interval = binomtest(hits, count).proportion_ci(0.95, method="exact")
    p = None if chance is None else float(binomtest(hits, count, chance, alternative=alternative).pvalue)
    shares = {"share": hits / count, "low": float(interval.low), "high": float(interval.high)}
    return {"hits": hits, "count": count, **{name: round(value, 6) for name, value in shares.items()}, "p": p}


def sign_test(first: int, second: int) -> dict[str, Any]:
    """Return the share of the first among those who had a preference; two-sided sign test against one half."""
    return rate(first, first + second, 0.5, "two-sided")


def answers_needed(
    share: float, chance: float, *, power: float = 0.8, level: float = 0.05, alternative: str = "greater"
) -> int | None:
    """Return how many answers the exact binomial test against chance needs to find a share with a given power.

    That many and any larger number have the power: an exact test's goes up and down with the count.

    Parameters
    ----------
    share : float
        The true share of right answers (or of preferences for one side).
    chance : float
        The share by guessing.
    power : float
        Wanted probability that p is at most `level`.
    level : float
    alternative : str
        ``"greater"`` or ``"two-sided"``; two-sided is meant for a chance of one half, where it is twice the smaller tail.

    Returns
    -------
    int or None
        None when even 5000 answers are too few.

    Examples
    --------
    >>> answers_needed(0.5, 0.2), answers_needed(0.75, 0.5, alternative="two-sided")
    (19, 35)
    >>> answers_needed(1.0, 0.2), answers_needed(0.2, 0.2)
    (2, None)
    """
    counts = np.arange(1, _MOST + 1)
    tail = level / 2 if alternative == "two-sided" else level
    # The least hits that are significant: one more than those whose upper tail is still larger than the level.
    least = binom.isf(tail, counts, chance).astype(int) + 1
    powers = binom.sf(least - 1, counts, share)
    if alternative == "two-sided":
        powers += binom.cdf(counts - (binom.isf(tail, counts, 1 - chance).astype(int) + 1), counts, share)
    short = np.flatnonzero(powers < power)
    enough = int(short[-1]) + 2 if len(short) else 1
    return enough if enough <= _MOST else None


def differ(a: Mapping[str, Any], b: Mapping[str, Any]) -> float | None:
    """Return the p-value of Fisher's exact test that two shares are the same; None where one has no answers.

    Examples
    --------
    >>> round(differ(rate(8, 10), rate(1, 6)), 4)
    0.035
    """
    if not (a["count"] and b["count"]):
        return None
    return float(fisher_exact([[one["hits"], one["count"] - one["hits"]] for one in (a, b)]).pvalue)


def holm(values: Sequence[float | None]) -> list[float | None]:
    """Return p-values corrected for their number (Holm, 1979); None stays.

    Examples
    --------
    >>> holm([0.01, 0.04, None, 0.03])
    [0.03, 0.06, None, 0.06]
    """
    known = sorted((value, position) for position, value in enumerate(values) if value is not None)
    result: list[float | None] = [None] * len(values)
    highest = 0.0
    for rank, (value, position) in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - rank) * value))
        result[position] = highest
    return result


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
    return _alpha([Counter(unit) for unit in units if len(unit) > 1])


def agreement(units: Sequence[Sequence[Hashable]], random_state: int = 0) -> dict[str, Any]:
    """Return alpha with its 95 % interval by resampling the units (percentile bootstrap; None with fewer than three of them).

    Examples
    --------
    >>> agreement([["a", "a"], ["b", "b"], ["a", "a"], ["b", "b"]])
    {'alpha': 1.0, 'low': 1.0, 'high': 1.0, 'units': 4}
    """
    counts = [Counter(unit) for unit in units if len(unit) > 1]
    low = high = float("nan")
    if len(counts) > 2:
        drawn = resamples(len(counts), _DRAWS, random_state)
        low, high = percentile_interval(np.array([_alpha([counts[i] for i in own]) for own in drawn]))
    known = {name: known_or_none(value) for name, value in {"alpha": _alpha(counts), "low": low, "high": high}.items()}
    return {**known, "units": len(units)}


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


def known_or_none(value: float) -> float | None:
    """Return a number as JSON holds it, None for NaN."""
    return None if np.isnan(value) else round(value, 6)


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
