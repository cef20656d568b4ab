"""What specializing learns from: training images as the network sees them, with the regions of each summary in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from visual_summaries.batch.jobs import class_folders, target_of_folder
from visual_summaries.classifiers import find_class
from visual_summaries.errors import ClassifierError, ImageError, NoImagesError, RunError, TargetError
from visual_summaries.flow.feature_maps import Layer, recorded, two_images
from visual_summaries.flow.token_order import layers_in_order
from visual_summaries.images import ImageSource, gather_images
from visual_summaries.progress import Progress, report_progress
from visual_summaries.results import Box, Run
from visual_summaries.runs.apply import apply_run, require_same_network
from visual_summaries.runs.reading import ImageSources
from visual_summaries.specialization.detectors import Boxes
from visual_summaries.specialization.network import kept_maps, places_of
from visual_summaries.specialization.settings import SpecializeSettings
from visual_summaries.specialization.windows import reduced

if TYPE_CHECKING:
    from visual_summaries.classifiers import Classifier

#: Label of images of none of the specialized classes.
OTHER = -1

_BATCH = 16


@dataclass(frozen=True, eq=False)
class PartExamples:
    """Regions of one summary in the training images."""

    owner: int  # position of its class among the specialized ones
    summary: int  # position of the summary in its run
    name: str
    boxes: dict[int, Boxes]  # (n, 4) each, by position of the image
    applied: int = 0  # how many of these images are not the run's own


@dataclass(frozen=True, eq=False)
class Examples:
    """Training images."""

    sha256: tuple[str, ...]
    labels: NDArray[np.intp]  # (N,), position of the image's class among the specialized ones; OTHER for all other images
    logits: NDArray[np.float32]  # (N, K), of the network as it is
    maps: tuple[Tensor, ...]  # float16 (N, C, h, w), reduced feature maps for each depth
    layers: tuple[Layer, ...]  # where they were read
    classes: tuple[int, ...]  # indices of the specialized classes
    parts: tuple[PartExamples, ...]
    skipped: tuple[tuple[str, str], ...] = ()  # files that were left out, and why

    def __len__(self) -> int:
        return len(self.labels)

    def places(self, settings: SpecializeSettings) -> int:
        """Return how many places detectors look at along each side."""
        return places_of(self.layers, settings.cells)


def find_layers(classifier: Classifier, depths: int) -> tuple[Layer, ...]:
    """Return the last layers of a network, as it is when it sees images of its own size; finest first.

    Raises
    ------
    ClassifierError
        If it puts out no feature map.
    """
    channels, *size = classifier.input_size
    x = two_images(channels, (size[0], size[1]), classifier.device)
    with classifier.frozen(), torch.no_grad(), recorded(classifier.module, None, (size[0], size[1])) as seen:
        classifier.logits(x)
    layers = layers_in_order(classifier, [layer for layer, _ in seen], depths)
    if not layers:
        raise ClassifierError(
            f"no submodule of {classifier.spec} puts out a feature map, so there is nothing that part detectors could read: "
            "give the network as an nn.Module of several layers"
        )
    return layers


def read_maps(
    classifier: Classifier, views: Sequence[NDArray[np.uint8]], layers: Sequence[Layer], cells: int
) -> tuple[NDArray[np.float32], list[Tensor]]:
    """Return the logits (N, K) of views, and their reduced maps (N, C, h, w) in half precision, for each layer."""
    logits: list[NDArray[np.float32]] = []
    maps: list[list[Tensor]] = [[] for _ in layers]
    with classifier.frozen(), torch.no_grad():
        for start in range(0, len(views), _BATCH):
            x = classifier.to_tensor(views[start : start + _BATCH])
            with kept_maps(classifier.module, layers) as found:
                logits.append(classifier.logits(x).cpu().numpy())
            for number, own in enumerate(maps):
                own.append(reduced(found[number], cells).half().cpu())
    return np.concatenate(logits), [torch.cat(own) for own in maps]


def gather_examples(
    runs: Sequence[Run],
    classifier: Classifier,
    negatives: ImageSources,
    images: ImageSources | None,
    settings: SpecializeSettings,
    *,
    random_state: int = 0,
    progress: Progress | None = None,
) -> Examples:
    """Read all training images, and find the summaries' regions in them.

    Parameters and errors are those of :func:`~visual_summaries.specialization.specialize`.
    """
    classes = classes_of(runs, classifier)
    reader = _Reader(classifier, find_layers(classifier, settings.depths), settings.cells)
    parts = reader.add_runs(runs)
    more = more_images(images, classes, classifier)
    for owner, run in enumerate(runs):
        fresh = reader.add_sources(more.get(owner, ()), owner, progress, "further images")
        if fresh and settings.apply:
            content = [source.content for source in fresh.values()]
            matches = best_matches(run, content, classifier, random_state=random_state, progress=progress)
            parts = with_matches(parts, owner, list(fresh), matches)
    reader.add_sources(_others(negatives, classes, classifier, reader.skipped), OTHER, progress, "negatives")
    if OTHER not in reader.labels:
        raise NoImagesError(
            "none of the negatives can be used: give a folder of images that show other classes than those of the runs"
        )
    return reader.examples(classes, parts)


def examples_of_runs(runs: Sequence[Run], classifier: Classifier, settings: SpecializeSettings) -> Examples:
    """Read the images of runs and the summaries' regions in them; errors are those of :func:`gather_examples`."""
    classes = classes_of(runs, classifier, summaries=False)
    reader = _Reader(classifier, find_layers(classifier, settings.depths), settings.cells)
    return reader.examples(classes, reader.add_runs(runs))


