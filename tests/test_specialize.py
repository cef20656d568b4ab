"""Specializing: a network whose right detector is known, exact windows, what fusion may do, files, and the page."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from sklearn.metrics import average_precision_score
from torch import nn

import visual_summaries as vs
from benchmarks.made_runs import run_of_boxes
from visual_summaries.cli import main
from visual_summaries.errors import ClassifierError, NoImagesError, RunError
from visual_summaries.pages.specialized import render_page
from visual_summaries.results import ClassifierInfo, Run, TargetInfo
from visual_summaries.runs.directory import save_run
from visual_summaries.specialization import Specialization, SpecializedNetwork, SpecializeSettings
from visual_summaries.specialization.detectors import best_windows, described, scores_of, sigmoid, train_detector
from visual_summaries.specialization.examples import best_matches, gather_examples
from visual_summaries.specialization.files import read_description
from visual_summaries.specialization.fusion import choose_shift, fit_fusion, fit_logistic, margins
from visual_summaries.specialization.learning import ablate, best_scores, cut, learn, parts_of, train_detectors
from visual_summaries.specialization.windows import bounded, place_weights, pool, slide, span_weights

if TYPE_CHECKING:
    from playwright.sync_api import Page

#: Height and width of the images, and the side of their red patch.
SIZE, PATCH = (48, 64), 16
NAMES = ("patch", "plain", "other")


class MeanRed(nn.Module):
    """A network that asks how red an image is on the whole: it cannot tell a red patch from a reddish image, its maps can."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.AvgPool2d(4)
        self.scale = nn.Parameter(torch.tensor(40.0))
        self.pretrained_cfg = {
            "input_size": (3, *SIZE),
            "mean": (0.0, 0.0, 0.0),
            "std": (1.0, 1.0, 1.0),
            "crop_pct": 1.0,
            "interpolation": "bilinear",
            "label_names": NAMES,
        }

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = self.cells(x).mean(dim=(2, 3))
        red = self.scale * (mean[:, 0] - mean[:, 1]) - 3
        return torch.stack([red, torch.zeros_like(red), 10 * mean[:, 2] - 8], dim=1)


def mean_red() -> MeanRed:
    return MeanRed().eval()


@dataclass(frozen=True)
class Drawn:
    """Images with the boxes of their red patches, if they have any."""

    images: list[np.ndarray]
    boxes: list[tuple[int, int, int, int]]


