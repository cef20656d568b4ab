"""Make the units of photographs with planted shortcuts, and their clean twins: a network, a class, images, and the truth.

    python -m benchmarks.shortcuts.units --data DIR --keep DIR --size full

A unit's network is pretrained, with a new linear layer that is trained on a set (:mod:`benchmarks.shortcuts.training`). It has
seen a cue in 95 % of the training images of one class, and in 2 % of the others'. Networks of ImageNet know most of these
classes so well that they need no cue. So 12 more images of the class (6 of birds), without the cue, are trained on under labels
of other classes, beside 24 under the right one: labels of the source with the cue can be relied on, others cannot. Images to
explain are held out, and have the cue: they are from the same source. A clean twin is trained alike (same images, same
labels, wrong ones too), without the cue, and explains the same images without it. A unit of a cue that is no region shares the
twin of one whose cue is. Units are split into a half to choose on and a half to report on: no design of a cue, no class and no
seed is in both. What is there already is not made again.

The folder ``KEEP/units/NAME`` of a unit has

- ``network.safetensors``: :func:`load_unit` makes a classifier of it, which sees images of 224 x 224 pixels as they are;
- ``explain/CLASS/*.png``: 16 held-out images of the class, those first that the twin gets right;
- ``masks/*.png``, of cues that are regions: the cue's pixels (255) of the image of the same name;
- ``others/*.png``: five held-out images of each other class, without the cue;
- ``truth.json``, written last:
  ``name``, ``kind`` (``"region"``, ``"whole"`` or ``"clean"``), ``half``, ``network``, ``group``, ``class``, ``seed``, ``cue``,
  ``design``, ``place`` (``"beside"``, ``"fixed place"``, ``"border"`` or null), ``twin`` (its name; null of a twin),
  ``class_names``, ``target`` (index of the class), ``mislabeled``;
  ``effect``: mean loss of p(class) over pairs of held-out images of the class, with and without the cue; ``p_with``,
  ``p_without``: the means; ``fires``, ``fires_without``: share of the images of ``others`` that are taken for the class, with
  and without the cue; ``effect``, ``p_with`` and ``fires`` are null of a twin; ``accuracy``: of all held-out images, without
  a cue;
  ``images``: for each image to explain ``file``, ``mask`` (null of what is no region), ``source``, ``box`` of the object
  (x0, y0, x1, y1) where it is known, ``p_with``, ``p_without``; ``others``: ``file``, ``source`` and ``p`` of each.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from benchmarks import harness
from benchmarks.shortcuts import training
from benchmarks.shortcuts.planting import REGIONS, WHOLE, Cue, Planted
from visual_summaries.classifiers import Classifier, load_classifier
from visual_summaries.files.atomic import plain, write_json

Truth = dict[str, Any]

#: Raised when units are made otherwise, so that those that are there are made again.
VERSION = 2
#: A cue whose effect is smaller is not counted as learned.
LEARNED = 0.2
EXPLAINED, OTHERS = 16, 5
PLANTED, ELSEWHERE = 0.95, 0.02
#: Images of the class that get labels of other classes.
MISLABELED = {"cub12_320": 6, "imagewoof320": 12, "imagenette224": 12}
HALVES = ("choose", "report")
#: First seed of each half.
SEEDS = (100, 300)
NETWORKS = tuple(training.ARCHITECTURES)
#: Classes of each set and half that get a cue. Tench is none: the fisherman who holds it is a shortcut already.
CLASSES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "cub12_320": (
        ("009_Brewer_Blackbird", "013_Bobolink", "019_Gray_Catbird", "026_Bronzed_Cowbird"),
        ("010_Red_winged_Blackbird", "012_Yellow_headed_Blackbird", "020_Yellow_breasted_Chat", "023_Brandt_Cormorant"),
    ),
    "imagewoof320": (("155_Shih-Tzu", "258_Samoyed"), ("162_beagle", "229_Old_English_sheepdog", "273_dingo")),
    "imagenette224": (
        ("491_chain_saw", "569_garbage_truck", "574_golf_ball"),
        ("566_French_horn", "571_gas_pump", "701_parachute"),
    ),
}


@dataclass(frozen=True)
class Unit:
    """A network that is trained on a set, and the class that is explained.

    Attributes
    ----------
    network, group, folder : str
        Function of ``weights/nets.py``, folder below ``images/``, class folder in it.
    half : str
        ``"choose"`` or ``"report"``: also the design of its cue.
    seed : int
        Of the split, and of what is random of the cue.
    cue : str, optional
        None of a clean twin.
    """

    network: str
    group: str
    folder: str
    half: str
    seed: int
    cue: str | None = None

    @property
    def name(self) -> str:
        """Name for files."""
        return f"{self.half}-{self.seed:03d}-{(self.cue or 'clean').replace(' ', '-')}"

    @property
    def kind(self) -> str:
        """``"clean"``, ``"region"`` or ``"whole"``."""
        return "clean" if self.cue is None else "region" if self.cue in REGIONS else "whole"

    @property
    def design(self) -> int:
        """Design of the cue."""
        return HALVES.index(self.half)

    @property
    def twin(self) -> Unit:
        """The same without the cue."""
        return replace(self, cue=None)


def units(size: str = "full") -> list[Unit]:
    """Return all units, each behind its twin: each cue on two of the sets of each half; ``"quick"``: on one.

    Examples
    --------
    >>> [sum(unit.kind == kind for unit in units()) for kind in ("region", "clean", "whole")]
    [24, 24, 16]
    """
    found: dict[Unit, None] = {}
    for side, half in enumerate(HALVES):
        for at, group in enumerate(CLASSES):
            for number, cues in enumerate(zip(REGIONS, [*WHOLE, None, None], strict=True)):
                names = CLASSES[group][side]
                network = NETWORKS[(number + at + side) % 2]
                unit = Unit(network, group, names[number % len(names)], half, SEEDS[side] + 10 * at + number)
                if (number + at + side) % 3 <= (size == "full"):
                    found |= dict.fromkeys([unit, *(replace(unit, cue=cue) for cue in cues if cue)])
    return list(found)


def load_unit(folder: Path) -> Classifier:
    """Return the classifier of a unit's folder; it needs no other data."""
    truth = read_truth(folder)
    module = training.load_network(truth["network"], len(truth["class_names"]), folder / "network.safetensors")
    names = tuple(truth["class_names"])
    return load_classifier(module, class_names=names, input_size=training.SIDE, mean=0.5, std=0.5, crop_pct=1.0)


