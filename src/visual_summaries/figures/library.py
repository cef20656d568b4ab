"""The one place that asks for matplotlib, which is an extra."""

from __future__ import annotations

from typing import Any

from visual_summaries.errors import MissingExtraError


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
