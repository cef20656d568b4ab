"""What is explained: the score of a class, found by index or name, or a function of the outputs; and the scores of images."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from visual_summaries._batches import in_batches
from visual_summaries._short import Short
from visual_summaries._validate import require_choice
from visual_summaries.classifiers.classifier import Classifier
from visual_summaries.errors import ClassifierError, TargetError

KINDS = ("probability", "sigmoid", "logit")


@dataclass(frozen=True)
class Target:
    """The score that is explained, a function of the logits.

    Attributes
    ----------
    index : int or None
        Index of the class; None for a function.
    name : str
        Name of the class or function.
    kind : str
        ``"probability"``: softmax probability of the class, in [0, 1]; ``"sigmoid"``: probability of a label that excludes no
        other; ``"logit"``: its raw logit. Without meaning for a function.
    function : callable, optional
        Takes logits ``(N, K)``, returns scores ``(N,)``.

    Examples
    --------
    >>> target = Target(index=1, name="cat")
    >>> logits = torch.tensor([[0.0, 0.0], [2.0, 0.0]])
    >>> target.score(logits), target.hits(logits)
    (tensor([0.5000, 0.1192]), tensor([False, False]))
    """

    index: int | None
    name: str
    kind: str = "probability"
    function: Callable[[Tensor], Tensor] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        require_choice("kind", self.kind, KINDS)
        if (self.index is None) == (self.function is None):
            raise TargetError("a target is either the index of a class or a function of the logits: give one of them")

    def score(self, logits: Tensor) -> Tensor:
        """Return the scores ``(N,)`` of logits ``(N, K)``; differentiable.

        Raises
        ------
        TargetError
            If the function does not return one finite-typed number for each image.
        """
        if self.function is None:
            if self.kind == "logit":
                return logits[:, self.index]
            return logits[:, self.index].sigmoid() if self.kind == "sigmoid" else logits.softmax(dim=1)[:, self.index]
        scores = self.function(logits)
        if not isinstance(scores, Tensor) or scores.shape != logits.shape[:1] or not scores.is_floating_point():
            got = f"{scores.dtype} of shape {tuple(scores.shape)}" if isinstance(scores, Tensor) else type(scores).__name__
            raise TargetError(
                f"target function {self.name} returned {got} for logits of shape {tuple(logits.shape)}, "
                f"but must return a float tensor of shape ({len(logits)},): one score for each image"
            )
        return scores

    def hits(self, logits: Tensor) -> Tensor:
        """Return for each image whether the network gives this class the highest score, bool ``(N,)``.

        A label that excludes no other has to have a probability of one half. All True for a function.
        """
        if self.index is None:
            return torch.ones(len(logits), dtype=torch.bool, device=logits.device)
        return logits[:, self.index] >= 0 if self.kind == "sigmoid" else logits.argmax(dim=1) == self.index

    def hit(self, score: float, predicted: int) -> bool:
        """Return what :meth:`hits` does, from an image's score and the class with its highest logit."""
        return self.index is None or (score >= 0.5 if self.kind == "sigmoid" else predicted == self.index)