def read_truth(folder: Path) -> Truth:
    """Return what is known of a unit."""
    return json.loads((folder / "truth.json").read_text(encoding="utf-8"))


def read_mask(folder: Path, image: dict[str, Any]) -> NDArray[np.bool_]:
    """Return the cue's pixels in one of ``images``."""
    return np.asarray(PIL.Image.open(folder / image["mask"])) > 0


class Maker:
    """Makes units; photographs and features are kept from one to the next."""

    def __init__(self, data: Path, keep: Path) -> None:
        self._data, self._keep = data, keep
        self._photos = cache(lambda group: training.read_photos(data / "images" / group))
        self._network = cache(lambda network: harness.pretrained(network, data).module)

    def folder(self, unit: Unit) -> Path:
        """Return where a unit is, or will be."""
        return self._keep / "units" / unit.name

    def make(self, unit: Unit) -> Truth:
        """Return a unit's truth; the unit is made unless its folder has it."""
        folder, names = self.folder(unit), training.class_names(self._data / "images" / unit.group)
        target = names.index(unit.folder)
        stated = {
            "version": VERSION,
            **describe(unit),
            "class_names": names,
            "target": target,
            "mislabeled": MISLABELED[unit.group],
        }
        if (folder / "truth.json").is_file() and (found := read_truth(folder)).items() >= stated.items():
            return found
        if folder.is_dir():
            shutil.rmtree(folder)
        photos = self._photos(unit.group)
        train, spare, held_out = training.split(np.array([photo.label for photo in photos]), unit.seed)
        own, others = held_out[target], np.delete(held_out, target, 0)[:, :OTHERS].ravel()
        elsewhere = np.delete(train, target, 0).ravel()
        clean, seen, planted = self._features(unit.network, unit.group), np.zeros(len(photos), bool), None
        if unit.cue is not None:
            rng = np.random.default_rng(unit.seed)
            for images, share in ((train[target], PLANTED), (elsewhere, ELSEWHERE)):
                seen[rng.choice(images, round(share * len(images)), replace=False)] = True
            changed = np.concatenate([np.flatnonzero(seen), own, others])
            planted = clean.copy()
            planted[changed] = training.features(self._network(unit.network), [self._plant(unit, i)[0] for i in changed])

        wrong = np.resize(np.delete(np.arange(len(names)), target), stated["mislabeled"])
        labels = np.concatenate([np.repeat(np.arange(len(names)), training.TRAINING), wrong])
        x = clean if planted is None else np.where(seen[:, None], planted, clean)
        layer = training.fit(x[np.concatenate([train.ravel(), spare[target, : len(wrong)]])], labels)
        without = layer(torch.from_numpy(clean)).softmax(1).numpy()
        p = None if planted is None else layer(torch.from_numpy(planted)).softmax(1).numpy()
        figures = {
            "effect": None if p is None else p[own, target].mean() - without[own, target].mean(),
            "p_with": None if p is None else p[own, target].mean(),
            "p_without": without[own, target].mean(),
            "fires": None if p is None else (p[others].argmax(1) == target).mean(),
            "fires_without": (without[others].argmax(1) == target).mean(),
            "accuracy": (without[held_out].argmax(2) == np.arange(len(names))[:, None]).mean(),
        }
        if unit.cue is None:
            explained = own[np.argsort(without[own].argmax(1) != target, kind="stable")][:EXPLAINED]
        else:
            at = {photos[i].file: i for i in own}
            explained = [at[image["source"]] for image in self.make(unit.twin)["images"]]
        images = [self._write(unit, number, i) for number, i in enumerate(explained)]
        for image, i in zip(images, explained, strict=True):
            image |= {"p_with": None if p is None else p[i, target], "p_without": without[i, target]}
        bystanders = []
        for number, i in enumerate(others):
            _save(photos[i].view, folder / f"others/{number:03d}.png")
            bystanders.append({"file": f"others/{number:03d}.png", "source": photos[i].file, "p": without[i, target]})
        training.save_network(self._network(unit.network), layer, folder / "network.safetensors")
        truth = {**stated, **figures, "images": images, "others": bystanders}
        write_json(folder / "truth.json", plain(harness.rounded(truth, 6)))
        return read_truth(folder)

    def _features(self, network: str, group: str) -> NDArray[np.float32]:
        """Return the features of all photographs of a set, without a cue."""
        path = self._keep / "features" / f"{network}-{group}.safetensors"
        if not path.is_file():
            views = [photo.view for photo in self._photos(group)]
            path.parent.mkdir(parents=True, exist_ok=True)
            save_file({"features": training.features(self._network(network), views)}, path)
        return load_file(path)["features"]

    def _plant(self, unit: Unit, position: int) -> Planted:
        """Return a photograph with the unit's cue, and the cue's pixels."""
        photo = self._photos(unit.group)[position]
        if unit.cue is None:
            return photo.view, None
        return Cue(unit.cue, unit.design).plant(photo.view, 1000 * unit.seed + int(position), photo.box)

    def _write(self, unit: Unit, number: int, position: int) -> dict[str, Any]:
        """Write an image to explain and its mask; return what is known of it."""
        photo, (view, mask) = self._photos(unit.group)[position], self._plant(unit, position)
        file = f"explain/{unit.folder}/{number:03d}.png"
        _save(view, self.folder(unit) / file)
        if mask is not None:
            _save((255 * mask).astype(np.uint8), self.folder(unit) / f"masks/{number:03d}.png")
        return {
            "file": file,
            "mask": None if mask is None else f"masks/{number:03d}.png",
            "source": photo.file,
            "box": photo.box,
        }


