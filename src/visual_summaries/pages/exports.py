"""What a run found, as plain rows: one for each region."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

import PIL.Image

from visual_summaries._validate import require_choice, require_in_range
from visual_summaries.errors import RunError
from visual_summaries.files.atomic import atomic_file, write_json, write_text
from visual_summaries.pages.geometry import contours
from visual_summaries.regions import full_mask, run_length, view_file
from visual_summaries.results import Run


def region_records(run: Run, summaries: Collection[int] | None = None) -> list[dict[str, Any]]:
    """Return one row for each region of a run.

    Parameters
    ----------
    run : Run
    summaries : collection of int, optional
        Positions in ``run.summaries``; only regions of their clusters are returned. All regions unless given.

    Returns
    -------
    list of dict
        ``region`` (position in ``run.regions``), ``image``, ``x0`` ``y0`` ``x1`` ``y1`` (half open, pixels of the view),
        ``summary`` (number as in the report, from 1; None for regions of no kept summary), ``member`` (whether the report shows
        it as a member), ``similarity`` (to the exemplar, of members only), ``contribution``, ``drop``, ``salient_share``. What
        is not known is None: JSON has no NaN.
    """
    summary_of = {region: summary for summary in run.summaries for region in summary.cluster}
    similarity = {member.region: member.similarity for summary in run.summaries for member in summary.members}
    rows = []
    for region in run.regions:
        summary = summary_of.get(region.index)
        if summaries is not None and (summary is None or summary.index not in summaries):
            continue
        x0, y0, x1, y1 = region.box
        rows.append(
            {
                "region": region.index,
                "image": run.images[region.image].name,
                "x0": x0,
                "y0": y0,
                "x1": x1,
                "y1": y1,
                "summary": None if summary is None else summary.index + 1,
                "member": region.index in similarity,
                "similarity": _known(similarity.get(region.index, math.nan)),
                "contribution": _known(region.contribution),
                "drop": _known(region.drop),
                "salient_share": region.salient_share,
            }
        )
    return rows


def run_record(run: Run, summaries: Collection[int] | None = None) -> dict[str, Any]:
    """Return a run without its arrays: what it was made from, its summaries, its regions.

    Parameters
    ----------
    run, summaries
        As in :func:`region_records`.
    """
    return {
        "target": vars(run.info.target),
        "classifier": vars(run.info.classifier),
        "accuracy": vars(run.info.accuracy),
        "created": run.info.created,
        "versions": run.info.versions,
        "images": [
            {"name": image.name, "sha256": image.sha256, "score": image.score, "height": height, "width": width}
            for image in run.images
            for height, width in [image.view.shape[:2]]
        ],
        "summaries": [
            {
                "summary": summary.index + 1,
                "name": None if summary.tag is None else summary.tag.name,
                "exemplar": summary.exemplar,
                "members": [member.region for member in summary.members],
                "cluster": list(summary.cluster),
                "score": _known(summary.score),
                "importance": _known(summary.importance),
            }
            for summary in run.summaries
            if summaries is None or summary.index in summaries
        ],
        "regions": region_records(run, summaries),
    }


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


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
    target = run.info.target.name
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
            "description": f"Visual summaries of {target} in {run.info.classifier.spec}",
            "date_created": run.info.created,
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


#: Names accepted by :func:`export_run`.
FORMATS = ("json", "csv", "coco")


def export_run(
    run: Run, path: str | Path, format: str = "json", summaries: Collection[int] | None = None, *, masks: str = "rle"
) -> Path:
    """Write a run, or some of its summaries, for other programs.

    Parameters
    ----------
    run : Run
    path : str or Path
        ``"json"``, ``"csv"``: the file to write. ``"coco"``: a new or empty folder that gets ``annotations.json`` and the
        views in ``images``, the layout that FiftyOne and other tools read.
    format : str
        One of :data:`FORMATS`.
    summaries : collection of int, optional
        Positions in ``run.summaries``; everything unless given.
    masks : str
        For COCO: ``"rle"`` or ``"polygon"``; see :func:`coco`.

    Returns
    -------
    Path
        The file with the annotations.

    Raises
    ------
    SettingsError
        If there is no such format or summary.
    RunError
        If the file exists or the folder is not empty: nothing is overwritten.
    """
    require_choice("format", format, FORMATS)
    require_choice("masks", masks, MASKS)
    for index in summaries or ():
        require_in_range("summary", index + 1, 1, len(run.summaries))
    path = Path(path)
    if path.is_file() or (path.is_dir() and (format != "coco" or any(path.iterdir()))):
        raise RunError(f"{path} is there already; give a path that is not, nothing is overwritten")
    if format == "json":
        write_text(path, json.dumps(run_record(run, summaries), indent=1, ensure_ascii=False) + "\n")
    elif format == "csv":
        rows = region_records(run, summaries)
        table = io.StringIO()
        writer = csv.DictWriter(table, list(rows[0]) if rows else ["region"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(path, table.getvalue())
    else:
        names = [view_file(image.index) for image in run.images]
        for image, name in zip(run.images, names, strict=True):
            with atomic_file(path / "images" / name) as file:
                PIL.Image.fromarray(image.view).save(file, "PNG")
        path = path / "annotations.json"
        write_json(path, coco(run, names, summaries, masks=masks))
    return path
