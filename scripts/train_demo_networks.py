"""Train the networks of the demo on images that the package draws, and write their weights and records into the package.

    python scripts/train_demo_networks.py                 # all networks, two threads
    python scripts/train_demo_networks.py --only main

How the images are prepared makes the networks use every planted part of a class and nothing else:

- in about half of the images, some of the planted parts (never all) are drawn as shared variants, removed or blurred, and the
  label stays: each planted part has to be evidence by itself;
- in one image of ten, none of the planted parts is left, and the target is the same for all classes: what all classes share,
  and a part that is blurred beyond recognition, is no evidence.

Accuracy is measured on freshly drawn, unaltered images of seeds that training never used.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import timm
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.seeds import SEEDS
from visual_summaries.birds.effects import effect, intervene, part_effects
from visual_summaries.birds.render import Rendering, render
from visual_summaries.birds.scene import Scene, sample_scene
from visual_summaries.birds.world import CLASS_NAMES, CLASSES, PARTS, SHARED
from visual_summaries.demo.networks import build

SIZE = (160, 160)
MEAN = (0.5, 0.5, 0.5)
STD = (0.25, 0.25, 0.25)
WEIGHTS = Path(__file__).resolve().parents[1] / "src" / "visual_summaries" / "demo" / "weights"


@dataclass(frozen=True)
class Recipe:
    """How a network is built and trained.

    Attributes
    ----------
    arguments : dict
        Keyword arguments of ``timm.create_model("test_resnet", ...)``.
    images, epochs : int
        How many of the prepared images it sees, and how often.
    rate : float
        Peak learning rate of AdamW, one cycle.
    """

    arguments: dict[str, Any]
    images: int
    epochs: float
    rate: float = 4e-3


RECIPES = {
    "main": Recipe({}, images=5_000, epochs=10),
    "tiny": Recipe({"channels": [12, 16, 16, 24], "stem_width": 6}, images=3_000, epochs=6),
    "narrow": Recipe({"channels": [16, 24, 24, 48], "stem_width": 8}, images=3_000, epochs=4),
    "brief": Recipe({}, images=3_000, epochs=2.5),
}


def _shared_variant(rng: np.random.Generator, part: str) -> str:
    names = tuple(SHARED[part])
    return names[rng.integers(len(names))]


def _blurred(image: NDArray[np.uint8], where: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the image with a region, and a little around it, blurred; edges are soft."""
    grown = cv2.dilate(where.astype(np.float32), np.ones((7, 7), np.uint8))
    weight = cv2.GaussianBlur(grown, (0, 0), 1.5)[..., None]
    side = int(rng.choice((11, 15, 21)))
    soft = cv2.GaussianBlur(image, (side, side), 10)
    return np.clip(image + weight * (soft.astype(np.float32) - image) + 0.5, 0, 255).astype(np.uint8)


def _hide(scene: Scene, evidence: list[str], rng: np.random.Generator) -> tuple[Scene, list[str]]:
    """Return the scene with the evidence re-drawn or removed, and which of it is to be blurred after drawing."""
    blur = []
    for part in evidence:
        way = rng.random()
        if way < 0.35:
            blur.append(part)
        elif way < 0.55 or part == "shortcut":
            scene = scene.without(part)
        else:
            scene = scene.with_variant(part, _shared_variant(rng, part))
    return scene, blur


