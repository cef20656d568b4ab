"""Dense flow between two images from the matches of their boxes, and warping by it.

Published (METHOD of Ham et al. 2016, section 3.3 "Flow field generation"): each pixel takes the affine map between the
boxes of the most confident match that covers it; pixels whose match is not confirmed in the other direction are dropped;
holes are filled and edges kept by an edge-aware filter guided by the image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from visual_summaries._short import Short
from visual_summaries._validate import require_choice, require_contrib
from visual_summaries.flow.features import Features
from visual_summaries.results import Box
from visual_summaries.settings.stages import ASSIGNMENTS

#: Edge-aware filters accepted by :func:`dense_flow`.
FILTERS = ("fast_global_smoother", "none")

_LAMBDA = 500.0  # fast global smoother: strength ...
_SIGMA = 8.0  # ... and the color difference that stops it
_VOTERS = 32  # most heavily weighted matches of a pixel that vote
_BANDWIDTH = 0.05  # displacements this share of the other image's longer side apart support each other
_SHIFTS = 5  # mean-shift steps from the best supported displacement
_VOTE_CELLS = 32  # votes are counted on a grid of about this many cells along the shorter side
_FLOOR = 1e-6  # a share of valid neighbors below this is none at all


@dataclass(frozen=True, eq=False, repr=False)
class DenseFlow(Short):
    """Where each pixel of image A lies in image B.

    Attributes
    ----------
    flow : ndarray of float32, (H, W, 2)
        Displacement (x, y) in pixels: pixel (x, y) of A lies at ``(x, y) + flow[y, x]`` of B.
    valid : ndarray of bool, (H, W)
        Pixels whose displacement came from a match confirmed in both directions; the others were filled in.
    """

    flow: NDArray[np.float32]
    valid: NDArray[np.bool_]


def dense_flow(
    a: Features,
    b: Features,
    confidences: torch.Tensor,
    *,
    guide: NDArray[np.uint8] | None = None,
    assignment: str = "vote",
    completion: str = "fast_global_smoother",
    tolerance: float = 0.1,
) -> DenseFlow:
    """Return the pixel flow from image A to image B that the matches of their boxes imply.

    Parameters
    ----------
    a, b : Features
    confidences : Tensor, (n_a, n_b)
        What :func:`~visual_summaries.flow.match` gives for `a` and `b`.
    guide : ndarray of uint8, (H, W, 3), optional
        Image A, whose edges the filled flow keeps. Without it the smoothing ignores edges.
    assignment : str
        How a pixel chooses among the matches that cover it: ``"best"`` takes the most confident one (published), ``"vote"`` the
        densest group of displacements, each match weighted by its confidence and by how nearly it is its partner's best match,
        too.
    completion : str
        ``"fast_global_smoother"``, or ``"none"``: pixels without a match take the displacement of the nearest valid one.
    tolerance : float
        A pixel is confirmed when going to B and back ends at most this share of the image's longer side away from it.

    Returns
    -------
    DenseFlow
        In the size of image A.

    Raises
    ------
    SettingsError
        If there is no such filter or assignment.
    ValueError
        If the shapes do not belong together.

    Examples
    --------
    One box, moved by (10, 4) pixels:

    >>> box = np.array([[10, 10, 30, 40]], np.int32)
    >>> a = Features(box, torch.ones(1, 1), (60, 90))
    >>> b = Features(box + np.array([10, 4, 10, 4], np.int32), torch.ones(1, 1), (60, 90))
    >>> result = dense_flow(a, b, torch.ones(1, 1), completion="none")
    >>> result.flow[20, 20], int(result.valid.sum())
    (array([10.,  4.], dtype=float32), 600)
    """
    require_choice("assignment", assignment, ASSIGNMENTS)
    require_choice("completion", completion, FILTERS)
    if tuple(confidences.shape) != (len(a), len(b)):
        raise ValueError(f"confidences has shape {tuple(confidences.shape)}, but the images have {len(a)} and {len(b)} boxes")
    if guide is not None and guide.shape[:2] != a.size:
        raise ValueError(f"guide has shape {guide.shape}, but image A has height and width {a.size}")
    table = confidences.detach().cpu()
    assign = _most_confident if assignment == "best" else _voted
    flow, found = assign(a.boxes, b.boxes, table, a.size, max(b.size))
    back, found_back = assign(b.boxes, a.boxes, table.T, b.size, max(a.size))
    valid = found & _confirmed(flow, back, found_back, tolerance * max(a.size))
    if valid.any():  # else the unconfirmed flow is the best there is
        flow = _completed(flow, valid, guide, completion)
    return DenseFlow(flow, valid)


def _affine(boxes: NDArray[np.int32], others: NDArray[np.int32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return scale and shift (n, 2) of the maps from each box to its partner: displacement = place * (scale - 1) + shift."""
    source, target = boxes.astype(np.float32), others.astype(np.float32)
    scale = (target[:, 2:] - target[:, :2]) / (source[:, 2:] - source[:, :2])
    # Pixel centers lie half a pixel inside: x' + 1/2 = target + (x + 1/2 - source) * scale.
    shift = target[:, :2] - source[:, :2] * scale + 0.5 * scale - 0.5
    return scale.astype(np.float32), shift.astype(np.float32)


