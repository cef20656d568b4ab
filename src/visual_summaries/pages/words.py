"""Figures as text: shares, scores, counts and lists, the same on all pages."""

from __future__ import annotations

import math
from collections.abc import Sequence

from visual_summaries.analyses.verdict import CHANCE
from visual_summaries.results import Run, Summary

#: What stands for a figure that is not known.
UNKNOWN = "–"
#: What ``RunInfo.source`` says of images that came from no folder.
_CONTAINERS = {"", "list", "tuple", "dict", "generator", "ndarray", "Tensor"}


def text(value: object) -> str:
    r"""Return any value as text that UTF-8 can hold: file names may have bytes that are no characters.

    Examples
    --------
    >>> text("a\udcff.jpg")
    'a?.jpg'
    """
    return str(value).encode("utf-8", "replace").decode("utf-8")


def score_text(value: float) -> str:
    """Return a score in two decimals; small ones are not rounded to nothing.

    Examples
    --------
    >>> score_text(0.934), score_text(0.0004), score_text(0.0), score_text(0.9995), score_text(float("nan")), score_text(17.254)
    ('0.93', 'under 0.01', '0.00', 'over 0.99', '–', '17.25')
    """
    if not math.isfinite(value):
        return UNKNOWN
    if 0 < value < 0.005:
        return "under 0.01"
    return "over 0.99" if 0.995 <= value < 1 else f"{value:.2f}"


def percent(value: float) -> str:
    """Return a share as a percentage, with a real minus and a space that does not break.

    Examples
    --------
    >>> [percent(value).replace(chr(160), " ") for value in (0.431, -0.02, -0.002, float("nan"))]
    ['43 %', '−2 %', '0 %', '–']
    """
    if not math.isfinite(value):
        return UNKNOWN
    # Rounding first and adding 0 turns the -0 of a tiny negative share into 0.
    return f"{round(value, 2) + 0.0:.0%}".replace("-", "−").replace("%", "\u00a0%")


def changed(loss: float) -> str:
    """Return what a loss does to a score, with its sign.

    Examples
    --------
    >>> [changed(value).replace(chr(160), " ") for value in (0.03, -0.07, 0.001)]
    ['−3 %', '+7 %', '0 %']
    """
    shown = percent(-loss)
    return shown if shown.startswith(("−", "0\u00a0", UNKNOWN)) else f"+{shown}"


def decimal(value: float, digits: int = 2) -> str:
    """Return a number with a real minus.

    Examples
    --------
    >>> decimal(-0.126), decimal(-0.001), decimal(float("nan"))
    ('−0.13', '0.00', '–')
    """
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−") if math.isfinite(value) else UNKNOWN


def span(low: float, high: float) -> str:
    """Return both ends of an interval of shares.

    Examples
    --------
    >>> span(-0.1, 0.05).replace(chr(160), " ")
    '−10 to 5 %'
    """
    return f"{percent(low).removesuffix(chr(160) + '%')} to {percent(high)}"


def listed(items: Sequence[object], last: str = "and") -> str:
    """Return items as people list them.

    Examples
    --------
    >>> listed(["a"]), listed([1, 2, 3]), listed(["a", "b"], "or")
    ('a', '1, 2 and 3', 'a or b')
    """
    *most, final = map(str, items)
    return f"{', '.join(most)} {last} {final}" if most else final


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Return a number and its noun.

    Examples
    --------
    >>> counted(1, "image"), counted(2, "image"), counted(0, "summary", "summaries")
    ('1 image', '2 images', '0 summaries')
    """
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def chance_caution(p_value: float) -> str:
    """Return what every page and the terminal say where chance explains the summaries; empty where it does not.

    Examples
    --------
    >>> chance_caution(0.14), chance_caution(0.05)
    ('Caution: these summaries could be chance (p = 0.14, above 0.05).', '')
    """
    return f"Caution: these summaries could be chance (p = {p_value:.2f}, above {CHANCE})." if p_value > CHANCE else ""


def is_named(run: Run) -> bool:
    """Tell whether the class has a name: a network whose classes have none calls them by their numbers."""
    return run.info.target.name != str(run.info.target.index)


def class_name(run: Run) -> str:
    """Return what a page calls the class: its name; where it has none, that of the folder of images, or its number."""
    if is_named(run):
        return text(run.info.target.name)
    folder = folder_name(run)
    return " ".join(text(folder).replace("_", " ").split()) if folder else f"class {run.info.target.index}"


def folder_name(run: Run) -> str:
    """Return the name of the folder of images; empty where they came from none."""
    return "" if run.info.source in _CONTAINERS else run.info.source


def covered_images(run: Run, summary: Summary) -> int:
    """Return how many images have a region in the summary's cluster."""
    return len({run.regions[index].image for index in summary.cluster})
