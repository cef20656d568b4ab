"""A run for other programs: JSON, CSV, and COCO annotations with the views beside them."""

from visual_summaries.export.coco import coco
from visual_summaries.export.files import FORMATS, export_run
from visual_summaries.export.records import region_records, run_record

__all__ = ["FORMATS", "coco", "export_run", "region_records", "run_record"]
