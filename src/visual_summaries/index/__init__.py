"""A catalogue over many runs: one page and one table."""

from visual_summaries.index.page import write_index
from visual_summaries.index.scan import Entry, scan_runs

__all__ = ["Entry", "scan_runs", "write_index"]
