"""Histograms of oriented gradients of boxes: the published descriptor of a region.

Felzenszwalb, Girshick, McAllester, Ramanan, "Object Detection with Discriminatively Trained Part-Based Models", TPAMI 2010,
section 6.

Every pixel votes, with its gradient magnitude (of the color channel where that is largest), for one of 18 signed
directions of its four nearest cells of 8 x 8 pixels, bilinearly. Each cell's histogram is divided by the gradient energy of
each of the four blocks of 2 x 2 cells that hold it, truncated at 0.2, and summed up to 31 channels: 18 signed directions, 9
unsigned ones, and the energy that each of the four blocks left.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

CELL = 8  #: side of a cell in pixels
CELLS = 8  #: cells along each side of a box's descriptor
CHANNELS = 31  #: 18 signed + 9 unsigned directions + 4 textures
DIMENSION = CELLS * CELLS * CHANNELS  #: 1984

_SIDE = CELL * (CELLS + 2)  # the padded box: one cell more on each side
_BATCH = 64  # boxes worked on at a time, which bounds the memory
_TRUNCATION = 0.2
# The sum of four normalized histograms is halved and the texture divided by sqrt(18): both then lie in [0, 0.8] or so and no
# channel group outweighs the others before whitening, which makes the choice immaterial but for its ridge.
_DIRECTION_SCALE = 0.5
_TEXTURE_SCALE = 1 / math.sqrt(18)
_EPSILON = 1e-4


def hog_cells(images: Tensor) -> Tensor:
    """Return the 31 HOG channels of every inner cell of a batch of images of one size.

    Images ``(N, 3, H, W)`` are RGB in [0, 255], H and W multiples of 8 from 24; cells are ``(N, H / 8 - 2, W / 8 - 2, 31)``:
    the outermost ring only serves to normalize the others. Channels: 18 signed directions (the gradient's angle in steps of 20
    degrees from +x towards +y, down), 9 unsigned ones, 4 textures (blocks up-left, up-right, down-left, down-right).

    Examples
    --------
    >>> ramp = torch.arange(32.0).expand(1, 3, 24, 32)  # brighter to the right: direction 0 and nothing else
    >>> cells = hog_cells(ramp)
    >>> cells.shape, cells[0, 0, 0].nonzero().flatten().tolist()
    (torch.Size([1, 1, 2, 31]), [0, 18, 27, 28, 29, 30])
    """
    sides = images.shape[2:]
    if images.ndim != 4 or images.shape[1] != 3 or min(sides) < 3 * CELL or any(side % CELL for side in sides):
        raise ValueError(
            f"images has shape {tuple(images.shape)}, but must be (N, 3, H, W) with H and W multiples of {CELL} from {3 * CELL}"
        )
    magnitude, direction = _gradients(images.float())
    return _normalized(_histograms(magnitude, direction))


def _gradients(images: Tensor) -> tuple[Tensor, Tensor]:
    """Magnitude and direction (0..17) of each pixel's gradient, (N, H, W); the outermost pixels have none."""
    dx = images[:, :, 1:-1, 2:] - images[:, :, 1:-1, :-2]
    dy = images[:, :, 2:, 1:-1] - images[:, :, :-2, 1:-1]
    squared, channel = (dx * dx).addcmul_(dy, dy).max(dim=1, keepdim=True)
    dx, dy = dx.gather(1, channel)[:, 0], dy.gather(1, channel)[:, 0]
    direction = torch.atan2(dy, dx).mul_(9 / math.pi).round_().long().remainder_(18)
    pad = (1, 1, 1, 1)
    return torch.nn.functional.pad(squared[:, 0].sqrt_(), pad), torch.nn.functional.pad(direction, pad)


def _histograms(magnitude: Tensor, direction: Tensor) -> Tensor:
    """Bilinear votes of all pixels for the directions of the cells, (N, cells down, cells across, 18)."""
    n, height, width = magnitude.shape
    rows, columns = height // CELL, width // CELL
    # Votes are spread separably: along x into a table for each pixel row, then along y by one small matrix product.
    x = (torch.arange(width, device=magnitude.device) + 0.5) / CELL - 0.5
    left = x.floor().long()
    weight = x - left
    table = magnitude.new_zeros(n * height, (columns + 2) * 18)  # a spare cell on each side takes the votes that fall outside
    index = direction + (left + 1) * 18
    table.scatter_add_(1, index.view(n * height, width), (magnitude * (1 - weight)).view(n * height, width))
    table.scatter_add_(1, (index + 18).view(n * height, width), (magnitude * weight).view(n * height, width))
    table = table.view(n, height, columns + 2, 18)[:, :, 1:-1].reshape(n, height, columns * 18)
    return (_spread(height, magnitude) @ table).view(n, rows, columns, 18)


