"""Whether a network can be explained at all: tested once, before anything expensive starts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from visual_summaries.classifiers.classifier import Classifier, require_finite
from visual_summaries.classifiers.target import Target
from visual_summaries.errors import ClassifierError, TargetError, VisualSummariesError


def require_explainable(classifier: Classifier, target: Target, image: Tensor) -> None:
    """Pass an image forward and backward.

    Parameters
    ----------
    classifier : Classifier
    target : Target
    image : Tensor, (1, C, H, W)
        In [0, 1], as :meth:`Classifier.to_tensor` gives it.

    Raises
    ------
    ClassifierError
        If the network fails on the image, answers with numbers that are not finite, or gives no gradient by its pixels.
    TargetError
        If the target is a function that cannot be differentiated.
    """
    name = classifier.spec
    with classifier.frozen():
        x = image.detach().clone().requires_grad_()
        with _told(name):
            logits = classifier.logits(x)
        score = target.score(logits)  # what a user's function raises passes through
        require_finite(classifier.module, torch.cat([logits.flatten(), score]), name)
        if not logits.requires_grad:
            raise ClassifierError(
                f"{name} gives no gradient by its images, and masks are found by gradients: its forward runs under "
                "torch.no_grad or inference_mode, detaches, or computes with integers (quantized weights). Take that away, "
                "or give the float network that it was made from"
            )
        if not score.requires_grad:
            raise TargetError(f"the score of {target.name} cannot be differentiated: compute it by torch, without detaching")
        with _told(name):
            (gradient,) = torch.autograd.grad(score.sum(), x, allow_unused=True, retain_graph=True)
        if gradient is None:
            raise ClassifierError(f"the score of {target.name} does not depend on the images of {name}: choose another target")
        if not gradient.any() and _lost(classifier, x, logits):
            raise ClassifierError(
                f"the gradient of {name} by its images is zero although its answers depend on them, and masks are found by "
                "gradients: it rounds or thresholds what it computes. Give the network without these steps"
            )
        if not gradient.isfinite().all():
            raise ClassifierError(
                f"the gradient of {name} by its images is not finite: check its weights, or give it in single precision "
                "(module.float())"
            )


@contextmanager
def _told(name: str) -> Iterator[None]:
    try:
        yield
    except (VisualSummariesError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        raise ClassifierError(
            f"{name} fails when an image passes it forward and backward ({type(error).__name__}: {error}): masks need a "
            "network that PyTorch can differentiate by its input"
        ) from error


def _lost(classifier: Classifier, x: Tensor, logits: Tensor) -> bool:
    """Whether no logit has a gradient although the logits of the image's negative are others (probabilities may saturate)."""
    if classifier.outputs != "logits":
        return False
    (gradient,) = torch.autograd.grad(logits.abs().sum(), x)
    return not gradient.any() and not torch.equal(classifier.logits(1 - x.detach()), logits)
