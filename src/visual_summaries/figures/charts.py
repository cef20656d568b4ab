"""Charts of a run's figures."""

from __future__ import annotations

from typing import Any

from visual_summaries.errors import SettingsError
from visual_summaries.figures.library import figure
from visual_summaries.results import Run

_BAR = "#2a6f6b"


def plot_importance(run: Run, ax: Any = None) -> Any:
    """Draw how much the class score depends on each summary.

    Parameters
    ----------
    run : Run
    ax : matplotlib Axes, optional
        Where to draw; axes of a figure of their own unless given.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    SettingsError
        If the run has no summaries.
    """
    if not run.summaries:
        raise SettingsError("the run has no summaries, so there is nothing to draw; see its report for the reasons")
    if ax is None:
        ax = figure(figsize=(4.5, 0.8 + 0.28 * len(run.summaries)), dpi=200, layout="constrained").add_subplot()
    places = range(len(run.summaries))
    ax.barh(places, [summary.importance for summary in run.summaries], color=_BAR, height=0.6)
    ax.set_yticks(places, [summary.label for summary in run.summaries])
    ax.invert_yaxis()
    ax.axvline(0, color="black", linewidth=0.6)
    ax.set_xlabel("share of the score lost when it is hidden")
    ax.spines[["top", "right"]].set_visible(False)
    return ax
