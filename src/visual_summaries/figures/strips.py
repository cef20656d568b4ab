"""Summaries as the paper prints them: one row each, the exemplar first."""

from __future__ import annotations

from typing import Any

import numpy as np

from visual_summaries._validate import require_choice, require_in_range
from visual_summaries.errors import SettingsError
from visual_summaries.figures.library import figure
from visual_summaries.report.members import draw_member
from visual_summaries.results import Run, Summary

#: What a member's picture shows.
STYLES = ("overlay", "image", "mask", "warped")

#: Side of a member's square picture, in inches, and in pixels.
_SIDE, _PIXELS = 0.9, 320


def plot_summary(run: Run, summary: Summary, ax: Any = None, *, columns: int = 10, style: str = "overlay") -> Any:
    """Draw a summary's members side by side, the exemplar first (docs/paper.md, clusters and summaries).

    Parameters
    ----------
    run : Run
        The run that the summary is of.
    summary : Summary
    ax : matplotlib Axes, optional
        Where to draw; axes of a figure of their own unless given.
    columns : int
        The most members that are drawn; a summary with fewer leaves the rest empty, so that rows of several summaries line up.
    style : str
        ``"overlay"`` (the summary's pixels bright, all others dark, the whole image; with the preset ``"paper"`` the published
        drawing: evidence bright on grey, hull red, outlines cyan), ``"image"``, ``"mask"``, or ``"warped"`` (members as warped
        onto the exemplar).

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    SettingsError
        If there is no such style.
    """
    require_choice("style", style, STYLES)
    require_in_range("columns", columns, 1)
    if ax is None:
        ax = figure(figsize=(columns * _SIDE, _SIDE), dpi=200).add_axes((0, 0, 1, 1))
    gap = 0.04
    for place, member in enumerate(summary.members[:columns]):
        picture = member.warped if style == "warped" else draw_member(run, member.region, _PIXELS, style=style)
        height, width = picture.shape[:2]
        # Into the unit square of its place, centred: warped members have the exemplar's proportions.
        half_width, half_height = (np.array([width, height]) / max(width, height) * (1 - gap) / 2).tolist()
        x, y = place + 0.5, 0.5
        ax.imshow(
            picture, extent=(x - half_width, x + half_width, y - half_height, y + half_height), interpolation="antialiased"
        )
    ax.set(xlim=(0, columns), ylim=(0, 1), aspect="equal")
    ax.set_axis_off()
    return ax


def plot_summaries(run: Run, *, most: int = 10, columns: int | None = None, style: str = "overlay") -> Any:
    """Draw a run's summaries, one row each, best first: the layout of the paper's figures.

    Parameters
    ----------
    run : Run
    most : int
        The most summaries that are drawn.
    columns : int, optional
        The most members that a row shows; unless given, as many as the longest row has, at most 8.
    style : str
        As in :func:`plot_summary`.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    SettingsError
        If the run has no summaries.
    """
    if not run.summaries:
        raise SettingsError("the run has no summaries, so there is nothing to draw; see its report for the reasons")
    shown = run.summaries[:most]
    columns = columns or min(8, max(len(summary.members) for summary in shown))
    label = 1.3  # inches left of the rows
    title = 0.35  # and above them
    width, height = label + columns * _SIDE, title + len(shown) * _SIDE
    fig = figure(figsize=(width, height), dpi=200)
    accuracy = run.manifest["accuracy"]
    fig.text(
        0.01,
        1 - title / 2 / height,
        f"{run.manifest['target']['name']}   {run.manifest['classifier']['spec']}, "
        f"{accuracy['correct']} of {accuracy['total']} images right",
        va="center",
        fontsize=9,
        parse_math=False,  # names may hold dollar signs
    )
    for row, summary in enumerate(shown):
        bottom = (height - title - (row + 1) * _SIDE) / height
        ax = fig.add_axes((label / width, bottom, columns * _SIDE / width, _SIDE / height))
        plot_summary(run, summary, ax, columns=columns, style=style)
        covered = len({run.regions[index].image for index in summary.cluster})
        fig.text(
            0.01,
            bottom + _SIDE / height / 2,
            f"{summary.index + 1}\nimportance {summary.importance:.0%}\nin {covered} of {len(run.images)}",
            va="center",
            fontsize=7,
            linespacing=1.4,
        )
    return fig
