"""What a tagger is given: regions cut out of their images, with and without their mask applied."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from visual_summaries._validate import require_choice
from visual_summaries.results import Box, Image, Region, Result, Run

#: What of a region a tagger sees: its whole box, or its evidence alone.
INPUTS = ("box", "masked")

#: What stands for pixels that are not shown: the mean color of photographs.
FILL = (124, 116, 104)


@dataclass(frozen=True, eq=False)
class Crop(Result):
    """A piece of an image.

    Attributes
    ----------
    pixels : ndarray of uint8, (h, w, 3)
        What the box shows; where a mask is given, all but the evidence is :data:`FILL`.
    image : Image
        Where it comes from.
    box : tuple of int
        ``(x0, y0, x1, y1)`` in view pixels, half open.
    mask : ndarray of bool, (h, w), or None
        Evidence pixels of the box, the only ones shown; None: all are.

    Examples
    --------
    >>> crop = Crop(np.zeros((4, 6, 3), np.uint8), None, (2, 0, 8, 4), None)
    >>> crop.seen.shape, int(crop.seen.sum())
    ((4, 6), 24)
    """

    pixels: NDArray[np.uint8]
    image: Image
    box: Box
    mask: NDArray[np.bool_] | None

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Which pixels of the box are shown, ``(h, w)``; all of them where the mask is empty."""
        if self.mask is None or not self.mask.any():
            return np.ones(self.pixels.shape[:2], bool)
        return self.mask


def crop_regions(run: Run, regions: Iterable[Region], shown: str) -> Iterator[Crop]:
    """Yield the crops of regions, one at a time.

    Parameters
    ----------
    run : Run
    regions : iterable of Region
        Of this run.
    shown : str
        ``"box"``: the whole box; ``"masked"``: its evidence, all else in one color.

    Raises
    ------
    SettingsError
        If `shown` is neither.
    """
    require_choice("input", shown, INPUTS)
    for region in regions:
        image = run.images[region.image]
        x0, y0, x1, y1 = region.box
        crop = Crop(image.view[y0:y1, x0:x1], image, region.box, None)
        if shown == "masked":
            masked = replace(crop, mask=region.mask)
            crop = replace(masked, pixels=np.where(masked.seen[..., None], crop.pixels, np.array(FILL, np.uint8)))
        yield crop


def whole_images(images: Sequence[Image]) -> Iterator[Crop]:
    """Yield each image's view whole."""
    for image in images:
        height, width = image.view.shape[:2]
        yield Crop(image.view, image, (0, 0, width, height), None)


def square(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a crop padded to a square, so that a network that cuts the center out loses none of it.

    Examples
    --------
    >>> padded = square(np.zeros((2, 4, 3), np.uint8))
    >>> padded.shape, padded[0, 0].tolist(), padded[1, 0].tolist()
    ((4, 4, 3), [124, 116, 104], [0, 0, 0])
    """
    height, width = pixels.shape[:2]
    side = max(height, width)
    padded = np.empty((side, side, 3), np.uint8)
    padded[:] = FILL
    top, left = (side - height) // 2, (side - width) // 2
    padded[top : top + height, left : left + width] = pixels
    return padded
