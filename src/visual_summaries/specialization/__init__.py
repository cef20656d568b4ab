"""Specializing: what a network uses for a class, detected, and added to its own score or looked at again."""

from visual_summaries.specialization.closer import ClassScore, CloserLooks, Look, look_closer
from visual_summaries.specialization.looking import LookingNetwork
from visual_summaries.specialization.network import SpecializedNetwork
from visual_summaries.specialization.settings import SpecializeSettings
from visual_summaries.specialization.specializing import ClassResult, PartResult, Rates, Specialization, specialize

__all__ = [
    "ClassResult",
    "ClassScore",
    "CloserLooks",
    "Look",
    "LookingNetwork",
    "PartResult",
    "Rates",
    "Specialization",
    "SpecializeSettings",
    "SpecializedNetwork",
    "look_closer",
    "specialize",
]