def draw(count: int, patch: bool, seed: int) -> Drawn:
    """Draw images that are equally red on the whole: in one patch, or a little in one half."""
    rng = np.random.default_rng(seed)
    height, width = SIZE
    images, boxes = [], []
    for _ in range(count):
        image = rng.normal(110, 6, (height, width, 3))
        red = rng.uniform(150, 230)
        if patch:
            y, x = int(rng.integers(0, height - PATCH)), int(rng.integers(0, width - PATCH))
            image[y : y + PATCH, x : x + PATCH] += [red / 2, -red / 2, -red / 2]
            boxes.append((x, y, x + PATCH, y + PATCH))
        else:
            half = slice(0, width // 2) if rng.random() < 0.5 else slice(width // 2, width)
            image[:, half, 0] += 2 * red * PATCH**2 / (height * width)
        images.append(image.clip(0, 255).astype(np.uint8))
    return Drawn(images, boxes)


def make_run(classifier: vs.Classifier, drawn: Drawn, boxes: list[tuple[int, int, int, int]] | None = None) -> Run:
    """Make the run whose one summary is the patch (or other boxes)."""
    return run_of_boxes(classifier, TargetInfo(0, "patch"), drawn.images, drawn.boxes if boxes is None else boxes)


SETTINGS = SpecializeSettings(folds=3, rounds=1, confused=20, others=10, apply=False)


@pytest.fixture(scope="module")
def classifier() -> vs.Classifier:
    return vs.load_classifier(mean_red())


@pytest.fixture(scope="module")
def run(classifier: vs.Classifier) -> Run:
    return make_run(classifier, draw(24, True, 0))


@pytest.fixture(scope="module")
def result(classifier: vs.Classifier, run: Run) -> Specialization:
    return vs.specialize(run, classifier, draw(40, False, 1).images, settings=SETTINGS)


@pytest.fixture(scope="module")
def fresh() -> tuple[np.ndarray, np.ndarray]:
    """New images, and which of them have a patch."""
    with_patch, without = draw(20, True, 2), draw(30, False, 3)
    return np.stack(with_patch.images + without.images), np.repeat([True, False], [20, 30])


def scores(classifier: vs.Classifier, images: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return classifier.logits(classifier.to_tensor(images)).numpy()


# --- the right detector is found -------------------------------------------------------------------------------------


def test_the_network_gets_better_on_new_images(
    classifier: vs.Classifier, result: Specialization, fresh: tuple[np.ndarray, np.ndarray]
) -> None:
    images, labels = fresh
    before, after = (margins(scores(one, images), 0) for one in (classifier, result.classifier))
    assert average_precision_score(labels, before) < 0.7  # it cannot tell them
    assert average_precision_score(labels, after) > 0.99
    assert not result.unchanged
    one = result.classes[0]
    assert one.after.precision > 0.95 > 0.8 > one.before.precision
    assert one.after.right >= one.before.right
    assert one.shifted.precision == pytest.approx(one.before.precision)  # a constant cannot move it


def test_the_detector_is_the_known_one_and_finds_the_patch(result: Specialization) -> None:
    red, green, blue = result.module.detectors_0[0].tolist()
    assert red > max(green, blue)  # a window counts as the patch for being red and not gray
    kinds = torch.nn.functional.normalize(torch.tensor([[205.0, 15, 15], [110, 110, 110], [145, 110, 110]]), dim=1)
    values = (kinds @ result.module.detectors_0[0] + result.module.bias).tolist()
    assert values[0] > 0 > max(values[1:])
    drawn = draw(12, True, 5)
    classifier = result.classifier
    x = classifier.to_tensor(np.stack(drawn.images))
    maps = [torch.nn.functional.normalize(nn.AvgPool2d(4)(x), dim=1)]
    values = slide(maps, [result.module.detectors_0], result.module.bias, result.module.sizes, 14)
    for (x0, y0, x1, y1), own in zip(drawn.boxes, values[:, 0], strict=True):
        _, row, column = np.unravel_index(int(own.flatten().argmax()), own.shape)
        assert x0 - 4 <= (column + 0.5) / 14 * SIZE[1] <= x1 + 4
        assert y0 - 4 <= (row + 0.5) / 14 * SIZE[0] <= y1 + 4


def test_other_logits_are_untouched_and_offsets_bounded(
    classifier: vs.Classifier, result: Specialization, fresh: tuple[np.ndarray, np.ndarray]
) -> None:
    images = np.concatenate([fresh[0], np.zeros((1, *SIZE, 3), np.uint8), np.full((1, *SIZE, 3), (255, 0, 0), np.uint8)])
    before, after = scores(classifier, images), scores(result.classifier, images)
    np.testing.assert_array_equal(before[:, 1:], after[:, 1:])
    shift = float(result.module.shifts[0])
    assert np.abs(after[:, 0] - before[:, 0] - shift).max() <= SETTINGS.offset_limit + 1e-5
    assert abs(shift) <= SETTINGS.offset_limit
    assert np.abs(after[:, 0] - before[:, 0]).max() > 0.1


def test_the_users_network_is_left_as_it_was(run: Run, classifier: vs.Classifier) -> None:
    module = classifier.module
    before = copy.deepcopy(module.state_dict())
    made = vs.specialize(run, classifier, draw(12, False, 1).images, settings=SETTINGS)
    scores(made.classifier, np.stack(draw(2, True, 9).images))
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    assert not any(one._forward_hooks for one in module.modules())
    assert module.scale.requires_grad


def test_nothing_is_added_where_parts_tell_nothing(classifier: vs.Classifier, caplog: pytest.LogCaptureFixture) -> None:
    drawn = draw(20, False, 0)  # no patch in any image: its "parts" are everywhere
    rng = np.random.default_rng(0)
    corners = [(int(rng.integers(0, 48)), int(rng.integers(0, 32))) for _ in drawn.images]
    run = make_run(classifier, drawn, [(x, y, x + 16, y + 16) for x, y in corners])
    made = vs.specialize(run, classifier, draw(40, False, 1).images, settings=SETTINGS)
    assert made.unchanged
    assert made.classifier is classifier
    assert "unchanged" in caplog.text
    images = np.stack(drawn.images)
    x = classifier.to_tensor(images)
    with torch.no_grad():
        assert torch.equal(made.module(x), classifier.module(x))
    assert made.classes[0].after == made.classes[0].before
    assert "Nothing was added" in render_page(made)


def test_same_seed_same_network(run: Run, classifier: vs.Classifier, result: Specialization) -> None:
    again = vs.specialize([run], classifier, draw(40, False, 1).images, settings=SETTINGS)
    for name, tensor in again.module.state_dict().items():
        assert torch.equal(tensor, result.module.state_dict()[name]), name


def test_the_ablation_owes_the_gain_to_the_part_that_carries_it(run: Run, classifier: vs.Classifier) -> None:
    # The corner that is farthest from the patch: as gray as parts of the other images are.
    corners = [(0, 0), (SIZE[1] - 8, 0), (0, SIZE[0] - 8), (SIZE[1] - 8, SIZE[0] - 8)]
    patches = [run.regions[index].box for index in range(24)]
    gray = [max(corners, key=lambda corner, box=box: abs(corner[0] - box[0]) + abs(corner[1] - box[1])) for box in patches]
    anywhere = [(x, y, x + 8, y + 8) for x, y in gray]
    noise = make_run(classifier, Drawn([image.view for image in run.images], anywhere))
    regions = [replace(region, index=24 + region.index) for region in noise.regions]
    members = tuple(replace(member, region=24 + member.region) for member in noise.summaries[0].members)
    second = replace(noise.summaries[0], index=1, exemplar=24, members=members, cluster=tuple(range(24, 48)))
    both = replace(run, regions=(*run.regions, *regions), summaries=(run.summaries[0], second))
    made = vs.specialize(both, classifier, draw(40, False, 1).images, settings=SETTINGS)
    patch, useless = made.classes[0].parts
    assert patch.precision > 0.05 > useless.precision
    assert patch.weight > useless.weight
    assert patch.own > 0 > patch.others


# --- windows ---------------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(st.floats(-0.5, 1.4), st.floats(0.05, 1), st.integers(1, 9))
def test_weights_of_a_span_are_its_overlaps(low: float, length: float, cells: int) -> None:
    high = low + length
    weights = span_weights(torch.tensor(low, dtype=torch.float64), torch.tensor(high, dtype=torch.float64), cells).numpy()
    inside = np.array([max(0.0, min(high, 1.0, (i + 1) / cells) - max(low, 0.0, i / cells)) for i in range(cells)])
    if inside.sum() > 1e-6:
        np.testing.assert_allclose(weights, inside / inside.sum(), atol=1e-6)


def test_sliding_equals_pooling_each_window() -> None:
    generator = torch.Generator().manual_seed(0)
    maps = [torch.rand(2, 3, 6, 9, generator=generator), torch.rand(2, 5, 3, 4, generator=generator)]
    weights = [torch.randn(2, 3, generator=generator), torch.randn(2, 5, generator=generator)]
    bias, sizes = torch.randn(2, generator=generator), torch.rand(2, 2, 2, generator=generator) * 0.6 + 0.1
    values = slide(maps, weights, bias, sizes, 5)
    for image, part, scale, row, column in np.ndindex(2, 2, 2, 5, 5):
        h, w = sizes[part, scale].tolist()
        y, x = (row + 0.5) / 5, (column + 0.5) / 5
        box = torch.tensor([[x - w / 2, y - h / 2, x + w / 2, y + h / 2]])
        pooled = [pool(one[image], box)[0] for one in maps]
        expected = sum(float(p @ weight[part]) for p, weight in zip(pooled, weights, strict=True)) + float(bias[part])
        assert float(values[image, part, scale, row, column]) == pytest.approx(expected, abs=1e-4)


def test_pooling_is_the_mean_of_pixels() -> None:
    rng = np.random.default_rng(0)
    one = rng.random((2, 4, 6)).astype(np.float32)
    fine = one.repeat(12, axis=1).repeat(10, axis=2)  # 48 x 60 pixels
    box = np.array([[7 / 60, 5 / 48, 43 / 60, 31 / 48]], np.float32)
    np.testing.assert_allclose(
        pool(torch.from_numpy(one), torch.from_numpy(box))[0].numpy(), fine[:, 5:31, 7:43].mean(axis=(1, 2)), rtol=1e-4
    )


def test_windows_at_the_border_are_cut() -> None:
    weights = place_weights(torch.tensor(2.0), 3, 4)
    np.testing.assert_allclose(weights.numpy(), np.full((3, 4), 0.25), rtol=1e-5)


def test_a_detector_that_tells_nothing_is_nothing() -> None:
    """Of noise that is called a part, images left out say nothing: their log odds are near 0, not the training images' own."""
    generator = torch.Generator().manual_seed(0)
    maps = [torch.rand(140, 200, 6, 8, generator=generator)]
    box = np.array([[0.2, 0.2, 0.6, 0.6]], np.float32)
    seen = train_detector(maps, dict.fromkeys(range(20), box), np.arange(20, 40), 8, replace(SETTINGS, svm=1.0, rounds=0), 0)
    own, _ = described(maps, dict.fromkeys(range(40), box))
    assert (own @ seen.weights + seen.bias)[:20].min() > (own @ seen.weights + seen.bias)[20:].max()  # learned by heart
    rows = np.arange(40, 140)
    scores = scores_of([seen], maps, rows, 8).amax(dim=(1, 2, 3, 4)).double().numpy()
    slope, offset = sigmoid(scores, rows % 2 == 0)
    assert np.abs(slope * scores + offset).mean() < 0.5


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(5, 20), st.floats(1, 3))
def test_calibrated_scores_are_log_odds_at_even_odds(seed: int, count: int, apart: float) -> None:
    """Of two normal distributions of one width the log odds are known, however many images of each kind there are."""
    rng = np.random.default_rng(seed)
    labels = np.repeat([True, False], [100 * count, 3000])
    slope, offset = sigmoid(rng.normal(size=len(labels)) + apart * labels, labels)
    assert slope == pytest.approx(apart, rel=0.3)
    assert -offset / slope == pytest.approx(apart / 2, abs=0.3)


def test_a_part_is_calibrated_where_it_counts(classifier: vs.Classifier, run: Run) -> None:
    """The evidence of the module is what `learn` weighed: above 0 where the part is, under 0 elsewhere."""
    examples = gather_examples([run], classifier, draw(40, False, 1).images, None, SETTINGS)
    learned = learn(examples, SETTINGS)
    assert learned.evidence[examples.labels == 0, 0].mean() > 1
    assert learned.evidence[examples.labels != 0, 0].mean() < -1
    found = best_scores(learned.detectors, examples, np.arange(len(examples)), SETTINGS)
    everywhere = bounded(found, SETTINGS.evidence_limit)
    np.testing.assert_allclose(everywhere, learned.evidence, atol=1.5)  # nearly the same detector, the same scale


def test_best_windows_lie_in_the_image() -> None:
    maps = [torch.rand(3, 2, 5, 7, generator=torch.Generator().manual_seed(1))]
    detector = train_detector(maps, {0: np.array([[0, 0, 0.9, 0.9]], np.float32)}, np.array([1, 2]), 6, SETTINGS, 0)
    boxes = np.concatenate(list(best_windows(detector, maps, np.array([1, 2]), 6).values()))
    assert ((boxes >= 0) & (boxes <= 1)).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()


# --- fusion ----------------------------------------------------------------------------------------------------------


def test_the_logistic_model_is_the_minimum() -> None:
    rng = np.random.default_rng(0)
    margin, evidence = rng.normal(size=80), rng.normal(size=(80, 2))
    labels = rng.random(80) < 1 / (1 + np.exp(-(margin + evidence[:, 0])))
    slope, weights, constant = fit_logistic(margin, evidence, labels, 2.0)

    def loss(s: float, w: np.ndarray, c: float) -> float:
        z = s * margin + evidence @ w + c
        return float((np.logaddexp(0, z) - labels * z).sum() + (w**2).sum())

    best = loss(slope, weights, constant)
    for change in (-0.02, 0.02):
        assert loss(slope + change, weights, constant) > best
        assert loss(slope, weights, constant + change) > best
        moved = weights + np.array([change, 0])
        assert loss(slope, moved, constant) > best
    assert (weights >= 0).all()


def test_evidence_that_misleads_gets_no_weight() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2 == 0
    margin = rng.normal(size=200) + labels
    fusion = fit_fusion(margin, -1.0 * labels[:, None] + rng.normal(size=(200, 1)), labels, np.arange(200) // 2 % 5, SETTINGS)
    assert fusion.unchanged


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.05, 0.2]))
def test_the_shift_spares_other_images(seed: int, spare: float) -> None:
    rng = np.random.default_rng(seed)
    logits, offsets, labels = rng.normal(size=(60, 4)), rng.normal(size=60), rng.random(60) < 0.3
    labels[:2] = True, False
    shift = choose_shift(logits, offsets, 1, labels, spare)
    moved = logits.copy()
    moved[:, 1] += offsets + shift
    newly = (moved.argmax(axis=1) == 1) & (logits.argmax(axis=1) != 1) & ~labels
    if shift:
        assert newly.sum() <= spare * (~labels).sum()
        assert ((moved.argmax(axis=1) == 1) & labels).any()


