"""The run's journal: one line for each thing that happened to it, kept over interruptions."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from visual_summaries.files.atomic import writing

#: Its name in a run directory.
JOURNAL = "journal.jsonl"


class Journal:
    """The file ``journal.jsonl``; lines are only ever added to it.

    Parameters
    ----------
    path : Path or None
        None for a run in memory: nothing is written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     journal = Journal(Path(folder) / "journal.jsonl")
    ...     journal.write("computed", stage="masks", keys=["0a1b"])
    ...     [entry["event"] for entry in journal.entries()]
    ['computed']
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path

    def write(self, event: str, **facts: Any) -> None:
        """Add a line; lines of a killed process are whole or, the last one, cut short."""
        if self.path is None:
            return
        entry = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "pid": os.getpid(), "event": event, **facts}
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry, ensure_ascii=False) + "\n")

    def entries(self) -> Iterator[dict[str, Any]]:
        """Yield what was written; a line that was cut short is left out."""
        if self.path is None or not self.path.is_file():
            return
        with self.path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue  # cut short when its process was killed; the journal tells, it decides nothing
                if isinstance(entry, dict):
                    yield entry
