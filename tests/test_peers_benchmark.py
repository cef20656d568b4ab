"""The peers benchmark: its figures and bars on maps, times and environments whose answer is known. The peers are not run."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.parts import heatmaps
from benchmarks.parts.baselines import strongest
from benchmarks.parts.heatmaps import grad_cam, heat_clusters, spray_labels
from benchmarks.peers import ace, figures, peers, processes
from visual_summaries.classifiers import Classifier, ViewTransform, resolve_target
from visual_summaries.masks.scorer import Scorer
from visual_summaries.settings.masks import MaskSettings

Labels = dict[str, np.ndarray]


@pytest.fixture
def two_images() -> tuple[list[dict[str, tuple[float, float]]], Labels, Labels]:
    """Points of two images of 20 x 40 pixels, labels of two methods, and our evidence.

    The peer tells left from right, everywhere. Our evidence is the upper half, all of it in one summary. Beak and tail are in
    it, a foot is not.
    """
    points = [
        {"left eye": (5.0, 4.0), "tail": (35.0, 4.0), "foot": (5.0, 18.0)},
        {"right eye": (6.0, 3.0), "tail": (33.0, 5.0)},
    ]
    evidence = np.zeros((2, 20, 40), bool)
    evidence[:, :10] = True
    sides = np.repeat([0, 1], 20)
    return points, {"default": np.where(evidence, 0, -1), "CRAFT": np.broadcast_to(sides, (2, 20, 40))}, {"default": evidence}


def measured(two_images: Any, **seconds: float) -> dict[str, dict[str, Any]]:
    points, labels, evidence = two_images
    facts = {name: {"seconds": seconds.get(name, 10.0)} for name in labels}
    rows = figures.compared(points, labels, evidence, facts, dict.fromkeys(labels, 0.5))
    return {row["method"]: row for row in rows}


def test_a_pixel_takes_the_strongest_concept() -> None:
    heat = np.zeros((1, 3, 2), np.float32)
    heat[0, 0], heat[0, 1] = (1, 3), (2, 1)  # the third place has none
    pixels = np.ones((1, 3), bool)
    assert strongest(heat, pixels).tolist() == [[1, 0, -1]]
    pixels[0, 1] = False
    assert strongest(heat, pixels).tolist() == [[1, -1, -1]]
    # Between two places, 2 and 6 pixels from the left, 1 to 2 and 3 to 1 are interpolated: they meet after two thirds, at 4.7.
    wide = strongest(heat[:, :2], np.ones((2, 8), bool))
    assert wide.tolist() == [[1, 1, 1, 1, 1, 0, 0, 0]] * 2


def test_all_are_judged_at_the_same_points(two_images) -> None:
    rows = measured(two_images, default=25.0)
    ours, theirs = rows["default"], rows["CRAFT"]
    assert (ours["ratio"], theirs["ratio"], ours["together"]) == (2.5, 1.0, 0.5)
    assert (ours["groups"], theirs["groups"]) == (1, 2)
    # In our evidence are two eyes and two tails: the peer tells them apart, one summary does not.
    assert ours["points"] == theirs["points"] == {"default": 4, "all": 5}
    assert theirs["agreement"] == pytest.approx(1)
    assert ours["agreement"] == pytest.approx(0, abs=1e-9)
    # The foot is where the peer sees the eyes, and in none of ours.
    assert theirs["agreement_of_all"] < 0.9
    assert ours["agreement_of_all"] > ours["agreement"]
    assert (ours["area"], theirs["area"], ours["coverage"], theirs["coverage"]) == (0.5, 1.0, 1.0, 1.0)


def test_peers_alone(two_images) -> None:
    points, labels, _ = two_images
    rows = figures.compared(points, {"CRAFT": labels["CRAFT"]}, {}, {"CRAFT": {"seconds": 1.0}}, {"CRAFT": 1.0})
    assert [(row["method"], row["agreement"], row["points"]) for row in rows] == [("CRAFT", None, {"all": 5})]


def test_a_group_of_a_few_pixels_is_not_in_an_image() -> None:
    labels = np.full((2, 50, 50), -1)  # 2500 pixels: one is .0004 of them, two are .0008
    labels[0, 0, 0] = labels[1, 0, 0] = labels[1, 0, 1] = 0
    assert figures.coverage(list(labels), 1) == [0.5]


class Patches(nn.Module):
    """Class 1 by how red the left half is, times how red the right half is."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        halves = x[:, 0].reshape(len(x), x.shape[2], 2, -1).mean((1, 3))
        score = 20 * halves.prod(dim=1) - 10
        return torch.stack([-score, score], dim=1)


def test_what_is_taken_together() -> None:
    classifier = Classifier(Patches(), transform=ViewTransform((8, 8), mean=(0,) * 3, std=(1,) * 3))
    scorer = Scorer(classifier, resolve_target(classifier, 1), MaskSettings(infill="black"))
    view = np.zeros((8, 8, 3), np.uint8)
    view[..., 0] = 255
    nothing, half = np.full((8, 8), -1), np.full((8, 8), -1)
    half[:, 4:] = 3
    taken = figures.together(scorer, [view, view], {"none": [nothing] * 2, "half": [half] * 2, "first": [half, nothing]})
    assert taken["none"] == pytest.approx(0, abs=1e-6)
    assert taken["half"] == pytest.approx(1, abs=1e-3)
    assert taken["first"] == pytest.approx(taken["half"] / 2)


