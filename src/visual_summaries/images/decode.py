"""Any picture - file, bytes, array, tensor - as an upright 8-bit RGB image, or a typed error that says why not."""

from __future__ import annotations

import io
import math
import os
import tokenize
import warnings
import zlib
from pathlib import Path
from struct import error as StructError

import numpy as np
import PIL.features
import PIL.Image
import PIL.ImageOps
import torch
from numpy.typing import NDArray
from torch import Tensor

from visual_summaries.errors import ImageError
from visual_summaries.images.dicom import read_dicom
from visual_summaries.images.heif import open_heif
from visual_summaries.images.kinds import FORMATS, HEAD, has_image_suffix, is_raw, kind_of

#: Anything that :func:`open_image` turns into an image.
ImageLike = str | os.PathLike[str] | bytes | PIL.Image.Image | NDArray[np.generic] | Tensor

#: Shortest side that is accepted, in pixels: less holds no part that anyone could recognize.
MIN_SIDE = 16
#: Largest number of pixels that is decoded.
MAX_PIXELS = 100_000_000

# Pillow knows some forty formats, one of which runs an interpreter (EPS): only these are ever tried on a file.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "DIB", "TIFF", "GIF", "JPEG2000")
# What Pillow's decoders raise on broken data (there is no common base class).
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    RuntimeError,
    zlib.error,
    StructError,
)


def open_image(source: ImageLike, *, min_side: int = MIN_SIDE, max_pixels: int = MAX_PIXELS) -> PIL.Image.Image:
    """Return a picture as an upright 8-bit RGB image.

    Files may be JPEG (also MPO), PNG, WebP, BMP, TIFF, GIF, JPEG 2000, AVIF (Pillow 11.3 or newer), HEIC (extra ``heif``),
    DICOM (extra ``dicom``) or arrays as ``.npy``; of an animation or a multi-page file the first frame counts. Grayscale,
    palette and CMYK are converted; transparency is laid on white; 16-bit gray is scaled by its full range (65535 becomes 255),
    that of DICOM by its window; the EXIF rotation is applied.

    Parameters
    ----------
    source : path, bytes, PIL.Image.Image, ndarray or Tensor
        A file or its bytes; an image; an array ``(H, W)``, ``(H, W, 1)``, ``(H, W, 3)`` or ``(H, W, 4)`` (RGBA), ``uint8`` or
        float in [0, 1]; a tensor ``(1, H, W)``, ``(3, H, W)`` or ``(4, H, W)`` of the same types.
    min_side : int
        Shortest side that is accepted, in pixels.
    max_pixels : int
        Largest number of pixels that is accepted. It is compared with what the file's header announces, before any pixel is
        decoded.

    Returns
    -------
    PIL.Image.Image
        Mode ``"RGB"``, fully decoded; the file is closed.

    Raises
    ------
    ImageError
        With one of the reasons of :class:`~visual_summaries.errors.ImageError`.

    Examples
    --------
    >>> gray = np.zeros((20, 30), np.uint8)
    >>> open_image(gray).mode, open_image(gray).size
    ('RGB', (30, 20))
    >>> open_image(np.full((20, 30, 3), 255.0))
    Traceback (most recent call last):
    ...
    visual_summaries.errors.ImageError: float array of shape (20, 30, 3) holds values from 255 to 255, ...
    """
    if isinstance(source, np.ndarray | Tensor):
        return _from_array(source, min_side, max_pixels)
    if isinstance(source, PIL.Image.Image):
        name = f"image of mode {source.mode}"
        _check_size(name, source.size, min_side, max_pixels)
        return _to_rgb(_load(name, source), name)
    if isinstance(source, bytes):
        return _from_file(io.BytesIO(source), f"{len(source)} bytes", min_side, max_pixels)
    if not isinstance(source, str | os.PathLike):
        raise ImageError(
            f"{type(source).__name__} ({source!r:.60}) is no image: give a path, bytes, an array, a tensor or an image"
        )
    with open_file(Path(source)) as file:
        return _from_file(file, str(source), min_side, max_pixels)


def open_file(path: Path) -> io.BufferedReader:
    """Open a regular file for reading.

    Raises
    ------
    ImageError
        If it cannot be opened, or is a pipe or a device, which could be read for ever.
    """
    try:
        if path.exists() and not path.is_dir() and not path.is_file():
            raise ImageError(f"{path} is no regular file but a pipe, socket or device: give image files")
        return path.open("rb")
    except OSError as error:
        raise ImageError(f"{path} cannot be opened: {error.strerror or error}") from error
    except ValueError as error:  # a name with a null byte
        raise ImageError(f"{path!r} cannot be opened: {error}") from error


