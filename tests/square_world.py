"""A world whose right division is known to the pixel: squares of plain colors on gray, and networks that see nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import visual_summaries as vs
from benchmarks.made_runs import made_mask
from visual_summaries.results import Mask

SIZE = (64, 96)
GRAY = (120, 120, 120)
RED, BLUE, GREEN = (255, 0, 0), (0, 0, 255), (0, 255, 0)
COLORS = (RED, BLUE, GREEN)
SIDE = 16  # of the red and the blue square; the green bar, that is not used, is larger
BAR = (24, 48)
BASE, WEIGHTS = 0.1, (0.55, 0.3, 0.0)  # score without any square, and what each color adds to it


class Colors(nn.Module):
    """Maps of how much each pixel is red, blue and green: 1 for the color itself, 0 for gray and for the others."""

    def forward(self, x: Tensor) -> Tensor:
        palette = torch.tensor(COLORS, dtype=x.dtype, device=x.device) / 255
        away = (x[:, None] - palette[None, :, :, None, None]).abs().sum(dim=2)
        return (1 - 4 * away).clamp(min=0)


class Tokens(nn.Module):
    """One token for each cell of a map, behind a class token."""

    def forward(self, maps: Tensor) -> Tensor:
        tokens = maps.flatten(2).transpose(1, 2)
        return torch.cat([tokens.mean(dim=1, keepdim=True), tokens], dim=1)


class SquareNetwork(nn.Module):
    """Class 0, "squares": its probability is exactly .1 + .55 for the red square + .3 for the blue one.

    `shows` says what its submodules put out: ``"maps"`` at strides 4 and 8, ``"tokens"`` at stride 8, or ``"scores"`` only;
    `any_size` whether it takes images of another size than its own.
    """

    def __init__(self, shows: str = "maps", any_size: bool = False) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.tensor(BASE))
        self.any_size = any_size
        if shows != "scores":
            self.colors = Colors()
            self.deep: nn.Module = nn.AvgPool2d(8)
            if shows == "maps":
                self.stem = nn.AvgPool2d(4)
                self.deep = nn.AvgPool2d(2)
            else:
                self.tokens = Tokens()
        self.shows = shows

    def forward(self, x: Tensor) -> Tensor:
        if not self.any_size and tuple(x.shape[-2:]) != SIZE:
            raise ValueError(f"this network takes images of {SIZE} pixels")
        maps = Colors.forward(self, x) if self.shows == "scores" else self.colors(x)
        if self.shows == "maps":
            maps = self.deep(self.stem(maps))
        elif self.shows == "tokens":
            maps = self.deep(maps)
            self.tokens(maps)
        share = SIDE**2 / (SIZE[0] * SIZE[1])
        found = (maps.mean(dim=(2, 3)) / share).clamp(max=1)
        score = (self.bias + found @ torch.tensor(WEIGHTS, dtype=x.dtype, device=x.device)).clamp(1e-6, 1 - 1e-6)
        return torch.stack([score.log(), (1 - score).log()], dim=1)


def square_network(shows: str = "maps", any_size: bool = False) -> SquareNetwork:
    """Return the network, with its transform in timm's form."""
    module = SquareNetwork(shows, any_size).eval()
    module.pretrained_cfg = {
        "input_size": (3, *SIZE),
        "mean": (0.0, 0.0, 0.0),
        "std": (1.0, 1.0, 1.0),
        "crop_pct": 1.0,
        "interpolation": "bilinear",
        "num_classes": 2,
        "label_names": ("squares", "plain"),
    }
    return module


@dataclass(frozen=True)
class Squares:
    """Images (N, H, W, 3), and the color of each pixel as its position in COLORS (N, H, W), -1 for gray."""

    images: np.ndarray
    truth: np.ndarray


def squares(count: int, random_state: int = 0, colors: Sequence[int] = (0, 1, 2)) -> Squares:
    """Draw a red square at the upper left, a blue one at the upper right, and a green bar below, at least 8 pixels apart."""
    rng = np.random.default_rng(random_state)
    truth = np.full((count, *SIZE), -1)
    for own in truth:
        places = [(8 * rng.integers(3), 8 * rng.integers(4)), (8 * rng.integers(3), 48 + 8 * rng.integers(5))]
        places.append((40, 8 * rng.integers(7)))
        for color in colors:
            (y, x), (h, w) = places[color], BAR if color == 2 else (SIDE, SIDE)
            own[y : y + h, x : x + w] = color
    palette = np.array([*COLORS, GRAY], np.uint8)
    return Squares(palette[truth], truth)


def evidence_of(view: np.ndarray) -> np.ndarray:
    """Everything that is not gray."""
    return np.asarray((view != GRAY[0]).any(axis=2))


def known_mask(view: np.ndarray, evidence: Callable[[np.ndarray], np.ndarray] = evidence_of) -> Mask:
    mask = evidence(view).astype(np.float16)
    return made_mask(mask, BASE + sum(WEIGHTS), BASE, BASE, infills=1)


def give_masks(monkeypatch: pytest.MonkeyPatch, evidence: Callable[[np.ndarray], np.ndarray] = evidence_of) -> None:
    """Have runs, and runs that are applied, take known masks for what optimization would find."""

    def of_run(_context: Any, images: Any) -> list[Mask]:
        return [known_mask(image.view, evidence) for image in images]

    monkeypatch.setattr("visual_summaries.runs.summarize.compute_masks", of_run)
    monkeypatch.setattr("visual_summaries.runs.apply.compute_masks", of_run)
    # The network counts pixels: it has no gradient, and known masks need none.
    monkeypatch.setattr("visual_summaries.runs.summarize.require_explainable", lambda *_: None)


def square_settings(**parts: Any) -> vs.Settings:
    """The default, with less of what does not matter here; hidden pixels show the image's mean, which is no square's color."""
    settings = vs.preset("default")
    return replace(
        settings,
        masks=replace(settings.masks, infill="mean"),
        regions=replace(settings.regions, boxes=20),
        analyses=replace(settings.analyses, chance=2, resamplings=4, bootstrap=50),
        parts=replace(settings.parts, **parts),
    )
