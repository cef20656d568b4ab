"""Masks as level sets: a coarse density, upsampled and blurred, pushed to 0 and 1; and the length of what it draws.

Density filter and projection of topology optimization (Wang, Lazarov & Sigmund 2011, Struct. Multidisc. Optim. 43). Masks here
are **evidence**.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from visual_summaries.masks.perturb import gaussian_blur


def upsampling_matrix(low: int, high: int, sigma: float) -> Tensor:
    """Return the matrix (high, low) that upsamples bilinearly and then blurs, in one dimension.

    Examples
    --------
    >>> upsampling_matrix(2, 4, 0.0).tolist()
    [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]
    """
    rows = torch.eye(low).view(low, 1, 1, low)
    up = F.interpolate(rows, size=(1, high), mode="bilinear", align_corners=False)
    if sigma > 0:
        size = 2 * math.ceil(3 * sigma) + 1
        up = gaussian_blur(up.expand(-1, -1, size, -1), size, sigma)[:, :, size // 2 : size // 2 + 1]
    return up.view(low, high).T.contiguous()


def project(fields: Tensor, contrast: Tensor) -> tuple[Tensor, Tensor]:
    """Push fields (N, H, W) in [0, 1] towards 0 and 1 by a smoothed step at 0.5 that keeps 0, 0.5 and 1 where they are.

    The contrast is (N, 1, 1). Returns the step, and its derivative with respect to the fields.

    Examples
    --------
    >>> step, slope = project(torch.tensor([[[0.0, 0.25, 0.5, 1.0]]]), torch.tensor([[[8.0]]]))
    >>> [round(value, 3) for value in step.flatten().tolist()], round(slope[0, 0, 2].item(), 3)
    ([0.0, 0.018, 0.5, 1.0], 4.003)
    """
    ends = torch.tanh(0.5 * contrast)
    tanh = torch.sub(fields, 0.5).mul_(contrast).tanh_()
    slope = torch.mul(tanh, tanh).neg_().add_(1).mul_(0.5 * contrast / ends)
    return tanh.mul_(0.5 / ends).add_(0.5).clamp_(0, 1), slope


def boundary_gradient(evidence: Tensor) -> Tensor:
    """Return the gradient of the summed ``|grad e|`` of each mask (N, H, W): the length of its boundary, however wide."""
    dx, dy = torch.zeros_like(evidence), torch.zeros_like(evidence)
    torch.sub(evidence[..., :, 1:], evidence[..., :, :-1], out=dx[..., :, :-1])
    torch.sub(evidence[..., 1:, :], evidence[..., :-1, :], out=dy[..., :-1, :])
    norm = torch.mul(dx, dx).addcmul_(dy, dy).add_(1e-8).rsqrt_()
    dx *= norm
    dy *= norm
    gradient = torch.add(dx, dy, out=norm).neg_()
    gradient[..., :, 1:] += dx[..., :, :-1]
    gradient[..., 1:, :] += dy[..., :-1, :]
    return gradient


def large_pieces(evidence: Tensor, smallest: float) -> Tensor:
    """Return evidence (H, W) without its pieces that are smaller than a share of the image; the largest piece stays.

    Pixels that touch by an edge or a corner belong to one piece.

    Examples
    --------
    >>> evidence = torch.tensor([[1, 1, 0, 1], [1, 0, 0, 0]], dtype=torch.bool)
    >>> large_pieces(evidence, 0.2).int().tolist(), large_pieces(evidence, 0.1).int().tolist()
    ([[1, 1, 0, 0], [1, 0, 0, 0]], [[1, 1, 0, 1], [1, 0, 0, 0]])
    """
    labels, count = ndimage.label(evidence.cpu().numpy(), np.ones((3, 3)))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    stays = sizes >= max(smallest * labels.size, 1)
    stays[sizes.argmax()] = count > 0
    stays[0] = False
    return torch.from_numpy(stays[labels]).to(evidence.device)
