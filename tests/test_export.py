"""Runs for other programs: every number can be traced to the run, and COCO's own tools read the masks."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools import mask as coco_masks
from pycocotools.coco import COCO

import visual_summaries as vs
from visual_summaries.cli import main
from visual_summaries.errors import RunError, SettingsError
from visual_summaries.pages.exports import export_run
from visual_summaries.regions import full_mask, run_length


@given(arrays.arrays(bool, st.tuples(st.integers(1, 7), st.integers(1, 9))))
def test_run_lengths_are_those_that_coco_decodes(mask: np.ndarray) -> None:
    encoded = run_length(mask)
    compressed = coco_masks.frPyObjects(encoded, *mask.shape)
    assert np.array_equal(coco_masks.decode(compressed).astype(bool), mask)


def known(value: float) -> float | None:
    """A number as JSON can hold it."""
    return value if np.isfinite(value) else None


def test_coco_tools_read_the_export(striped_run: vs.Run, tmp_path: Path) -> None:
    path = export_run(striped_run, tmp_path / "coco", "coco")
    data = COCO(path)
    assert [category["name"] for category in data.loadCats(data.getCatIds())] == [
        f"summary {summary.index + 1}" for summary in striped_run.summaries
    ]
    clustered = sorted(region for summary in striped_run.summaries for region in summary.cluster)
    annotations = data.loadAnns(data.getAnnIds())
    assert len(annotations) == len(clustered) > 0
    for annotation, index in zip(annotations, clustered, strict=True):
        region = striped_run.regions[index]
        view = striped_run.images[region.image].view
        assert np.array_equal(data.annToMask(annotation).astype(bool), full_mask(region.box, region.mask, view.shape[:2]))
        x, y, width, height = annotation["bbox"]
        assert (x, y, x + width, y + height) == region.box
        assert annotation["image_id"] == region.image + 1
        assert annotation["drop"] == known(region.drop)
    for image, entry in zip(striped_run.images, data.loadImgs(data.getImgIds()), strict=True):
        assert np.array_equal(np.asarray(PIL.Image.open(path.parent / "images" / entry["file_name"])), image.view)


def test_polygons_cover_about_what_the_masks_cover(striped_run: vs.Run, tmp_path: Path) -> None:
    data = COCO(export_run(striped_run, tmp_path / "polygons", "coco", masks="polygon"))
    for annotation in data.loadAnns(data.getAnnIds()):
        covered = int(data.annToMask(annotation).sum())
        assert covered == pytest.approx(annotation["area"], abs=0.1 * annotation["area"] + 6)


def test_json_and_csv_tell_the_same(striped_run: vs.Run, tmp_path: Path) -> None:
    text = export_run(striped_run, tmp_path / "run.json").read_text()
    assert any(np.isnan(region.drop) for region in striped_run.regions)  # no member was hidden alone
    assert "NaN" not in text
    record = json.loads(text)
    with export_run(striped_run, tmp_path / "run.csv", "csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(record["regions"]) == len(striped_run.regions)
    for row, entry, region in zip(rows, record["regions"], striped_run.regions, strict=True):
        assert row["image"] == entry["image"] == striped_run.images[region.image].name
        assert (entry["x0"], entry["y0"], entry["x1"], entry["y1"]) == region.box
        assert (
            (float(row["contribution"]) if row["contribution"] else None) == entry["contribution"] == known(region.contribution)
        )
        assert row["summary"] == ("" if entry["summary"] is None else str(entry["summary"]))
    members = {entry["region"] for entry in record["regions"] if entry["member"]}
    assert members == {member.region for summary in striped_run.summaries for member in summary.members}
    assert record["accuracy"] == vars(striped_run.info.accuracy)


def test_only_some_summaries(striped_run: vs.Run, tmp_path: Path) -> None:
    record = json.loads(export_run(striped_run, tmp_path / "one.json", summaries=[1]).read_text())
    assert [entry["summary"] for entry in record["summaries"]] == [1]
    assert {entry["region"] for entry in record["regions"]} == set(striped_run.summaries[0].cluster)


def test_nothing_is_overwritten_and_wrong_input_is_named(striped_run: vs.Run, tmp_path: Path) -> None:
    (tmp_path / "there.json").write_text("mine")
    with pytest.raises(RunError, match=r"there\.json is there already"):
        export_run(striped_run, tmp_path / "there.json")
    with pytest.raises(RunError, match="is there already"):
        export_run(striped_run, tmp_path, "coco")
    assert (tmp_path / "there.json").read_text() == "mine"
    with pytest.raises(SettingsError, match="format is 'xml'"):
        export_run(striped_run, tmp_path / "x", "xml")
    with pytest.raises(SettingsError, match="there is no summary 99"):
        export_run(striped_run, tmp_path / "x.json", summaries=[99])


def test_the_format_follows_from_the_ending(striped_run: vs.Run, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = ["export", str(striped_run.path), "--out"]
    for name, begins, more in (
        ("a.csv", "region,image,", []),
        ("b.JSON", "{", []),
        ("c.json", "region,image,", ["--format", "csv"]),
        ("d", "{", ["--format", "json"]),
    ):
        assert main([*command, str(tmp_path / name), *more]) == 0
        assert (tmp_path / name).read_text().startswith(begins)
    capfd.readouterr()
    for name, says in (("e.xlsx", "ends in '.xlsx', which is no format"), ("e", "has no ending that tells the format")):
        assert main([*command, str(tmp_path / name)]) == 2
        told = capfd.readouterr().err
        assert says in told
        assert "--format json, csv, or coco" in told


def test_the_command(striped_run: vs.Run, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["export", str(striped_run.path), "--format", "coco", "--summary", "1", "--out", str(tmp_path / "out")]
    assert main(arguments) == 0
    assert "annotations.json" in capfd.readouterr().out
    assert len(json.loads((tmp_path / "out" / "annotations.json").read_text())["categories"]) == 1
    assert main(arguments) == 6
