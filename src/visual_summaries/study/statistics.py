"""Shares with exact intervals, the sign test, and p-values corrected for their number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import binomtest, fisher_exact

LEVEL = 0.95


@dataclass(frozen=True)
class Rate:
    """A share of answers, with what is to be expected by chance.

    Attributes
    ----------
    hits, count : int
    low, high : float
        Exact (Clopper-Pearson) 95 % interval of the share.
    p : float or None
        Exact binomial test; None where no chance level was given.
    """

    hits: int
    count: int
    low: float
    high: float
    p: float | None

    @property
    def share(self) -> float:
        """The share; NaN of no answers."""
        return self.hits / self.count if self.count else float("nan")

    def to_dict(self) -> dict[str, float | int | None]:
        """Return plain values for JSON, None for what is not known."""
        known = self.count > 0
        return {
            "hits": self.hits,
            "count": self.count,
            "share": round(self.share, 6) if known else None,
            "low": round(self.low, 6) if known else None,
            "high": round(self.high, 6) if known else None,
            "p": self.p,
        }


def rate(hits: int, count: int, chance: float | None = None, alternative: str = "greater") -> Rate:
    """Return a share with its exact interval and, given a chance level, the exact test against it.

    Parameters
    ----------
    hits, count : int
    chance : float, optional
    alternative : str
        ``"greater"``: is it above chance? ``"two-sided"``: does it differ?

    Examples
    --------
    >>> found = rate(8, 10, chance=0.5, alternative="two-sided")
    >>> round(found.low, 4), round(found.high, 4), round(found.p, 4)
    (0.4439, 0.9748, 0.1094)
    """
    if count == 0:
        return Rate(0, 0, float("nan"), float("nan"), None)
    interval = binomtest(hits, count).proportion_ci(LEVEL, method="exact")
    p = None if chance is None else float(binomtest(hits, count, chance, alternative=alternative).pvalue)
    return Rate(hits, count, float(interval.low), float(interval.high), p)


def sign_test(first: int, second: int) -> Rate:
    """Return the share of the first among those who had a preference; two-sided sign test against one half.

    Examples
    --------
    >>> round(sign_test(9, 1).p, 4)
    0.0215
    """
    return rate(first, first + second, 0.5, "two-sided")


def differ(a: Rate, b: Rate) -> float | None:
    """Return the p-value of Fisher's exact test that two shares are the same; None where one has no answers.

    Examples
    --------
    >>> round(differ(rate(8, 10), rate(1, 6)), 4)
    0.035
    """
    if not (a.count and b.count):
        return None
    return float(fisher_exact([[a.hits, a.count - a.hits], [b.hits, b.count - b.hits]]).pvalue)


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
