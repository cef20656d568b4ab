"""Labels that come with images: which of them mean the class that is explained."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence

from visual_summaries.classifiers import Classifier, Target
from visual_summaries.classifiers.target import find_class
from visual_summaries.errors import TargetError
from visual_summaries.images.datasets import Label

logger = logging.getLogger("visual_summaries")


def label_check(names: Sequence[str], classifier: Classifier, target: Target) -> Callable[[Label], str]:
    """Return a function that says of a label why it is not the target's; nothing for the target's and for no label.

    A label is a name, or a number. Numbers are those of the network's classes, unless the dataset has names for its labels that
    say otherwise.

    Parameters
    ----------
    names : sequence of str
        Of the dataset's labels, in their order; may be empty.
    classifier : Classifier
    target : Target
        Of a function as target no label tells anything.

    Raises
    ------
    TargetError
        If the dataset has names for several labels, of which none is the target's.
    """
    if target.index is None:
        return lambda label: ""
    meant = _meant(names, classifier)
    if names and target.index not in meant:
        listed = ", ".join(repr(name) for name in names[:5]) + (", ..." if len(names) > 5 else "")
        if len(names) > 1:
            raise TargetError(
                f"the labels of these images are {listed}, none of which is {target.name!r} of the network: give images of "
                "the class only, or (image, label) pairs with the network's own numbers"
            )
        logger.info("all images are labeled %s, which names no class of the network: all are taken for %s", listed, target.name)
        return lambda label: ""

    def check(label: Label) -> str:
        if label is None:
            return ""
        shown = repr(names[label]) if isinstance(label, int) and 0 <= label < len(names) else repr(label)
        same = _labeled(label, meant, classifier) == target.index
        return "" if same else f"its label is {shown}, not {target.name!r} ({target.index})"

    return check


def labeled_as_target(names: Sequence[str], classifier: Classifier, target: Target) -> Callable[[Label], bool]:
    """Return a function that tells whether a label is the target's; no label is not, and other classes need not be known.

    `names` are those of the dataset's labels, as for :func:`label_check`.
    """
    meant = _meant(names, classifier)
    return lambda label: label is not None and target.index is not None and _labeled(label, meant, classifier) == target.index


def _meant(names: Sequence[str], classifier: Classifier) -> list[int | None]:
    """Return the classes that the names of a dataset's labels mean, None for none."""
    meant = [_class_of(name, classifier) for name in names]
    if None in meant and len(names) == classifier.num_classes:
        return list(range(len(names)))  # a name for each output, as the network has none or others
    return meant


def _labeled(label: int | str, meant: Sequence[int | None], classifier: Classifier) -> int | None:
    """Return the class that a label means: a name, or a number of the dataset's labels, or of the network's classes."""
    if isinstance(label, str):
        return _class_of(label, classifier)
    return label if not meant else meant[label] if 0 <= label < len(meant) else None


def _class_of(name: str, classifier: Classifier) -> int | None:
    """Return the class that a label's name means, None for none: ``tabby``, ``n02123045``, ``017.Cardinal``."""
    for said in (name, re.sub(r"^\d+[._ -]+", "", name)):
        try:
            return find_class(classifier.class_names, said, classifier.synonyms)
        except TargetError:
            continue
    return None
