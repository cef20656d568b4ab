"""The whole job: from runs and training images to a specialized network."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from visual_summaries.classifiers import Classifier
from visual_summaries.progress import Progress
from visual_summaries.results import Run
from visual_summaries.runs.reading import ImageSources
from visual_summaries.specialization.examples import Examples, gather_examples
from visual_summaries.specialization.fusion import choose_shift, margins
from visual_summaries.specialization.learning import Learnt, ablate, average_precision, learn, parts_of
from visual_summaries.specialization.network import SpecializedNetwork
from visual_summaries.specialization.result import ClassResult, PartResult, Rates, Specialization
from visual_summaries.specialization.settings import SpecializeSettings
from visual_summaries.specialization.windows import bounded

logger = logging.getLogger("visual_summaries")


def specialize(
    runs: Run | Sequence[Run],
    classifier: Classifier,
    negatives: ImageSources,
    *,
    images: ImageSources | None = None,
    settings: SpecializeSettings | None = None,
    random_state: int = 0,
    progress: Progress | None = None,
) -> Specialization:
    """Make a network better at the classes that runs explain, by detectors of the parts that it uses for them.

    Each summary gets a detector: a linear SVM on the network's own feature maps over the summary's regions, against windows of
    other images. The detectors slide over the maps of the very forward pass that gives the logits. What their evidence adds to
    the network's own score is found by cross-validation on the training images; where that is not surely something, the class
    is left alone. Logits of other classes are never touched.

    Parameters
    ----------
    runs : Run or sequence of Run
        One for each class that is to be specialized, all of `classifier`, each with a summary.
    classifier : Classifier
        The network that the runs explain.
    negatives : str, Path, iterable or tensor
        Training images of other classes: above all of those that the network takes for the specialized ones, and of all sorts.
        Images below a folder that is called like a specialized class are left out.
    images : str, Path, iterable or tensor, optional
        Further training images of the specialized classes, a folder of class folders (of one run: any images): also those that
        the network gets wrong, which a run sets aside. Images of the runs may be among them. The summaries are looked for in
        them by :meth:`Run.apply`.
    settings : SpecializeSettings, optional
    random_state : int
    progress : callable, optional
        Told of the stages ``"further images"``, ``"references"``, ``"apply"``, ``"negatives"`` and ``"detectors"``.

    Returns
    -------
    Specialization
        Its ``classifier`` is used like any other; ``save(folder)`` writes it with a page.

    Raises
    ------
    ClassifierError
        If the classifier has other weights than the runs', or no feature maps.
    RunError
        If there is no run, two of one class, or one without a summary.
    NoImagesError
        If there are too few images.
    """
    settings = SpecializeSettings() if settings is None else settings
    runs = (runs,) if isinstance(runs, Run) else tuple(runs)
    examples = gather_examples(runs, classifier, negatives, images, settings, random_state=random_state, progress=progress)
    learnt = learn(examples, settings, random_state=random_state, progress=progress)
    module = build_network(classifier, examples, learnt, settings)
    classes = tuple(describe_class(examples, learnt, owner, classifier, settings) for owner in range(len(runs)))
    unchanged = all(one.unchanged for one in classes)
    if unchanged:
        logger.warning(
            "no part tells more than the network's own score: the network is returned unchanged (more training images, above "
            "all such that it gets wrong, may change that)"
        )
    specialized = classifier if unchanged else wrap(module, classifier)
    return Specialization(specialized, module, classes, classifier, runs, settings, examples.skipped, random_state)


def wrap(module: SpecializedNetwork, classifier: Classifier) -> Classifier:
    """Return a specialized network as a classifier with the transform and names of the one that it was made from."""
    return Classifier(
        module,
        transform=classifier.transform,
        class_names=list(classifier.class_names),
        spec=f"{classifier.spec}, specialized",
        device=classifier.device,
    )


def build_network(
    classifier: Classifier, examples: Examples, learnt: Learnt, settings: SpecializeSettings
) -> SpecializedNetwork:
    """Return the network with those detectors that count; the given module is part of it and is not copied or changed."""
    used, owners, weights = [], [], []
    for owner, fusion in enumerate(learnt.fusions):
        for position, weight in zip(parts_of(examples, owner), fusion.weights, strict=True):
            if weight > 0:
                used.append(learnt.detectors[position])
                owners.append(owner)
                weights.append(weight)
    split = [one.shape[1] for one in examples.maps]
    stacked = torch.from_numpy(np.stack([one.weights for one in used])) if used else torch.empty(0, sum(split))
    return SpecializedNetwork(
        classifier.module,
        examples.layers,
        torch.tensor(owners, dtype=torch.int64),
        torch.tensor(examples.classes, dtype=torch.int64),
        [one.contiguous() for one in torch.split(stacked, split, 1)],
        torch.tensor([one.bias for one in used], dtype=torch.float32),
        torch.from_numpy(np.stack([one.sizes for one in used])) if used else torch.empty(0, len(settings.scales), 2),
        torch.tensor(weights, dtype=torch.float32),
        torch.tensor([fusion.shift for fusion in learnt.fusions], dtype=torch.float32),
        cells=settings.cells,
        evidence_limit=settings.evidence_limit,
        offset_limit=settings.offset_limit,
        probabilities=classifier.outputs == "probabilities",
    )


def describe_class(
    examples: Examples, learnt: Learnt, owner: int, classifier: Classifier, settings: SpecializeSettings
) -> ClassResult:
    """Return what became of a class."""
    index, labels, fusion = examples.classes[owner], examples.labels == owner, learnt.fusions[owner]
    own = parts_of(examples, owner)
    evidence = learnt.evidence[:, own]
    nothing = np.zeros(len(labels))
    spare, limit = settings.spare / len(examples.classes), settings.offset_limit
    constant = choose_shift(examples.logits, nothing, index, labels, spare, limit)
    offset = bounded(evidence @ fusion.weights, limit) + fusion.shift
    parts = []
    for position, weight, lost in zip(own, fusion.weights, ablate(examples, learnt, owner), strict=True):
        part, values = examples.parts[position], learnt.evidence[:, position]
        parts.append(
            PartResult(
                summary=part.summary,
                name=part.name,
                images=len(part.boxes),
                applied=part.applied,
                weight=float(weight),
                own=float(values[labels].mean()),
                others=float(values[~labels].mean()),
                gain=lost.gain,
                precision=lost.precision,
            )
        )
    return ClassResult(
        index=index,
        name=classifier.class_names[index],
        images=int(labels.sum()),
        others=int((~labels).sum()),
        unchanged=fusion.unchanged,
        gain=fusion.gain,
        error=fusion.error,
        shift=fusion.shift,
        before=rates(examples.logits, nothing, index, labels),
        after=rates(examples.logits, offset, index, labels),
        shifted=rates(examples.logits, nothing + constant, index, labels),
        parts=tuple(parts),
    )


def rates(logits: NDArray[np.floating], offset: NDArray[np.float64], index: int, labels: NDArray[np.bool_]) -> Rates:
    """Return how a class does when `offset` (N,) is added to its logits.

    Examples
    --------
    >>> logits = np.array([[0.0, 1], [2, 0], [3, 0]])
    >>> rates(logits, np.zeros(3), 0, np.array([True, True, False]))
    Rates(precision=0.583..., right=1, fired=1)
    """
    moved = np.asarray(logits, np.float64).copy()
    moved[:, index] += offset
    first = moved.argmax(axis=1) == index
    precision = average_precision(labels, margins(moved, index))
    return Rates(precision, int(first[labels].sum()), int(first[~labels].sum()))
