"""What all summaries take together, beside all evidence and what is in no summary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from visual_summaries.analyses.controls import moved_copies, object_mask, seeded
from visual_summaries.analyses.importance import TINY
from visual_summaries.masks.hiding import scores_in_views, way_of
from visual_summaries.results import Image, Together
from visual_summaries.settings.analyses import AnalysisSettings
from visual_summaries.settings.masks import MaskSettings

if TYPE_CHECKING:
    from visual_summaries.classifiers import Classifier, Target


def hidden_together(
    classifier: Classifier,
    target: Target,
    images: Sequence[Image],
    evidence: Sequence[NDArray[np.bool_]],
    of_summaries: Sequence[NDArray[np.bool_]],
    mask_settings: MaskSettings | None = None,
    *,
    random_state: int = 0,
) -> NDArray[np.float64]:
    """Return the relative losses ``(N, 4)`` of images' scores with hidden: summaries, evidence, rest, rest moved elsewhere.

    Parameters
    ----------
    classifier : Classifier
    target : Target
    images : sequence of Image
    evidence, of_summaries : sequence of ndarray of bool, (H, W)
        All evidence of each image, and what of it is in a summary.
    mask_settings : MaskSettings, optional
        How pixels are hidden.
    random_state : int
    """
    mask_settings = mask_settings or MaskSettings()
    asked = []
    for image, whole, shown in zip(images, evidence, of_summaries, strict=True):
        rest = whole & ~shown
        within = object_mask(image.view, whole) if rest.any() else None
        moved = moved_copies(rest, 1, seeded(random_state, image.view, rest), within)[0]
        asked.append((image.view, np.stack([shown, whole, rest, moved]), [way_of(image.view, mask_settings).hidden] * 4))
    with classifier.frozen():
        scores = np.array(scores_in_views(classifier, asked, target, mask_settings), np.float64).reshape(-1, 4)
    before = np.maximum([[image.score] for image in images], TINY)
    hides = np.array([hide.any(axis=(1, 2)) for _, hide, _ in asked]).reshape(-1, 4)
    return np.where(hides, (before - scores) / before, 0.0)


def join_together(
    losses: NDArray[np.floating], rest_area: float, settings: AnalysisSettings | None = None, random_state: int = 0
) -> Together:
    """Return the means over images of what :func:`hidden_together` gives for each ``(N, 4)``, with an interval of the share.

    Examples
    --------
    >>> found = join_together(np.array([[0.6, 0.8, 0.1, 0.0], [0.3, 0.4, 0.1, 0.0]]), 0.2)
    >>> round(found.share, 3), [round(end, 3) for end in found.interval]
    (0.75, [0.75, 0.75])
    """
    settings = settings or AnalysisSettings()
    taken, evidence, rest, control = (float(value) for value in losses.mean(axis=0)) if len(losses) else (float("nan"),) * 4
    interval = (float("nan"), float("nan"))
    if len(losses) > 1:
        rng = np.random.default_rng(random_state)
        drawn = losses[rng.integers(len(losses), size=(settings.bootstrap, len(losses)))].mean(axis=1)
        shares = drawn[:, 0] / np.where(drawn[:, 1] > 0, drawn[:, 1], np.nan)
        if np.isfinite(shares).any():
            low, high = np.nanquantile(shares, [0.025, 0.975])
            interval = (float(low), float(high))
    return Together(taken, evidence, interval, rest, control, float(rest_area))
