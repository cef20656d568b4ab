"""Whether masks point at what the network uses: deletion and insertion curves, against random masks of the same area.

Deletion hides pixels in the order of their evidence and looks how fast the class score falls; insertion starts from the hidden
image and shows them in the same order (Petsiuk et al., RISE, BMVC 2018). *Average drop* and *increase* look at the image with
nothing but its evidence left (Chattopadhay et al., Grad-CAM++, WACV 2018). Each figure has its control: the same mask moved to
a random place of the same image, so that area and shape are equal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from visual_summaries.masks.hiding import scores_without
from visual_summaries.masks.kernel import fast_float32
from visual_summaries.masks.settings import MaskSettings
from visual_summaries.results import Faithfulness, Mask

if TYPE_CHECKING:
    from visual_summaries.classifiers import Classifier, Target


def pixel_order(mask: Mask) -> NDArray[np.intp]:
    """Return the flat indices of a mask's pixels, the strongest evidence first.

    The final mask decides; among its equals (most of a crisp mask) the smooth mask does.

    Examples
    --------
    >>> sharp = np.array([[0.0, 1.0, 1.0]], np.float16)
    >>> smooth = np.array([[0.5, 0.2, 0.9]], np.float16)
    >>> pixel_order(Mask(smooth, sharp, None, 1.0, 0.0, 0.0, np.empty(0, np.float32))).tolist()
    [2, 1, 0]
    """
    # lexsort sorts by its last key first and is stable: ties keep the order of rows.
    return np.lexsort((-mask.smooth.astype(np.float32).ravel(), -mask.final.astype(np.float32).ravel()))


def moved(order: NDArray[np.intp], shape: tuple[int, int], random_state: np.random.Generator) -> NDArray[np.intp]:
    """Return the order of the same evidence moved to a random place, around the border where it leaves the image.

    Examples
    --------
    >>> moved(np.arange(6), (2, 3), np.random.default_rng(0)).tolist()  # one row down, one column right
    [4, 5, 3, 1, 2, 0]
    """
    height, width = shape
    down, right = int(random_state.integers(height)), int(random_state.integers(width))
    rows, columns = np.divmod(order, width)
    return np.asarray((rows + down) % height * width + (columns + right) % width)


def first_pixels(order: NDArray[np.intp], shape: tuple[int, int], steps: int) -> NDArray[np.bool_]:
    """Return the masks of the first 0/steps, 1/steps, ... steps/steps of the pixels, ``bool (steps + 1, H, W)``.

    Examples
    --------
    >>> first_pixels(np.array([3, 0, 1, 2]), (2, 2), 2).reshape(3, 4).astype(int).tolist()
    [[0, 0, 0, 0], [1, 0, 0, 1], [1, 1, 1, 1]]
    """
    rank = np.empty(order.size, dtype=np.intp)
    rank[order] = np.arange(order.size)
    counts = np.round(np.linspace(0, order.size, steps + 1)).astype(int)
    return (rank[None, :] < counts[:, None]).reshape(steps + 1, *shape)


def measure_faithfulness(
    classifier: Classifier,
    views: Sequence[NDArray[np.uint8]],
    masks: Sequence[Mask],
    target: Target,
    settings: MaskSettings | None = None,
    *,
    steps: int = 10,
    batch_size: int = 16,
    random_state: int = 0,
    network: Classifier | None = None,
) -> Faithfulness:
    """Measure deletion, insertion, average drop and increase of masks, and the same for moved copies of them.

    Parameters
    ----------
    classifier : Classifier
    views : sequence of ndarray of uint8, (H, W, 3)
    masks : sequence of Mask
        Of the same images.
    target : Target
    settings : MaskSettings, optional
        How pixels are hidden (blur).
    steps : int
        Points of the curves after the first.
    batch_size : int
        Images that pass the network at a time.
    random_state : int
        Seed of where masks are moved to; an image's place depends on the seed and its pixels only.
    network : Classifier, optional
        What is asked instead of the classifier, where it is at hand; made by
        :func:`~visual_summaries.masks.kernel.fast_float32` when left out.

    Returns
    -------
    Faithfulness
    """
    settings = settings or MaskSettings()
    asked = network or (fast_float32(classifier, views[0]) if views else classifier)
    rows: dict[str, list[NDArray[np.float32]]] = {name: [] for name in ("deletion", "insertion", "evidence")}
    with asked.frozen(), torch.no_grad():
        for view, mask in zip(views, masks, strict=True):
            shape = view.shape[:2]
            order = pixel_order(mask)
            seed = int.from_bytes(hashlib.sha256(view.tobytes()).digest()[:8], "big")
            rng = np.random.default_rng([random_state, seed])
            elsewhere = moved(order, (shape[0], shape[1]), rng)
            curves = np.stack([first_pixels(one, (shape[0], shape[1]), steps) for one in (order, elsewhere)])
            evidence = mask.final > 0.5
            count = int(evidence.sum())
            copy = np.zeros(evidence.size, dtype=bool)
            copy[elsewhere[:count]] = True
            alone = np.stack([evidence, copy.reshape(evidence.shape)])
            # The ends of the curves are the same two images for all of them: asked for once.
            inner = curves[:, 1:-1].reshape(-1, *shape)
            nothing = np.zeros((1, *shape), dtype=bool)
            hide = np.concatenate([nothing, ~nothing, inner, ~inner, alone, ~alone])
            scores = scores_without(asked, view, target, hide, settings, batch_size)
            whole, none = scores[0], scores[1]
            hidden, shown = np.split(scores[2:-4].reshape(4, steps - 1), 2)
            rows["deletion"].append(np.pad(hidden, ((0, 0), (1, 1)), constant_values=((0, 0), (whole, none))))
            rows["insertion"].append(np.pad(shown, ((0, 0), (1, 1)), constant_values=((0, 0), (none, whole))))
            rows["evidence"].append(scores[-4:].reshape(2, 2).T)
    empty = np.empty((0, 2, steps + 1), np.float32)
    return Faithfulness(
        deletion=np.stack(rows["deletion"]) if views else empty,
        insertion=np.stack(rows["insertion"]) if views else empty,
        evidence=np.stack(rows["evidence"]) if views else np.empty((0, 2, 2), np.float32),
        score_before=np.array([mask.score_before for mask in masks], np.float32),
        area=np.array([mask.area for mask in masks], np.float32),
    )