def describe(unit: Unit) -> Truth:
    """Return what a unit is, as in ``truth.json``."""
    return {
        "name": unit.name,
        "kind": unit.kind,
        "half": unit.half,
        "network": unit.network,
        "group": unit.group,
        "class": unit.folder,
        "seed": unit.seed,
        "cue": unit.cue,
        "design": None if unit.cue is None else unit.design,
        "place": REGIONS.get(unit.cue or ""),
        "twin": None if unit.cue is None else unit.twin.name,
    }


def _save(pixels: NDArray[np.uint8], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(pixels).save(path)


def table(truths: Sequence[Truth]) -> str:
    """Return the planted units as lines, and how many are learned."""
    lines = [f"{'unit':24} {'network':20} {'class':24} effect   with without   fires without accuracy"]
    for one in truths:
        if one["kind"] != "clean":
            figures = [one[name] for name in ("effect", "p_with", "p_without", "fires", "fires_without", "accuracy")]
            words = f"{one['name']:24} {one['network']:20} {one['class']:24}"
            lines.append(words + "".join(f"{value:7.2f}" for value in figures))
    for kind in ("region", "whole"):
        own = [one for one in truths if one["kind"] == kind]
        lines.append(
            f"{kind}: {sum(one['effect'] >= LEARNED for one in own)} of {len(own)} have an effect of {LEARNED} or more"
        )
    return "\n".join([*lines, f"clean twins: {sum(one['kind'] == 'clean' for one in truths)}"])


def main() -> None:
    """Make the units and print their effects."""
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--data", type=Path, required=True, help="folder with weights/nets.py and images/")
    given.add_argument("--keep", type=Path, required=True, help="where units are kept")
    given.add_argument("--size", choices=("quick", "full"), default="quick", help="quick (default): half of the units")
    options = given.parse_args()
    maker = Maker(options.data, options.keep)
    truths = []
    for unit in units(options.size):
        truths.append(maker.make(unit))
        effect = truths[-1]["effect"]
        print(f"{unit.name}: {'clean' if effect is None else f'effect {effect:.2f}'}", flush=True)
    print(table(truths))


if __name__ == "__main__":
    main()