def classes_of(runs: Sequence[Run], classifier: Classifier, *, summaries: bool = True) -> list[int]:
    """Return the class of each run; each has summaries, unless these are not needed.

    Raises
    ------
    RunError, ClassifierError
        As :func:`~visual_summaries.specialization.specialize` does.
    """
    if not runs:
        raise RunError("no run was given; give one run for each class that is to be specialized")
    classes: list[int] = []
    for run in runs:
        target = require_same_network(run, classifier)
        if summaries and not run.summaries:
            raise RunError(f"the run of {target.name!r} has no summary, so there are no parts to detect; leave it out")
        index = cast("int", target.index)  # a class: of a function the call above raises
        if index in classes:
            raise RunError(f"two of the runs explain {target.name!r}; give one run for each class")
        if run.images[0].view.shape[:2] != classifier.input_size[1:]:
            raise ClassifierError(
                f"the run of {target.name!r} saw images of {run.images[0].view.shape[:2]} (H, W), this classifier takes "
                f"{classifier.input_size[1:]}: load it with the run's input_size"
            )
        classes.append(index)
    return classes


def _relative(boxes: Sequence[Box], size: tuple[int, ...]) -> Boxes:
    """Return boxes of an image of `size` (H, W) over its width and height."""
    height, width = size
    return (np.array(boxes, np.float32) / np.array([width, height, width, height], np.float32)).astype(np.float32)


def best_matches(
    run: Run,
    images: ImageSources,
    classifier: Classifier,
    *,
    random_state: int = 0,
    progress: Progress | None = None,
) -> list[dict[int, Boxes]]:
    """Return for each further image the surest box (1, 4) of each of the run's summaries in it, by :meth:`Run.apply`."""
    found = apply_run(run, images, classifier, random_state=random_state, progress=progress)
    return [
        {one.summary: _relative(one.boxes[:1], image.image.view.shape[:2]) for one in image.present} for image in found.images
    ]


def with_matches(
    parts: Sequence[PartExamples], owner: int, places: Sequence[int], matches: Sequence[dict[int, Boxes]]
) -> list[PartExamples]:
    """Return the parts with matches of a class's summaries in the images at some positions added."""
    result = []
    for part in parts:
        if part.owner == owner:
            more = {place: own[part.summary] for place, own in zip(places, matches, strict=True) if part.summary in own}
            part = replace(part, boxes={**part.boxes, **more}, applied=part.applied + len(more))
        result.append(part)
    return result


def more_images(
    images: ImageSources | None, classes: Sequence[int], classifier: Classifier
) -> Mapping[int, tuple[ImageSource, ...]]:
    """Return further images of each class, by its position: of a folder of class folders, or of the only class."""
    if images is None:
        return {}
    if isinstance(images, str | Path) and Path(images).is_dir() and (folders := class_folders(images)):
        found: dict[int, tuple[ImageSource, ...]] = {}
        for folder in folders:
            if (index := _meant(folder.name, classifier)) in classes:
                owner = classes.index(index)
                found[owner] = found.get(owner, ()) + gather_images(folder)
        if not found:
            names = ", ".join(repr(classifier.class_names[index]) for index in classes)
            raise NoImagesError(
                f"none of the {len(folders)} folders in {images} is named after a specialized class ({names}); "
                "name them by the classes' names or indices"
            )
        return found
    if len(classes) > 1:
        raise NoImagesError(
            "with several runs, further images must be a folder of class folders, so that it is clear what is what"
        )
    return {0: gather_images(images)}


