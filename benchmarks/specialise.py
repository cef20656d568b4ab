"""Do summaries make a network better at their class? The paper's last claim, with the controls that could explain it away.

    python benchmarks/specialise.py --json FILE --data DIR --size quick     (one network and one of drawn birds, one split)
    python benchmarks/specialise.py --json FILE --data DIR --size full      (hours; may be interrupted)

Five breeds of dogs: detectors and fusion are fitted on the files that begin with `n` and on half of the bystanders (119 other
breeds, one image each; pictures of other kinds), and everything is measured on the files that begin with `ILSVRC2012_val_` and
on the other half, for each of five splits. The same with drawn birds. Methods:

- `network`: as it is; the better of its logit and its softmax where precision is compared.
- `summaries`: what `visual-summaries specialize` makes. `regions`: the same with random salient regions in the place of each
  summary's.
- `pooled`: a linear classifier on the network's pooled features, alone; `pooled, joined`: joined with the network's score as
  parts are.
- `shift`: a constant added to the specialised classes' logits, chosen on the training images as the constants beside the parts
  are.

Runs, matches, and a file for each network and split are kept below --runs and found again: give the same command to go on. With
--minutes nothing new is started after that time; `complete` tells whether that is all.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

import visual_summaries as vs
from visual_summaries.classifiers import Classifier, load_classifier, resolve_transform
from visual_summaries.demo import CLASS_NAMES, demo_network, write_images
from visual_summaries.errors import NoImagesError, RunError, TargetError
from visual_summaries.flow.stages import Stage
from visual_summaries.images import ImageSource
from visual_summaries.pipeline.manifest import hardware, versions
from visual_summaries.specialise.detectors import Boxes
from visual_summaries.specialise.examples import (
    OTHER,
    Examples,
    PartExamples,
    best_matches,
    find_stages,
    read_maps,
    with_matches,
)
from visual_summaries.specialise.fusion import Fusion, choose_shift, fit_fusion, margins
from visual_summaries.specialise.job import build_network
from visual_summaries.specialise.learning import Learnt, cut, evidence_of, fuse, parts_of, train_detectors
from visual_summaries.specialise.windows import bounded
from visual_summaries.store.atomic import atomic_file, plain

BREEDS = (155, 162, 229, 258, 273)
#: Folders of bystanders of other kinds; their names start with the class's index.
KINDS = ("imagenette224/*", "clothing/*", "cub_crops227/0*")
#: Seed of the first drawn image; no other benchmark, training or accuracy uses these.
SEED = 70_000_000
#: Largest losses of bystanders, in points, at which methods are compared: other kinds, other dogs.
LOSSES = (0.5, 2.0)
RESAMPLES = 300

SIZES: dict[str, dict[str, Any]] = {
    "quick": {"networks": ("mobilenetv1_025",), "drawn": ("brief",), "seeds": (0,)},
    "full": {
        "networks": ("mobilenetv1_025", "mobilenetv1_050", "squeezenet1_1", "bvlc_googlenet", "mobilenetv2_100"),
        "drawn": ("brief",),
        "seeds": (0, 1, 2, 3, 4),
    },
}
#: Drawn birds: classes that are specialised, images of each to fit and to test on.
BIRDS, DRAWN_FIT, DRAWN_TEST = (0, 1, 2), 40, 60

#: Images that are read, and kept as maps, at a time.
CHUNK = 100

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """Images of one benchmark: by group (`fit`, `test`, `near`, `far`), with the index of their class."""

    name: str
    network: str
    classes: tuple[int, ...]
    images: tuple[tuple[Path, str, int], ...]

    def of(self, group: str) -> list[tuple[Path, int]]:
        """Return the images of a group with their classes."""
        return [(path, index) for path, own, index in self.images if own == group]


def photographs(network: str, data: Path) -> World:
    images: list[tuple[Path, str, int]] = []
    for folder in sorted((data / "images" / "imagewoof320").iterdir()):
        if folder.is_dir():
            for path in sorted(folder.iterdir()):
                images.append((path, "test" if path.name.startswith("ILSVRC") else "fit", int(folder.name[:3])))
    images += [(path, "near", int(path.name[:3])) for path in sorted((data / "images" / "dogs_one_each").iterdir())]
    for pattern in KINDS:
        for folder in sorted((data / "images").glob(pattern)):
            images += [(path, "far", int(folder.name[:3])) for path in sorted(folder.iterdir())]
    pictures = tuple(one for one in images if one[0].suffix.lower() in (".jpg", ".jpeg", ".png"))
    return World("photographs", network, BREEDS, pictures)


def drawn_birds(network: str, folder: Path) -> World:
    images: list[tuple[Path, str, int]] = []
    for bird in range(len(CLASS_NAMES)):
        own = bird in BIRDS
        for group, count in (("fit", DRAWN_FIT), ("test", DRAWN_TEST)) if own else (("near", DRAWN_FIT + DRAWN_TEST),):
            place = folder / "drawn" / f"{CLASS_NAMES[bird]}-{group}"
            if not (place / "truth.json").is_file():
                write_images(place, bird, count, seed=SEED + 10_000 * bird + 1000 * (group == "test"))
            images += [(path, group, bird) for path in sorted(place.glob("*.png"))]
    return World("drawn", network, BIRDS, tuple(images))


def classifier_of(world: World, data: Path | None) -> Classifier:
    if world.name == "photographs":
        assert data is not None
        return load_classifier(f"{data / 'weights' / 'nets.py'}:{world.network}")
    module = demo_network(world.network)
    name = f"demo network {world.network}"
    return Classifier(module, transform=resolve_transform(module), class_names=CLASS_NAMES, spec=name)


def run_of(world: World, index: int, classifier: Classifier, runs: Path) -> vs.Run | None:
    """Return the run of a class on the images that detectors are fitted on, made or found; None where it has no summary."""
    folder = next(runs.glob(f"{world.name}/{world.network}/{index}*"), runs / world.name / world.network / str(index))
    try:
        run = vs.load_run(folder)
    except RunError:
        paths = [path for path, own in world.of("fit") if own == index]
        try:
            run = vs.summarize(classifier, paths, index, folder, resume=True)
        except (NoImagesError, TargetError) as error:
            print(f"{world.network}, class {index}: {error}", flush=True)
            return None
    return run if run.summaries else None


def matches_of(
    world: World, run: vs.Run, classifier: Classifier, paths: Sequence[Path], folder: Path
) -> list[dict[int, Boxes]]:
    """Return where a run's summaries are in further images, found or read from where it was kept."""
    index = run.manifest["target"]["index"]
    kept = folder / f"matches-{index}.json"
    if kept.is_file():
        found = json.loads(kept.read_text(encoding="utf-8"))
        return [{int(key): np.array(box, np.float32) for key, box in found[path.name].items()} for path in paths]
    matches = best_matches(run, list(paths), classifier)
    values = {path.name: {str(key): box.tolist() for key, box in own.items()} for path, own in zip(paths, matches, strict=True)}
    folder.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(values), encoding="utf-8")
    return matches