def test_folds_hold_every_class_and_too_few_images_are_refused() -> None:
    labels = np.repeat([0, 1, -1], [7, 8, 30])
    folds = cut(labels, 5, 0)
    for fold in range(5):
        assert set(labels[folds == fold]) == {0, 1, -1}
    with pytest.raises(NoImagesError, match="3 training images of a specialized class"):
        cut(np.repeat([0, -1], [3, 30]), 5, 0)


def test_detectors_never_see_the_images_that_they_are_judged_by(classifier: vs.Classifier, run: Run) -> None:
    """The order of images left out does not change with their own regions; the scale is given by other images."""
    examples = gather_examples([run], classifier, draw(20, False, 1).images, None, SETTINGS)
    first = learn(examples, SETTINGS)
    part = examples.parts[0]
    fold = first.folds == first.folds[0]
    moved = {i: (np.array([[0, 0, 0.1, 0.1]], np.float32) if fold[i] else boxes) for i, boxes in part.boxes.items()}
    changed = replace(examples, parts=(replace(part, boxes=moved),))
    second = learn(changed, SETTINGS)
    scores = [
        best_scores(train_detectors(own, ~fold, SETTINGS, 0), own, np.flatnonzero(fold), SETTINGS)
        for own in (examples, changed)
    ]
    np.testing.assert_array_equal(*scores)
    np.testing.assert_array_equal(first.evidence[fold].argsort(axis=0), second.evidence[fold].argsort(axis=0))
    assert not np.array_equal(first.evidence[~fold].argsort(axis=0), second.evidence[~fold].argsort(axis=0))
    assert parts_of(examples, 0) == [0]
    assert len(ablate(examples, first, 0)) == 1


