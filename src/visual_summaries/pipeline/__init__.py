"""The stages joined: from a classifier and images to a run."""

from visual_summaries.pipeline.summarize import summarize

__all__ = ["summarize"]