@dataclass(frozen=True, eq=False)
class Everything:
    """A world as its network sees it: every image, with its group and the index of its class, and the runs' salient regions."""

    world: World
    classifier: Classifier
    examples: Examples
    groups: NDArray[np.str_]
    indices: NDArray[np.intp]
    salient: tuple[dict[int, Boxes], ...]


def read_images(
    world: World, classifier: Classifier, folder: Path, settings: vs.SpecializeSettings
) -> tuple[NDArray[np.float32], list[torch.Tensor], tuple[Stage, ...]]:
    """Return logits and reduced maps of all images of a world, some at a time, each read once."""
    stages = find_stages(classifier, settings.depths)
    logits, maps = [], []
    for start in range(0, len(world.images), CHUNK):
        kept = folder / "maps" / f"{settings.depths}-{settings.cells}-{start}.npz"
        if not kept.is_file():
            paths = [path for path, _, _ in world.images[start : start + CHUNK]]
            own_logits, own = read_maps(classifier, [classifier.view(path) for path in paths], stages, settings.cells)
            with atomic_file(kept) as file:
                np.savez(file, logits=own_logits, **{f"m{k}": one.numpy() for k, one in enumerate(own)})
        with np.load(kept, allow_pickle=False) as loaded:
            logits.append(loaded["logits"])
            maps.append([torch.from_numpy(loaded[f"m{k}"]) for k in range(len(stages))])
    return np.concatenate(logits), [torch.cat([own[k] for own in maps]) for k in range(len(stages))], stages


