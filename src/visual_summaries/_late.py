"""The functions of upper layers that objects of lower ones offer their users, the one exception to imports that point down.

``run.report()`` writes a page and ``load_classifier`` reads what the demo and ``specialize`` make, but neither results nor
classifiers may import pages or the demo. They ask here by name, when they are called.

Examples
--------
>>> late("write_report").__module__
'visual_summaries.pages.report'
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

#: Function -> its module.
LATE = {
    "apply_run": "visual_summaries.runs.apply",
    "demo_network": "visual_summaries.demo.networks",
    "is_specialized": "visual_summaries.specialization.files",
    "judge": "visual_summaries.analyses.verdict",
    "load_module": "visual_summaries.specialization.files",
    "plot_summaries": "visual_summaries.pages.figures",
    "plot_summary": "visual_summaries.pages.figures",
    "read_description": "visual_summaries.specialization.files",
    "render_strip": "visual_summaries.pages.report",
    "write_application": "visual_summaries.pages.application",
    "write_looks": "visual_summaries.pages.looks",
    "write_report": "visual_summaries.pages.report",
    "write_specialization": "visual_summaries.pages.specialized",
}


def late(name: str) -> Any:
    """Return a function of :data:`LATE`; its module is imported now."""
    return getattr(import_module(LATE[name]), name)
