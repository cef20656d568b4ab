"""Names of classes: ImageNet's, from a file, from the model, or plain indices."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from timm.data import ImageNetInfo
from torch import nn

from visual_summaries.classifiers.names_file import read_names
from visual_summaries.errors import ClassifierError


@cache
def imagenet_names() -> tuple[str, ...]:
    """Return short English names of the 1000 classes of ImageNet-1k, in the usual order, from the list that timm ships.

    The first of WordNet's synonyms; where two classes share it, all synonyms; where these are no more, the index is added.

    Examples
    --------
    >>> imagenet_names()[229], imagenet_names()[134], len(set(imagenet_names()))
    ('Old English sheepdog', 'crane (134)', 1000)
    """
    full = ImageNetInfo().label_descriptions()
    short = [name.split(",")[0].strip() for name in full]
    counts, full_counts = Counter(short), Counter(full)
    return tuple(
        name if counts[name] == 1 else whole if full_counts[whole] == 1 and whole != name else f"{name} ({index})"
        for index, (name, whole) in enumerate(zip(short, full, strict=True))
    )


@cache
def resolve_synonyms(class_names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Return other names of each class: for ImageNet's, WordNet's synonyms and identifiers; else none.

    Examples
    --------
    >>> resolve_synonyms(imagenet_names())[229], resolve_synonyms(("a", "b"))
    (('Old English sheepdog', 'bobtail', 'n02105641'), ((), ()))
    """
    if class_names != imagenet_names():
        return ((),) * len(class_names)
    info = ImageNetInfo()
    return tuple(
        (*(part.strip() for part in info.index_to_description(index).split(",")), info.index_to_label_name(index))
        for index in range(1000)
    )


def resolve_class_names(given: Any, num_classes: int, modules: Sequence[nn.Module] = ()) -> tuple[str, ...]:
    """Return one name for each output of a network.

    Parameters
    ----------
    given : None, sequence, mapping or path
        Names in order; ``{index: name}`` or ``{index: [wnid, name]}``; a text file with one name a line, CSV, or JSON or YAML
        with one of these or objects; where a file has ids, their order counts. None: the
        names that the module's configuration holds (``pretrained_cfg["label_names"]``, transformers'
        ``id2label``), ImageNet's for 1000 outputs, else the indices.
    num_classes : int
    modules : sequence of nn.Module, optional
        Where to look for a configuration.

    Raises
    ------
    ClassifierError
        If the file cannot be read, or the number of names is not the number of outputs.

    Examples
    --------
    >>> resolve_class_names({"1": ["n02", "dog"], "0": ["n01", "cat"]}, 2), resolve_class_names(None, 3)
    (('cat', 'dog'), ('0', '1', '2'))
    >>> resolve_class_names(["cat"], 2)
    Traceback (most recent call last):
    ...
    visual_summaries.errors.ClassifierError: class_names holds 1 name, but the network has 2 outputs: ...
    """
    names = given_names(given)
    if names is None:
        return _own_names(modules, num_classes)
    source = f"class_names file {os.fspath(given)}" if isinstance(given, str | os.PathLike) else "class_names"
    if len(names) != num_classes:
        count = f"{len(names)} name{'' if len(names) == 1 else 's'}"
        wanted = f"but the network has {num_classes} outputs: give one name for each, in their order"
        raise ClassifierError(f"{source} holds {count}, {wanted}")
    return names


def given_names(given: Any) -> tuple[str, ...] | None:
    """Return the names that a user gives, in a file or not, in their order; None where there are none."""
    if isinstance(given, str | os.PathLike):
        return _listed(read_names(Path(given)), f"class_names file {os.fspath(given)}")
    return None if given is None else _listed(given, "class_names")


def _own_names(modules: Sequence[nn.Module], num_classes: int) -> tuple[str, ...]:
    for module in modules:
        cfg = getattr(module, "pretrained_cfg", None)
        labels = cfg.get("label_names") if isinstance(cfg, Mapping) else getattr(cfg, "label_names", None)
        if labels is not None and len(labels) == num_classes:
            return tuple(str(label) for label in labels)
        id2label = getattr(getattr(module, "config", None), "id2label", None)
        made_up = isinstance(id2label, Mapping) and all(str(label) == f"LABEL_{index}" for index, label in id2label.items())
        if isinstance(id2label, Mapping) and len(id2label) == num_classes and not made_up:  # by transformers, for lack of any
            return _listed(id2label, "id2label")
    return imagenet_names() if num_classes == 1000 else tuple(str(index) for index in range(num_classes))


def _listed(given: Any, source: str) -> tuple[str, ...]:
    if isinstance(given, Mapping):
        try:
            by_index = {int(index): value for index, value in given.items()}
        except (TypeError, ValueError) as error:
            raise ClassifierError(f"{source} must map indices to names, got keys such as {next(iter(given))!r}") from error
        if sorted(by_index) != list(range(len(by_index))):
            last, missing = len(by_index) - 1, next(index for index in range(len(by_index)) if index not in by_index)
            raise ClassifierError(f"{source} must name all indices from 0 to {last}, but index {missing} is missing")
        given = [by_index[index] for index in range(len(by_index))]
    if not isinstance(given, Sequence) or isinstance(given, str | bytes):
        raise ClassifierError(
            f"{source} is a {type(given).__name__}, but must be a list of names, {{index: name}} or {{index: [wnid, name]}}"
        )
    return tuple(str(item[-1] if isinstance(item, list | tuple) and item else item).strip() for item in given)
