"""The whole job on networks of every kind: grayscale, vision transformer, exported program; sizes that are not square."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from torch import nn

import visual_summaries as vs
from visual_summaries.masks import MaskSchedule


def few_steps(preset: str) -> vs.Settings:
    settings = vs.preset(preset)
    masks = replace(
        settings.masks,
        smooth=MaskSchedule(6, l1=0.05, l2=0.01, l3=0.0),
        sharp=MaskSchedule(6, l1=0.01, l2=1.0, l3=2.0),
        fast=settings.masks.fast and replace(settings.masks.fast, steps=10, extra_rounds=0),
    )
    return replace(settings, masks=masks, regions=replace(settings.regions, boxes=120))


class GrayNetwork(nn.Module):
    """Looks for contrast between neighbors in a single channel; class 1 is contrast."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.02))
        self.pretrained_cfg = {
            "input_size": (1, 56, 72),
            "mean": (0.5,),
            "std": (0.5,),
            "crop_pct": 1.0,
            "interpolation": "bilinear",
            "num_classes": 2,
        }

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        contrast = x.diff(dim=-1).abs().sum(dim=(1, 2, 3)) * self.scale
        return torch.stack([torch.zeros_like(contrast), contrast], dim=1)


def transformer() -> nn.Module:
    torch.manual_seed(0)
    module = timm.create_model("vit_tiny_patch16_224", pretrained=False, img_size=(64, 96), depth=2, num_classes=5)
    module.pretrained_cfg = {**module.pretrained_cfg, "input_size": (3, 64, 96), "crop_pct": 1.0, "num_classes": 5}
    return module


def large() -> nn.Module:
    torch.manual_seed(2)
    module = nn.Sequential(
        nn.Conv2d(3, 4, 7, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    ).eval()
    module.pretrained_cfg = {"input_size": (3, 384, 512), "crop_pct": 1.0, "num_classes": 3}
    return module


def smallest() -> nn.Module:
    """Flattens what its convolution gives with `view`, as many networks do: that cannot run channels last."""

    class Views(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution, self.norm = nn.Conv2d(3, 4, 5, stride=8), nn.BatchNorm2d(4)
            self.last = nn.Linear(4 * 12 * 17, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = torch.relu(self.norm(self.convolution(x)))
            return self.last(x.view(x.size(0), -1))

    torch.manual_seed(3)
    module = Views().eval()
    module.pretrained_cfg = {"input_size": (3, 96, 136), "crop_pct": 1.0, "num_classes": 3}
    return module


def exported(path: Path) -> Path:
    torch.manual_seed(1)
    module = nn.Sequential(
        nn.Conv2d(3, 4, 5, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    ).eval()
    batch = torch.export.Dim("batch", min=1, max=512)
    program = torch.export.export(module, (torch.zeros(2, 3, 60, 84),), dynamic_shapes=({0: batch},))
    torch.export.save(program, path)
    return path


@pytest.mark.parametrize("preset", ["default", "paper"])
@pytest.mark.parametrize(
    ("kind", "size"),
    [("gray", (56, 72)), ("transformer", (64, 96)), ("exported", (60, 84)), ("smallest", (96, 136)), ("large", (384, 512))],
    ids=["gray", "transformer", "exported", "smallest", "large"],
)
def test_the_whole_job(
    tmp_path: Path, draw_striped_images: Callable[..., Any], kind: str, size: tuple[int, int], preset: str
) -> None:
    models = {
        "gray": GrayNetwork,
        "transformer": transformer,
        "exported": lambda: str(exported(tmp_path / "model.pt2")),
        "smallest": smallest,
        "large": large,
    }
    classifier = vs.load_classifier(models[kind]())
    images = list(draw_striped_images(4, size=(size[0] + 20, size[1] + 30)).images)
    predicted = classifier.probabilities(classifier.to_tensor([classifier.view(image) for image in images])).argmax(1)
    target = int(predicted.mode().values)
    run = vs.summarize(classifier, images, target, tmp_path / "run", settings=few_steps(preset), include_misclassified=True)
    assert len(run.images) == 4
    for image, mask in zip(run.images, run.masks, strict=True):
        assert image.view.shape == (*size, 3)
        assert mask.smooth.shape == mask.sharp.shape == size
        assert np.isfinite(mask.losses).all()
        assert 0 <= mask.score_after <= 1
    assert vs.load_run(tmp_path / "run") == run
    assert run.report().stat().st_size > 10_000
