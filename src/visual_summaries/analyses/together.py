"""What all summaries take together, beside all evidence and what is in no summary."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from visual_summaries.analyses.controls import moved_copies, object_mask, seeded
from visual_summaries.analyses.importance import TINY
from visual_summaries.analyses.settings import AnalysisSettings
from visual_summaries.masks.hiding import scores_without, way_of
from visual_summaries.masks.settings import MaskSettings
from visual_summaries.results import Image, Together

if TYPE_CHECKING:
    from visual_summaries.classifiers import Classifier, Target


def hidden_together(
    classifier: Classifier,
    target: Target,
    image: Image,
    evidence: NDArray[np.bool_],
    of_summaries: NDArray[np.bool_],
    mask_settings: MaskSettings | None = None,
    *,
    random_state: int = 0,
) -> NDArray[np.float64]:
    """Return the relative losses ``(4,)`` of an image's score with hidden: summaries, evidence, rest, rest moved elsewhere.

    Parameters
    ----------
    classifier : Classifier
    target : Target
    image : Image
    evidence, of_summaries : ndarray of bool, (H, W)
        All evidence, and what of it is in a summary.
    mask_settings : MaskSettings, optional
        How pixels are hidden.
    random_state : int
    """
    rest = evidence & ~of_summaries
    within = object_mask(image.view, evidence) if rest.any() else None
    moved = moved_copies(rest, 1, seeded(random_state, image.view, rest), within)[0]
    hide = np.stack([of_summaries, evidence, rest, moved])
    with classifier.frozen():
        scores = scores_without(classifier, image.view, target, hide, way_of(image.view, mask_settings or MaskSettings()))
    before = max(image.score, TINY)
    return np.where(hide.any(axis=(1, 2)), (before - scores.astype(np.float64)) / before, 0.0)


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
