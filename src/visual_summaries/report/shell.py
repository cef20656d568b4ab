"""What every page of the package is built on: one file, under a policy that lets nothing in but what the file holds."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2


def render_self_contained(
    package: str, template: str, *, style: str, scripts: Mapping[str, str], context: Mapping[str, Any]
) -> str:
    """Return the HTML of a page that needs neither network nor other files.

    Every value of `context` is escaped. The policy, given to the template as ``policy``, allows images from data URIs and the
    very style sheet and scripts that are built in, known by their hashes; all else, requests included, is refused.

    Parameters
    ----------
    package : str
        Package whose folder ``templates`` has the template.
    template : str
        Name of its file.
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
    return _template(package, template).render(policy=policy, style=style, **scripts, **context)


@cache
def resource(package: str, name: str) -> str:
    """Return the text of a file in a package's folder ``templates``.

    Examples
    --------
    >>> ":root" in resource("visual_summaries.report", "base.css")
    True
    """
    # The hashes are those of the text between the tags, where a browser reads any line end as \n.
    return (files(package) / "templates" / name).read_text(encoding="utf-8").replace("\r\n", "\n")


def base_style() -> str:
    """Return the colours, type and basic elements that all pages share."""
    return resource("visual_summaries.report", "base.css")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _template(package: str, name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(lambda name: resource(package, name)),
    )
    return environment.get_template(name)
