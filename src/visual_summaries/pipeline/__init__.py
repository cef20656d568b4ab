"""The stages joined: from a classifier and images to a run."""

from visual_summaries.pipeline.job import summarize

__all__ = ["summarize"]
