"""The functions of upper layers that objects of lower ones offer their users, the one exception to imports that point down.

``run.report()`` writes a page and ``load_classifier`` reads what the demo and ``specialize`` make, but neither results nor
classifiers may import pages or the demo. They ask here by name, when they are called.

Examples
--------
>>> late("write_report").__module__
'visual_summaries.report.html'
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

#: Function -> its module.
LATE = {
    "apply_run": "visual_summaries.pipeline.applying",
    "demo_network": "visual_summaries.demo",
    "is_specialised": "visual_summaries.specialise.files",
    "load_module": "visual_summaries.specialise.files",
    "plot_summaries": "visual_summaries.figures",
    "plot_summary": "visual_summaries.figures",
    "read_description": "visual_summaries.specialise.files",
    "render_strip": "visual_summaries.report",
    "save_specialised": "visual_summaries.specialise.files",
    "transform_of": "visual_summaries.specialise.files",
    "write_application": "visual_summaries.report.application",
    "write_report": "visual_summaries.report",
    "write_specialisation": "visual_summaries.specialise.page",
}


def late(name: str) -> Any:
    """Return a function of :data:`LATE`; its module is imported now."""
    return getattr(import_module(LATE[name]), name)
