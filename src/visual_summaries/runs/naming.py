"""Which of the things that the user gives by name belongs to which image."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import PurePosixPath


def match_names(images: Iterable[str], given: Iterable[str]) -> dict[str, str]:
    """Return for each image, by its name, what is given for it, by its own name.

    The first rule that finds something holds: the same name; the same path without suffix; the same bare name. The latter two
    only hold where one image and one given thing have it.

    Examples
    --------
    >>> match_names(["a/1.jpg", "b/1.jpg", "b/2.jpg"], ["a/1.png", "elsewhere/2.png", "3.png"])
    {'a/1.jpg': 'a/1.png', 'b/2.jpg': 'elsewhere/2.png'}
    """
    images, given = list(images), list(given)
    matched = {name: name for name in set(given).intersection(images)}
    for key in (without_suffix, bare_name):
        of_images, of_given = _unique(images, key), _unique(given, key)
        matched = {image: of_given[own] for own, image in of_images.items() if own in of_given} | matched
    return {image: matched[image] for image in images if image in matched}


def without_suffix(name: str) -> str:
    """Return ``"a/b"`` for ``"a/b.png"``."""
    return PurePosixPath(name).with_suffix("").as_posix()


def bare_name(name: str) -> str:
    """Return ``"b"`` for ``"a/b.png"``."""
    return PurePosixPath(name).stem


def _unique(names: Iterable[str], key: Callable[[str], str]) -> dict[str, str]:
    """Return what only one name has, with that name."""
    rows: dict[str, set[str]] = {}
    for name in names:
        rows.setdefault(key(name), set()).add(name)
    return {own: same.pop() for own, same in rows.items() if len(same) == 1}
