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
        ...


class GivesLogits(Protocol):
    """What this stage needs of a classifier; :class:`visual_summaries.classifiers.Classifier` is one."""

    def to_tensor(self, views: list[np.ndarray]) -> Tensor:
        """Return views as float32 (N, C, H, W) in [0, 1]."""
        ...

    def logits(self, x: Tensor) -> Tensor:
        """Return outputs (N, K) of images (N, C, H, W) in [0, 1]; differentiable."""
        ...

    def frozen(self) -> contextlib.AbstractContextManager[object]:
        """Put the network into eval mode without parameter gradients, and back at the end."""
        ...


@dataclass
class Network:
    """Scores and mask gradients of a classifier for one target.

    Attributes
    ----------
    classifier, target
        See :class:`GivesLogits` and :class:`ScoresOutputs`.
    settings : MaskSettings
        Which score, and the weight of the *less* term.
    chunk : int
        Images in one pass of the network; halved for good when memory runs out.
    mode : GradientMode
        How gradients are computed (never :meth:`scores`).
    scorer : Classifier or None
        What :meth:`quick_scores` asks: the same network in float32, run faster. None: the classifier itself.
    passes : int
        Images that have gone forward and backward so far, for benchmarks.
    """

    classifier: GivesLogits
    target: ScoresOutputs
    settings: MaskSettings
    chunk: int
    mode: GradientMode = field(default_factory=lambda: GradientMode())
    scorer: GivesLogits | None = None
    passes: int = 0

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

    def loss_and_gradient(self, images: Tensor, hidden: Tensor, mask: Tensor, extra: Extra) -> tuple[Tensor, Tensor]:
        """Return the network's part of L for each image and its gradient with respect to the mask.

        Parameters
        ----------
        images, hidden : Tensor, (N, C, H, W)
        mask : Tensor, (N, H, W)
            1 = untouched.
        extra : Extra
            Noise to add and reference scores of the *less* term, each None when the settings do without.

        Returns
        -------
        loss : Tensor, (N,)
        gradient : Tensor, (N, H, W)
        """

        def one_pass(part: slice) -> tuple[Tensor, Tensor]:
            leaf = mask[part].detach().requires_grad_()
            with torch.enable_grad():
                noise = 0 if extra.noise is None else extra.noise[part]
                loss = torch.zeros(len(leaf), device=leaf.device)
                if self.settings.mode != "preservation":
                    logits = self._fast_logits(perturb(images[part], hidden[part], leaf) + noise)
                    loss = self._term(logits, None if extra.reference is None else extra.reference[part])
                if self.settings.mode != "deletion":
                    logits = self._fast_logits(perturb(images[part], hidden[part], 1 - leaf) + noise)
                    loss = loss + 1 - class_score(self.target, logits, self.settings.score)
                (gradient,) = torch.autograd.grad(loss.sum(), leaf)
            return loss.detach(), gradient

        self.passes += len(mask)
        loss, gradient = self._in_chunks(one_pass, len(mask))
        return loss, gradient

    def odds_and_gradient(self, images: Tensor, hidden: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log-odds (N,) of the target's class and their gradient with respect to the mask (N, H, W).

        Parameters
        ----------
        images, hidden : Tensor, (N, C, H, W)
        mask : Tensor, (N, H, W)
            1 = untouched.
        """

        def one_pass(part: slice) -> tuple[Tensor, Tensor]:
            leaf = mask[part].detach().requires_grad_()
            with torch.enable_grad():
                odds = log_odds(self._fast_logits(perturb(images[part], hidden[part], leaf)), self.target)
                (gradient,) = torch.autograd.grad(odds.sum(), leaf)
            return odds.detach().to(mask.dtype), gradient

        self.passes += len(mask)
        odds, gradient = self._in_chunks(one_pass, len(mask))
        return odds, gradient

    def _term(self, logits: Tensor, reference: Tensor | None) -> Tensor:
        value = class_score(self.target, logits, self.settings.score)
        if reference is not None:
            value = value + self.settings.less * less(all_scores(logits, self.target), reference)
        return value

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
    """How the network is run for gradients: see :mod:`visual_summaries.masks.gradients`.

    Attributes
    ----------
    bfloat16 : bool
        Autocast to bfloat16.
    channels_last : bool
        Images are given channels last.
    classifier : GivesLogits or None
        A copy of the classifier with batch norm folded into its convolutions; None: the classifier itself.
    """

    bfloat16: bool = False
    channels_last: bool = False
    classifier: GivesLogits | None = None

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


@dataclass(frozen=True)
class Extra:
    """Optional ingredients of a pass: noise (N, C, H, W) and reference scores (N, K)."""

    noise: Tensor | None = None
    reference: Tensor | None = None


def class_score(target: ScoresOutputs, logits: Tensor, kind: str) -> Tensor:
    """Return the score that is minimized: the target's own, or the logit of the target's class.

    Raises
    ------
    SettingsError
        If logits are asked for and the target is not a class but a function.
    """
    if kind == "probability":
        return target.score(logits)
    index = getattr(target, "index", None)
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
