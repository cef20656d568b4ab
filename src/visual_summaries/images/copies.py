"""Images that are nearly copies of others: saved again, resized, brightened, cut a little, or mirrored."""

from __future__ import annotations

from collections.abc import Iterable

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

_SIDE = 16  # a hash has 16 x 16 bits
#: Hashes of copies differ in at most so many of 256 bits (``benchmarks/images/copies.py``).
NEAR = 50


def near_copies(views: Iterable[NDArray[np.uint8]]) -> list[int]:
    """Return for each image the position of the first one that it is nearly a copy of; its own where there is none.

    Images are compared by perceptual hashes (:func:`imagehash.phash`), as they are and mirrored. Copies of copies have the same
    first one.

    Parameters
    ----------
    views : iterable of ndarray of uint8, (H, W, 3)

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> smooth = [np.asarray(Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).resize((96, 96))) for _ in range(2)]
    >>> near_copies([smooth[0], smooth[1], smooth[0] // 2, smooth[1][:, ::-1]])
    [0, 1, 0, 1]
    """
    origins: list[int] = []
    hashes: list[NDArray[np.uint8]] = []
    for position, view in enumerate(views):
        image = Image.fromarray(view)
        both = [perceptual_hash(image), perceptual_hash(ImageOps.mirror(image))]
        known = np.array(hashes, np.uint8).reshape(-1, _SIDE * _SIDE // 8)
        distances = np.min([np.bitwise_count(known ^ bits).sum(axis=1, dtype=int) for bits in both], axis=0)
        near = np.flatnonzero(distances <= NEAR)
        origins.append(origins[near[0]] if near.size else position)
        hashes.append(both[0])
    return origins


def perceptual_hash(image: Image.Image) -> NDArray[np.uint8]:
    """Return the hash of an image, packed: 32 bytes whose bits differ the more, the less two images are similar."""
    return np.packbits(imagehash.phash(image, hash_size=_SIDE).hash.ravel())
