"""What a network's outputs mean: where they are in what it returns, and which score of a class they give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from visual_summaries.errors import ClassifierError

#: What can be requested; without, it is found out.
SCORES = ("softmax", "sigmoid", "logit", "as-is")

# What networks call their scores when they return several things.
_LOGITS = ("logits", "logit", "out", "output", "outputs", "scores", "predictions", "prediction", "pred", "y")
# Steps of autograd that only move numbers, and last steps of a network whose outputs have no bounds.
_MOVES = (
    "View",
    "Reshape",
    "Unsafe",
    "Squeeze",
    "Unsqueeze",
    "Cat",
    "Stack",
    "Select",
    "Slice",
    "Alias",
    "Clone",
    "ToCopy",
    "T",
)
_UNBOUNDED = ("Addmm", "Mm", "Bmm", "Convolution", "Linear", "NativeLayerNorm", "NativeBatchNorm")


def logits_of(answer: Any, count: int, names: int | None = None) -> Tensor:
    """Return the logits (N, K) in what a network returned for `count` images; `names` is the number of classes, if known.

    Of several things those that are named like logits; else the first that is laid out like them, if all such have the same
    width, or that of the names.

    Examples
    --------
    >>> features, logits = torch.zeros(2, 512), torch.zeros(2, 10)
    >>> logits_of((features, logits), 2, names=10).shape, logits_of({"features": features, "scores": logits}, 2).shape
    (torch.Size([2, 10]), torch.Size([2, 10]))
    >>> logits_of((features, logits), 2)
    Traceback (most recent call last):
    ...
    visual_summaries.errors.ClassifierError: the network returned several things for 2 image(s), (2, 512), (2, 10), and none is
    called logits: give class_names (--class-names), whose number tells, or wrap it so that it returns the logits alone
    """
    found = answer
    if not isinstance(answer, Tensor):
        held = answer._asdict() if hasattr(answer, "_asdict") else answer if isinstance(answer, Mapping) else None
        named = held if held is not None else {name: getattr(answer, name) for name in _LOGITS if hasattr(answer, name)}
        key = next((name for name in _LOGITS if isinstance(named.get(name), Tensor)), None)
        if key is not None:
            found = named[key]
        elif held is not None or isinstance(answer, tuple | list):
            found = _fitting(list(answer if held is None else held.values()), count, names)
    if isinstance(found, Tensor):
        flat = _flat(found, count)
        if flat is not None:
            return flat
        got = f"a tensor of shape {tuple(found.shape)}"
    else:
        got = f"a {type(found).__name__}"
    raise ClassifierError(
        f"the network returned {got} for {count} image(s), but a classifier returns logits ({count}, K): "
        "wrap it so that it does"
    )


def _flat(value: Any, count: int) -> Tensor | None:
    if not isinstance(value, Tensor):
        return None
    if value.ndim == 4 and value.shape[2:] == (1, 1):
        value = value[:, :, 0, 0]
    if value.ndim < 2 and value.numel() == count:  # the one logit of each image, without a column of its own
        value = value.reshape(count, 1)
    return value if value.ndim == 2 and value.shape[0] == count else None


def _fitting(held: Sequence[Any], count: int, names: int | None) -> Any:
    fitting = [value for value in (_flat(one, count) for one in held) if value is not None]
    of_names = [value for value in fitting if value.shape[1] == names]
    if of_names or len({value.shape[1] for value in fitting}) == 1:
        return (of_names or fitting)[0]  # auxiliary outputs follow the main one
    if not fitting:
        return held[0] if held else held
    shapes = ", ".join(str(tuple(value.shape)) for value in fitting)
    raise ClassifierError(
        f"the network returned several things for {count} image(s), {shapes}, and none is called logits: give class_names "
        "(--class-names), whose number tells, or wrap it so that it returns the logits alone"
    )


def sums_to_one(answers: Tensor) -> bool:
    """Whether answers (N, K) are the probabilities of classes that exclude each other."""
    ones = torch.ones_like(answers[:, 0])
    return bool((answers >= 0).all()) and answers.shape[1] > 1 and torch.allclose(answers.sum(dim=1), ones, atol=1e-3)


def in_unit(answers: Tensor) -> bool:
    """Whether all answers lie in [0, 1]."""
    return bool(((answers >= 0) & (answers <= 1)).all())


def is_bounded(answers: Tensor) -> bool:
    """Whether the step that gave these answers (with their graph) may bound them: no linear layer's answers are bounded."""
    step: Any = answers.grad_fn
    while step is not None and (type(step).__name__.startswith(_MOVES)) and step.next_functions:
        step = step.next_functions[0][0]
    return step is not None and not type(step).__name__.startswith(_UNBOUNDED)


def choose_score(asked: str | None, form: str, width: int, owners: Sequence[nn.Module]) -> str:
    """Return which score the outputs of a network give: "softmax", "sigmoid" or "logit".

    Parameters
    ----------
    asked : str or None
        What the user says, of :data:`SCORES`.
    form : str
        ``"probabilities"`` that sum to 1, ``"sigmoid"`` (in [0, 1], each for itself) or ``"logits"``.
    width : int
        Number of outputs.
    owners : sequence of nn.Module
        Where transformers' configuration may say that several labels hold together.

    Raises
    ------
    ClassifierError
        If there is no such score, or a softmax of one output is requested.

    Examples
    --------
    >>> choose_score(None, "logits", 3, []), choose_score(None, "logits", 1, []), choose_score("as-is", "logits", 1, [])
    ('softmax', 'sigmoid', 'logit')
    """
    if asked is not None and asked not in SCORES:
        raise ClassifierError(f"score is {asked!r}, but must be one of {', '.join(SCORES)}")
    if asked == "softmax" and width == 1:
        remedy = "use score='sigmoid' or 'logit' (--score sigmoid or logit)"
        raise ClassifierError(f"the network has a single output, whose softmax is always 1: {remedy}")
    if asked == "as-is":
        return {"probabilities": "softmax", "sigmoid": "sigmoid"}.get(form, "logit")
    if asked is not None:
        return asked
    types = {getattr(getattr(owner, "config", None), "problem_type", None) for owner in owners}
    several = form == "sigmoid" or width == 1 or "multi_label_classification" in types
    return "sigmoid" if several and form != "probabilities" else "softmax"


def form_of(score: str, form: str) -> str:
    """Return what is taken of the outputs' form for a score: one that does not go with it is not."""
    if score == "sigmoid":
        return "logits" if form == "logits" else "sigmoid"
    return form if (score, form) == ("softmax", "probabilities") else "logits"


def score_in_words(score: str, form: str, width: int) -> str:
    """Return how the scores of classes come from the outputs.

    Examples
    --------
    >>> score_in_words("sigmoid", "sigmoid", 3)
    'each output is the probability of its own label, as it is'
    """
    if score == "softmax":
        return "probabilities that sum to 1, as they are" if form == "probabilities" else "softmax over the outputs"
    if score == "logit":
        return "the outputs themselves"
    if form == "sigmoid":
        return "each output is the probability of its own label, as it is"
    return "sigmoid of the one output" if width == 1 else "sigmoid of each output: labels do not exclude each other"
