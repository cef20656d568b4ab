"""Masks: the published procedure as published, beside the default, on real networks and photographs.

Run with ``python benchmarks/masks.py --data DIR --json FILE``; DIR holds ``weights/nets.py`` and ``images/``. The published
procedure runs in float32, one image at a time, 300 + 150 Adam steps. Everything runs on the accelerator when there is one.

Rows compare three: ``published``; ``default``, the default's optimiser on the published objective (hiding by the published
blur), which is what the bars ask about; and ``default_mix``, the default as it is, which minimises p under every way of hiding
(what it gives is measured by ``benchmarks/hiding.py``). With ``--networks``, rows of other networks that FILE has are kept.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

import visual_summaries as vs
from visual_summaries.classifiers import Classifier, Target
from visual_summaries.masks import optimize
from visual_summaries.masks.fast import FastSolver
from visual_summaries.masks.memory import find_batch_size
from visual_summaries.masks.network import Network
from visual_summaries.masks.objective import area, geometry, greyness, total_variation
from visual_summaries.masks.perturb import hidden_image, perturb
from visual_summaries.masks.settings import MaskSettings, fast_mask_settings

#: Network -> folder of photographs, index of their class.
CASES = {
    "mobilenetv2_100": ("imagewoof320/229_Old_English_sheepdog", 229),
    "squeezenet1_1": ("imagenette224/569_garbage_truck", 569),
    "mobilenetv1_050": ("imagenette224/701_parachute", 701),
    "bvlc_googlenet": ("cub_crops227/017_Blue_Jay", 17),
}


def photographs(classifier: Classifier, folder: Path, target: Target, count: int) -> torch.Tensor:
    """Return the first `count` photographs that the network classifies as the target, (N, C, H, W)."""
    kept = []
    for path in sorted(folder.iterdir()):
        x = classifier.to_tensor([classifier.view(path)])
        with torch.no_grad():
            hit = bool(target.hits(classifier.logits(x))[0])
        if hit:
            kept.append(x)
        if len(kept) == count:
            return torch.cat(kept)
    raise SystemExit(f"{folder} has only {len(kept)} photographs that {classifier.spec} classifies as {target.name}")


#: The default's optimiser on the published objective, which hides by the published blur: what the bars compare.
FAST_BLUR = replace(fast_mask_settings(), hidden="blur")


def quality(classifier: Classifier, images: torch.Tensor, target: Target, masks: list[vs.Mask]) -> dict[str, float]:
    """Return the means over the images of what the bars ask: all recomputed here in float32, published coefficients."""
    settings = MaskSettings()
    evidence = torch.stack([torch.from_numpy(mask.sharp).float() for mask in masks]).to(images)
    m = 1 - evidence
    hidden = hidden_image(images, settings.blur_size, settings.blur_sigma)
    with classifier.frozen(), torch.no_grad():
        before = target.score(classifier.logits(images))
        after = torch.cat(
            [
                target.score(classifier.logits(perturb(images[i : i + 1], hidden[i : i + 1], m[i : i + 1])))
                for i in range(len(m))
            ]
        )
    objective = after + geometry(m, settings.sharp, settings.tv_exponent)
    grey = ((evidence > 0.1) & (evidence < 0.9)).float().mean(dim=(1, 2))
    values = {
        "objective": objective,
        "p_before": before,
        "p_after": after,
        "area_term": settings.sharp.l1 * area(m),
        "variation_term": settings.sharp.l2 * total_variation(m),
        "grey_term": settings.sharp.l3 * greyness(m),
        "drop": 1 - after / before,
        "area": area(m),
        "crispness": 1 - grey,
    }
    return {name: float(value.double().mean()) for name, value in values.items()}


def timed(work: Callable[[], list[vs.Mask]], images: int) -> tuple[list[vs.Mask], dict[str, float]]:
    """Run `work` and return its result with wall-clock and processor seconds an image."""
    wall, processor = time.perf_counter(), time.process_time()
    masks = work()
    return masks, {
        "seconds_per_image": (time.perf_counter() - wall) / images,
        "processor_seconds_per_image": (time.process_time() - processor) / images,
        "images_per_second": images / (time.perf_counter() - wall),
    }


class Profile:
    """Seconds of a run by what they were spent on: time inside an inner part is not counted for the outer one."""

    #: Part -> functions whose time it is. The network's passes include mixing the pixels that they are given; those that choose
    #: the way to gradients are passes, too.
    PARTS: ClassVar = {
        "network": tuple((Network, name) for name in ("odds_and_gradient", "scores", "quick_scores", "loss_and_gradient")),
        "choosing the way to gradients": ((optimize, "make_network"),),
        "mask arithmetic": ((FastSolver, "step"), (FastSolver, "admit")),
    }

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds = dict.fromkeys(self.PARTS, 0.0)
        self.inner: list[float] = []

    def now(self) -> float:
        """Return the time when all that was asked for is done."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return `function` with its time added to `part`."""

        def call(*arguments: Any, **named: Any) -> Any:
            start = self.now()
            self.inner.append(0.0)
            try:
                return function(*arguments, **named)
            finally:
                took = self.now() - start
                self.seconds[part] += took - self.inner.pop()
                if self.inner:
                    self.inner[-1] += took

        return call

    def shares(self, work: Callable[[], object]) -> dict[str, float]:
        """Run `work` and return the share of its time of each part, and of the rest."""
        originals = [(owner, name, getattr(owner, name)) for functions in self.PARTS.values() for owner, name in functions]
        for part, functions in self.PARTS.items():
            for owner, name in functions:
                setattr(owner, name, self.timed(part, getattr(owner, name)))
        try:
            start = self.now()
            work()
            total = self.now() - start
        finally:
            for owner, name, original in originals:
                setattr(owner, name, original)
        shares = {part: seconds / total for part, seconds in self.seconds.items()}
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
    classifier = vs.load_classifier(f"{data / 'weights' / 'nets.py'}:{name}", device=device)
    folder, index = CASES[name]
    target = Target(index, classifier.class_names[index])
    images = photographs(classifier, data / "images" / folder, target, count)
    vs.optimize_masks(
        classifier,
        images[:1],
        index,
        settings=replace(MaskSettings(), batch_size=1, smooth=replace(MaskSettings().smooth, iterations=3)),
    )

    def fast(part: torch.Tensor, settings: MaskSettings = FAST_BLUR) -> list[vs.Mask]:
        return vs.optimize_masks(classifier, part, index, settings=settings)

    # Half of the default before the published procedure and half after it: shows whether the machine was as busy for both.
    half = len(images) // 2
    default_a, time_a = timed(lambda: fast(images[:half]), half)
    published, time_published = timed(
        lambda: vs.optimize_masks(classifier, images, index, preset="paper", batch_size=1), len(images)
    )
    default_b, time_b = timed(lambda: fast(images[half:]), len(images) - half)
    together, time_together = timed(lambda: fast(images), len(images))
    every, time_every = timed(lambda: fast(images, fast_mask_settings()), len(images))
    with classifier.frozen(), torch.no_grad():
        network = optimize.make_network(classifier, target, FAST_BLUR, images[:1])
        batch = find_batch_size(network, images[:1])
    rows = {
        "published": {**time_published, **quality(classifier, images, target, published)},
        "default": {**time_together, **quality(classifier, images, target, together)},
        "default_mix": {**time_every, **quality(classifier, images, target, every)},
    }
    halves = quality(classifier, images, target, default_a + default_b)
    profile = Profile(images.device).shares(lambda: fast(images))
    row = {
        "network": name,
        "images": len(images),
        "class": target.name,
        "view": list(images.shape[1:]),
        "passes_published": len(published[0].losses),
        "passes_default": float(np.mean([len(mask.losses) for mask in together])),
        "kernel": network.kernel.in_words(),
        "batch_size": batch,
        "share_in_network": profile["network"],
        "profile": profile,
        "seconds_default_in_halves": [time_a["seconds_per_image"], time_b["seconds_per_image"]],
        "objective_default_in_halves": halves["objective"],
        **rows,
    }
    row["speedup"] = rows["published"]["seconds_per_image"] / rows["default"]["seconds_per_image"]
    row["speedup_mix"] = rows["published"]["seconds_per_image"] / rows["default_mix"]["seconds_per_image"]
    row["speedup_processor"] = rows["published"]["processor_seconds_per_image"] / rows["default"]["processor_seconds_per_image"]
    if device != "cpu":
        per_image = flops(classifier, images[:1], target)
        row["share_of_matrix_rate"] = (
            per_image * row["passes_default"] * rows["default"]["images_per_second"] / matrix_rate(images.device)
        )
    return row


