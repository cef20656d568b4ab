"""Random draws that depend on nothing but their seed and their data, and intervals by resampling."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray


def seeded(random_state: int, *arrays: NDArray[np.generic]) -> np.random.Generator:
    """Return a generator that depends on a seed and on arrays, and on nothing else (not on what was drawn before).

    Examples
    --------
    >>> a, b = np.zeros((2, 3), np.uint8), np.ones((2, 3), np.uint8)
    >>> draws = [int(seeded(0, array).integers(10**9)) for array in (a, a, b)]
    >>> draws[0] == draws[1], draws[0] == draws[2]
    (True, False)
    """
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return np.random.default_rng([random_state, int.from_bytes(digest.digest()[:8], "big")])


def resamples(count: int, draws: int, random_state: int = 0) -> NDArray[np.intp]:
    """Return the indices (draws, count) of bootstrap samples: `count` items, drawn with replacement (Efron 1979)."""
    return np.random.default_rng(random_state).integers(count, size=(draws, count))


def percentile_interval(values: NDArray[np.float64], tails: tuple[float, float] = (0.025, 0.975)) -> tuple[float, float]:
    """Return quantiles of what a figure is in the resamples; NaNs do not count, and NaNs come out where all are.

    Examples
    --------
    >>> low, high = percentile_interval(np.arange(100.0)[resamples(100, draws=1000)].mean(axis=1))
    >>> 40 < low < 49.5 < high < 60
    True
    """
    known = values[~np.isnan(values)]
    low, high = np.quantile(known, tails) if len(known) else (np.nan, np.nan)
    return float(low), float(high)
