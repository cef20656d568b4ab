"""Proposal Flow: confidences of all matches between the boxes of two images.

Ham, Cho, Schmid, Ponce, "Proposal Flow", CVPR 2016. All share an appearance score ``s(i, j)`` of box i of image A and box j of
image B:

- *NAM*, naive appearance matching: s alone;
- *PHM*, probabilistic Hough matching: s times the votes that all matches give to the same offset and change of scale;
- *LOM*, local offset matching: s times how well the match agrees with the offset on which the boxes that overlap box i agree,
  times the share that these boxes have of all best scores.

Where the formulas leave room, this is how they are read:

- an offset is the difference of the boxes' centers in pixels (B minus A); a *scale* is the ratio of areas, B over A, in
  LOM, and half of its log2 (the log2 of the ratio of sides) in PHM; ``|.|_xy`` is the Euclidean length;
- a box overlaps another when they share at least one pixel; every box overlaps itself, so it is one of its own neighbors;
- boxes that are left out (they touch the border and are not the whole image) neither match nor serve as neighbors; neither
  does a box without any match of positive score take part in its neighbors' median;
- the geometric median starts from the mean; a reweighting step is ``o <- sum(x / max(|x - o|, e)) / sum(1 / max(|x - o|,
  e))``, coordinate by coordinate, e = 1e-2;
- PHM's offsets are counted in square cells, as many as fit the range of all possible offsets 8000 times over; the Gaussian
  of 5 x 5 x 5 bins has a standard deviation of one bin and sums to one; scales beyond the range count in the outermost bin.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from visual_summaries._validate import require_choice
from visual_summaries.flow.features import Features
from visual_summaries.settings.stages import METHODS

_STEPS = 20  # reweighting steps of the geometric median
_NEAREST = 1e-2  # closer than this counts as this close
_PER_PIXEL = 0.05  # LOM: how fast confidence falls with the distance from the local offset ...
_PER_SCALE = 0.3  # ... and with the difference from the local ratio of areas
_SPATIAL_CELLS = 8000
_SCALE_BINS = 20
_SCALE_RANGE = 4.0
_FAR = 1e30  # stands for a coordinate that must not count: its weight, 1e-30, is lost beside that of any other


@dataclass(frozen=True, eq=False)
class Geometry:
    """What matching needs to know of the boxes of one image, computed once and used for all its pairs.

    Attributes
    ----------
    center : Tensor of float32, (n, 2)
        In pixels.
    area : Tensor of float32, (n,)
        In pixels.
    log_aspect : Tensor of float32, (n,)
        log2 of width over height; infinite for boxes that are left out, so that they differ too much from any other.
    nonoverlapping : Tensor of bool, (n, n)
        Which boxes are not neighbors.
    used : Tensor of int64, (m,)
        The boxes that are not left out.
    size : tuple of int
        Height and width of the image.
    """

    center: Tensor
    area: Tensor
    log_aspect: Tensor
    nonoverlapping: Tensor
    used: Tensor
    size: tuple[int, int]

    @classmethod
    def of(cls, features: Features, border: float = 0.01) -> Geometry:
        """Compute the geometry of the boxes; those within the share `border` of the sides from the border are left out."""
        boxes = torch.from_numpy(np.ascontiguousarray(features.boxes)).to(features.descriptors.device, torch.float32)
        low, high = boxes[:, :2], boxes[:, 2:]
        side = high - low
        height, width = features.size
        limit = boxes.new_tensor([width, height])
        touches = ((low < border * limit) | (high > limit - border * limit)).any(1)
        whole = ((low == 0) & (high == limit)).all(1)
        log_aspect = (side[:, 0] / side[:, 1]).log2()
        log_aspect[touches & ~whole] = math.inf
        nonoverlapping = torch.zeros(len(boxes), len(boxes), dtype=torch.bool, device=boxes.device)
        for start, end in zip(low.T.contiguous(), high.T.contiguous(), strict=True):
            nonoverlapping |= start[:, None] >= end  # this one begins where that one has ended
        used = log_aspect.isfinite().nonzero()[:, 0]
        return cls((low + high) / 2, side.prod(1), log_aspect, nonoverlapping | nonoverlapping.T, used, features.size)


def appearance(a: Features, b: Features, geometry_a: Geometry, geometry_b: Geometry, max_aspect_ratio: float = 2.0) -> Tensor:
    """Return the appearance scores s (n_a, n_b), >= 0; 0 where aspect ratios differ too much or a box is left out."""
    if a.descriptors.shape[1] != b.descriptors.shape[1] or a.power != b.power:
        raise ValueError(
            f"descriptors of {a.descriptors.shape[1]} values (power {a.power}) cannot be matched "
            f"with those of {b.descriptors.shape[1]} (power {b.power}); describe both images in the same way"
        )
    scores = (a.descriptors @ b.descriptors.T).clamp_min_(0)
    if a.power == 4:
        scores.square_().square_()  # several times faster than a power
    elif a.power != 1:
        scores.pow_(a.power)
    difference = (geometry_a.log_aspect[:, None] - geometry_b.log_aspect).abs_()
    # inf - inf is nan, which must count as too different as well: hence "not at most" instead of "more than"
    return scores.mul_(difference <= math.log2(max_aspect_ratio) + 1e-6)


def match(
    a: Features,
    b: Features,
    method: str = "lom",
    *,
    max_aspect_ratio: float = 2.0,
    border: float = 0.01,
) -> Tensor:
    """Return the confidence of every match between the boxes of two images.

    Parameters
    ----------
    a, b : Features
    method : str
        ``"nam"``, ``"phm"`` or ``"lom"`` (see the module's description).
    max_aspect_ratio : float
        Pairs of boxes whose aspect ratios differ by more than this factor get 0.
    border : float
        Boxes within this share of the image's sides from its border get 0, except the whole image.

    Returns
    -------
    Tensor of float32, (n_a, n_b)
        Confidences >= 0, on the device of the descriptors. LOM is not symmetric: swapping the images gives other values.

    Raises
    ------
    SettingsError
        If there is no such method.
    ValueError
        If the two images were described in different ways.

    Examples
    --------
    Box 0 of A looks like box 0 of B, which has moved by (10, 4) pixels:

    >>> boxes = np.array([[10, 10, 30, 40], [15, 20, 35, 50]], np.int32)
    >>> a = Features(boxes, torch.eye(2), (80, 90))
    >>> b = Features(boxes + np.array([10, 4, 10, 4], np.int32), torch.eye(2), (80, 90))
    >>> match(a, b, "lom")
    tensor([[1., 0.],
            [0., 1.]])
    """
    require_choice("method", method, METHODS)
    geometry_a, geometry_b = Geometry.of(a, border), Geometry.of(b, border)
    scores = appearance(a, b, geometry_a, geometry_b, max_aspect_ratio)
    return confidences([scores], geometry_a, [geometry_b], method)[0]


def confidences(
    scores: Sequence[Tensor], a: Geometry, others: Sequence[Geometry], method: str, rows: Tensor | None = None
) -> list[Tensor]:
    """Return the confidences (k, n_b) of boxes of A (`rows`, or all) with all boxes of each of several images B.

    `scores` are the appearance scores (n_a, n_b). The result for one image B does not depend on the others.
    """
    chosen = slice(None) if rows is None else rows
    if method == "lom":
        return _by_local_offsets(scores, a, others, rows)
    if method == "phm":
        return [(own * hough_votes(own, a, b))[chosen] for own, b in zip(scores, others, strict=True)]
    return [own[chosen] for own in scores]


def _by_local_offsets(scores: Sequence[Tensor], a: Geometry, others: Sequence[Geometry], rows: Tensor | None) -> list[Tensor]:
    """LOM: the scores, weighed by how well each match agrees with the offset on which the neighbors of its box of A agree."""
    found = [own.max(1) for own in scores]
    score = torch.stack([best.values for best in found])
    partners = [(b, best.indices) for b, best in zip(others, found, strict=True)]
    # How each box of A differs from its partner: x, y, ratio of areas.
    offset = torch.stack([torch.cat([b.center[i] - a.center, (b.area[i] / a.area)[:, None]], 1) for b, i in partners])
    median, weight = torch.zeros_like(offset), torch.zeros_like(score)
    # Only boxes that are not left out are worked on, of these all: what is added up must not depend on the other images.
    wanted = a.used if rows is None else torch.unique(rows)
    wanted = wanted[a.log_aspect[wanted].isfinite()]
    score_used = score[:, a.used]
    nonoverlapping = a.nonoverlapping[wanted][:, a.used]
    out = nonoverlapping | (score_used <= 0)[:, None]
    median[:, wanted] = geometric_medians(offset[:, a.used], out).to(median.dtype)
    weight[:, wanted] = (score_used[:, None] * ~nonoverlapping).sum(2)
    weight /= score.sum(1, keepdim=True).clamp_min(torch.finfo(score.dtype).tiny)
    median, weight = median * (score > 0)[:, :, None], weight * (score > 0)
    chosen = slice(None) if rows is None else rows
    results = []
    for g, (own, b) in enumerate(zip(scores, others, strict=True)):
        position = (a.center + median[g, :, :2])[chosen]  # where the center of each box is expected in B
        x, y = b.center.T
        distance = (x - position[:, :1]).square_()
        distance += (y - position[:, 1:]).square_()
        exponent = distance.sqrt_().mul_(-_PER_PIXEL)
        scale = median[g, chosen, 2]  # the ratio of areas, B over A, that is expected
        exponent.sub_((b.area / a.area[chosen][:, None]).sub_(scale[:, None]).abs_(), alpha=_PER_SCALE)
        results.append(exponent.exp_().mul_(own[chosen]).mul_(weight[g, chosen][:, None]))
    return results


def geometric_medians(points: Tensor, out: Tensor) -> Tensor:
    """Return the geometric median of several subsets of points: 20 reweighting steps from the mean, coordinate by coordinate.

    The steps are taken in double precision: a point within a few hundredths of a pixel of the median weighs by its distance, of
    which single precision leaves little at coordinates of some hundred pixels (confidences were off by 1e-4 of the largest).

    Of the points (g, n, c) of g sets, `out` (g, k, n) says which do not belong to each of k subsets; medians are (g, k, c), 0
    for an empty subset.
    """
    points = _precise(points)
    count = (~out).sum(2)
    median = points.new_zeros(*out.shape[:2], points.shape[2])
    weight = points.new_empty(out.shape)
    for c in range(points.shape[2]):
        value = points[:, None, :, c].contiguous()
        current = torch.where(out, 0, value).sum(2) / torch.where(count > 0, count, 1)
        # Points that do not count are put so far away that their weight vanishes: one pass less than masking in each step.
        place = torch.where(out, _FAR, value)
        for _ in range(_STEPS):
            torch.sub(place, current[:, :, None], out=weight)
            weight.abs_().clamp_min_(_NEAREST).reciprocal_()
            # Sums along rows, not products of matrices: those add up in an order that depends on the number of rows.
            total = weight.sum(2)
            current = weight.mul_(value).sum(2) / total
        median[:, :, c] = torch.where(count > 0, current, 0.0)
    return median


def _precise(tensor: Tensor) -> Tensor:
    """Return a tensor in double precision, or as it is on devices that have none (Apple's GPUs)."""
    return tensor if tensor.device.type == "mps" else tensor.double()


def hough_votes(scores: Tensor, a: Geometry, b: Geometry) -> Tensor:
    """Return, for each match, the votes of all matches for its bin of offset and scale (PHM), (n_a, n_b)."""
    (height_a, width_a), (height_b, width_b) = a.size, b.size
    step = math.sqrt((width_a + width_b) * (height_a + height_b) / _SPATIAL_CELLS)
    columns, rows = math.ceil((width_a + width_b) / step), math.ceil((height_a + height_b) / step)
    # Single precision puts some matches at the edge of a bin into the wrong one.
    (x_a, y_a), (x_b, y_b) = _precise(a.center).T, _precise(b.center).T
    x = ((x_b - x_a[:, None] + width_a) / step).long().clamp_(0, columns - 1)
    y = ((y_b - y_a[:, None] + height_a) / step).long().clamp_(0, rows - 1)
    scale = 0.5 * (_precise(b.area) / _precise(a.area)[:, None]).log2_()
    z = ((scale + _SCALE_RANGE) * (_SCALE_BINS / (2 * _SCALE_RANGE))).floor_().long().clamp_(0, _SCALE_BINS - 1)
    bins = (z * rows + y) * columns + x
    # Each box of A votes at most once in a bin, by its best match there.
    voters = (torch.arange(len(scores), device=scores.device)[:, None] * (_SCALE_BINS * rows * columns) + bins).flatten()
    ballots, inverse = torch.unique(voters, return_inverse=True)
    votes = scores.new_zeros(len(ballots)).scatter_reduce_(0, inverse, scores.flatten(), "amax")
    space = scores.new_zeros(_SCALE_BINS * rows * columns).index_add_(0, ballots % (_SCALE_BINS * rows * columns), votes)
    smooth = _smoothed(space.view(_SCALE_BINS, rows, columns))
    return smooth.flatten()[bins]


def _smoothed(space: Tensor) -> Tensor:
    """Convolve a 3-D array with a Gaussian of 5 x 5 x 5 bins and standard deviation 1; nothing lies outside."""
    kernel = torch.exp(-0.5 * torch.arange(-2.0, 3.0, device=space.device) ** 2)
    kernel = kernel / kernel.sum()
    out = space[None, None]
    for axis in range(3):
        shape = [1, 1, 1, 1, 1]
        shape[2 + axis] = 5
        padding = [0, 0, 0]
        padding[axis] = 2
        out = torch.nn.functional.conv3d(out, kernel.view(shape), padding=padding)
    return out[0, 0]
