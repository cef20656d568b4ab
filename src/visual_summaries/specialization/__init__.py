"""Specializing: detectors of the parts that a network uses for a class, added to its own score."""

from visual_summaries.specialization.network import SpecializedNetwork
from visual_summaries.specialization.settings import SpecializeSettings
from visual_summaries.specialization.specializing import ClassResult, PartResult, Rates, Specialization, specialize

__all__ = [
    "ClassResult",
    "PartResult",
    "Rates",
    "Specialization",
    "SpecializeSettings",
    "SpecializedNetwork",
    "specialize",
]