def flops(classifier: Classifier, image: torch.Tensor, target: Target) -> int:
    """Return the floating-point operations of one forward and backward pass of one image."""
    from torch.utils.flop_counter import FlopCounterMode

    with classifier.frozen(), FlopCounterMode(display=False) as counter:
        x = image.clone().requires_grad_()
        target.score(classifier.logits(x)).sum().backward()
    return int(counter.get_total_flops())


def bars_of(row: dict[str, Any], least_speedup: float) -> list[dict[str, Any]]:
    """Return what has to hold for one network."""
    published, default, name = row["published"], row["default"], row["network"]

    def bar(what: str, value: float, bound: float, sense: str) -> dict[str, Any]:
        holds = value >= bound if sense == ">=" else value <= bound
        return {"name": f"{name}: {what}", "value": value, "bound": bound, "sense": sense, "holds": bool(holds)}

    return [
        bar("times faster per image", row["speedup"], least_speedup, ">="),
        bar("times faster per image, hiding in every way", row["speedup_mix"], least_speedup, ">="),
        bar("mean final objective", default["objective"], published["objective"], "<="),
        bar("mean drop", default["drop"], published["drop"] - 0.005, ">="),
        bar("mean area", default["area"], 1.05 * published["area"], "<="),
        bar("crispness", default["crispness"], published["crispness"], ">="),
        bar("share of the time inside the network's forward and backward", row["share_in_network"], 0.85, ">="),
    ]


