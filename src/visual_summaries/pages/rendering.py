"""Pictures of regions as the paper draws them (docs/paper.md), and of parts.

Regions: the evidence keeps its colors, the rest is gray; the convex hull of the evidence in the box is red; the regions of the
mask that touch the box are outlined in cyan. Lines are drawn after upscaling, anti-aliased.

Parts: their pixels keep their colors, all others are gray and dark; a faint line shows where other evidence ends.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from visual_summaries.masks.seen import infill_of, view_without
from visual_summaries.pages.geometry import Polygon, contours, convex_hull, touching_regions, window_around
from visual_summaries.results import Box, Run
from visual_summaries.settings.masks import MaskSettings

RED = (229, 50, 45)
CYAN = (0, 214, 230)
WHITE = (255, 255, 255)
#: How bright the gray part of a picture is, and where it starts: gray = DIM * luminance + LIFT.
DIM, LIFT = 0.55, 40.0
#: How bright what is not of a part is, as a share of its luminance, and the line around other evidence, as a gray value.
DARK, FAINT = 0.25, 96
#: Binary places of the coordinates that OpenCV draws lines at.
_SHIFT = 4


def bright_on_gray(view: NDArray[np.uint8], evidence: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Return a view whose evidence is bright and whose rest is gray and dim.

    Parameters
    ----------
    view : ndarray of uint8, (H, W, 3)
        RGB.
    evidence : ndarray of bool or float, (H, W)
        Evidence mask in [0, 1]: 1 = bright, 0 = gray; values between are mixed.

    Returns
    -------
    ndarray of uint8, (H, W, 3)

    Examples
    --------
    >>> view = np.full((1, 2, 3), (200, 100, 0), np.uint8)
    >>> bright_on_gray(view, np.array([[1.0, 0.0]]))[0].tolist()
    [[200, 100, 0], [105, 105, 105]]
    """
    return _mixed(view, _gray(view) * DIM + LIFT, evidence)


def render_infill(view: NDArray[np.uint8], settings: MaskSettings) -> NDArray[np.uint8]:
    """Return what hidden pixels of a view (H, W, 3) show: all of it in the view's own infill.

    Examples
    --------
    >>> view = np.zeros((1, 2, 3), np.uint8)
    >>> view[0, 0] = 200
    >>> render_infill(view, MaskSettings(infill="mean"))[0, :, 0].tolist()
    [100, 100]
    """
    return view_without(view, np.ones(view.shape[:2], bool), infill_of(view, settings), settings)


