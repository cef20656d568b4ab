"""Photographs, for ``benchmarks/parts.py``: birds with part points, and a shortcut planted by choosing the training images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import nn

import parts_birds as birds
import visual_summaries as vs
from parts_planted import analysed
from visual_summaries.classifiers import Classifier, resolve_transform
from visual_summaries.results import Mask, Run

BIRDS = {"quick": 6, "full": 20}  # images of a class
DOGS = {"quick": 8, "full": 16}
_RESAMPLINGS = 500


def photographs(data: Path, size: str, keep: Path) -> dict[str, Any]:
    """Return rows, bars and details of both sets."""
    found = [bird_parts(data, BIRDS[size], keep / "birds"), confounded(data, DOGS[size], keep / "dogs")]
    return {
        "rows": [row for one in found for row in one["rows"]],
        "bars": [bar for one in found for bar in one["bars"]],
        "details": {"birds": found[0]["details"], "husky_wolf": found[1]["details"]},
    }


def bird_parts(data: Path, count: int, keep: Path) -> dict[str, Any]:
    """Return the share of members on their summary's part: default, paper, and random regions in groups of the same sizes."""
    classifier = vs.load_classifier(f"{data / 'weights' / 'nets.py'}:{birds.NETWORK}")
    rng = np.random.default_rng(0)
    groups: dict[str, list[list[tuple[int, str]]]] = {"default": [], "paper": []}
    regions: list[tuple[Run, list[birds.Points], list[int], int]] = []
    first, details = 0, []
    for name, index in birds.FOLDERS.items():
        views, points = birds.chosen_birds(classifier, data / "images" / "cub_crops227", name, count)
        for preset in groups:
            run = birds.summarize_birds(classifier, views, index, preset, keep / f"{preset}_{index}_{count}")
            own = birds.groups_of(run, points)
            groups[preset] += [[(first + image, part) for image, part in group] for group in own]
            details.append({"class": name, "preset": preset, "images": len(views), "parts": [[p for _, p in g] for g in own]})
            if preset == "default":
                regions.append((run, points, [len(group) for group in own], first))
        first += len(views)
    chance = [_random(regions, rng) for _ in range(_RESAMPLINGS)]
    weights = [np.bincount(rng.integers(first, size=first), minlength=first).astype(float) for _ in range(_RESAMPLINGS)]
    ones = np.ones(first)
    shares = {preset: birds.share_on_majority(own, ones) for preset, own in groups.items()}
    resampled = {preset: [birds.share_on_majority(own, w) for w in weights] for preset, own in groups.items()}
    random = float(np.mean(chance))
    over = [a / b for a, b in zip(resampled["default"], chance, strict=True)]
    above = [a - b for a, b in zip(resampled["default"], resampled["paper"], strict=True)]
    rows = [
        {
            "method": preset,
            "set": "birds",
            "groups": len(groups[preset]),
            "share_on_majority": shares[preset],
            "interval": birds.interval(resampled[preset]),
        }
        for preset in groups
    ]
    rows.append({"method": "random regions", "set": "birds", "share_on_majority": random, "interval": birds.interval(chance)})
    ratio = shares["default"] / random
    return {
        "rows": rows,
        "bars": [
            {"name": "birds: default over random", "value": ratio, "bound": 1.5, "sense": ">=", "holds": ratio >= 1.5},
            {
                "name": "birds: default, above paper",
                "value": shares["default"],
                "bound": shares["paper"],
                "sense": ">",
                "holds": shares["default"] > shares["paper"],
            },
        ],
        "details": {"over_random": birds.interval(over), "above_paper": birds.interval(above), "runs": details},
    }


def _random(regions: Sequence[tuple[Run, list[birds.Points], list[int], int]], rng: np.random.Generator) -> float:
    groups = []
    for run, points, sizes, first in regions:
        groups += [[(first + image, part) for image, part in group] for group in birds.random_groups(run, points, sizes, rng)]
    return birds.share_on_majority(groups, np.ones(regions[-1][3] + len(regions[-1][0].images)))


def background_like(view: NDArray[np.uint8], kind: str) -> NDArray[np.bool_]:
    """Return which pixels look like ``"grass"`` (green: no dog is) or ``"snow"`` (bright, grey and smooth: fur is rough)."""
    rgb = view.astype(np.float32) / 255
    if kind == "grass":
        return np.asarray(2 * rgb[..., 1] - rgb[..., 0] - rgb[..., 2] > 0.06)
    grey = rgb.mean(axis=2)
    rough = np.sqrt(np.maximum(cv2.blur(grey * grey, (7, 7)) - cv2.blur(grey, (7, 7)) ** 2, 0))
    return np.asarray((grey > 0.62) & (np.ptp(rgb, axis=2) < 0.16) & (rough < 0.06))


