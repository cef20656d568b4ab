"""The keypoint benchmark on a folder in PF-WILLOW's layout whose displacements are known."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from skimage import data

from benchmarks.flow import flow, keypoints, readings
from benchmarks.flow.speed import synthetic
from visual_summaries.flow import match

SHIFTS = ((0, 0), (14, -8), (-10, 6))
POINTS = np.array([(60 + 25 * (k % 5), 50 + 40 * (k // 5)) for k in range(10)], float)


def write_class(folder, photograph, shifts):
    """Crops of a photograph, each shifted and of its own size, with ten points on the same places of the scene."""
    folder.mkdir(parents=True)
    for k, (x, y) in enumerate(shifts):
        width, height = 220 + 12 * k, 160 + 8 * k
        crop = photograph[24 + y : 24 + y + height, 40 + x : 40 + x + width]
        Image.fromarray(np.ascontiguousarray(crop)).save(folder / f"{k:04}.png")
        savemat(folder / f"{k:04}.mat", {"pts_coord": (POINTS - [x, y]).T + 0.5})


@pytest.fixture
def willow(tmp_path):
    folder = tmp_path / "PF-dataset"
    write_class(folder / "cup(G)", data.coffee()[::2, ::2], SHIFTS[:2])
    write_class(folder / "nested" / "face(S)", data.astronaut()[::2, ::2], SHIFTS[1:])
    savemat(folder / "statistics.mat", {"something_else": np.zeros(3)})
    return folder


def test_rows_and_bars_of_the_layout(willow, tmp_path, monkeypatch):
    out = tmp_path / "flow.json"
    network = "timm:test_resnet.r160_in1k"
    command = ["flow.py", "--only", "pairs", "--pairs", str(willow), "--side", "220", "--boxes", "300", "--json", str(out)]
    monkeypatch.setattr("visual_summaries.classifiers.load_classifier", _random_network)
    monkeypatch.setattr(flow, "load_classifier", _random_network)
    monkeypatch.setattr(sys, "argv", [*command, "--network", network, "--size", "full"])
    flow.main()
    results = json.loads(out.read_text())
    rows = results["rows"]
    assert [(r["descriptor"], r["method"], r["assignment"]) for r in rows] == [
        (d, m, w) for d in ("hog", "deep") for m in ("nam", "phm", "lom") for w in ("best", "vote")
    ]
    assert {(r["images"], r["pairs"], r["willow"], r["all_pairs"]) for r in rows} == {(4, 4, True, True)}
    # The scene is the same: whoever cannot carry its points is broken.
    assert all(r["pck_10"] > 0.9 for r in rows if r["descriptor"] == "hog")
    assert {r["network"] for r in rows} == {None, "test_resnet.r160_in1k"}
    bars = {bar["name"].split(",")[1]: bar for bar in results["bars"]}
    assert bars[" PCK@0.1: HOG + LOM"]["bound"] == 0.52
    assert bars[" PCK@0.1: HOG + LOM"]["holds"]
    assert bars[" PCK@0.1: default descriptor"]["bound"] == 0.68


def _random_network(spec):
    import timm
    import torch

    from visual_summaries.classifiers import Classifier, ViewTransform

    assert spec == "timm:test_resnet.r160_in1k"
    torch.manual_seed(0)
    module = timm.create_model("test_resnet", pretrained=False, num_classes=5)
    return Classifier(module, transform=ViewTransform((96, 96), channels=3, mean=(0.5,) * 3, std=(0.25,) * 3))


def test_points_are_read_where_they_are(willow):
    found = list(keypoints.annotated_images(willow, 220))
    assert [one.group for one in found] == ["cup(G)"] * 2 + ["nested/face(S)"] * 2
    assert found[0].image.shape == (160, 220, 3)
    assert np.allclose(list(found[0].points.values()), POINTS)
    assert found[1].image.shape == (round(168 * 220 / 232), 220, 3)
    assert np.allclose(list(found[1].points.values()), (POINTS - SHIFTS[1]) * [220 / 232, round(168 * 220 / 232) / 168])


def test_points_that_are_not_there_and_files_that_are_wrong(tmp_path):
    folder = tmp_path / "set" / "class"
    folder.mkdir(parents=True)
    with pytest.raises(SystemExit, match=r"holds neither parts_in_crop\.json nor a \.mat beside its images"):
        list(keypoints.annotated_images(tmp_path / "set", 100))
    savemat(folder / "a.mat", {"pts_coord": np.array([[1.0, np.nan, 30.0], [2.0, np.nan, 40.0]])})
    with pytest.raises(SystemExit, match=r"a\.mat has no image of the same name beside it; expected a\.png"):
        list(keypoints.annotated_images(tmp_path / "set", 100))
    Image.fromarray(np.zeros((60, 100, 3), np.uint8)).save(folder / "a.PNG")
    (one,) = keypoints.annotated_images(tmp_path / "set", 100)
    assert one.points == {"0": (0.5, 1.5), "2": (29.5, 39.5)}
    assert keypoints.is_willow(tmp_path / "set")
    (tmp_path / "set" / "proxy.json").write_text("{}")
    assert not keypoints.is_willow(tmp_path / "set")
    savemat(folder / "a.mat", {"pts_coord": np.zeros((3, 5))})
    with pytest.raises(SystemExit, match=r"pts_coord has shape \(3, 5\), but must be \(2, K\)"):
        list(keypoints.annotated_images(tmp_path / "set", 100))


def test_pck_is_measured_in_sizes_of_the_target():
    still = np.zeros((50, 60, 2), np.float32)
    p, q = np.array([[10.0, 10.0], [30.0, 20.0]]), np.array([[10.0, 14.0], [30.0, 29.0]])
    assert keypoints.correct(still, p, q, 80.0) == [0.5, 0.5, 1.0]  # 4 and 9 pixels; 0.05, 0.1, 0.15 of 80 are 4, 8, 12


def test_readings_start_from_the_published_matcher():
    a, b = synthetic(0), synthetic(1)
    published = match(a, b, "lom")
    assert abs(readings.lom(a, b, readings.Reading()) - published).max() < 1e-3 * published.max()
    for section in ("hog", "deep"):
        kind = readings.Reading if section == "hog" else readings.Choice
        named = [readings.changed(kind(**change)) for change in readings.CHANGES[section]]
        assert len(set(named)) == len(named), "two rows would have one name"
    other = readings.lom(a, b, readings.Reading(median="joint", scale="log2", neighbors=0.1, share=False))
    assert other.shape == published.shape
    assert (other > 0).any()
    assert abs(other - published).max() > 0.1 * published.max()
