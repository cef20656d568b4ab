"""Infills pixels: each destroys what it should, keeps to [0, 1], and does not mix images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
import torch

import visual_summaries as vs
from visual_summaries.classifiers import Classifier, ViewTransform, resolve_target
from visual_summaries.errors import SettingsError
from visual_summaries.masks.infill import INFILLS, hidden_pixels, hide
from visual_summaries.masks.perturb import perturb
from visual_summaries.masks.scorer import Scorer
from visual_summaries.masks.seen import chessboard, view_without
from visual_summaries.pages.report import render_page
from visual_summaries.settings.masks import HELD_OUT, MaskSettings


def pictures(channels: int = 3) -> torch.Tensor:
    """Fine stripes around a step from dark to bright: texture and color to be hidden."""
    images = torch.zeros(2, channels, 42, 63)
    images[..., 30:] = 0.8
    images[..., ::4] += 0.2
    images[1] = 1 - images[1]
    return images.clamp(0, 1)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("kind", INFILLS)
def test_values_shape_and_independence_of_the_batch(kind: str, channels: int) -> None:
    images = pictures(channels)
    hidden = hide(images, kind, random_state=3)
    assert hidden.shape == images.shape
    assert hidden.min() >= 0
    assert hidden.max() <= 1
    torch.testing.assert_close(hide(images[1:], kind, random_state=3)[0], hidden[1])
    assert (hidden - images).abs().mean() > 0.02


@pytest.mark.parametrize("kind", ["blur", "strong-blur", "mean"])
def test_fine_texture_is_gone(kind: str) -> None:
    images = pictures()
    stripes = images.diff(dim=-1).abs().mean()
    assert hide(images, kind).diff(dim=-1).abs().mean() < 0.35 * stripes


def test_strong_blur_agrees_with_opencv() -> None:
    image = pictures()[0].permute(1, 2, 0).numpy()
    expected = cv2.GaussianBlur(image, (27, 27), 4.2, borderType=cv2.BORDER_REPLICATE)  # a tenth of 42 pixels
    np.testing.assert_allclose(hide(pictures()[:1], "strong-blur")[0].permute(1, 2, 0).numpy(), expected, atol=1e-4)


def test_noise_has_the_images_mean_and_deviation() -> None:
    generator = torch.Generator().manual_seed(0)
    images = 0.5 + 0.1 * torch.randn(1, 3, 64, 80, generator=generator)
    hidden = hide(images, "noise", random_state=1)
    torch.testing.assert_close(hidden.mean(dim=(-2, -1)), images.mean(dim=(-2, -1)), atol=0.01, rtol=0)
    torch.testing.assert_close(hidden.std(dim=(-2, -1)), images.std(dim=(-2, -1)), atol=0.01, rtol=0)
    assert not torch.equal(hidden, hide(images, "noise", random_state=2))


def test_inpainting_keeps_no_pixel_of_its_own_tile() -> None:
    """Changing one tile changes what other tiles show, never what the tile itself shows."""
    images = pictures()[:1]
    before = hide(images, "inpaint")
    changed = images.clone()
    inside = (slice(6, 12), slice(6, 12))  # a tile of the chessboard: 42 // 7 = 6 pixels
    changed[0, :, inside[0], inside[1]] = 1 - changed[0, :, inside[0], inside[1]]
    after = hide(changed, "inpaint")
    torch.testing.assert_close(after[0, :, inside[0], inside[1]], before[0, :, inside[0], inside[1]])
    assert not torch.equal(after, before)
    assert chessboard(42, 63)[6:12, 6:12].min() == chessboard(42, 63)[6:12, 6:12].max()


def test_an_unknown_way_names_the_known_ones() -> None:
    with pytest.raises(
        SettingsError, match="hidden is 'fog', but must be one of 'blur', 'strong-blur', 'mean', 'noise', 'inpaint'"
    ):
        hide(pictures(), "fog")


@pytest.mark.parametrize("kind", INFILLS)
def test_masks_are_optimized_under_each_way_of_hiding(
    stripe_network: torch.nn.Module, draw_striped_images: Callable[..., Any], kind: str
) -> None:
    """The stripes are found whatever hides them, and the scores are those under that infill."""
    drawn = draw_striped_images(2)
    classifier = vs.load_classifier(stripe_network)
    settings = replace(vs.preset("paper").masks, infill=kind)
    settings = replace(settings, smooth=replace(settings.smooth, iterations=40), sharp=replace(settings.sharp, iterations=60))
    x = classifier.to_tensor(list(drawn.images))
    hidden = hide(x, kind)
    for index, mask in enumerate(vs.optimize_masks(classifier, list(drawn.images), "marked", settings=settings)):
        evidence = torch.from_numpy(mask.final).float()
        shown = classifier.probabilities((x[index] * (1 - evidence) + hidden[index] * evidence)[None])[0, 0]
        assert mask.score_after == pytest.approx(float(shown), abs=1e-4)
        # To this network noise is no way to hide stripes (it has contrast of its own), nor is filling in from the patch itself.
        if kind in ("noise", "inpaint"):
            continue
        assert mask.score_after < 0.5 * mask.score_before
        x0, y0, x1, y1 = drawn.red[index]
        assert mask.final[y0:y1, x0:x1].mean() > 0.5


def test_ways_that_leave_the_score_are_left_out(
    stripe_network: torch.nn.Module, draw_striped_images: Callable[..., Any]
) -> None:
    """To this network noise is stripes: it cannot hide them."""
    classifier = vs.load_classifier(stripe_network)
    views = list(draw_striped_images(3).images)
    target = resolve_target(classifier, "marked")
    infills, left = Scorer(classifier, target, MaskSettings(infill="mean+noise")).effective_infills(views)
    only, _ = Scorer(classifier, target, MaskSettings(infill="noise")).effective_infills(views)
    assert infills == ("mean",)
    assert left["noise"] > 0.5 > 0.1 > left["mean"]
    assert only == ("noise",)  # the least bad one stays


def test_a_run_hides_in_the_ways_that_hide_and_says_which_do_not(
    stripe_network: torch.nn.Module, draw_striped_images: Callable[..., Any]
) -> None:
    base = vs.preset("default")
    settings = replace(base, masks=replace(base.masks, infill="mean+noise", fast=replace(base.masks.fast, steps=8)))
    run = vs.summarize(stripe_network, list(draw_striped_images(4).images), "marked", settings=settings)
    assert run.settings.masks.infill == "mean"
    assert run.info.left_when_hidden["noise"] > 0.5
    assert all(mask.after.shape == mask.hidden.shape == (1,) for mask in run.masks)
    assert run.faithfulness.shown.shape == (4, 1)
    assert "Left out, because hiding everything with these infills leaves more than a tenth of the score: noise" in render_page(
        run
    )


def test_the_same_pixels_are_asked_about_once():
    asked = []

    class Mean(torch.nn.Module):
        def forward(self, x):
            asked.append(len(x))
            return torch.stack([x.mean((1, 2, 3)), torch.zeros(len(x))], 1)

    classifier = Classifier(Mean(), transform=ViewTransform((6, 9)))
    target = resolve_target(classifier, 0)
    asked.clear()
    view = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
    some = np.zeros((6, 9), bool)
    some[1:4, 2:7] = True
    masks = np.stack([some, ~some, some, np.zeros_like(some), ~some])
    scorer = Scorer(classifier, target, MaskSettings(infill="mean"))
    scores = scorer.without(view, masks)
    assert sum(asked) == 3
    alone = [scorer.without(view, one[None])[0] for one in masks]
    np.testing.assert_allclose(scores, alone, rtol=1e-6)


def test_a_function_keeps_all_ways(stripe_network: torch.nn.Module, draw_striped_images: Callable[..., Any]) -> None:
    """A share of a score that may be negative says nothing."""
    base = vs.preset("default")
    settings = replace(
        base, masks=replace(base.masks, infill="mean+noise", fast=None, smooth=replace(base.masks.smooth, iterations=2))
    )
    settings = replace(settings, masks=replace(settings.masks, sharp=replace(base.masks.sharp, iterations=2)))
    run = vs.summarize(stripe_network, list(draw_striped_images(3).images), lambda logits: logits[:, 0] - 3, settings=settings)
    assert run.settings.masks.infill == "mean+noise"
    assert run.info.left_when_hidden == {}


def test_what_chance_leaves_does_not_count() -> None:
    """A network of two classes gives each one half when it sees nothing: hiding has taken all that it can."""

    class Bright(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            contrast = 20 * (x.amax((1, 2, 3)) - x.mean((1, 2, 3)))
            return torch.stack([contrast, torch.zeros_like(contrast)], dim=1)

    classifier = Classifier(Bright(), transform=ViewTransform((20, 30), mean=(0, 0, 0), std=(1, 1, 1)))
    view = np.zeros((20, 30, 3), np.uint8)
    view[5:8, 5:8] = 255
    infills, left = Scorer(classifier, resolve_target(classifier, 0), MaskSettings(infill="mean+blur")).effective_infills(
        [view]
    )
    assert infills == ("mean",)
    assert left["mean"] == pytest.approx(0, abs=1e-3)
    assert left["blur"] > 0.1


def test_masks_of_several_views_are_asked_as_those_of_each_alone() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten(), torch.nn.Linear(48, 3))
    classifier = Classifier(net, transform=ViewTransform((20, 28)), class_names=["a", "b", "c"])
    target, rng = resolve_target(classifier, "b"), np.random.default_rng(0)
    asked = []
    for count in (3, 0, 2, 1):
        view, masks = rng.integers(0, 256, (20, 28, 3), dtype=np.uint8), rng.random((count, 20, 28)) < 0.5
        asked.append((view, masks, [INFILLS[k % len(INFILLS)] for k in range(count)]))
    scorer = Scorer(classifier, target)
    with scorer.frozen():
        together = scorer.without_in(asked)
        for (view, masks, infills), found in zip(asked, together, strict=True):
            one_by_one = [scorer.without(view, mask[None], [infill])[0] for mask, infill in zip(masks, infills, strict=True)]
            assert found.tolist() == pytest.approx(one_by_one, abs=1e-6)
    assert len({round(float(score), 5) for found in together for score in found}) == 6  # each mask has its own


@pytest.mark.parametrize("infill", [name for name in (*INFILLS, *HELD_OUT) if name != "permuted"])  # in another order
def test_pages_show_what_the_network_sees(infill: str) -> None:
    rng = np.random.default_rng(3)
    for height, width in ((37, 52), (9, 14), (150, 241)):
        view = cv2.resize(rng.integers(0, 256, (5, 7, 3), np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
        evidence = rng.random((height, width), np.float32)
        image = torch.from_numpy(view).permute(2, 0, 1)[None] / 255
        seen = perturb(image, hidden_pixels(image, infill, MaskSettings()), torch.from_numpy(1 - evidence)[None])
        expected = (seen[0].permute(1, 2, 0) * 255).numpy()
        assert np.abs(view_without(view, evidence, infill, MaskSettings()) - expected).max() < 0.51
