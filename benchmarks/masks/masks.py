"""Masks: the published procedure as published, beside the default as it is and ``quick``, on real networks and photographs.

Run with ``python benchmarks/masks/masks.py --data DIR --json FILE [--size quick|full]``. The published procedure runs in
float32, one image at a time, 300 + 150 Adam steps. With ``--device cuda`` everything runs on the accelerator.

Rows hold, for each network, ``published``, ``default``, ``quick`` and ``blur``, which is the default's optimizer under the
published blur alone. A mask *holds* when most of its effect is kept under five fills when it is shifted by 2 % of the side and
when its pieces under 0.5 % of the image are removed. With ``--networks``, rows of other networks that FILE has are kept.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from skimage import measure

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import visual_summaries as vs
from benchmarks.harness import Row, bar, finish, parser, pretrained, results, unfinished, write
from visual_summaries.classifiers import Classifier, Target, classify, resolve_target
from visual_summaries.masks import optimize
from visual_summaries.masks.faithfulness import SHIFT, shifted
from visual_summaries.masks.fast import FastSolver
from visual_summaries.masks.infill import hide
from visual_summaries.masks.level_set import large_pieces
from visual_summaries.masks.network import Network
from visual_summaries.masks.objective import area, geometry
from visual_summaries.masks.perturb import gaussian_blur, perturb
from visual_summaries.masks.plan import find_batch_size, make_network
from visual_summaries.masks.scorer import MOST_LEFT, Scorer
from visual_summaries.runs.manifest import peak_memory_mib
from visual_summaries.settings.masks import MaskSettings

#: Network -> folder of photographs, index of their class. The default was chosen on other classes: beagle, chain saw, French
#: horn, goldfinch and dingo.
CASES = {
    "mobilenetv2_100": ("imagewoof320/229_Old_English_sheepdog", 229),
    "squeezenet1_1": ("imagenette224/569_garbage_truck", 569),
    "mobilenetv1_050": ("imagenette224/701_parachute", 701),
    "efficientnet_lite0": ("imagenette224/000_tench", 0),
    "efficientnet_lite2": ("imagewoof320/258_Samoyed", 258),
}

#: Mean area of the masks of the former default, which hid in five infills and refined single pixels, on the same photographs.
FORMER_AREA = {
    "mobilenetv2_100": 0.1712,
    "squeezenet1_1": 0.1340,
    "mobilenetv1_050": 0.1471,
    "efficientnet_lite0": 0.1747,
    "efficientnet_lite2": 0.1395,
}

#: What hides the pixels where masks are asked whether they hold; the noise is another one than that of the optimization.
FILLS = {"strong-blur": 0, "mean": 0, "noise": 1, "permuted": 0, "inpaint": 0}

#: Pieces under this share of the image are small.
SMALL = 0.005


def photographs(folder: Path, index: int, count: int, *classifiers: Classifier) -> list[NDArray[np.uint8]]:
    """Return the views of the first `count` photographs of a class that all of these networks get right."""
    views: list[NDArray[np.uint8]] = []
    for path in sorted(folder.iterdir()):
        view = classifiers[0].view(path)
        if all(classify(one, [view], resolve_target(one, index)).hits[0] for one in classifiers):
            views.append(view)
        if len(views) == count:
            return views
    raise SystemExit(f"{folder} has only {len(views)} photographs of class {index} that {classifiers[0].spec} gets right")


#: The default's optimizer under the published blur alone.
FAST_BLUR = MaskSettings(infill="blur")


def scores_of(classifier: Classifier, target: Target, images: torch.Tensor) -> torch.Tensor:
    """Return the target's score (N,) of images (N, C, H, W), float32."""
    with classifier.frozen(), torch.no_grad():
        return torch.cat([target.score(classifier.logits(part)) for part in images.split(8)])


def ways_of_a_run(classifier: Classifier, images: torch.Tensor, target: Target) -> tuple[str, ...]:
    """Return the infills that a run on these images has: those of the mix that take the class away."""
    views = [(image.permute(1, 2, 0) * 255).round().to(torch.uint8).cpu().numpy() for image in images[::2]]
    return Scorer(classifier, target, MaskSettings()).effective_infills(views)[0]


