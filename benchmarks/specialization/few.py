"""Whether parts help where there is something to gain: few training images, and classes that look alike.

    python benchmarks/specialization/few.py --json FILE --data DIR                (one network, 5 images of a class, 3 splits)
    python benchmarks/specialization/few.py --json FILE --data DIR --size full    (hours; may be interrupted)

Twelve species of birds that ImageNet does not have. A frozen network gets a linear head, fitted on 5, 15 or 30 images of each
species; all but 30 images of each are held out. The network with this head is explained on its training images, a species at a
time. The regions of all summaries become a few *shared parts* with a detector each (``specialization.looks`` of the package).
In each image, training images by detectors that were fitted without them, the network looks again at the place of each part
from near. Each look has a head of its own, and the log probabilities of all heads are added with weights. Strengths of heads
and weights are those of the best likelihood in cross-validation on the training images. Methods, all with the plain head among
theirs:

- `head`: the network's own. `shift`: with a constant for each class, chosen by held-out scores of the training images.
- `summaries`: looks at parts. `regions`: the same, random boxes in the place of the summaries' regions.
- `command`: as `visual-summaries look-closer` does it: it looks at what the network sees, where `summaries` and its controls
  look at the photographs as they are, and leaves out looks of hardly any weight.
- `grid`: a head on the image pooled in 3 x 3 places. `fixed`: looks at five fixed places.
- `oracle, found`: as `summaries`, with annotated points of head and body in the training images in the place of regions.
- `oracle`: looks at annotated points of head and body in all images. `object`: a look at the annotated box of the bird. No user
  has these: what could be gained at best, and by the place of the bird alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property, partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch
from numpy.typing import NDArray
from scipy.stats import t as student

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import visual_summaries as vs
from benchmarks.harness import Finished, Row, bar, finish, parser, pretrained, results, rounded
from benchmarks.shortcuts.training import BATCH, SIDE
from benchmarks.specialization.methods import random_regions
from benchmarks.specialization.species import Birds, look_boxes, read_birds, split
from benchmarks.specialization.worlds import boxes_of, sha256_of
from visual_summaries.classifiers import Classifier, load_classifier
from visual_summaries.errors import NoImagesError, TargetError
from visual_summaries.files.atomic import atomic_file
from visual_summaries.specialization.detectors import Boxes
from visual_summaries.specialization.examples import Examples, PartExamples, find_layers, read_maps
from visual_summaries.specialization.fusion import choose_shift, margins
from visual_summaries.specialization.heads import Features, Head, Positions, as_block, fit_head, log_softmax, stack, standard
from visual_summaries.specialization.learning import average_precision, cut
from visual_summaries.specialization.looking import LOOK
from visual_summaries.specialization.looks import find_parts, fit_cells, shared_parts

#: Shared parts of all classes, and places of the grid along each side.
PARTS, GRID = 4, 3
#: Centers of the looks that are not at parts.
FIXED = ((0.35, 0.35), (0.65, 0.35), (0.35, 0.65), (0.65, 0.65), (0.5, 0.5))
#: Annotated points of each part of the oracle.
ORACLE = {
    "head": ("beak", "crown", "forehead", "left eye", "right eye", "nape", "throat"),
    "body": ("back", "belly", "breast", "left wing", "right wing"),
}
CONTROLS = ("head", "shift", "regions", "grid", "fixed")
#: Side of the box around an annotated point, over the image's.
AROUND = 0.12
#: Raised when a change makes finished figures worthless.
CODE = "2"

SIZES: dict[str, dict[str, Any]] = {
    "quick": {"networks": ("efficientnet_lite0",), "counts": (5,), "seeds": (0, 1, 2), "held_out": 15, "preset": "quick"},
    # Designs were chosen by splits 0, 1 and 2.
    "full": {
        "networks": ("efficientnet_lite0", "mobilenetv2_100"),
        "counts": (5, 15, 30),
        "seeds": (3, 4, 5, 6, 7),
        "held_out": 100,
        "preset": "default",
    },
}


class Case:
    """A network and the birds as it sees them; what was computed once is kept."""

    def __init__(self, network: str, birds: Birds, data: Path, keep: Path, preset: str) -> None:
        self.network, self.birds, self.preset = network, birds, preset
        self._data, self._keep = data, keep
        self.settings = vs.SpecializeSettings()

    @cached_property
    def _module(self) -> Any:
        return pretrained(self.network, self._data).module.to(memory_format=torch.channels_last)

    @cached_property
    def paths(self) -> list[Path]:
        """Return the squares as files, which runs read."""
        paths = []
        for number, photo in enumerate(self.birds.photos):
            path = self._keep / "squares" / f"{number:03d}.png"
            if not path.is_file():
                with atomic_file(path) as file:
                    PIL.Image.fromarray(photo.view).save(file, format="png")
            paths.append(path)
        return paths

    def classifier(self, layer: torch.nn.Linear) -> Classifier:
        """Return the network with a head."""
        self._module.classifier = layer
        return load_classifier(self._module, class_names=self.birds.names, input_size=SIDE, mean=0.5, std=0.5, crop_pct=1.0)

    def seen(self, views: Sequence[NDArray[np.uint8]]) -> tuple[Features, Features]:
        """Return the pooled features of views, (n, F), and those of the grid, (n, GRID² F)."""
        pooled, grid = [], []
        for first in range(0, len(views), BATCH):
            x = torch.from_numpy(np.stack(views[first : first + BATCH])).permute(0, 3, 1, 2).float() / 127.5 - 1
            with torch.no_grad():
                maps = self._module.forward_features(x.contiguous(memory_format=torch.channels_last))
            pooled.append(maps.mean(dim=(2, 3)).numpy())
            grid.append(pooled_places(maps, GRID))
        return np.concatenate(pooled), np.concatenate(grid)

    @cached_property
    def whole(self) -> tuple[Features, Features]:
        """Return what :meth:`seen` says of all squares."""
        file = self._keep / self.network / "whole.npz"
        if not file.is_file():
            pooled, grid = self.seen([photo.view for photo in self.birds.photos])
            with atomic_file(file) as opened:
                np.savez(opened, pooled=pooled, grid=grid.astype(np.float16))
        with np.load(file, allow_pickle=False) as loaded:
            return loaded["pooled"], loaded["grid"].astype(np.float32)

    @cached_property
    def examples(self) -> Examples:
        """Return all squares with their reduced maps, which detectors read; without parts, and logits of no head."""
        file, names = self._keep / self.network / "maps.npz", self.birds.names
        classifier = self.classifier(torch.nn.Linear(self.whole[0].shape[1], len(names)))
        layers = find_layers(classifier, self.settings.depths)
        if not file.is_file():
            _, maps = read_maps(classifier, [photo.view for photo in self.birds.photos], layers, self.settings.cells)
            with atomic_file(file) as opened:
                named: dict[str, Any] = {f"m{k}": one.numpy() for k, one in enumerate(maps)}
                np.savez(opened, **named)
        with np.load(file, allow_pickle=False) as loaded:
            maps = [torch.from_numpy(loaded[f"m{k}"]) for k in range(len(layers))]
        hashes = tuple(sha256_of(path) for path in self.paths)
        logits = np.zeros((len(hashes), len(names)), np.float32)
        return Examples(hashes, self.birds.labels, logits, tuple(maps), layers, tuple(range(len(names))), ())

    def look(self, images: Positions, boxes: Boxes) -> Features:
        """Return the features (N, F) of a closer look at a box (n, 4) of some images; zeros of all others."""
        found = np.zeros_like(self.whole[0])
        for first in range(0, len(images), 20 * BATCH):
            some = slice(first, first + 20 * BATCH)
            views = [self.birds.look(image, box) for image, box in zip(images[some], boxes[some], strict=True)]
            found[images[some]] = self.seen(views)[0]
        return found

    def runs(self, layer: torch.nn.Linear, train: Positions, name: str) -> list[vs.Run]:
        """Return the runs of the network with a head, each class explained on its training images, where that is possible."""
        classifier, found = self.classifier(layer), list[vs.Run]()
        folder = self._keep / self.network / f"runs-{self.preset}" / name
        for owner in range(len(self.birds.names)):
            paths = [self.paths[i] for i in train if self.birds.labels[i] == owner]
            try:
                run = vs.summarize(
                    classifier, paths, owner, folder / str(owner), settings=vs.preset(self.preset), resume=True, progress=False
                )
            except (NoImagesError, TargetError) as error:
                print(f"{folder}, class {owner}: {error}", flush=True)
                continue
            found.append(run)
        return found

    def parts(self, runs: Sequence[vs.Run]) -> tuple[PartExamples, ...]:
        """Return the summaries of runs."""
        place = {sha256: position for position, sha256 in enumerate(self.examples.sha256)}
        return tuple(
            PartExamples(run.info.target.index or 0, summary.index, summary.label, boxes_of(run, summary.cluster, place))
            for run in runs
            for summary in run.summaries
        )

    def measure(self, count: int, seed: int, held_out: int) -> Row:
        """Return accuracy and mAP, in percent, of each method on the images held out of one split."""
        labels, (pooled, grid) = self.birds.labels, self.whole
        train, test = split(labels, count, seed, held_out)
        used, known = np.concatenate([train, test]), labels[train]
        folds = cut(known, self.settings.folds, seed)
        weights: dict[str, list[float]] = {}

        def fitted(features: Features) -> tuple[Head, Features]:
            """Return a head, and its logits of the held-out images."""
            x = as_block(features, train)
            own = fit_head(x[train], known, folds)
            return own, own(x[test])

        plain = fitted(pooled)

        def stacked(name: str, *more: Features) -> Features:
            heads = [plain, *map(fitted, more)]
            weights[name] = stack([head.held_out for head, _ in heads], known).tolist()
            return np.tensordot(weights[name], np.stack([log_softmax(logits) for _, logits in heads]), axes=1)

        def looks(boxes: Boxes) -> list[Features]:
            """Return what is seen in boxes of all images (N, K, 4)."""
            return [self.look(used, boxes[used, k]) for k in range(boxes.shape[1])]

        examples = self.examples
        cells = fit_cells(examples.maps, train)(examples.maps)

        def found(parts: Sequence[Mapping[int, Boxes]]) -> list[Features]:
            return looks(look_boxes(find_parts(cells, parts, train, folds)))

        methods = {"head": plain[1]}
        spare, none = self.settings.spare / len(self.birds.names), np.zeros(len(train))
        shifts = [choose_shift(plain[0].held_out, none, k, known == k, spare) for k in np.unique(known)]
        methods["shift"] = plain[1] + shifts
        methods["grid"] = stacked("grid", grid)
        methods["fixed"] = stacked("fixed", *looks(look_boxes(np.tile(np.array(FIXED), (len(labels), 1, 1)))))
        runs = self.runs(plain[0].layer(*standard(pooled[train])), train, f"{count}-{seed}")
        examples = replace(examples, parts=self.parts(runs))
        shuffled = random_regions(examples, [{} for _ in self.birds.names], seed)
        methods["summaries"] = stacked("summaries", *found(shared_parts(examples, PARTS, seed)))
        methods["regions"] = stacked("regions", *found(shared_parts(shuffled, PARTS, seed)))
        true = np.stack([self.birds.oracle(names, AROUND) for names in ORACLE.values()], axis=1)
        annotated = [{int(i): own[i : i + 1] for i in train} for own in true.swapaxes(0, 1)]
        methods["oracle, found"] = stacked("oracle, found", *found(annotated))
        methods["oracle"] = stacked("oracle", *looks(look_boxes((true[:, :, :2] + true[:, :, 2:]) / 2)))
        methods["object"] = stacked("object", self.look(used, self.birds.objects[used]))
        return {
            "network": self.network,
            "count": count,
            "seed": seed,
            "summaries": [sum(part.owner == k for part in examples.parts) for k in range(len(self.birds.names))],
            "weights": weights,
            "accuracy": {name: 100 * float((own.argmax(axis=1) == labels[test]).mean()) for name, own in methods.items()},
            "map": {name: 100 * mean_precision(own, labels[test]) for name, own in methods.items()},
        }

    def command(self, count: int, seed: int, held_out: int) -> Row:
        """Return what the package's own :func:`~visual_summaries.look_closer` makes of the same split and runs."""
        labels, pooled = self.birds.labels, self.whole[0]
        train, test = split(labels, count, seed, held_out)
        folds = cut(labels[train], self.settings.folds, seed)
        plain = fit_head(as_block(pooled[train], np.arange(len(train))), labels[train], folds)
        layer = plain.layer(*standard(pooled[train]))
        found = vs.look_closer(
            self.runs(layer, train, f"{count}-{seed}"), self.classifier(layer), random_state=seed, progress=False
        )
        views, logits = [self.birds.photos[i].view for i in test], []
        for first in range(0, len(views), BATCH):
            with torch.no_grad():
                logits.append(found.classifier.logits(found.classifier.to_tensor(views[first : first + BATCH])).numpy())
        own = np.concatenate(logits)
        return {
            "looks": [asdict(look) for look in found.looks],
            "accuracy": {"command": 100 * float((own.argmax(axis=1) == labels[test]).mean())},
            "map": {"command": 100 * mean_precision(own, labels[test])},
        }


