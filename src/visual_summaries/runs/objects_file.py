"""Where the object is in the images of a run, as the user gives it: a folder of PNG masks, or masks and boxes as COCO."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
from numpy.typing import NDArray
from skimage.draw import polygon2mask

from visual_summaries.classifiers.frames import view_frame
from visual_summaries.classifiers.transforms import ViewTransform
from visual_summaries.errors import SettingsError
from visual_summaries.results import Image
from visual_summaries.runs.naming import match_names

logger = logging.getLogger("visual_summaries")

Pixels = NDArray[np.bool_]


@dataclass(frozen=True)
class Objects:
    """Where the object is, in the views of a run.

    Attributes
    ----------
    known : str
        ``"masks"`` or ``"boxes"``.
    masks : mapping of int to ndarray of bool, (H, W)
        By the image's index.
    missing : tuple of str
        Names of images that nothing was given for.
    """

    known: str
    masks: Mapping[int, Pixels]
    missing: tuple[str, ...] = ()


def read_objects(path: str | Path, images: Sequence[Image], transform: ViewTransform, class_name: str = "") -> Objects:
    """Return where the object is in each view.

    Parameters
    ----------
    path : str or Path
        A folder of PNG files, each named as its image (``a/b.png`` for ``a/b.jpg``, or ``b.png`` where no other image is
        named ``b``) and of its size: what is not 0 is object. Or a COCO file (``.json``) with boxes, polygons or run lengths.
    images : sequence of Image
    transform : ViewTransform
        The classifier's, which says where a view lies in its image.
    class_name : str
        Where categories of a COCO file have this name, annotations of others do not count.

    Returns
    -------
    Objects
        Images without an object are listed, and a warning says how many there are.

    Raises
    ------
    SettingsError
        If there is no such file or folder, it cannot be read, sizes differ from those of the images, or it has none of them.
    """
    path = Path(path)
    if path.is_dir():
        files = {file.relative_to(path).as_posix(): file for file in sorted(path.rglob("*.png"))}
        of_image = match_names([image.name for image in images], files)
        known = "masks"
        found = [(image, _png(files[of_image[image.name]])) for image in images if image.name in of_image]
    elif path.is_file():
        known, found = _coco(path, images, class_name)
    else:
        raise SettingsError(f"{path} does not exist; give a folder of PNG masks, or a COCO file (.json)")
    masks = {image.index: _in_view(image, mask, transform, path) for image, mask in found}
    missing = tuple(image.name for image in images if image.index not in masks)
    if not masks:
        raise SettingsError(
            f"{path} has an object for none of the {len(images)} images ({images[0].name}, ...); name masks as the images, "
            "NAME.png for NAME.jpg, and give COCO's file_name as the images are named below their folder"
        )
    if missing:
        logger.warning("%s has no object for %d of %d images (%s, ...)", path, len(missing), len(images), missing[0])
    return Objects(known, masks, missing)


def _png(path: Path) -> Pixels:
    try:
        with PIL.Image.open(path, formats=("PNG",)) as image:
            pixels = np.asarray(image)
    except (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError) as error:
        raise SettingsError(
            f"{path} cannot be read as a mask ({error}); give a PNG whose pixels are 0 off the object"
        ) from error
    colors = pixels[..., : 3 if pixels.shape[-1] > 2 else 1] if pixels.ndim == 3 else pixels[..., None]  # alpha is no mask
    return np.asarray((colors != 0).any(axis=-1))


def _in_view(image: Image, mask: Pixels, transform: ViewTransform, path: Path) -> Pixels:
    """Bring a mask of an image to its view; what a view has beyond its image is no object."""
    if image.size is None or mask.shape != image.size:
        height, width = image.size or (0, 0)
        raise SettingsError(
            f"the mask of {image.name} in {path} is {mask.shape[1]} x {mask.shape[0]} pixels and the image {width} x {height}; "
            "give masks and boxes in pixels of the whole, upright image"
        )
    frame = view_frame(transform, image.size)
    matrix = np.array(
        [
            [frame.scale_x, 0, frame.left + frame.scale_x / 2 - 0.5],  # OpenCV counts from the middle of the first pixel
            [0, frame.scale_y, frame.top + frame.scale_y / 2 - 0.5],
        ]
    )
    size = image.view.shape[1::-1]
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(mask.astype(np.uint8), matrix, size, flags=flags, borderValue=0) > 0)


def _coco(path: Path, images: Sequence[Image], class_name: str) -> tuple[str, list[tuple[Image, Pixels]]]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        sizes = {one["id"]: (int(one["height"]), int(one["width"])) for one in data["images"]}
        keys = {one["file_name"]: one["id"] for one in data["images"]}
        of_image = match_names([image.name for image in images], keys)
        own = {one["id"] for one in data.get("categories", ()) if str(one.get("name")).casefold() == class_name.casefold()}
        rows: dict[Any, list[Any]] = {}
        for one in data["annotations"]:
            if not own or one.get("category_id") in own:
                rows.setdefault(one["image_id"], []).append(one)
        outlined = any(one.get("segmentation") for same in rows.values() for one in same)
        found = []
        for image in images:
            key = keys.get(of_image.get(image.name, ""))
            if key in rows:
                found.append((image, np.any([_drawn(one, sizes[key]) for one in rows[key]], axis=0)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        what = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise SettingsError(
            f"{path} cannot be read as COCO ({what}); give an object with images (id, file_name, width, height) and "
            "annotations (image_id, and segmentation or bbox)"
        ) from error
    return "masks" if outlined else "boxes", found


def _drawn(annotation: Mapping[str, Any], size: tuple[int, int]) -> Pixels:
    """Draw an annotation: run lengths (down the columns), polygons, or else its box."""
    outline = annotation.get("segmentation")
    if isinstance(outline, dict):
        counts = outline["counts"]
        lengths = np.array(_counts(counts) if isinstance(counts, str) else counts, np.int64)
        values = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
        return np.asarray(values.reshape(tuple(outline["size"]), order="F"))
    if outline:  # COCO counts from the edge of the first pixel, scikit-image from its middle
        drawn = [polygon2mask(size, np.reshape(polygon, (-1, 2))[:, ::-1] - 0.5) for polygon in outline]
        return np.asarray(np.any(drawn, axis=0))
    mask = np.zeros(size, bool)
    x, y, width, height = annotation["bbox"]
    mask[max(round(y), 0) : max(round(y + height), 0), max(round(x), 0) : max(round(x + width), 0)] = True
    return mask


def _counts(text: str) -> list[int]:
    """Read COCO's compressed run lengths: five bits a character, lowest first; the fourth and later less the second before."""
    found: list[int] = []
    value = shift = 0
    for character in text:
        code = ord(character) - 48
        value |= (code & 31) << shift
        shift += 5
        if not code & 32:
            if code & 16:
                value -= 1 << shift
            found.append(value + (found[-2] if len(found) > 2 else 0))
            value = shift = 0
    return found
