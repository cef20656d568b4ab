"""A finished run applied to new images: which of its summaries are in them, where, and what they do there."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from visual_summaries._allocator import freed_memory_kept
from visual_summaries.classifiers import Classifier, Target, resolve_target
from visual_summaries.errors import ClassifierError, RunError
from visual_summaries.progress import Progress, shown
from visual_summaries.results import Application, Explained, Found, Image, Presence, Region, Run, Summary
from visual_summaries.runs.analyzing import measure_each
from visual_summaries.runs.finding_boxes import BoxFinder
from visual_summaries.runs.finding_parts import PartFinder
from visual_summaries.runs.image_stages import Pixels, compute_masks
from visual_summaries.runs.reading import ImageSources, read_images
from visual_summaries.runs.stages import Context, Shared

logger = logging.getLogger("visual_summaries")

#: Images of the run that new ones are compared with, at most: time does not grow with the run.
REFERENCES = 16

#: Shares of a score are reported where it is at least this part of the median score of the run's images.
NEAR_ZERO = 0.05


class Finder(Protocol):
    """Finds the summaries of a run in new images."""

    @property
    def figures(self) -> tuple[tuple[float, ...], ...]:
        """Least confidence that counts, and how often own regions of the run and others reach it, of each summary."""

    def find(self, view: NDArray[np.uint8], evidence: NDArray[np.bool_]) -> list[Found]:
        """Return the summaries in an image (H, W, 3) with this evidence (H, W)."""


@freed_memory_kept()
def apply_run(
    run: Run,
    images: ImageSources,
    classifier: Classifier,
    *,
    references: int = REFERENCES,
    random_state: int = 0,
    progress: Progress | bool | None = None,
) -> Application:
    """Explain single predictions in the vocabulary of a class.

    Which summaries of a run are in new images, where, and how much the score of the run's class depends on each. The evidence
    for that class is optimized in each image, whatever class the network gives it: images of the class that it takes for
    another, and images of others that it takes for this one, are explained as well. This is so, too, where the run's own
    evidence was given.

    The evidence is divided among the run's parts; what is much further from its part than the run's evidence is in none.
    With the preset ``"paper"``, boxes on the evidence are compared by semantic flow with the run's regions in at most
    `references` of its images, those with the most members of summaries, and the least similarity is found on these
    images themselves, each left out in turn. ``Application.found`` and ``mistaken`` tell how well either way separates the
    run's own regions. What a summary does in an image is measured as in the run.

    Parameters
    ----------
    run : Run
        With at least one summary.
    images : str, Path, iterable or tensor
        As for :func:`visual_summaries.summarize`.
    classifier : Classifier
        The network that the run explained: its weights are compared with the run's.
    references : int
        Images of a run with the preset ``"paper"`` to compare with; time is proportional to it.
    random_state : int
    progress : callable or bool, optional
        Called as ``progress(stage, done, total)``. Unless given, a line for each stage in notebooks and terminals; False: none.

    Returns
    -------
    Application

    Raises
    ------
    ClassifierError
        If the classifier has other weights than the run's.
    RunError
        If the run has no summary, or its target is a function.
    NoImagesError
        If no image can be read.
    """
    progress = shown(progress)
    target = require_same_network(run, classifier)
    if not run.summaries:
        raise RunError("this run has no summary, so there is nothing to look for in other images")
    if run.info.evidence is not None:
        logger.warning("the run's evidence was given (%s); that of the new images is optimized", run.info.evidence.source)
    context = Context(Shared(classifier, target, run.settings, random_state), progress=progress)
    read = read_images(context, images, include_misclassified=True, fewest=1, distinct=False)
    masks = compute_masks(context, read.images)
    finder: Finder = (
        BoxFinder.of(run, classifier, references, random_state, progress)
        if run.parts is None
        else PartFinder(run, run.parts, classifier)
    )
    evidence = [mask.binary(run.settings.regions.threshold) for mask in masks]
    found = [finder.find(image.view, own) for image, own in zip(read.images, evidence, strict=True)]
    present = _measured(context, read.images, evidence, found, len(run.summaries))
    least, found_own, mistaken = finder.figures
    enough = NEAR_ZERO * float(np.median([image.score for image in run.images]))
    explained = tuple(
        Explained(
            image,
            classifier.class_names[image.predicted],
            mask,
            tuple(sorted(own, key=lambda one: -one.importance)),
            near_zero=bool(image.score < enough),
        )
        for image, mask, own in zip(read.images, masks, present, strict=True)
    )
    skipped = tuple((item.name, item.detail) for item in read.skipped)
    return Application(explained, target.name, least, found_own, mistaken, skipped)


def require_same_network(run: Run, classifier: Classifier) -> Target:
    """Return the class that a run explained, or raise if the classifier is not the one that it explained."""
    index = run.info.target.index
    if index is None:
        raise RunError(
            "this run explains a function of the outputs, which is not kept with it; only runs of a class can be used again"
        )
    made, given = run.info.classifier.weights_sha256, classifier.weights_sha256
    if made != given:
        raise ClassifierError(
            f"{classifier.spec} has other weights (SHA-256 {given[:12]}...) than the network of this run "
            f"({run.info.classifier.spec}, {made[:12]}...): give the one that was explained"
        )
    score = run.info.classifier.score or classifier.score
    if score != classifier.score:
        raise ClassifierError(
            f"the run explains scores by {score}, but {classifier.spec} gives them by {classifier.score}: load it with "
            f"score={score!r} (--score {score})"
        )
    return resolve_target(classifier, int(index))


def _measured(
    context: Context, images: Sequence[Image], evidence: Sequence[Pixels], found: Sequence[Sequence[Found]], summaries: int
) -> list[list[Presence]]:
    """Measure what each summary that was found in an image does there, by the stage of a run."""
    unknown = float("nan")
    regions: list[Region] = []
    clusters: list[list[int]] = [[] for _ in range(summaries)]
    for image, own in zip(images, found, strict=True):
        for one in own:
            clusters[one.summary].append(len(regions))
            height, width = one.pixels.shape
            regions.append(Region(len(regions), image.index, (0, 0, width, height), one.pixels, 1.0, unknown, unknown, unknown))
    sought = [Summary(k, 0, (), tuple(cluster), unknown, unknown) for k, cluster in enumerate(clusters)]
    effects = {
        (summary, int(image)): {"importance": float(share), "control": float(control)}
        for summary, analysis in enumerate(measure_each(context, images, evidence, regions, sought))
        for image, share, control in zip(analysis.images, analysis.shares, analysis.share_controls, strict=True)
    }
    return [
        [Presence(**vars(one) | effects[one.summary, image.index]) for one in own]
        for image, own in zip(images, found, strict=True)
    ]
