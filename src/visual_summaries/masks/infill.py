"""What hidden pixels show: the published blur, and other infills to take evidence away.

A mask found with one infill may have found pixels whose *blur* fools the network rather than evidence. Looking at the
same mask under another infill tells (``benchmarks/masks/infill.py``).

Examples
--------
>>> images = torch.rand(2, 3, 40, 56, generator=torch.Generator().manual_seed(0))
>>> [tuple(hide(images, kind).shape) for kind in INFILLS] == [(2, 3, 40, 56)] * len(INFILLS)
True
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from visual_summaries._batches import even_batch, in_batches
from visual_summaries._recent import Recent
from visual_summaries._validate import require_choice
from visual_summaries.masks.perturb import gaussian_blur, hidden_image, perturb
from visual_summaries.settings.masks import HELD_OUT, INFILLS, MaskSettings, infills_of

if TYPE_CHECKING:
    from visual_summaries.classifiers import Classifier, Target

_STRONG_SIGMA = 0.1  # of the shorter side
#: An infill that leaves more than this share of a class's score when it hides everything does not hide.
MOST_LEFT = 0.1

_TILES = 7  # tiles of the inpainting's chessboard along the shorter side
_INPAINT_RADIUS, _INPAINT_SIDE = 3.0, 112  # pixels: of a copy that is shrunk by a whole factor while it has more than this
_RECENT = Recent(2**26)  # hidden images: a strong blur or inpainting takes as long as a pass of the network


def hide(images: Tensor, kind: str = "blur", *, size: int = 11, sigma: float = 10.0, random_state: int = 0) -> Tensor:
    """Return what hidden pixels show.

    Parameters
    ----------
    images : Tensor, (N, C, H, W)
        Values in [0, 1].
    kind : str
        ``"blur"``: Gaussian of `size` taps and `sigma` (published: 11, 10); ``"strong-blur"``: sigma a tenth of the side.
        ``"mean"``: each image's mean color. ``"noise"``: Gaussian noise with each image's mean and deviation of each channel.
        ``"inpaint"``: each pixel filled in from tiles around it (Telea 2004), by a chessboard of tiles and its complement, on a
        copy of about 112 pixels.
        ``"permuted"``: the image's own pixels in a random order; ``"black"``: zeros. These two are for checks.
    size, sigma : int, float
        Of the published blur.
    random_state : int
        Seed of noise and order; all images get the same pattern, so that an image's does not depend on its batch.

    Returns
    -------
    Tensor, (N, C, H, W)
        Values in [0, 1].

    Raises
    ------
    SettingsError
        If there is no such kind.

    Examples
    --------
    >>> image = torch.zeros(1, 1, 2, 4)
    >>> image[..., 0] = 1.0
    >>> hide(image, "mean").unique().tolist()
    [0.25]
    """
    require_choice("hidden", kind, (*INFILLS, *HELD_OUT))
    if kind == "blur":
        return hidden_image(images, size, sigma)
    if kind == "strong-blur":
        strong = _STRONG_SIGMA * min(images.shape[-2:])
        return gaussian_blur(images, 2 * math.ceil(3 * strong) + 1, strong)
    if kind == "black":
        return torch.zeros_like(images)
    if kind == "permuted":
        order = torch.randperm(images[0, 0].numel(), generator=torch.Generator().manual_seed(random_state))
        return images.flatten(2)[:, :, order.to(images.device)].view_as(images)
    mean = images.mean(dim=(-2, -1), keepdim=True)
    if kind == "mean":
        return mean.expand_as(images).clone()
    if kind == "noise":
        generator = torch.Generator().manual_seed(random_state)
        noise = torch.randn(images.shape[1:], generator=generator).to(images)
        return (mean + images.std(dim=(-2, -1), keepdim=True) * noise).clamp(0, 1)
    return torch.stack([_inpainted(image) for image in images])


def hidden_pixels(images: Tensor, settings: MaskSettings) -> Tensor:
    """Return what hidden pixels of images (N, C, H, W) show, as the settings ask; of several infills the first.

    Examples
    --------
    >>> image = torch.zeros(1, 1, 2, 4)
    >>> image[..., 0] = 1.0
    >>> hidden_pixels(image, MaskSettings(infill="mean")).unique().tolist()
    [0.25]
    """
    kind = infills_of(settings.infill)[0]
    return hide(images, kind, size=settings.blur_size, sigma=settings.blur_sigma)


def infill_of(view: NDArray[np.uint8], settings: MaskSettings) -> MaskSettings:
    """Return settings with one of their infills: effects in an image are measured under one, over images under all.

    Which one follows from the image's pixels, so that it does not change when images are added or taken away.

    Examples
    --------
    >>> views = [np.full((4, 4, 3), shade, np.uint8) for shade in range(40)]
    >>> len({infill_of(view, MaskSettings(infill="mix")).infill for view in views})
    4
    >>> infill_of(views[0], MaskSettings()).infill
    'blur'
    """
    infills = infills_of(settings.infill)
    return replace(settings, infill=infills[zlib.crc32(np.ascontiguousarray(view).tobytes()) % len(infills)])


def effective_infills(
    classifier: Classifier, views: Sequence[NDArray[np.uint8]], target: Target, settings: MaskSettings
) -> tuple[tuple[str, ...], dict[str, float]]:
    """Tell which of the settings' infills take the class away when they hide whole images.

    Parameters
    ----------
    classifier : Classifier
    views : sequence of ndarray of uint8, (H, W, 3)
        A sample of the images of the class.
    target : Target
    settings : MaskSettings

    Returns
    -------
    infills : tuple of str
        Those that leave at most a tenth of the score, mean over the views; where there is none, the one that leaves least.
    left : dict of float
        The share that each of the settings' infills leaves, above what a network that knows nothing gives each of its classes.
    """
    names = infills_of(settings.infill)
    left = dict.fromkeys(names, 0.0)
    with torch.no_grad():
        chance = 1 / classifier.logits(classifier.to_tensor([views[0]])).shape[1]
    for view in views:
        whole = np.ones((1, *view.shape[:2]), dtype=bool)
        before = scores_without(classifier, view, target, ~whole, settings)[0] - chance
        for name in names if before > 0 else ():
            after = scores_without(classifier, view, target, whole, replace(settings, infill=name))[0] - chance
            left[name] += float(max(after, 0) / before) / len(views)
    kept = tuple(name for name in names if left[name] <= MOST_LEFT)
    return kept or (min(names, key=lambda name: left[name]),), left


def scores_without(
    classifier: Classifier,
    view: NDArray[np.uint8],
    target: Target,
    hide: NDArray[np.bool_],
    settings: MaskSettings,
    batch_size: int | None = None,
    infills: Sequence[str] | None = None,
) -> NDArray[np.float32]:
    """Return the class score (M,) of a view (H, W, 3) with the pixels of each mask hidden, in float32 without gradients.

    Parameters
    ----------
    classifier : Classifier
        Best inside its ``frozen()``.
    view : ndarray of uint8, (H, W, 3)
    target : Target
    hide : ndarray of bool, (M, H, W)
        True = hidden.
    settings : MaskSettings
        What hidden pixels show.
    batch_size : int, optional
        Masks that pass the network at a time.
    infills : sequence of str, optional
        The infill of each mask; the settings' own for all when left out.
    """
    asked = (view, hide, [settings.infill] * len(hide) if infills is None else infills)
    return scores_in_views(classifier, [asked], target, settings, batch_size)[0]


#: A view (H, W, 3), masks (M, H, W) of what is hidden, and the infill of each mask.
Asked = tuple[NDArray[np.uint8], NDArray[np.bool_], Sequence[str]]


def scores_in_views(
    classifier: Classifier, asked: Sequence[Asked], target: Target, settings: MaskSettings, batch_size: int | None = None
) -> list[NDArray[np.float32]]:
    """Return what :func:`scores_without` does for each of several views: few masks of many views fill a batch.

    Parameters
    ----------
    classifier : Classifier
        Best inside its ``frozen()``.
    asked : sequence of Asked
    target : Target
    settings : MaskSettings
        The blur's size and sigma.
    batch_size : int, optional
        Masks that pass the network at a time.
    """
    rows: list[tuple[Tensor, Tensor, NDArray[np.bool_]]] = []  # image, what hides it, which pixels are hidden
    which: list[list[int]] = []
    with torch.no_grad():
        for view, hide, infills in asked:
            x = classifier.to_tensor([view])
            hidden = {infill: _hidden(view, x, replace(settings, infill=infill)) for infill in dict.fromkeys(infills)}
            places: dict[tuple[bytes, str], int] = {}  # the same pixels are asked about once
            for mask, infill in zip(hide, infills, strict=True):
                if (key := (mask.tobytes(), infill)) not in places:
                    places[key] = len(rows)
                    rows.append((x, hidden[infill], mask))
            which.append([places[mask.tobytes(), infill] for mask, infill in zip(hide, infills, strict=True)])

        def ask(part: slice) -> NDArray[np.float32]:
            images, hidden, masks = zip(*rows[part], strict=True)
            keep = torch.from_numpy(~np.stack(masks)).to(images[0])
            logits = classifier.logits(perturb(torch.cat(images), torch.cat(hidden), keep))
            return np.asarray(target.score(logits).float().cpu().numpy())

        found, _ = in_batches(ask, len(rows), batch_size or even_batch(len(rows)), classifier)
    scores = np.concatenate([np.empty(0, np.float32), *found])
    return [scores[places] for places in which]


def _hidden(view: NDArray[np.uint8], x: Tensor, settings: MaskSettings) -> Tensor:
    infill = (settings.infill, settings.blur_size, settings.blur_sigma)
    return _RECENT((view.tobytes(), x.shape, x.device, infill), lambda: (hidden_pixels(x, settings),))[0]


def make_infills(images: Tensor, settings: MaskSettings) -> list[Tensor]:
    """Return what hidden pixels may show, in each of the settings' infills.

    Examples
    --------
    >>> len(make_infills(torch.zeros(1, 3, 20, 24), MaskSettings(infill="mix")))
    4
    """
    return [hide(images, kind, size=settings.blur_size, sigma=settings.blur_sigma) for kind in infills_of(settings.infill)]


def chessboard(height: int, width: int, tiles: int = _TILES) -> np.ndarray:
    """Return a chessboard ``uint8 (height, width)`` of 0 and 1 with about `tiles` square tiles along the shorter side.

    Examples
    --------
    >>> chessboard(4, 6, tiles=2).tolist()
    [[0, 0, 1, 1, 0, 0], [0, 0, 1, 1, 0, 0], [1, 1, 0, 0, 1, 1], [1, 1, 0, 0, 1, 1]]
    """
    side = max(min(height, width) // tiles, 1)
    return np.asarray((np.arange(height)[:, None] // side + np.arange(width)[None, :] // side) % 2, dtype=np.uint8)


def _inpainted(image: Tensor) -> Tensor:
    """Fill in the dark tiles of a chessboard from the bright ones, and the other infill round: no pixel is kept."""
    height, width = image.shape[-2:]
    factor = max(1, round(min(height, width) / _INPAINT_SIDE))
    whole = (image.detach().cpu().permute(1, 2, 0).numpy() * 255).round().clip(0, 255).astype(np.uint8)
    size = (max(1, width // factor), max(1, height // factor))
    # OpenCV inpaints one or three channels; others go one by one.
    channels = [whole] if whole.shape[2] in (1, 3) else list(whole.transpose(2, 0, 1))
    filled = []
    for group in channels:
        pixels = cv2.resize(group, size, interpolation=cv2.INTER_AREA)
        dark = chessboard(size[1], size[0])
        both = [cv2.inpaint(pixels, hole, _INPAINT_RADIUS, cv2.INPAINT_TELEA) for hole in (dark, 1 - dark)]
        inpainted = np.where(dark.reshape(size[1], size[0], *[1] * (pixels.ndim - 2)) == 1, both[0], both[1])
        filled.append(cv2.resize(inpainted, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, -1))
    return torch.from_numpy(np.concatenate(filled, axis=2)).permute(2, 0, 1).to(image) / 255
