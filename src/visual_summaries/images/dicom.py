"""DICOM images, by pydicom (extra ``dicom``)."""

from __future__ import annotations

import io
import warnings
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from visual_summaries.errors import ImageError

#: Files of this transfer syntax are compressed as a whole, so that a small one can fill the memory.
_DEFLATED = b"1.2.840.10008.1.2.1.99"


def read_dicom(file: IO[bytes], name: str, max_pixels: int) -> NDArray[np.generic]:
    """Return the first frame of a DICOM file: gray as float (H, W) in [0, 1], color as uint8 (H, W, 3).

    Gray values pass the file's rescaling and its first window (linear or sigmoid); without a window up to 8 bits are
    taken by their range, more by their least and largest value. ``MONOCHROME1`` is inverted, so that more is brighter.

    Raises
    ------
    ImageError
        If pydicom is not installed, the file is too large, or it holds no gray or RGB image that can be decoded.
    """
    try:
        import pydicom
        from pydicom.pixels import apply_rescale, pixel_array
    except ImportError as error:
        raise ImageError(
            f"{name} is a DICOM file, which pydicom opens: pip install 'visual-summaries[dicom]', or save it as PNG",
            "missing-extra",
        ) from error
    data = file.read()
    if _DEFLATED in data:
        raise ImageError(f"{name} is a deflated DICOM file, which is not unpacked: save it uncompressed, or as PNG")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of values that break the standard
            found = pydicom.dcmread(io.BytesIO(data))
            rows, columns = int(found.Rows), int(found.Columns)
            if rows * columns > max_pixels:
                raise ImageError(f"{name} is {rows} x {columns} pixels (H x W), the limit is {max_pixels:,}", "too-large")
            kind = str(found.PhotometricInterpretation)
            if not kind.startswith(("MONOCHROME", "RGB", "YBR")):
                raise ImageError(f"{name} is a DICOM file of {kind} pixels: save it as gray or RGB, or as PNG")
            pixels = pixel_array(found, index=0)
            if not kind.startswith("MONOCHROME"):
                return np.asarray(pixels if pixels.dtype == np.uint8 else pixels / np.iinfo(pixels.dtype).max)
            gray = _windowed(found, np.asarray(apply_rescale(pixels, found), np.float64), int(found.BitsStored))
            return 1 - gray if kind == "MONOCHROME1" else gray
    except ImageError:
        raise
    except Exception as error:  # pydicom raises whatever a damaged value leads to
        said = " ".join(str(error).split())
        raise ImageError(f"{name} is a DICOM file whose pixels cannot be decoded ({said}): save it as PNG") from error


def _windowed(found: Any, values: NDArray[np.float64], bits: int) -> NDArray[np.float64]:
    """Return gray values in [0, 1]."""
    center, width = _first(found, "WindowCenter"), _first(found, "WindowWidth")
    if center is None or width is None or width <= 0:
        low, high = (0.0, 2.0**bits - 1) if bits <= 8 else (float(values.min()), float(values.max()))
        return np.clip((values - low) / max(high - low, 1e-9), 0, 1)
    function = found.get("VOILUTFunction") or "LINEAR"
    if function == "SIGMOID":
        return np.asarray(1 / (1 + np.exp(np.clip(-4 * (values - center) / width, -60, 60))))
    if function == "LINEAR":  # DICOM PS3.3, C.11.2.1.2
        center, width = center - 0.5, max(width - 1, 1e-9)
    return np.clip((values - center) / width + 0.5, 0, 1)


def _first(found: Any, name: str) -> float | None:
    value = found.get(name)
    if value is None or value == "":
        return None
    return float(value if isinstance(value, str | int | float) or not hasattr(value, "__getitem__") else value[0])
