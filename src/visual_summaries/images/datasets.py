"""What looks like a dataset, by what it offers and not by its library: its rows as images and labels."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from typing import Any

import numpy as np
import PIL.Image
from torch import Tensor

from visual_summaries.errors import ImageError, NoImagesError

#: The class of a row: its number or name, None where none is given.
Label = int | str | None

#: Columns that hold images and labels, the first that a row has counts.
_IMAGES = (
    "image",
    "img",
    "images",
    "pixel_values",
    "picture",
    "photo",
    "x",
    "jpg",
    "jpeg",
    "png",
    "webp",
    "image_path",
    "file_name",
)
_LABELS = ("label", "labels", "fine_label", "class", "cls", "target", "category", "y")


@dataclass(frozen=True, eq=False)
class Row:
    """An image with its label, fetched when it is needed.

    Attributes
    ----------
    read : callable
        Returns both.
    path : str or None
        The file of the image, where it is known before.
    """

    read: Callable[[], tuple[Any, Label]]
    path: str | None = None


def items_of(source: Any, most: int | None = None) -> list[Any]:
    """Return the images, or :class:`Row` objects, of a dataset, a loader or any other iterable.

    Rows of a dataset that has a length are fetched one at a time; an ``ImageFolder`` gives the paths of its files. Batches are
    taken apart.

    Raises
    ------
    NoImagesError
        If it is none of these; the message names what was given.

    Examples
    --------
    >>> [row.read() for row in items_of([("a.jpg", 3), ("b.jpg", 4)])]
    [('a.jpg', 3), ('b.jpg', 4)]
    >>> items_of(7)
    Traceback (most recent call last):
    ...
    visual_summaries.errors.NoImagesError: images is an int (7): give a folder, paths, arrays, a tensor or a dataset
    """
    if isinstance(source, np.ndarray):
        source = [os.fsdecode(item) if isinstance(item, bytes) else item for item in source.ravel().tolist()]
    if hasattr(source, "read") or (isinstance(source, Mapping) and set(source) & {*_IMAGES, "bytes", "path"}):
        source = [source]  # a file, or a row
    rows = _indexed(source)
    if rows is not None:
        return rows[:most]
    if isinstance(source, Mapping) or hasattr(source, "iterrows") or not _iterable(source):
        keys = getattr(source, "columns", source if isinstance(source, Mapping) else None)
        kind = type(source).__name__
        what = f"images is a{'n' * (kind[0].lower() in 'aeiou')} {kind}"
        if keys is not None:
            raise NoImagesError(f"{what} with the keys {', '.join(map(str, islice(keys, 8)))}: give the one that holds images")
        raise NoImagesError(f"{what} ({source!r:.60}): give a folder, paths, arrays, a tensor or a dataset")
    batches = [source] if isinstance(source, tuple) and _is_batch(source) else source
    return list(islice((image for item in batches for image in _taken_apart(item)), most))


def label_names(source: Any) -> tuple[str, ...]:
    """Return the names of a dataset's labels, in their order; empty where it has none."""
    for _ in range(4):  # a loader of a subset of a dataset
        features = getattr(source, "features", None)
        columns = [features[name] for name in _LABELS if name in features] if isinstance(features, Mapping) else [source]
        names = next(
            (found for column in columns for found in [getattr(column, "names", getattr(column, "classes", None))]), None
        )
        if isinstance(names, list | tuple) and all(isinstance(name, str) for name in names):
            return tuple(names)
        source = getattr(source, "dataset", None)
    return ()


def _iterable(source: Any) -> bool:
    return isinstance(source, Iterable) or hasattr(source, "__getitem__")


