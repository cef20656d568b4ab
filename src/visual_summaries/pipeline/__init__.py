"""The stages joined: from a classifier and images to a run, and what a finished run can do with its network."""

from visual_summaries.pipeline.applying import apply_run
from visual_summaries.pipeline.checking import RandomizationCheck, randomization_check
from visual_summaries.pipeline.job import summarize

__all__ = ["RandomizationCheck", "apply_run", "randomization_check", "summarize"]