def _gray(view: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the luminance ``(H, W, 1)``: Rec. 601 luma, what OpenCV and the report's page use as well."""
    return np.asarray(view.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]


def _mixed(
    view: NDArray[np.uint8], ground: NDArray[np.floating] | NDArray[np.uint8], share: NDArray[np.generic]
) -> NDArray[np.uint8]:
    part = np.asarray(share, np.float32)[..., None]
    return np.asarray((part * view + (1 - part) * ground).round().clip(0, 255), np.uint8)


def render_region(
    view: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    box: Box,
    *,
    style: str = "overlay",
    window: Box | None = None,
    scale: int = 3,
    draw_box: bool = True,
    draw_touching: bool = True,
) -> NDArray[np.uint8]:
    """Draw one region.

    Parameters
    ----------
    view : ndarray of uint8, (H, W, 3)
        RGB.
    mask : ndarray of bool, (H, W)
        Binary evidence mask of the whole image: True = evidence.
    box : tuple of int
        The region ``(x0, y0, x1, y1)``, half open.
    style : str
        ``"overlay"``: bright evidence on gray, hull red, touching regions cyan (as published); ``"image"``: the view as it is;
        ``"mask"``: evidence white on black.
    window : tuple of int, optional
        Part of the image to show; all of it unless given.
    scale : int
        Picture pixels for each view pixel.
    draw_box : bool
        Whether the box is drawn, one thin white line.
    draw_touching : bool
        Whether the overlay has the cyan outlines.

    Returns
    -------
    ndarray of uint8, (h * scale, w * scale, 3)
        RGB, with (h, w) the size of the window.

    Raises
    ------
    ValueError
        If `style` is not one of the three.

    Examples
    --------
    >>> view = np.zeros((20, 30, 3), np.uint8)
    >>> mask = np.zeros((20, 30), bool)
    >>> mask[5:15, 10:20] = True
    >>> render_region(view, mask, (8, 4, 18, 16), window=(0, 0, 30, 18), scale=2).shape
    (36, 60, 3)
    """
    _require_style(style)
    height, width = mask.shape
    x0, y0, x1, y1 = window or (0, 0, width, height)
    size = ((x1 - x0) * scale, (y1 - y0) * scale)

    picture = cv2.resize(np.ascontiguousarray(view[y0:y1, x0:x1]), size, interpolation=cv2.INTER_CUBIC)
    fine = _upscaled(mask[y0:y1, x0:x1], size)
    if style == "mask":
        picture = np.repeat(np.where(fine > 0.5, np.uint8(255), np.uint8(0))[..., None], 3, axis=2)
    elif style == "overlay":
        picture = bright_on_gray(picture, _edge(fine, scale))
    picture = np.ascontiguousarray(picture, np.uint8)

    origin = np.array([x0, y0], np.float64)
    thickness = max(1, round(scale * 0.35))
    if draw_box:
        a, b, c, d = box
        _draw(
            picture, np.array([[a, b], [c, b], [c, d], [a, d]], np.float64) - origin, scale, WHITE, max(1, round(scale * 0.25))
        )
    if style == "overlay":
        for polygon in contours(touching_regions(mask, box)) if draw_touching else ():
            _draw(picture, polygon - origin, scale, CYAN, thickness)
        hull = convex_hull(mask, box)
        if len(hull):
            _draw(picture, hull - origin, scale, RED, thickness)
    return picture


def render_part(
    view: NDArray[np.uint8],
    part: NDArray[np.bool_],
    evidence: NDArray[np.bool_],
    *,
    style: str = "overlay",
    scale: int = 2,
    dark: float = DARK,
) -> NDArray[np.uint8]:
    """Draw what a part has in an image: the whole image, so that one sees where the part is.

    Parameters
    ----------
    view : ndarray of uint8, (H, W, 3)
        RGB.
    part : ndarray of bool, (H, W)
        All pixels of the part.
    evidence : ndarray of bool, (H, W)
        Binary evidence mask of the image, of all parts and the rest: True = evidence.
    style : str
        ``"overlay"``: the part's pixels as they are, all others gray and dark, a faint line around other evidence; ``"image"``:
        the view as it is; ``"mask"``: the part white, other evidence dark gray, the rest black.
    scale : int
        Picture pixels for each view pixel.
    dark : float
        What remains of the brightness outside the part.

    Returns
    -------
    ndarray of uint8, (H * scale, W * scale, 3)
        RGB.

    Raises
    ------
    ValueError
        If `style` is not one of the three.

    Examples
    --------
    >>> view = np.full((2, 4, 3), (200, 100, 0), np.uint8)
    >>> part = np.array([[1, 1, 0, 0], [1, 1, 0, 0]], bool)
    >>> render_part(view, part, part, scale=1)[0].tolist()
    [[200, 100, 0], [200, 100, 0], [30, 30, 30], [30, 30, 30]]
    """
    _require_style(style)
    size = (part.shape[1] * scale, part.shape[0] * scale)
    own = _upscaled(part, size)
    if style == "mask":
        levels = np.where(own > 0.5, 255, np.where(_upscaled(evidence, size) > 0.5, FAINT, 0)).astype(np.uint8)
        return np.repeat(levels[..., None], 3, axis=2)
    picture = cv2.resize(np.ascontiguousarray(view), size, interpolation=cv2.INTER_CUBIC)
    if style == "image":
        return np.asarray(picture, np.uint8)
    ground = np.repeat((_gray(picture) * dark).round().astype(np.uint8), 3, axis=2)
    for polygon in contours(evidence & ~part):
        _draw(ground, polygon, scale, (FAINT,) * 3, max(1, scale // 3))
    return _mixed(picture, ground, _edge(own, scale))


def _require_style(style: str) -> None:
    if style not in ("overlay", "image", "mask"):
        raise ValueError(f"style is {style!r}, but must be 'overlay', 'image' or 'mask'")


def _upscaled(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.float32]:
    # Linear interpolation of the binary mask, to be thresholded: its border stays sharp but loses the stairs.
    return np.asarray(cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_LINEAR))


def _edge(fine: NDArray[np.float32], scale: int) -> NDArray[np.float32]:
    """Return how much of each picture pixel is inside the border at one half, for anti-aliasing."""
    return np.asarray(np.clip((fine - 0.5) * scale + 0.5, 0, 1), np.float32)


def _draw(picture: NDArray[np.uint8], polygon: Polygon, scale: int, color: tuple[int, int, int], thickness: int) -> None:
    # Edge e of the view is edge e * scale of the picture; OpenCV's coordinates are those of pixel centers, half a pixel less.
    points = np.round((polygon * scale - 0.5) * (1 << _SHIFT)).astype(np.int32)
    cv2.polylines(picture, [points.reshape(-1, 1, 2)], True, color, thickness, cv2.LINE_AA, _SHIFT)


def pixels_in(run: Run, cluster: Iterable[int], image: int) -> NDArray[np.bool_]:
    """Return the pixels that the regions of a cluster have in an image: ``bool (H, W)``."""
    height, width = run.images[image].view.shape[:2]
    pixels = np.zeros((height, width), bool)
    for region in (run.regions[index] for index in cluster):
        if region.image == image:
            x0, y0, x1, y1 = region.box
            pixels[y0:y1, x0:x1] |= region.mask
    return pixels


def part_pixels(run: Run, region: int) -> NDArray[np.bool_]:
    """Return the pixels that a region's part has in the region's image: ``bool (H, W)``, all pieces of it.

    Only the region's own where it is in no part, and with the preset ``"paper"``, where regions of a summary are not exclusive.
    """
    parts = () if run.parts is None else (*run.summaries, *run.rejected)
    cluster = next((part.cluster for part in parts if region in part.cluster), (region,))
    return pixels_in(run, cluster, run.regions[region].image)


def draw_member(run: Run, region: int, side: int, *, style: str = "overlay", whole: bool = False) -> NDArray[np.uint8]:
    """Draw a region of a run.

    Parameters
    ----------
    run : Run
    region : int
        Index into ``run.regions``.
    side : int
        About how many pixels the picture's longer side has.
    style : str
        ``"overlay"``, ``"image"`` or ``"mask"``.
    whole : bool
        Whether a box is shown in its whole image (preset ``"paper"``); a part always is.

    Returns
    -------
    ndarray of uint8, (h, w, 3)
        By :func:`render_part`; with the preset ``"paper"`` by :func:`render_region`.
    """
    shown = run.regions[region]
    view, evidence = run.images[shown.image].view, run.evidence(shown.image)
    if run.parts is not None:
        scale = max(1, round(side / max(evidence.shape)))
        return render_part(view, part_pixels(run, region), evidence, style=style, scale=scale)
    height, width = evidence.shape
    window = (0, 0, width, height) if whole else window_around(shown.box, evidence.shape)
    scale = max(1, round(side / max(window[2] - window[0], window[3] - window[1])))
    return render_region(view, evidence, shown.box, window=window, scale=scale, style=style)