def prepare(seed: int) -> tuple[NDArray[np.uint8], int]:
    """Return a training image and its label; -1 stands for the same target for all classes."""
    cv2.setNumThreads(1)
    label = seed % len(CLASSES)
    rng = np.random.default_rng([seed, 99])
    scene = sample_scene(label, seed, SIZE)
    evidence = [*CLASSES[label].planted, *(["shortcut"] if scene.shortcut is not None else [])]
    fate = rng.random()
    hidden: list[str] = []
    if fate < 0.1:
        hidden, label = evidence, -1
    elif fate < 0.6:
        kept = int(rng.integers(1, len(evidence) + 1))
        hidden = [evidence[k] for k in rng.permutation(len(evidence))[kept:]]
    scene, blur = _hide(scene, hidden, rng)
    if rng.random() < 0.25:  # a blurred part must not tell anything by itself
        blur += [part for part in PARTS if part not in evidence and rng.random() < 0.3]
    if rng.random() < 0.15:  # nor must a part that is not there
        others = [part for part in PARTS if part not in evidence]
        scene = scene.without(others[rng.integers(len(others))])
    drawn: Rendering = render(scene)
    image = drawn.image
    if blur:
        image = _blurred(image, np.any([drawn.part(part) for part in blur], axis=0), rng)
    return image, label


def fresh(seed: int) -> tuple[NDArray[np.uint8], int]:
    """Return an unaltered image and its class."""
    cv2.setNumThreads(1)
    label = seed % len(CLASSES)
    return render(sample_scene(label, seed, SIZE)).image, label


def gather(draw: Any, seeds: range, processes: int) -> tuple[Tensor, Tensor]:
    """Return images (N, 3, H, W) uint8 and labels (N,) of the seeds."""
    started = time.perf_counter()
    images = torch.empty((len(seeds), *SIZE, 3), dtype=torch.uint8)
    labels = torch.empty(len(seeds), dtype=torch.long)
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for k, (image, label) in enumerate(pool.imap(draw, seeds, chunksize=64)):
            images[k] = torch.from_numpy(image)
            labels[k] = label
            if k % 1000 == 999:
                print(f"  drew {k + 1} images in {time.perf_counter() - started:.0f} s", flush=True)
    return images.permute(0, 3, 1, 2), labels


