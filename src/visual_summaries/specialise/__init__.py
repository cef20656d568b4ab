"""Specialising: detectors of the parts that a network uses for a class, added to its own score."""

from visual_summaries.specialise.job import specialize
from visual_summaries.specialise.network import SpecializedNetwork
from visual_summaries.specialise.result import ClassResult, PartResult, Rates, Specialization
from visual_summaries.specialise.settings import SpecializeSettings

__all__ = [
    "ClassResult",
    "PartResult",
    "Rates",
    "Specialization",
    "SpecializeSettings",
    "SpecializedNetwork",
    "specialize",
]
