"""The objective of mask optimization, term by term, as pure functions.

In this module a mask is the ``m`` of the paper's formulas: 1 = pixel untouched, 0 = pixel hidden (the *public* masks of the
package are evidence masks, 1 - m). Every function returns one value for each image, so that the images of a batch never mix:
the gradient of the batch's sum is, image by image, the gradient of that image's own loss.

    L(m) = f(x(m)) + l1 mean(1 - m) + l2 TV_beta(m) + l3 mean(m (1 - m)),    x(m) = x m + b (1 - m)

Source: Godi et al. 2018 (arXiv 1801.09103), section 3.1; the first three terms are those of Fong & Vedaldi 2017
(arXiv 1704.03296).

Examples
--------
>>> import torch
>>> mask = torch.tensor([[[1.0, 1.0, 0.0], [1.0, 0.5, 0.0]]])
>>> area(mask).item(), grayness(mask).item()  # (0 + 0 + 1 + 0 + 0.5 + 1) / 6 and 0.25 / 6
(0.4166..., 0.0416...)
>>> total_variation(mask, 3.0).item()  # rows: 0.5^3 / 3; columns: (0 + 1 + 0.5^3 + 0.5^3) / 4
0.3541...
"""

from __future__ import annotations

from torch import Tensor

from visual_summaries.settings.masks import MaskSchedule


def area(mask: Tensor) -> Tensor:
    """Return ``mean|1 - m|`` of each mask (N, H, W): the share of the image that is hidden."""
    return (1 - mask).abs().mean(dim=(-2, -1))


def grayness(mask: Tensor) -> Tensor:
    """Return ``mean|m (1 - m)|`` of each mask (N, H, W): 0 when every pixel is 0 or 1, at most 0.25."""
    return (mask * (1 - mask)).abs().mean(dim=(-2, -1))


def total_variation(mask: Tensor, exponent: float = 3.0) -> Tensor:
    """Return TV of each mask (N, H, W): the mean of ``|vertical difference|^exponent`` plus that of the horizontal ones.

    Each mean is over the differences that exist: (H - 1) W vertical and H (W - 1) horizontal ones. A direction in which the
    mask has a single pixel contributes 0.
    """
    total = mask.new_zeros(mask.shape[0])
    for dim in (-2, -1):
        if mask.shape[dim] > 1:
            total = total + _power(mask.diff(dim=dim).abs(), exponent).mean(dim=(-2, -1))
    return total


def _power(magnitude: Tensor, exponent: float) -> Tensor:
    """Return ``magnitude ** exponent`` by products where the exponent is the published one: `pow` costs several times that."""
    if exponent == 3.0:
        return magnitude * magnitude * magnitude
    return magnitude if exponent == 1.0 else magnitude**exponent


def geometry(mask: Tensor, stage: MaskSchedule, exponent: float = 3.0) -> Tensor:
    """Return the part of L that needs no network, of each mask (N, H, W): ``l1 area + l2 TV + l3 grayness``.

    Examples
    --------
    >>> import torch
    >>> stage = MaskSchedule(1, l1=0.01, l2=1.0, l3=2.0)
    >>> round(geometry(torch.tensor([[[1.0, 0.0], [1.0, 0.0]]]), stage).item(), 6)  # 0.01 / 2 + 1 * (0 + 1) + 2 * 0
    1.005
    """
    value = mask.new_zeros(mask.shape[0])
    if stage.l1:
        value = value + stage.l1 * area(mask)
    if stage.l2:
        value = value + stage.l2 * total_variation(mask, exponent)
    if stage.l3:
        value = value + stage.l3 * grayness(mask)
    return value


def less(probabilities: Tensor, reference: Tensor) -> Tensor:
    """Return ``mean(max(0, f(x(m)) - f(x)))`` over the classes (N, K): hiding evidence shall not raise other scores.

    Examples
    --------
    >>> import torch
    >>> less(torch.tensor([[0.5, 0.25, 0.25]]), torch.tensor([[0.75, 0.25, 0.0]])).item()  # 0.25 / 3
    0.0833...
    """
    return (probabilities - reference).clamp_min(0).mean(dim=-1)