def resolve_target(
    classifier: Classifier, target: int | str | Callable[[Tensor], Tensor] | Target, *, kind: str | None = None
) -> Target:
    """Find the class that is meant.

    Parameters
    ----------
    classifier : Classifier
        Its class names are searched.
    target : int, str, callable or Target
        An index; a number as text; a class name, where case, spaces, underscores and hyphens do not matter and a synonym or a
        part of the name is enough if it fits one class only; a function from logits ``(N, K)`` to scores ``(N,)``.
    kind : str, optional
        ``"probability"`` or ``"logit"``; by default what the classifier's `score` says.

    Raises
    ------
    TargetError
        If no class is meant, or several; the message lists close matches.

    Examples
    --------
    >>> from visual_summaries.classifiers import ViewTransform
    >>> net = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    >>> names = ["tabby, tabby cat", "Old English sheepdog", "tiger cat"]
    >>> classifier = Classifier(net, transform=ViewTransform((8, 10)), class_names=names)
    >>> resolve_target(classifier, "old-english_SHEEPDOG").index, resolve_target(classifier, "tabby").index
    (1, 0)
    >>> resolve_target(classifier, "cat")
    Traceback (most recent call last):
    ...
    visual_summaries.errors.TargetError: target 'cat' fits 2 classes: 0 'tabby, tabby cat', 2 'tiger cat'; ...
    """
    if isinstance(target, Target):
        return target
    kind = kind or ("logit" if classifier.score == "logit" else "probability")
    if kind == "probability" and classifier.score == "sigmoid" and not classifier.one_output:
        kind = "sigmoid"
    if callable(target):
        function = partial(_of_one_output, target) if classifier.one_output else target
        return Target(None, getattr(target, "__name__", type(target).__name__), kind, function)
    if isinstance(target, bool) or not isinstance(target, str | int | np.integer):
        raise TargetError(f"target is {target!r}, but must be the index of a class, its name, or a function of the logits")
    index = find_class(classifier.class_names, target, classifier.synonyms) if isinstance(target, str) else int(target)
    if not 0 <= index < classifier.num_classes:
        raise TargetError(
            f"target is {index}, but the network has {classifier.num_classes} classes: 0 to {classifier.num_classes - 1}"
        )
    return Target(index, classifier.class_names[index], kind)


def _of_one_output(function: Callable[[Tensor], Tensor], logits: Tensor) -> Tensor:
    """Give a function of the network's one output that output, (N, 1)."""
    return function(logits[:, 1:])


@dataclass(frozen=True, eq=False, repr=False)
class Classified(Short):
    """What a network says of some images.

    Attributes
    ----------
    scores : ndarray of float32, (N,)
        The target's score of each image.
    predicted : ndarray of int64, (N,)
        Index of the class with the highest logit.
    hits : ndarray of bool, (N,)
        Whether that is the target's class; all True for a function as target.
    """

    scores: NDArray[np.float32]
    predicted: NDArray[np.int64]
    hits: NDArray[np.bool_]

    @property
    def accuracy(self) -> float:
        """Share of hits; NaN without images."""
        return float(self.hits.mean()) if len(self.hits) else float("nan")


def classify(
    classifier: Classifier,
    views: Iterable[NDArray[np.uint8]],
    target: int | str | Callable[[Tensor], Tensor] | Target,
    *,
    batch_size: int = 32,
) -> Classified:
    """Return scores and predictions for views (H, W, 3), read batch by batch, without gradients.

    The target is given as for :func:`~visual_summaries.classifiers.resolve_target`.

    Examples
    --------
    >>> import PIL.Image
    >>> from visual_summaries.classifiers import ViewTransform
    >>> net = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    >>> classifier = Classifier(net, transform=ViewTransform((6, 8)), class_names=["red", "green", "blue"])
    >>> views = [classifier.view(PIL.Image.new("RGB", (40, 30), color)) for color in ("red", "lime", "red")]
    >>> answer = classify(classifier, views, "red")
    >>> answer.predicted, answer.hits, round(answer.accuracy, 3)
    (array([0, 1, 0]), array([ True, False,  True]), 0.667)
    """
    if batch_size < 1:
        raise ClassifierError(f"batch_size is {batch_size}, but must be at least 1")
    resolved = resolve_target(classifier, target)
    scores, predicted, hits = [], [], []
    remaining = iter(views)
    with classifier.frozen(), torch.no_grad():
        while batch := list(islice(remaining, batch_size)):
            # In smaller batches where memory runs out.
            pieces, _ = in_batches(lambda part: classifier.logits(classifier.to_tensor(batch[part])), len(batch), len(batch))
            logits = torch.cat(pieces)
            scores.append(resolved.score(logits).float().cpu().numpy())
            predicted.append(logits.argmax(dim=1).cpu().numpy())
            hits.append(resolved.hits(logits).cpu().numpy())
    return Classified(
        np.concatenate([np.empty(0, np.float32), *scores]),
        np.concatenate([np.empty(0, np.int64), *predicted]),
        np.concatenate([np.empty(0, np.bool_), *hits]),
    )


