"""Number of summaries against accuracy as a scatter plot: places and labels, for inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from visual_summaries.compare.counting import Count

#: Size of the plot, and the rims left, right, above and below for its labels, in its own units.
WIDTH, HEIGHT = 560, 340
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 14, 46

#: One mark for each network: a path around the origin, filled with the colour of the class.
MARKS = (
    "M-5 0A5 5 0 1 0 5 0A5 5 0 1 0 -5 0Z",
    "M-4.6 -4.6H4.6V4.6H-4.6Z",
    "M0 -5.8L5.4 4.4H-5.4Z",
    "M0 -6.4L6.4 0L0 6.4L-6.4 0Z",
    "M-2 -6H2V-2H6V2H2V6H-2V2H-6V-2H-2Z",
    "M0 5.8L5.4 -4.4H-5.4Z",
)


def scatter(counts: Sequence[Count]) -> dict[str, Any]:
    """Return the plot's marks, axes and legends.

    Parameters
    ----------
    counts : sequence of Count

    Returns
    -------
    dict
        ``size``, ``frame``, ``points`` (x, y, mark, class number, title), ``x_ticks`` and ``y_ticks`` (place, label),
        ``classes`` (number, name) and ``networks`` (name, mark), in the order of `counts`.

    Examples
    --------
    >>> plot = scatter([Count("a", "cat", 0.5, 20, 4, 4.0, 20), Count("b", "cat", 1.0, 20, 8, 8.0, 20)])
    >>> [(point["x"], point["y"]) for point in plot["points"]]
    [(129.3, 154.0), (546.0, 14.0)]
    """
    classes = list(dict.fromkeys(count.target for count in counts))
    networks = list(dict.fromkeys(count.network for count in counts))
    lowest = math.floor(10 * min(count.accuracy for count in counts) - 1e-9) / 10
    low = max(0.0, min(lowest, 0.9))
    top = _round_up(max(count.summaries for count in counts))

    def x(accuracy: float) -> float:
        return round(LEFT + (accuracy - low) / (1 - low) * (WIDTH - LEFT - RIGHT), 1)

    def y(number: float) -> float:
        return round(HEIGHT - BOTTOM - number / top * (HEIGHT - TOP - BOTTOM), 1)

    step = 0.1 if low >= 0.45 else 0.2
    ticks = [low + step * i for i in range(round((1 - low) / step) + 1) if low + step * i <= 1 + 1e-9]
    return {
        "size": (WIDTH, HEIGHT),
        "frame": (LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM),
        "points": [
            {
                "x": x(count.accuracy),
                "y": y(count.summaries),
                "mark": MARKS[networks.index(count.network) % len(MARKS)],
                "class": classes.index(count.target),
                "title": f"{count.network}, {count.target}: {count.summaries} summaries, accuracy {count.accuracy:.0%}",
            }
            for count in counts
        ],
        "x_ticks": [(x(tick), f"{tick:.0%}") for tick in ticks],
        "y_ticks": [(y(number), number) for number in range(0, top + 1, max(1, top // 4))],
        "classes": list(enumerate(classes)),
        "networks": [(name, MARKS[index % len(MARKS)]) for index, name in enumerate(networks)],
    }


def _round_up(number: int) -> int:
    """Return the next number that four steps reach.

    Examples
    --------
    >>> _round_up(0), _round_up(8), _round_up(9)
    (4, 8, 12)
    """
    return max(4, 4 * math.ceil(number / 4))
