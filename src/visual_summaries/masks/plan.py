"""What is decided before the first mask: how many images at a time, and how their gradients are computed."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from visual_summaries.masks.kernel import faster_scores, fastest_kernel, fold
from visual_summaries.masks.memory import find_batch_size
from visual_summaries.masks.network import GivesLogits, Kernel, Network, ScoresOutputs, kernel_in_words
from visual_summaries.settings.masks import MaskSettings

if TYPE_CHECKING:
    from visual_summaries.classifiers import Classifier

logger = logging.getLogger("visual_summaries")


@dataclass(frozen=True)
class MaskPlan:
    """What was found by measuring before the first mask; the same plan, images and batches give the same masks bit for bit.

    Attributes
    ----------
    batch_size : int
        Images optimised at a time.
    bfloat16, channels_last, folded : bool
        How gradients are computed; see :class:`~visual_summaries.masks.network.Kernel`.
    """

    batch_size: int
    bfloat16: bool = False
    channels_last: bool = False
    folded: bool = False

    def in_words(self) -> str:
        """Return how gradients are computed.

        Examples
        --------
        >>> MaskPlan(16, channels_last=True, folded=True).in_words()
        'float32, channels last, batch norm folded'
        """
        return kernel_in_words(self.bfloat16, self.channels_last, self.folded)


def make_network(
    classifier: GivesLogits, target: ScoresOutputs, settings: MaskSettings, image: Tensor, plan: MaskPlan | None = None
) -> Network:
    """Return the network ready to be asked: with its batch size and the fastest way to its gradients.

    Both are found by measuring on `image` (1, C, H, W), unless a plan says what was found before.
    """
    network = Network(classifier, target, settings, chunk=settings.batch_size or 1)
    if plan is not None:
        network.chunk = plan.batch_size
    elif settings.batch_size is None:
        network.chunk = find_batch_size(network, image)
    if settings.precision != "auto":
        return network
    folded = fold(classifier, image)
    network.scorer = faster_scores(classifier, image, folded)
    if plan is not None:
        network.kernel = Kernel(plan.bfloat16, plan.channels_last, folded if plan.folded else None)
    else:
        network.kernel = fastest_kernel(network, image, folded)
        logger.info("mask gradients in %s, %d images at a time", network.kernel.in_words(), network.chunk)
        network.passes = 0
    return network


def plan_masks(classifier: Classifier, view: NDArray[np.uint8], target: ScoresOutputs, settings: MaskSettings) -> MaskPlan:
    """Measure on one view (H, W, 3) how many images fit into memory at a time and how gradients are computed fastest."""
    with torch.no_grad(), classifier.frozen():
        network = make_network(classifier, target, settings, classifier.to_tensor([view]).clone())
    kernel = network.kernel
    return MaskPlan(network.chunk, kernel.bfloat16, kernel.channels_last, kernel.classifier is not None)