def hardware(device: str) -> dict[str, Any]:
    """Return what the benchmark ran on."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        processor = names[0] if names else processor
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "accelerator": torch.cuda.get_device_name() if device != "cpu" else None,
        "load_at_start": os.getloadavg()[0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with weights/nets.py and images/")
    parser.add_argument("--json", type=Path, help="where the results go")
    parser.add_argument("--size", choices=("quick", "full"), default="full", help="quick: 4 images a network; full: 16")
    parser.add_argument("--networks", nargs="+", choices=CASES, default=["mobilenetv2_100", "squeezenet1_1", "mobilenetv1_050"])
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    count = 4 if arguments.size == "quick" else 16
    rows: list[dict[str, Any]] = []
    result: dict[str, Any] = {
        "benchmark": "masks",
        "size": arguments.size,
        "hardware": hardware(device),
        "versions": {"torch": torch.__version__, "numpy": np.__version__, "python": platform.python_version()},
        "settings": {
            "published": asdict(vs.preset("paper").masks),
            "default": asdict(FAST_BLUR),
            "default_mix": asdict(fast_mask_settings()),
        },
        "rows": rows,
    }
    if arguments.json and arguments.json.exists():
        before = json.loads(arguments.json.read_text(encoding="utf-8"))
        same = before["size"] == arguments.size and before["versions"] == result["versions"]
        rows += [row for row in before["rows"] if same and row["network"] not in arguments.networks]
    for name in arguments.networks:
        row = run_case(name, arguments.data, count, device)
        rows.append(row)
        bars = [bar for one in rows for bar in bars_of(one, 10.0 if device == "cpu" else 100.0)]
        result.update(bars=bars, peak_memory_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
        print(
            f"{name}: {row['speedup']:.1f} times faster ({row['speedup_processor']:.1f} in processor time), "
            f"{row['share_in_network']:.0%} of the default in the network"
        )
        for bar in bars_of(row, 10.0 if device == "cpu" else 100.0):
            print(
                f"  {'ok ' if bar['holds'] else 'NOT'} {bar['name']}: {bar['value']:.5g} {bar['sense']} {bar['bound']:.5g}",
                flush=True,
            )
        if arguments.json:  # after each network: a run that is interrupted keeps what it has
            arguments.json.parent.mkdir(parents=True, exist_ok=True)
            arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
