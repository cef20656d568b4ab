"""What a user calls "the images" - a folder, paths, arrays, a tensor - as a sequence of named sources, opened one at a time."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from visual_summaries.errors import ImageError, NoImagesError
from visual_summaries.images.datasets import Label, Row, items_of
from visual_summaries.images.decode import ImageLike, open_file, open_image
from visual_summaries.images.kinds import IMAGE_SUFFIXES, is_image, is_no_image

#: Anything that :func:`gather_images` understands.
ImagesLike = ImageLike | Iterable[Any]


@dataclass(frozen=True)
class ImageSource:
    """One image that is opened when it is needed.

    Attributes
    ----------
    name : str
        Path below the folder, or a made-up name for arrays.

    Examples
    --------
    >>> source = ImageSource("black", np.zeros((20, 30), np.uint8))
    >>> source.load().size, source.sha256()[:8]
    ((30, 20), 'bd50e12c')
    """

    name: str
    content: ImageLike | Row = field(repr=False, compare=False)

    @property
    def label(self) -> Label:
        """The class that a dataset gives the image: a number or a name; None where nothing is given."""
        return self.content.read()[1] if isinstance(self.content, Row) else None

    def _image(self) -> ImageLike:
        image: ImageLike = self.content.read()[0] if isinstance(self.content, Row) else self.content
        return image

    def load(self) -> PIL.Image.Image:
        """Return the upright RGB image; see :func:`~visual_summaries.images.open_image`.

        Raises
        ------
        ImageError
            If it cannot be used; its ``reason`` says why.
        """
        return open_image(self._image())

    def sha256(self) -> str:
        """Return the SHA-256 of the file's bytes, or of the pixel data of an array, tensor or image.

        Raises
        ------
        ImageError
            If the file cannot be read.
        """
        content = self._image()
        if isinstance(content, str | os.PathLike):
            with open_file(Path(content)) as file:
                try:
                    return hashlib.file_digest(file, "sha256").hexdigest()
                except OSError as error:
                    raise ImageError(f"{content} cannot be read: {error.strerror or error}") from error
        if isinstance(content, bytes):
            return hashlib.sha256(content).hexdigest()
        if isinstance(content, Tensor):
            content = content.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
        return hashlib.sha256(np.ascontiguousarray(np.asarray(content)).tobytes()).hexdigest()


def gather_images(source: ImagesLike, max_images: int | None = None) -> tuple[ImageSource, ...]:
    """Return the images of a folder, of a list or of a tensor as sources that are opened one at a time.

    A folder is searched with all folders below it, hidden ones apart; its files come in the natural order of their
    paths (``2.jpg`` before ``10.jpg``), the same on every machine. What is plainly no image (notes, tables, files of the
    system) is left out; all else is a source, and one that cannot be decoded says so when it is loaded.

    Parameters
    ----------
    source : path, iterable, dataset, ndarray or Tensor
        A folder; one image in any form that :func:`~visual_summaries.images.open_image` takes; an iterable of such images (a
        generator is read up to `max_images` and its images are kept); a tensor ``(N, C, H, W)`` or an array ``(N, H, W, C)``; a
        dataset of torch, torchvision or Hugging Face, or anything that gives pairs ``(image, label)``, rows
        ``{"image": ..., "label": ...}`` or batches of these; see :attr:`ImageSource.label`.
    max_images : int, optional
        Take the first so many.

    Returns
    -------
    tuple of ImageSource
        At least one.

    Raises
    ------
    NoImagesError
        If the folder does not exist or nothing in it is an image; the message says what was found.

    Examples
    --------
    >>> [source.name for source in gather_images(np.zeros((3, 20, 30, 3), np.uint8), max_images=2)]
    ['image-0000', 'image-0001']
    >>> gather_images("no/such/folder")
    Traceback (most recent call last):
    ...
    visual_summaries.errors.NoImagesError: no/such/folder does not exist: give a folder of images or an image file
    """
    if max_images is not None and max_images < 1:
        raise NoImagesError(f"max_images is {max_images}, but must be at least 1")
    if isinstance(source, str | os.PathLike):
        return _from_path(Path(source))[:max_images]
    if isinstance(source, bytes | PIL.Image.Image):
        return (ImageSource("image-0000", source),)
    if isinstance(source, np.ndarray | Tensor) and not (isinstance(source, np.ndarray) and source.dtype.kind in "OSU"):
        if source.ndim in (2, 3):
            return (ImageSource("image-0000", source),)
        if source.ndim != 4:
            expected = "(N, C, H, W)" if isinstance(source, Tensor) else "(N, H, W, C)"
            raise NoImagesError(f"images of shape {tuple(source.shape)} given, but expected {expected}")
        source = list(source)
    items = items_of(source, max_images)
    if not items:
        raise NoImagesError("no images: the iterable that was given is empty")
    names = _names(items)
    return tuple(ImageSource(name, item) for name, item in zip(names, items, strict=True))


def _from_path(path: Path) -> tuple[ImageSource, ...]:
    if path.is_file():
        return (ImageSource(path.name, path),)
    if not path.exists():
        raise NoImagesError(f"{path} does not exist: give a folder of images or an image file")
    files = sorted(_walk(path), key=lambda file: natural_key(file.relative_to(path).as_posix()))
    images = [file for file in files if not is_no_image(file)]
    if not any(map(is_image, images)):
        accepted = ", ".join(IMAGE_SUFFIXES)
        if not files:
            raise NoImagesError(f"{path} holds no files (hidden ones apart): give a folder of images ({accepted})")
        kinds = Counter(file.suffix.lower() or "no suffix" for file in files)
        found = ", ".join(f"{kind} ({count})" for kind, count in kinds.most_common(8))
        plural = "file" if len(files) == 1 else "files"
        raise NoImagesError(f"{path} holds {len(files)} {plural}, none of them an image: {found}. Accepted are {accepted}")
    return tuple(ImageSource(file.relative_to(path).as_posix(), file) for file in images)


def _walk(root: Path) -> Iterator[Path]:
    """Files below `root`, each folder once: links to folders are followed after the folders proper, and never into a loop."""
    seen: set[str] = set()
    waiting = [root]
    while waiting:
        links: list[Path] = []
        for start in waiting:
            if os.path.realpath(start) in seen:
                continue
            for folder, folders, files in os.walk(start):
                here = Path(folder)
                if os.path.realpath(here) in seen:
                    folders[:] = []
                    continue
                seen.add(os.path.realpath(here))
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                links += [here / name for name in folders if (here / name).is_symlink()]
                yield from (here / name for name in files if not name.startswith("."))
        waiting = links


def natural_key(name: str) -> tuple[object, ...]:
    """Return a sorting key under which numbers inside names count as numbers.

    Examples
    --------
    >>> sorted(["b10", "a", "b9", "B1"], key=natural_key)
    ['a', 'B1', 'b9', 'b10']
    """
    # re.split alternates text and number, so that keys compare text with text and number with number
    parts = re.split(r"([0-9]+)", name.casefold())
    return (*(int(part) if index % 2 else part for index, part in enumerate(parts)), name)


def _names(items: list[Any]) -> list[str]:
    """Names of their own: files by their path below the common folder, all else by position."""
    given = [item.path if isinstance(item, Row) else item for item in items]
    paths = [Path(item) if isinstance(item, str | os.PathLike) else None for item in given]
    folders = [os.path.abspath(path.parent) for path in paths if path is not None]  # noqa: PTH100 - not resolving links
    common = os.path.commonpath(folders) if folders else ""
    return [
        f"image-{index:04d}" if path is None else Path(os.path.relpath(path, common)).as_posix()
        for index, path in enumerate(paths)
    ]
