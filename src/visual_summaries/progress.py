"""How long-running functions tell what they have done.

The core calls a :data:`Progress` function; what is done with it (a bar, a log line, nothing) is the caller's business.

Examples
--------
>>> seen = []
>>> def progress(stage: str, done: int, total: int) -> None:
...     seen.append((stage, done, total))
>>> report_progress(progress, "masks", 1, 3)
>>> seen
[('masks', 1, 3)]
>>> report_progress(None, "masks", 2, 3)  # nobody listens
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

#: Called as ``progress(stage, done, total)``; ``stage`` is one of the names in ``STAGES``.
Progress = Callable[[str, int, int], None]

#: The stages of a run, in the order in which data flows through them.
STAGES = (
    "images",
    "masks",
    "faithfulness",
    "proposals",
    "contributions",
    "descriptors",
    "similarity",
    "clusters",
    "summaries",
    "importance",
    "stability",
    "joint",
    "chance",
    "report",
    "references",
    "apply",
    "randomized",
)


#: Seconds between two updates of a line.
_PAUSE = 0.1


class ProgressLine:
    """One line for each stage, that counts up in a terminal or a notebook.

    Parameters
    ----------
    stream : text stream, optional
        Where to write; ``sys.stderr`` unless given.

    Examples
    --------
    >>> import io
    >>> stream = io.StringIO()
    >>> progress = ProgressLine(stream)
    >>> for done in (1, 2):
    ...     progress("masks", done, 2)
    >>> stream.getvalue().splitlines()[-1].strip()
    'masks 2/2'
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._stage, self._written, self._open = "", -_PAUSE, False

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show that `done` of `total` units of `stage` are complete."""
        stream = self._stream or sys.stderr
        now, ended = time.monotonic(), done >= total
        if stage != self._stage:
            if self._open:
                stream.write("\n")
            self._stage, self._open = stage, True
        elif not self._open or (not ended and now - self._written < _PAUSE):  # a stage that ended shows nothing more
            return
        self._written, self._open = now, not ended
        stream.write(f"\r{stage:<14} {done}/{total}" + "\n" * ended)
        stream.flush()


def _silent(stage: str, done: int, total: int) -> None:
    """Show nothing."""


def shown(progress: Progress | bool | None) -> Progress | None:
    """Return what a public function tells its progress to.

    Parameters
    ----------
    progress : callable, bool or None
        A function is taken as it is. True: a :class:`ProgressLine`; False: nothing. None, the default: a line where somebody
        looks, in a notebook or at a terminal.

    Examples
    --------
    >>> shown(report_progress) is report_progress
    True
    >>> shown(False)("masks", 1, 2)
    """
    if progress is None:
        return ProgressLine() if _watched() else None
    if progress is True:
        return ProgressLine()
    return _silent if progress is False else progress


def _watched() -> bool:
    notebook = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(notebook).__name__ == "ZMQInteractiveShell" or bool(getattr(sys.stderr, "isatty", bool)())


def report_progress(progress: Progress | None, stage: str, done: int, total: int) -> None:
    """Tell `progress`, when there is one, that `done` of `total` units of `stage` are complete."""
    if progress is not None:
        progress(stage, done, total)
