"""How to run a network fastest for gradients: measured on the given network, not guessed.

Candidates are float32 and bfloat16 autocast with channels-last images, on a copy of the network whose batch norm is folded into
its convolutions (where it has any, and where the copy answers as the network does). The user's own module is never changed.
"""

from __future__ import annotations

import copy
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from visual_summaries.masks.infill import hidden_pixels
from visual_summaries.masks.network import GivesLogits, GradientMode, Network
from visual_summaries.settings.masks import infills_of

if TYPE_CHECKING:
    from visual_summaries.classifiers import Classifier

logger = logging.getLogger("visual_summaries")

#: Images in the pass that is timed of each candidate.
PROBE_IMAGES = 2
#: How many times faster than float32 bfloat16 has to be. On a processor it is ahead with two images and behind in full batches.
BFLOAT16_AHEAD = {"cpu": 1.3}
#: How far scores may lie from float32, and how much the mask gradients have to point the same way (cosine).
SCORE_TOLERANCE, LEAST_COSINE = 0.03, 0.8


@dataclass(frozen=True)
class Measured:
    """A candidate's seconds for a pass, scores (n,) and mask gradients (n, H, W)."""

    mode: GradientMode
    seconds: float
    scores: Tensor
    gradients: Tensor


def fastest_gradient_mode(network: Network, image: Tensor, folded: Any) -> GradientMode:
    """Return the fastest way to gradients that agrees with plain float32 on `image` (1, C, H, W) and a faded copy of it.

    `folded` is what :func:`fold` gives.
    """
    hidden = hidden_pixels(image, infills_of(network.settings.infill)[0], network.settings)
    probe = torch.cat([image, torch.lerp(hidden, image, 0.75)])[: min(network.chunk, PROBE_IMAGES)]
    reference = measure(network, GradientMode(), probe)
    best = reference
    for candidate in (GradientMode(channels_last=True, classifier=folded), GradientMode(True, True, folded)):
        try:
            measured = measure(network, candidate, probe)
        except RuntimeError as error:
            # Some operations have no bfloat16 kernel on some devices, some modules cannot take channels last (a `view` of what
            # a convolution gives): that is what trying is for. Float32 as the module is has been measured already.
            logger.debug("mask gradients not in %s: %s", candidate.in_words(), error)
            continue
        ahead = BFLOAT16_AHEAD.get(image.device.type, 1.0) if candidate.bfloat16 else 1.0
        if agrees(measured, reference) and measured.seconds * ahead < best.seconds:
            best = measured
    return best.mode


def measure(network: Network, mode: GradientMode, images: Tensor) -> Measured:
    """Run one way to gradients on images (n, C, H, W) and time it, after a first pass that does not count."""
    asked = Network(network.classifier, network.target, network.settings, network.chunk, mode)
    mask = images.new_ones(len(images), *images.shape[-2:])
    hidden = hidden_pixels(images, infills_of(network.settings.infill)[0], network.settings)
    seconds = []
    for _ in range(4):  # the first does not count; of the others the fastest, because a busy machine disturbs some
        start = time.perf_counter()
        scores, gradients = asked.loss_and_gradient(images, hidden, mask)
        if images.device.type == "cuda":
            torch.cuda.synchronize(images.device)
        seconds.append(time.perf_counter() - start)
    return Measured(mode, min(seconds[1:]), scores, gradients)


def agrees(measured: Measured, reference: Measured) -> bool:
    """Tell whether scores and the direction of the gradients are those of the reference.

    Scores are probabilities as a rule; others are compared relative to their size.
    """
    scale = reference.scores.abs().clamp_min(1.0)
    close = ((measured.scores - reference.scores).abs() <= SCORE_TOLERANCE * scale).all()
    cosine = torch.cosine_similarity(measured.gradients.flatten(1), reference.gradients.flatten(1), dim=1)
    return bool(close) and bool((cosine >= LEAST_COSINE).float().mean() >= 0.5)


