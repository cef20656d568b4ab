"""What is measured before the first mask: how many images fit into memory, and the fastest way to gradients."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from visual_summaries.masks.gradients import faster_scores, fastest_gradient_mode, fold
from visual_summaries.masks.network import GivesLogits, GradientMode, Network, ScoresOutputs, mode_in_words
from visual_summaries.settings.masks import MaskSettings

if TYPE_CHECKING:
    from visual_summaries.classifiers import Classifier


#: Most images of a batch on a CPU, where larger ones gain nothing, and on an accelerator.
LARGEST_ON_CPU, LARGEST_ON_ACCELERATOR = 32, 256


def free_memory(device: torch.device) -> int:
    """Return the bytes that can still be allocated on `device` (on the CPU: what the operating system calls available).

    Examples
    --------
    >>> free_memory(torch.device("cpu")) > 0
    True
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2  # where the system does not tell
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable"):
                available = int(line.split()[1]) * 1024
    return min(available, free_in_group())


def free_in_group(folder: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the bytes that the process's control group (a container's limit) leaves; very many where there is no limit.

    Examples
    --------
    >>> free_in_group(Path("no/such/folder")) > 2**60
    True
    """
    for limit, used in (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes")):
        try:
            most, now = (folder / limit).read_text().strip(), int((folder / used).read_text())
        except (OSError, ValueError):
            continue  # the other version of control groups, or none
        if most.isdecimal():
            return max(int(most) - now + _cache_in_group((folder / used).parent), 0)
    return 2**62


def _cache_in_group(folder: Path) -> int:
    """Bytes of files that the kernel keeps for the group and gives up when they are wanted."""
    try:
        lines = (folder / "memory.stat").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))


def bytes_of_a_pass(network: Network, image: Tensor) -> int:
    """Return the bytes that autograd keeps of one image (1, C, H, W) between the network's forward and backward pass."""
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network.loss_and_gradient(image, image, image.new_ones(1, *image.shape[-2:]))
    return sum(kept.values())


def find_batch_size(network: Network, image: Tensor) -> int:
    """Return how many images like `image` (1, C, H, W) go into one pass: as fit into half of the free memory, with a limit."""
    # The weights are counted once for each image although they are shared: an overestimate, on the safe side. Gradients and the
    # workspace of the kernels about double what is kept.
    needed = 2 * bytes_of_a_pass(network, image) + 16 * image.nbytes
    largest = LARGEST_ON_CPU if image.device.type == "cpu" else LARGEST_ON_ACCELERATOR
    return int(max(1, min(largest, free_memory(image.device) // 2 // needed)))


logger = logging.getLogger("visual_summaries")


@dataclass(frozen=True)
class MaskPlan:
    """What was found by measuring: images at a time, and how gradients are computed (:class:`GradientMode`).

    The same plan, images and batches give the same masks bit for bit.
    """

    batch_size: int
    bfloat16: bool = False
    channels_last: bool = False
    folded: bool = False

    def in_words(self) -> str:
        """Return how gradients are computed."""
        return mode_in_words(self.bfloat16, self.channels_last, self.folded)


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
        network.mode = GradientMode(plan.bfloat16, plan.channels_last, folded if plan.folded else None)
    else:
        network.mode = fastest_gradient_mode(network, image, folded)
        logger.info("mask gradients in %s, %d images at a time", network.mode.in_words(), network.chunk)
        network.passes = 0
    return network


def plan_masks(classifier: Classifier, view: NDArray[np.uint8], target: ScoresOutputs, settings: MaskSettings) -> MaskPlan:
    """Measure on one view (H, W, 3) how many images fit into memory at a time and how gradients are computed fastest."""
    with torch.no_grad(), classifier.frozen():
        network = make_network(classifier, target, settings, classifier.to_tensor([view]).clone())
    mode = network.mode
    return MaskPlan(network.chunk, mode.bfloat16, mode.channels_last, mode.classifier is not None)
