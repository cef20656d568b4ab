"""HEIC images, by pillow-heif (extra ``heif``)."""

from __future__ import annotations

from typing import IO

import PIL.Image

from visual_summaries.errors import ImageError


def open_heif(file: IO[bytes], name: str) -> PIL.Image.Image:
    """Open a HEIC image; its pixels are decoded on demand, and upright.

    Raises
    ------
    ImageError
        If pillow-heif is not installed; a damaged file raises what Pillow raises.
    """
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        raise ImageError(
            f"{name} is a HEIC image, which pillow-heif opens: pip install 'visual-summaries[heif]', or save it as JPEG or PNG",
            "missing-extra",
        ) from error
    image: PIL.Image.Image = HeifImageFile(file)
    return image