def quality(
    classifier: Classifier, images: torch.Tensor, target: Target, masks: list[vs.Mask], infills: tuple[str, ...]
) -> dict[str, float]:
    """Return means over the images of what the bars ask, all computed here in float32; `pieces` is the median.

    Whether masks hold is asked under those of the fills that take the class away.
    """
    settings = vs.preset("paper").masks
    evidence = torch.stack([torch.from_numpy(mask.sharp).float() for mask in masks]).to(images)
    m = 1 - evidence
    before = scores_of(classifier, target, images)

    def drop(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return 1 - scores_of(classifier, target, perturb(images, hidden, 1 - mask)) / before

    blurred = gaussian_blur(images, settings.blur_size, settings.blur_sigma)
    under_blur = drop(blurred, evidence)
    drops = torch.stack([drop(hide(images, infill), evidence) for infill in infills])
    pixels = max(1, round(SHIFT * min(images.shape[-2:])))
    binary = [mask.binary() for mask in masks]

    def stacked(changed: list[Any]) -> torch.Tensor:
        return torch.stack([torch.as_tensor(one).float() for one in changed]).to(images)

    moved = [
        stacked([shifted(one, down, right) for one in binary])
        for down, right in ((pixels, 0), (-pixels, 0), (0, pixels), (0, -pixels))
    ]
    large = stacked([large_pieces(torch.from_numpy(one), SMALL) for one in binary])
    kept: dict[str, list[torch.Tensor]] = {"kept_when_shifted": [], "kept_without_small_pieces": []}
    for fill, seed in FILLS.items():
        hidden = hide(images, fill, random_state=seed)
        if (scores_of(classifier, target, hidden) / before).mean() > MOST_LEFT:
            continue
        whole = drop(hidden, evidence).clamp_min(0.05)
        kept["kept_when_shifted"] += [drop(hidden, one) / whole for one in moved]
        kept["kept_without_small_pieces"].append(drop(hidden, large) / whole)
    pieces = [measure.label(one, connectivity=2, return_num=True)[1] for one in binary]
    small = [1 - float(k.sum()) / max(float(one.sum()), 1) for k, one in zip(large, binary, strict=True)]
    gray = ((evidence > 0.1) & (evidence < 0.9)).float().mean(dim=(1, 2))
    shown = torch.stack(
        [scores_of(classifier, target, perturb(images, hide(images, infill), evidence)) / before for infill in infills]
    )
    values = {
        "objective_under_blur": (1 - under_blur) * before + geometry(m, settings.sharp, settings.tv_exponent),
        "drop_under_blur": under_blur,
        "drop": drops.mean(dim=0),
        "drop_in_the_worst_way": drops.amin(dim=0),
        "suffices": shown.mean(dim=0),
        **{name: torch.stack(found).mean(dim=0) for name, found in kept.items()},
        "area": area(m),
        "share_in_small_pieces": torch.tensor(small),
        "crispness": 1 - gray,
    }
    return {"pieces": float(np.median(pieces)), **{name: float(value.double().mean()) for name, value in values.items()}}


def timed(work: Callable[[], list[vs.Mask]], images: int) -> tuple[list[vs.Mask], dict[str, float]]:
    """Run `work` and return its result with wall-clock and processor seconds an image."""
    wall, processor = time.perf_counter(), time.process_time()
    masks = work()
    return masks, {
        "seconds_per_image": (time.perf_counter() - wall) / images,
        "processor_seconds_per_image": (time.process_time() - processor) / images,
        "images_per_second": images / (time.perf_counter() - wall),
    }


#: What a run spends its time on, and the functions whose time that is. The network's passes include mixing the pixels that they
#: are given; those that choose the way to gradients are passes, too.
PROFILED: dict[str, tuple[tuple[Any, str], ...]] = {
    "network": tuple((Network, name) for name in ("odds_and_gradient", "scores", "quick_scores", "loss_and_gradient")),
    "choosing the way to gradients": ((optimize, "make_network"),),
    "mask arithmetic": ((FastSolver, "step"), (FastSolver, "admit")),
}


def profile(device: torch.device, work: Callable[[], object]) -> dict[str, float]:
    """Run `work` and return the share of its time of each of these, inner ones not counted for outer ones, and of the rest."""
    seconds, inner = dict.fromkeys(PROFILED, 0.0), [0.0]

    def now() -> float:
        if device.type == "cuda":  # what was asked for may not be done
            torch.cuda.synchronize(device)
        return time.perf_counter()

    def timed(what: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            start = now()
            inner.append(0.0)
            try:
                return function(*arguments, **named)
            finally:
                took = now() - start
                seconds[what] += took - inner.pop()
                inner[-1] += took

        return call

    with ExitStack() as patches:
        for what, functions in PROFILED.items():
            for owner, name in functions:
                patches.enter_context(patch.object(owner, name, timed(what, getattr(owner, name))))
        start = now()
        work()
        total = now() - start
    shares = {what: took / total for what, took in seconds.items()}
    return {**shares, "rest": 1 - sum(shares.values())}


def matrix_rate(device: torch.device) -> float:
    """Return the bfloat16 matrix rate of an accelerator in FLOP/s, measured."""
    a = torch.randn(8192, 8192, device=device, dtype=torch.bfloat16)
    for _ in range(3):
        a @ a
    torch.cuda.synchronize(device)
    start = time.perf_counter()
    for _ in range(20):
        a @ a
    torch.cuda.synchronize(device)
    return 20 * 2 * 8192**3 / (time.perf_counter() - start)


def run_case(name: str, data: Path, count: int, device: str) -> dict[str, Any]:
    """Return the row of one network."""
    classifier, (folder, index) = pretrained(name, data, device), CASES[name]
    target = Target(index, classifier.class_names[index])
    images = classifier.to_tensor(photographs(data / "images" / folder, index, count, classifier))
    paper = vs.preset("paper").masks
    first = replace(paper, batch_size=1, smooth=replace(paper.smooth, iterations=3))
    vs.optimize_masks(classifier, images[:1], index, settings=first)
    infills = ways_of_a_run(classifier, images, target)
    ours = {name: replace(vs.preset(name).masks, infill="+".join(infills)) for name in ("default", "quick")} | {
        "blur": FAST_BLUR
    }

    def fast(part: torch.Tensor, which: str = "default") -> list[vs.Mask]:
        return vs.optimize_masks(classifier, part, index, settings=ours[which])

    # Half of the default before the published procedure and half after it: shows whether the machine was as busy for both.
    half = len(images) // 2
    _, time_a = timed(lambda: fast(images[:half]), half)
    masks, times = {}, {}
    masks["published"], times["published"] = timed(
        lambda: vs.optimize_masks(classifier, images, index, preset="paper", batch_size=1), len(images)
    )
    _, time_b = timed(lambda: fast(images[half:]), len(images) - half)
    for which in ours:
        masks[which], times[which] = timed(partial(fast, images, which), len(images))
    with classifier.frozen(), torch.no_grad():
        network = make_network(classifier, target, ours["default"], images[:1])
        batch = find_batch_size(network, images[:1])
    shares = profile(images.device, lambda: fast(images))
    seconds = {which: one["seconds_per_image"] for which, one in times.items()}
    processor = {which: one["processor_seconds_per_image"] for which, one in times.items()}
    row: Row = {
        "network": name,
        "images": len(images),
        "class": target.name,
        "view": list(images.shape[1:]),
        "infills": list(infills),
        "passes": {which: float(np.mean([len(mask.losses) for mask in found])) for which, found in masks.items()},
        "kernel": network.mode.in_words(),
        "batch_size": batch,
        "share_in_network": shares["network"],
        "profile": shares,
        "seconds_default_in_halves": [time_a["seconds_per_image"], time_b["seconds_per_image"]],
        **{which: {**times[which], **quality(classifier, images, target, found, infills)} for which, found in masks.items()},
        "speedup": {which: seconds["published"] / seconds[which] for which in ours},
        "speedup_processor": {which: processor["published"] / processor[which] for which in ours},
    }
    if device != "cpu":
        per_image = flops(classifier, images[:1], target)
        row["share_of_matrix_rate"] = (
            per_image * row["passes"]["default"] * times["default"]["images_per_second"] / matrix_rate(images.device)
        )
    return row


def flops(classifier: Classifier, image: torch.Tensor, target: Target) -> int:
    """Return the floating-point operations of one forward and backward pass of one image."""
    from torch.utils.flop_counter import FlopCounterMode

    with classifier.frozen(), FlopCounterMode(display=False) as counter:
        x = image.clone().requires_grad_()
        target.score(classifier.logits(x)).sum().backward()
    return int(counter.get_total_flops())


def bars_of(row: dict[str, Any]) -> list[Row]:
    """Return what has to hold for one network."""
    default, name = row["default"], row["network"]
    return [
        bar(f"{name}: {what}", value, bound, sense)
        for what, value, bound, sense in (
            ("times faster than published", row["speedup"]["default"], 20.0, ">="),
            ("times faster than published, quick", row["speedup"]["quick"], 60.0, ">="),
            ("drop under the run's infills", default["drop"], 0.98, ">="),
            ("effect kept when shifted", default["kept_when_shifted"], 0.85, ">="),
            ("effect kept without small pieces", default["kept_without_small_pieces"], 0.85, ">="),
            ("pieces of a mask, median", default["pieces"], 8.0, "<="),
            ("share of the area in small pieces", default["share_in_small_pieces"], 0.03, "<="),
            ("mean area, against the former default", default["area"], FORMER_AREA[name], "<="),
            ("share of the time inside the network's passes", row["share_in_network"], 0.85, ">="),
        )
    ]


def main() -> None:
    """Measure and write."""
    arguments = parser(__doc__, "4 images a network", "16", needs_data=True)
    arguments.add_argument("--networks", nargs="+", choices=CASES, default=list(CASES))
    arguments.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    options = arguments.parse_args()
    settings = {name: asdict(vs.preset(name).masks) for name in ("paper", "default", "quick")}
    rows: list[Row] = []
    result = results("masks", options.size, json.loads(json.dumps(settings)), rows, [], device=options.device)
    result["hardware"]["load_at_start"] = os.getloadavg()[0]
    before = unfinished(options.json)
    if before and all(before[name] == result[name] for name in ("size", "versions", "settings")):
        rows += [row for row in before["rows"] if row["network"] not in options.networks]
    for name in options.networks:
        rows.append(run_case(name, options.data, 4 if options.size == "quick" else 16, options.device))
        rows.sort(key=lambda row: list(CASES).index(row["network"]))
        result |= {"bars": [one for row in rows for one in bars_of(row)], "peak_memory_mib": peak_memory_mib()}
        write(result, options.json)  # after each network: a run that is interrupted keeps what it has
    finish(result, options.json)


if __name__ == "__main__":
    main()
