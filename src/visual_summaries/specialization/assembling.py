"""What :func:`look_closer` is made of: features of looks, a network from its pieces, and a test on new images."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray

from visual_summaries.classifiers import Classifier
from visual_summaries.errors import ImageError, NoImagesError
from visual_summaries.images import ImageSource
from visual_summaries.progress import Progress, report_progress
from visual_summaries.results import Run
from visual_summaries.runs.reading import ImageSources
from visual_summaries.specialization.detectors import Boxes
from visual_summaries.specialization.examples import Examples, more_images
from visual_summaries.specialization.heads import Features, Head, standard
from visual_summaries.specialization.looking import LOOK, LookingNetwork, cut_out, pooled
from visual_summaries.specialization.looks import CellReader, train_shared
from visual_summaries.specialization.network import kept_maps
from visual_summaries.specialization.settings import SpecializeSettings

View = NDArray[np.uint8]

_BATCH = 16


def views_of(runs: Sequence[Run], examples: Examples) -> Iterator[View]:
    """Yield the views of runs' images in the order of their examples."""
    known = dict.fromkeys(examples.sha256)
    for run in runs:
        for image in run.images:
            if image.sha256 in known:  # of several copies the first is the example
                del known[image.sha256]
                yield image.view


def see(
    classifier: Classifier, examples: Examples, views: Iterator[View], places: Features, progress: Progress | None = None
) -> list[Features]:
    """Return the features (N, F) of the training images, whole and from near at each part (N, K, 2)."""
    found: list[list[Features]] = [[] for _ in range(places.shape[1] + 1)]

    def features(x: torch.Tensor) -> torch.Tensor:
        with kept_maps(classifier.module, examples.layers) as maps:
            classifier.logits(x)
        return pooled(maps)

    done = 0
    with classifier.frozen(), torch.no_grad():
        while batch := list(islice(views, _BATCH)):
            x = classifier.to_tensor(batch)
            found[0].append(features(x).cpu().numpy())
            for k in range(places.shape[1]):
                own = torch.from_numpy(places[done : done + len(batch), k : k + 1]).to(x.device)
                found[k + 1].append(features(cut_out(x, own, LOOK)).cpu().numpy())
            done += len(batch)
            report_progress(progress, "looks", done, len(examples))
    return [np.concatenate(own) for own in found]


def build(
    classifier: Classifier,
    examples: Examples,
    groups: Sequence[dict[int, Boxes]],
    cells: NDArray[np.float32],
    reader: CellReader,
    features: Sequence[Features],
    heads: Sequence[Head],
    weights: NDArray[np.float64],
) -> LookingNetwork:
    """Return the network, with the looks that have a weight; the given module is part of it and is not copied or changed."""
    training, used = np.arange(len(examples)), [0, *(np.flatnonzero(weights[1:]) + 1)]
    detectors = [train_shared(cells, groups[k - 1], training) for k in used[1:]]
    found = [reader.weights(detector) for detector in detectors if detector is not None]  # each has images
    channels = [one.shape[1] for one in examples.maps]
    of_all = np.array([own for own, _ in found], np.float32).reshape(len(found), sum(channels))
    of_layers = np.split(of_all, np.cumsum(channels)[:-1], axis=1)
    layers = [heads[k].layer(*standard(features[k])) for k in used]
    values = {
        "bias": torch.tensor([bias for _, bias in found], dtype=torch.float32),
        "heads": torch.stack([layer.weight.detach() for layer in layers]),
        "constants": torch.stack([layer.bias.detach() for layer in layers]),
        "weights": torch.from_numpy(weights[used]).float(),
    }
    scaled = zip(of_layers, reader.scales, strict=True)
    values |= {f"detectors_{k}": torch.from_numpy(own / scale).contiguous() for k, (own, scale) in enumerate(scaled)}
    return LookingNetwork(classifier.module, examples.layers, values, cells=SpecializeSettings().cells)


def rates_of_both(
    images: ImageSources,
    before: Classifier,
    after: Classifier,
    known: Collection[str],
    skipped: list[tuple[str, str]],
    progress: Progress | None,
) -> dict[int, tuple[int, int, int]]:
    """Return of each class how many images in its folder could be read, and how many each of two networks gets right.

    Files that cannot be read, and those whose SHA-256 is `known` (training images), are added to `skipped`.
    """
    found: dict[int, tuple[int, int, int]] = {}
    own = more_images(images, range(len(before.class_names)), before)
    total, done = sum(map(len, own.values())), 0
    for index, sources in own.items():
        count, first, second = 0, 0, 0
        waiting = _readable(sources, before, known, skipped)
        while batch := list(islice(waiting, _BATCH)):
            x = before.to_tensor(batch)
            with torch.no_grad():
                answers = [int((network.logits(x).argmax(dim=1) == index).sum()) for network in (before, after)]
            count, first, second = count + len(batch), first + answers[0], second + answers[1]
            report_progress(progress, "test", done + count, total)
        done += len(sources)
        found[index] = (count, first, second)
    if not any(count for count, _, _ in found.values()):
        raise NoImagesError(
            f"none of the {total} test images can be used: give a folder of class folders with images that are not the runs'"
        )
    return found


def _readable(
    sources: Sequence[ImageSource], classifier: Classifier, known: Collection[str], skipped: list[tuple[str, str]]
) -> Iterator[View]:
    for source in sources:
        try:
            if source.sha256() in known:
                skipped.append((source.name, "one of the training images, so that nothing can be tested on it"))
                continue
            view = classifier.view(source.load())
        except ImageError as error:
            skipped.append((source.name, str(error)))
        else:
            yield view
