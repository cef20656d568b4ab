"""Classifiers: any network behind one narrow interface - views in, logits out - and the target that is explained."""

from visual_summaries.classifiers.classifier import Classifier
from visual_summaries.classifiers.frames import Frame, frame_of, view_frame
from visual_summaries.classifiers.loading import load_classifier
from visual_summaries.classifiers.names import imagenet_names, resolve_class_names
from visual_summaries.classifiers.probing import require_explainable
from visual_summaries.classifiers.state import borrowed
from visual_summaries.classifiers.target import Classified, Target, classify, find_class, resolve_target
from visual_summaries.classifiers.transforms import ViewTransform, resolve_transform

__all__ = [
    "Classified",
    "Classifier",
    "Frame",
    "Target",
    "ViewTransform",
    "borrowed",
    "classify",
    "find_class",
    "frame_of",
    "imagenet_names",
    "load_classifier",
    "require_explainable",
    "resolve_class_names",
    "resolve_target",
    "resolve_transform",
    "view_frame",
]
