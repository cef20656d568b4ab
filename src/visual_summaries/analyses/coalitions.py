"""Hiding several summaries of one image together, and what each adds: Shapley values.

A set of summaries is an integer whose bit i stands for summary i of the image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from math import factorial

import numpy as np
from numpy.typing import NDArray

#: Scores of an image with the pixels of each mask ``bool (M, H, W)`` hidden.
Scorer = Callable[[NDArray[np.bool_]], NDArray[np.float32]]


class HiddenSets:
    """Scores of one image with sets of its K summaries hidden, each asked of the network once.

    `parts` has the pixels (K, H, W) of each summary; `score_before` is the score of the empty set, where it is known.
    """

    def __init__(self, score: Scorer, parts: NDArray[np.bool_], score_before: float | None = None) -> None:
        self._score = score
        self._parts = parts
        self.values: dict[int, float] = {} if score_before is None else {0: score_before}

    @property
    def count(self) -> int:
        """Number of summaries."""
        return len(self._parts)

    def pixels(self, members: int) -> NDArray[np.bool_]:
        """Return the pixels (H, W) of a set of summaries."""
        chosen = [index for index in range(self.count) if members >> index & 1]
        return np.asarray(self._parts[chosen].any(axis=0))

    def ask(self, sets: Iterable[int], beside: Sequence[NDArray[np.bool_]] = ()) -> NDArray[np.float32]:
        """Have the network answer for sets that it was not asked about, and return the scores of masks beside, in one batch."""
        missing = [members for members in dict.fromkeys(sets) if members not in self.values]
        if not missing and not len(beside):
            return np.empty(0, np.float32)
        scores = self._score(np.stack([*(self.pixels(members) for members in missing), *beside]))
        self.values.update(zip(missing, scores[: len(missing)].tolist(), strict=True))
        return scores[len(missing) :]


def random_orders(count: int, passes: int, random_state: np.random.Generator) -> list[tuple[int, ...]]:
    """Return orders in which `count` summaries can be hidden, each followed by its reverse, that cost at most `passes` sets.

    The first order is returned whatever it costs, its reverse if there is room for it.

    Examples
    --------
    >>> orders = random_orders(5, 32, np.random.default_rng(0))
    >>> len(orders) % 2, orders[1] == orders[0][::-1], len({s for order in orders for s in prefixes(order)}) <= 32
    (0, True, True)
    >>> len(random_orders(12, 16, np.random.default_rng(0)))
    1
    """
    orders: list[tuple[int, ...]] = []
    seen: set[int] = set()
    while True:
        order = tuple(random_state.permutation(count).tolist())
        for one in (order, order[::-1]):
            seen |= set(prefixes(one))
            if orders and (len(seen) > passes or len(orders) >= passes):
                return orders
            orders.append(one)


def prefixes(order: Sequence[int]) -> list[int]:
    """Return the sets that hiding one summary after the other passes through, the empty one first.

    Examples
    --------
    >>> prefixes((2, 0, 1))
    [0, 4, 5, 7]
    """
    sets = [0]
    for index in order:
        sets.append(sets[-1] | 1 << index)
    return sets


def sets_of(count: int, orders: Sequence[Sequence[int]], passes: int) -> list[int]:
    """Return the sets that :func:`shapley` asks about: all where there are at most `passes`, else those of the orders.

    Examples
    --------
    >>> sets_of(2, [(0, 1)], 4), sets_of(2, [(0, 1)], 3)
    ([0, 1, 2, 3], [0, 1, 3])
    """
    if 2**count <= passes:
        return list(range(2**count))
    return list(dict.fromkeys(members for order in orders for members in prefixes(order)))


def shapley(hidden: HiddenSets, orders: Sequence[Sequence[int]], passes: int) -> NDArray[np.float64]:
    """Return the loss of score that hiding each summary adds: its Shapley value (K,).

    Exact, over all sets, where there are at most `passes` of them; else the mean over `orders`. Either infill the values sum to
    the loss when all are hidden.

    Examples
    --------
    >>> parts = np.eye(2, dtype=bool)[:, None, :]
    >>> def score(masks: NDArray[np.bool_]) -> NDArray[np.float32]:  # falls when both are hidden
    ...     return 1 - masks.all(axis=(1, 2)).astype(np.float32)
    >>> shapley(HiddenSets(score, parts, 1.0), [(0, 1), (1, 0)], 4).tolist()
    [0.5, 0.5]
    """
    count = hidden.count
    values = np.zeros(count)
    hidden.ask(sets_of(count, orders, passes))
    if 2**count <= passes:
        for members in range(2**count):
            size = members.bit_count()
            for index in range(count):
                if not members >> index & 1:
                    weight = factorial(size) * factorial(count - size - 1) / factorial(count)
                    values[index] += weight * (hidden.values[members] - hidden.values[members | 1 << index])
        return values
    for order in orders:
        for index, (before, after) in zip(order, pairwise(prefixes(order)), strict=True):
            values[index] += (hidden.values[before] - hidden.values[after]) / len(orders)
    return values
