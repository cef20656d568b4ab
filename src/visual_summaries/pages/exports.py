"""A run for other programs: JSON, rows of regions as CSV, COCO."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection
from pathlib import Path
from typing import Any

import PIL.Image

from visual_summaries._validate import require_choice
from visual_summaries.errors import RunError, SettingsError
from visual_summaries.files.atomic import atomic_file, plain, write_json, write_text
from visual_summaries.pages.geometry import contours
from visual_summaries.pages.summaries import groups_of
from visual_summaries.regions import full_mask, run_length, view_file
from visual_summaries.results import Run

#: Formats, and how masks are written in COCO.
FORMATS, MASKS = ("json", "csv", "coco"), ("rle", "polygon")


def region_records(run: Run, summaries: Collection[int] | None = None) -> list[dict[str, Any]]:
    """Return one row for each region of a run.

    Parameters
    ----------
    run : Run
    summaries : collection of int, optional
        Numbers of summaries, from 1; only regions of their clusters are returned. All regions unless given.

    Returns
    -------
    list of dict
        ``region`` (position in ``run.regions``), ``image``, ``x0`` ``y0`` ``x1`` ``y1`` (half open, pixels of the view),
        ``summary`` (number as in the report, from 1; None for regions of no kept summary), ``member`` (whether the report shows
        it as a member), ``similarity`` (to the exemplar, of members only), ``contribution``, ``drop``, ``salient_share``. What
        is not known is None: JSON has no NaN.
    """
    summary_of = groups_of(run.summaries)
    similarity = {member.region: member.similarity for summary in run.summaries for member in summary.members}
    rows = []
    for region in run.regions:
        summary = summary_of.get(region.index)
        if summaries is not None and (summary is None or summary not in summaries):
            continue
        rows.append(
            {
                "region": region.index,
                "image": run.images[region.image].name,
                **dict(zip(("x0", "y0", "x1", "y1"), region.box, strict=True)),
                "summary": summary,
                "member": region.index in similarity,
                "similarity": similarity.get(region.index),
                "contribution": region.contribution,
                "drop": region.drop,
                "salient_share": region.salient_share,
            }
        )
    known: list[dict[str, Any]] = plain(rows)
    return known


def run_record(run: Run, summaries: Collection[int] | None = None) -> dict[str, Any]:
    """Return a run without its arrays: what it was made from, its summaries, its regions; see :func:`region_records`."""
    return {
        "target": vars(run.info.target),
        "classifier": vars(run.info.classifier),
        "accuracy": vars(run.info.accuracy),
        "created": run.info.created,
        "versions": run.info.versions,
        "images": [
            {"name": image.name, "sha256": image.sha256, "score": image.score}
            | dict(zip(("height", "width"), image.view.shape, strict=False))
            for image in run.images
        ],
        "summaries": [
            {
                "summary": summary.number,
                "name": None if summary.tag is None else summary.tag.name,
                "exemplar": summary.exemplar,
                "members": [member.region for member in summary.members],
                "cluster": list(summary.cluster),
                "score": summary.score,
                "importance": summary.importance,
            }
            for summary in run.summaries
            if summaries is None or summary.number in summaries
        ],
        "regions": region_records(run, summaries),
    }


def coco_head(run: Run, summaries: Collection[int] | None = None) -> dict[str, Any]:
    """Return ``info``, ``images`` and ``categories`` of a run as a COCO data set (see :func:`coco`)."""
    target = run.info.target.name
    return {
        "info": {
            "description": f"Visual summaries of {target} in {run.info.classifier.spec}",
            "date_created": run.info.created,
        },
        "images": [
            {"id": image.index + 1, "file_name": view_file(image.index), "height": height, "width": width}
            for image in run.images
            for height, width in [image.view.shape[:2]]
        ],
        "categories": [
            {"id": summary.number, "name": summary.label, "supercategory": target}
            for summary in run.summaries
            if summaries is None or summary.number in summaries
        ],
    }


def coco(run: Run, summaries: Collection[int] | None = None, *, masks: str = "rle") -> dict[str, Any]:
    """Return a run's regions as a COCO data set of its views.

    Parameters
    ----------
    run : Run
    summaries : collection of int, optional
        Numbers of summaries, from 1; all regions of kept summaries unless given.
    masks : str
        ``"rle"``: every pixel, as run lengths; ``"polygon"``: outlines, for programs that read no run lengths.

    Returns
    -------
    dict
        ``info``, ``images``, ``categories`` (one a summary, its number as id), ``annotations`` (with ``contribution``, ``drop``
        and ``member`` as extra keys).
    """
    annotations: list[dict[str, Any]] = []
    for row in region_records(run, [summary.number for summary in run] if summaries is None else summaries):
        region = run.regions[row["region"]]
        evidence = full_mask(region.box, region.mask, run.images[region.image].view.shape[:2])
        height, width = region.size
        polygons = contours(evidence) if masks == "polygon" else []
        annotations.append(
            {
                "id": len(annotations) + 1,
                "image_id": region.image + 1,
                "category_id": row["summary"],
                "bbox": [*region.box[:2], width, height],
                "area": int(evidence.sum()),
                "iscrowd": 0,
                "segmentation": [p.reshape(-1).round(2).tolist() for p in polygons]
                if masks == "polygon"
                else run_length(evidence),
            }
            | {name: row[name] for name in ("contribution", "drop", "member")}
        )
    return coco_head(run, summaries) | {"annotations": annotations}


def format_of(path: Path) -> str:
    """Return the format that the ending of a file means.

    Raises
    ------
    SettingsError
        If it means none.

    Examples
    --------
    >>> format_of(Path("regions.CSV"))
    'csv'
    >>> format_of(Path("run.xlsx"))
    Traceback (most recent call last):
    ...
    visual_summaries.errors.SettingsError: run.xlsx ends in '.xlsx', which is no format: ...
    """
    ending = path.suffix.lower()
    if ending not in (".json", ".csv"):
        ends = f"ends in {path.suffix!r}, which is no format" if ending else "has no ending that tells the format"
        raise SettingsError(
            f"{path} {ends}: give a name that ends in .json or .csv, or a format (--format json, csv, or coco for a folder)"
        )
    return ending[1:]


def export_run(
    run: Run, path: str | Path, format: str | None = None, summaries: Collection[int] | None = None, *, masks: str = "rle"
) -> Path:
    """Write a run, or some of its summaries, for other programs.

    Parameters
    ----------
    run : Run
    path : str or Path
        ``"json"``, ``"csv"``: the file to write. ``"coco"``: a new or empty folder that gets ``annotations.json`` and the
        views in ``images``, the layout that FiftyOne and other tools read.
    format : str, optional
        One of :data:`FORMATS`; by the ending of `path` unless given.
    summaries : collection of int, optional
        Numbers of summaries, from 1; everything unless given.
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
    path = Path(path)
    format = format or format_of(path)
    require_choice("format", format, FORMATS)
    require_choice("masks", masks, MASKS)
    for number in summaries or ():
        run.summary(number)
    if path.is_file() or (path.is_dir() and (format != "coco" or any(path.iterdir()))):
        raise RunError(f"{path} is there already; give a path that is not, nothing is overwritten")
    if format == "json":
        write_json(path, plain(run_record(run, summaries)))
    elif format == "csv":
        rows = region_records(run, summaries)
        table = io.StringIO()
        writer = csv.DictWriter(table, list(rows[0]) if rows else ["region"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(path, table.getvalue())
    else:
        for image in run.images:
            with atomic_file(path / "images" / view_file(image.index)) as file:
                PIL.Image.fromarray(image.view).save(file, "PNG")
        path = path / "annotations.json"
        write_json(path, coco(run, summaries, masks=masks))
    return path
