"""Infills: what a mask found under one of them does under the others, on another network, and off the object.

Run with ``python benchmarks/masks/infill.py --json FILE [--data DIR] [--size quick|full]``. Masks of images with planted parts
(truth known) and, with ``--data``, of photographs are found under each infill and scored under every infill. A mask that fools
the network with the look of what hides it, rather than taking evidence away, loses its effect under another infill, or on
another network. Three infills are held out: no mask is found under them.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import visual_summaries as vs
from benchmarks.harness import bar, demo_classifier, finish, parser, pretrained, results
from benchmarks.masks.masks import photographs
from benchmarks.seeds import seeds
from visual_summaries.birds.render import render
from visual_summaries.birds.scene import sample_scene
from visual_summaries.birds.world import CLASS_NAMES, PARTS
from visual_summaries.classifiers import Classifier, Target, resolve_target
from visual_summaries.demo import NETWORKS
from visual_summaries.masks.infill import hide
from visual_summaries.settings.masks import INFILLS, infills_of

#: Photographs: network, another network, folder, class.
CASE = ("mobilenetv2_100", "squeezenet1_1", "imagewoof320/258_Samoyed", 258)


#: Infills that no mask is found under.
HELD_OUT = ("other image", "pixelated", "black")

#: Ways that masks are found under: each alone, the published blur with another, the default's mix.
FOUND_UNDER = (*INFILLS, "blur+strong-blur", "mix")

#: What the mix of the former default, which had the published blur in it, reached on the same images.
FORMER_TRANSFER, FORMER_OFF_OBJECT = 0.67, 0.11


def held_out(images: torch.Tensor, kind: str) -> torch.Tensor:
    """Return what hidden pixels show: the next image mirrored, tiles of 32 pixels of their mean color, or black."""
    if kind == "other image":
        return images.roll(1, 0).flip(-1)
    if kind == "pixelated":
        tiles = F.avg_pool2d(images, 32, ceil_mode=True, count_include_pad=False)
        return F.interpolate(tiles, scale_factor=32)[..., : images.shape[-2], : images.shape[-1]]
    return torch.zeros_like(images)


def drops(
    classifier: Classifier, views: Sequence[NDArray[np.uint8]], masks: Sequence[vs.Mask], target: Target, kind: str
) -> float:
    """Return the mean relative loss of the score when the masks' evidence is hidden in one infill."""
    x = classifier.to_tensor(views)
    evidence = torch.from_numpy(np.stack([mask.final for mask in masks])).to(x)[:, None]
    hidden = held_out(x, kind) if kind in HELD_OUT else hide(x, kind)
    with classifier.frozen(), torch.no_grad():
        before = target.score(classifier.logits(x))
        after = target.score(classifier.logits(torch.lerp(x, hidden, evidence)))
    return float(((before - after) / before).double().mean())


def measure(
    images: str,
    classifier: Classifier,
    others: Sequence[Classifier],
    views: list[NDArray[np.uint8]],
    target: int,
    labels: list[NDArray[np.uint8]] | None,
) -> list[dict[str, Any]]:
    """Return a row for each infill that masks are found under."""
    rows = []
    own = resolve_target(classifier, target)
    default = vs.preset("default").masks
    # As a tensor: views given as images would be resized and cropped once more.
    x = classifier.to_tensor(views)
    for found in (*FOUND_UNDER, "mix, published optimizer"):
        published = found.endswith("published optimizer")
        settings = replace(vs.preset("paper").masks, infill="mix") if published else replace(default, infill=found)
        start = time.process_time()
        masks = vs.optimize_masks(classifier, x, target, settings=settings)
        seconds = (time.process_time() - start) / len(views)
        under = {kind: drops(classifier, views, masks, own, kind) for kind in (*INFILLS, *HELD_OUT)}
        elsewhere = {
            kind: float(np.mean([drops(other, views, masks, resolve_target(other, target), kind) for other in others]))
            for kind in (*INFILLS, *HELD_OUT)
        }
        used = INFILLS if published else infills_of(found)
        row: dict[str, Any] = {
            "images": images,
            "network": classifier.spec,
            "other_networks": [other.spec for other in others],
            "count": len(views),
            "found_under": found,
            "drop_under": under,
            "drop_under_mix": float(np.mean([under[kind] for kind in infills_of("mix")])),
            "drop_under_held_out": float(np.mean([under[kind] for kind in HELD_OUT])),
            "drop_on_other_network": float(np.mean([elsewhere[kind] for kind in used])),
            "drop_on_other_network_held_out": float(np.mean([elsewhere[kind] for kind in HELD_OUT])),
            "area": float(np.mean([mask.area for mask in masks])),
            "crispness": float(np.mean([mask.crispness for mask in masks])),
            "processor_seconds_per_image": seconds,
        }
        if labels is not None:
            off = [
                float(
                    (mask.final.astype(np.float32) * ~np.isin(truth, np.arange(1, len(PARTS) + 1))).sum()
                    / max(mask.final.sum(), 1e-6)
                )
                for mask, truth in zip(masks, labels, strict=True)
            ]
            row["share_off_object"] = float(np.mean(off))
        rows.append(row)
        print(json.dumps(row), flush=True)
    return rows


