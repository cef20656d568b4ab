"""The nouns of the package as frozen dataclasses: image, mask, part, region, member, summary, run.

Conventions, everywhere:

- a *view* is an image as the network sees it: resized and cropped, ``uint8`` ``(H, W, 3)``, not yet normalized;
- a *mask* is an **evidence** mask on the view: 1 = evidence (hidden to destroy the class), 0 = background. The ``m`` of the
  paper's formulas (1 = pixel untouched) is 1 minus that;
- a *box* is ``(x0, y0, x1, y1)`` in view pixels, half open: it covers columns ``x0 .. x1-1`` and rows ``y0 .. y1-1``;
- probabilities, shares and areas lie in [0, 1].

Two results are equal when all their fields are, arrays compared by shape, type and value.

Examples
--------
>>> import numpy as np
>>> from visual_summaries.results import Region
>>> a = Region(index=0, image=2, box=(4, 6, 8, 10), mask=np.ones((4, 4), bool), salient_share=1.0,
...            contribution=0.7, drop=0.6, distinctiveness=0.1)
>>> a.area, a == a, a.size
(16, True, (4, 4))
"""

from visual_summaries.results.analysis import REPRODUCIBLE, Chance, JointEffects, RunAnalysis, SummaryAnalysis, Together
from visual_summaries.results.application import Application, Explained, Found, Presence
from visual_summaries.results.base import Box, Result, area_under, same
from visual_summaries.results.images import Faithfulness, Image, Mask
from visual_summaries.results.info import Accuracy, ClassifierInfo, EvidenceInfo, RunInfo, TargetInfo
from visual_summaries.results.parts import PartNumber, Parts
from visual_summaries.results.randomization import RandomizationCheck
from visual_summaries.results.run import Run, Skipped
from visual_summaries.results.shortcuts import PLACES, Change, Cue, Mistake, Place, Reliance, Suspicion, Verdict
from visual_summaries.results.summaries import Component, Member, Region, Summary, Tag, label_map, owned_by_summaries

__all__ = [
    "PLACES",
    "REPRODUCIBLE",
    "Accuracy",
    "Application",
    "Box",
    "Chance",
    "Change",
    "ClassifierInfo",
    "Component",
    "Cue",
    "EvidenceInfo",
    "Explained",
    "Faithfulness",
    "Found",
    "Image",
    "JointEffects",
    "Mask",
    "Member",
    "Mistake",
    "PartNumber",
    "Parts",
    "Place",
    "Presence",
    "RandomizationCheck",
    "Region",
    "Reliance",
    "Result",
    "Run",
    "RunAnalysis",
    "RunInfo",
    "Skipped",
    "Summary",
    "SummaryAnalysis",
    "Suspicion",
    "Tag",
    "TargetInfo",
    "Together",
    "Verdict",
    "area_under",
    "label_map",
    "owned_by_summaries",
    "same",
]
