"""Whether masks point at what the network uses: deletion and insertion curves, against random masks of the same area.

Deletion hides pixels in the order of their evidence and looks how fast the class score falls; insertion starts from the hidden
image and shows them in the same order (Petsiuk et al., RISE, BMVC 2018). *Average drop* and *increase* look at the image with
nothing but its evidence left (Chattopadhay et al., Grad-CAM++, WACV 2018). Each of these figures has its control: the same
mask moved to a random place of the same image, so that area and shape are equal.

A mask that has found evidence rather than a pattern that fools the network *holds*: most of its effect is kept when it is
shifted a little, when its outline is smoothed, and when its pixels are hidden in infills that it was not optimized under.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from visual_summaries._statistics import seeded
from visual_summaries.masks.controls import moved
from visual_summaries.masks.perturb import gaussian_blur
from visual_summaries.masks.scorer import Scorer
from visual_summaries.masks.seen import infill_of
from visual_summaries.results import Faithfulness, Mask
from visual_summaries.settings.masks import HELD_OUT, infills_of

#: How far a mask is shifted, and the sigma by which its outline is smoothed, as shares of the shorter side.
SHIFT, SMOOTHING = 0.02, 0.02


def evidence_rank(mask: Mask) -> NDArray[np.intp]:
    """Return the rank (H, W) of each pixel by its evidence, 0 for the strongest: by the final mask, equals by the smooth one.

    Examples
    --------
    >>> sharp = np.array([[0.0, 1.0, 1.0]], np.float16)
    >>> smooth = np.array([[0.5, 0.2, 0.9]], np.float16)
    >>> none = np.zeros(1, np.float32)
    >>> evidence_rank(Mask(smooth, sharp, None, 1.0, none, none, none)).tolist()
    [[2, 1, 0]]
    """
    # lexsort sorts by its last key first and is stable: ties keep the order of rows.
    order = np.lexsort((-mask.smooth.astype(np.float32).ravel(), -mask.final.astype(np.float32).ravel()))
    return np.argsort(order).reshape(mask.final.shape)


def first_pixels(rank: NDArray[np.intp], steps: int) -> NDArray[np.bool_]:
    """Return the masks of the first 0/steps, 1/steps, ... steps/steps of the pixels by rank (H, W), ``bool (steps + 1, H, W)``.

    Examples
    --------
    >>> first_pixels(np.array([[1, 2], [3, 0]]), 2).reshape(3, 4).astype(int).tolist()
    [[0, 0, 0, 0], [1, 0, 0, 1], [1, 1, 1, 1]]
    """
    counts = np.round(np.linspace(0, rank.size, steps + 1)).astype(int)
    return np.asarray(rank < counts[:, None, None])


def shifted(mask: NDArray[np.bool_], down: int, right: int) -> NDArray[np.bool_]:
    """Return a mask (H, W) shifted by pixels; what leaves the image is lost.

    Examples
    --------
    >>> shifted(np.array([[True, False, True]]), 0, 1).astype(int).tolist()
    [[0, 1, 0]]
    """
    return np.asarray(ndimage.shift(mask, (down, right), order=0))


def smoothed(mask: NDArray[np.bool_], sigma: float) -> NDArray[np.bool_]:
    """Return a mask (H, W) whose outline is smoothed: where it fills more than half of a Gaussian neighborhood.

    Examples
    --------
    >>> mask = np.zeros((9, 9), bool)
    >>> mask[:, :4], mask[4, 6] = True, True
    >>> smoothed(mask, 1.0).sum(axis=0).tolist()
    [9, 9, 9, 9, 0, 0, 0, 0, 0]
    """
    blurred = gaussian_blur(torch.from_numpy(mask).float()[None, None], 2 * math.ceil(3 * sigma) + 1, sigma)
    return np.asarray(blurred[0, 0].numpy() > 0.5)


def variations(evidence: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """Return the evidence (H, W) shifted down, shifted right, and smoothed."""
    side, pixels = min(evidence.shape), max(1, round(SHIFT * min(evidence.shape)))
    return [shifted(evidence, pixels, 0), shifted(evidence, 0, pixels), smoothed(evidence, SMOOTHING * side)]


def measure_faithfulness(
    scorer: Scorer, views: Sequence[NDArray[np.uint8]], masks: Sequence[Mask], *, steps: int = 5, random_state: int = 0
) -> Faithfulness:
    """Measure deletion, insertion, average drop and increase of masks, the same for moved copies, and whether masks hold.

    Pixels of an image (H, W, 3) are hidden in one of the settings' infills, which its pixels decide: over the images in all of
    them. What the evidence alone does is asked in each infill. Curves have `steps` points after the first. Where a mask is
    moved to depends on the seed and the pixels only.
    """
    infills = infills_of(scorer.settings.infill)
    curve, ways = (2, steps + 1), (len(infills),)
    shapes = {"deletion": curve, "insertion": curve, "moved": (2,), "shown": ways, "holds": (3,), "after": ways}
    rows: dict[str, list[NDArray[np.float32]]] = {name: [] for name in shapes}
    with scorer.frozen():
        for view, mask in zip(views, masks, strict=True):
            rank = evidence_rank(mask)
            elsewhere = moved(rank, seeded(random_state, view))
            curves = np.stack([first_pixels(one, steps) for one in (rank, elsewhere)])
            evidence = mask.binary()
            copy = elsewhere < evidence.sum()
            # The ends of the curves are the same two images for all of them: requested once.
            inner = curves[:, 1:-1].reshape(-1, *rank.shape)
            nothing = np.zeros((1, *rank.shape), dtype=bool)
            changed = np.stack([evidence, *variations(evidence)])
            own = infill_of(view, scorer.settings)
            questions = {
                "ends": (np.concatenate([nothing, ~nothing]), own),
                "deletion": (inner, own),
                "insertion": (~inner, own),
                "moved": (np.stack([copy, ~copy]), own),
                "changed": (changed, own),
                **{f"hidden {infill}": (evidence[None], infill) for infill in HELD_OUT},
                **{f"shown {infill}": (~evidence[None], infill) for infill in infills},
            }
            hide = np.concatenate([masks for masks, _ in questions.values()])
            names = [infill for masks, infill in questions.values() for _ in masks]
            scores = scorer.without(view, hide, names)
            ends = np.cumsum([len(masks) for masks, _ in questions.values()])[:-1]
            found = dict(zip(questions, np.split(scores, ends), strict=True))
            whole, none = found["ends"]
            for name, (first, last) in {"deletion": (whole, none), "insertion": (none, whole)}.items():
                row = found[name].reshape(2, steps - 1)
                rows[name].append(np.pad(row, ((0, 0), (1, 1)), constant_values=((0, 0), (first, last))))
            rows["moved"].append(found["moved"])
            rows["after"].append(mask.after)
            others = np.mean([found[f"hidden {infill}"] for infill in HELD_OUT])
            as_it_is, down, right, smooth = found["changed"]
            drops = whole - np.array([as_it_is, (down + right) / 2, smooth, others])
            rows["holds"].append((drops[1:] / drops[0] if drops[0] > 0 else np.full(3, np.nan)).astype(np.float32))
            rows["shown"].append(np.concatenate([found[f"shown {infill}"] for infill in infills]))
    stacked = {name: np.array(own, np.float32).reshape(-1, *shapes[name]) for name, own in rows.items()}
    return Faithfulness(
        **stacked,
        score_before=np.array([mask.score_before for mask in masks], np.float32),
        area=np.array([mask.area for mask in masks], np.float32),
    )
