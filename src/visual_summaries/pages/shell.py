"""Self-contained pages: templates, styles and scripts under a policy that lets nothing else in, pictures as data URIs."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
import numpy as np
import PIL.Image
from numpy.typing import NDArray

from visual_summaries.pages.charts import bar_width
from visual_summaries.pages.geometry import outline
from visual_summaries.pages.words import changed, counted, decimal, listed, percent, score_text, text

_OPTION = re.compile(r"(--[a-z][a-z-]*(?: [A-Z]+\b)?)")


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
    return render_template(template, policy=policy, style=style, **scripts, **context)


def render_template(name: str, **context: Any) -> str:
    """Return a template of the folder ``templates`` with every value of `context` escaped.

    Text need not be what UTF-8 can hold (see :func:`text`). Templates have the forms of figures, and :func:`data_uri` and
    :func:`outline`, as filters.
    """
    return _environment().get_template(name).render(**context)


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


def by_options(sentence: str) -> list[str]:
    """Return a sentence cut at the options of commands in it, every second piece an option: no line should break these apart.

    Examples
    --------
    >>> by_options("Give some with --others DIR.")
    ['Give some with ', '--others DIR', '.']
    """
    return _OPTION.split(text(sentence))


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: text(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(resource),
    )
    environment.filters |= {
        form.__name__: form
        for form in (bar_width, by_options, changed, counted, data_uri, decimal, listed, outline, percent, score_text)
    }
    return environment