def _others(
    negatives: ImageSources, classes: Sequence[int], classifier: Classifier, skipped: list[tuple[str, str]]
) -> Iterator[ImageSource]:
    """Give the images of other classes; those in a folder named after a specialized class are set aside."""
    meant = cache(lambda folder: _meant(folder, classifier))  # looking a name up among all classes takes its time
    for source in gather_images(negatives):
        folders = source.name.split("/")[:-1]
        if isinstance(negatives, str | Path):
            folders.append(Path(negatives).resolve().name)
        own = [index for index in map(meant, folders) if index is not None and index in classes]
        if own:
            skipped.append((source.name, f"in a folder named after {classifier.class_names[own[0]]}, which is specialized"))
        else:
            yield source


def _meant(folder: str, classifier: Classifier) -> int | None:
    """Return the class that a folder is named after, None for any other name."""
    try:
        return target_of_folder(folder, classifier)
    except TargetError:
        try:
            return find_class(classifier.class_names, folder, classifier.synonyms)
        except TargetError:
            return None


@dataclass
class _Reader:
    """Training images one after the other; each is kept as logits and reduced maps, its pixels are not."""

    classifier: Classifier
    layers: tuple[Layer, ...]
    cells: int
    known: dict[str, int] = field(default_factory=dict)
    labels: list[int] = field(default_factory=list)
    logits: list[NDArray[np.float32]] = field(default_factory=list)
    maps: list[list[Tensor]] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def add_views(self, views: Iterable[tuple[str, str, NDArray[np.uint8]]], label: int) -> None:
        """Add views with their names and hashes, those not known yet."""
        waiting = iter(views)
        while batch := list(islice(waiting, _BATCH)):
            fresh: dict[str, NDArray[np.uint8]] = {}
            for name, sha256, view in batch:
                if sha256 not in self.known:
                    fresh.setdefault(sha256, view)
                elif self.labels[self.known[sha256]] != label:  # an image with two labels must not be learned from twice
                    self.skipped.append((name, "already there as an image of another class"))
            if fresh:
                logits, maps = read_maps(self.classifier, list(fresh.values()), self.layers, self.cells)
                self.logits.append(logits)
                self.maps.append(maps)
                self.labels += [label] * len(fresh)
                self.known |= {sha256: len(self.known) + number for number, sha256 in enumerate(fresh)}

    def add_runs(self, runs: Sequence[Run]) -> list[PartExamples]:
        """Add the images of runs, each of the class at its position, and return their summaries' regions."""
        parts = []
        for owner, run in enumerate(runs):
            self.add_views(((one.name, one.sha256, one.view) for one in run.images), owner)
            for summary in run.summaries:
                boxes: dict[int, list[Box]] = {}
                for index in summary.cluster:
                    region = run.regions[index]
                    boxes.setdefault(self.known[run.images[region.image].sha256], []).append(region.box)
                size = run.images[0].view.shape[:2]
                own = {image: _relative(found, size) for image, found in boxes.items()}
                parts.append(PartExamples(owner, summary.index, summary.label, own))
        return parts

    def examples(self, classes: Sequence[int], parts: Sequence[PartExamples]) -> Examples:
        """Return what was added."""
        return Examples(
            sha256=tuple(self.known),
            labels=np.array(self.labels, np.intp),
            logits=np.concatenate(self.logits),
            maps=tuple(torch.cat(own) for own in zip(*self.maps, strict=True)),
            layers=self.layers,
            classes=tuple(classes),
            parts=tuple(parts),
            skipped=tuple(self.skipped),
        )

    def add_sources(
        self, sources: Iterable[ImageSource], label: int, progress: Progress | None, stage: str
    ) -> dict[int, ImageSource]:
        """Add images that can be read and are not known yet; return where they came from, by their positions."""
        waiting = list(sources)
        added = {}
        for done, source in enumerate(waiting, 1):
            position = len(self.known)
            try:
                view = self.classifier.view(source.load())
                self.add_views([(source.name, source.sha256(), view)], label)
            except ImageError as error:
                self.skipped.append((source.name, str(error)))
                continue
            if len(self.known) > position:
                added[position] = source
            report_progress(progress, stage, done, len(waiting))
        return added