def read_world(world: World, classifier: Classifier, runs: Path, settings: vs.SpecializeSettings) -> Everything | None:
    """Read all images, with the summaries' regions in them; None where no class has a summary."""
    folder = runs / world.name / world.network
    logits, maps, stages = read_images(world, classifier, folder, settings)
    found = {index: run_of(world, index, classifier, runs) for index in world.classes}
    own = [run for run in found.values() if run is not None]
    if not own:
        return None
    # A class without a summary is not specialised; its images are bystanders.
    classes = tuple(index for index, run in found.items() if run is not None)
    indices = np.array([index for _, _, index in world.images], np.intp)
    groups = np.array([group if group in ("near", "far") or index in classes else "near" for _, group, index in world.images])
    hashes = [sha256_of(path) for path, _, _ in world.images]
    place = {sha256: position for position, sha256 in enumerate(hashes)}
    parts: list[PartExamples] = []
    for owner, run in enumerate(own):
        for summary in run.summaries:
            boxes: dict[int, Boxes] = {}
            for region in summary.cluster:
                image = place[run.images[run.regions[region].image].sha256]
                boxes[image] = np.concatenate([boxes.get(image, np.empty((0, 4), np.float32)), relative_box(run, region)])
            parts.append(PartExamples(owner, owner, summary.index, summary.label, boxes))
        seen = {place[image.sha256] for image in run.images}
        fresh = [k for k in np.flatnonzero((groups == "fit") & (indices == classes[owner])).tolist() if k not in seen]
        if fresh and settings.apply:
            matches = matches_of(world, run, classifier, [world.images[k][0] for k in fresh], folder)
            parts = with_matches(parts, owner, fresh, matches)
    labels = np.array(
        [classes.index(index) if group in ("fit", "test") else OTHER for index, group in zip(indices, groups, strict=True)]
    )
    examples = Examples(tuple(hashes), tuple(hashes), labels, logits, tuple(maps), stages, classes, tuple(parts))
    salient = []
    for run in own:
        every: dict[int, Boxes] = {}
        for region in range(len(run.regions)):
            image = place[run.images[run.regions[region].image].sha256]
            every[image] = np.concatenate([every.get(image, np.empty((0, 4), np.float32)), relative_box(run, region)])
        salient.append(every)
    return Everything(world, classifier, examples, groups, indices, tuple(salient))


def relative_box(run: vs.Run, region: int) -> Boxes:
    height, width = run.images[0].view.shape[:2]
    return np.array([run.regions[region].box], np.float32) / np.array([width, height, width, height], np.float32)


def hash_of(settings: vs.SpecializeSettings) -> str:
    return hashlib.sha256(json.dumps(asdict(settings)).encode()).hexdigest()[:12]


def sha256_of(path: Path) -> str:
    return ImageSource(path.name, path).sha256()


def random_regions(examples: Examples, salient: Sequence[dict[int, Boxes]], seed: int) -> Examples:
    """Return the examples with as many random salient regions in the place of each part's; where none is known, random boxes.

    Images that a run did not explain have no salient regions: there boxes of the part's own sizes are put anywhere.
    """
    rng = np.random.default_rng(seed)
    parts = []
    for part in examples.parts:
        boxes: dict[int, Boxes] = {}
        for image, own in part.boxes.items():
            offered = salient[part.owner].get(image)
            if offered is not None:
                boxes[image] = offered[rng.integers(0, len(offered), len(own))]
            else:
                sides = own[:, 2:] - own[:, :2]
                corner = rng.random(sides.shape).astype(np.float32) * (1 - sides)
                boxes[image] = np.concatenate([corner, corner + sides], 1)
        parts.append(replace(part, boxes=boxes))
    return replace(examples, parts=tuple(parts))


