"""What hidden pixels show: the published blur, and other infills to take evidence away.

A mask found with one infill may have found pixels whose *blur* fools the network rather than evidence. Looking at the
same mask under another infill tells (``benchmarks/masks/infill.py``).

Examples
--------
>>> images = torch.rand(2, 3, 40, 56, generator=torch.Generator().manual_seed(0))
>>> [tuple(hide(images, kind).shape) for kind in INFILLS] == [(2, 3, 40, 56)] * len(INFILLS)
True
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from visual_summaries._validate import require_choice
from visual_summaries.masks.perturb import gaussian_blur
from visual_summaries.masks.seen import STRONG_SIGMA, inpainted
from visual_summaries.settings.masks import HELD_OUT, INFILLS, MaskSettings, infills_of


def hide(images: Tensor, kind: str = "blur", *, size: int = 11, sigma: float = 10.0, random_state: int = 0) -> Tensor:
    """Return what hidden pixels show.

    Parameters
    ----------
    images : Tensor, (N, C, H, W)
        Values in [0, 1].
    kind : str
        ``"blur"``: Gaussian of `size` taps and `sigma` (published: 11, 10); ``"strong-blur"``: sigma a tenth of the side.
        ``"mean"``: each image's mean color. ``"noise"``: Gaussian noise with each image's mean and deviation of each channel.
        ``"inpaint"``: each pixel filled in from tiles around it (Telea 2004), by a chessboard of tiles and its complement, on a
        copy of about 112 pixels.
        ``"permuted"``: the image's own pixels in a random order; ``"black"``: zeros. These two are for checks.
    size, sigma : int, float
        Of the published blur.
    random_state : int
        Seed of noise and order; all images get the same pattern, so that an image's does not depend on its batch.

    Returns
    -------
    Tensor, (N, C, H, W)
        Values in [0, 1].

    Raises
    ------
    SettingsError
        If there is no such kind.

    Examples
    --------
    >>> image = torch.zeros(1, 1, 2, 4)
    >>> image[..., 0] = 1.0
    >>> hide(image, "mean").unique().tolist()
    [0.25]
    """
    require_choice("hidden", kind, (*INFILLS, *HELD_OUT))
    if kind == "blur":
        return gaussian_blur(images, size, sigma)
    if kind == "strong-blur":
        strong = STRONG_SIGMA * min(images.shape[-2:])
        return gaussian_blur(images, 2 * math.ceil(3 * strong) + 1, strong)
    if kind == "black":
        return torch.zeros_like(images)
    if kind == "permuted":
        order = torch.randperm(images[0, 0].numel(), generator=torch.Generator().manual_seed(random_state))
        return images.flatten(2)[:, :, order.to(images.device)].view_as(images)
    mean = images.mean(dim=(-2, -1), keepdim=True)
    if kind == "mean":
        return mean.expand_as(images).clone()
    if kind == "noise":
        generator = torch.Generator().manual_seed(random_state)
        noise = torch.randn(images.shape[1:], generator=generator).to(images)
        return (mean + images.std(dim=(-2, -1), keepdim=True) * noise).clamp(0, 1)
    return torch.stack([_inpainted(image) for image in images])


def hidden_pixels(images: Tensor, infill: str, settings: MaskSettings) -> Tensor:
    """Return what hidden pixels of images (N, C, H, W) show with an infill; the settings have the published blur's size."""
    return hide(images, infill, size=settings.blur_size, sigma=settings.blur_sigma)


def make_infills(images: Tensor, settings: MaskSettings) -> list[Tensor]:
    """Return what hidden pixels of images (N, C, H, W) may show, in each of the settings' infills."""
    return [hidden_pixels(images, infill, settings) for infill in infills_of(settings.infill)]


def _inpainted(image: Tensor) -> Tensor:
    pixels = (image.detach().cpu().permute(1, 2, 0).numpy() * 255).round().clip(0, 255).astype(np.uint8)
    return torch.from_numpy(inpainted(pixels)).permute(2, 0, 1).to(image) / 255
