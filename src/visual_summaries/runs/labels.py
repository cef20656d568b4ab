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
    meant = [_class_of(name, classifier) for name in names]
    if None in meant and len(names) == classifier.num_classes:
        meant = list(range(len(names)))  # a name for each output, as the network has none or others
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
        if isinstance(label, str):
            found = _class_of(label, classifier)
        else:
            found = label if not names else meant[label] if 0 <= label < len(names) else None
        return "" if found == target.index else f"its label is {shown}, not {target.name!r} ({target.index})"

    return check


def _class_of(name: str, classifier: Classifier) -> int | None:
    """Return the class that a label's name means, None for none: ``tabby``, ``n02123045``, ``017.Cardinal``."""
    for said in (name, re.sub(r"^\d+[._ -]+", "", name)):
        try:
            return find_class(classifier.class_names, said, classifier.synonyms)
        except TargetError:
            continue
    return None
