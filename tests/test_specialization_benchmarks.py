"""The benchmarks of specialization: their pure functions, by hand."""

from __future__ import annotations

import argparse

import numpy as np
import pytest

from benchmarks.specialization import few, figures, species


def test_looks_lie_inside_the_image() -> None:
    boxes = species.look_boxes(np.array([[[0.5, 0.5], [0.1, 1.0]]]), 0.4)
    assert boxes.tolist() == [[pytest.approx([0.3, 0.3, 0.7, 0.7]), pytest.approx([0.0, 0.6, 0.4, 1.0])]]
    assert species.look_boxes(np.array([0.2, 0.9]), 1.0).tolist() == [0, 0, 1, 1]


def test_held_out_images_are_the_same_for_all_counts() -> None:
    labels = np.repeat([0, 1], [40, 33])
    (five, test), (thirty, again) = species.split(labels, 5, 3), species.split(labels, 30, 3)
    assert np.bincount(labels[five]).tolist() == [5, 5]
    assert np.bincount(labels[test]).tolist() == [10, 3]
    assert test.tolist() == again.tolist()
    assert set(five) < set(thirty)
    assert not set(thirty) & set(test)
    assert np.bincount(labels[species.split(labels, 5, 3, held_out=2)[1]]).tolist() == [2, 2]


def test_points_and_their_box() -> None:
    parts = {"beak": [150.0, 40.0], "crown": [130.0, 20.0], "tail": [400.0, 90.0]}
    points = species.points_in((100, 0, 200), parts, ("crown", "throat", "beak"))
    assert points.tolist() == [pytest.approx([0.15, 0.1]), pytest.approx([0.25, 0.2])]
    assert species.box_around(points, 0.0).tolist() == [pytest.approx([0.15, 0.1, 0.25, 0.2])]
    assert species.box_around(points, 0.3).tolist() == [pytest.approx([0.05, 0.0, 0.35, 0.3])]
    assert species.box_around(species.points_in((100, 0, 200), parts, ("nape",)), 0.3).tolist() == [[0.25, 0.25, 0.75, 0.75]]
    assert species.points_in((100, 0, 200), parts, ("tail",)).tolist() == [pytest.approx([1.0, 0.45])]


def test_interval_over_splits() -> None:
    found = few.over_splits([1.0, 2.0, 3.0])
    # t(0.975, 2) = 4.3027; the standard error is 1 / sqrt(3).
    assert found["mean"] == pytest.approx(2)
    assert found["high"] == pytest.approx(2 + 4.3027 / 3**0.5, abs=1e-3)
    assert few.over_splits([1.5]) == {"mean": 1.5, "low": None, "high": None}


def made_split(network: str, count: int, seed: int, gain: float) -> dict:
    """Return a split where summaries gain so much over all controls, and half of it in mAP; the oracle gains 10."""
    names = [*few.CONTROLS, "oracle, found", "oracle"]
    accuracy = dict.fromkeys(names, 80.0 + seed) | {"summaries": 80.0 + seed + gain, "oracle": 90.0 + seed}
    accuracy["command"] = 80.0 + seed + gain
    precision = dict.fromkeys(names, 70.0) | {"summaries": 70.0 + gain / 2}
    return {"network": network, "count": count, "seed": seed, "accuracy": accuracy, "map": precision}


def test_bars_are_of_both_counts() -> None:
    gains = {("a", 5): (3, 4, 5), ("b", 5): (2, 3, 4), ("a", 15): (1, 1, 1), ("b", 15): (0, 1, 2), ("a", 30): (9, 9, 9)}
    splits = [made_split(*key, seed, gain) for key, own in gains.items() for seed, gain in enumerate(own)]
    rows = few.conclusions(splits)
    assert [(row["network"], row["count"], row["splits"]) for row in rows] == [(*key, 3) for key in gains]
    assert rows[0]["accuracy"]["head"] == pytest.approx(81)
    assert rows[0]["accuracy_over"]["grid"]["mean"] == pytest.approx(4)
    assert rows[0]["oracle_over"]["mean"] == pytest.approx(10)
    bars = few.bars_of(rows)
    assert [one["name"].partition(":")[0] for one in bars] == [f"{k} images of each class" for k in (5, 15) for _ in range(8)]
    # 3.5 points over the head; half of that in mAP; both intervals (mean 4 and 3, half width 2.48) are above 0.
    assert [one["value"] for one in bars[:8]] == pytest.approx([3.5, 3.5, 1.75, 2, 3.5, 3.5, 3.5, 3.5])
    assert all(one["holds"] for one in bars[:8])
    assert [one["value"] for one in bars[8:]] == pytest.approx([1, 1, 0.5, 1, 1, 1, 1, 1])
    assert not bars[8]["holds"]
    weak = few.bars_of(few.conclusions([made_split("a", 5, seed, -1) for seed in range(3)]))
    assert not any(one["holds"] for one in weak)


def test_options_take_the_place_of_what_a_size_measures() -> None:
    given = few.sized(argparse.Namespace(size="quick", counts=[15], seeds=None, networks=None, preset=None, design="looks"))
    assert given == few.SIZES["quick"] | {"counts": [15]}


def test_the_interval_of_a_gain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "RESAMPLES", 20)
    labels = np.repeat([0, 1, -1], 20)
    sure = np.stack([labels == 0, labels == 1], axis=1).astype(float)
    none = np.zeros_like(sure)  # as good as chance: a third of the images is of each class
    split = {"sha256": np.arange(60).astype(str), "labels": labels, "sure": sure, "none": none}
    gain = figures.interval_of([split, split], "sure", "none")
    assert gain["mean"] == pytest.approx(100 * (1 - 1 / 3))
    assert 50 < gain["low"] < gain["mean"] < gain["high"] < 85
    assert figures.interval_of([split], "none", "none") == {"mean": 0, "low": 0, "high": 0}
