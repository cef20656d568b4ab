"""Superpixels: labels of an image, and masks that are constant on each.

Examples
--------
>>> labels = torch.tensor([[[0, 0, 1], [0, 2, 2]]])
>>> values = segment_means(torch.tensor([[[1.0, 1.0, 0.0], [0.25, 0.5, 1.0]]]), labels)
>>> values.tolist()
[[0.75, 0.0, 0.75]]
>>> paint(values, labels).tolist()
[[[0.75, 0.75, 0.0], [0.75, 0.75, 0.75]]]
"""

from __future__ import annotations

import numpy as np
import torch
from skimage.segmentation import slic
from torch import Tensor


def label_images(images: Tensor, segments: int = 2000, compactness: float = 10.0, sigma: float = 0.5) -> Tensor:
    """Return SLIC superpixel labels of images in [0, 1].

    Parameters
    ----------
    images : Tensor, (N, C, H, W)
        One channel (grey) or three (RGB; clustered in Lab).
    segments, compactness, sigma : int, float, float
        SLIC's parameters (published: 2000, 10, 0.5).

    Returns
    -------
    Tensor of int64, (N, H, W)
        Labels from 0 on, for each image.
    """
    labels = []
    for image in images.detach().cpu().numpy():
        pixels = image[0] if image.shape[0] == 1 else np.moveaxis(image, 0, -1)
        axis = None if pixels.ndim == 2 else -1
        labels.append(slic(pixels, n_segments=segments, compactness=compactness, sigma=sigma, start_label=0, channel_axis=axis))
    return torch.as_tensor(np.stack(labels), dtype=torch.int64, device=images.device)


def segment_means(maps: Tensor, labels: Tensor) -> Tensor:
    """Return the mean of each map (N, H, W) on each of its superpixels: (N, S), 0 where an image has fewer than S."""
    flat, index = maps.flatten(1), labels.flatten(1)
    sums = maps.new_zeros(len(maps), int(labels.max()) + 1)
    counts = torch.zeros_like(sums).scatter_add_(1, index, torch.ones_like(flat))
    return sums.scatter_add_(1, index, flat) / counts.clamp_min(1)


def paint(values: Tensor, labels: Tensor) -> Tensor:
    """Return maps (N, H, W) that have on each superpixel its value of `values` (N, S); differentiable."""
    return values.gather(1, labels.flatten(1)).view(labels.shape)
