"""The whole job, from runs and training images to a specialized network, and what it gives."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from visual_summaries._late import late
from visual_summaries._short import Short
from visual_summaries._validate import require_settings
from visual_summaries.classifiers import Classifier
from visual_summaries.errors import ClassifierError
from visual_summaries.progress import Progress, shown
from visual_summaries.results import Run
from visual_summaries.runs.reading import ImageSources
from visual_summaries.specialization.detectors import stacked
from visual_summaries.specialization.examples import Examples, gather_examples
from visual_summaries.specialization.files import save_specialized
from visual_summaries.specialization.fusion import choose_shift, margins
from visual_summaries.specialization.learning import Learned, ablate, average_precision, learn, parts_of
from visual_summaries.specialization.network import SpecializedNetwork
from visual_summaries.specialization.settings import SpecializeSettings
from visual_summaries.specialization.windows import bounded

logger = logging.getLogger("visual_summaries")


@dataclass(frozen=True)
class Rates:
    """How a class does on the training images, by cross-validation.

    Attributes
    ----------
    precision : float
        Average precision of the class's score against all other training images; no constant can move it.
    right, fired : int
        Images of the class that get it as the first choice, and other images that do.
    """

    precision: float
    right: int
    fired: int


@dataclass(frozen=True)
class PartResult:
    """One part detector.

    Attributes
    ----------
    summary : int
        Position of its summary in the run.
    name : str
    images, applied : int
        Training images in which regions of it are known, and how many of them are not the run's own.
    weight : float
        How much its log odds count in the logit of the class; 0 for a detector that is not used.
    own, others : float
        Its mean evidence, in log odds, in images of the class and in all others; by detectors trained without the image.
    gain, precision : float
        What is lost without it, the others weighed again: cross-validated log likelihood for each image, average precision.
    """

    summary: int
    name: str
    images: int
    applied: int
    weight: float
    own: float
    others: float
    gain: float
    precision: float


@dataclass(frozen=True, repr=False)
class ClassResult(Short):
    """One specialized class.

    Attributes
    ----------
    index : int
    name : str
    images, others : int
        Training images of the class, and all others.
    unchanged : bool
        Whether nothing is added: its parts tell no more than the network's own score.
    gain, error : float
        Cross-validated gain in log likelihood for each image, and its standard error.
    shift : float
        Constant that is added beside the evidence.
    before, after : Rates
        Of the network as it was and as it is.
    shifted : Rates
        Of the network with nothing but a constant added, chosen alike: the cheapest way to look good.
    parts : tuple of PartResult
    """

    index: int
    name: str
    images: int
    others: int
    unchanged: bool
    gain: float
    error: float
    shift: float
    before: Rates
    after: Rates
    shifted: Rates
    parts: tuple[PartResult, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Specialization(Short):
    """A network that was specialized, or left alone.

    Attributes
    ----------
    classifier : Classifier
        To be used like any other; the very classifier that was given where nothing helped.
    module : SpecializedNetwork
        The same as a module, which saves and loads.
    classes : tuple of ClassResult
    original : Classifier
        The network as it was.
    runs : tuple of Run
    settings : SpecializeSettings
    skipped : tuple of (str, str)
        Files that were left out, and why.
    random_state : int
    """

    classifier: Classifier
    module: SpecializedNetwork
    classes: tuple[ClassResult, ...]
    original: Classifier
    runs: tuple[Run, ...]
    settings: SpecializeSettings
    skipped: tuple[tuple[str, str], ...]
    random_state: int

    @property
    def unchanged(self) -> bool:
        """Whether nothing helped, so that the network is the one that was given."""
        return all(one.unchanged for one in self.classes)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON, without weights; summaries by their numbers (from 1)."""
        classes = [asdict(one) for one in self.classes]
        for part in (part for one in classes for part in one["parts"]):
            part["summary"] += 1
        return {
            "network": self.original.spec,
            "unchanged": self.unchanged,
            "classes": classes,
            "settings": asdict(self.settings),
            "random_state": self.random_state,
            "skipped": [{"name": name, "reason": reason} for name, reason in self.skipped],
        }

    def save(self, out: str | Path) -> Path:
        """Write the network and the page ``specialized.html`` into a folder, and return the page's path.

        ``specialized.safetensors`` holds the weights, ``specialized.json`` what they are of;
        :func:`~visual_summaries.load_classifier` reads the folder.

        Raises
        ------
        RunError
            If the folder cannot be written to.
        """
        save_specialized(Path(out), self.module, self.original, self.to_dict())
        page: Path = late("write_specialization")(self, Path(out))
        return page


