"""Where work items are computed: in this process, or on a cluster."""

from visual_summaries.engines.base import Batch, Compute, Engine, LocalEngine, Part
from visual_summaries.engines.choice import make_engine

__all__ = ["Batch", "Compute", "Engine", "LocalEngine", "Part", "make_engine"]
