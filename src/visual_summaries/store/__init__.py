"""Where runs are kept: directories of plain JSON and arrays, and the pieces that make them resumable."""

from visual_summaries.store.journal import Journal
from visual_summaries.store.lock import locked
from visual_summaries.store.pieces import Pieces, digest
from visual_summaries.store.run_directory import find_runs, load_run, require_free, save_run
from visual_summaries.store.tags_file import load_names, rename, save_names

__all__ = [
    "Journal",
    "Pieces",
    "digest",
    "find_runs",
    "load_names",
    "load_run",
    "locked",
    "rename",
    "require_free",
    "save_names",
    "save_run",
]
