"""The minimum, near a mask, of what the network is believed to answer plus the exact geometry; the network is not asked.

Masks here are **evidence**; q is what a mask is to make small: p with the evidence hidden, 1 - p with all else hidden.
"""

from __future__ import annotations

import torch
from torch import Tensor

from visual_summaries.masks.objective import geometry_step
from visual_summaries.masks.settings import FastSchedule, MaskSettings

#: Above what is allowed, q weighs this many times more: the drop comes before the geometry.
EXCESS_WEIGHT = 10.0

#: The network's share of a pixel's slope is cut off here (the geometry's stays within 5).
_LARGEST_PULL = 4.0

#: Pixels that a CPU works on at a time.
_CACHED_PIXELS = 100_000


def minimum_nearby(
    centre: Tensor,
    slope: Tensor,
    log_q: Tensor,
    allowed: Tensor,
    trust: Tensor,
    weight: Tensor,
    settings: MaskSettings,
    schedule: FastSchedule,
) -> Tensor:
    """Return the masks (N, H, W) that minimise modelled q + geometry around known ones, by steps without the network.

    q is modelled as ``q exp(<slope, change>)``.

    Parameters
    ----------
    centre : Tensor, (N, H, W)
        Masks for which the network was asked.
    slope : Tensor, (N, T, H, W)
        Gradient of log q there, of each term.
    log_q, allowed : Tensor, (N, T)
    trust : Tensor, (N,)
        How far each pixel may move.
    weight : Tensor, (N, T)
        Of each term's q.
    settings, schedule
        Coefficients of the geometry; steps and their size.
    """
    # On a CPU a few images at a time: what they take stays in the cache. Elsewhere all at once.
    few = max(1, _CACHED_PIXELS // centre[0].numel()) if slope.shape[1] == 1 else 1
    size = few if centre.device.type == "cpu" else len(centre)
    found = torch.empty_like(centre)
    for i in (slice(start, start + size) for start in range(0, len(centre), size)):
        found[i] = _minimum(centre[i], slope[i].flatten(2), log_q[i], allowed[i], trust[i], weight[i], settings, schedule)
    return found


def _minimum(
    centre: Tensor,
    slope: Tensor,
    log_q: Tensor,
    allowed: Tensor,
    trust: Tensor,
    weight: Tensor,
    settings: MaskSettings,
    schedule: FastSchedule,
) -> Tensor:
    n, h, w = centre.shape
    rate = schedule.inner_rate
    low, high = (centre - trust[:, None, None]).clamp_min_(0), (centre + trust[:, None, None]).clamp_max_(1)
    evidence, moved = centre.clone(), torch.empty_like(centre)
    pull = centre.new_empty(n, 1, h * w)
    buffers = [centre.new_empty(n, h - 1, w) for _ in range(2)] + [centre.new_empty(n, h, w - 1) for _ in range(2)]
    known = log_q - (slope @ centre.view(n, h * w, 1)).squeeze(-1)
    for _ in range(schedule.inner_steps):
        q = (known + (slope @ evidence.view(n, h * w, 1)).squeeze(-1)).clamp_max_(0).exp_()
        strength = q * torch.where(q > allowed, 1 + EXCESS_WEIGHT, 1.0) * weight * (h * w)
        torch.bmm(strength[:, None, :], slope, out=pull).clamp_(-_LARGEST_PULL, _LARGEST_PULL)
        torch.sub(evidence, pull.view_as(evidence), alpha=rate, out=moved)
        geometry_step(moved, evidence, rate, settings.sharp, settings.tv_exponent, buffers)
        torch.clamp(moved, low, high, out=evidence)
    return evidence
