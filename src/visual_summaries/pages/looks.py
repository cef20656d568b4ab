"""The page of a network that looks again at parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import torch
from numpy.typing import NDArray

from visual_summaries.files.atomic import write_text
from visual_summaries.pages import words
from visual_summaries.pages.shell import base_style, data_uri, render_self_contained, resource
from visual_summaries.pages.specialized import PAGE, SIDE, signed
from visual_summaries.specialization.closer import CloserLooks
from visual_summaries.specialization.looking import cut_out

#: Training images that a part is shown in.
TILES = 10

View = NDArray[np.uint8]


def write_looks(result: CloserLooks, folder: Path) -> Path:
    """Write the page into a folder and return its path."""
    write_text(folder / PAGE, render_page(result))
    return folder / PAGE


def render_page(result: CloserLooks) -> str:
    """Return the page's HTML; all text from outside is escaped, and it runs no script."""
    chosen = shown_images(result.examples.labels)
    context = {
        "result": result,
        "verdict": verdict(result),
        "tested": any(one.tested for one in result.classes),
        "names": [result.classes[result.examples.labels[image]].name for image in chosen],
        "pictures": pictures(result, chosen),
        "gain": f"{signed(result.gain, 3)} ± {result.error:.3f}",
    }
    style = base_style() + resource("specialized.css")
    return render_self_contained("looks.html.j2", style=style, scripts={}, context=context)


def verdict(result: CloserLooks) -> str:
    """Return the result, in a sentence."""
    looks = f"{words.counted(sum(look.weight > 0 for look in result.looks[1:]), 'look')} at parts"
    if any(one.tested for one in result.classes):
        total = sum(one.tested for one in result.classes)
        before, after = result.share("before"), result.share("after")
        said = f"On {words.counted(total, 'test image')}: {before:.1%} right before, {after:.1%} with {looks}."
        if after <= before:
            return f"{said} Keep the network that was given."
    else:
        before, after = result.share("whole"), result.share("looks")
        said = f"Training images held out of the fit: {before:.1%} right by the whole image alone, {after:.1%} with {looks}."
    return said if result.gain > result.error else f"{said} What looks add is not above its error: expect nothing of them."


def shown_images(labels: NDArray[np.intp]) -> list[int]:
    """Return the positions of a few images, of as many classes as can be.

    Examples
    --------
    >>> shown_images(np.repeat([0, 1, 2], 20))
    [0, 20, 40, 1, 21, 41, 2, 22, 42, 3]
    """
    rank = np.zeros(len(labels), int)
    for label in np.unique(labels):
        rank[labels == label] = np.arange((labels == label).sum())
    return [int(image) for image in np.lexsort((labels, rank))[:TILES]]


def pictures(result: CloserLooks, chosen: list[int]) -> list[list[str]]:
    """Return for each part what is looked at in some of the training images, as data URIs."""
    found: dict[int, list[str]] = {}
    for position, view in enumerate(result.views()):
        if position in chosen:
            x = torch.from_numpy(view).permute(2, 0, 1)[None].float()
            near = cut_out(x, torch.from_numpy(result.places[position][None]), result.module.side)
            crops = near.clamp(0, 255).round().byte().permute(0, 2, 3, 1).numpy()
            found[position] = [data_uri(smaller(crop)) for crop in crops]
    return [[found[image][k] for image in chosen] for k in range(len(result.looks) - 1)]


def smaller(crop: View) -> View:
    """Return a picture that is at most :data:`pages.specialized.SIDE` pixels on a side."""
    picture = PIL.Image.fromarray(crop)
    picture.thumbnail((SIDE, SIDE))
    return np.asarray(picture)
