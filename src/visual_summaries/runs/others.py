"""Reading images of other classes, which a run's class is compared with."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path, PurePosixPath

import numpy as np

from visual_summaries.errors import ImageError, NoImagesError
from visual_summaries.images import gather_images
from visual_summaries.images.copies import near_copies
from visual_summaries.images.datasets import label_names
from visual_summaries.images.gather import ImageSource
from visual_summaries.results import Image, Skipped
from visual_summaries.runs.labels import labeled_as_target
from visual_summaries.runs.reading import MIN_IMAGES, ImageSources, answers, in_words, view_sha256
from visual_summaries.runs.stages import Context

logger = logging.getLogger("visual_summaries")


def read_others(
    context: Context, source: ImageSources, images: Sequence[Image] = (), own: ImageSources = None
) -> tuple[tuple[Image, ...], tuple[Skipped, ...]]:
    """Read images of other classes, at most ``AnalysisSettings.others``: evenly of their folders, drawn by the seed.

    What lies in a folder that is named like the run's class, or has its label, is of that class and left out, as are the run's
    own `images` and copies.

    Parameters
    ----------
    context : Context
    source : folder, paths, arrays, tensor or dataset
        As for :func:`visual_summaries.images.gather_images`; folders of classes may lie below a folder.
    images : sequence of Image
        Those of the run.
    own : folder, optional
        What the run's images are read from: where it is a folder below `source`, all in it is left out.

    Returns
    -------
    others : tuple of Image
        With the score of the run's class, and the class that the network gives each.
    skipped : tuple of Skipped
        Those that were looked at and set aside; of folders that are named like the class only a line in the log tells.

    Raises
    ------
    NoImagesError
        If fewer than three can be used.
    """
    classifier, target = context.classifier, context.target
    of_target = labeled_as_target(label_names(source), classifier, target)
    named = cache(of_target)
    top = Path(source).name if isinstance(source, str | Path) else ""
    sources = gather_images(source)
    inside = _below(own, source)
    foreign = [
        item
        for item in sources
        if not (inside and item.name.startswith(inside)) and not any(named(part) for part in (top, *_folders(item)) if part)
    ]
    if left := len(sources) - len(foreign):
        logger.info("%d of the images of other classes lie in a folder named like %s: left out", left, target.name)
    seen = {view_sha256(image.view): image.name for image in images}
    skipped: list[Skipped] = []
    found: list[Image] = []
    for item in _evenly(foreign, context.random_state):
        if len(found) == context.settings.analyses.others:
            break
        try:
            if of_target(item.label):
                skipped.append(Skipped(item.name, "same-class", f"its label is that of {target.name}"))
                continue
            loaded = item.load()
            view, sha256 = classifier.view(loaded), item.sha256()
        except ImageError as error:
            skipped.append(Skipped(item.name, error.reason, str(error)))
            continue
        digest = view_sha256(view)
        if digest in seen:
            skipped.append(Skipped(item.name, "copy", f"the same pixels as {seen[digest]}"))
            continue
        seen[digest] = item.name
        found.append(Image(len(found), item.name, sha256, view, 0.0, 0, (loaded.height, loaded.width)))
    if len(found) < MIN_IMAGES:
        reasons = f"; set aside: {in_words(skipped)}" if skipped else ""
        example = next((f" (for example {item.name}: {item.detail})" for item in skipped), "")
        same = f"; {left} lie in a folder named like {target.name}" if left else ""
        raise NoImagesError(
            f"{len(found)} usable images of other classes, but at least {MIN_IMAGES} are needed{reasons}{example}{same}: give "
            f"a folder, or a dataset, of images that show no {target.name}"
        )
    if skipped:
        logger.info("images of other classes set aside: %s", in_words(skipped))
    said = answers(context, [image.view for image in found])
    return (
        tuple(
            replace(image, score=score, predicted=predicted, near=None if origin == image.index else origin)
            for image, (score, predicted, _), origin in zip(found, said, near_copies(one.view for one in found), strict=True)
        ),
        tuple(skipped),
    )


def _below(own: ImageSources, source: ImageSources) -> str:
    """Return the path of one folder below another, with a slash at its end; empty where it is not below it."""
    if not isinstance(own, str | Path) or not isinstance(source, str | Path):
        return ""
    inner, outer = Path(own).resolve(), Path(source).resolve()
    return f"{inner.relative_to(outer).as_posix()}/" if outer in inner.parents else ""


def _folders(item: ImageSource) -> tuple[str, ...]:
    return PurePosixPath(item.name).parent.parts


def _evenly(sources: Sequence[ImageSource], random_state: int) -> Iterator[ImageSource]:
    """Yield all images in a random order, one of each folder in turn."""
    rng = np.random.default_rng(random_state)
    folders: dict[tuple[str, ...], list[ImageSource]] = {}
    for place in rng.permutation(len(sources)).tolist():
        folders.setdefault(_folders(sources[place]), []).append(sources[place])
    for turn in range(max(map(len, folders.values()), default=0)):
        yield from (own[turn] for own in folders.values() if turn < len(own))
