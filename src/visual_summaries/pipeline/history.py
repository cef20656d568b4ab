"""What a run knows of its earlier, interrupted beginnings: which images they had."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from visual_summaries.results import Image
from visual_summaries.store import Journal

logger = logging.getLogger("visual_summaries")


def former_images(journal: Journal) -> dict[str, str]:
    """Return name and hash of the images that the run had when it was last begun; none if this is the first time."""
    found: dict[str, str] = {}
    for entry in journal.entries():
        if entry.get("event") == "images" and isinstance(entry.get("images"), dict):
            found = entry["images"]
    return found


def changes(former: dict[str, str], images: Sequence[Image]) -> dict[str, list[str]]:
    """Return which images are ``gone``, ``changed`` and ``added`` since the run was last begun, by name.

    Examples
    --------
    >>> import numpy as np
    >>> view = np.zeros((2, 2, 3), np.uint8)
    >>> now = [Image(0, "a", "1", view, 0.5, 0), Image(1, "b", "3", view, 0.5, 0), Image(2, "d", "4", view, 0.5, 0)]
    >>> changes({"a": "1", "b": "2", "c": "5"}, now)
    {'gone': ['c'], 'changed': ['b'], 'added': ['d']}
    """
    now = {image.name: image.sha256 for image in images}
    if not former:
        return {"gone": [], "changed": [], "added": []}
    return {
        "gone": [name for name in former if name not in now],
        "changed": [name for name, sha256 in now.items() if name in former and former[name] != sha256],
        "added": [name for name in now if name not in former],
    }


def note_images(journal: Journal, former: dict[str, str], images: Sequence[Image]) -> dict[str, list[str]]:
    """Write the images of the run into the journal, and tell what is not as it was when the run was last begun."""
    found = changes(former, images)
    journal.write("images", images={image.name: image.sha256 for image in images})
    for kind, names in found.items():
        if names:
            done = "the run goes on without" if kind == "gone" else "computed anew"
            logger.warning("%s since this run was begun; %s", in_words(kind, names), done)
    return found


def in_words(kind: str, names: Sequence[str]) -> str:
    """Return how many images are gone, changed or added, with the first names.

    Examples
    --------
    >>> in_words("gone", ["a.jpg", "b.jpg"])
    '2 images gone (a.jpg, b.jpg)'
    """
    listed = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return f"{len(names)} image{'s' if len(names) > 1 else ''} {kind} ({listed})"
