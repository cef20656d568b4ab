"""Hiding pixels: the image that a mask fades to, and the masked mixture of both.

Examples
--------
>>> image = torch.zeros(1, 1, 15, 15)
>>> image[..., 7, 7] = 1.0
>>> hidden = gaussian_blur(image, size=11, sigma=10.0)
>>> bool(hidden.max() < 0.02), round(hidden.sum().item(), 4)  # spread out, nothing lost
(True, 1.0)
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_WIDE = 63  # taps


def gaussian_kernel(size: int, sigma: float, device: torch.device | None = None) -> Tensor:
    """Return a one-dimensional Gaussian of `size` taps that sums to 1.

    Examples
    --------
    >>> [round(tap, 3) for tap in gaussian_kernel(3, 1.0).tolist()]
    [0.274, 0.452, 0.274]
    """
    offsets = torch.arange(size, dtype=torch.float32, device=device) - (size - 1) / 2
    weights = torch.exp(-0.5 * (offsets / sigma) ** 2)
    return weights / weights.sum()


def gaussian_blur(maps: Tensor, size: int, sigma: float) -> Tensor:
    """Blur maps (N, C, H, W) by a Gaussian of `size` x `size` taps (odd), sigma in pixels; the border's values continue."""
    kernel = gaussian_kernel(size, sigma, maps.device).to(maps.dtype)
    n, c, h, w = maps.shape
    if size > _WIDE:
        return _blur_matrix(h, kernel) @ maps @ _blur_matrix(w, kernel).T
    half = size // 2
    # Channels go into the batch: one plain convolution instead of a grouped one, whatever C is.
    flat = F.pad(maps.reshape(n * c, 1, h, w), (half, half, half, half), mode="replicate")
    flat = F.conv2d(flat, kernel.view(1, 1, 1, -1))
    return F.conv2d(flat, kernel.view(1, 1, -1, 1)).view(n, c, h, w)


def _blur_matrix(length: int, kernel: Tensor) -> Tensor:
    """Return the matrix (length, length) that blurs along one side: faster than a convolution where the kernel is wide."""
    offsets = torch.arange(len(kernel), device=kernel.device) - len(kernel) // 2
    places = torch.arange(length, device=kernel.device)[:, None] + offsets
    return kernel.new_zeros(length, length).scatter_add_(1, places.clamp(0, length - 1), kernel.expand(length, -1))


def perturb(images: Tensor, hidden: Tensor, mask: Tensor) -> Tensor:
    """Return ``x m + b (1 - m)`` of images and what hides them (N, C, H, W), and masks (N, H, W), where 1 = pixel untouched.

    Examples
    --------
    >>> perturb(torch.ones(1, 1, 1, 2), torch.zeros(1, 1, 1, 2), torch.tensor([[[1.0, 0.25]]])).tolist()
    [[[[1.0, 0.25]]]]
    """
    return torch.lerp(hidden, images, mask.unsqueeze(1))


def straight_through_blur(mask: Tensor, sigma: float) -> Tensor:
    """Blur masks (N, H, W) with a Gaussian; the gradient passes as if nothing had been done.

    Examples
    --------
    >>> mask = torch.zeros(1, 9, 11, requires_grad=True)
    >>> blurred = straight_through_blur(mask, 2.0)
    >>> blurred[0, 4, 5].backward()
    >>> mask.grad.nonzero().tolist()  # one pixel asked, one pixel answers
    [[0, 4, 5]]
    """
    with torch.no_grad():
        blurred = gaussian_blur(mask.unsqueeze(1), 2 * math.ceil(3 * sigma) + 1, sigma).squeeze(1)
        difference = blurred - mask
    return mask + difference
