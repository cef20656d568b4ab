"""Visual summaries of an image classifier: the parts of its images that it uses, again and again, for one class.

The names below are the public interface; each is documented where it is defined. They are imported when they are first used, so
that ``import visual_summaries`` and the command line's help stay fast.

Examples
--------
>>> import visual_summaries as vs
>>> vs.preset("paper").masks.sharp.iterations
150
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from visual_summaries import errors
from visual_summaries._lazy import lazy
from visual_summaries._version import __version__

if TYPE_CHECKING:
    from visual_summaries.classifiers import Classifier, Target, load_classifier
    from visual_summaries.errors import VisualSummariesError
    from visual_summaries.flow import Features, dense_flow, describe, match, warp
    from visual_summaries.images import open_image
    from visual_summaries.masks import optimize_masks
    from visual_summaries.parts.clusters import Clusters, cluster
    from visual_summaries.regions import propose_boxes
    from visual_summaries.results import (
        Component,
        Image,
        Mask,
        Member,
        Parts,
        RandomizationCheck,
        Region,
        Run,
        RunAnalysis,
        Skipped,
        Summary,
        SummaryAnalysis,
        Tag,
    )
    from visual_summaries.runs.directory import load_run
    from visual_summaries.runs.randomization import randomization_check
    from visual_summaries.runs.summarize import summarize
    from visual_summaries.settings import Settings, preset
    from visual_summaries.specialization import CloserLooks, Specialization, SpecializeSettings, look_closer, specialize

_HOME = {
    "Classifier": "classifiers",
    "Target": "classifiers",
    "load_classifier": "classifiers",
    "Clusters": "parts.clusters",
    "cluster": "parts.clusters",
    "VisualSummariesError": "errors",
    "Features": "flow",
    "dense_flow": "flow",
    "describe": "flow",
    "match": "flow",
    "warp": "flow",
    "open_image": "images",
    "optimize_masks": "masks",
    "RandomizationCheck": "results",
    "randomization_check": "runs.randomization",
    "summarize": "runs.summarize",
    "propose_boxes": "regions",
    "Component": "results",
    "Image": "results",
    "Mask": "results",
    "Member": "results",
    "Parts": "results",
    "Region": "results",
    "Run": "results",
    "RunAnalysis": "results",
    "Skipped": "results",
    "Summary": "results",
    "SummaryAnalysis": "results",
    "Tag": "results",
    "Settings": "settings",
    "Specialization": "specialization",
    "SpecializeSettings": "specialization",
    "specialize": "specialization",
    "CloserLooks": "specialization",
    "look_closer": "specialization",
    "preset": "settings",
    "load_run": "runs.directory",
}

__all__ = [
    "Classifier",
    "CloserLooks",
    "Clusters",
    "Component",
    "Features",
    "Image",
    "Mask",
    "Member",
    "Parts",
    "RandomizationCheck",
    "Region",
    "Run",
    "RunAnalysis",
    "Settings",
    "Skipped",
    "Specialization",
    "SpecializeSettings",
    "Summary",
    "SummaryAnalysis",
    "Tag",
    "Target",
    "VisualSummariesError",
    "__version__",
    "cluster",
    "dense_flow",
    "describe",
    "errors",
    "load_classifier",
    "load_run",
    "look_closer",
    "match",
    "open_image",
    "optimize_masks",
    "preset",
    "propose_boxes",
    "randomization_check",
    "specialize",
    "summarize",
    "warp",
]


__getattr__ = lazy(__name__, _HOME)


def __dir__() -> list[str]:
    return sorted(__all__)
