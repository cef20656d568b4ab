"""From runs of all classes of a network to one that looks again at shared parts, for few training images; and what it gives."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visual_summaries._late import late
from visual_summaries._short import Short
from visual_summaries._validate import require_in_range
from visual_summaries.classifiers import Classifier
from visual_summaries.errors import ClassifierError, RunError
from visual_summaries.progress import Progress, shown
from visual_summaries.results import Run
from visual_summaries.runs.reading import ImageSources
from visual_summaries.specialization.assembling import View, build, rates_of_both, see, views_of
from visual_summaries.specialization.examples import Examples, examples_of_runs
from visual_summaries.specialization.files import save_looking
from visual_summaries.specialization.heads import Features, Positions, as_block, fit_head, log_softmax, stack
from visual_summaries.specialization.learning import cut
from visual_summaries.specialization.looking import LookingNetwork
from visual_summaries.specialization.looks import find_parts, fit_cells, shared_parts
from visual_summaries.specialization.settings import SpecializeSettings

logger = logging.getLogger("visual_summaries")

#: A look whose weight is less than this share of all is not taken.
LEAST = 0.01


@dataclass(frozen=True)
class Look:
    """A look at the whole image, or from near at a shared part.

    Attributes
    ----------
    regions, classes : int
        Regions of summaries that the part is made of, and of how many classes' summaries; 0 for the whole image.
    weight : float
        How much the log probabilities of this look's head count; 0 where it is not taken.
    alone : float
        Share of the training images that this head alone gets right, fitted without them.
    """

    regions: int
    classes: int
    weight: float
    alone: float


@dataclass(frozen=True)
class ClassScore:
    """How a class does.

    Attributes
    ----------
    index : int
    name : str
    images : int
        Training images.
    whole, looks : int
        How many of them are right, held out of the fit: with the head of the whole image alone, and with all looks.
    tested, before, after : int
        Test images, and how many of them the network that was given and the new one get right; 0 without test images.
    """

    index: int
    name: str
    images: int
    whole: int
    looks: int
    tested: int = 0
    before: int = 0
    after: int = 0


@dataclass(frozen=True, eq=False, repr=False)
class CloserLooks(Short):
    """A network that looks again at parts.

    Attributes
    ----------
    classifier : Classifier
        To be used like any other.
    module : LookingNetwork
        The same as a module, which saves and loads.
    looks : tuple of Look
        The whole image first.
    classes : tuple of ClassScore
    gain, error : float
        What looks add to the head of the whole image: log likelihood of each training image, held out, and its standard error.
    places : ndarray of float, (N, K, 2)
        Where each part was found in each training image by a detector that was trained without it: x and y over the sides.
    examples : Examples
        The training images, in the order of `places`.
    original : Classifier
    runs : tuple of Run
    skipped : tuple of (str, str)
        Files that were left out, and why.
    random_state : int
    """

    classifier: Classifier
    module: LookingNetwork
    looks: tuple[Look, ...]
    classes: tuple[ClassScore, ...]
    gain: float
    error: float
    places: Features
    examples: Examples
    original: Classifier
    runs: tuple[Run, ...]
    skipped: tuple[tuple[str, str], ...]
    random_state: int

    def share(self, name: str) -> float:
        """Return ``whole`` or ``looks`` as a share of the training images, ``before`` or ``after`` of the test images."""
        of = "images" if name in ("whole", "looks") else "tested"
        found, total = (sum(int(getattr(one, what)) for one in self.classes) for what in (name, of))
        return found / max(total, 1)

    def views(self) -> Iterator[View]:
        """Yield the training images, in the order of `places`."""
        return views_of(self.runs, self.examples)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON, without weights."""
        return {
            "network": self.original.spec,
            "looks": [asdict(one) for one in self.looks],
            "classes": [asdict(one) for one in self.classes],
            "gain": self.gain,
            "error": self.error,
            "side": self.module.side,
            "random_state": self.random_state,
            "skipped": [{"name": name, "reason": reason} for name, reason in self.skipped],
        }

    def save(self, out: str | Path) -> Path:
        """Write the network and the page ``specialized.html`` into a folder, and return the page's path.

        The files are those of :meth:`Specialization.save`; :func:`~visual_summaries.load_classifier` reads the folder.

        Raises
        ------
        RunError
            If the folder cannot be written to.
        """
        save_looking(Path(out), self.module, self.original, self.to_dict())
        page: Path = late("write_looks")(self, Path(out))
        return page


