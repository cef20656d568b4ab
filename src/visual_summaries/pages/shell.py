"""Pictures and polygons in the forms that a page can hold: data URIs and SVG paths."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
import numpy as np
import PIL.Image
from numpy.typing import NDArray

from visual_summaries.pages.geometry import Polygon


def data_uri(picture: NDArray[np.uint8], *, quality: int | None = 82) -> str:
    """Return an image as a WebP data URI.

    Parameters
    ----------
    picture : ndarray of uint8, (H, W, 3) or (H, W)
        RGB or gray.
    quality : int or None
        Of the lossy compression, 1 to 100; None keeps every pixel.

    Examples
    --------
    >>> data_uri(np.zeros((2, 3, 3), np.uint8))[:23]
    'data:image/webp;base64,'
    """
    buffer = io.BytesIO()
    image = PIL.Image.fromarray(np.ascontiguousarray(picture))
    if quality is None:
        image.save(buffer, "WEBP", lossless=True, quality=100, method=4)
    else:
        image.save(buffer, "WEBP", quality=quality, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def gray_levels(mask: NDArray[np.floating], levels: int = 32) -> NDArray[np.uint8]:
    """Return a mask in [0, 1] as gray values 0 .. 255 of a few levels, which compress well.

    Examples
    --------
    >>> gray_levels(np.array([[0.0, 0.49, 1.0]]), levels=3).tolist()
    [[0, 128, 255]]
    """
    steps = np.round(np.clip(mask.astype(np.float32), 0, 1) * (levels - 1))
    return np.asarray(np.round(steps * 255 / (levels - 1)), np.uint8)


def svg_path(polygons: Iterable[Polygon]) -> str:
    """Return closed polygons as the ``d`` of one SVG path, coordinates rounded to a tenth.

    Examples
    --------
    >>> svg_path([np.array([[0, 0], [2.5, 0], [2.5, 1.04], [0, 0]])])
    'M0 0 2.5 0 2.5 1Z'
    """
    parts = []
    for polygon in polygons:
        points = polygon[:-1] if len(polygon) > 1 and np.array_equal(polygon[0], polygon[-1]) else polygon
        if len(points):
            parts.append("M" + " ".join(f"{_short(x)} {_short(y)}" for x, y in points) + "Z")
    return "".join(parts)


def _short(value: float) -> str:
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text


def render_self_contained(template: str, *, style: str, scripts: Mapping[str, str], context: Mapping[str, Any]) -> str:
    """Return the HTML of a page that needs neither network nor other files.

    Every value of `context` is escaped. The policy, given to the template as ``policy``, allows images from data URIs and the
    very style sheet and scripts that are built in, known by their hashes; all else, requests included, is refused.

    Parameters
    ----------
    template : str
        Name of a file in the folder ``templates``.
    style : str
        The page's only style sheet, for the template as ``style``; trusted, so nothing of a user's may be in it.
    scripts : mapping of str to str
        Scripts by the names that the template has for them; trusted as well.
    context : mapping
        All other values.
    """
    policy = "; ".join(
        [
            "default-src 'none'",
            "img-src data:",
            f"style-src {_hash(style)}",
            f"script-src {' '.join(map(_hash, scripts.values()))}" if scripts else "script-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    return _template(template).render(policy=policy, style=style, **scripts, **context)


@cache
def resource(name: str) -> str:
    """Return the text of a file in the folder ``templates``.

    Examples
    --------
    >>> ":root" in resource("base.css")
    True
    """
    # The hashes are those of the text between the tags, where a browser reads any line end as \n.
    return (files(__package__) / "templates" / name).read_text(encoding="utf-8").replace("\r\n", "\n")


def base_style() -> str:
    """Return the colors, type and basic elements that all pages share."""
    return resource("base.css")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(resource),
    )
    return environment.get_template(name)