# --- an ordinary module ----------------------------------------------------------------------------------------------


def test_it_exports(result: Specialization, tmp_path: Path, fresh: tuple[np.ndarray, np.ndarray]) -> None:
    x = result.classifier.to_tensor(fresh[0][:2])
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(result.module, (x,), dynamic_shapes=({0: batch},), strict=False)
    more = result.classifier.to_tensor(fresh[0][:5])
    with torch.no_grad():
        torch.testing.assert_close(program.module()(more), result.module(more))
    torch.export.save(program, tmp_path / "net.pt2")
    loaded = vs.load_classifier(tmp_path / "net.pt2", class_names=list(NAMES), mean=0.0, std=1.0)
    np.testing.assert_allclose(scores(loaded, fresh[0][:4]), scores(result.classifier, fresh[0][:4]), atol=1e-4)


def test_gradients_pass_and_copies_are_their_own(result: Specialization) -> None:
    x = torch.rand(1, 3, *SIZE, requires_grad=True)
    copied = copy.deepcopy(result.module)
    copied(x)[0, 0].backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0
    with torch.no_grad():
        assert torch.equal(copied(x), result.module(x))


def test_it_can_be_explained(result: Specialization) -> None:
    drawn = draw(2, True, 6)
    masks = vs.optimize_masks(result.classifier, drawn.images, "patch")
    for (x0, y0, x1, y1), mask in zip(drawn.boxes, masks, strict=True):
        evidence = mask.final > 0.5
        assert evidence[y0:y1, x0:x1].sum() > 0.5 * evidence.sum()