def find_class(class_names: Sequence[str], name: str, synonyms: Sequence[Sequence[str]] | None = None) -> int:
    """Return the index of the class that a text means.

    Tried in this order, the first that fits any class decides: the name to the letter; the name apart from case and
    separators; a number; a synonym (given, or the parts of a name between commas); consecutive words of a name or synonym.

    Raises
    ------
    TargetError
        If no class fits or several do.

    Examples
    --------
    >>> names = ["tench", "running shoe"]
    >>> find_class(names, "RunningShoe"), find_class(names, "shoe"), find_class(names, "1")
    (1, 1, 1)
    >>> find_class(names, "tensh")
    Traceback (most recent call last):
    ...
    visual_summaries.errors.TargetError: target 'tensh' is none of the 2 classes; did you mean 0 'tench'?
    """
    others = [[*name_parts(full), *(synonyms[index] if synonyms is not None else ())] for index, full in enumerate(class_names)]
    key, words = _key(name), f" {_words(name)} "
    if not words.strip():
        raise TargetError(f"target is {name!r}, which names no class: give the index of a class or its name")

    def lists(index: int) -> bool:
        return bool(key) and any(_key(other) == key for other in others[index])

    rules = (
        lambda index: class_names[index] == name.strip(),
        lambda index: bool(key) and _key(class_names[index]) == key,
        lambda index: name.strip().isdecimal() and int(name) == index,
        lists,
        lambda index: any(words in f" {_words(other)} " for other in [class_names[index], *others[index]]),
    )
    for fits in rules:
        found = [index for index in range(len(class_names)) if fits(index)]
        if found and key and not name.strip().isdecimal():  # "maillot" is a class's whole name and one of another's
            found += [
                index for index, full in enumerate(class_names) if _key(full) != key and lists(index) and index not in found
            ]
        if len(found) == 1:
            return found[0]
        if found:
            listed = ", ".join(f"{index} {class_names[index]!r}" for index in found[:8]) + (", ..." if len(found) > 8 else "")
            raise TargetError(f"target {name!r} fits {len(found)} classes: {listed}; give the index or the full name")
    if name.strip().isdecimal():
        raise TargetError(
            f"target is {name.strip()}, but the network has {len(class_names)} classes: 0 to {len(class_names) - 1}"
        )
    close = _close(name, class_names, others)
    hint = f"did you mean {close}?" if close else "give the index of a class or one of the names in classifier.class_names"
    raise TargetError(f"target {name!r} is none of the {len(class_names)} classes; {hint}")


def name_parts(name: str) -> list[str]:
    """Return the synonyms that a name lists between commas.

    Examples
    --------
    >>> name_parts("Old English sheepdog, bobtail")
    ['Old English sheepdog', 'bobtail']
    """
    return [part.strip() for part in name.split(",") if part.strip()]


def _words(name: str) -> str:
    return re.sub(r"[\s_\-]+", " ", name.casefold()).strip()


def _key(name: str) -> str:
    return _words(name).replace(" ", "")


def _close(name: str, class_names: Sequence[str], others: Sequence[Sequence[str]]) -> str:
    spelled: dict[str, int] = {}
    for index, full in enumerate(class_names):
        for other in (full, *others[index]):
            spelled.setdefault(_words(other), index)
    near = [spelled[match] for match in difflib.get_close_matches(_words(name), spelled, n=8, cutoff=0.6)]
    query = set(_words(name).split())
    near += [index for match, index in spelled.items() if query & set(match.split())]  # "english dog" shares a word
    return ", ".join(f"{index} {class_names[index]!r}" for index in list(dict.fromkeys(near))[:5])
