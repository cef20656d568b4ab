"""What a tagger is given (crops: regions cut out, with and without their mask) and gives, and a classifier as a tagger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Protocol, runtime_checkable

import cv2
import numpy as np
import PIL.Image
import torch
from numpy.typing import NDArray

from visual_summaries._validate import require_choice
from visual_summaries.classifiers import Classifier
from visual_summaries.progress import Progress, report_progress
from visual_summaries.results import Box, Image, Region, Result, Run

#: What of a region a tagger sees: its whole box, or its evidence alone.
INPUTS = ("box", "masked")

#: What stands for pixels that are not shown: the mean color of photographs.
FILL = (124, 116, 104)


@dataclass(frozen=True, eq=False, repr=False)
class Crop(Result):
    """A piece of an image.

    Attributes
    ----------
    pixels : ndarray of uint8, (h, w, 3)
        What the box shows; where a mask is given, all but the evidence is :data:`FILL`.
    image : Image
        Where it comes from.
    box : tuple of int
        ``(x0, y0, x1, y1)`` in view pixels, half open.
    mask : ndarray of bool, (h, w), or None
        Evidence pixels of the box, the only ones shown; None: all are.

    Examples
    --------
    >>> crop = Crop(np.zeros((4, 6, 3), np.uint8), None, (2, 0, 8, 4), None)
    >>> crop.seen.shape, int(crop.seen.sum())
    ((4, 6), 24)
    """

    pixels: NDArray[np.uint8]
    image: Image
    box: Box
    mask: NDArray[np.bool_] | None

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Which pixels of the box are shown, ``(h, w)``; all of them where the mask is empty."""
        if self.mask is None or not self.mask.any():
            return np.ones(self.pixels.shape[:2], bool)
        return self.mask


def crop_regions(run: Run, regions: Iterable[Region], shown: str) -> Iterator[Crop]:
    """Yield the crops of regions of a run: ``"box"`` shows the whole box, ``"masked"`` its evidence, all else in one color."""
    require_choice("input", shown, INPUTS)
    for region in regions:
        image = run.images[region.image]
        x0, y0, x1, y1 = region.box
        crop = Crop(image.view[y0:y1, x0:x1], image, region.box, None)
        if shown == "masked":
            masked = replace(crop, mask=region.mask)
            crop = replace(masked, pixels=np.where(masked.seen[..., None], crop.pixels, np.array(FILL, np.uint8)))
        yield crop


def whole_images(images: Sequence[Image]) -> Iterator[Crop]:
    """Yield each image's view whole."""
    for image in images:
        height, width = image.view.shape[:2]
        yield Crop(image.view, image, (0, 0, width, height), None)


def square(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a crop padded to a square, so that a network that cuts the center out loses none of it.

    Examples
    --------
    >>> padded = square(np.zeros((2, 4, 3), np.uint8))
    >>> padded.shape, padded[0, 0].tolist(), padded[1, 0].tolist()
    ((4, 4, 3), [124, 116, 104], [0, 0, 0])
    """
    height, width = pixels.shape[:2]
    down, across = max(width - height, 0), max(height - width, 0)
    sides = (down // 2, down - down // 2, across // 2, across - across // 2)
    padded: NDArray[np.uint8] = cv2.copyMakeBorder(pixels, *sides, cv2.BORDER_CONSTANT, value=FILL)
    return padded


@runtime_checkable
class Tagger(Protocol):
    """Crops in, weighted tags out.

    Attributes
    ----------
    vocabulary : tuple of str
        The K tags that it can give.
    top : int
        How many of a crop's heaviest tags count, unless the user says otherwise.
    """

    vocabulary: tuple[str, ...]
    top: int

    def weights(self, crops: Sequence[Crop]) -> NDArray[np.float32]:
        """Return the weight of each tag for each crop: ``(N, K)``, >= 0; a row of zeros where no tag fits."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return the tagger as a plain dictionary, for ``tags.json``."""
        ...


class ClassifierTagger:
    """A classifier's own classes as tags, weighted by their probability on the crop.

    The crop is padded to the shape of the network's input and nothing of it is cut off.

    Parameters
    ----------
    classifier : Classifier
    top : int

    Examples
    --------
    >>> from visual_summaries.classifiers import ViewTransform
    >>> net = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    >>> tagger = ClassifierTagger(Classifier(net, transform=ViewTransform((6, 8)), class_names=["red", "green", "blue"]))
    >>> crop = Crop(np.full((3, 5, 3), (255, 0, 0), np.uint8), None, (0, 0, 5, 3), None)
    >>> tagger.vocabulary[int(tagger.weights([crop]).argmax())]
    'red'
    """

    def __init__(self, classifier: Classifier, top: int = 5) -> None:
        self.classifier = classifier
        self.vocabulary = classifier.class_names
        self.top = top
        self._transform = classifier.transform.replace(crop_mode="border", crop_pct=1.0)

    def weights(self, crops: Sequence[Crop]) -> NDArray[np.float32]:
        """Return probabilities ``(N, K)``."""
        views = [self._transform.view(PIL.Image.fromarray(square(crop.pixels))) for crop in crops]
        with self.classifier.frozen(), torch.no_grad():
            return np.asarray(self.classifier.probabilities(self.classifier.to_tensor(views)).cpu().numpy(), np.float32)

    def describe(self) -> dict[str, Any]:
        """Return what the tagger is."""
        return {"kind": "classifier", "model": self.classifier.spec, "weights_sha256": self.classifier.weights_sha256}


def tag_crops(
    tagger: Tagger,
    crops: Iterable[Crop],
    count: int,
    *,
    top: int | None = None,
    batch_size: int = 32,
    stage: str = "tags",
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Return the weights (count, K) of the heaviest tags of `count` crops, a batch at a time.

    Rows sum to 1 over at most `top` tags (the tagger's own number unless given), others 0; a row of zeros where no tag fits.
    """
    weights = np.zeros((count, len(tagger.vocabulary)), np.float32)
    waiting, done = iter(crops), 0
    while batch := list(islice(waiting, batch_size)):
        weights[done : done + len(batch)] = heaviest(tagger.weights(batch), top or tagger.top)
        done += len(batch)
        report_progress(progress, stage, done, count)
    return weights


def heaviest(weights: NDArray[np.float32], top: int) -> NDArray[np.float32]:
    """Return each row's `top` largest positive weights, made to sum to 1; all others 0. Of equals, the first count.

    Examples
    --------
    >>> heaviest(np.array([[0.6, 0.2, 0.2], [0.0, 0.0, 0.0]], np.float32), 2).round(2).tolist()
    [[0.75, 0.25, 0.0], [0.0, 0.0, 0.0]]
    """
    kept = np.zeros_like(weights)
    order = np.argsort(-weights, axis=1, kind="stable")[:, :top]
    np.put_along_axis(kept, order, np.maximum(np.take_along_axis(weights, order, axis=1), 0), axis=1)
    total = kept.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(kept, total, out=kept, where=total > 0))