def _from_file(file: io.BytesIO | io.BufferedReader, name: str, min_side: int, max_pixels: int) -> PIL.Image.Image:
    with warnings.catch_warnings():
        # Pillow warns at its own limit; ours is checked below.
        warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)
        try:
            kind = kind_of(file.read(HEAD))
            file.seek(0)
            if kind == "npy":
                return _from_array(_read_npy(file, name, max_pixels), min_side, max_pixels, name)
            if kind == "dicom":
                return _from_array(read_dicom(file, name, max_pixels), min_side, max_pixels, name)
            image = open_heif(file, name) if kind == "heif" else _open_by_pillow(file, name, kind)
        except PIL.UnidentifiedImageError as error:
            raise ImageError(*_no_image(file, name)) from error
        except PIL.Image.DecompressionBombError as error:
            raise ImageError(
                f"{name}: its header announces more pixels than any real picture has, the limit is {max_pixels:,}: {error}",
                "too-large",
            ) from error
        except ImageError:
            raise
        except _BROKEN as error:
            raise _broken(name, error) from error
        with image:
            _check_size(name, image.size, min_side, max_pixels)
            return _to_rgb(_load(name, image), name)


def open_map(path: str | Path) -> NDArray[np.generic]:
    """Return the numbers in a PNG of 8 or 16-bit gray (or of one bit), ``(H, W)``, or in a ``.npy``, as they are.

    Raises
    ------
    ImageError
        If the file cannot be read, is neither, or is a picture in color.
    """
    name = str(path)
    with open_file(Path(path)) as file:
        try:
            array = kind_of(file.read(HEAD)) == "npy"
            file.seek(0)
            if array:
                return _read_npy(file, name, MAX_PIXELS, "biuf", "numbers (H, W)")
            with PIL.Image.open(file, formats=("PNG",)) as image:
                _check_size(name, image.size, 1, MAX_PIXELS)
                if image.mode in ("1", "L", "I") or image.mode.startswith("I;16"):
                    return np.asarray(_load(name, image))
                raise ImageError(f"{name} is a picture in color ({image.mode}): save the map as 8 or 16-bit gray, or as .npy")
        except ImageError:
            raise
        except (PIL.Image.DecompressionBombError, *_BROKEN) as error:
            raise _broken(name, error) from error


def _open_by_pillow(file: io.BytesIO | io.BufferedReader, name: str, kind: str) -> PIL.Image.Image:
    if kind == "avif" and not ("avif" in PIL.features.modules and PIL.features.check("avif")):
        raise ImageError(f"{name} is an AVIF image: update Pillow to 11.3 or newer, or save it as PNG", "missing-extra")
    image = None if is_raw(name) else PIL.Image.open(file, formats=("AVIF",) if kind == "avif" else _FORMATS)
    tags = getattr(image, "tag_v2", {})
    if image is None or (image.format == "TIFF" and (50706 in tags or tags.get(254) == 1)):  # DNG's version; a preview
        raise ImageError(
            f"{name} is a raw photograph, or begins with a small preview: develop it and save it as JPEG, PNG or TIFF", "raw"
        )
    return image


def _no_image(file: io.BytesIO | io.BufferedReader, name: str) -> tuple[str, str]:
    """Return why a file of no known format cannot be opened, and the reason in a word."""
    if not file.seek(0, io.SEEK_END):
        return f"{name} is empty", "unreadable"
    message = f"{name} is not a readable {FORMATS} file: save it as JPEG or PNG if it is an image, or move it elsewhere"
    return message, "unreadable" if has_image_suffix(name) or isinstance(file, io.BytesIO) else "no-image"


def _read_npy(
    file: io.BytesIO | io.BufferedReader,
    name: str,
    max_pixels: int,
    kinds: str = "uf",
    expected: str = "(H, W) or (H, W, 3), uint8 or float in [0, 1]",
) -> NDArray[np.generic]:
    """Read an array without pickle; its header is asked first."""
    try:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = header(file)
        if math.prod(shape) > 4 * max_pixels:
            raise ImageError(f"{name} holds an array of shape {shape}, the limit is {max_pixels:,} pixels", "too-large")
        if dtype.kind not in kinds or len(shape) not in (2, 3):
            raise ImageError(f"{name} holds {dtype} of shape {shape}, expected {expected}")
        file.seek(0)
        return np.asarray(np.lib.format.read_array(file, allow_pickle=False))
    except (tokenize.TokenError, RecursionError, MemoryError) as error:  # a header is Python's syntax
        raise ImageError(f"{name} is a damaged array: {error}") from error