def shuffled_salient(salient: Sequence[dict[int, Boxes]], chosen: NDArray[np.intp]) -> list[dict[int, Boxes]]:
    """Return salient regions by the new positions of chosen images."""
    place = {int(old): new for new, old in enumerate(chosen)}
    return [{place[image]: boxes for image, boxes in own.items() if image in place} for own in salient]


@dataclass(frozen=True, eq=False)
class Method:
    """What a method adds to the specialised classes' logits (n, C), beside its constants (C,); `alone`: scores of its own."""

    offsets: Scores
    shifts: Scores
    unchanged: tuple[bool, ...] = ()
    penalties: tuple[float, ...] = ()
    alone: Scores | None = None


def by_parts(
    fit: Examples, test: Examples, folds: NDArray[np.intp], settings: vs.SpecializeSettings, seed: int, kept: Path
) -> tuple[Method, Learnt]:
    """Do what :func:`visual_summaries.specialise.learning.learn` does, and keep each fold's part of it."""
    evidence = np.empty((len(fit), len(fit.parts)))
    for fold in range(int(folds.max()) + 1):
        left_out = folds == fold
        file = kept.with_name(f"{kept.name}-{fold}.npy")
        if not file.is_file():
            detectors = train_detectors(fit, ~left_out, settings, seed)
            with atomic_file(file) as opened:
                np.save(opened, evidence_of(detectors, fit, np.flatnonzero(left_out), settings))
        evidence[left_out] = np.load(file, allow_pickle=False)
    final = train_detectors(fit, np.ones(len(fit), bool), settings, seed)
    learnt = Learnt(final, evidence, folds, fuse(fit, evidence, folds, settings))
    tested = evidence_of(final, test, np.arange(len(test)), settings)
    offsets = np.stack([tested[:, parts_of(fit, owner)] @ f.weights for owner, f in enumerate(learnt.fusions)], axis=1)
    return _method(offsets, learnt.fusions, settings), learnt


def _method(offsets: Scores, fusions: Sequence[Fusion], settings: vs.SpecializeSettings) -> Method:
    limit = settings.offset_limit
    return Method(
        bounded(offsets, limit),
        np.array([fusion.shift for fusion in fusions]),
        tuple(fusion.unchanged for fusion in fusions),
        tuple(fusion.penalty for fusion in fusions),
    )


def by_pooled(fit: Examples, test: Examples, folds: NDArray[np.intp], settings: vs.SpecializeSettings) -> tuple[Method, Method]:
    """Return the linear classifier on pooled features, alone and joined with the network's score."""

    def pooled(examples: Examples) -> NDArray[np.float32]:
        return examples.maps[-1].float().mean(dim=(2, 3)).numpy()

    x, z = pooled(fit), pooled(test)
    centre, spread = x.mean(0), (x.std(0) + 1e-6) * math.sqrt(x.shape[1])
    x, z = (x - centre) / spread, (z - centre) / spread
    evidence, tested = np.zeros((len(fit), len(fit.classes))), np.zeros((len(test), len(fit.classes)))
    for owner in range(len(fit.classes)):
        labels = fit.labels == owner

        def model(strength: float) -> LogisticRegression:
            return LogisticRegression(C=strength, max_iter=1000)

        best = (-np.inf, 1.0, np.zeros(len(fit)))
        for strength in (0.1, 1.0, 10.0, 100.0):
            out = np.zeros(len(fit))
            for fold in np.unique(folds):
                own = folds == fold
                out[own] = model(strength).fit(x[~own], labels[~own]).decision_function(x[own])
            value = -float((np.logaddexp(0, out) - labels * out).mean())
            if value > best[0]:
                best = (value, strength, out)
        evidence[:, owner] = best[2]
        tested[:, owner] = model(best[1]).fit(x, labels).decision_function(z)
    fusions = []
    for owner, index in enumerate(fit.classes):
        labels = fit.labels == owner
        own = evidence[:, owner : owner + 1]
        # One number of a classifier that was penalised already: it may count as much as it will.
        light = replace(settings, penalties=(1.0, 0.1, 0.01, 1e-6))
        fusion = fit_fusion(margins(fit.logits, index), own, labels, folds, light)
        if not fusion.unchanged:
            shift = choose_shift(fit.logits, own @ fusion.weights, index, labels, settings.spare / len(fit.classes))
            fusion = replace(fusion, shift=shift)
        fusions.append(fusion)
    joined = np.stack([tested[:, owner] * float(fusion.weights[0]) for owner, fusion in enumerate(fusions)], axis=1)
    alone = Method(np.zeros_like(tested), np.zeros(len(fit.classes)), alone=tested)
    return alone, _method(joined, fusions, settings)


