"""Packages whose names are imported when they are first used, so that what needs no network starts without its libraries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a package's ``__getattr__``: `homes` names the module of each of its names; none may be the name of a module.

    Examples
    --------
    >>> get = lazy("visual_summaries", {"preset": "settings"})
    >>> get("preset")("quick").masks.mode == get("preset")("default").masks.mode
    True
    >>> get("presets")
    Traceback (most recent call last):
    ...
    AttributeError: module 'visual_summaries' has no attribute 'presets'
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    return get
