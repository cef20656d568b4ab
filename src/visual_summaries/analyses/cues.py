"""What a summary does without the rest of its image: its pixels on other images, and the class without them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from visual_summaries._statistics import seeded
from visual_summaries.analyses.importance import bootstrap_interval
from visual_summaries.classifiers.target import classify
from visual_summaries.masks.controls import moved_copies, object_mask
from visual_summaries.masks.scorer import Scorer
from visual_summaries.masks.seen import infill_of
from visual_summaries.results import Cue, Image
from visual_summaries.settings.stages import AnalysisSettings

View = NDArray[np.uint8]
Pixels = NDArray[np.bool_]


def paste(ground: View, image: View, pixels: Pixels) -> View:
    """Return a view (H, W, 3) with some pixels (H, W) of an image at their own place.

    Examples
    --------
    >>> ground, image = np.zeros((1, 2, 3), np.uint8), np.full((1, 2, 3), 9, np.uint8)
    >>> paste(ground, image, np.array([[False, True]]))[..., 0].tolist()
    [[0, 9]]
    """
    return np.where(pixels[..., None], image, ground)


def pairs(images: int, grounds: int, most: int) -> list[tuple[int, int]]:
    """Return at most `most` different pairs of an image and a ground, each image and each ground about equally often.

    Examples
    --------
    >>> pairs(2, 3, 4), len(pairs(2, 2, 9))
    ([(0, 0), (1, 1), (0, 2), (1, 0)], 4)
    """
    cycle = math.lcm(images, grounds)  # after so many both restart: the grounds one further
    return [(k % images, (k + k // cycle) % grounds) for k in range(min(most, images * grounds))]


def measure_cue(
    scorer: Scorer,
    images: Sequence[Image],
    pixels: Sequence[Pixels],
    evidence: Sequence[Pixels],
    others: Sequence[Image] = (),
    settings: AnalysisSettings | None = None,
    *,
    random_state: int = 0,
) -> Cue:
    """Ask the network about the pixels of one summary alone.

    With images of other classes, the pixels are pasted onto these, and as a control the same pixels of another image of other
    classes: what a region hides of its ground counts on both sides. Without, all else of the image is hidden by its infill, and
    the control shows the same shape elsewhere on the object.

    Parameters
    ----------
    scorer : Scorer
    images : sequence of Image
        That have the summary.
    pixels, evidence : sequence of ndarray of bool, (H, W)
        Of each: the summary's, and all that is evidence.
    others : sequence of Image
        Of other classes, with their scores; at least two, or none.
    settings : AnalysisSettings, optional
    random_state : int

    Returns
    -------
    Cue
        Without accuracies (NaN).
    """
    settings = settings or AnalysisSettings()
    if others:
        chosen = pairs(len(images), len(others), settings.cues)
        gains, controls, fired, before = _on_others(scorer, images, pixels, others, chosen)
    else:
        chosen = pairs(len(images), 1, settings.cues)
        gains, controls, fired, before = _on_infill(scorer, images, pixels, evidence, len(chosen), random_state)
    groups = [[images[k].origin for k, _ in chosen]]
    if others:
        groups.append([others[ground].origin for _, ground in chosen])
    # Pictures of one image depend on each other, and so do those on one ground: the wider of both intervals covers either.
    ends = [bootstrap_interval(gains - controls, settings.bootstrap, random_state, groups=own) for own in groups]
    interval = max(ends, key=lambda end: end[1] - end[0])
    return Cue(
        "others" if others else "neutral", gains, controls, interval, _share(fired), _share(before), *(float("nan"),) * 2
    )


_Found = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]


def _on_others(
    scorer: Scorer,
    images: Sequence[Image],
    pixels: Sequence[Pixels],
    others: Sequence[Image],
    chosen: Sequence[tuple[int, int]],
) -> _Found:
    def pictures() -> list[View]:
        found = []
        for k, ground in chosen:
            contents = images[k].view, others[(ground + 1) % len(others)].view
            found += [paste(others[ground].view, content, pixels[k]) for content in contents]
        return found

    grounds = sorted({ground for _, ground in chosen})
    alone = classify(scorer.classifier, [others[ground].view for ground in grounds], scorer.target)
    answers = classify(scorer.classifier, pictures(), scorer.target)
    place = [grounds.index(ground) for _, ground in chosen]
    before = alone.scores[place]
    return answers.scores[::2] - before, answers.scores[1::2] - before, answers.hits[::2], alone.hits[place]


def _on_infill(
    scorer: Scorer,
    images: Sequence[Image],
    pixels: Sequence[Pixels],
    evidence: Sequence[Pixels],
    count: int,
    random_state: int,
) -> _Found:
    asked = []
    for image, own, whole in zip(images[:count], pixels, evidence, strict=False):
        elsewhere = moved_copies(own, 1, seeded(random_state, image.view, own), object_mask(image.view, whole))[0]
        asked.append(
            (image.view, np.stack([~own, ~elsewhere, np.ones_like(own)]), [infill_of(image.view, scorer.settings)] * 3)
        )
    answers = scorer.answers_in(asked)
    scores = np.array([own for own, _ in answers], np.float32).reshape(-1, 3)
    hits = np.array([own for _, own in answers], bool).reshape(-1, 3)
    return scores[:, 0] - scores[:, 2], scores[:, 1] - scores[:, 2], hits[:, 0], hits[:, 2]


def _share(hits: NDArray[np.bool_]) -> float:
    return float(hits.mean()) if hits.size else float("nan")


def hits_without(scorer: Scorer, image: Image, pixels: Sequence[Pixels]) -> NDArray[np.bool_]:
    """Return whether an image is taken for the class as it is, and with each set of pixels (H, W) hidden: ``(1 + M,)``."""
    hidden = np.stack([np.zeros(image.view.shape[:2], bool), *pixels])
    return scorer.answers_in([(image.view, hidden, [infill_of(image.view, scorer.settings)] * len(hidden))])[0][1]