def planted(count: int) -> list[dict[str, Any]]:
    """Measure on drawn birds of four classes; the other networks are smaller ones."""
    classifier, *others = (demo_classifier(name) for name in NETWORKS)
    rows = []
    for index in (0, 2, 5, 7):
        drawn = [render(sample_scene(index, seed)) for seed in seeds("infill", index, count // 4)]
        views, labels = [one.image for one in drawn], [one.labels for one in drawn]
        rows += measure(f"drawn {CLASS_NAMES[index]}", classifier, others, views, index, labels)
    return rows


def of_photographs(data: Path, count: int) -> list[dict[str, Any]]:
    """Measure on photographs that two networks of one input size get right."""
    name, other_name, folder, index = CASE
    classifier, other = (pretrained(one, data) for one in (name, other_name))
    # Both networks take 224 pixels, resized alike: a view of one is a view of the other.
    views = photographs(data / "images" / folder, index, count, classifier, other)
    rows = measure(f"photographs of {classifier.class_names[index]}", classifier, [other], views, index, None)
    for row in rows:
        row["network"], row["other_networks"] = name, [other_name]
    return rows


def mean_of(rows: list[dict[str, Any]], found: str) -> dict[str, Any]:
    """Return the mean over the sets of images of the masks found under one infill."""
    own = [row for row in rows if row["found_under"] == found]
    names = [name for name, value in own[0].items() if isinstance(value, float)]
    means = {name: float(np.mean([row[name] for row in own if name in row])) for name in names}
    return {"images": "mean of all sets", "found_under": found, **means}


def bars_of(means: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what the default is held to, and what the choice of its infills rests on: no infill alone does better."""
    of = {row["found_under"]: row for row in means}
    chosen = of[vs.preset("default").masks.infill]

    def best(name: str) -> float:
        return max(of[kind][name] for kind in INFILLS)

    held = (
        ("drop_on_other_network_held_out", "drop on other networks under infills held out", FORMER_TRANSFER, ">="),
        ("share_off_object", "share of the evidence off the object", FORMER_OFF_OBJECT, "<="),
        ("drop_under_mix", "drop under the infills of the mix, against each alone", best("drop_under_mix"), ">="),
        ("drop_under_held_out", "drop under infills held out, against each alone", best("drop_under_held_out"), ">="),
    )
    return [bar(what, chosen[name], bound, sense) for name, what, bound, sense in held]


def main() -> None:
    """Measure and write."""
    options = parser(__doc__, "2 images a set", "6").parse_args()
    count = 8 if options.size == "quick" else 24
    rows = planted(count) + ([] if options.data is None else of_photographs(options.data, count // 4))
    means = [mean_of(rows, found) for found in (*FOUND_UNDER, "mix, published optimizer")]
    settings = {"masks": "preset default, hidden as named; the published optimizer once", "images_a_set": count // 4}
    finish(results("infill", options.size, settings, means + rows, bars_of(means)), options.json)


if __name__ == "__main__":
    main()