def look_closer(
    runs: Sequence[Run],
    classifier: Classifier,
    *,
    parts: int = 4,
    test: ImageSources | None = None,
    random_state: int = 0,
    progress: Progress | bool | None = None,
) -> CloserLooks:
    """Make a network that was fitted on few images better: let it look again at parts that all classes have, from near.

    Regions of all classes' summaries are put into a few groups, *shared parts*, with a detector each. The new network sees the
    whole image, and again the place of each part; each look has a linear head on frozen features, and the heads' log
    probabilities are added with weights. Heads, their strengths and the weights are fitted on the images of the runs, by
    cross-validation. It takes a pass of the network for each part more.

    Parameters
    ----------
    runs : sequence of Run
        One of each class of the network, on its training images. New heads are fitted on these images alone: a network that
        was trained on many more images loses by it.
    classifier : Classifier
        The network that the runs explain.
    parts : int
        Shared parts, at most.
    test : str or Path, optional
        A folder of class folders with images that neither the network nor the runs have seen: both networks are tested there.
    random_state : int
    progress : callable or bool, optional
        Called as ``progress(stage, done, total)``. Unless given, a line for each stage in notebooks and terminals; False: none.

    Returns
    -------
    CloserLooks
        Its ``classifier`` is used like any other; ``save(folder)`` writes it with a page.

    Raises
    ------
    ClassifierError
        If the classifier has other weights than the runs', no feature maps, or classes that do not exclude each other.
    RunError
        If a class has no run, or two, or no run has a summary.
    NoImagesError
        If there are fewer than four images of a class, or none to test on.
    SettingsError
        If `parts` is out of range.
    """
    progress = shown(progress)
    require_in_range("parts", parts, 1, 64)
    # By class, so that the order of heads is that of the network's outputs.
    runs = tuple(sorted(runs, key=lambda run: -1 if run.info.target.index is None else run.info.target.index))
    if classifier.score != "softmax":
        raise ClassifierError(
            f"{classifier.spec} gives scores by {classifier.score}, but looks are added as probabilities of classes that "
            "exclude each other (softmax)"
        )
    examples = examples_of_runs(runs, classifier, SpecializeSettings())
    _require_all(examples, runs, classifier)
    labels, training = examples.labels, np.arange(len(examples))
    folds = cut(labels, SpecializeSettings().folds, random_state)
    groups = shared_parts(examples, parts, random_state)
    reader = fit_cells(examples.maps, training)
    cells = reader(examples.maps)
    places = find_parts(cells, groups, training, folds)
    features = see(classifier, examples, views_of(runs, examples), places, progress)
    heads = [fit_head(as_block(own, training), labels, folds) for own in features]
    weights = stack([head.held_out for head in heads], labels)
    weights[1:][weights[1:] < LEAST * weights.sum()] = 0  # a look takes a pass, whatever its weight
    order = np.array([0, *(1 + np.argsort(-weights[1:], kind="stable"))])
    groups, places, weights = [groups[k - 1] for k in order[1:]], places[:, order[1:] - 1], weights[order]
    heads, features = [heads[k] for k in order], [features[k] for k in order]
    module = build(classifier, examples, groups, cells, reader, features, heads, weights)
    spec = f"{classifier.spec}, looking closer"
    better = Classifier(
        module, transform=classifier.transform, class_names=list(classifier.class_names), spec=spec, device=classifier.device
    )
    held_out = [log_softmax(head.held_out) for head in heads]
    mixed = log_softmax(np.tensordot(weights, np.stack(held_out), axes=1))
    # A weight makes a head less sure, which alone can gain likelihood: the whole image gets its best one, too.
    whole = log_softmax(stack(held_out[:1], labels)[0] * held_out[0])
    each = np.arange(len(labels))
    gains = mixed[each, labels] - whole[each, labels]
    looks = [
        Look(sum(map(len, group.values())), len({int(labels[image]) for image in group}), float(weight), hits(own, labels))
        for group, weight, own in zip([{}, *groups], weights, held_out, strict=True)
    ]
    skipped = list(examples.skipped)
    tested = rates_of_both(test, classifier, better, examples.sha256, skipped, progress) if test is not None else {}
    classes = []
    for index in examples.classes:
        own, (count, before, after) = labels == index, tested.get(index, (0, 0, 0))
        by_whole, by_looks = (int(right(one, labels)[own].sum()) for one in (whole, mixed))
        name = classifier.class_names[index]
        classes.append(ClassScore(index, name, int(own.sum()), by_whole, by_looks, count, before, after))
    error = float(gains.std(ddof=1) / np.sqrt(len(gains)))
    result = CloserLooks(
        better,
        module,
        tuple(looks),
        tuple(classes),
        float(gains.mean()),
        error,
        places,
        examples,
        classifier,
        runs,
        tuple(skipped),
        random_state,
    )
    if result.gain <= error:
        logger.warning("looks at parts add nothing that is above its error to the head of the whole image, on these images")
    return result


def _require_all(examples: Examples, runs: Sequence[Run], classifier: Classifier) -> None:
    missing = [name for index, name in enumerate(classifier.class_names) if index not in examples.classes]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise RunError(
            f"of {len(classifier.class_names)} classes {', '.join(map(repr, missing[:3]))}{more} have no run, but new "
            "heads are fitted for all classes: give a run of each; to improve some classes of a network, use specialize"
        )
    if not examples.parts:
        raise RunError(f"none of the {len(runs)} runs has a summary, so there are no parts to look at; use more images")


def hits(logits: Features, labels: Positions) -> float:
    """Return the share of images whose class has the highest logit.

    Examples
    --------
    >>> hits(np.array([[1.0, 0], [2, 3], [0, 1]]), np.array([0, 1, 0])).__round__(2)
    0.67
    """
    return float(right(logits, labels).mean())


def right(logits: Features, labels: Positions) -> NDArray[np.bool_]:
    """Return which images' class has the highest logit."""
    return np.asarray(logits.argmax(axis=1) == labels)
