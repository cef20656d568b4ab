"""Deletion and insertion on a network that only counts one patch: every value can be computed by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import visual_summaries as vs
from benchmarks.made_runs import made_mask
from visual_summaries.classifiers import resolve_target
from visual_summaries.masks.controls import moved
from visual_summaries.masks.faithfulness import evidence_rank, first_pixels, measure_faithfulness, shifted
from visual_summaries.masks.infill import hide
from visual_summaries.masks.scorer import Scorer
from visual_summaries.results import Faithfulness, Mask, area_under
from visual_summaries.settings.masks import MaskSettings, infills_of

H, W = 20, 30
PATCH = (slice(5, 10), slice(12, 20))  # 40 of 600 pixels


class Count(nn.Module):
    """The score (through a callable target) is the mean brightness of the patch; all else is ignored."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.pretrained_cfg = {
            "input_size": (3, H, W),
            "mean": (0.0,) * 3,
            "std": (1.0,) * 3,
            "crop_pct": 1.0,
            "num_classes": 2,
        }

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        score = x[:, :, PATCH[0], PATCH[1]].mean(dim=(1, 2, 3)) * self.scale
        return torch.stack([score, torch.zeros_like(score)], dim=1)


def patch_mask() -> Mask:
    evidence = np.zeros((H, W), np.float16)
    evidence[PATCH] = 1.0
    return made_mask(evidence, 1.0, 0.0, 0.0, infills=1)


def measured(mask: Mask, steps: int = 15) -> Faithfulness:
    classifier = vs.load_classifier(Count())
    view = np.zeros((H, W, 3), np.uint8)
    view[PATCH] = 255
    target = resolve_target(classifier, lambda logits: logits[:, 0])
    # A very wide blur is nearly the mean of its window; the patch is small, so what is hidden is dark.
    return measure_faithfulness(Scorer(classifier, target, MaskSettings(infill="blur")), [view], [mask], steps=steps)


def test_deletion_falls_with_the_first_pixels_and_insertion_rises_with_them() -> None:
    result = measured(patch_mask())
    deletion, insertion = result.deletion[0, 0], result.insertion[0, 0]
    assert deletion[0] == pytest.approx(1.0)
    assert insertion[-1] == pytest.approx(1.0)
    assert deletion[1] == pytest.approx(
        deletion[-1]
    )  # the first of 15 steps, 40 pixels, is the patch: hiding more changes nothing
    assert insertion[1] == pytest.approx(1.0)
    assert insertion[0] == pytest.approx(deletion[-1])
    assert deletion[-1] < 0.5


def test_the_moved_mask_does_worse_on_every_figure() -> None:
    figures = measured(patch_mask()).figures()
    for name, better in (("deletion", -1), ("insertion", 1), ("drop", 1), ("drop_over_area", 1), ("average_drop", -1)):
        own, control = figures[name]
        assert (own - control) * better > 0.05, name
    assert figures["average_drop"][0] == pytest.approx(0.0, abs=1e-6)
    assert figures["increase"] == (0.0, 0.0)


def test_figures_by_hand() -> None:
    result = measured(patch_mask(), steps=2)
    blurred = float(result.deletion[0, 0, 1])
    assert result.figures()["deletion"][0] == pytest.approx((1 + blurred) / 4 + blurred / 2, abs=1e-5)
    # The scores with the evidence hidden are the mask's own: it says that hiding the patch leaves nothing.
    assert result.figures()["drop"][0] == pytest.approx(1, abs=1e-5)
    assert result.figures()["drop_over_area"][0] == pytest.approx(1 / (40 / 600), rel=1e-3)


class Dots(nn.Module):
    """The score is the mean brightness of 7 x 7 single pixels, three apart; all else is ignored."""

    size = (50, 60)  # two per cent of the shorter side are one pixel
    at = (slice(10, 29, 3), slice(20, 39, 3))

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.pretrained_cfg = {**Count().pretrained_cfg, "input_size": (3, *self.size)}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        score = x[:, :, self.at[0], self.at[1]].mean(dim=(1, 2, 3)) * self.scale
        return torch.stack([score, torch.zeros_like(score)], dim=1)


