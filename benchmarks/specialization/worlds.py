"""Images, networks and runs of ``specialize.py``: five breeds of dogs, and drawn birds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import visual_summaries as vs
from benchmarks.harness import Finished, demo_classifier, pretrained
from benchmarks.seeds import seeds
from visual_summaries.birds.pictures import write_images
from visual_summaries.birds.world import CLASS_NAMES
from visual_summaries.classifiers import Classifier
from visual_summaries.errors import NoImagesError, RunError, TargetError
from visual_summaries.files.atomic import atomic_file
from visual_summaries.flow.feature_maps import Layer
from visual_summaries.images import ImageSource
from visual_summaries.specialization.detectors import Boxes
from visual_summaries.specialization.examples import (
    OTHER,
    Examples,
    PartExamples,
    best_matches,
    find_layers,
    read_maps,
    with_matches,
)

BREEDS = (155, 162, 229, 258, 273)
#: Folders of bystanders of other kinds; their names start with the class's index.
KINDS = ("imagenette224/*", "clothing/*", "cub_crops227/0*")

#: Drawn birds: classes that are specialized, images of each to fit and to test on.
BIRDS, DRAWN_FIT, DRAWN_TEST = (0, 1, 2), 40, 60

#: Images that are read, and kept as maps, at a time.
CHUNK = 100


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
                first = seeds("specialization", bird, count, start=1000 * (group == "test")).start
                write_images(place, bird, count, seed=first)
            images += [(path, group, bird) for path in sorted(place.glob("*.png"))]
    return World("drawn", network, BIRDS, tuple(images))


def classifier_of(world: World, data: Path | None) -> Classifier:
    if world.name == "drawn":
        return demo_classifier(world.network)
    assert data is not None
    return pretrained(world.network, data)


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

    def find() -> dict[str, dict[str, list[float]]]:
        matches = best_matches(run, list(paths), classifier)
        return {
            path.name: {str(key): box.tolist() for key, box in own.items()} for path, own in zip(paths, matches, strict=True)
        }

    found = Finished(folder)(f"matches-{run.info.target.index}", [path.name for path in paths], find)
    return [{int(key): np.array(box, np.float32) for key, box in found[path.name].items()} for path in paths]


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
) -> tuple[NDArray[np.float32], list[torch.Tensor], tuple[Layer, ...]]:
    """Return logits and reduced maps of all images of a world, some at a time, each read once."""
    layers = find_layers(classifier, settings.depths)
    logits, maps = [], []
    for start in range(0, len(world.images), CHUNK):
        kept = folder / "maps" / f"{settings.depths}-{settings.cells}-{start}.npz"
        if not kept.is_file():
            paths = [path for path, _, _ in world.images[start : start + CHUNK]]
            own_logits, own = read_maps(classifier, [classifier.view(path) for path in paths], layers, settings.cells)
            with atomic_file(kept) as file:
                named: dict[str, Any] = {f"m{k}": one.numpy() for k, one in enumerate(own)}
                np.savez(file, logits=own_logits, **named)
        with np.load(kept, allow_pickle=False) as loaded:
            logits.append(loaded["logits"])
            maps.append([torch.from_numpy(loaded[f"m{k}"]) for k in range(len(layers))])
    return np.concatenate(logits), [torch.cat([own[k] for own in maps]) for k in range(len(layers))], layers


def read_world(world: World, classifier: Classifier, runs: Path, settings: vs.SpecializeSettings) -> Everything | None:
    """Read all images, with the summaries' regions in them; None where no class has a summary."""
    folder = runs / world.name / world.network
    logits, maps, layers = read_images(world, classifier, folder, settings)
    found = {index: run_of(world, index, classifier, runs) for index in world.classes}
    own = [run for run in found.values() if run is not None]
    if not own:
        return None
    # A class without a summary is not specialized; its images are bystanders.
    classes = tuple(index for index, run in found.items() if run is not None)
    indices = np.array([index for _, _, index in world.images], np.intp)
    groups = np.array([group if group in ("near", "far") or index in classes else "near" for _, group, index in world.images])
    hashes = [sha256_of(path) for path, _, _ in world.images]
    place = {sha256: position for position, sha256 in enumerate(hashes)}
    parts: list[PartExamples] = []
    for owner, run in enumerate(own):
        for summary in run.summaries:
            parts.append(PartExamples(owner, summary.index, summary.label, boxes_of(run, summary.cluster, place)))
        seen = {place[image.sha256] for image in run.images}
        fresh = [k for k in np.flatnonzero((groups == "fit") & (indices == classes[owner])).tolist() if k not in seen]
        if fresh and settings.apply:
            matches = matches_of(world, run, classifier, [world.images[k][0] for k in fresh], folder)
            parts = with_matches(parts, owner, fresh, matches)
    labels = np.array(
        [classes.index(index) if group in ("fit", "test") else OTHER for index, group in zip(indices, groups, strict=True)]
    )
    examples = Examples(tuple(hashes), labels, logits, tuple(maps), layers, classes, tuple(parts))
    salient = tuple(boxes_of(run, range(len(run.regions)), place) for run in own)
    return Everything(world, classifier, examples, groups, indices, salient)


def subset(examples: Examples, chosen: NDArray[np.intp]) -> Examples:
    """Return some of the images, with the regions in them; summaries that have none left are gone."""
    place = {int(old): new for new, old in enumerate(chosen)}
    parts = [
        replace(part, boxes={place[image]: boxes for image, boxes in part.boxes.items() if image in place})
        for part in examples.parts
    ]
    return replace(
        examples,
        sha256=tuple(examples.sha256[i] for i in chosen),
        labels=examples.labels[chosen],
        logits=examples.logits[chosen],
        maps=tuple(one[torch.from_numpy(chosen)] for one in examples.maps),
        parts=tuple(part for part in parts if part.boxes),
    )


def boxes_of(run: vs.Run, regions: Iterable[int], place: dict[str, int]) -> dict[int, Boxes]:
    """Return the boxes of regions by the positions of their images, as shares of the image's sides."""
    height, width = run.images[0].view.shape[:2]
    boxes: dict[int, list[tuple[int, int, int, int]]] = {}
    for region in regions:
        found = run.regions[region]
        boxes.setdefault(place[run.images[found.image].sha256], []).append(found.box)
    sides = np.array([width, height, width, height], np.float32)
    return {image: np.array(own, np.float32) / sides for image, own in boxes.items()}


def sha256_of(path: Path) -> str:
    return ImageSource(path.name, path).sha256()
