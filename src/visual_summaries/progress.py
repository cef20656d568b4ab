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

from collections.abc import Callable

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


def report_progress(progress: Progress | None, stage: str, done: int, total: int) -> None:
    """Tell `progress`, when there is one, that `done` of `total` units of `stage` are complete."""
    if progress is not None:
        progress(stage, done, total)
