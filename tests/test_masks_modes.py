"""Deletion, preservation and both at once, on networks for which the three answers differ and are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import visual_summaries as vs
from visual_summaries.errors import SettingsError
from visual_summaries.masks.infill import INFILLS, hidden_pixels, hide
from visual_summaries.masks.objective import geometry
from visual_summaries.masks.perturb import perturb
from visual_summaries.settings.masks import MODES, MaskSettings, infills_of


def settings_of(mode: str, **changes: Any) -> MaskSettings:
    base = vs.preset("paper").masks
    smooth, sharp = replace(base.smooth, iterations=120, l1=0.2), replace(base.sharp, iterations=120)
    return replace(base, smooth=smooth, sharp=sharp, mode=mode, **changes)


class Either(nn.Module):
    """Class 0 needs the left or the right striped patch: one of them is enough."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(12.0))
        self.pretrained_cfg = {
            "input_size": (3, 40, 90),
            "mean": (0.0,) * 3,
            "std": (1.0,) * 3,
            "crop_pct": 1.0,
            "num_classes": 2,
        }

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        contrast = x.mean(1).diff(dim=-1).abs()
        left, right = (half.sum(dim=(1, 2)) / 200 for half in (contrast[..., :45], contrast[..., 45:]))
        logit = self.weight * torch.maximum(left, right) - 6
        return torch.stack([logit, torch.zeros_like(logit)], dim=1)


def two_patches() -> np.ndarray:
    image = np.full((40, 90, 3), 120, np.uint8)
    for x in (10, 60):
        image[10:30, x : x + 20] = np.where(np.arange(20) % 4 < 2, 250, 10)[None, :, None]
    return image


def covered(mask: vs.Mask) -> tuple[float, float]:
    return float(mask.final[10:30, 10:30].mean()), float(mask.final[10:30, 60:80].mean())


def test_deletion_takes_both_patches_preservation_keeps_one() -> None:
    classifier = vs.load_classifier(Either())
    (deleted,) = vs.optimize_masks(classifier, [two_patches()], 0, settings=settings_of("deletion"))
    (kept,) = vs.optimize_masks(classifier, [two_patches()], 0, settings=settings_of("preservation"))
    assert deleted.score_after < 0.2 * deleted.score_before
    assert min(covered(deleted)) > 0.6
    left, right = sorted(covered(kept))
    assert left < 0.3
    assert right > 0.4
    assert kept.area < deleted.area


@pytest.mark.parametrize("mode", MODES)
def test_both_patches_where_both_are_needed(
    stripe_network: torch.nn.Module, draw_striped_images: Callable[..., Any], mode: str
) -> None:
    drawn = draw_striped_images(1)
    (mask,) = vs.optimize_masks(vs.load_classifier(stripe_network), list(drawn.images), "marked", settings=settings_of(mode))
    for x0, y0, x1, y1 in (drawn.red[0], drawn.blue[0]):
        assert mask.final[y0:y1, x0:x1].mean() > 0.5


def test_the_loss_of_both_is_the_sum(stripe_network: torch.nn.Module, draw_striped_images: Callable[..., Any]) -> None:
    classifier = vs.load_classifier(stripe_network)
    images = list(draw_striped_images(1).images)
    first = {mode: float(vs.optimize_masks(classifier, images, 0, settings=settings_of(mode))[0].losses[0]) for mode in MODES}
    geometry = first["deletion"] + first["preservation"] - first["both"]  # area, variation and grayness are in each once
    changed = settings_of("deletion", score="logit")
    assert 0 < geometry < 0.5
    assert float(vs.optimize_masks(classifier, images, 0, settings=changed)[0].losses[0]) != first["deletion"]


def fast_settings(mode: str, **changes: Any) -> MaskSettings:
    return replace(vs.preset("default").masks, **{"mode": mode, "infill": "blur", "precision": "float32", **changes})


def test_the_fast_optimizer_takes_both_patches_or_keeps_one() -> None:
    classifier = vs.load_classifier(Either())
    deleted, kept, both = (vs.optimize_masks(classifier, [two_patches()], 0, settings=fast_settings(mode))[0] for mode in MODES)
    assert deleted.score_after < 0.01 * deleted.score_before
    assert min(covered(deleted)) > 0.6
    left, right = sorted(covered(kept))
    assert left < 0.3
    assert right > 0.4
    assert kept.area < deleted.area
    # Hidden, the evidence of both destroys the class; shown alone, it suffices.
    assert both.score_after < 0.01 * both.score_before
    assert min(covered(both)) > 0.6


