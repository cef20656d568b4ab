"""What a network truly uses, measured by intervention: parts are re-drawn, and the class's probability is looked at.

Examples
--------
>>> from visual_summaries.demo.networks import demo_network
>>> effects = part_effects(demo_network(), 0, n=8)
>>> sorted(effects), 0.7 < sum(effects.values()) <= 1
(['crest', 'wing'], True)
>>> used_parts(effects)
('crest', 'wing')
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from math import factorial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from visual_summaries._validate import require_choice, require_in_range
from visual_summaries.birds.render import render
from visual_summaries.birds.scene import Scene, sample_scene
from visual_summaries.birds.world import CLASSES, PARTS, PLANTED, SHARED
from visual_summaries.errors import SettingsError

#: How a part is changed: to a variant that another class plants, to one that all classes share, or away.
INTERVENTIONS = ("other", "shared", "removed")

#: Effect from which on a part counts as used.
USED = 0.1

#: First seed of the images that effects are measured on; neither training nor the measurement of accuracy uses these.
EFFECT_SEED = 20_000_000


def predict(network: nn.Module, images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return softmax probabilities (N, K) of images (N, H, W, 3), normalized as the network's ``pretrained_cfg`` says."""
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
    """Return the scene with one part changed, all else equal.

    The part is one of ``PARTS``; ``"shortcut"``, which can only be removed; or ``"background"``, which is drawn again, objects
    and all. Which variant is taken follows from the scene's seed, so that many scenes go through all variants.

    Raises
    ------
    SettingsError
        If there is no such intervention, or no other class plants the part.
    """
    require_choice("how", how, INTERVENTIONS)
    if part == "background":
        new = sample_scene(scene.class_index, scene.seed + 5_000_000, scene.size)
        return replace(scene, backdrop=new.backdrop, distractors=new.distractors, occluders=new.occluders)
    if how == "removed" or part == "shortcut":
        return scene.without(part)
    require_choice("part", part, PARTS)
    variants = PLANTED.get(part, {}) if how == "other" else SHARED[part]
    names = [name for name in variants if name != scene.variants[part]]
    if not names:
        known = ", ".join(PLANTED)
        raise SettingsError(f"no class plants the {part}: change it with 'shared' or 'removed', or take one of {known}")
    return scene.with_variant(part, names[scene.seed % len(names)])


def effect(
    network: nn.Module, class_index: int, change: Callable[[Scene], Scene], n: int = 50, seed: int = EFFECT_SEED
) -> float:
    """Return the mean loss, in [-1, 1], of the class's probability when `change` is made to `n` images from a seed on.

    Where several parts are evidence enough, a small loss does not say that a part is not used: see :func:`part_effects`.
    """
    require_in_range("n", n, 1)
    scenes = [sample_scene(class_index, seed + k) for k in range(n)]
    return mean_probability(network, class_index, scenes) - mean_probability(
        network, class_index, [change(scene) for scene in scenes]
    )


def part_effects(network: nn.Module, class_index: int, n: int = 25, seed: int = EFFECT_SEED) -> dict[str, float]:
    """Return what each planted part of a class (and its shortcut) adds to the class's probability: its Shapley value.

    Every subset of the planted parts is drawn, the others as shared variants (the shortcut: not at all), all else equal; a
    part's effect is what adding it gives on average over the orders in which parts can be added. Parts that are evidence enough
    by themselves share the effect; leaving out one at a time would find none of them.

    Parameters
    ----------
    network : nn.Module
        One of the demo's networks, or any with ``pretrained_cfg`` and the demo's classes.
    class_index : int
    n, seed : int
        Number of fresh images, and the seed of the first.

    Returns
    -------
    dict of str to float
        In [-1, 1], for each of the class's cues. Their sum is the mean probability with all of them minus that with none.
    """
    require_in_range("class_index", class_index, 0, len(CLASSES) - 1)
    require_in_range("n", n, 1)
    scenes = [sample_scene(class_index, seed + k) for k in range(n)]
    if CLASSES[class_index].shortcut_rate:
        scenes = [scene.with_shortcut() for scene in scenes]
    else:
        scenes = [scene.without("shortcut") for scene in scenes]
    return shapley_values(CLASSES[class_index].cues, scores_of_subsets(network, class_index, scenes))


def mean_probability(network: nn.Module, class_index: int, scenes: Sequence[Scene]) -> float:
    """Return the mean probability of a class on scenes."""
    return float(predict(network, np.stack([render(scene).image for scene in scenes]))[:, class_index].mean())


def scores_of_subsets(network: nn.Module, class_index: int, scenes: Sequence[Scene]) -> dict[frozenset[str], float]:
    """Return the mean probability of a class with each subset of its cues drawn."""
    cues = CLASSES[class_index].cues
    return {
        frozenset(drawn): mean_probability(
            network, class_index, [with_shared(scene, [cue for cue in cues if cue not in drawn]) for scene in scenes]
        )
        for size in range(len(cues) + 1)
        for drawn in combinations(cues, size)
    }


def shapley_values(players: Sequence[str], values: Mapping[frozenset[str], float]) -> dict[str, float]:
    """Return the Shapley value of each player from the value of every set of them."""
    count = len(players)
    effects = dict.fromkeys(players, 0.0)
    for drawn, value in values.items():
        for part in players:
            # a subset with the part counts for it, one without against it, each by the share of orders in which it comes up
            before = len(drawn) - (part in drawn)
            weight = factorial(before) * factorial(count - before - 1) / factorial(count)
            effects[part] += weight * value if part in drawn else -weight * value
    return effects


def with_shared(scene: Scene, parts: Sequence[str]) -> Scene:
    """Return the scene with some of its parts drawn as shared variants (the shortcut: not at all)."""
    for part in parts:
        scene = intervene(scene, part, "shared")
    return scene


def used_parts(effects: Mapping[str, float], threshold: float = USED) -> tuple[str, ...]:
    """Return the parts whose effect reaches the threshold."""
    return tuple(part for part, loss in effects.items() if loss >= threshold)
