"""A finished run applied to new images: which of its summaries are in them, where, and what they do there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visual_summaries.analyses.importance import divide_pixels, image_effects
from visual_summaries.analyses.matching import Matcher, fit_matcher
from visual_summaries.analyses.quality import cluster_labels
from visual_summaries.classifiers import Classifier, Target, classify, resolve_target
from visual_summaries.errors import ClassifierError, ImageError, NoImagesError, RunError
from visual_summaries.flow import Features
from visual_summaries.flow.pairs import compare_block
from visual_summaries.images import gather_images
from visual_summaries.masks import iter_masks
from visual_summaries.pipeline.reading import ImageSources
from visual_summaries.pipeline.stages import describe_view
from visual_summaries.progress import Progress, report_progress
from visual_summaries.regions import propose_boxes, prune, salient_boxes
from visual_summaries.results import Application, Box, Explained, Image, Mask, Presence, Run
from visual_summaries.settings import Settings

#: Images of the run that new ones are compared with, at most: time does not grow with the run.
REFERENCES = 16
_SMALLEST = 3  # sides of boxes that can be compared, in pixels


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
    for that class is optimised in each image, whatever class the network gives it: images of the class that it takes for
    another, and images of others that it takes for this one, are explained as well.

    Boxes on the evidence are compared by semantic flow with the run's regions in at most `references` of its images, those with
    the most members of summaries. How alike is alike enough is found on these images themselves, each left out in turn
    (``Application.least``, and how well it tells regions apart: ``found``, ``mistaken``). What a summary does in an image is
    measured as in the run.

    Parameters
    ----------
    run : Run
        With at least one summary.
    images : str, Path, iterable or tensor
        As for :func:`visual_summaries.summarize`.
    classifier : Classifier
        The network that the run explained: its weights are compared with the run's.
    references : int
        Images of the run to compare with; time is proportional to it.
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
    known = _References.of(run, classifier, references, random_state, progress)
    explained = []
    found = iter_masks(classifier, (image.view for image in read), target, run.settings.masks, random_state=random_state)
    masks = dict(found)
    for position, image in enumerate(read):
        explained.append(_explain(run, classifier, target, image, masks[position], known, random_state))
        report_progress(progress, "apply", position + 1, len(read))
    matcher = known.matcher
    return Application(
        images=tuple(explained),
        target=target.name,
        least=tuple(matcher.least.tolist()),
        found=tuple(matcher.found.tolist()),
        mistaken=tuple(matcher.mistaken.tolist()),
        skipped=tuple(skipped),
    )


def require_same_network(run: Run, classifier: Classifier) -> Target:
    """Return the class that a run explained, or raise if the classifier is not the one that it explained."""
    index = run.manifest["target"]["index"]
    if index is None:
        raise RunError(
            "this run explains a function of the outputs, which is not kept with it; only runs of a class can be used again"
        )
    made, given = run.manifest["classifier"]["weights_sha256"], classifier.weights_sha256
    if made != given:
        raise ClassifierError(
            f"{classifier.spec} has other weights (SHA-256 {given[:12]}...) than the network of this run "
            f"({run.manifest['classifier']['spec']}, {made[:12]}...): give the one that was explained"
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


@dataclass(frozen=True)
class _References:
    """Images of the run to compare with: their boxes described, and which of these are regions of the run."""

    features: dict[int, Features]
    regions: dict[int, NDArray[np.intp]]
    matcher: Matcher

    @classmethod
    def of(cls, run: Run, classifier: Classifier, most: int, random_state: int, progress: Progress | None) -> _References:
        labels = cluster_labels(run.summaries, len(run.regions))
        members = [region.image for region in run.regions if labels[region.index] >= 0]
        counts = np.bincount(members, minlength=len(run.images))
        chosen = [int(k) for k in np.argsort(-counts, kind="stable")[:most] if counts[k]]
        features: dict[int, Features] = {}
        regions: dict[int, NDArray[np.intp]] = {}
        owner: list[int] = []
        wanted: list[int] = []
        for done, k in enumerate(chosen, 1):
            own = [region for region in run.regions if region.image == k]
            boxes = _boxes(run.images[k].view, [region.box for region in own], run.settings, random_state)
            features[k] = describe_view(run.images[k].view, boxes, run.settings.flow, classifier)
            regions[k] = np.arange(len(own))  # they come first
            owner += [k] * len(own)
            wanted += [region.index for region in own]
            report_progress(progress, "references", done, len(chosen))
        pairs = [(a, b) for position, a in enumerate(chosen) for b in chosen[position + 1 :]]
        blocks = compare_block(features, regions, pairs, run.settings.flow).similarities
        place = {k: np.flatnonzero(np.array(owner) == k) for k in chosen}
        similarity = np.zeros((len(owner), len(owner)))
        for (a, b), block in zip(pairs, blocks, strict=True):
            similarity[np.ix_(place[a], place[b])] = block
            similarity[np.ix_(place[b], place[a])] = block.T
        return cls(features, regions, fit_matcher(similarity, labels[wanted], owner, len(run.summaries)))

    def compare(self, features: Features, salient: NDArray[np.intp], run: Run) -> NDArray[np.float64]:
        """Return the similarity (n, R) of boxes of a new image to all reference regions."""
        new = -1  # no image of the run has this number
        pairs = [(k, new) for k in self.features]
        blocks = compare_block({**self.features, new: features}, {**self.regions, new: salient}, pairs, run.settings.flow)
        return np.concatenate([block.T for block in blocks.similarities], axis=1)


def _boxes(view: NDArray[np.uint8], first: Sequence[Box], settings: Settings, random_state: int) -> NDArray[np.int32]:
    """Return proposed boxes, after some that must be among them."""
    proposed = propose_boxes(view, settings.regions.boxes, settings.regions.proposals, random_state)
    given = np.array(first, np.int32).reshape(-1, 4)
    fresh = [box for box in proposed.tolist() if tuple(box) not in set(map(tuple, given.tolist()))]
    return np.concatenate([given, np.array(fresh, np.int32).reshape(-1, 4)])


def _explain(
    run: Run,
    classifier: Classifier,
    target: Target,
    image: Image,
    mask: Mask,
    known: _References,
    random_state: int,
) -> Explained:
    settings = run.settings.regions
    evidence = mask.binary(settings.threshold)
    boxes = propose_boxes(image.view, settings.boxes, settings.proposals, random_state).astype(np.int64)
    chosen = salient_boxes(boxes, evidence, settings.salient_share)
    sides = np.minimum(boxes[chosen, 2] - boxes[chosen, 0], boxes[chosen, 3] - boxes[chosen, 1])
    chosen = chosen[sides >= _SMALLEST]
    present: list[Presence] = []
    if len(chosen):
        features = describe_view(image.view, boxes, run.settings.flow, classifier)
        sureness = np.nan_to_num(known.matcher.sureness(known.compare(features, chosen, run)))
        kept = prune(boxes[chosen], sureness.max(axis=1), settings.overlap, settings.area_factor)
        present = _present(classifier, target, image, evidence, run, boxes[chosen[kept]], sureness[kept], random_state)
    name = classifier.class_names[image.predicted]
    return Explained(image, name, mask, tuple(sorted(present, key=lambda one: -one.importance)))


def _present(
    classifier: Classifier,
    target: Target,
    image: Image,
    evidence: NDArray[np.bool_],
    run: Run,
    boxes: NDArray[np.int64],
    sureness: NDArray[np.float64],
    random_state: int,
) -> list[Presence]:
    best = sureness.argmax(axis=1)
    places: dict[int, list[tuple[float, Box]]] = {}
    for (x0, y0, x1, y1), k, values in zip(boxes.tolist(), best.tolist(), sureness, strict=True):
        if values[k] >= 1 and evidence[y0:y1, x0:x1].any():
            places.setdefault(k, []).append((float(values[k]), (x0, y0, x1, y1)))
    if not places:
        return []
    # As in the run, no two summaries share a pixel.
    parts = [(k, box, evidence[box[1] : box[3], box[0] : box[2]]) for k, own in places.items() for _, box in own]
    pixels = divide_pixels(parts, (evidence.shape[0], evidence.shape[1]))
    with classifier.frozen():
        effects = image_effects(
            classifier,
            target,
            image,
            evidence,
            list(pixels.values()),
            run.settings.masks,
            run.settings.analyses,
            random_state=random_state,
        )
    found = []
    for (k, shown), effect in zip(pixels.items(), effects, strict=True):
        own = sorted(places[k], key=lambda one: -one[0])
        where = tuple(box for _, box in own)
        found.append(Presence(k, where, shown, own[0][0], effect.share, effect.share_control, effect.loss))
    return found
