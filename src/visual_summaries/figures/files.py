"""Figures as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from visual_summaries._validate import require_choice
from visual_summaries.errors import SettingsError
from visual_summaries.figures.charts import plot_importance
from visual_summaries.figures.strips import plot_summaries
from visual_summaries.results import Run
from visual_summaries.store.atomic import atomic_file

#: What a figure of a run may show.
KINDS = ("summaries", "importance")

#: Endings of files that a figure can be written to.
SUFFIXES = (".png", ".svg", ".pdf")


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
