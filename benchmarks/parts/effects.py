"""What every part, the shortcut and the background of drawn birds do to a class's probability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from torch import nn

from visual_summaries.birds.effects import intervene, mean_probability, scores_of_subsets, shapley_values, with_shared
from visual_summaries.birds.scene import Scene
from visual_summaries.birds.world import CLASSES, PARTS, PLANTED


def all_effects(network: nn.Module, class_index: int, scenes: Sequence[Scene]) -> dict[str, dict[str, float]]:
    """Return the effect of every part, the shortcut and the background on given images, in three readings.

    Parameters
    ----------
    network : nn.Module
    class_index : int
    scenes : sequence of Scene
        Images of the class, at best those that were explained.

    Returns
    -------
    dict of str to dict of str to float
        Keys are ``"shapley"``, ``"redrawn"`` and ``"removed"``, then the labels.

        *Shapley*: as :func:`~visual_summaries.birds.effects.part_effects`, on images as they are (the shortcut only where it
        is); of a part that the class does not plant, and of the background, the mean loss when it is removed (the background:
        drawn anew) while a random subset of the planted ones is there. *Redrawn*: the mean loss when it alone is drawn as a
        variant that another class plants (the eye, which none does: as another shared one; the background: anew; the shortcut:
        removed). *Removed*: the mean loss when it alone is removed (the background: drawn anew).

    Examples
    --------
    >>> from visual_summaries.birds.effects import EFFECT_SEED
    >>> from visual_summaries.birds.scene import sample_scene
    >>> from visual_summaries.demo.networks import demo_network
    >>> effects = all_effects(demo_network(), 0, [sample_scene(0, EFFECT_SEED + k) for k in range(4)])
    >>> effects["shapley"]["wing"] > 0.1 > abs(effects["shapley"]["tail"])
    True
    """
    cues = CLASSES[class_index].cues
    places = (*PARTS, "shortcut", "background")

    def losses(drawn: Sequence[Scene], before: float, ways: Mapping[str, str]) -> dict[str, float]:
        return {
            place: before - mean_probability(network, class_index, [intervene(scene, place, how) for scene in drawn])
            for place, how in ways.items()
        }

    values = scores_of_subsets(network, class_index, scenes)
    whole = values[frozenset(cues)]
    removed = losses(scenes, whole, dict.fromkeys(places, "removed"))
    redrawn = losses(scenes, whole, {part: "other" if part in PLANTED else "shared" for part in PARTS})
    rng = np.random.default_rng(class_index)
    some = []
    for scene in scenes:
        order = [str(part) for part in rng.permutation(cues)]
        some.append(with_shared(scene, order[: int(rng.integers(len(cues) + 1))]))
    others = dict.fromkeys((place for place in places if place not in cues), "removed")
    shapley = shapley_values(cues, values) | losses(some, mean_probability(network, class_index, some), others)
    return {"shapley": shapley, "redrawn": removed | redrawn, "removed": removed}
