"""The only place where mask optimization asks the network: scores and gradients of masked images, in chunks that fit."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from visual_summaries._batches import in_batches
from visual_summaries.errors import SettingsError
from visual_summaries.masks.objective import less
from visual_summaries.masks.perturb import perturb
from visual_summaries.settings.masks import MaskSettings


class ScoresOutputs(Protocol):
    """What this stage needs of a target; :class:`visual_summaries.classifiers.Target` is one."""

    def score(self, logits: Tensor) -> Tensor:
        """Return the explained score (N,) of outputs (N, K)."""


class GivesLogits(Protocol):
    """What this stage needs of a classifier; :class:`visual_summaries.classifiers.Classifier` is one."""

    def to_tensor(self, views: list[np.ndarray]) -> Tensor:
        """Return views as float32 (N, C, H, W) in [0, 1]."""

    def logits(self, x: Tensor) -> Tensor:
        """Return outputs (N, K) of images (N, C, H, W) in [0, 1]; differentiable."""

    def frozen(self) -> contextlib.AbstractContextManager[object]:
        """Put the network into eval mode without parameter gradients, and back at the end."""


@dataclass
class Network:
    """Scores and mask gradients of a classifier for one target."""

    classifier: GivesLogits
    target: ScoresOutputs
    settings: MaskSettings  # which score, and the weight of the *less* term
    chunk: int  # images in one pass of the network; halved for good when memory runs out
    mode: GradientMode = field(default_factory=lambda: GradientMode())  # how gradients are computed, never scores
    scorer: GivesLogits | None = None  # what `quick_scores` asks: the same network in float32, run faster
    passes: int = 0  # images that have gone forward and backward so far, for benchmarks

    def scores(self, images: Tensor) -> Tensor:
        """Return the target's score (N,) of each image, float32, without gradients."""
        return self._scores(self.classifier, images)

    def quick_scores(self, images: Tensor) -> Tensor:
        """Return scores as :meth:`scores` does, to a ten-thousandth of their spread."""
        return self._scores(self.scorer or self.classifier, images)

    def _scores(self, classifier: GivesLogits, images: Tensor) -> Tensor:
        with torch.no_grad():
            return self._in_chunks(lambda part: (self.target.score(classifier.logits(images[part])).float(),), len(images))[0]

    def probabilities(self, images: Tensor) -> Tensor:
        """Return the scores of all classes (N, K), float32, without gradients: the reference of the *less* term."""
        with torch.no_grad():
            return self._in_chunks(
                lambda part: (all_scores(self.classifier.logits(images[part]).float(), self.target),), len(images)
            )[0]

    def loss_and_gradient(
        self, images: Tensor, hidden: Tensor, mask: Tensor, noise: Tensor | None = None, reference: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the network's part of L (N,) and its gradient with respect to the mask (N, H, W), where 1 = untouched.

        Images, what hides them, and the noise that is added are (N, C, H, W); `reference` has the scores (N, K) of the *less*
        term. The settings may do without the last two.
        """

        def loss_of(leaf: Tensor, part: slice) -> Tensor:
            added = 0 if noise is None else noise[part]
            loss = torch.zeros(len(leaf), device=leaf.device)
            if self.settings.mode != "preservation":
                logits = self._fast_logits(perturb(images[part], hidden[part], leaf) + added)
                loss = class_score(self.target, logits, self.settings.score)
                if reference is not None:
                    loss = loss + self.settings.less * less(all_scores(logits, self.target), reference[part])
            if self.settings.mode != "deletion":
                logits = self._fast_logits(perturb(images[part], hidden[part], 1 - leaf) + added)
                loss = loss + 1 - class_score(self.target, logits, self.settings.score)
            return loss

        return self._with_gradient(mask, loss_of)

    def odds_and_gradient(self, images: Tensor, hidden: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log-odds (N,) of the target's class and their gradient with respect to the mask (N, H, W)."""

        def odds_of(leaf: Tensor, part: slice) -> Tensor:
            return log_odds(self._fast_logits(perturb(images[part], hidden[part], leaf)), self.target)

        odds, gradient = self._with_gradient(mask, odds_of)
        return odds.to(mask.dtype), gradient

    def _with_gradient(self, mask: Tensor, value_of: Callable[[Tensor, slice], Tensor]) -> tuple[Tensor, Tensor]:
        """Return values (N,) and their gradient (N, H, W); `value_of` gets a part of the mask, and which part it is."""

        def one_pass(part: slice) -> tuple[Tensor, Tensor]:
            leaf = mask[part].detach().requires_grad_()
            with torch.enable_grad():
                value = value_of(leaf, part)
                (gradient,) = torch.autograd.grad(value.sum(), leaf)
            return value.detach(), gradient

        self.passes += len(mask)
        value, gradient = self._in_chunks(one_pass, len(mask))
        return value, gradient

    def _fast_logits(self, x: Tensor) -> Tensor:
        mode = self.mode
        if mode.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=mode.bfloat16):
            return (mode.classifier or self.classifier).logits(x).float()

    def _in_chunks(self, one_pass: Callable[[slice], tuple[Tensor, ...]], count: int) -> tuple[Tensor, ...]:
        parts, self.chunk = in_batches(one_pass, count, self.chunk)
        return tuple(torch.cat(column) for column in zip(*parts, strict=True))


