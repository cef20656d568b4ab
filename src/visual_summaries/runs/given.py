"""Heat maps and masks that somebody brought: found by the images' names, read, and laid on what the network sees."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from torch import Tensor

from visual_summaries.classifiers.frames import Frame, view_frame
from visual_summaries.classifiers.transforms import ViewTransform
from visual_summaries.errors import ImageError, NoImagesError, SettingsError
from visual_summaries.images import gather_images
from visual_summaries.images.decode import open_map
from visual_summaries.masks.given import Map, is_binary
from visual_summaries.runs.naming import match_names, without_suffix

#: A folder; maps in the order of the images, None where there is none; maps by the images' names; a function of a view.
MapSources = str | Path | Mapping[str, Any] | Iterable[Any] | Callable[[NDArray[np.uint8]], Any]

#: Endings of files that hold maps.
ENDINGS = (".png", ".npy")


class GivenMaps:
    """Maps of a run's images; those that were read are kept, as large as the views.

    Attributes
    ----------
    source : str
        Name of the folder, or what the maps were given as.
    unused : list of str
        What belongs to no image; known once the images are.
    maps : dict
        Name of an image -> its map (H, W) in [0, 1], as :func:`lay_on_view` gives it.
    """

    def __init__(self, given: MapSources, transform: ViewTransform) -> None:
        self.source = Path(given).name if isinstance(given, str | Path) else type(given).__name__
        self.unused: list[str] = []
        self.maps: dict[str, Map] = {}
        self._transform, self._given = transform, given
        self._found: dict[str, Any] = {}

    def match(self, names: Sequence[str]) -> None:
        """Find the map of each image, by names of images in their order.

        Raises
        ------
        SettingsError
            If there is another number of maps than of images, a folder has none, or two for one image.
        """
        given = self._given
        if callable(given):
            return
        if isinstance(given, str | Path):
            given = self._of_folder(Path(given))
        if not isinstance(given, Mapping):
            maps = list(given)
            if len(maps) != len(names):
                raise SettingsError(
                    f"evidence has {len(maps)} maps for {len(names)} images: give one for each in their order, None where "
                    "there is none, or a dict of the images' names"
                )
            given = dict(zip(names, maps, strict=True))
        keys = match_names(names, given)
        self._found = {name: given[key] for name, key in keys.items() if given[key] is not None}
        self.unused += [key for key in given if key not in set(keys.values())]

    def _of_folder(self, folder: Path) -> dict[str, Any]:
        try:
            files = gather_images(folder)
        except NoImagesError as error:
            raise SettingsError(f"evidence cannot be read: {error}") from error
        self.unused += [file.name for file in files if not file.name.lower().endswith(ENDINGS)]
        maps: dict[str, Any] = {}
        for file in (file for file in files if file.name.lower().endswith(ENDINGS)):
            if without_suffix(file.name) in maps:
                raise SettingsError(f"evidence {folder} holds two maps called {without_suffix(file.name)}: leave one")
            maps[without_suffix(file.name)] = file.content
        return maps

    def read(self, name: str, view: NDArray[np.uint8], size: tuple[int, int]) -> None:
        """Read the map of an image of some size (H, W), and keep it.

        Raises
        ------
        ImageError
            With the reason ``"no-map"`` or ``"unusable-map"``.
        """
        if not callable(self._given) and name not in self._found:
            expected = without_suffix(name)
            raise ImageError(f"no map is given for {name}: name it {expected}, {expected}.png or {expected}.npy", "no-map")
        content = self._given(view) if callable(self._given) else self._found[name]
        whole = None if callable(self._given) else view_frame(self._transform, size)
        try:
            values = open_map(content) if isinstance(content, str | Path) else content
            self.maps[name] = lay_on_view(one_channel(values), view.shape[:2], whole)
        except ImageError as error:
            raise ImageError(f"its map cannot be used: {error}", "unusable-map") from error


def one_channel(values: Any) -> Map:
    """Return a map as an array (H, W): axes of length 1 are taken away, three channels of floats are summed.

    Examples
    --------
    >>> one_channel(np.ones((1, 3, 4, 5))).max(), one_channel(np.ones((4, 5), bool)).dtype.name
    (np.float32(3.0), 'float32')
    >>> one_channel(np.zeros((4, 5, 3), np.uint8))
    Traceback (most recent call last):
    ...
    visual_summaries.errors.ImageError: uint8 of shape (4, 5, 3) is no map: give one number for each pixel, ...
    """
    array = np.asarray(values.detach().cpu().float() if isinstance(values, Tensor) else values)
    plain = array[0] if array.ndim == 4 and len(array) == 1 else array
    for axis in (0, 2):
        if plain.ndim == 3 and plain.shape[axis] in ((1, 3) if plain.dtype.kind == "f" else (1,)):
            plain = plain.sum(axis)
    if plain.ndim != 2 or not plain.size or plain.dtype.kind not in "biuf":
        raise ImageError(
            f"{array.dtype} of shape {array.shape} is no map: give one number for each pixel, (H, W), not a colored picture"
        )
    with np.errstate(over="ignore"):  # what is too large for single precision is infinite, and said to be
        return plain.astype(np.float32)


def lay_on_view(given: Map, shape: tuple[int, int], frame: Frame | None = None) -> Map:
    """Return what the network's view (H, W) has of a map: positive values, the largest 1; of two values 0 and 1.

    A map as large as the original image, where `frame` says which that is, is cut as the view was. One of the view's shape
    (its size, or a coarser or finer grid) is resized.

    Raises
    ------
    ImageError
        If the map has another shape, numbers that are not finite, or is the same everywhere in the view.

    Examples
    --------
    >>> lay_on_view(np.array([[-2.0, 1.0], [4.0, 0.0]], np.float32), (2, 2)).tolist()
    [[0.0, 0.25], [1.0, 0.0]]
    """
    if not np.isfinite(given).all():
        raise ImageError("it has numbers that are not finite (NaN or infinite)")
    positive = np.maximum(given, 0)
    if positive.min() == positive.max():
        raise ImageError(f"it is the same everywhere ({given.min():g} to {given.max():g}; only what is positive counts)")
    binary = is_binary(positive)
    values = (positive == positive.max()).astype(np.float32) if binary else given / positive.max()
    (height, width), (rows, columns) = given.shape, shape
    if frame is not None and (height, width) == (frame.height, frame.width):
        laid = _cut(values, frame, shape)
    elif abs(height * columns - width * rows) < max(shape):  # of the same aspect, to a cell
        laid = np.asarray(PIL.Image.fromarray(values).resize((columns, rows), PIL.Image.Resampling.BILINEAR))
    else:
        image = "" if frame is None else f"that of the image ({frame.height} x {frame.width}) nor "
        raise ImageError(f"it is {height} x {width} (H x W), neither {image}of the shape of the view ({rows} x {columns})")
    laid = (laid > 0.5).astype(np.float32) if binary else np.maximum(laid, 0)
    if laid.min() == laid.max():
        raise ImageError("it is the same everywhere in what the network sees of the image")
    return np.asarray(laid / laid.max(), np.float32)


def _cut(whole: Map, frame: Frame, shape: tuple[int, int]) -> Map:
    """Return the part of an image's map that its view (H, W) shows; nothing is beyond the image's border."""
    rows, columns = shape
    box = np.array([frame.left, frame.top, frame.left + columns * frame.scale_x, frame.top + rows * frame.scale_y])
    beyond = max(0, math.ceil(max(-box.min(), box[2] - frame.width, box[3] - frame.height) - 1e-6))
    padded = PIL.Image.fromarray(np.pad(whole, beyond))
    x0, y0, x1, y1 = np.clip(box + beyond, 0, padded.size * 2)
    return np.asarray(padded.resize((columns, rows), PIL.Image.Resampling.BILINEAR, (x0, y0, x1, y1)))
