"""Figures of a run by matplotlib, which is an extra: this module alone asks for it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from visual_summaries._validate import require_choice, require_in_range
from visual_summaries.errors import MissingExtraError, SettingsError
from visual_summaries.files.atomic import atomic_file
from visual_summaries.pages.effects import headline_figure
from visual_summaries.pages.rendering import draw_member
from visual_summaries.pages.words import class_name, covered_images, percent
from visual_summaries.results import Run, Summary

#: What a figure of a run may show, and endings of files that it can be written to.
KINDS, SUFFIXES = ("summaries", "importance"), (".png", ".svg", ".pdf")
#: What a member's picture shows.
STYLES = ("overlay", "image", "mask", "warped")
#: Side of a member's square picture, in inches, and in pixels.
_SIDE, _PIXELS = 0.9, 320


def figure(**options: Any) -> Any:
    """Return a matplotlib figure that no window system knows of, so that it works everywhere and nothing has to be closed.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("figures need matplotlib: pip install 'visual-summaries[plot]'") from error
    return Figure(**options)


def _require_summaries(run: Run) -> None:
    if not run.summaries:
        raise SettingsError("the run has no summaries, so there is nothing to draw; see its report for the reasons")


def plot_importance(run: Run, ax: Any = None) -> Any:
    """Draw how much the class score depends on each summary, beside its control and the interval of the difference.

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
    _require_summaries(run)
    if ax is None:
        ax = figure(figsize=(6, 1.1 + 0.42 * len(run.summaries)), dpi=200, layout="constrained").add_subplot()
    measured = [summary.analysis for summary in run.summaries]
    places = np.arange(len(run.summaries))
    half = 0.19 if any(measured) else 0.0
    ax.barh(
        places - half,
        [summary.importance for summary in run.summaries],
        color="#2a6f6b",
        height=0.36 if any(measured) else 0.6,
        label="hidden",
    )
    if any(measured):
        controls = [math.nan if one is None else one.control for one in measured]
        ax.barh(places + half, controls, color="#9a9da5", height=0.36, label="control: the same pixels elsewhere")
        rows = [(place, one) for place, one in zip(places, measured, strict=True) if one and math.isfinite(one.interval[0])]
        if rows:
            # The interval is that of the difference, so that it ends where the bar would, seen from the control.
            ends = np.array([[one.importance, *(one.control + bound for bound in one.interval)] for _, one in rows]).T
            middle, low, high = ends
            error = [np.maximum(middle - low, 0), np.maximum(high - middle, 0)]
            ax.errorbar(
                middle,
                [place - half for place, _ in rows],
                xerr=error,
                fmt="none",
                ecolor="black",
                elinewidth=0.8,
                capsize=2,
                label="95 % interval of the difference",
            )
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=6.5, frameon=False)
    ax.set_yticks(places, [summary.label for summary in run.summaries])
    ax.invert_yaxis()
    ax.axvline(0, color="black", linewidth=0.6)
    ax.xaxis.set_major_formatter(lambda value, _: percent(value))
    ax.set_xlabel("share of the score lost, in images that have it")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


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
        drawing: evidence bright on gray, hull red, outlines cyan), ``"image"``, ``"mask"``, or ``"warped"`` (members as warped
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
        # Into the unit square of its place, centered: warped members have the exemplar's proportions.
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
    _require_summaries(run)
    shown = run.summaries[:most]
    columns = columns or min(8, max(len(summary.members) for summary in shown))
    label = 1.3  # inches left of the rows
    title = 0.35  # and above them
    width, height = label + columns * _SIDE, title + len(shown) * _SIDE
    fig = figure(figsize=(width, height), dpi=200)
    fig.text(
        0.01,
        1 - title / 2 / height,
        f"{class_name(run)}   {run.info.classifier.spec}, "
        f"{run.info.accuracy.correct} of {run.info.accuracy.total} images right",
        va="center",
        fontsize=9,
        parse_math=False,  # names may hold dollar signs
    )
    for row, summary in enumerate(shown):
        bottom = (height - title - (row + 1) * _SIDE) / height
        ax = fig.add_axes((label / width, bottom, columns * _SIDE / width, _SIDE / height))
        plot_summary(run, summary, ax, columns=columns, style=style)
        covered = covered_images(run, summary)
        value, of, _ = headline_figure(run, summary)
        fig.text(
            0.01,
            bottom + _SIDE / height / 2,
            f"{summary.index + 1}\n{value} {of}\nin {covered} of {len(run.images)}",
            va="center",
            fontsize=7,
            linespacing=1.4,
        )
    return fig


def write_figure(run: Run, path: str | Path, kind: str = "summaries", **options: Any) -> Path:
    """Write a figure of a run; the same run gives the same file.

    Parameters
    ----------
    run : Run
    path : str or Path
        Its ending chooses PNG, SVG or PDF. An older figure is replaced.
    kind : str
        ``"summaries"``: the paper's layout, one row a summary. ``"importance"``: a chart of what hiding each takes.
    **options
        Of :func:`plot_summaries` or :func:`plot_importance`.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    SettingsError
        If there is no such kind or ending, or the run has no summaries.
    """
    path = Path(path)
    require_choice("kind", kind, KINDS)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise SettingsError(f"{path} ends in {path.suffix!r}, but a figure is written as {', '.join(SUFFIXES)}")
    drawn = plot_summaries(run, **options) if kind == "summaries" else plot_importance(run, **options).figure
    import matplotlib  # there, or the figure could not have been drawn

    # Dates and random ids would make each file different.
    nameless = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(suffix, {})
    with matplotlib.rc_context({"svg.hashsalt": "visual-summaries"}), atomic_file(path) as file:
        drawn.savefig(file, format=suffix[1:], metadata=nameless)
    return path
