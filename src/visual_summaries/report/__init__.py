"""The page that people look at: one HTML file per run, and the pictures of regions in it."""

from visual_summaries.report.html import render_page, write_report
from visual_summaries.report.rendering import bright_on_grey, render_region
from visual_summaries.report.strip import render_strip

__all__ = ["bright_on_grey", "render_page", "render_region", "render_strip", "write_report"]
