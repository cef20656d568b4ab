"""A world with planted parts: drawn birds whose classes differ in known parts, networks trained on them, and a scorecard.

Examples
--------
>>> from visual_summaries.demo import demo_network, render, sample_scene
>>> render(sample_scene(class_index=0, seed=1)).image.shape
(160, 160, 3)
"""

from visual_summaries.birds.effects import all_effects, part_effects, redraw_effects, used_parts
from visual_summaries.birds.pictures import Truth, read_truth, write_images
from visual_summaries.birds.render import Rendering, render
from visual_summaries.birds.scene import Scene, sample_scene
from visual_summaries.birds.world import (
    CLASS_NAMES,
    CLASSES,
    LABELS,
    PARTS,
    PLANTED,
    SHARED,
    BirdClass,
    Variant,
    owner,
    variant,
    variants_of,
)
from visual_summaries.demo.demo import run_demo, scorecard_text
from visual_summaries.demo.networks import NETWORKS, demo_network, network_record
from visual_summaries.demo.scorecard import (
    Scorecard,
    SummaryScore,
    check_labels,
    labels_for,
    part_under,
    score_run,
    score_summary,
)

__all__ = [
    "CLASSES",
    "CLASS_NAMES",
    "LABELS",
    "NETWORKS",
    "PARTS",
    "PLANTED",
    "SHARED",
    "BirdClass",
    "Rendering",
    "Scene",
    "Scorecard",
    "SummaryScore",
    "Truth",
    "Variant",
    "all_effects",
    "check_labels",
    "demo_network",
    "labels_for",
    "network_record",
    "owner",
    "part_effects",
    "part_under",
    "read_truth",
    "redraw_effects",
    "render",
    "run_demo",
    "sample_scene",
    "score_run",
    "score_summary",
    "scorecard_text",
    "used_parts",
    "variant",
    "variants_of",
    "write_images",
]
