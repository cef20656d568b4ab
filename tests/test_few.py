"""The benchmark of few training images: its pure functions, by hand."""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.specialization import few, looks, species
from visual_summaries.flow.feature_maps import Layer
from visual_summaries.specialization.examples import Examples, PartExamples
from visual_summaries.specialization.learning import cut


def test_looks_lie_inside_the_image() -> None:
    boxes = looks.look_boxes(np.array([[[0.5, 0.5], [0.1, 1.0]]]), 0.4)
    assert boxes.tolist() == [[pytest.approx([0.3, 0.3, 0.7, 0.7]), pytest.approx([0.0, 0.6, 0.4, 1.0])]]
    assert looks.look_boxes(np.array([0.2, 0.9]), 1.0).tolist() == [0, 0, 1, 1]


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


def test_head_is_that_of_the_whole_space_and_survives_as_a_layer() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(30) % 3
    raw = rng.normal(size=(30, 50)) + np.eye(3)[labels] @ rng.normal(size=(3, 50))
    center, scale = looks.standard(raw)
    x = (raw - center) / scale
    assert (x**2).sum(axis=1).mean() == pytest.approx(1)
    folds = cut(labels, 5, 0)
    head = looks.fit_head(x, labels, folds)
    whole = looks._logistic(head.strength).fit(x, labels)
    assert np.allclose(head(x), whole.decision_function(x), atol=0.01 * np.abs(head(x)).max())
    left = folds == 2
    without = looks._logistic(head.strength).fit(x[~left], labels[~left])
    assert np.allclose(head.held_out[left], without.decision_function(x[left]), atol=0.01 * np.abs(head(x)).max())
    layer = head.layer(center, scale)
    assert np.allclose(layer(torch.from_numpy(raw).float()).numpy(), head(x), atol=1e-3 * np.abs(head(x)).max())


def test_strength_is_weak_for_noise_and_strong_for_clear_classes() -> None:
    rng = np.random.default_rng(1)
    labels = np.arange(45) % 3
    folds = cut(labels, 5, 0)
    noise = looks.as_block(rng.normal(size=(45, 20)), np.arange(45))
    clear = looks.as_block(np.column_stack([noise, 3 * np.eye(3)[labels]]), np.arange(45))
    assert looks.fit_head(noise, labels, folds).strength == looks.STRENGTHS[0]
    assert looks.fit_head(clear, labels, folds).strength > looks.STRENGTHS[0]


@pytest.fixture
def spotted() -> tuple[Examples, np.ndarray]:
    """Images of two classes with a head (channel 0) and a tail (channel 1) in other places; channels 2 and 3 tell the class."""
    rng = np.random.default_rng(0)
    count, cells = 20, 8
    labels = np.arange(count) % 2
    maps = torch.from_numpy(0.05 * rng.random((count, 5, cells, cells)).astype(np.float32))
    maps[:, 4] += 1  # background
    corners = np.stack([rng.integers(0, 4, count), rng.integers(0, 7, count), rng.integers(4, 7, count)], 1)
    boxes = []
    for image, (row, column, below) in enumerate(corners):
        for channel, top in ((0, row), (1, below)):
            maps[image, channel, top : top + 2, column : column + 2] += 2
            maps[image, 2 + labels[image], top : top + 2, column : column + 2] += 1
            maps[image, 4, top : top + 2, column : column + 2] -= 1
        boxes.append([[column / 8, top / 8, (column + 2) / 8, (top + 2) / 8] for top in (row, below)])
    found = np.array(boxes, np.float32)
    parts = [
        PartExamples(owner, number, "", {i: found[i, number][None] for i in range(count) if labels[i] == owner})
        for owner in (0, 1)
        for number in ((0, 1) if owner == 0 else (1, 0))
    ]
    layer = Layer("0", 0, "nchw", (cells, cells), 5)
    examples = Examples(
        tuple(str(i) for i in range(count)), labels, np.zeros((count, 2), np.float32), (maps,), (layer,), (0, 1), tuple(parts)
    )
    return examples, found


def test_parts_are_shared_by_classes(spotted) -> None:
    examples, boxes = spotted
    groups = looks.shared_parts(examples, 2, 0)
    assert len(groups) == 2
    assert all(sorted(own) == list(range(20)) for own in groups)
    first = 0 if np.allclose(groups[0][0][0], boxes[0, 0]) else 1
    for image in range(20):
        assert np.allclose(groups[first][image], boxes[image, 0])
        assert np.allclose(groups[1 - first][image], boxes[image, 1])
    assert looks.shared_parts(replace(examples, parts=()), 2, 0) == []


def test_detectors_find_shared_parts_in_images_they_have_not_seen(spotted) -> None:
    examples, boxes = spotted
    training = np.arange(12)
    parts = [{i: boxes[i, k][None] for i in training} for k in (0, 1)]
    cells = looks.cells_of(examples.maps, training)
    assert cells.shape == (20, 8, 8, 5)
    found = looks.find_parts(cells, parts, training, cut(examples.labels[training], 3, 0))
    true = (boxes[:, :, :2] + boxes[:, :, 2:]) / 2
    assert np.abs(found - true).max() < 0.07  # half a cell is 0.0625
    nowhere = looks.find_parts(cells, [{}], training, cut(examples.labels[training], 3, 0))
    assert (nowhere == 0.5).all()


def test_weights_are_those_of_the_best_held_out_likelihood() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    one, other = (2 * np.eye(3)[labels] + rng.normal(size=(60, 3)) for _ in range(2))
    weights = looks.stack([one, other, rng.normal(size=(60, 3))], labels)

    def likelihood(*own: float) -> float:
        mixed = sum(w * looks.log_softmax(x) for w, x in zip(own, (one, other), strict=True))
        return float(looks.log_softmax(mixed)[np.arange(60), labels].mean())

    best = max((likelihood(a, b), a, b) for a in np.arange(0.5, 4, 0.1) for b in np.arange(0.5, 4, 0.1))
    assert weights[:2] == pytest.approx(best[1:], abs=0.15)
    assert weights[2] < 0.2


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
    assert [one["name"].partition(":")[0] for one in bars] == [f"{k} images of each class" for k in (5, 15) for _ in range(7)]
    # 3.5 points over the head; half of that in mAP; both intervals (mean 4 and 3, half width 2.48) are above 0.
    assert [one["value"] for one in bars[:7]] == pytest.approx([3.5, 1.75, 2, 3.5, 3.5, 3.5, 3.5])
    assert all(one["holds"] for one in bars[:7])
    assert [one["value"] for one in bars[7:]] == pytest.approx([1, 0.5, 1, 1, 1, 1, 1])
    assert not bars[7]["holds"]
    weak = few.bars_of(few.conclusions([made_split("a", 5, seed, -1) for seed in range(3)]))
    assert not any(one["holds"] for one in weak)


def test_options_take_the_place_of_what_a_size_measures() -> None:
    given = few.sized(argparse.Namespace(size="quick", counts=[15], seeds=None, networks=None, preset=None, design="looks"))
    assert given == few.SIZES["quick"] | {"counts": [15]}
