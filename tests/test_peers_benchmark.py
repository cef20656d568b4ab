"""The peers benchmark: its figures and bars on maps, times and environments whose answer is known. The peer is not run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.parts.baselines import strongest
from benchmarks.peers import peers


@pytest.fixture
def outcome() -> Callable[..., Any]:
    def make(seconds: float, groups: int, **arrays: np.ndarray) -> Any:
        return peers.Outcome({"seconds": seconds, "importance": [0.1] * groups}, arrays)

    return make


@pytest.fixture
def two_images(outcome) -> tuple[list[dict[str, tuple[float, float]]], Any, Any]:
    """Points of two images of 20 x 40 pixels, CRAFT's outcome (left: concept 0, right: concept 1) and one of ours.

    Our evidence is the upper half, all of it in one summary. Beak and tail are in it, a foot is not.
    """
    points = [
        {"left eye": (5.0, 4.0), "tail": (35.0, 4.0), "foot": (5.0, 18.0)},
        {"right eye": (6.0, 3.0), "tail": (33.0, 5.0)},
    ]
    maps = np.zeros((2, 2, 4, 2), np.float32)
    maps[:, :, :2, 0] = maps[:, :, 2:, 1] = 1
    evidence = np.zeros((2, 20, 40), bool)
    evidence[:, :10] = True
    return points, outcome(10.0, 2, maps=maps), outcome(25.0, 1, evidence=evidence, labels=np.where(evidence, 0, -1))


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


def test_both_are_judged_at_the_same_points(two_images) -> None:
    points, craft, ours = two_images
    theirs, own = peers.compared(points, (2, 20, 40), craft, {"default": ours})
    assert (theirs["method"], own["method"], own["ratio"]) == ("CRAFT", "default", 2.5)
    assert (theirs["groups"], own["groups"]) == (2, 1)
    # In our evidence are two eyes and two tails: CRAFT tells them apart, one summary does not.
    assert (own["points"], own["points_of_all"]) == (4, 5)
    assert own["craft_agreement"] == pytest.approx(1)
    assert own["agreement"] == pytest.approx(0, abs=1e-9)
    # The foot is where CRAFT sees the eyes, and in none of ours.
    assert theirs["agreement_of_all"] == own["craft_agreement_of_all"] < 0.9
    assert own["agreement_of_all"] > own["agreement"]


def test_craft_alone(two_images) -> None:
    points, craft, _ = two_images
    rows = peers.compared(points, (2, 20, 40), craft, {})
    assert [row["method"] for row in rows] == ["CRAFT"]
    assert rows[0]["points_of_all"] == 5


def row(method: str, seconds: float, network: str = "mobilenetv2_100", **figures: float | None) -> dict[str, Any]:
    return {"network": network, "method": method, "seconds": seconds, **figures}


def test_bars_are_those_of_one_network() -> None:
    rows = [
        row("CRAFT", 10.0),
        row("default", 60.0, agreement=0.6, craft_agreement=0.5),
        row("quick", 9.0, agreement=0.5, craft_agreement=0.5),
        row("CRAFT", 20.0),
        row("default", 60.0, agreement=0.2, craft_agreement=0.1),
        row("quick", 22.0, agreement=None, craft_agreement=None),
        row("CRAFT", 1.0, "efficientnet_lite0"),
        row("default", 100.0, "efficientnet_lite0", agreement=0.0, craft_agreement=1.0),
        row("quick", 100.0, "efficientnet_lite0", agreement=1.0, craft_agreement=0.0),
    ]
    found = peers.peer_bars(rows, ["default", "quick"])
    # Seconds are added up before they are divided: 120 and 31 to 30. As good as CRAFT is not above it.
    assert [one["value"] for one in found] == [pytest.approx(value) for value in (4.0, 0.4, 31 / 30, 0.25)]
    assert [(one["bound"], one["sense"]) for one in found] == [(4.0, "<="), (pytest.approx(0.3), ">"), (1.0, "<="), (0.25, ">")]
    assert [one["holds"] for one in found] == [True, True, False, False]


def test_a_preset_that_was_not_measured_holds_no_bar() -> None:
    found = peers.peer_bars([row("CRAFT", 10.0)], ["default"])
    assert [(one["value"], one["holds"]) for one in found] == [(None, False)] * 2
    assert peers.peer_bars([row("CRAFT", 10.0)], []) == []


def test_quick_is_one_unit_of_the_network_that_is_judged() -> None:
    assert [unit.name for unit in peers.chosen_units("quick")] == ["mobilenetv2_100-011_European_Goldfinch"]
    names = [unit.name for unit in peers.chosen_units("full")]
    assert len(names) == 4
    assert all(name.startswith(peers.JUDGED) for name in names[:2])


def test_figures_are_rounded_wherever_they_are() -> None:
    assert peers.rounded([{"a": 0.123456, "b": [1.00001, None]}, 7]) == [{"a": 0.1235, "b": [1.0, None]}, 7]


def test_only_virtual_environments_are_replaced(tmp_path, monkeypatch) -> None:
    made = []
    monkeypatch.setattr(peers.venv, "create", lambda folder, **_: made.append(folder))
    monkeypatch.setattr(peers.subprocess, "run", lambda command, **_: made.append(command[-1]))
    (tmp_path / "letters.txt").write_text("mine")
    with pytest.raises(SystemExit, match="is no virtual environment"):
        peers.peer_python(tmp_path)
    assert made == []
    assert (tmp_path / "letters.txt").exists()


def test_an_environment_is_made_once(tmp_path, monkeypatch) -> None:
    made = []
    folder = tmp_path / "peer"
    packages = Path(peers.sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)}))
    monkeypatch.setattr(peers.venv, "create", lambda _, **__: packages.mkdir(parents=True))
    monkeypatch.setattr(peers.subprocess, "run", lambda command, **_: made.append(command))
    python = peers.peer_python(folder)
    assert python.is_relative_to(folder)
    # The peer comes without the packages that it asks for; what follows asks for them.
    assert made[0][-2:] == ["--no-deps", peers.PEER]
    assert made[1][-len(peers.PACKAGES) :] == list(peers.PACKAGES)
    # This project's packages come behind those of the environment.
    assert (packages / "project.pth").read_text().strip() == str(Path(torch.__file__).parents[1])
    assert peers.peer_python(folder) == python
    assert len(made) == 2
    (folder / "pyvenv.cfg").touch()
    (folder / "made-of.json").write_text(json.dumps(["another peer"]))
    monkeypatch.setattr(peers.venv, "create", lambda _, **__: None)
    peers.peer_python(folder)
    assert len(made) == 4