@pytest.mark.parametrize("mode", MODES)
def test_the_fast_optimizer_ends_where_the_published_one_does(
    stripe_network: torch.nn.Module, draw_striped_images: Callable[..., Any], mode: str
) -> None:
    classifier = vs.load_classifier(stripe_network)
    x = classifier.to_tensor(list(draw_striped_images(2).images))
    settings = vs.preset("paper").masks
    hidden = hidden_pixels(x, "blur", settings)

    def objective(masks: list[vs.Mask]) -> float:
        m = torch.stack([1 - torch.from_numpy(mask.sharp).float() for mask in masks])
        value = geometry(m, settings.sharp, settings.tv_exponent)
        with torch.no_grad():
            if mode != "preservation":
                value = value + classifier.probabilities(perturb(x, hidden, m))[:, 0]
            if mode != "deletion":
                value = value + 1 - classifier.probabilities(perturb(x, hidden, 1 - m))[:, 0]
        return float(value.mean())

    fast = vs.optimize_masks(classifier, x, 0, settings=fast_settings(mode))
    published = vs.optimize_masks(classifier, x, 0, settings=replace(settings, mode=mode))
    assert all(len(mask.losses) <= 52 for mask in fast)
    assert objective(fast) <= 1.4 * objective(published)


def test_the_default_hides_in_every_way_that_can_destroy_the_class(
    stripe_network: torch.nn.Module, draw_striped_images: Callable[..., Any]
) -> None:
    classifier = vs.load_classifier(stripe_network)
    x = classifier.to_tensor(list(draw_striped_images(2).images))
    (before,) = classifier.probabilities(x)[:, :1].detach().unbind(1)

    def left(evidence: torch.Tensor) -> dict[str, torch.Tensor]:
        with torch.no_grad():
            return {kind: classifier.probabilities(perturb(x, hide(x, kind), 1 - evidence))[:, 0] / before for kind in INFILLS}

    whole = left(torch.ones(len(x), *x.shape[-2:]))
    assert whole["noise"].min() > 0.9  # to this network noise is stripes
    masks = vs.optimize_masks(classifier, x, 0, settings=fast_settings("deletion", infill="mix"))
    found = left(torch.stack([torch.from_numpy(mask.sharp).float() for mask in masks]))
    for kind in INFILLS:
        for image in range(len(x)):
            assert (kind != INFILLS[0] and whole[kind][image] > 0.5) or found[kind][image] < 0.03, kind
    assert max(mask.area for mask in masks) < 0.5


def test_a_fast_mix_depends_on_the_seed_and_not_on_the_batch(
    stripe_network: torch.nn.Module, draw_striped_images: Callable[..., Any]
) -> None:
    classifier = vs.load_classifier(stripe_network)
    images = list(draw_striped_images(3).images)
    mixed = fast_settings("deletion", infill="mix", batch_size=4)
    once = vs.optimize_masks(classifier, images, 0, settings=mixed)
    assert vs.optimize_masks(classifier, images, 0, settings=mixed) == once
    assert vs.optimize_masks(classifier, images, 0, settings=mixed, random_state=1) != once
    assert vs.optimize_masks(classifier, images[2:], 0, settings=mixed) == once[2:]


def test_several_ways_have_names_joined() -> None:
    assert infills_of("blur+noise") == ("blur", "noise")
    with pytest.raises(SettingsError, match="infill is 'wool', but must be one of 'blur'"):
        replace(MaskSettings(), infill="blur+wool")


def test_an_unknown_mode() -> None:
    with pytest.raises(SettingsError, match="mode is 'keep', but must be one of 'deletion', 'preservation', 'both'"):
        settings_of("keep")


def test_a_mix_is_reproducible_and_its_scores_are_those_in_each_way(
    stripe_network: torch.nn.Module, draw_striped_images: Callable[..., Any]
) -> None:
    classifier = vs.load_classifier(stripe_network)
    images = list(draw_striped_images(2).images)
    mixed = settings_of("deletion", infill="mix", batch_size=2)
    once = vs.optimize_masks(classifier, images, 0, settings=mixed)
    assert vs.optimize_masks(classifier, images, 0, settings=mixed) == once
    assert vs.optimize_masks(classifier, images, 0, settings=mixed, random_state=1) != once
    x = classifier.to_tensor(images)
    for position, infill in enumerate(infills_of("mix")):
        hidden = hide(x, infill)
        keep = torch.stack([1 - torch.from_numpy(mask.final).float() for mask in once])
        with torch.no_grad():
            whole, after = (classifier.probabilities(one)[:, 0] for one in (hidden, perturb(x, hidden, keep)))
        assert [mask.hidden[position] for mask in once] == pytest.approx(whole.tolist(), abs=1e-6)
        assert [mask.after[position] for mask in once] == pytest.approx(after.tolist(), abs=1e-6)
