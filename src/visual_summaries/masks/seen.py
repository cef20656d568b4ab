"""What a view shows where its evidence is hidden, in NumPy: pages draw it without the network's library.

:func:`visual_summaries.masks.infill.hide` is the same for batches of tensors; a test compares the two.
"""

from __future__ import annotations

import math
import zlib

import cv2
import numpy as np
from numpy.typing import NDArray

from visual_summaries._validate import require_choice
from visual_summaries.settings.masks import HELD_OUT, INFILLS, MaskSettings, infills_of

#: Sigma of the strong blur, as a share of the shorter side.
STRONG_SIGMA = 0.1

_TILES = 7  # tiles of the inpainting's chessboard along the shorter side
_INPAINT_RADIUS, _INPAINT_SIDE = 3.0, 112  # pixels: of a copy that is shrunk by a whole factor while it has more than this


def infill_of(view: NDArray[np.uint8], settings: MaskSettings) -> str:
    """Return one of the settings' infills: effects in an image are measured under one, over images under all.

    Which one follows from the image's pixels, so that it does not change when images are added or taken away.

    Examples
    --------
    >>> views = [np.full((4, 4, 3), shade, np.uint8) for shade in range(40)]
    >>> len({infill_of(view, MaskSettings(infill="mix")) for view in views})
    4
    >>> infill_of(views[0], MaskSettings(infill="blur"))
    'blur'
    """
    infills = infills_of(settings.infill)
    return infills[zlib.crc32(np.ascontiguousarray(view).tobytes()) % len(infills)]


def view_without(
    view: NDArray[np.uint8], evidence: NDArray[np.floating] | NDArray[np.bool_], infill: str, settings: MaskSettings
) -> NDArray[np.uint8]:
    """Return what the network sees when evidence of a view is hidden.

    Parameters
    ----------
    view : ndarray of uint8, (H, W, 3)
    evidence : ndarray, (H, W)
        In [0, 1]: 1 = hidden.
    infill : str
        What hidden pixels show, one of ``INFILLS`` and ``HELD_OUT``.
    settings : MaskSettings
        They have the published blur's size.

    Returns
    -------
    ndarray of uint8, (H, W, 3)

    Raises
    ------
    SettingsError
        If there is no such infill.

    Examples
    --------
    >>> view = np.zeros((1, 2, 3), np.uint8)
    >>> view[0, 0] = 200
    >>> view_without(view, np.array([[0.0, 1.0]]), "mean", MaskSettings())[0, :, 0].tolist()
    [200, 100]
    """
    hide = np.asarray(evidence, np.float32)[..., None]
    image = np.asarray(view, np.float32) / np.float32(255)
    seen = image * (1 - hide) + _hidden(image, infill, settings) * hide
    return np.asarray((seen * 255).round().clip(0, 255), dtype=np.uint8)


def _hidden(image: NDArray[np.float32], infill: str, settings: MaskSettings) -> NDArray[np.float32]:
    require_choice("hidden", infill, (*INFILLS, *HELD_OUT))
    if infill == "blur":
        return _blurred(image, settings.blur_size, settings.blur_sigma)
    if infill == "strong-blur":
        strong = STRONG_SIGMA * min(image.shape[:2])
        return _blurred(image, 2 * math.ceil(3 * strong) + 1, strong)
    if infill == "black":
        return np.zeros_like(image)
    if infill == "permuted":
        pixels = image.reshape(-1, image.shape[2])
        return np.asarray(np.random.default_rng(0).permutation(pixels).reshape(image.shape))
    mean = image.mean(axis=(0, 1), keepdims=True)
    if infill == "mean":
        return np.broadcast_to(mean, image.shape)
    if infill == "noise":
        height, width, channels = image.shape
        noise = normal_noise(image.size).reshape(channels, height, width).transpose(1, 2, 0)
        return np.asarray((mean + image.std(axis=(0, 1), ddof=1, keepdims=True) * noise).clip(0, 1), np.float32)
    return np.asarray(inpainted(np.asarray((image * 255).round(), np.uint8)) / np.float32(255), np.float32)


def _blurred(image: NDArray[np.float32], size: int, sigma: float) -> NDArray[np.float32]:
    offsets = np.arange(size, dtype=np.float32) - (size - 1) / 2
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
    kernel /= kernel.sum()
    return np.asarray(cv2.sepFilter2D(image, -1, kernel, kernel, borderType=cv2.BORDER_REPLICATE))


def normal_noise(count: int, random_state: int = 0) -> NDArray[np.float32]:
    """Return the numbers that ``torch.randn`` draws on a CPU with a seed (at least 16): a picture shows the very noise.

    Both draw 32 bits by the Mersenne Twister. Torch keeps 24 of them and makes pairs normal by Box and Muller, in blocks of 16;
    a last block that is not full is drawn again as one that ends with the last number.

    Examples
    --------
    >>> [round(value, 4) for value in normal_noise(16)[:3].tolist()]
    [-1.1258, -1.1524, -0.2506]
    """
    drawn = np.random.RandomState(random_state).randint(0, 2**32, count + 16, np.uint32)
    uniform = (drawn & 0xFFFFFF).astype(np.float32) * np.float32(2**-24)

    def normal(blocks: NDArray[np.float32]) -> NDArray[np.float32]:
        first, second = blocks.reshape(-1, 2, 8).swapaxes(0, 1)
        radius, angle = np.sqrt(-2 * np.log(1 - first)), 2 * np.float32(np.pi) * second
        return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).ravel()

    whole = count // 16 * 16
    noise = np.empty(count, np.float32)
    noise[:whole] = normal(uniform[:whole])
    if whole < count:
        noise[-16:] = normal(uniform[count : count + 16])
    return noise


def chessboard(height: int, width: int, tiles: int = _TILES) -> np.ndarray:
    """Return a chessboard ``uint8 (height, width)`` of 0 and 1 with about `tiles` square tiles along the shorter side.

    Examples
    --------
    >>> chessboard(4, 6, tiles=2).tolist()
    [[0, 0, 1, 1, 0, 0], [0, 0, 1, 1, 0, 0], [1, 1, 0, 0, 1, 1], [1, 1, 0, 0, 1, 1]]
    """
    side = max(min(height, width) // tiles, 1)
    return np.asarray((np.arange(height)[:, None] // side + np.arange(width)[None, :] // side) % 2, dtype=np.uint8)


def inpainted(whole: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Fill in the dark tiles of a chessboard (H, W, C) from the bright ones, and the other way round: no pixel is kept.

    Examples
    --------
    >>> inpainted(np.full((5, 7, 3), 30, np.uint8)).min()
    np.uint8(30)
    """
    height, width = whole.shape[:2]
    factor = max(1, round(min(height, width) / _INPAINT_SIDE))
    size = (max(1, width // factor), max(1, height // factor))
    # OpenCV inpaints one or three channels; others go one by one.
    channels = [whole] if whole.shape[2] in (1, 3) else list(whole.transpose(2, 0, 1))
    filled = []
    for group in channels:
        pixels = cv2.resize(group, size, interpolation=cv2.INTER_AREA)
        dark = chessboard(size[1], size[0])
        both = [cv2.inpaint(pixels, hole, _INPAINT_RADIUS, cv2.INPAINT_TELEA) for hole in (dark, 1 - dark)]
        infill = np.where(dark.reshape(size[1], size[0], *[1] * (pixels.ndim - 2)) == 1, both[0], both[1])
        filled.append(cv2.resize(infill, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, -1))
    return np.concatenate(filled, axis=2)
