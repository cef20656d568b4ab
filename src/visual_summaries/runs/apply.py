"""A finished run applied to new images: which of its summaries are in them, where, and what they do there."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from visual_summaries._allocator import freed_memory_kept
from visual_summaries.analyses.importance import image_effects
from visual_summaries.classifiers import Classifier, Target, classify, resolve_target
from visual_summaries.errors import ClassifierError, ImageError, NoImagesError, RunError
from visual_summaries.images import gather_images
from visual_summaries.masks import iter_masks
from visual_summaries.progress import Progress, report_progress
from visual_summaries.results import Application, Explained, Found, Image, Mask, Presence, Run
from visual_summaries.runs.finding_boxes import BoxFinder
from visual_summaries.runs.finding_parts import PartFinder
from visual_summaries.runs.reading import ImageSources

#: Images of the run that new ones are compared with, at most: time does not grow with the run.
REFERENCES = 16


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
    progress: Progress | None = None,
) -> Application:
    """Explain single predictions in the vocabulary of a class.

    Which summaries of a run are in new images, where, and how much the score of the run's class depends on each. The evidence
    for that class is optimized in each image, whatever class the network gives it: images of the class that it takes for
    another, and images of others that it takes for this one, are explained as well.

    The evidence is divided among the run's parts; what is much further from its part than the run's evidence is in none.
    With the preset ``"paper"``, boxes on the evidence are compared by semantic flow with the run's regions in at most
    `references` of its images, those with the most members of summaries, and how alike is alike enough is found on these images
    themselves, each left out in turn. ``Application.found`` and ``mistaken`` tell how well either way tells the run's own
    regions apart. What a summary does in an image is measured as in the run.

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
    progress : callable, optional
        Told of the stages ``"references"`` and ``"apply"``.

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
    target = require_same_network(run, classifier)
    if not run.summaries:
        raise RunError("this run has no summary, so there is nothing to look for in other images")
    read, skipped = _read(classifier, images, target)
    finder: Finder = (
        BoxFinder.of(run, classifier, references, random_state, progress)
        if run.parts is None
        else PartFinder(run, run.parts, classifier)
    )
    explained = []
    found = iter_masks(classifier, (image.view for image in read), target, run.settings.masks, random_state=random_state)
    masks = dict(found)
    for position, image in enumerate(read):
        explained.append(_explain(run, classifier, target, image, masks[position], finder, random_state))
        report_progress(progress, "apply", position + 1, len(read))
    least, found_own, mistaken = finder.figures
    return Application(tuple(explained), target.name, least, found_own, mistaken, tuple(skipped))


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
    return resolve_target(classifier, int(index))


def _read(classifier: Classifier, source: ImageSources, target: Target) -> tuple[list[Image], list[tuple[str, str]]]:
    readable, skipped = [], []
    for item in gather_images(source):
        try:
            readable.append((item.name, item.sha256(), classifier.view(item.load())))
        except ImageError as error:
            skipped.append((item.name, str(error)))
    if not readable:
        raise NoImagesError(
            f"none of the {len(skipped)} files can be read as an image; give a folder of images, or paths to them"
        )
    answers = classify(classifier, [view for _, _, view in readable], target)
    images = [
        Image(position, name, sha256, view, float(score), int(predicted))
        for position, ((name, sha256, view), score, predicted) in enumerate(
            zip(readable, answers.scores, answers.predicted, strict=True)
        )
    ]
    return images, skipped


def _explain(
    run: Run, classifier: Classifier, target: Target, image: Image, mask: Mask, finder: Finder, random_state: int
) -> Explained:
    evidence = mask.binary(run.settings.regions.threshold)
    found = finder.find(image.view, evidence)
    present: list[Presence] = []
    if found:
        settings, pixels = run.settings, [one.pixels for one in found]
        with classifier.frozen():
            effects = image_effects(
                classifier, target, image, evidence, pixels, settings.masks, settings.analyses, random_state=random_state
            )
        for one, effect in zip(found, effects, strict=True):
            measured = (effect.share, effect.share_control)
            present.append(Presence(one.summary, one.boxes, one.pixels, one.confidence, *measured))
    name = classifier.class_names[image.predicted]
    return Explained(image, name, mask, tuple(sorted(present, key=lambda one: -one.importance)))