def fold(classifier: GivesLogits, images: Tensor) -> Any:
    """Return a copy of the classifier with batch norms folded into the convolutions before them, in channels-last layout.

    None when there is nothing to fold, the network cannot be copied, or the copy does not answer `images` as the network does
    (modules that stand beside each other need not follow each other).
    """
    module = getattr(classifier, "module", None)
    if not isinstance(module, nn.Module):
        return None
    try:
        copied = copy.deepcopy(module)
    except (RuntimeError, TypeError, NotImplementedError):
        return None  # a copy is a convenience: exported programs and some hooks cannot be copied
    if not fold_batch_norms(copied):
        return None
    faster = copy.copy(classifier)
    with torch.no_grad():
        expected = classifier.logits(images)
        try:
            faster.module = copied.to(memory_format=torch.channels_last)  # type: ignore[attr-defined]
            given = faster.logits(images)
        except RuntimeError as error:  # a module that flattens by `view`, or has weights of volumes, has no channels last
            logger.debug("no copy with batch norms folded: %s", error)
            return None
    return faster if torch.allclose(expected, given, rtol=1e-2, atol=1e-2 * _spread(expected)) else None


def _spread(outputs: Tensor) -> float:
    """Return how far outputs lie from each other; of a single one, from zero."""
    return float(outputs.std() if outputs.numel() > 1 else outputs.abs().max())


class _ChannelsLast(nn.Module):
    """What images pass first, so that the convolutions after it run channels last."""

    def forward(self, x: Tensor) -> Tensor:
        return x.contiguous(memory_format=torch.channels_last)


def fast_float32(classifier: Classifier, view: NDArray[np.uint8]) -> Classifier:
    """Return a classifier that answers as the given one does, in float32, but faster where it has convolutions.

    Batch norms are folded in a copy of the module and images go channels last. Whether the outputs agree to a ten-thousandth of
    their spread is checked on `view` (H, W, 3) and its half turn; where not, the classifier itself is returned. Nothing is
    timed, so that the same classifier always gets the same answer.
    """
    image = classifier.to_tensor([view])
    with torch.no_grad(), classifier.frozen():
        folded = fold(classifier, image)
    faster: Classifier = faster_scores(classifier, image, folded)
    return faster


def faster_scores(classifier: GivesLogits, image: Tensor, folded: Any) -> Any:
    """Return what :func:`fast_float32` does, checked on an image (1, C, H, W) in [0, 1]; functions stay as they are.

    `folded` is what :func:`fold` gives.
    """
    module = getattr(classifier, "module", None)
    if not isinstance(module, nn.Module):
        return classifier
    x = torch.cat([image, image.flip(-1, -2)])
    with torch.no_grad(), classifier.frozen():
        # One image at a time: there may be no room for two.
        expected = torch.cat([classifier.logits(one) for one in torch.split(x, 1)])
        faster = copy.copy(classifier)
        ordered = nn.Sequential(_ChannelsLast(), module if folded is None else folded.module)
        faster.module = ordered.eval()  # type: ignore[attr-defined]
        try:
            with faster.frozen():
                given = torch.cat([faster.logits(one) for one in torch.split(x, 1)])
        except RuntimeError as error:
            logger.debug("scores not channels last: %s", error)
            return classifier
    return faster if torch.allclose(expected, given, rtol=0, atol=1e-4 * _spread(expected)) else classifier


def fold_batch_norms(module: nn.Module) -> int:
    """Fold each batch norm into the convolution that stands before it, in place, and return how many there were.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
    >>> fold_batch_norms(net), [type(part).__name__ for part in net]
    (1, ['Conv2d', 'Identity', 'ReLU'])
    """
    count = 0
    for parent in module.modules():
        before: tuple[str, nn.Module] | None = None
        for name, child in list(parent.named_children()):
            rest = what_follows(child)
            convolution = None if before is None else plain_convolution(before[1])
            if (
                before is not None
                and convolution is not None
                and rest is not None
                and isinstance(child, nn.BatchNorm2d)
                and child.num_features == convolution.out_channels  # or it follows another module than the one before it
            ):
                setattr(parent, before[0], fuse_conv_bn_eval(convolution, child))
                setattr(parent, name, rest)
                before, count = None, count + 1
            else:
                before = (name, child)
    return count


def plain_convolution(module: nn.Module) -> nn.Conv2d | None:
    """Return a module that is a convolution by its weights as they are, None for others (timm's ``Conv2dSame`` only pads)."""
    return module if isinstance(module, nn.Conv2d) and type(module).__name__ in ("Conv2d", "Conv2dSame") else None


def what_follows(module: nn.Module) -> nn.Module | None:
    """Return what is left of a batch norm when its affine map is gone: timm's carries an activation. None for other modules."""
    if type(module) is nn.BatchNorm2d:
        return nn.Identity()
    activation = getattr(module, "act", None)
    if isinstance(module, nn.BatchNorm2d) and isinstance(activation, nn.Module):
        return activation  # in eval mode its drop layer does nothing
    return None
