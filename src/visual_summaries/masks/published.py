"""The published optimizer: a smooth mask, a sharp one from it, and if requested, one of superpixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from skimage.segmentation import slic
from torch import Tensor

from visual_summaries.masks.network import Network
from visual_summaries.masks.objective import geometry, total_variation
from visual_summaries.masks.perturb import straight_through_blur
from visual_summaries.settings.masks import MaskSchedule, MaskSettings


def label_images(images: Tensor, segments: int = 2000) -> Tensor:
    """Return SLIC superpixel labels (N, H, W), from 0 on for each image, of gray or RGB images (N, C, H, W) in [0, 1]."""
    labels = []
    for image in images.detach().cpu().numpy():
        pixels = image[0] if image.shape[0] == 1 else np.moveaxis(image, 0, -1)
        axis = None if pixels.ndim == 2 else -1
        labels.append(slic(pixels, n_segments=segments, compactness=10.0, sigma=0.5, start_label=0, channel_axis=axis))
    return torch.as_tensor(np.stack(labels), dtype=torch.int64, device=images.device)


def segment_means(maps: Tensor, labels: Tensor) -> Tensor:
    """Return the mean of each map (N, H, W) on each of its superpixels: (N, S), 0 where an image has fewer than S.

    Examples
    --------
    >>> labels = torch.tensor([[[0, 0, 1], [0, 2, 2]]])
    >>> values = segment_means(torch.tensor([[[1.0, 1.0, 0.0], [0.25, 0.5, 1.0]]]), labels)
    >>> values.tolist(), paint(values, labels).tolist()
    ([[0.75, 0.0, 0.75]], [[[0.75, 0.75, 0.0], [0.75, 0.75, 0.75]]])
    """
    flat, index = maps.flatten(1), labels.flatten(1)
    sums = maps.new_zeros(len(maps), int(labels.max()) + 1)
    counts = torch.zeros_like(sums).scatter_add_(1, index, torch.ones_like(flat))
    return sums.scatter_add_(1, index, flat) / counts.clamp_min(1)


def paint(values: Tensor, labels: Tensor) -> Tensor:
    """Return maps (N, H, W) that have on each superpixel its value of `values` (N, S); differentiable."""
    return values.gather(1, labels.flatten(1)).view(labels.shape)


@dataclass(frozen=True)
class Solved:
    """Masks ``m`` (N, H, W) of a batch and the objective at each iteration (iterations, N)."""

    smooth: Tensor
    sharp: Tensor
    superpixel: Tensor | None
    losses: Tensor


#: What a stage needs of a batch: the full mask (N, H, W) -> the network's loss (N,) and its gradient (N, H, W).
AskNetwork = Callable[[Tensor], tuple[Tensor, Tensor]]


def solve_published(
    images: Tensor, infills: Sequence[Tensor], network: Network, generators: list[torch.Generator], random_state: int = 0
) -> Solved:
    """Optimize the masks of a batch of images (N, C, H, W) in [0, 1] by the published procedure.

    Of several infills (N, C, H, W) one is drawn at each step, the same for all images. Each image has a generator of its own,
    so that its noise does not depend on its batch.
    """
    settings = network.settings
    reference = network.probabilities(images) if settings.less else None

    draws = torch.Generator().manual_seed(random_state)

    def ask(mask: Tensor) -> tuple[Tensor, Tensor]:
        hidden = infills[0] if len(infills) == 1 else infills[int(torch.randint(len(infills), (1,), generator=draws))]
        noise = draw_noise(images, settings.noise, generators) if settings.noise else None
        return network.loss_and_gradient(images, hidden, mask, noise, reference)

    n, _, h, w = images.shape
    start = initial_mask(n, -(-h // settings.reduction), -(-w // settings.reduction), images.device).to(images.dtype)
    smooth, losses = solve_smooth(start, (h, w), ask, settings)
    sharp, more = solve_sharp(rescale(smooth), ask, settings)
    history = losses + more
    superpixel = None
    if settings.superpixel is not None:
        labels = label_images(images, settings.segments)
        superpixel, more = solve_superpixel(smooth, labels, ask, settings.superpixel, settings.tv_exponent)
        history += more
    return Solved(smooth, sharp, superpixel, torch.stack(history) if history else images.new_zeros(0, n))


def initial_mask(n: int, h: int, w: int, device: torch.device | None = None) -> Tensor:
    """Return masks (n, h, w) that hide the inscribed disc: 0 inside, 1 outside.

    Examples
    --------
    >>> initial_mask(1, 4, 6)[0].int().tolist()
    [[1, 1, 0, 0, 1, 1], [1, 0, 0, 0, 0, 1], [1, 0, 0, 0, 0, 1], [1, 1, 0, 0, 1, 1]]
    """
    y = torch.arange(h, device=device) - (h - 1) / 2
    x = torch.arange(w, device=device) - (w - 1) / 2
    outside = y[:, None] ** 2 + x[None, :] ** 2 >= (min(h, w) / 2) ** 2
    return outside.float().expand(n, h, w).clone()


def rescale(mask: Tensor) -> Tensor:
    """Stretch the evidence 1 - m of each mask (N, H, W) to a maximum of 1; masks that hide nothing stay as they are.

    Examples
    --------
    >>> rescale(torch.tensor([[[1.0, 0.75, 0.5]], [[1.0, 1.0, 1.0]]])).tolist()
    [[[1.0, 0.5, 0.0]], [[1.0, 1.0, 1.0]]]
    """
    evidence = 1 - mask
    peak = evidence.amax(dim=(-2, -1), keepdim=True)
    return 1 - evidence / torch.where(peak > 0, peak, 1.0)


def upsample(low: Tensor, size: tuple[int, int], sigma: float) -> Tensor:
    """Return the full mask of a low-resolution one: upsampled bilinearly, then blurred, the gradient straight through."""
    full = F.interpolate(low.unsqueeze(1), size=size, mode="bilinear", align_corners=False).squeeze(1)
    return straight_through_blur(full, sigma) if sigma > 0 else full


def solve_smooth(low: Tensor, size: tuple[int, int], ask: AskNetwork, settings: MaskSettings) -> tuple[Tensor, list[Tensor]]:
    """Return the smooth masks (N, H, W) and the objective (N,) at each iteration.

    The terms of area, variation and grayness are those of the low-resolution mask, which is what is optimized.
    """
    low, losses = descend(
        low,
        lambda parameter: upsample(parameter, size, settings.smooth_sigma),
        ask,
        lambda parameter, _: geometry(parameter, settings.smooth, settings.tv_exponent),
        settings.smooth,
    )
    return upsample(low, size, settings.smooth_sigma).clamp(0, 1), losses


def solve_sharp(start: Tensor, ask: AskNetwork, settings: MaskSettings) -> tuple[Tensor, list[Tensor]]:
    """Return the sharp masks (N, H, W), optimized pixel by pixel from `start`, and the objective (N,) at each iteration."""
    stage = settings.sharp
    return descend(start, lambda m: m, ask, lambda m, _: geometry(m, stage, settings.tv_exponent), stage)


def solve_superpixel(
    smooth: Tensor, labels: Tensor, ask: AskNetwork, stage: MaskSchedule, exponent: float
) -> tuple[Tensor, list[Tensor]]:
    """Return masks (N, H, W) that are constant on each superpixel, and the objective (N,) at each iteration.

    One value for each superpixel is optimized; area and grayness are those of the values, the variation that of the pixels.
    """
    present = torch.zeros(len(labels), int(labels.max()) + 1, device=labels.device)
    present.scatter_(1, labels.flatten(1), 1.0)
    count = present.sum(1)  # superpixels of each image: SLIC gives about as many as asked, not the same number everywhere

    def terms(values: Tensor, mask: Tensor) -> Tensor:
        hidden = ((1 - values) * present).sum(1) / count
        gray = (values * (1 - values) * present).sum(1) / count
        return stage.l1 * hidden + stage.l2 * total_variation(mask, exponent) + stage.l3 * gray

    values, losses = descend(segment_means(smooth, labels), lambda v: paint(v, labels), ask, terms, stage)
    return paint(values, labels), losses


def descend(
    start: Tensor,
    to_mask: Callable[[Tensor], Tensor],
    ask: AskNetwork,
    terms: Callable[[Tensor, Tensor], Tensor],
    stage: MaskSchedule,
) -> tuple[Tensor, list[Tensor]]:
    """Run Adam on `start` (N, ...), clamped to [0, 1] after each step.

    `to_mask` makes the full mask (N, H, W) of the parameter, and `terms` gives the rest of the objective (N,) of both; these
    two are differentiable. Returns what the parameter ends as, and the objective before each step.
    """
    parameter = start.clone().requires_grad_()
    # Adam works value by value and each image's loss is its own mean, so an image's steps do not depend on its batch.
    adam = torch.optim.Adam([parameter], lr=stage.learning_rate)
    losses = []
    for _ in range(stage.iterations):
        with torch.enable_grad():
            mask = to_mask(parameter)
            score, gradient = ask(mask.detach())
            rest = terms(parameter, mask)
            # The network's gradient enters as the linear function that has it, so that its graph is gone by now.
            (parameter.grad,) = torch.autograd.grad((mask * gradient).sum() + rest.sum(), parameter)
        adam.step()
        with torch.no_grad():
            parameter.clamp_(0, 1)
        losses.append(score + rest.detach())
    return parameter.detach(), losses


def draw_noise(images: Tensor, deviation: float, generators: list[torch.Generator]) -> Tensor:
    """Return Gaussian noise like `images`, each image's from its own generator."""
    noise = torch.stack([torch.randn(images.shape[1:], generator=generator) for generator in generators])
    return deviation * noise.to(images.device)