def _most_confident(
    boxes: NDArray[np.int32], others: NDArray[np.int32], confidences: torch.Tensor, size: tuple[int, int], _reach: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Flow of each pixel by the most confident match that covers it, and where there is one."""
    height, width = size
    best, partner = confidences.max(1)
    order = torch.argsort(best, stable=True)
    owner = np.full((height, width), -1, np.int32)
    for i in order[best[order] > 0].tolist():  # the most confident is painted last, over the others
        x0, y0, x1, y1 = boxes[i]
        owner[y0:y1, x0:x1] = i
    found = owner >= 0
    scale, shift = _affine(boxes, others[partner.numpy()])
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    place = np.stack([x, y], 2)
    flow = np.where(found[:, :, None], place * (scale[owner] - 1) + shift[owner], 0)
    return flow.astype(np.float32), found


def _voted(
    boxes: NDArray[np.int32], others: NDArray[np.int32], confidences: torch.Tensor, size: tuple[int, int], reach: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Flow of each pixel by the mode of the displacements of the matches that cover it, and where there is one.

    Counted on a grid of some pixels' width and interpolated: the matches' boxes are no finer.
    """
    height, width = size
    best, partner = confidences.max(1)
    rival = confidences.max(0).values[partner]
    weight = best * best / rival.clamp_min(torch.finfo(best.dtype).tiny)
    step = max(2, round(min(size) / _VOTE_CELLS))
    rows, columns = math.ceil(height / step), math.ceil(width / step)
    y, x = (((torch.arange(n) + 0.5) * extent / n - 0.5) for n, extent in ((rows, height), (columns, width)))
    left, top, right, bottom = torch.from_numpy(boxes.astype(np.float32)).T
    down = (y[:, None] >= top - 0.5) & (y[:, None] < bottom - 0.5)
    across = (x[:, None] >= left - 0.5) & (x[:, None] < right - 0.5)
    cover = (down[:, None] & across[None]).view(rows * columns, len(boxes))
    vote, voter = (cover * weight).topk(min(_VOTERS, len(boxes)), 1)
    scale, shift = (torch.from_numpy(part) for part in _affine(boxes, others[partner.numpy()]))
    place = torch.stack([x.expand(rows, -1), y[:, None].expand(-1, columns)], 2).view(-1, 1, 2)
    displacement = place * (scale[voter] - 1) + shift[voter]
    mode = _mode(displacement, vote, _BANDWIDTH * reach).view(rows, columns, 2).numpy()
    flow = cv2.resize(np.ascontiguousarray(mode), (width, height), interpolation=cv2.INTER_LINEAR)
    covered = (vote[:, 0] > 0).view(rows, columns).numpy().astype(np.uint8)
    found = cv2.resize(covered, (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(flow, np.float32), found.astype(bool)


def _mode(points: torch.Tensor, weight: torch.Tensor, bandwidth: float) -> torch.Tensor:
    """Return the mode (g, 2) of each row of weighted points (g, k, 2): mean shift from the densest one."""
    falloff = -0.5 / bandwidth**2
    x, y = points.unbind(2)
    apart = (x[:, :, None] - x[:, None]).square_() + (y[:, :, None] - y[:, None]).square_()
    density = (apart.mul_(falloff).exp_() @ weight[:, :, None])[:, :, 0]
    density = density.masked_fill_(weight <= 0, -1.0)
    mode = points[torch.arange(len(points)), density.argmax(1)]
    for _ in range(_SHIFTS):
        near = weight * (points - mode[:, None]).square().sum(2).mul_(falloff).exp_()
        total = near.sum(1, keepdim=True)
        mode = torch.where(total > 0, (near[:, None] @ points)[:, 0] / total.clamp_min(torch.finfo(total.dtype).tiny), mode)
    return mode


def _confirmed(
    flow: NDArray[np.float32], back: NDArray[np.float32], found_back: NDArray[np.bool_], tolerance: float
) -> NDArray[np.bool_]:
    """Where following the flow and then the flow back ends near the start."""
    height, width = flow.shape[:2]
    y, x = np.mgrid[:height, :width]
    to_x, to_y = np.rint(x + flow[:, :, 0]).astype(np.int64), np.rint(y + flow[:, :, 1]).astype(np.int64)
    inside = (to_x >= 0) & (to_x < back.shape[1]) & (to_y >= 0) & (to_y < back.shape[0])
    to_x, to_y = np.where(inside, to_x, 0), np.where(inside, to_y, 0)
    away = np.hypot(*np.moveaxis(flow + back[to_y, to_x], 2, 0))
    confirmed: NDArray[np.bool_] = inside & found_back[to_y, to_x] & (away <= tolerance)
    return confirmed


def _completed(
    flow: NDArray[np.float32], valid: NDArray[np.bool_], guide: NDArray[np.uint8] | None, completion: str
) -> NDArray[np.float32]:
    """Fill the flow where it is not valid and smooth it, keeping the guide's edges."""
    nearest = _nearest(flow, valid)
    if completion == "none":
        return np.where(valid[:, :, None], flow, nearest)
    require_contrib()
    weight = valid.astype(np.float32)
    image = np.zeros((*valid.shape, 3), np.uint8) if guide is None else np.ascontiguousarray(guide)
    planes = [weight, np.where(valid, flow[:, :, 0], 0), np.where(valid, flow[:, :, 1], 0)]
    smoother = cv2.ximgproc.createFastGlobalSmootherFilter(image, _LAMBDA, _SIGMA)
    share, dx, dy = (smoother.filter(np.ascontiguousarray(plane, np.float32)) for plane in planes)
    # The filtered flow over the filtered validity is a weighted mean of valid displacements only.
    reached = share > _FLOOR
    smooth = np.stack([dx, dy], 2) / np.where(reached, share, 1)[:, :, None]
    return np.where(reached[:, :, None], smooth, nearest).astype(np.float32)


def _nearest(flow: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the flow of the nearest valid pixel."""
    _, label = cv2.distanceTransformWithLabels((~valid).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    table = np.zeros((int(label.max()) + 1, 2), np.float32)
    table[label[valid]] = flow[valid]
    filled: NDArray[np.float32] = table[label]
    return filled


def warp(image: NDArray[np.uint8], flow: NDArray[np.float32] | DenseFlow, box: Box | None = None) -> NDArray[np.uint8]:
    """Bring image B into the frame of image A.

    Parameters
    ----------
    image : ndarray of uint8, (H_b, W_b, 3)
        Image B.
    flow : DenseFlow, or ndarray of float32, (H_a, W_a, 2)
        Flow from A to B.
    box : tuple of int, optional
        Only this box of A, ``(x0, y0, x1, y1)``, half open.

    Returns
    -------
    ndarray of uint8, (h, w, 3)
        The size of A or of the box; beyond B its border is repeated.

    Examples
    --------
    >>> image = np.arange(5 * 6, dtype=np.uint8).reshape(5, 6, 1).repeat(3, 2)
    >>> flow = np.zeros((5, 6, 2), np.float32)
    >>> flow[:, :, 0] = 2
    >>> warp(image, flow, (0, 0, 3, 1))[:, :, 0]
    array([[2, 3, 4]], dtype=uint8)
    """
    field = flow.flow if isinstance(flow, DenseFlow) else flow
    x0, y0, x1, y1 = (0, 0, field.shape[1], field.shape[0]) if box is None else box
    x, y = np.meshgrid(np.arange(x0, x1, dtype=np.float32), np.arange(y0, y1, dtype=np.float32))
    part = field[y0:y1, x0:x1]
    to_x, to_y = x + part[:, :, 0], y + part[:, :, 1]
    warped = cv2.remap(np.ascontiguousarray(image), to_x, to_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.uint8)
