"""Writing a run for other programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection
from pathlib import Path

import PIL.Image

from visual_summaries._validate import require_choice, require_in_range
from visual_summaries.errors import RunError
from visual_summaries.export.coco import MASKS, coco
from visual_summaries.export.records import region_records, run_record
from visual_summaries.regions import view_file
from visual_summaries.results import Run
from visual_summaries.store.atomic import atomic_file, write_json, write_text

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
