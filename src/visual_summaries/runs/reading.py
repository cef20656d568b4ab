"""Reading the images of a run: which are usable, and what has changed since it was last begun."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from visual_summaries.classifiers import Target, classify
from visual_summaries.errors import ImageError, NoImagesError, TargetError
from visual_summaries.files.journal import Journal
from visual_summaries.images import ImageSource, gather_images
from visual_summaries.images.copies import near_copies
from visual_summaries.images.datasets import label_names
from visual_summaries.progress import report_progress
from visual_summaries.results import Image, Skipped
from visual_summaries.runs.given import GivenMaps
from visual_summaries.runs.labels import label_check
from visual_summaries.runs.pieces import Content
from visual_summaries.runs.stages import Context, Shared, Stage

logger = logging.getLogger("visual_summaries")


def former_images(journal: Journal) -> dict[str, str]:
    """Return name and hash of the images that the run had when it was last begun; none if this is the first time."""
    found = [entry.get("images") for entry in journal.entries() if entry.get("event") == "images"]
    return next((images for images in reversed(found) if isinstance(images, dict)), {})


def changes(former: dict[str, str], images: Sequence[Image]) -> dict[str, list[str]]:
    """Return which images are ``gone``, ``changed`` and ``added`` since the run was last begun, by name.

    Examples
    --------
    >>> import numpy as np
    >>> view = np.zeros((2, 2, 3), np.uint8)
    >>> now = [Image(0, "a", "1", view, 0.5, 0), Image(1, "b", "3", view, 0.5, 0), Image(2, "d", "4", view, 0.5, 0)]
    >>> changes({"a": "1", "b": "2", "c": "5"}, now)
    {'gone': ['c'], 'changed': ['b'], 'added': ['d']}
    """
    now = {image.name: image.sha256 for image in images}
    return {
        "gone": [name for name in former if name not in now],
        "changed": [name for name, sha256 in now.items() if name in former and former[name] != sha256],
        "added": [name for name in now if former and name not in former],
    }


def note_images(journal: Journal, former: dict[str, str], images: Sequence[Image]) -> dict[str, list[str]]:
    """Write the images of the run into the journal, and tell what is not as it was when the run was last begun."""
    found = changes(former, images)
    journal.write("images", images={image.name: image.sha256 for image in images})
    for kind, names in found.items():
        if names:
            done = "the run continues without" if kind == "gone" else "computed again"
            logger.warning("%s since this run was begun; %s", changes_in_words(kind, names), done)
    return found


def changes_in_words(kind: str, names: Sequence[str]) -> str:
    """Return how many images are gone, changed or added, with the first names.

    Examples
    --------
    >>> changes_in_words("gone", ["a.jpg", "b.jpg"])
    '2 images gone (a.jpg, b.jpg)'
    """
    listed = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return f"{len(names)} image{'s' if len(names) > 1 else ''} {kind} ({listed})"


#: Fewer images than this cannot show that anything is used again and again.
MIN_IMAGES = 3

#: Most misclassified images that are kept, to see what is wrong with them.
MOST_MISSED = 12

ImageSources = str | Path | Iterable[Any] | NDArray[Any] | Tensor | Any


@dataclass(frozen=True)
class ImageSet:
    """What reading gave."""

    images: tuple[Image, ...]  # to be explained, in the order of the source
    skipped: tuple[Skipped, ...]
    correct: int  # of the images that were looked at, how many the network gives the class
    total: int
    changes: dict[str, list[str]]  # names of those that are gone, changed and added since the run was last begun
    missed: tuple[Image, ...] = ()  # the first that the network gives another class, among `images` or not
    sample_of: int | None = None  # of how many a random sample was looked at; None: of all


def read_images(
    context: Context,
    source: ImageSources,
    *,
    max_images: int | None = None,
    include_misclassified: bool = False,
    batch_size: int = 32,
    fewest: int = MIN_IMAGES,
    distinct: bool = True,
    given: GivenMaps | None = None,
) -> ImageSet:
    """Read images (:func:`visual_summaries.images.gather_images`) until `max_images` usable ones are found.

    Where there may be more, they are looked at in a random order (:func:`in_random_order`), and come in that of the source.
    Where `distinct`, copies of an image are set aside, and what a dataset labels as another class; near copies are always
    marked. Where evidence is `given`, images without a map of use are set aside.

    Raises
    ------
    NoImagesError
        If fewer than `fewest` images are usable.
    TargetError
        If images were read but the network gives none of them the class.
    """
    classifier, target, progress = context.classifier, context.target, context.progress
    sources = gather_images(source)
    if given is not None:
        given.match([item.name for item in sources])
    sampled = max_images is not None and max_images < len(sources)
    waiting = iter(in_random_order(sources, context.random_state) if sampled else sources)
    expected = len(sources) if max_images is None else min(max_images, len(sources))
    images: list[Image] = []
    missed: list[Image] = []
    skipped: list[Skipped] = []
    others: Counter[str] = Counter()
    differs = label_check(label_names(source) if distinct else (), classifier, target)
    names: dict[str, str] = {}  # of what the network has seen, by the hash of its pixels
    correct = total = 0
    while (max_images is None or len(images) < max_images) and (batch := list(islice(waiting, batch_size))):
        readable: list[tuple[str, str, tuple[int, int], NDArray[np.uint8]]] = []
        for item in batch:
            try:
                if distinct and (other := differs(item.label)):
                    skipped.append(Skipped(item.name, "other-label", other))
                    continue
                loaded = item.load()
                view = classifier.view(loaded)
                if given is not None:
                    given.read(item.name, view, (loaded.height, loaded.width))
            except ImageError as error:
                skipped.append(Skipped(item.name, error.reason, str(error)))
                continue
            digest = view_sha256(view)
            if distinct and digest in names:
                skipped.append(Skipped(item.name, "copy", f"the same pixels as {names[digest]}"))
                continue
            names[digest] = item.name
            readable.append((item.name, item.sha256(), (loaded.height, loaded.width), view))
        if not readable:
            continue
        found = answers(context, [view for *_, view in readable])
        for (name, sha256, size, view), (score, predicted, hit) in zip(readable, found, strict=True):
            if max_images is not None and len(images) == max_images:
                break
            total += 1
            correct += hit
            image = Image(len(images), name, sha256, view, score, predicted, size)
            if not hit:
                missed += [image][: MOST_MISSED - len(missed)]
                said = classifier.class_names[predicted]
                others[said] += 1
                if not include_misclassified:
                    detail = f"the network says {said}; its score for {target.name} is {score:.3f}"
                    skipped.append(Skipped(name, "misclassified", detail))
                    continue
            images.append(image)
            report_progress(progress, "images", len(images), expected)
    report_progress(progress, "images", len(images), len(images))
    if sampled:
        place = {item.name: position for position, item in enumerate(sources)}
        images = [replace(image, index=k) for k, image in enumerate(sorted(images, key=lambda one: place[one.name]))]
        seen = total + len(skipped) - sum(item.reason == "misclassified" for item in skipped)
        logger.info("%d images explained: a random sample, %d of %d looked at", len(images), seen, len(sources))
    origins = near_copies(image.view for image in images)
    pairs = zip(images, origins, strict=True)
    images = [image if image.index == origin else replace(image, near=origin) for image, origin in pairs]
    if near := [f"{image.name} ({images[image.near].name})" for image in images if image.near is not None]:
        logger.warning("near copies of others: %s; they are resampled together", ", ".join(near))
    journal = context.pieces.journal
    former = former_images(journal)
    result = ImageSet(
        tuple(images), tuple(skipped), correct, total, changes(former, images), tuple(missed), len(sources) if sampled else None
    )
    _require_enough(result, fewest, target, others)
    note_images(journal, former, images)
    logger.info("%s: %d of %d images are classified as %s", classifier.spec or "the network", correct, total, target.name)
    if skipped:
        logger.info("set aside: %s", in_words(skipped))
    return result


def in_random_order(sources: Sequence[ImageSource], random_state: int) -> list[ImageSource]:
    """Return sources in an order that depends on the seed and on their names alone: one more image changes little of a sample.

    Examples
    --------
    >>> sources = [ImageSource(f"{k}.jpg", f"{k}.jpg") for k in range(6)]
    >>> [one.name for one in in_random_order(sources, 0)][:3]
    ['2.jpg', '3.jpg', '1.jpg']
    >>> [one.name for one in in_random_order(sources[1:], 0)][:3]
    ['2.jpg', '3.jpg', '1.jpg']
    """

    def drawn(one: ImageSource) -> bytes:
        return hashlib.sha256(f"{random_state}:{one.name}".encode("utf-8", "surrogateescape")).digest()

    return sorted(sources, key=drawn)


def _classify(shared: Shared, views: Sequence[NDArray[np.uint8]]) -> Iterable[Content]:
    found = classify(shared.classifier, views, shared.target, batch_size=len(views))
    for score, predicted, hit in zip(found.scores, found.predicted, found.hits, strict=True):
        yield {"score": float(score), "predicted": int(predicted), "hit": bool(hit)}


#: What the network answers to the whole images; a batch is a piece, in which each image has its record.
ANSWERS = Stage("answers", 1, _classify, together=True, progress="")


def answers(context: Context, views: Sequence[NDArray[np.uint8]]) -> Iterator[tuple[float, int, bool]]:
    """Yield score, predicted class and whether that is the target, of a batch of views."""
    stage = replace(ANSWERS, group=len(views))
    for record in context.map(stage, (view_sha256(view) for view in views), views.__getitem__):
        yield record["score"], record["predicted"], record["hit"]


def in_words(skipped: Iterable[Skipped]) -> str:
    """Return skipped images as counts by reason.

    Examples
    --------
    >>> in_words([Skipped("a", "truncated", ""), Skipped("b", "misclassified", ""), Skipped("c", "truncated", "")])
    '2 truncated, 1 misclassified'
    """
    counts = Counter(item.reason for item in skipped)
    return ", ".join(f"{count} {reason}" for reason, count in counts.most_common())


_LABELS = "; where several labels may hold together, load the network with --score sigmoid (score='sigmoid')"


def _require_enough(result: ImageSet, fewest: int, target: Target, others: Counter[str]) -> None:
    if len(result.images) >= fewest:
        return
    if result.total and not result.correct and not result.images:
        said = ", ".join(f"{name} ({count})" for name, count in others.most_common(3))
        raise TargetError(
            f"none of the {result.total} images is classified as {target.name}; the network says {said}. Check the target and "
            "the preprocessing, or explain the images all the same with --include-misclassified (include_misclassified=True)"
            f"{_LABELS if target.kind == 'probability' else ''}"
        )
    reasons = f"; set aside: {in_words(result.skipped)}" if result.skipped else ""
    example = next((f" (for example {item.name}: {item.detail})" for item in result.skipped), "")
    gone = result.changes["gone"]
    before = f". Since the run was begun: {changes_in_words('gone', gone)}" if gone else ""
    if fewest == 1:
        raise NoImagesError(
            f"none of the {len(result.skipped)} files can be read as an image{example}; "
            "give a folder of images, or paths to them"
        )
    raise NoImagesError(
        f"{len(result.images)} usable images, but at least {fewest} are needed to find what they share{reasons}{example}; "
        f"add images of the class{before}"
    )


def view_sha256(view: NDArray[np.uint8]) -> str:
    """Return a hash of the pixels that the network sees."""
    return hashlib.sha256(repr(view.shape).encode() + view.tobytes()).hexdigest()