def specialize(
    runs: Run | Sequence[Run],
    classifier: Classifier,
    negatives: ImageSources,
    *,
    images: ImageSources | None = None,
    settings: SpecializeSettings | None = None,
    random_state: int = 0,
    progress: Progress | bool | None = None,
) -> Specialization:
    """Make a network better at the classes that runs explain, by detectors of the parts that it uses for them.

    Each summary gets a detector: a linear SVM on the network's own feature maps over the summary's regions, against windows of
    other images. The detectors slide over the maps of the very forward pass that gives the logits. What their evidence adds to
    the network's own score is found by cross-validation on the training images; where that is not above its error, the class
    is left alone. Logits of other classes are never touched.

    Parameters
    ----------
    runs : Run or sequence of Run
        One for each class that is to be specialized, all of `classifier`, each with a summary.
    classifier : Classifier
        The network that the runs explain.
    negatives : str, Path, iterable or tensor
        Training images of other classes: above all of those that the network takes for the specialized ones, and of all sorts.
        Images below a folder named after a specialized class are left out.
    images : str, Path, iterable or tensor, optional
        Further training images of the specialized classes, a folder of class folders (of one run: any images): also those that
        the network gets wrong, which a run sets aside. Images of the runs may be among them. The summaries are looked for in
        them by :meth:`Run.apply`.
    settings : SpecializeSettings, optional
    random_state : int
    progress : callable or bool, optional
        Called as ``progress(stage, done, total)``. Unless given, a line for each stage in notebooks and terminals; False: none.

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
    progress = shown(progress)
    require_settings(settings, SpecializeSettings)
    settings = settings or SpecializeSettings()
    runs = (runs,) if isinstance(runs, Run) else tuple(runs)
    if classifier.score != "softmax":
        raise ClassifierError(
            f"{classifier.spec} gives scores by {classifier.score}, but only networks whose classes exclude each other can be "
            "specialized (softmax)"
        )
    examples = gather_examples(runs, classifier, negatives, images, settings, random_state=random_state, progress=progress)
    learned = learn(examples, settings, random_state=random_state, progress=progress)
    module = build_network(classifier, examples, learned, settings)
    classes = tuple(describe_class(examples, learned, owner, classifier, settings) for owner in range(len(runs)))
    if all(one.unchanged for one in classes):
        logger.warning(
            "no part tells more than the network's own score: the network is returned unchanged (more training images, above "
            "all such that it gets wrong, may change that)"
        )
        specialized = classifier
    else:
        names, spec = list(classifier.class_names), f"{classifier.spec}, specialized"
        specialized = Classifier(module, transform=classifier.transform, class_names=names, spec=spec, device=classifier.device)
    return Specialization(specialized, module, classes, classifier, runs, settings, examples.skipped, random_state)


def build_network(
    classifier: Classifier, examples: Examples, learned: Learned, settings: SpecializeSettings
) -> SpecializedNetwork:
    """Return the network with those detectors that count; the given module is part of it and is not copied or changed."""
    used = [
        (owner, learned.detectors[position], weight)
        for owner, fusion in enumerate(learned.fusions)
        for position, weight in zip(parts_of(examples, owner), fusion.weights, strict=True)
        if weight > 0
    ]
    depths, bias, sizes = stacked([detector for _, detector, _ in used], examples.maps, len(settings.scales))
    detectors = {
        "owners": torch.tensor([owner for owner, _, _ in used], dtype=torch.int64),
        "classes": torch.tensor(examples.classes, dtype=torch.int64),
        "bias": bias,
        "sizes": sizes,
        "weights": torch.tensor([weight for _, _, weight in used], dtype=torch.float32),
        "shifts": torch.tensor([fusion.shift for fusion in learned.fusions], dtype=torch.float32),
    }
    return SpecializedNetwork(
        classifier.module,
        examples.layers,
        detectors | {f"detectors_{number}": one.contiguous() for number, one in enumerate(depths)},
        cells=settings.cells,
        evidence_limit=settings.evidence_limit,
        offset_limit=settings.offset_limit,
        probabilities=classifier.outputs == "probabilities",
    )


def describe_class(
    examples: Examples, learned: Learned, owner: int, classifier: Classifier, settings: SpecializeSettings
) -> ClassResult:
    """Return what became of a class."""
    index, labels, fusion = examples.classes[owner], examples.labels == owner, learned.fusions[owner]
    own = parts_of(examples, owner)
    nothing = np.zeros(len(labels))
    spare, limit = settings.spare / len(examples.classes), settings.offset_limit
    constant = choose_shift(examples.logits, nothing, index, labels, spare, limit)
    offset = bounded(learned.evidence[:, own] @ fusion.weights, limit) + fusion.shift
    parts = []
    for position, weight, (gain, precision) in zip(own, fusion.weights, ablate(examples, learned, owner), strict=True):
        part, values = examples.parts[position], learned.evidence[:, position]
        parts.append(
            PartResult(
                summary=part.summary,
                name=part.name,
                images=len(part.boxes),
                applied=part.applied,
                weight=float(weight),
                own=float(values[labels].mean()),
                others=float(values[~labels].mean()),
                gain=gain,
                precision=precision,
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