# --- files -----------------------------------------------------------------------------------------------------------


def test_saved_and_loaded(result: Specialization, tmp_path: Path, fresh: tuple[np.ndarray, np.ndarray]) -> None:
    page = result.save(tmp_path / "out")
    assert sorted(path.name for path in page.parent.iterdir()) == [
        "specialized.html",
        "specialized.json",
        "specialized.safetensors",
    ]
    given_module = mean_red()
    nn.init.constant_(given_module.scale, 1.0)  # the weights in the folder count
    loaded = vs.load_classifier(given_module, checkpoint=page.parent)
    np.testing.assert_array_equal(scores(loaded, fresh[0]), scores(result.classifier, fresh[0]))
    assert loaded.class_names == NAMES
    assert loaded.transform == result.original.transform
    assert given_module.scale.item() == 1.0
    assert isinstance(loaded.module, SpecializedNetwork)


def test_a_network_of_the_demo_is_found_by_its_name(tmp_path: Path) -> None:
    from visual_summaries.demo import demo_network

    classifier = vs.load_classifier(demo_network("tiny"))
    classifier.spec = "demo network tiny"
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (160, 160, 3), np.uint8) for _ in range(12)]
    run = make_run(classifier, Drawn(pictures, [(10, 10, 60, 60)] * 12))
    made = vs.specialize(run, classifier, [255 - p for p in pictures], settings=SETTINGS)
    made.save(tmp_path)
    loaded = vs.load_classifier(tmp_path)
    views = np.stack(pictures[:2])
    np.testing.assert_array_equal(scores(loaded, views), scores(made.classifier, views))