def row(method: str, seconds: float, network: str = "mobilenetv2_100", **agreement_in: float | None) -> dict[str, Any]:
    return {"kind": "unit", "network": network, "method": method, "seconds": seconds, "agreement_in": agreement_in}


ROWS = [
    row("CRAFT", 10.0, default=0.5, quick=0.5),
    row("ACE", 50.0, default=0.1, quick=0.1),
    row("default", 60.0, default=0.6, quick=0.1),
    row("quick", 9.0, default=0.1, quick=0.5),
    row("CRAFT", 20.0, default=0.1, quick=None),
    row("ACE", 50.0, default=0.9, quick=0.1),
    row("default", 60.0, default=0.2, quick=0.1),
    row("quick", 22.0, default=0.1, quick=None),
    row("CRAFT", 1.0, "efficientnet_lite0", default=1.0, quick=0.0),
    row("default", 100.0, "efficientnet_lite0", default=0.0, quick=0.0),
]


def test_bars_are_those_of_one_network() -> None:
    found = figures.peer_bars(
        [*ROWS, {"kind": "relevance", "network": "mobilenetv2_100", "method": "zennit-crp"}], ["default", "quick"]
    )
    # Seconds are added up before they are divided: 120 and 31 to 30. As good as CRAFT is not above it.
    assert [one["value"] for one in found] == [pytest.approx(value) for value in (4.0, 0.4, 0.4, 31 / 30, 0.25, 0.25)]
    assert [one["bound"] for one in found] == [pytest.approx(value) for value in (4.0, 0.3, 0.5, 1.0, 0.25, 0.1)]
    assert [one["holds"] for one in found] == [True, True, False, False, False, True]
    assert found[2]["name"] == "default: agreement with part points above ACE's"


def test_a_preset_that_was_not_measured_holds_no_bar() -> None:
    found = figures.peer_bars(ROWS[:1], ["default"])
    assert [(one["value"], one["holds"]) for one in found] == [(None, False)] * 2
    assert figures.peer_bars(ROWS[:1], []) == []


def test_means_of_methods_with_what_is_known_of_shortcuts(two_images) -> None:
    units = [{"kind": "unit", "processor_seconds": 1.0, **row} for row in measured(two_images, CRAFT=30.0).values()]
    units += [{**row, "seconds": 20.0, "agreement": None} for row in units]
    halves = [{"half": "choose", "found": 0.1}, {"half": "report", "found": 0.5, "accused": 0.0, "spray": 0.25, "craft": 0.125}]
    default, craft = figures.mean_rows(
        [*units, {"kind": "relevance"} | units[0]][:4], figures.shortcut_figures({"halves": halves})
    )
    assert (default["units"], default["seconds"], default["needs"]) == (2, 15.0, "nothing")
    assert (default["shortcut_found"], default["accused"]) == (0.5, 0.0)
    assert (craft["seconds"], craft["agreement"], craft["shortcut_found"]) == (25.0, pytest.approx(1), 0.125)
    assert "accused" not in craft
    assert figures.shortcut_figures(None) == {}


def test_ace_keeps_no_copy_of_a_coarser_superpixel(monkeypatch) -> None:
    view = np.random.default_rng(0).integers(0, 255, (60, 60, 3)).astype(np.uint8)
    monkeypatch.setattr(ace, "SEGMENTS", (4,))
    once = ace.superpixels(view)
    monkeypatch.setattr(ace, "SEGMENTS", (4, 4, 30))
    found = ace.superpixels(view)
    assert len(once) > 1
    assert [one.sum() for one in found[: len(once)]] == [one.sum() for one in once]
    # the same resolution again adds nothing, a finer one does
    assert len(found) > len(once)
    assert max(one.sum() for one in found[len(once) :]) < min(one.sum() for one in once)


def test_an_ace_patch_is_gray_but_for_its_superpixel() -> None:
    view = np.full((20, 20, 3), 200, np.uint8)
    segment = np.zeros((20, 20), bool)
    segment[5:15, 5:10] = segment[5:10, 5:15] = True  # an L, turned
    found = ace.patch(view, segment)
    assert found.shape == (20, 20, 3)
    assert (found[2, 2], found[17, 17]) == (pytest.approx([200] * 3), pytest.approx([117] * 3))


def test_ace_drops_rare_clusters_and_what_is_far_from_a_center(monkeypatch) -> None:
    monkeypatch.setattr(ace, "CLUSTERS", 3)
    monkeypatch.setattr(ace, "NEAREST", 4)
    # five patches of five images near 0, three of three near 10, two of one near 20
    features = np.array([[0.0], [0.1], [-0.1], [0.2], [2.0], [10], [10], [10], [20], [20]], np.float32)
    owners = np.array([0, 1, 2, 3, 4, 0, 1, 2, 0, 0])
    groups, distances = ace.grouped(features, owners, 5)
    assert groups.tolist() == [0, 0, 0, 0, -1, 1, 1, 1, -1, -1]
    assert distances[4] == pytest.approx(2 - 2.2 / 5, abs=1e-5)


