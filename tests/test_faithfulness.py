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
from visual_summaries.classifiers import resolve_target
from visual_summaries.masks.faithfulness import first_pixels, measure_faithfulness, moved, pixel_order
from visual_summaries.masks.settings import MaskSettings
from visual_summaries.results import Faithfulness, Mask, area_under

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
    return Mask(evidence, evidence, None, 1.0, 0.0, 0.0, np.empty(0, np.float32))


def measured(mask: Mask, steps: int = 15) -> Faithfulness:
    classifier = vs.load_classifier(Count())
    view = np.zeros((H, W, 3), np.uint8)
    view[PATCH] = 255
    target = resolve_target(classifier, lambda logits: logits[:, 0])
    # A very wide blur is nearly the mean of its window; the patch is small, so what is hidden is dark.
    return measure_faithfulness(classifier, [view], [mask], target, MaskSettings(), steps=steps)


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
    assert result.figures()["drop"][0] == pytest.approx(1 - blurred, abs=1e-5)
    assert result.figures()["drop_over_area"][0] == pytest.approx((1 - blurred) / (40 / 600), rel=1e-3)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**31), st.integers(1, 6))
def test_steps_are_nested_and_moving_keeps_every_pixel(height: int, width: int, seed: int, steps: int) -> None:
    rng = np.random.default_rng(seed)
    order = rng.permutation(height * width)
    masks = first_pixels(order, (height, width), steps)
    assert not masks[0].any()
    assert masks[-1].all()
    assert (masks[1:] | ~masks[:-1]).all()
    assert sorted(moved(order, (height, width), rng)) == list(range(height * width))


def test_moving_keeps_the_shape_up_to_the_border() -> None:
    order = pixel_order(patch_mask())
    there = np.zeros(H * W, bool)
    there[moved(order, (H, W), np.random.default_rng(4))[:40]] = True
    here = patch_mask().sharp > 0.5
    assert any(
        np.array_equal(np.roll(here, (down, right), (0, 1)), there.reshape(H, W)) for down in range(H) for right in range(W)
    )


def test_area_under_curves_agrees_with_a_sum() -> None:
    curves = np.random.default_rng(0).random((3, 5))
    expected = [(sum(c[1:-1]) + (c[0] + c[-1]) / 2) / 4 for c in curves]
    np.testing.assert_allclose(area_under(curves), expected)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({}, ()),
        ({"score_blurred": 0.6}, ("blurred",)),
        ({"score_after": 0.51}, ("weak",)),
        ({"sharp": np.ones((H, W), np.float16)}, ("large",)),
    ],
)
def test_masks_name_what_went_wrong(change: dict[str, object], names: tuple[str, ...]) -> None:
    assert replace(patch_mask(), **change).warnings == names
