"""Static figures for papers, on matplotlib axes (extra ``plot``)."""

from visual_summaries.figures.charts import plot_importance
from visual_summaries.figures.files import KINDS, write_figure
from visual_summaries.figures.strips import plot_summaries, plot_summary

__all__ = ["KINDS", "plot_importance", "plot_summaries", "plot_summary", "write_figure"]