def test_a_pixel_takes_the_ace_concept_nearest_to_its_center() -> None:
    segments = [np.array([[True, True, False, False]]), np.array([[False, True, True, False]]), np.ones((1, 4), bool)]
    found = ace.nearest_label(segments, np.array([0, 1, -1]), np.array([0.1, 0.2, 0.0]))
    assert found.tolist() == [[0, 0, 1, -1]]


def test_heat_maps_of_two_kinds_make_two_clusters() -> None:
    left = np.zeros((28, 28), np.float32)
    left[8:20, 2:10] = 1
    right = left[:, ::-1].copy()
    heats = [left, right] * 5
    groups = heat_clusters(heats, 2)
    assert len(set(groups[::2])) == len(set(groups[1::2])) == 1
    assert groups[0] != groups[1]
    labels = spray_labels(heats, 2)
    assert set(np.unique(labels[0])) == {-1, groups[0]}
    assert (labels[1][8:20, 18:26] == groups[1]).all()


def test_grad_cam_is_hot_where_the_class_is(monkeypatch) -> None:
    monkeypatch.setattr(heatmaps, "deep_descriptor", lambda _: SimpleNamespace(layers=[SimpleNamespace(name="1")]))
    net = nn.Sequential(nn.Conv2d(3, 2, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2))
    with torch.no_grad():
        net[0].weight.zero_()
        net[0].bias.zero_()
        net[0].weight[0, 0, 1, 1] = net[0].weight[1, 2, 1, 1] = 1  # red, blue
        net[4].weight.copy_(torch.eye(2))
    classifier = Classifier(net, transform=ViewTransform((32, 32), mean=(0,) * 3, std=(1,) * 3))
    view = np.zeros((32, 32, 3), np.uint8)
    view[:16, :, 0] = view[16:, :, 2] = 255
    red, blue = (grad_cam(classifier, [view], target)[0] for target in (0, 1))
    # the mean over the map's places is what the class asks of each: a place counts 1 of 1024
    assert red[:16] == pytest.approx(np.full((16, 32), 1 / 1024))
    assert blue[16:] == pytest.approx(np.full((16, 32), 1 / 1024))
    assert red[16:].max() == blue[:16].max() == 0


def test_quick_is_one_unit_of_the_network_that_is_judged() -> None:
    assert [unit.name for unit in peers.chosen_units("quick")] == ["mobilenetv2_100-011_European_Goldfinch"]
    names = [unit.name for unit in peers.chosen_units("full")]
    assert len(names) == 4
    assert {unit.half for unit in peers.chosen_units("full")} == {"reported"}
    assert all(name.startswith(figures.JUDGED) for name in names[:2])


def test_figures_are_rounded_wherever_they_are() -> None:
    assert peers.rounded([{"a": 0.123456, "b": [1.00001, None]}, 7]) == [{"a": 0.1235, "b": [1.0, None]}, 7]


def test_only_virtual_environments_are_replaced(tmp_path, monkeypatch) -> None:
    made = []
    monkeypatch.setattr(processes.venv, "create", lambda folder, **_: made.append(folder))
    monkeypatch.setattr(processes.subprocess, "run", lambda command, **_: made.append(command[-1]))
    (tmp_path / "letters.txt").write_text("mine")
    with pytest.raises(SystemExit, match="is no virtual environment"):
        processes.peer_python(tmp_path, processes.CRAFT)
    assert made == []
    assert (tmp_path / "letters.txt").exists()


def test_an_environment_is_made_once(tmp_path, monkeypatch) -> None:
    made = []
    folder = tmp_path / "peer"
    packages = Path(processes.sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)}))
    monkeypatch.setattr(processes.venv, "create", lambda _, **__: packages.mkdir(parents=True))
    monkeypatch.setattr(processes.subprocess, "run", lambda command, **_: made.append(command))
    python = processes.peer_python(folder, processes.CRAFT)
    assert python.is_relative_to(folder)
    # The peer comes without the packages that it asks for; what follows asks for them.
    assert made[0][-2:] == ["--no-deps", processes.CRAFT.package]
    assert made[1][-len(processes.CRAFT.packages) :] == list(processes.CRAFT.packages)
    # This project's packages come behind those of the environment.
    assert (packages / "project.pth").read_text().strip() == str(Path(torch.__file__).parents[1])
    assert processes.peer_python(folder, processes.CRAFT) == python
    assert len(made) == 2
    (folder / "pyvenv.cfg").touch()
    (folder / "made-of.json").write_text(json.dumps(["another peer"]))
    monkeypatch.setattr(processes.venv, "create", lambda _, **__: None)
    processes.peer_python(folder, processes.CRAFT)
    assert len(made) == 4