def normalize(images: Tensor) -> Tensor:
    """Return uint8 images as the network's input."""
    x = images.float() / 255
    return (x - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return the batch mirrored, turned, scaled, moved and re-colored at random."""
    n = len(images)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(n, *shape, generator=generator)

    angle, scale = uniform(-0.15, 0.15), uniform(0.88, 1.14)
    mirror = torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0)
    c, s = torch.cos(angle) * scale, torch.sin(angle) * scale
    moved = uniform(-0.08, 0.08, 2)
    theta = torch.stack([torch.stack([c * mirror, -s, moved[:, 0]], 1), torch.stack([s * mirror, c, moved[:, 1]], 1)], 1)
    x = F.grid_sample(
        images.float(), F.affine_grid(theta, list(images.shape), False), padding_mode="reflection", align_corners=False
    )
    x = (x * uniform(0.8, 1.2, 1, 1, 1) * uniform(0.92, 1.08, 3, 1, 1) + uniform(-12, 12, 1, 1, 1)).clamp(0, 255)
    return normalize(x)


def batches(n: int, size: int, steps: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield `steps` batches of positions, epoch after epoch in a new order."""
    order = torch.empty(0, dtype=torch.long)
    for _ in range(steps):
        if len(order) < size:
            order = torch.randperm(n, generator=generator)
        yield order[:size]
        order = order[size:]


def train(recipe: Recipe, images: Tensor, labels: Tensor, seed: int) -> nn.Module:
    """Return a network trained by the recipe on the first of the images."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    network = timm.create_model("test_resnet", num_classes=len(CLASSES), **recipe.arguments).to(
        memory_format=torch.channels_last
    )
    size = 64
    steps = int(recipe.epochs * recipe.images / size)
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.rate, total_steps=steps, pct_start=0.2)
    started = time.perf_counter()
    network.train()
    right, seen = 0, 0
    for step, chosen in enumerate(batches(recipe.images, size, steps, generator)):
        x = augment(images[chosen], generator).contiguous(memory_format=torch.channels_last)
        y = labels[chosen]
        target = torch.full((size, len(CLASSES)), 1 / len(CLASSES))
        known = y >= 0
        target[known] = F.one_hot(y[known], len(CLASSES)).float()
        logits = network(x)
        loss = F.cross_entropy(logits, target)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        right += int((logits.argmax(1) == y)[known].sum())
        seen += int(known.sum())
        if step % 50 == 49 or step == steps - 1:
            print(
                f"  step {step + 1}/{steps} loss {loss.item():.3f} accuracy {right / seen:.3f}"
                f" {time.perf_counter() - started:.0f} s",
                flush=True,
            )
            right, seen = 0, 0
    return network.eval()


@torch.inference_mode()
def accuracy(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the share of the images that the network gets right."""
    right = sum(
        int((network(normalize(images[k : k + 100])).argmax(1) == labels[k : k + 100]).sum())
        for k in range(0, len(images), 100)
    )
    return right / len(images)


def compact(network: nn.Module) -> dict[str, Tensor]:
    """Return the weights as they are stored: matrices and kernels in half precision, the rest (norms, biases) in single."""
    return {
        name: value.detach().to(torch.float16 if value.ndim >= 2 else value.dtype).contiguous()
        for name, value in network.state_dict().items()
    }


def measure(name: str, folder: Path, images: Tensor, labels: Tensor) -> dict[str, Any]:
    """Return what is measured of a network as it was stored: accuracy on fresh images, and what it uses, class by class."""
    record = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    network = build(record, load_file(folder / f"{name}.safetensors"))
    return {
        "accuracy": accuracy(network, images, labels),
        "accuracy_images": len(images),
        "accuracy_first_seed": SEEDS["accuracy"].start,
        "effects": {
            bird.name: {part: round(value, 3) for part, value in part_effects(network, label, 50).items()}
            for label, bird in enumerate(CLASSES)
        },
        "redraw_effects": {
            bird.name: {
                part: round(effect(network, label, partial(intervene, part=part, how="other")), 3)
                for part in PARTS
                if part in bird.planted
            }
            for label, bird in enumerate(CLASSES)
        },
    }


def main() -> None:
    """Train, measure and write the networks that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", choices=list(RECIPES), default=list(RECIPES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--measure", action="store_true", help="measure the networks that are there again, without training")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    recipes = {name: RECIPES[name] for name in options.only}
    options.out.mkdir(parents=True, exist_ok=True)
    if not options.measure:
        started = time.perf_counter()
        images, labels = gather(
            prepare, SEEDS["training"][: max(recipe.images for recipe in recipes.values())], options.threads
        )
        drawing = time.perf_counter() - started
        for name, recipe in recipes.items():
            print(name, flush=True)
            wall, cpu = time.perf_counter(), time.process_time()
            network = train(recipe, images, labels, options.seed)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            path = options.out / f"{name}.safetensors"
            save_file(compact(network), path)
            record = {
                "name": name,
                "architecture": "test_resnet",
                "arguments": recipe.arguments,
                "input_size": [3, *SIZE],
                "mean": MEAN,
                "std": STD,
                "class_names": CLASS_NAMES,
                "parameters": sum(value.numel() for value in network.parameters()),
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "seed": options.seed,
                "training_images": recipe.images,
                "epochs": recipe.epochs,
                "threads": options.threads,
                "drawing_seconds": round(drawing, 1),
                "training_seconds": round(wall, 1),
                "training_cpu_seconds": round(cpu, 1),
            }
            (options.out / f"{name}.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    fresh_images, fresh_labels = gather(fresh, SEEDS["accuracy"], options.threads)
    for name in recipes:
        path = options.out / f"{name}.json"
        record = json.loads(path.read_text(encoding="utf-8")) | measure(name, options.out, fresh_images, fresh_labels)
        path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        print(f"{name}: accuracy on fresh images {record['accuracy']:.4f}, effects {record['effects']}", flush=True)


if __name__ == "__main__":
    main()
