"""What a network truly uses, measured by intervention: parts are re-drawn, and the class's probability is looked at.

Examples
--------
>>> from visual_summaries.demo.networks import demo_network
>>> effects = part_effects(demo_network(), 0, n=8)
>>> sorted(effects)
['crest', 'wing']
>>> used_parts(effects)
('crest', 'wing')
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from visual_summaries._validate import require_choice, require_in_range
from visual_summaries.demo.render import render
from visual_summaries.demo.scene import Scene, sample_scene
from visual_summaries.demo.world import CLASSES, PARTS, PLANTED, SHARED
from visual_summaries.errors import SettingsError

#: How a part is changed: to a variant that another class plants, to one that all classes share, or away.
INTERVENTIONS = ("other", "shared", "removed")

#: Mean loss of probability from which on a part counts as used.
USED = 0.1

#: First seed of the images that effects are measured on; neither training nor the measurement of accuracy uses these.
EFFECT_SEED = 20_000_000


def predict(network: nn.Module, images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return softmax probabilities (N, K) of images (N, H, W, 3), normalised as the network's ``pretrained_cfg`` says."""
    config: Mapping[str, tuple[float, ...]] = network.pretrained_cfg  # type: ignore[assignment]
    mean, std = torch.tensor(config["mean"]), torch.tensor(config["std"])
    probabilities = []
    with torch.inference_mode():
        for start in range(0, len(images), 64):
            x = (torch.from_numpy(images[start : start + 64]).float() / 255 - mean) / std
            probabilities.append(network(x.permute(0, 3, 1, 2)).double().softmax(1).numpy())
    result: NDArray[np.float64] = np.concatenate(probabilities)
    return result


def intervene(scene: Scene, part: str, how: str) -> Scene:
    """Return the scene with one part (or ``"shortcut"``, which can only be removed) changed, all else equal.

    Which variant is taken follows from the scene's seed, so that many scenes go through all variants.

    Raises
    ------
    SettingsError
        If there is no such intervention, or no other class plants the part.
    """
    require_choice("how", how, INTERVENTIONS)
    if how == "removed" or part == "shortcut":
        return scene.without(part)
    require_choice("part", part, PARTS)
    variants = PLANTED.get(part, {}) if how == "other" else SHARED[part]
    names = [name for name in variants if name != scene.variants[part]]
    if not names:
        raise SettingsError(
            f"no class plants the {part}: change it with 'shared' or 'removed', or take one of {', '.join(PLANTED)}"
        )
    return scene.with_variant(part, names[scene.seed % len(names)])


def effect(
    network: nn.Module, class_index: int, change: Callable[[Scene], Scene], n: int = 50, seed: int = EFFECT_SEED
) -> float:
    """Return the mean loss of the class's probability when `change` is made to its images.

    Parameters
    ----------
    network : nn.Module
    class_index : int
    change : callable
        Scene to changed scene.
    n : int
        Number of images.
    seed : int
        Seed of the first image.

    Returns
    -------
    float
        In [-1, 1]: mean of p before minus p after.
    """
    require_in_range("n", n, 1)
    scenes = [sample_scene(class_index, seed + k) for k in range(n)]
    before = predict(network, np.stack([render(scene).image for scene in scenes]))[:, class_index]
    after = predict(network, np.stack([render(change(scene)).image for scene in scenes]))[:, class_index]
    return float((before - after).mean())


def part_effects(
    network: nn.Module, class_index: int, how: str = "other", n: int = 50, seed: int = EFFECT_SEED, every: bool = False
) -> dict[str, float]:
    """Return for each planted part of a class the mean loss of the class's probability when the part is changed.

    Parameters
    ----------
    network : nn.Module
        One of the demo's networks, or any with ``pretrained_cfg`` and the demo's classes.
    class_index : int
    how : str
        One of ``INTERVENTIONS``. A planted part is evidence by itself: with the others still there, sharing or removing it need
        not cost the class anything, which is why the default puts evidence of another class in its place.
    n : int
        Number of fresh images.
    seed : int
        Seed of the first image.
    every : bool
        Measure all parts (those that other classes do not plant are removed), not just the planted ones.

    Returns
    -------
    dict of str to float
        In [-1, 1]; the shortcut of a class that has one is under ``"shortcut"`` (its effect when removed).
    """
    bird = CLASSES[class_index]
    parts = list(PARTS) if every else [part for part in PARTS if part in bird.planted]
    if bird.shortcut_rate:
        parts.append("shortcut")
    return {
        part: effect(
            network,
            class_index,
            lambda scene, part=part: intervene(scene, part, how if how != "other" or part in PLANTED else "removed"),  # type: ignore[misc]
            n,
            seed,
        )
        for part in parts
    }


def used_parts(effects: Mapping[str, float], threshold: float = USED) -> tuple[str, ...]:
    """Return the parts whose effect reaches the threshold."""
    return tuple(part for part, loss in effects.items() if loss >= threshold)