@dataclass(frozen=True)
class GradientMode:
    """How the network is run for gradients: see :mod:`visual_summaries.masks.gradients`."""

    bfloat16: bool = False
    channels_last: bool = False
    classifier: GivesLogits | None = None  # a copy with batch norm folded into its convolutions; None: the classifier itself

    def in_words(self) -> str:
        """Return a short description for reports.

        Examples
        --------
        >>> GradientMode(bfloat16=True, channels_last=True).in_words()
        'bfloat16, channels last'
        """
        return mode_in_words(self.bfloat16, self.channels_last, self.classifier is not None)


def mode_in_words(bfloat16: bool, channels_last: bool, folded: bool) -> str:
    """Return a short description of a way to gradients."""
    words = ["bfloat16" if bfloat16 else "float32"]
    return ", ".join(words + ["channels last"] * channels_last + ["batch norm folded"] * folded)


def class_score(target: ScoresOutputs, logits: Tensor, kind: str) -> Tensor:
    """Return the score that is minimized: the target's own, or the logit of the target's class."""
    if kind == "probability":
        return target.score(logits)
    index = class_index(target)
    if index is None:
        raise SettingsError(
            'score="logit" needs a target that is a class, but the target is a function of the outputs; '
            'let the function return the logit and use score="probability"'
        )
    return logits[:, index]


def all_scores(logits: Tensor, target: ScoresOutputs) -> Tensor:
    """Return the probabilities (N, K) of all classes, those of labels that exclude no other each for itself."""
    return logits.sigmoid() if getattr(target, "kind", "") == "sigmoid" else logits.softmax(-1)


def log_odds(logits: Tensor, target: ScoresOutputs) -> Tensor:
    """Return ``log(p / (1 - p))`` of the target's class: its logit minus the log-sum-exp of the others, if it excludes them.

    Examples
    --------
    >>> from visual_summaries.classifiers import Target
    >>> round(log_odds(torch.tensor([[2.0, 0.5, 0.5]]), Target(0, "cat")).item(), 4)  # 2 - (0.5 + log 2)
    0.8069
    """
    index = class_index(target)
    assert index is not None  # noqa: S101 - functions go to the published optimizer
    if getattr(target, "kind", "") == "sigmoid":
        return logits[:, index]
    others = torch.cat([logits[:, :index], logits[:, index + 1 :]], dim=1)
    return logits[:, index] - others.logsumexp(dim=1)


def class_index(target: ScoresOutputs) -> int | None:
    """Return the index of the class that a target is, None when it is a function."""
    return getattr(target, "index", None)