def _indexed(source: Any) -> list[Any] | None:
    """Return the rows of a dataset of torch or Hugging Face, None for anything else."""
    indices, inner = getattr(source, "indices", None), getattr(source, "dataset", None)
    if indices is not None and (rows := _indexed(inner)) is not None:
        return [rows[int(index)] for index in indices]
    samples = getattr(source, "samples", None)
    if isinstance(samples, list) and all(isinstance(row, tuple) and isinstance(row[0], str) for row in samples):
        return [Row(partial(split, row), row[0]) for row in samples]
    sized = hasattr(source, "__getitem__") and hasattr(source, "__len__") and not isinstance(source, Mapping)
    if not sized or (hasattr(source, "__iter__") and not hasattr(source, "column_names")):
        return None
    fetch = lru_cache(maxsize=1)(partial(_fetched, source))  # label, pixels and hash are requested one after the other
    return [Row(partial(fetch, index)) for index in range(len(source))]


def _fetched(source: Any, index: int) -> tuple[Any, Label]:
    try:
        return split(source[index])
    except ImageError:
        raise
    except Exception as error:  # whatever the dataset's own code raises
        raise ImageError(f"row {index} of {type(source).__name__} cannot be read: {type(error).__name__}: {error}") from error


def split(row: Any) -> tuple[Any, Label]:
    """Return image and label of a row: ``{"image": ..., "label": ...}``, ``(image, label)``, or an image alone.

    Raises
    ------
    ImageError
        If a mapping holds no image.
    """
    image, label = _columns(row)
    if isinstance(image, Mapping):  # as Hugging Face keeps files
        image = image["bytes"] if image.get("bytes") is not None else image.get("path")
    if hasattr(image, "read"):
        if hasattr(image, "seek"):
            image.seek(0)
        image = image.read()
        if not isinstance(image, bytes):
            raise ImageError(f"a file gives {type(image).__name__} instead of bytes: open it with mode 'rb'")
    return image, _label(label)


def _columns(row: Any) -> tuple[Any, Any]:
    if isinstance(row, Mapping):
        if not set(row) & {"bytes", "path"} or set(row) & set(_IMAGES):
            key = next((name for name in _IMAGES if name in row), None)
            if key is None:
                raise ImageError(f"a row with the keys {', '.join(map(str, row))} holds no image: name its column 'image'")
            return row[key], next((row[name] for name in _LABELS if name in row), None)
        return row, None
    if isinstance(row, list | tuple) and row:
        return row[0], row[1] if len(row) > 1 else None
    return row, None


def _label(value: Any) -> Label:
    if isinstance(value, Tensor | np.ndarray | np.generic):
        value = value.item() if np.prod(value.shape) == 1 else None
    return value if isinstance(value, int | str) and not isinstance(value, bool) else None


def _is_batch(row: Any) -> bool:
    """Whether a row is many images at a time: a tensor of four dimensions, or a list of images."""
    image = _columns(row)[0] if isinstance(row, list | tuple | Mapping) else row
    several = (
        isinstance(image, list | tuple) and len(image) > 0 and isinstance(image[0], PIL.Image.Image | str | bytes | Tensor)
    )
    return several or (isinstance(image, Tensor | np.ndarray) and image.ndim == 4)


def _taken_apart(item: Any) -> Iterator[Any]:
    if _is_batch(item):
        images, labels = _columns(item) if isinstance(item, list | tuple | Mapping) else (item, None)
        several = isinstance(labels, list | tuple) or (isinstance(labels, Tensor | np.ndarray) and labels.ndim == 1)
        if labels is None or not several:
            labels = [None] * len(images)
        if len(labels) != len(images):
            raise ImageError(f"a batch holds {len(images)} images but {len(labels)} labels: give one for each")
        pairs: Iterable[Any] = zip(images, labels, strict=True)
    elif isinstance(item, list | tuple | Mapping) or hasattr(item, "read"):
        pairs = [item]
    else:
        yield item
        return
    for pair in pairs:
        image, label = split(pair)
        path = os.fspath(image) if isinstance(image, str | os.PathLike) else None
        yield image if label is None else Row(partial(tuple, (image, label)), path)