def _spread(size: int, like: Tensor) -> Tensor:
    """Matrix (cells, pixels) of the linear weights with which pixels along one axis vote for cells."""
    pixel = (torch.arange(size, device=like.device) + 0.5) / CELL
    cell = torch.arange(size // CELL, device=like.device) + 0.5
    return (1 - (pixel[None, :] - cell[:, None]).abs()).clamp_min_(0).to(like.dtype)


def _normalized(histogram: Tensor) -> Tensor:
    """Normalize (N, R, C, 18) histograms over the four blocks of each inner cell: (N, R - 2, C - 2, 31)."""
    unsigned = histogram[..., :9] + histogram[..., 9:]
    energy = unsigned.square().sum(-1)
    block = energy[:, :-1, :-1] + energy[:, :-1, 1:] + energy[:, 1:, :-1] + energy[:, 1:, 1:]
    inverse = (block + _EPSILON).rsqrt_()
    rows, columns = energy.shape[1] - 2, energy.shape[2] - 2
    signed, unsigned = histogram[:, 1:-1, 1:-1], unsigned[:, 1:-1, 1:-1]
    out = histogram.new_zeros(len(histogram), rows, columns, CHANNELS)
    for k, (i, j) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
        scale = inverse[:, i : i + rows, j : j + columns, None]
        part = (signed * scale).clamp_max_(_TRUNCATION)
        out[..., :18] += part
        out[..., 18:27] += (unsigned * scale).clamp_max_(_TRUNCATION)
        out[..., 27 + k] = part.sum(-1).mul_(_TEXTURE_SCALE)
    out[..., :27] *= _DIRECTION_SCALE
    return out


def crop_boxes(image: NDArray[np.uint8], boxes: ArrayLike) -> NDArray[np.uint8]:
    """Cut out the boxes, padded by one cell on each side, and resize each to 80 x 80.

    A cell is an eighth of the box; the padding is rounded to whole pixels (at least one). Beyond the image its border is
    repeated.
    """
    boxes = np.asarray(boxes, np.int64).reshape(-1, 4)
    size = np.stack([boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]], 1)
    pad = np.maximum(np.rint(size / CELLS).astype(np.int64), 1)
    margin = int(pad.max(initial=1))
    padded = cv2.copyMakeBorder(np.ascontiguousarray(image), margin, margin, margin, margin, cv2.BORDER_REPLICATE)
    low = boxes[:, :2] - pad + margin
    high = boxes[:, 2:] + pad + margin
    crops = np.empty((len(boxes), _SIDE, _SIDE, 3), np.uint8)
    for crop, (x0, y0), (x1, y1) in zip(crops, low, high, strict=True):
        crop[...] = _resized(padded[y0:y1, x0:x1])
    return crops


def _resized(patch: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Resize to 80 x 80, averaging along an axis that shrinks and interpolating along one that grows."""
    height, width = patch.shape[:2]
    shrunk = (min(width, _SIDE), min(height, _SIDE))
    if shrunk != (width, height):
        patch = cv2.resize(patch, shrunk, interpolation=cv2.INTER_AREA)
    if shrunk != (_SIDE, _SIDE):
        patch = cv2.resize(patch, (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR)
    return patch


def hog_boxes(image: NDArray[np.uint8], boxes: ArrayLike) -> Tensor:
    """Return the HOG descriptors (n, 1984) of boxes: 8 x 8 cells x 31 channels, row by row, not whitened."""
    crops = torch.from_numpy(crop_boxes(image, boxes))
    parts = [hog_cells(chunk.permute(0, 3, 1, 2)).flatten(1) for chunk in torch.split(crops, _BATCH)]
    return torch.cat(parts) if parts else torch.zeros(0, DIMENSION)