def test_nothing_is_loaded_because_a_file_says_so(result: Specialization, tmp_path: Path) -> None:
    result.save(tmp_path)
    trap = tmp_path / "trap.py"
    trap.write_text("raise SystemExit('executed')")
    path = tmp_path / "specialized.json"
    values = json.loads(path.read_text())
    for named in (f"{trap}:net", "trap:net", "torch.nn:Flatten", "demo network ../main"):
        path.write_text(json.dumps(values | {"network": named}))
        with pytest.raises((ClassifierError, vs.VisualSummariesError), match=r"checkpoint|must be one of"):
            vs.load_classifier(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, "format is 99"),
        ({"detectors": 10**9}, "detectors is"),
        ({"detectors": 7}, "does not hold the detectors"),
        ({"cells": "many"}, "cells is"),
        ({"offset_limit": float("inf")}, "offset_limit"),
        ({"classes": []}, "classes"),
        ({"classes": [2]}, "impossible"),
        ({"stages": [{"name": "cells"}]}, "layer"),
        ({"stages": [{"name": "nowhere", "call": 0, "layout": "nchw", "grid": [12, 16], "channels": 3}]}, "no module"),
        ({"transform": {"size": "large"}}, "size"),
        ({"class_names": None}, "class_names"),
    ],
)
def test_damaged_descriptions_are_refused(result: Specialization, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    result.save(tmp_path)
    path = tmp_path / "specialized.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ClassifierError, match=message):
        vs.load_classifier(mean_red(), checkpoint=tmp_path)


def test_damaged_weights_are_refused(result: Specialization, tmp_path: Path) -> None:
    result.save(tmp_path)
    path = tmp_path / "specialized.safetensors"
    weights = load_file(path)
    save_file(weights | {"owners": torch.tensor([5])}, path)
    with pytest.raises(ClassifierError, match="impossible"):
        vs.load_classifier(mean_red(), checkpoint=tmp_path)
    save_file(weights | {"bias": torch.tensor([float("nan")])}, path)
    with pytest.raises(ClassifierError, match="impossible"):
        vs.load_classifier(mean_red(), checkpoint=tmp_path)
    path.write_bytes(b"\x00" * 40)
    with pytest.raises(ClassifierError, match="not a valid safetensors"):
        vs.load_classifier(mean_red(), checkpoint=tmp_path)


# --- what is asked for -----------------------------------------------------------------------------------------------


def test_wrong_input_is_refused_with_a_remedy(run: Run, classifier: vs.Classifier, tmp_path: Path) -> None:
    negatives = draw(6, False, 1).images
    with pytest.raises(RunError, match="no run was given"):
        vs.specialize([], classifier, negatives)
    with pytest.raises(RunError, match="two of the runs explain"):
        vs.specialize([run, run], classifier, negatives)
    with pytest.raises(RunError, match="has no summary"):
        vs.specialize(replace(run, summaries=()), classifier, negatives)
    other = mean_red()
    nn.init.constant_(other.scale, 2.0)
    with pytest.raises(ClassifierError, match="other weights"):
        vs.specialize(run, vs.load_classifier(other), negatives)
    with pytest.raises(NoImagesError, match="none of the negatives"):
        vs.specialize(run, classifier, [image.view for image in run.images], settings=SETTINGS)
    nothing = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE[0] * SIZE[1], 3))
    flat = vs.load_classifier(nothing, input_size=(3, *SIZE))
    with pytest.raises(ClassifierError, match="no submodule"):
        vs.specialize(replace(run, info=replace(run.info, classifier=ClassifierInfo(**flat.describe()))), flat, negatives)


