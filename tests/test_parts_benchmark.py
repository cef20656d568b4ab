"""The parts benchmark: its figures and baselines on label maps and feature maps whose answer is known."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import visual_summaries as vs
from benchmarks import harness
from benchmarks.made_runs import made_mask
from benchmarks.parts import bars, baselines, cost, parts, planted, scores, units
from visual_summaries import results
from visual_summaries.birds.world import CLASS_NAMES
from visual_summaries.classifiers import load_classifier


@pytest.fixture
def halves() -> tuple[np.ndarray, np.ndarray]:
    """Evidence of an image of 40 x 60 pixels, and labels: 0 in its left half, 1 in its right half."""
    evidence = np.zeros((40, 60), bool)
    evidence[10:30, 10:50] = True
    labels = np.full((40, 60), -1, np.int16)
    labels[10:30, 10:30], labels[10:30, 30:50] = 0, 1
    return evidence, labels


def test_points_take_the_label_of_the_nearest_evidence(halves) -> None:
    evidence, labels = halves
    points = {
        "left eye": (20.5, 15.0),  # in it
        "beak": (9.0, 20.0),  # 1 pixel to the left
        "tail": (51.0, 20.0),  # 2 pixels to the right, but 3 % of 60 are 1.8
        "wing": (5.0, 5.0),
    }
    found = scores.labeled_points(labels, evidence, points)
    assert found == [("eye", 0), ("beak", 0)]
    assert scores.labeled_points(labels, np.zeros_like(evidence), points) == []


def test_agreement(halves) -> None:
    evidence, labels = halves
    points = [{"left eye": (15, 15), "beak": (45, 15)}, {"right eye": (20, 20), "beak": (40, 25)}]
    assert scores.agreement([labels, labels], [evidence] * 2, points) == (pytest.approx(1.0), 4)
    # The same words for everything say nothing; "in none" is a label like any other.
    assert scores.agreement([np.zeros_like(labels)] * 2, [evidence] * 2, points) == (pytest.approx(0.0), 4)
    none = np.where(labels == 1, -1, labels)
    assert scores.agreement([none, none], [evidence] * 2, points) == (pytest.approx(1.0), 4)
    assert scores.agreement([labels], [evidence], [{"beak": (0, 0)}]) == (None, 0)


def test_background_shares(halves) -> None:
    _, labels = halves
    ground = np.zeros((40, 60), bool)
    ground[10:15] = True
    shares = scores.background_shares([labels, np.full_like(labels, 1)], [ground, ground], 3)
    assert shares == [0.25, (100 + 300) / (400 + 2400), 0.0]
    grass = np.zeros((8, 9, 3), np.uint8)
    grass[:, :4] = (60, 160, 40)
    assert scores.background_like(grass, "grass")[:, [0, 8]].all(axis=0).tolist() == [True, False]
    snow = np.full((20, 30, 3), 230, np.uint8)
    snow[:, 15:] = 40
    assert scores.background_like(snow, "snow")[:, [0, 29]].all(axis=0).tolist() == [True, False]


@pytest.fixture
def maps() -> list[tuple[np.ndarray, ...]]:
    """Two stages of two images: channel 0 is on at the left, channel 1 at the right (of the second image: the other way)."""
    left = np.zeros((2, 4, 6), np.float32)
    left[0, :, :3] = left[1, :, 3:] = 1.0
    return [(np.repeat(np.repeat(one, 2, 1), 2, 2), one) for one in (left, left[:, :, ::-1].copy())]


@pytest.mark.parametrize("method", ["k-means", "concepts"])
def test_baselines_divide_evidence_by_its_features(halves, maps, method: str) -> None:
    evidence, labels = halves
    if method == "k-means":
        found = baselines.kmeans_labels(maps, [evidence, evidence], 2)
    else:
        pooled = np.array([[1, 0], [0, 1], [0.5, 0.5], [0, 2]], np.float32)
        found = baselines.concept_labels(pooled, maps, [evidence, evidence], 2)
    assert [one.shape for one in found] == [(40, 60)] * 2
    assert all(((one >= 0) == evidence).all() for one in found)
    left, right = found[0][20, 12], found[0][20, 48]
    assert {left, right} == {0, 1}
    away = np.abs(np.arange(60) + 0.5 - 30) > 3  # a grid cell is two pixels wide
    swapped = np.where(labels < 0, -1, np.where(labels == 0, right, left))
    np.testing.assert_array_equal(found[0][:, away], np.where(labels < 0, -1, np.where(labels == 0, left, right))[:, away])
    np.testing.assert_array_equal(found[1][:, away], swapped[:, away])


def test_concepts_that_are_nowhere_label_nothing(halves) -> None:
    evidence, _ = halves
    dark = [(np.zeros((2, 4, 6), np.float32),)]
    found = baselines.concept_labels(np.eye(2, dtype=np.float32), dark, [evidence], 2)
    assert (found[0] == -1).all()


def test_spherical_kmeans_follows_weights() -> None:
    rows = np.array([[1, 0], [0.6, 0.8], [0, 1]], np.float32)
    centers = baselines.spherical_kmeans(rows, np.array([1.0, 100.0, 1.0]), 1)
    expected = 1 * rows[0] + 100 * rows[1] + 1 * rows[2]
    np.testing.assert_allclose(centers, [expected / np.linalg.norm(expected)], atol=1e-6)
    assert len(baselines.spherical_kmeans(rows, np.ones(3), 5)) == 3


def test_crops_are_pooled_over_their_places() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, 4, 1),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(4, 2),
    )
    classifier = load_classifier(network.eval(), input_size=(3, 32, 48))
    views = [np.random.default_rng(k).integers(0, 255, (32, 48, 3), np.uint8) for k in range(2)]
    pooled = baselines.pooled_crops(classifier, views)
    assert pooled.shape == (2 * 36, 4)
    assert (pooled >= 0).all()


def test_groups_of_label_maps_become_summaries(halves) -> None:
    _, labels = halves
    second = labels.copy()
    second[12:14, 12:14] = 1  # a small piece of the other group
    summaries, regions = planted.as_summaries([labels, second])
    assert [len(summary.members) for summary in summaries] == [2, 2]
    assert [len(summary.cluster) for summary in summaries] == [2, 3]
    sizes = [[int(regions[member.region].mask.sum()) for member in summary.members] for summary in summaries]
    assert sizes == [[400, 396], [400, 400]]
    assert summaries[0].exemplar == summaries[0].members[0].region


def unit(half: str, **changes: Any) -> dict[str, Any]:
    return {
        "network": "a",
        "class": half,
        "half": half,
        "images": 5,
        "summaries": 4,
        "together": 0.9,
        "coverage": [1.0, 0.9, 0.8, 0.2],
        "beats_control": [True, False, True, True],
        "reproducible": [True, True, True, False],
        "agreement": {"default": 0.5, "k-means": 0.4, "concepts": 0.2, "concepts (10)": 0.25},
        **changes,
    }


def test_bars_are_judged_on_the_reported_half_with_all_beside() -> None:
    chosen = unit("chosen on", together=0.5, background=[0.9, 0.8, 0.3, 0.1])
    found = bars.photograph_bars([chosen, unit("reported"), {**unit("reported"), "agreement": None}])
    values = {one["name"]: (one["value"], one["holds"]) for one in found}
    assert values["agreement, above k-means of the evidence (reported half)"] == (pytest.approx(0.1), True)
    assert values["agreement, over that of concepts, the better of two numbers (all units)"] == (pytest.approx(2.0), True)
    assert values["together: least of a unit (reported half)"] == (0.9, True)
    assert values["together: least of a unit (all units)"] == (0.5, False)
    assert values["three most important summaries: coverage of the least (reported half)"] == (pytest.approx(0.8), True)
    assert values["share of reproducible summaries (all units)"] == (0.75, True)
    assert values["chosen on: background of a summary that beats its control (chosen on)"] == (0.9, True)
    without = bars.figures([unit("reported", coverage=[], summaries=0, together=0.0, reproducible=[])])
    assert (without["least_coverage"], without["together"], without["reproducible"]) == (0.0, 0.0, None)


def test_rows_of_photographs_can_be_written(tmp_path: Path) -> None:
    rows = bars.photograph_rows([unit("chosen on"), unit("reported", agreement=None)], [])
    assert [row["half"] for row in rows if row["set"] == "photographs"] == ["chosen on", "reported half", "all units"]
    assert len([row for row in rows if row["set"] == "unit"]) == 2
    harness.write({"rows": rows, "bars": [], "size": "quick"}, tmp_path / "parts.json")
    text = (tmp_path / "parts.json").read_text()
    assert json.loads(text) == {"rows": rows, "bars": [], "size": "quick"}
    assert len(text.splitlines()) == len(rows) + 6


def test_units_that_results_have_are_not_measured_again(tmp_path: Path) -> None:
    bird = {"network": "tiny", "class": CLASS_NAMES[3], "methods": {"default": [1], "paper": [2]}}
    jay = {"network": "efficientnet_lite0", "class": "017_Blue_Jay", "summaries": 5}
    found = {
        "size": "full",
        "settings": {"stages": parts.code_of_stages()},
        "photographs": [jay],
        "papers": [jay],
        "units": [bird],
    }
    known = parts.known_figures(found, "full")
    assert known == {
        "full/tiny_3": bird,
        "full/tiny_3-paper": [2],
        "full/photographs/efficientnet_lite0-017_Blue_Jay": jay,
        "full/photographs/efficientnet_lite0-017_Blue_Jay-paper": jay,
    }
    assert parts.known_figures(None, "full") == parts.known_figures(found, "quick") == {}
    assert parts.known_figures({**found, "settings": {"stages": "masks1"}}, "full") == {}
    assert parts.known_figures({**found, "settings": {}}, "full") == {}
    kept = harness.Finished(tmp_path, known=known)
    assert kept("full/tiny_3", ["other inputs"], lambda: pytest.fail("measured again")) == bird
    assert kept("full/tiny_4", [], lambda: 4) == 4


def test_crops_of_images_take_their_masks_along() -> None:
    network = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    classifier = load_classifier(network.eval(), input_size=(3, 40, 60))
    view = np.zeros((40, 60, 3), np.uint8)
    view[:, :30] = 255  # evidence is what is bright
    mask = SimpleNamespace(smooth=view[..., 0].astype(np.float16) / 255, sharp=view[..., 0].astype(np.float16) / 255)
    whole = made_mask(mask.sharp, 1.0, 0.0, 0.0, smooth=mask.smooth)
    image = results.Image(0, "a", "", view, 1.0, 0)
    images, masks = cost.enlarged(classifier, 0, [image], [whole], 6)
    assert [one.index for one in images] == list(range(6))
    for one, own in zip(images, masks, strict=True):
        assert one.view.shape == (40, 60, 3)
        np.testing.assert_array_equal(own.final > 0.5, one.view[..., 0] > 127.5)
    assert len({bool(one.view[20, 0, 0]) for one in images}) == 2  # some are mirrored


def test_what_is_timed_after_the_masks_is_all_that_a_run_does_after_them(striped_run: vs.Run, stripe_network) -> None:
    classifier = load_classifier(stripe_network)
    seconds = cost.stages_after_masks(classifier, cost.index_of(striped_run), striped_run.images, striped_run.masks)
    assert set(seconds) == set(striped_run.info.timings) - set(cost.BEFORE)


def test_views_pass_a_run_unchanged() -> None:
    """A transform that keeps 87.5 % of an image would cut views again, and their points would lie elsewhere."""
    network = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    cutting = load_classifier(network.eval(), input_size=(3, 40, 60), crop_pct=0.875)
    view = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    shown = units.as_shown(cutting)
    np.testing.assert_array_equal(shown.view(view), view)
    assert (cutting.view(view) != view).any()
