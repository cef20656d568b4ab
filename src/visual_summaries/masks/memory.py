"""How many images fit into memory at a time."""

from __future__ import annotations

import os

import torch
from torch import Tensor

from visual_summaries.masks.network import Extra, Network

#: Most images of a batch on a CPU, where larger ones gain nothing (caches), and on an accelerator.
LARGEST_ON_CPU, LARGEST_ON_ACCELERATOR = 16, 256


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
    try:
        with open("/proc/meminfo") as lines:  # noqa: PTH123 - a kernel file, not a path of the user
            for line in lines:
                if line.startswith("MemAvailable"):
                    return int(line.split()[1]) * 1024
    except FileNotFoundError:
        pass  # not Linux: below
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def bytes_of_a_pass(network: Network, image: Tensor) -> int:
    """Return the bytes that autograd keeps of one image (1, C, H, W) between the network's forward and backward pass."""
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network.loss_and_gradient(image, image, image.new_ones(1, *image.shape[-2:]), Extra())
    return sum(kept.values())


def find_batch_size(network: Network, image: Tensor) -> int:
    """Return how many images like `image` (1, C, H, W) go into one pass: as fit into half of the free memory, with a limit."""
    # The weights are counted once for each image although they are shared: an overestimate, on the safe side. Gradients and the
    # workspace of the kernels about double what is kept.
    needed = 2 * bytes_of_a_pass(network, image) + 16 * image.nbytes
    largest = LARGEST_ON_CPU if image.device.type == "cpu" else LARGEST_ON_ACCELERATOR
    return int(max(1, min(largest, free_memory(image.device) // 2 // needed)))