def confounded(data: Path, count: int, keep: Path) -> dict[str, Any]:
    """Train a head on huskies on grass and wolves on snow, explain it, and see how much of its evidence is background."""
    nets, folder = data / "weights" / "nets.py", data / "images" / "husky_wolf"
    original = vs.load_classifier(f"{nets}:{birds.NETWORK}")
    kinds = {"husky_on_grass": "grass", "wolf_on_snow": "snow"}
    views = {name: [original.view(vs.open_image(path)) for path in sorted((folder / name).iterdir())] for name in kinds}
    classifier, accuracy = trained_head(f"{nets}:{birds.NETWORK}", views)
    rows, details = [], []
    for index, (name, kind) in enumerate(kinds.items()):
        out = keep / name
        chosen = classifier.to_tensor(views[name][:count])
        run = (
            vs.load_run(out)
            if (out / "run.json").exists()
            else vs.summarize(classifier, chosen, index, out, resume=out.exists())
        )
        grounds = [background_like(image.view, kind) for image in run.images]
        own = [mask.final > 0.5 for mask in run.masks]
        theirs = [_own_evidence(original, image.view, analysed("default").masks) for image in run.images]
        summaries = []
        for summary in run.summaries:
            on = total = 0
            for member in summary.members:
                region = run.regions[member.region]
                x0, y0, x1, y1 = region.box
                on += int((grounds[region.image][y0:y1, x0:x1] & region.mask).sum())
                total += int(region.mask.sum())
            share, found = on / max(total, 1), summary.analysis
            summaries.append(
                {
                    "background": share,
                    "members": len(summary.members),
                    "importance": summary.importance,
                    "beats_control": None if found is None else found.beats_control,
                }
            )
        rows.append(
            {
                "method": "default",
                "set": name,
                "images": len(run.images),
                "background_of_image": float(np.mean([ground.mean() for ground in grounds])),
                "background_of_evidence": _share(own, grounds),
                "background_of_evidence_1000_way": _share(theirs, grounds),
            }
        )
        details.append({"class": name, "head_accuracy_on_held_out": accuracy, "summaries": summaries})
    bars = [
        {
            "name": f"{row['set']}: background of the head's evidence, over that of the 1000-way network's",
            "value": (times := row["background_of_evidence"] / max(row["background_of_evidence_1000_way"], 1e-9)),
            "bound": 2.0,
            "sense": ">=",
            "holds": times >= 2.0,
        }
        for row in rows
    ]
    return {"rows": rows, "bars": bars, "details": details}


def _share(evidence: Sequence[NDArray[np.bool_]], grounds: Sequence[NDArray[np.bool_]]) -> float:
    """Return the share of all evidence pixels that are background."""
    on = sum(int((own & ground).sum()) for own, ground in zip(evidence, grounds, strict=True))
    return on / max(sum(int(own.sum()) for own in evidence), 1)


def _own_evidence(original: Classifier, view: NDArray[np.uint8], settings: vs.MaskSettings) -> NDArray[np.bool_]:
    """Return the evidence of the 1000-way network for the class that it gives to a view: the dog, unless it cheats as well."""
    x = original.to_tensor([view])
    with original.frozen(), torch.no_grad():
        best = int(original.logits(x).argmax())
    mask: Mask = vs.optimize_masks(original, x, best, settings=settings)[0]
    return np.asarray(mask.final > 0.5)


def trained_head(spec: str, views: dict[str, list[NDArray[np.uint8]]]) -> tuple[Classifier, float]:
    """Return the network with a linear head for the two folders, fitted on two thirds of each, and its accuracy on the rest."""
    whole = vs.load_classifier(spec)
    module = whole.module
    features, labels, held = [], [], []
    with whole.frozen(), torch.no_grad():
        for index, own in enumerate(views.values()):
            for k, view in enumerate(own):
                x = (whole.to_tensor([view]) - 0.5) / 0.5
                features.append(module.forward_head(module.forward_features(x), pre_logits=True)[0].numpy())
                labels.append(index)
                held.append(k % 3 == 2)
    x, y, out = np.stack(features), np.array(labels), np.array(held)
    model = LogisticRegression(C=0.1, max_iter=2000).fit(x[~out], y[~out])
    head = nn.Linear(x.shape[1], 2)
    with torch.no_grad():
        # two outputs whose difference is the model's decision function
        head.weight.copy_(torch.from_numpy(np.concatenate([-model.coef_, model.coef_]) / 2))
        head.bias.copy_(torch.from_numpy(np.concatenate([-model.intercept_, model.intercept_]) / 2))
    module.classifier = head
    names = tuple(name.split("_")[0] for name in views)
    classifier = Classifier(module, transform=resolve_transform(module), class_names=names, spec="linear head, husky or wolf")
    return classifier, float(model.score(x[out], y[out]))
