"""COCO annotations: a category for each summary, an annotation for each region."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from visual_summaries.export.records import region_records
from visual_summaries.regions import full_mask, run_length
from visual_summaries.report.geometry import contours
from visual_summaries.results import Run

#: How masks are written.
MASKS = ("rle", "polygon")


def coco(run: Run, files: Collection[str], summaries: Collection[int] | None = None, *, masks: str = "rle") -> dict[str, Any]:
    """Return a run's regions as a COCO data set of its views.

    Parameters
    ----------
    run : Run
    files : collection of str
        Name of the file of each view, in the order of ``run.images``.
    summaries : collection of int, optional
        Positions in ``run.summaries``; all regions of kept summaries unless given.
    masks : str
        ``"rle"``: every pixel, as run lengths; ``"polygon"``: outlines, for programs that read no run lengths.

    Returns
    -------
    dict
        ``info``, ``images``, ``categories`` (one a summary, its number as id), ``annotations`` (with ``contribution``, ``drop``
        and ``member`` as extra keys).
    """
    wanted = {summary.index for summary in run.summaries} if summaries is None else set(summaries)
    target = run.manifest["target"]["name"]
    annotations: list[dict[str, Any]] = []
    for row in region_records(run, wanted):
        region = run.regions[row["region"]]
        height, width = run.images[region.image].view.shape[:2]
        evidence = full_mask(region.box, region.mask, (height, width))
        x0, y0, x1, y1 = region.box
        outlines = [polygon for polygon in contours(evidence) if len(polygon) >= 3] if masks == "polygon" else []
        annotations.append(
            {
                "id": len(annotations) + 1,
                "image_id": region.image + 1,
                "category_id": row["summary"],
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "area": int(evidence.sum()),
                "iscrowd": 0,
                "segmentation": [polygon.reshape(-1).round(2).tolist() for polygon in outlines]
                if masks == "polygon"
                else run_length(evidence),
                "contribution": row["contribution"],
                "drop": row["drop"],
                "member": row["member"],
            }
        )
    return {
        "info": {
            "description": f"Visual summaries of {target} in {run.manifest['classifier']['spec']}",
            "date_created": run.manifest["created"],
        },
        "images": [
            {"id": image.index + 1, "file_name": name, "height": image.view.shape[0], "width": image.view.shape[1]}
            for image, name in zip(run.images, files, strict=True)
        ],
        "categories": [
            {"id": summary.index + 1, "name": summary.label, "supercategory": target}
            for summary in run.summaries
            if summary.index in wanted
        ],
        "annotations": annotations,
    }
