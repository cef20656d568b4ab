"""Windows on feature maps: the mean of a map in a window, exactly, as a product of two small matrices.

A window's mean is its rows' weights times the map times its columns' weights. So a linear detector slides over a map as a
convolution of 1 x 1 (its weights) and two matrices that all windows of one size share; a window that leaves the map is cut at
the border.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, normalize

Value = TypeVar("Value", Tensor, NDArray[np.float64])


def bounded(values: Value, limit: float) -> Value:
    """Return values in plus and minus `limit`: smoothly, so that there is a gradient everywhere; small ones hardly change.

    Examples
    --------
    >>> bounded(torch.tensor([0.1, 4.0, 1000.0]), 4.0).round(decimals=2)
    tensor([0.1000, 2.8300, 4.0000])
    """
    result: Value = values / (1 + (values / limit) ** 2) ** 0.5
    return result


def span_weights(low: Tensor, high: Tensor, cells: int) -> Tensor:
    """Return how much (..., cells) of spans in [0, 1], the whole length of a row of cells, each cell is; the sum is 1.

    Examples
    --------
    >>> span_weights(torch.tensor([0.0, 0.25, -1.0]), torch.tensor([0.5, 0.75, 0.125]), 4)
    tensor([[0.5000, 0.5000, 0.0000, 0.0000],
            [0.0000, 0.5000, 0.5000, 0.0000],
            [1.0000, 0.0000, 0.0000, 0.0000]])
    """
    edges = torch.arange(cells + 1, dtype=low.dtype, device=low.device) / cells
    low, high = low.clamp(0, 1)[..., None], high.clamp(0, 1)[..., None]
    inside = (torch.minimum(high, edges[1:]) - torch.maximum(low, edges[:-1])).clamp_min(0)
    return inside / inside.sum(-1, keepdim=True).clamp_min(1e-9)


def place_weights(sizes: Tensor, places: int, cells: int) -> Tensor:
    """Return the weights of windows of given sizes around centers at ``(i + 0.5) / places``: ``(..., places, cells)``."""
    centers = (torch.arange(places, dtype=sizes.dtype, device=sizes.device) + 0.5) / places
    half = sizes[..., None] / 2
    return span_weights(centers - half, centers + half, cells)


def reduced(feature_map: Tensor, cells: int) -> Tensor:
    """Return maps (N, C, h, w) averaged down to at most `cells` along each side, every cell's channels of length 1."""
    rows, columns = min(feature_map.shape[2], cells), min(feature_map.shape[3], cells)
    small = feature_map.float()
    if (rows, columns) != tuple(feature_map.shape[2:]):
        small = adaptive_avg_pool2d(small, (rows, columns))
    return normalize(small, dim=1, eps=1e-6)


def pool(feature_map: Tensor, boxes: Tensor) -> Tensor:
    """Return the means of maps in boxes.

    Parameters
    ----------
    feature_map : Tensor, (C, h, w) or (n, C, h, w)
        The same for all boxes, or one for each.
    boxes : Tensor, (n, 4)
        ``(x0, y0, x1, y1)`` over width and height, in [0, 1].

    Returns
    -------
    Tensor, (n, C)

    Examples
    --------
    >>> pool(torch.arange(8.0).reshape(1, 2, 4), torch.tensor([[0, 0, 0.5, 1], [0.75, 0.5, 1, 1]])).tolist()
    [[2.5], [7.0]]
    """
    maps = feature_map if feature_map.ndim == 4 else feature_map.expand(len(boxes), *feature_map.shape)
    rows = span_weights(boxes[:, 1], boxes[:, 3], maps.shape[2])
    columns = span_weights(boxes[:, 0], boxes[:, 2], maps.shape[3])
    return (maps.to(rows.dtype) * rows[:, None, :, None] * columns[:, None, None, :]).sum(dim=(2, 3))


def slide(maps: list[Tensor] | tuple[Tensor, ...], weights: list[Tensor], bias: Tensor, sizes: Tensor, places: int) -> Tensor:
    """Return linear detectors' scores of all their windows.

    Parameters
    ----------
    maps : sequence of Tensor, (N, C, h, w)
        Feature maps, one for each depth.
    weights : sequence of Tensor, (P, C)
        Of each detector, for each depth.
    bias : Tensor, (P,)
    sizes : Tensor, (P, S, 2)
        Heights and widths of each detector's windows over the image's.
    places : int
        Places of windows along each side.

    Returns
    -------
    Tensor, (N, P, S, places, places)
        The score of a window is the sum over depths of ``weights @ mean of the map in the window``, plus bias.

    Examples
    --------
    >>> where = torch.zeros(1, 1, 4, 4)
    >>> where[0, 0, 1, 2] = 1
    >>> scores = slide([where], [torch.ones(1, 1)], torch.zeros(1), torch.full((1, 1, 2), 0.25), 4)
    >>> scores.shape, int(scores.flatten().argmax()), float(scores.max())
    (torch.Size([1, 1, 1, 4, 4]), 6, 1.0)
    """
    total = bias[None, :, None, None, None]
    for one, weight in zip(maps, weights, strict=True):
        response = torch.nn.functional.conv2d(one, weight[:, :, None, None])
        rows = place_weights(sizes[..., 0], places, response.shape[2])
        columns = place_weights(sizes[..., 1], places, response.shape[3])
        total = total + torch.matmul(rows[None], torch.matmul(response[:, :, None], columns[None].transpose(-1, -2)))
    return total
