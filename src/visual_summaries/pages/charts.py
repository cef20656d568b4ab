"""The numbers of the charts on pages: lengths, places and colors; the macros of ``charts.html.j2`` draw them as SVG."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from visual_summaries.pages.words import counted, percent, score_text
from visual_summaries.results import JointEffects

if TYPE_CHECKING:
    from visual_summaries.compare import Count

#: One mark for each network: a path around the origin, filled with the color of the class.
MARKS = (
    "M-5 0A5 5 0 1 0 5 0A5 5 0 1 0 -5 0Z",
    "M-4.6 -4.6H4.6V4.6H-4.6Z",
    "M0 -5.8L5.4 4.4H-5.4Z",
    "M0 -6.4L6.4 0L0 6.4L-6.4 0Z",
    "M-2 -6H2V-2H6V2H2V6H-2V2H-6V-2H-2Z",
    "M0 5.8L5.4 -4.4H-5.4Z",
)


def bar_width(share: float) -> float:
    """Return the length of a bar out of 100; what cannot be drawn has none.

    Examples
    --------
    >>> bar_width(0.4567), bar_width(1.2), bar_width(-0.1), bar_width(float("nan"))
    (45.7, 100.0, 0.0, 0.0)
    """
    return round(100 * min(max(share, 0.0), 1.0), 1) if math.isfinite(share) else 0.0


def palette(count: int) -> list[str]:
    """Return colors for the summaries, neighbors far apart in hue.

    Examples
    --------
    >>> palette(2)[0]
    '#df731b'
    """
    golden = 0.381966  # turns of the hue by the golden angle never come close to an earlier one
    lights = (0.49, 0.62, 0.42)
    colors = []
    for index in range(count):
        rgb = colorsys.hls_to_rgb((0.0745 + index * golden) % 1.0, lights[(index // 7) % 3], 0.785)
        colors.append("#" + "".join(f"{round(channel * 255):02x}" for channel in rgb))
    return colors


def color_rules(count: int, start: int = 1) -> str:
    r"""Return the style rules that give the classes ``c1``, ``c2``, ... (from `start`) their colors of the palette.

    A script may give another color as ``--c1``.

    Examples
    --------
    >>> color_rules(1)
    '.c1{--c:var(--c1,#df731b)}\n'
    """
    return "".join(f".c{number}{{--c:var(--c{number},{color})}}\n" for number, color in enumerate(palette(count), start))


@dataclass(frozen=True)
class Plane:
    """The plane of a chart, in its own units.

    Attributes
    ----------
    width, height : int
        Size of the chart.
    left, right, top, bottom : int
        Its edges within the chart; the rims hold the labels.
    """

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int

    def x(self, share: float) -> float:
        """Return the place that is a share of the plane's width from its left edge."""
        return round(self.left + share * (self.right - self.left), 1)

    def y(self, share: float) -> float:
        """Return the place that is a share of the plane's height from its bottom edge."""
        return round(self.bottom - share * (self.bottom - self.top), 1)


_CURVES = Plane(320, 190, left=42, right=310, top=8, bottom=160)
_SCATTER = Plane(560, 340, left=46, right=538, top=14, bottom=294)


def curves(joint: JointEffects) -> list[dict[str, Any]]:
    """Return the curves of joint effects: one chart for hiding, one for showing.

    Returns
    -------
    list of dict
        ``title``, ``plane``, ``ordered`` and ``random`` (points of the lines), ``x_ticks`` and ``y_ticks`` (place, label), and
        ``areas``: the mean score by importance and in random order.

    Examples
    --------
    >>> curve = np.array([1.0, 0.0], np.float32)
    >>> joint = JointEffects((0,), curve, 1 - curve, curve[None], 1 - curve[None], (0.0, 1.0), (0,), (0,))
    >>> [chart["title"] for chart in curves(joint)], curves(joint)[0]["ordered"]
    (['Hidden one after the other', 'Shown one after the other'], '42.0,8.0 310.0,160.0')
    """
    highest = max(1.0, float(joint.insertion.max()), float(joint.deletion.max()))
    last = max(len(joint.deletion) - 1, 1)

    def points(curve: NDArray[np.floating]) -> str:
        heights = np.clip(curve, 0, highest) / highest
        return " ".join(f"{_CURVES.x(k / last)},{_CURVES.y(float(share))}" for k, share in enumerate(heights))

    return [
        {
            "title": title,
            "plane": _CURVES,
            "ordered": points(getattr(joint, kind)),
            "random": points(getattr(joint, f"random_{kind}").mean(axis=0)),
            "x_ticks": [(_CURVES.x(k / last), k) for k in range(last + 1) if last < 12 or k % 5 == 0],
            "y_ticks": [(_CURVES.y(value / highest), percent(value)) for value in (0.0, 0.5, 1.0)],
            "areas": [score_text(area) for area in joint.areas()[kind]],
        }
        for kind, title in (("deletion", "Hidden one after the other"), ("insertion", "Shown one after the other"))
    ]


def scatter(counts: Sequence[Count]) -> dict[str, Any]:
    """Return number of summaries against accuracy: marks, axes and legends.

    Returns
    -------
    dict
        ``plane``, ``points`` (x, y, mark, class number, title), ``x_ticks`` and ``y_ticks`` (place, label), ``classes``
        (number, name) and ``networks`` (name, mark), in the order of `counts`.

    Examples
    --------
    >>> from visual_summaries.compare import Count
    >>> plot = scatter([Count("a", "cat", 0.5, 20, 4, 4.0, 20), Count("b", "cat", 1.0, 20, 8, 8.0, 20)])
    >>> [(point["x"], point["y"]) for point in plot["points"]]
    [(128.0, 154.0), (538.0, 14.0)]
    """
    classes = {name: number for number, name in enumerate(_distinct(count.target for count in counts))}
    marks = {name: MARKS[k % len(MARKS)] for k, name in enumerate(_distinct(count.network for count in counts))}
    low = min(max(math.floor(10 * min(count.accuracy for count in counts) - 1e-9) / 10, 0.0), 0.9)
    top = max(4, 4 * math.ceil(max(count.summaries for count in counts) / 4))  # a number that four steps reach
    step = 0.1 if low >= 0.45 else 0.2
    ticks = [low + step * k for k in range(round((1 - low) / step) + 1) if low + step * k <= 1 + 1e-9]
    return {
        "plane": _SCATTER,
        "points": [
            {
                "x": _SCATTER.x((count.accuracy - low) / (1 - low)),
                "y": _SCATTER.y(count.summaries / top),
                "mark": marks[count.network],
                "class": classes[count.target],
                "title": f"{count.network}, {count.target}: {counted(count.summaries, 'summary', 'summaries')},"
                f" accuracy {percent(count.accuracy)}",
            }
            for count in counts
        ],
        "x_ticks": [(_SCATTER.x((tick - low) / (1 - low)), percent(tick)) for tick in ticks],
        "y_ticks": [(_SCATTER.y(number / top), number) for number in range(0, top + 1, top // 4)],
        "classes": [(number, name) for name, number in classes.items()],
        "networks": list(marks.items()),
    }


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