def pooled_places(maps: torch.Tensor, cells: int) -> NDArray[np.float32]:
    """Return the means of maps (N, C, h, w) in a grid of `cells` x `cells` places: (N, cells² C), place by place.

    Examples
    --------
    >>> pooled_places(torch.arange(16.0).reshape(1, 1, 4, 4), 2).tolist()
    [[2.5, 4.5, 10.5, 12.5]]
    """
    pooled = torch.nn.functional.adaptive_avg_pool2d(maps.float(), cells)
    return np.asarray(pooled.flatten(2).transpose(1, 2).flatten(1).numpy())


def mean_precision(logits: Features, labels: Positions) -> float:
    """Return the mean over classes of the average precision of a class's log odds.

    Examples
    --------
    >>> mean_precision(np.array([[2.0, 0], [0, 1], [1, 0]]), np.array([0, 0, 1]))
    0.666...
    """
    return float(np.mean([average_precision(labels == k, margins(logits, k)) for k in range(logits.shape[1])]))


def over_splits(differences: Sequence[float]) -> dict[str, float | None]:
    """Return the mean of differences, one of each split, and its 95 % interval by Student's t; none of a single split.

    Examples
    --------
    >>> {name: round(value, 2) for name, value in over_splits([1.0, 2.0, 3.0]).items()}
    {'mean': 2.0, 'low': -0.48, 'high': 4.48}
    """
    values = np.array(differences, float)
    middle = float(values.mean())
    if len(values) < 2:
        return {"mean": middle, "low": None, "high": None}
    half = float(student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return {"mean": middle, "low": middle - half, "high": middle + half}


def conclusions(splits: Sequence[Row]) -> list[Row]:
    """Return the figures of each network and count over the splits, and what summaries gain over each control."""
    found = []
    for network, count in dict.fromkeys((row["network"], row["count"]) for row in splits):
        own = [row for row in splits if (row["network"], row["count"]) == (network, count)]
        row: Row = {"network": network, "count": count, "splits": len(own)}
        for measure in ("accuracy", "map"):
            row[measure] = {name: float(np.mean([one[measure][name] for one in own])) for name in own[0][measure]}
            row[f"{measure}_over"] = {
                name: over_splits([one[measure]["summaries"] - one[measure][name] for one in own]) for name in CONTROLS
            }
        row["oracle_over"] = over_splits([one["accuracy"]["oracle"] - one["accuracy"]["head"] for one in own])
        found.append(row)
    return found


def bars_of(rows: Sequence[Row]) -> list[Row]:
    """Return the bars at 5 and at 15 images of each class: choosing the better one would be by what is reported."""
    bars = []
    for count in (5, 15):
        own = [row for row in rows if row["count"] == count]
        if own:
            bars += _bars_at(f"{count} images of each class", own)
    return bars


def _bars_at(where: str, rows: Sequence[Row]) -> list[Row]:
    def gain(control: str = "head", measure: str = "accuracy") -> float:
        return float(np.mean([row[f"{measure}_over"][control]["mean"] for row in rows]))

    above = sum((row["accuracy_over"]["head"]["low"] or 0) > 0 for row in rows)
    command = float(np.mean([row["accuracy"]["command"] - row["accuracy"]["head"] for row in rows]))
    bars = [
        bar(f"{where}: points of accuracy over the head", gain(), 3, ">="),
        bar(f"{where}: points of accuracy of the command over the head", command, 3, ">="),
        bar(f"{where}: points of mAP over the head", gain(measure="map"), 0, ">"),
        bar(f"{where}: networks whose interval is above 0", float(above), 2, ">="),
    ]
    words = {
        "shift": "the prior shift",
        "regions": "random regions",
        "grid": "a grid of places",
        "fixed": "looks at fixed places",
    }
    return bars + [bar(f"{where}: points of accuracy over {words[name]}", gain(name), 0, ">") for name in words]


def sized(options: argparse.Namespace) -> dict[str, Any]:
    """Return what a size measures, less what was given in its place."""
    size = SIZES[options.size]
    return size | {name: given for name in size if (given := getattr(options, name, None)) is not None}


def main() -> None:
    arguments = parser(
        __doc__, "one network, 5 images, 3 splits", "two networks, 5, 15 and 30 images, 5 splits", needs_data=True, keep=True
    )
    arguments.add_argument("--counts", type=int, nargs="*", help="training images of each class, not the size's")
    arguments.add_argument("--seeds", type=int, nargs="*", help="splits, not the size's")
    arguments.add_argument("--networks", nargs="*", help="not the size's")
    arguments.add_argument("--preset", help="of the runs, not the size's")
    options = arguments.parse_args()
    size = sized(options)
    keep = options.keep or Path("build/few")
    kept, birds = Finished(keep, options.minutes), read_birds(options.data)
    settings = {
        "parts": PARTS,
        "specialize": asdict(vs.SpecializeSettings()),
        "preset": size["preset"],
        "look": LOOK,
        "held_out": size["held_out"],
    }
    splits = []
    cases = [Case(network, birds, options.data, keep, size["preset"]) for network in size["networks"]]
    for count, seed, case in product(size["counts"], size["seeds"], cases):
        name = f"{case.network}/{size['preset']}-{count}-{seed}"
        row = kept(name, settings, partial(case.measure, count, seed, size["held_out"]), CODE)
        own = kept(f"{name}-command", settings, partial(case.command, count, seed, size["held_out"]), CODE)
        if row is not None and own is not None:
            row = row | {"looks": own["looks"]} | {what: row[what] | own[what] for what in ("accuracy", "map")}
            splits.append(row)
            told = ", ".join(f"{one} {value:.1f}" for one, value in row["accuracy"].items())
            print(f"{case.network}, {count} images, split {seed}: {told}", flush=True)
    rows = conclusions(splits)
    complete = len(splits) == len(size["networks"]) * len(size["counts"]) * len(size["seeds"])
    found = results(
        "few",
        options.size,
        {**settings, **size},
        rounded(rows),
        rounded(bars_of(rows)),
        complete=complete,
        splits=rounded(splits),
    )
    finish(found, options.json)


if __name__ == "__main__":
    main()