def test_a_mask_of_the_patch_holds_and_one_of_its_texture_does_not() -> None:
    """A pixel aside, the patch hides six of seven rows of dots, or columns; a mask of nothing but the dots hides none."""
    network = Dots()
    classifier = vs.load_classifier(network, score="softmax")  # its outputs look like probabilities of two labels
    target = resolve_target(classifier, lambda logits: logits[:, 0])
    view = np.zeros((*Dots.size, 3), np.uint8)
    view[Dots.at] = 255
    patch, dots = np.zeros(Dots.size, np.float16), np.zeros(Dots.size, np.float16)
    patch[10:29, 20:39] = dots[Dots.at] = 1
    masks = [made_mask(evidence, 1.0, 0.0, 0.0, infills=1) for evidence in (patch, dots)]
    holds = measure_faithfulness(Scorer(classifier, target, MaskSettings(infill="mean")), [view, view], masks).holds
    image = classifier.to_tensor(view[None])
    with torch.no_grad():
        mean, permuted, black = (float(network(hide(image, infill))[0, 0]) for infill in ("mean", "permuted", "black"))
    assert black == 0
    others = (1 - (permuted + black) / 2) / (1 - mean)  # both masks cover all dots
    np.testing.assert_allclose(holds[0], [6 / 7, 45 / 49, others], atol=1e-5)  # smoothing takes the patch's corners away
    np.testing.assert_allclose(holds[1], [0, 0, others], atol=1e-5)


def test_the_evidence_alone_is_shown_in_each_way() -> None:
    """What is hidden is the network's patch, so an infill's score is what it puts there."""
    network = Count()
    classifier = vs.load_classifier(network)
    target = resolve_target(classifier, lambda logits: logits[:, 0])
    view = np.random.default_rng(0).integers(0, 256, (H, W, 3), dtype=np.uint8)
    elsewhere = np.ones((H, W), np.float16)
    elsewhere[PATCH] = 0
    mask = made_mask(elsewhere, 0.9, 0.4, 0.3)
    result = measure_faithfulness(Scorer(classifier, target, MaskSettings(infill="mix")), [view], [mask])
    with torch.no_grad():
        expected = [float(network(hide(classifier.to_tensor(view[None]), infill))[0, 0]) for infill in infills_of("mix")]
    assert len(set(expected)) == len(expected) == 4
    np.testing.assert_allclose(result.shown, [expected], atol=1e-5)
    np.testing.assert_array_equal(result.after, mask.after[None])


def test_a_mask_without_effect_has_no_figures_of_holding() -> None:
    nowhere = measured(made_mask(np.zeros((H, W), np.float16), 1.0, 1.0, 0.0, infills=1))
    assert np.isnan(nowhere.holds).all()
    assert np.isnan(nowhere.figures()["holds"]).all()


@given(st.integers(-4, 4), st.integers(-4, 4), st.integers(0, 2**31))
def test_shifting_is_rolling_with_what_leaves_lost(down: int, right: int, seed: int) -> None:
    mask = np.random.default_rng(seed).random((5, 7)) < 0.5
    expected = np.roll(np.pad(mask, 4), (down, right), (0, 1))[4:-4, 4:-4]
    np.testing.assert_array_equal(shifted(mask, down, right), expected)


def test_scores_in_each_way_and_the_worst() -> None:
    after, shown = np.array([[0.0, 0.4]], np.float32), np.array([[1.0, 0.5]], np.float32)
    curve, whole = np.zeros((1, 2, 2), np.float32), np.ones(1, np.float32)
    figures = Faithfulness(
        curve, curve, after, shown, np.ones((1, 2), np.float32), np.ones((1, 3), np.float32), whole, whole
    ).figures()
    assert figures["drop"] == pytest.approx((0.8, 0.0))
    assert figures["drop_worst"] == pytest.approx((0.6,))
    assert figures["average_drop"] == pytest.approx((0.25, 0.0))
    assert figures["average_drop_worst"] == pytest.approx((0.5,))


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**31), st.integers(1, 6))
def test_steps_are_nested_and_moving_keeps_every_pixel(height: int, width: int, seed: int, steps: int) -> None:
    rng = np.random.default_rng(seed)
    rank = rng.permutation(height * width).reshape(height, width)
    masks = first_pixels(rank, steps)
    assert not masks[0].any()
    assert masks[-1].all()
    assert (masks[1:] | ~masks[:-1]).all()
    assert sorted(moved(rank, rng).ravel()) == list(range(height * width))


def test_moving_keeps_the_shape_up_to_the_border() -> None:
    there = moved(evidence_rank(patch_mask()), np.random.default_rng(4)) < 40
    here = patch_mask().sharp > 0.5
    assert any(np.array_equal(np.roll(here, (down, right), (0, 1)), there) for down in range(H) for right in range(W))


def test_area_under_curves_agrees_with_a_sum() -> None:
    curves = np.random.default_rng(0).random((3, 5))
    expected = [(sum(c[1:-1]) + (c[0] + c[-1]) / 2) / 4 for c in curves]
    np.testing.assert_allclose(area_under(curves), expected)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({}, ()),
        ({"hidden": np.full(1, 0.6, np.float32)}, ("shows",)),
        ({"after": np.full(1, 0.51, np.float32)}, ("weak",)),
        ({"sharp": np.ones((H, W), np.float16)}, ("large",)),
    ],
)
def test_masks_name_what_went_wrong(change: dict[str, object], names: tuple[str, ...]) -> None:
    assert replace(patch_mask(), **change).warnings == names