def by_shift(fit: Examples, count: int, settings: vs.SpecializeSettings) -> Method:
    nothing = np.zeros(len(fit))
    spare = settings.spare / len(fit.classes)
    shifts = [choose_shift(fit.logits, nothing, c, fit.labels == owner, spare) for owner, c in enumerate(fit.classes)]
    return Method(np.zeros((count, len(fit.classes))), np.array(shifts))


def measure(
    everything: Everything, seed: int, settings: vs.SpecializeSettings, folder: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the row of a network and a split, and the arrays that intervals are made of."""
    start = time.perf_counter()
    rng = np.random.default_rng(seed)
    held = everything.groups == "test"
    for group in ("near", "far"):
        places = np.flatnonzero(everything.groups == group)
        held[rng.permutation(places)[: len(places) // 2]] = True
    chosen = np.flatnonzero(~held)
    fit, test = everything.examples.subset(chosen), everything.examples.subset(np.flatnonzero(held))
    truth, groups = everything.indices[held], everything.groups[held]
    folds = cut(fit.labels, settings.folds, seed)

    kept = folder / f"folds-{hash_of(settings)}"
    summaries, learnt = by_parts(fit, test, folds, settings, seed, kept / f"summaries-{seed}")
    shuffled = random_regions(fit, shuffled_salient(everything.salient, chosen), seed)
    regions, _ = by_parts(shuffled, test, folds, settings, seed, kept / f"regions-{seed}")
    pooled, joined = by_pooled(fit, test, folds, settings)
    methods = {
        "shift": by_shift(fit, len(test), settings),
        "summaries": summaries,
        "regions": regions,
        "pooled": pooled,
        "pooled, joined": joined,
    }
    margin = np.stack([margins(test.logits, index) for index in fit.classes], axis=1)
    logit = test.logits[:, list(fit.classes)].astype(np.float64)
    scores = {"logit": logit, "softmax": margin}
    scores |= {name: margin + m.offsets if m.alone is None else m.alone for name, m in methods.items() if name != "shift"}
    precision = {
        name: [float(average_precision_score(test.labels == k, s[:, k])) for k in range(len(fit.classes))]
        for name, s in scores.items()
    }
    network = "softmax" if np.mean(precision["softmax"]) >= np.mean(precision["logit"]) else "logit"

    nothing = Method(np.zeros_like(margin), np.zeros(len(fit.classes)))
    before = first_choices(test, fit.classes, nothing, 0.0) == truth
    points = {}
    for name, method in {"network": nothing, **methods}.items():
        if method.alone is None:
            after = first_choices(test, fit.classes, method, None) == truth
            points[name] = {
                group: comparison(before[groups == group], after[groups == group], seed) for group in np.unique(groups)
            }
    curves = {
        name: trade_off(test, fit.classes, replace(method, shifts=np.zeros(len(fit.classes))), truth, groups, before)
        for name, method in methods.items()
        if method.alone is None
    }
    row = {
        "world": everything.world.name,
        "network": everything.world.network,
        "seed": seed,
        "classes": list(fit.classes),
        "fit": {"own": int((fit.labels >= 0).sum()), "others": int((fit.labels < 0).sum())},
        "test": {str(group): int((groups == group).sum()) for group in np.unique(groups)},
        "parts": [len(parts_of(fit, owner)) for owner in range(len(fit.classes))],
        "images_of_parts": [[len(fit.parts[p].boxes) for p in parts_of(fit, owner)] for owner in range(len(fit.classes))],
        "unchanged": {name: list(m.unchanged) for name, m in methods.items() if m.unchanged},
        "penalties": {name: list(m.penalties) for name, m in methods.items() if m.penalties},
        "own_score": network,
        "map": {name: float(np.mean(values)) for name, values in precision.items()},
        "ap": precision,
        "points": points,
        "at_equal_loss": curves,
        "seconds": time.perf_counter() - start,
        "cost": cost(everything.classifier, fit, learnt, settings),
    }
    arrays = {"sha256": np.array(test.sha256, dtype=np.str_), "labels": test.labels, "network": scores[network]}
    arrays |= {name: scores[name] for name in ("summaries", "regions", "pooled", "pooled, joined")}
    return row, arrays


def first_choices(test: Examples, classes: Sequence[int], method: Method, constant: float | None) -> NDArray[np.intp]:
    """Return the class that each image gets; `constant` for all classes, or the method's own."""
    moved = test.logits.astype(np.float64).copy()
    added = method.offsets + (method.shifts if constant is None else constant)
    if constant is None:
        added = np.where(method.offsets.any(axis=0) | (method.shifts != 0), added, 0)
    moved[:, list(classes)] += added
    return np.asarray(moved.argmax(axis=1))


def comparison(before: NDArray[np.bool_], after: NDArray[np.bool_], seed: int) -> dict[str, Any]:
    """Return accuracies in percent, the change with its paired bootstrap interval, and McNemar's exact test."""
    change = after.astype(float) - before.astype(float)
    draws = np.random.default_rng(seed).integers(0, len(change), (2000, len(change)))
    low, high = np.percentile(change[draws].mean(axis=1), [2.5, 97.5])
    better, worse = int((change > 0).sum()), int((change < 0).sum())
    p = float(binomtest(better, better + worse).pvalue) if better + worse else 1.0
    return {
        "before": 100 * float(before.mean()),
        "after": 100 * float(after.mean()),
        "change": {"mean": 100 * float(change.mean()), "low": 100 * float(low), "high": 100 * float(high)},
        "mcnemar": {"better": better, "worse": worse, "p": p},
    }


def trade_off(
    test: Examples,
    classes: Sequence[int],
    method: Method,
    truth: NDArray[np.intp],
    groups: NDArray[np.str_],
    before: NDArray[np.bool_],
) -> dict[str, Any]:
    """Return the curve of a method over its constant, and the most that it reaches at the bearable losses of bystanders."""
    curve = []
    for constant in np.arange(-4, 8.01, 0.05):
        right = first_choices(test, classes, method, float(constant)) == truth
        losses = [
            100 * float(before[groups == g].mean() - right[groups == g].mean()) if (groups == g).any() else 0.0
            for g in ("far", "near")
        ]
        curve.append((float(constant), 100 * float(right[groups == "test"].mean()), *losses))
    allowed = [point for point in curve if point[2] <= LOSSES[0] and point[3] <= LOSSES[1]]
    best = max(allowed, key=lambda point: point[1], default=None)
    return {
        "accuracy": best[1] if best else None,
        "constant": best[0] if best else None,
        "curve": [[round(value, 2) for value in point] for point in curve[::8]],
    }


def cost(classifier: Classifier, fit: Examples, learnt: Learnt, settings: vs.SpecializeSettings) -> dict[str, float]:
    """Return how much longer a forward pass takes with every detector, used or not, over the plain one; one image, and 16."""
    every = replace(learnt, fusions=tuple(replace(f, weights=np.ones(len(f.weights))) for f in learnt.fusions))
    module = build_network(classifier, fit, every, settings).eval()
    ratios = {}
    for batch in (1, 16):
        x = torch.rand(batch, *classifier.input_size)
        with torch.inference_mode():
            times: dict[int, list[float]] = {0: [], 1: []}
            for turn in range(24):
                for which, network in enumerate((classifier.module, module)):
                    start = time.perf_counter()
                    network(x)
                    if turn >= 4:
                        times[which].append(time.perf_counter() - start)
        ratios[f"batch of {batch}"] = float(np.median(times[1]) / np.median(times[0]))
    return {**ratios, "detectors": float(len(fit.parts))}


def interval_of(kept: Sequence[dict[str, NDArray[Any]]], first: str, second: str) -> dict[str, float]:
    """Return the mean difference in mAP of two methods over the splits of one network, and its 95 % bootstrap interval.

    Images are drawn anew, the same ones in all splits.
    """
    everyone = sorted({sha for one in kept for sha in one["sha256"].tolist()})
    place = {sha: position for position, sha in enumerate(everyone)}
    rows = [np.array([place[sha] for sha in one["sha256"].tolist()]) for one in kept]

    def difference(weights: NDArray[np.float64]) -> float:
        values = []
        for one, row in zip(kept, rows, strict=True):
            own = weights[row]
            keep = own > 0
            for k in range(one[first].shape[1]):
                labels = one["labels"][keep] == k
                a, b = (average_precision_score(labels, one[m][keep, k], sample_weight=own[keep]) for m in (first, second))
                values.append(a - b)
        return 100 * float(np.mean(values))

    rng = np.random.default_rng(0)
    count = len(everyone)
    draws = [difference(rng.multinomial(count, np.full(count, 1 / count)).astype(float)) for _ in range(RESAMPLES)]
    low, high = np.percentile(draws, [2.5, 97.5])
    return {"mean": difference(np.ones(count)), "low": float(low), "high": float(high)}


def conclusions(
    rows: Sequence[dict[str, Any]], arrays: dict[tuple[str, str], list[dict[str, NDArray[Any]]]]
) -> list[dict[str, Any]]:
    """Return for each network its figures over all splits."""
    found = []
    for (world, network), kept in arrays.items():
        own = [row for row in rows if (row["world"], row["network"]) == (world, network)]
        reached = {
            name: float(np.mean([row["at_equal_loss"][name]["accuracy"] for row in own]))
            for name in own[0]["at_equal_loss"]
            if all(row["at_equal_loss"][name]["accuracy"] is not None for row in own)
        }
        found.append(
            {
                "world": world,
                "network": network,
                "splits": len(own),
                "map": {name: 100 * float(np.mean([row["map"][name] for row in own])) for name in own[0]["map"]},
                "over_network": interval_of(kept, "summaries", "network"),
                "over_regions": interval_of(kept, "summaries", "regions"),
                "over_pooled": interval_of(kept, "summaries", "pooled"),
                "over_pooled_joined": interval_of(kept, "summaries", "pooled, joined"),
                "at_equal_loss": reached,
                "top1": {
                    name: {
                        group: {
                            key: float(np.mean([row["points"][name][group][key] for row in own])) for key in ("before", "after")
                        }
                        for group in own[0]["points"][name]
                    }
                    for name in own[0]["points"]
                },
                "cost": max(value for row in own for key, value in row["cost"].items() if key != "detectors"),
                "unchanged": float(np.mean([value for row in own for value in row["unchanged"]["summaries"]])),
            }
        )
    return found


def bars_of(found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    bars: list[dict[str, Any]] = []

    def bar(name: str, value: float | None, bound: float, sense: str = ">=") -> None:
        known = value is not None and math.isfinite(value)
        holds = known and (value >= bound if sense == ">=" else value <= bound if sense == "<=" else value > bound)
        bars.append({"name": name, "value": value if known else None, "bound": bound, "sense": sense, "holds": bool(holds)})

    for world in dict.fromkeys(one["world"] for one in found):
        own = [one for one in found if one["world"] == world]
        bar(
            f"{world}: points of mAP over the network's own score",
            float(np.mean([one["over_network"]["mean"] for one in own])),
            5,
        )
        if world == "photographs":
            above = sum(one["over_network"]["low"] > 0 for one in own)
            bar(f"{world}: networks whose interval is above 0", float(above), 2)
        reached = [one["at_equal_loss"] for one in own]
        if all("summaries" in one and "shift" in one for one in reached):
            ahead = float(np.mean([one["summaries"] - one["shift"] for one in reached]))
            bar(f"{world}: points over the prior shift at equal losses of bystanders", ahead, 3)
        bar(f"{world}: points of mAP over random regions", float(np.mean([one["over_regions"]["mean"] for one in own])), 0, ">")
        better = [min(one["over_pooled"]["mean"], one["over_pooled_joined"]["mean"]) for one in own]
        bar(f"{world}: points of mAP over the better pooled control", float(np.mean(better)), 0)
        bar(f"{world}: forward pass over the plain one", max(one["cost"] for one in own), 1.5, "<=")
    return bars


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True, help="file for the results")
    parser.add_argument("--data", type=Path, help="folder with weights/nets.py and images/; without it only drawn birds")
    parser.add_argument("--size", choices=tuple(SIZES), default="quick")
    parser.add_argument(
        "--runs", type=Path, default=Path("runs/specialise"), help="where runs and splits are kept and found again"
    )
    parser.add_argument("--minutes", type=float, default=math.inf, help="start nothing new after this time")
    parser.add_argument("--networks", nargs="*", help="only these")
    parser.add_argument(
        "--no-apply", action="store_true", help="do not look for the summaries in images that the runs set aside"
    )
    arguments = parser.parse_args()
    size, settings = SIZES[arguments.size], vs.SpecializeSettings(apply=not arguments.no_apply)
    start = time.perf_counter()

    cases = [("photographs", name) for name in size["networks"]] if arguments.data else []
    cases += [("drawn", name) for name in size["drawn"]]
    rows: list[dict[str, Any]] = []
    arrays: dict[tuple[str, str], list[dict[str, NDArray[Any]]]] = {}
    for world_name, network in cases:
        folder = arguments.runs / world_name / network
        everything: Everything | None = None
        for seed in size["seeds"]:
            record, saved = folder / f"split-{seed}.json", folder / f"split-{seed}.npz"
            wanted = plain({"settings": asdict(settings)})
            kept = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
            if kept.get("settings") != wanted["settings"]:
                late = time.perf_counter() - start > 60 * arguments.minutes
                if late or (arguments.networks and network not in arguments.networks):
                    continue
                if everything is None:
                    data = arguments.data
                    world = photographs(network, data) if world_name == "photographs" else drawn_birds(network, arguments.runs)
                    everything = read_world(world, classifier_of(world, data), arguments.runs, settings)
                    if everything is None:
                        print(f"{network}: no class has a summary", flush=True)
                        break
                row, values = measure(everything, seed, settings, folder)
                np.savez_compressed(saved, **values)
                kept = {**wanted, "row": plain(row)}
                record.write_text(json.dumps(kept), encoding="utf-8")
            rows.append(kept["row"])
            with np.load(saved, allow_pickle=False) as loaded:
                arrays.setdefault((world_name, network), []).append({name: loaded[name] for name in loaded.files})
            told = ", ".join(f"{name} {100 * value:.1f}" for name, value in kept["row"]["map"].items())
            print(f"{network}, split {seed}: mAP {told}", flush=True)

    found = conclusions(rows, arrays)
    result = {
        "benchmark": "specialise",
        "size": arguments.size,
        "complete": len(rows) == len(cases) * len(size["seeds"]),
        "hardware": hardware(torch.device("cpu")),
        "versions": versions(),
        "settings": {**asdict(settings), **size, "losses": list(LOSSES), "resamples": RESAMPLES},
        "rows": found,
        "splits": rows,
        "bars": bars_of(found),
    }
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(plain(result), indent=1) + "\n", encoding="utf-8")
    for bar in result["bars"]:
        value = "unknown" if bar["value"] is None else f"{bar['value']:.3f}"
        print(f"{'holds' if bar['holds'] else 'does not hold'}: {bar['name']}: {value}")


if __name__ == "__main__":
    main()