def _check_size(name: str, size: tuple[int, int], min_side: int, max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise ImageError(
            f"{name} is {height} x {width} pixels (H x W), {width * height:,} in all, but the limit is {max_pixels:,}: "
            "make it smaller, or raise max_pixels",
            "too-large",
        )
    if min(width, height) < min_side:
        raise ImageError(
            f"{name} is {height} x {width} pixels (H x W), but its shorter side must be at least {min_side}", "too-small"
        )


def _broken(name: str, error: Exception) -> ImageError:
    text = str(error)
    truncated = "truncated" in text.lower() or isinstance(error, EOFError)
    what = "is cut short" if truncated else "is damaged"
    return ImageError(f"{name} {what}: {text or type(error).__name__}", "truncated" if truncated else "unreadable")


def _load(name: str, image: PIL.Image.Image) -> PIL.Image.Image:
    """Decode all pixels and turn the image upright."""
    try:
        image.load()
        return PIL.ImageOps.exif_transpose(image)
    except PIL.Image.DecompressionBombError as error:
        raise ImageError(f"{name}: {error}", "too-large") from error
    except _BROKEN as error:
        raise _broken(name, error) from error


def _to_rgb(image: PIL.Image.Image, name: str) -> PIL.Image.Image:
    mode = image.mode
    if mode.startswith("I;16"):
        return _gray(np.asarray(image).astype(np.uint16, copy=False))
    if mode == "I":
        values = np.asarray(image)
        if image.format == "PNG":  # a 16-bit PNG, for Pillow before 11
            return _gray(values.clip(0, 65535).astype(np.uint16))
        raise ImageError(
            f"{name} holds 32-bit integers from {values.min()} to {values.max()}, of which none is white for certain: "
            "save it with 8 or 16 bits"
        )
    if mode == "F":
        return _from_array(np.asarray(image), 0, image.width * image.height, name)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = PIL.Image.new("RGBA", image.size, (255, 255, 255, 255))
        return PIL.Image.alpha_composite(white, image).convert("RGB")
    try:
        return image.convert("RGB")
    except ValueError as error:
        raise ImageError(f"{name} has the color mode {mode!r}, which cannot be converted: save it as RGB") from error


def _gray(values: NDArray[np.uint16]) -> PIL.Image.Image:
    # Pillow clips when it converts 16-bit gray to 8 bits; 65535 / 257 = 255 exactly. A table needs no copy in floats, which for
    # the largest image would be 800 MB.
    table = np.rint(np.arange(65536) / 257).astype(np.uint8)
    return PIL.Image.fromarray(table[values]).convert("RGB")


def _from_array(array: NDArray[np.generic] | Tensor, min_side: int, max_pixels: int, name: str = "") -> PIL.Image.Image:
    kind = "tensor" if isinstance(array, Tensor) else "array"
    given = f"{str(array.dtype).removeprefix('torch.')} {kind} of shape {tuple(array.shape)}"
    if isinstance(array, Tensor):
        if array.ndim != 3 or array.shape[0] not in (1, 3, 4):
            raise ImageError(
                f"{given} is no image, expected (1, H, W), (3, H, W) or (4, H, W): give images one by one, channels first"
            )
        tensor = array.detach().cpu()
        pixels: NDArray[np.generic] = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).permute(1, 2, 0).numpy()
    else:
        if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
            raise ImageError(
                f"{given} is no image, expected (H, W), (H, W, 1), (H, W, 3) or (H, W, 4): "
                "give images one by one, channels last"
            )
        pixels = array
    name = name or given
    _check_size(name, (pixels.shape[1], pixels.shape[0]), min_side, max_pixels)
    if pixels.dtype.kind == "f":
        low, high = float(pixels.min()), float(pixels.max())
        if not (low >= 0 and high <= 1):  # NaN fails too
            raise ImageError(
                f"float{name.removeprefix(str(pixels.dtype))} holds values from {low:g} to {high:g}, but must lie in [0, 1]: "
                "divide by the largest possible value, and undo any normalization"
            )
        scaled = np.empty(pixels.shape, np.uint8)
        for row, line in zip(scaled, pixels, strict=True):  # line by line: in floats all of it would be eight times as large
            np.rint(line.astype(np.float64) * 255, out=row, casting="unsafe")
        pixels = scaled
    elif pixels.dtype != np.uint8:
        raise ImageError(f"{name} must be uint8, or float in [0, 1]")
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    return _to_rgb(PIL.Image.fromarray(np.ascontiguousarray(pixels)), name)
