"""Heads on few images and shared parts: scikit-learn as reference, and parts whose places are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from visual_summaries.flow.feature_maps import Layer
from visual_summaries.specialization import heads, looks
from visual_summaries.specialization.examples import Examples, PartExamples
from visual_summaries.specialization.learning import cut


def test_head_is_that_of_the_whole_space_and_survives_as_a_layer() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(30) % 3
    raw = rng.normal(size=(30, 50)) + np.eye(3)[labels] @ rng.normal(size=(3, 50))
    center, scale = heads.standard(raw)
    x = (raw - center) / scale
    assert (x**2).sum(axis=1).mean() == pytest.approx(1)
    folds = cut(labels, 5, 0)
    head = heads.fit_head(x, labels, folds)
    whole = heads._logistic(head.strength).fit(x, labels)
    assert np.allclose(head(x), whole.decision_function(x), atol=0.01 * np.abs(head(x)).max())
    left = folds == 2
    without = heads._logistic(head.strength).fit(x[~left], labels[~left])
    assert np.allclose(head.held_out[left], without.decision_function(x[left]), atol=0.01 * np.abs(head(x)).max())
    layer = head.layer(center, scale)
    assert np.allclose(layer(torch.from_numpy(raw).float()).numpy(), head(x), atol=1e-3 * np.abs(head(x)).max())


def test_strength_is_weak_for_noise_and_strong_for_clear_classes() -> None:
    rng = np.random.default_rng(1)
    labels = np.arange(45) % 3
    folds = cut(labels, 5, 0)
    noise = heads.as_block(rng.normal(size=(45, 20)), np.arange(45))
    clear = heads.as_block(np.column_stack([noise, 3 * np.eye(3)[labels]]), np.arange(45))
    assert heads.fit_head(noise, labels, folds).strength == heads.STRENGTHS[0]
    assert heads.fit_head(clear, labels, folds).strength > heads.STRENGTHS[0]


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
    cells = looks.fit_cells(examples.maps, training)(examples.maps)
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
    weights = heads.stack([one, other, rng.normal(size=(60, 3))], labels)

    def likelihood(*own: float) -> float:
        mixed = sum(w * heads.log_softmax(x) for w, x in zip(own, (one, other), strict=True))
        return float(heads.log_softmax(mixed)[np.arange(60), labels].mean())

    best = max((likelihood(a, b), a, b) for a in np.arange(0.5, 4, 0.1) for b in np.arange(0.5, 4, 0.1))
    assert weights[:2] == pytest.approx(best[1:], abs=0.15)
    assert weights[2] < 0.2


def test_weights_of_channels_are_those_of_the_reader(spotted) -> None:
    examples, boxes = spotted
    training = np.arange(12)
    reader = looks.fit_cells(examples.maps, training)
    cells = reader(examples.maps)
    detector = looks.train_shared(cells, {i: boxes[i, 0][None] for i in training}, training)
    assert detector is not None
    weights, bias = reader.weights(detector)
    raw = examples.maps[0].permute(0, 2, 3, 1).numpy() / reader.scales[0]
    expected = detector.decision_function(cells.reshape(-1, 5))
    assert np.allclose((raw @ weights + bias).ravel(), expected, atol=1e-3 * np.abs(expected).max())