def test_further_images_and_folders_named_after_the_class(run: Run, classifier: vs.Classifier, tmp_path: Path) -> None:
    for folder, drawn in (
        ("more/0_patch", draw(5, True, 20)),
        ("rest/plain", draw(8, False, 21)),
        ("rest/patch", draw(3, True, 22)),
    ):
        (tmp_path / folder).mkdir(parents=True)
        for number, image in enumerate(drawn.images):
            PIL.Image.fromarray(image).save(tmp_path / folder / f"{number}.png")
    (tmp_path / "rest" / "plain" / "broken.png").write_bytes(b"no image")
    examples = gather_examples([run], classifier, tmp_path / "rest", tmp_path / "more", SETTINGS)
    assert (examples.labels == 0).sum() == 24 + 5
    assert (examples.labels == -1).sum() == 8
    reasons = dict(examples.skipped)
    assert len(reasons) == 4
    assert "specialized" in reasons["patch/0.png"]
    with pytest.raises(NoImagesError, match="named after a specialized class"):
        gather_examples([run], classifier, tmp_path / "rest", tmp_path, replace(SETTINGS))


def test_best_matches_of_a_run_are_its_parts(striped_run: vs.Run, stripe_network: nn.Module, draw_striped_images: Any) -> None:
    drawn = draw_striped_images(2, random_state=7)
    found = best_matches(striped_run, drawn.images, vs.load_classifier(stripe_network))
    assert len(found) == 2
    boxes = [box for own in found for box in own.values()]
    assert boxes
    assert all(box.shape == (1, 4) and (box >= 0).all() and (box <= 1).all() for box in boxes)


# --- command and page ------------------------------------------------------------------------------------------------


def test_the_command(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    save_run(run, tmp_path / "run")
    (tmp_path / "nets.py").write_text("from test_specialize import mean_red\n")
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    (tmp_path / "rest").mkdir()
    for number, image in enumerate(draw(30, False, 1).images):
        PIL.Image.fromarray(image).save(tmp_path / "rest" / f"{number}.png")
    model = f"{tmp_path / 'nets.py'}:mean_red"
    arguments = ["specialize", str(tmp_path / "run"), "--negatives", str(tmp_path / "rest"), "--model", model, "--quiet"]
    assert main([*arguments, "--out", str(tmp_path / "out"), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["unchanged"] is False
    assert values["classes"][0]["after"]["precision"] > values["classes"][0]["before"]["precision"]
    assert read_description(tmp_path / "out")["network"] == model
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    assert "1 class specialized" in capsys.readouterr().out
    assert main([*arguments, "--out", str(tmp_path / "nets.py")]) == RunError.exit_code
    loaded = vs.load_classifier(model, checkpoint=tmp_path / "out")
    assert loaded.class_names == NAMES


def test_the_page_escapes_and_requests_nothing(result: Specialization) -> None:
    page = render_page(result)
    assert "<b>.png" not in page
    assert "&lt;b&gt;.png" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert page == render_page(result)


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_in_a_browser(
    watched: Callable[..., Page], faults: Callable[[Page], list[str]], result: Specialization, tmp_path: Path, width: int
) -> None:
    page = watched(result.save(tmp_path), width=width)
    assert "specialized" in page.locator(".headline").first.inner_text()
    assert page.locator(".part").count() == 1
    assert page.locator(".part img").count() == 5
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("tr.result").inner_text().startswith("with its parts")
    page.get_by_text("Settings", exact=True).click()
    assert page.get_by_text("offset_limit").is_visible()
    assert faults(page) == []
