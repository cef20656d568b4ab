"""Images of a run and their evidence masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visual_summaries.results.base import Result, area_under


@dataclass(frozen=True, eq=False, repr=False)
class Image(Result):
    """One image of the run, as it came in and as the network answers to it.

    Attributes
    ----------
    index : int
        Position in ``run.images``; masks and regions refer to it.
    name : str
        Path below the image folder, or a made-up name for arrays.
    sha256 : str
        Hash of the file's bytes (of the pixel data for arrays).
    view : ndarray of uint8, (H, W, 3)
        The pixels that the network sees.
    score : float
        The class's score on the view: its softmax probability, or the target function's value.
    predicted : int
        Index of the class that the network gives the highest score.
    size : tuple of int, or None
        Height and width of the image that the view was made from; None in runs of versions that did not record it.
    near : int or None
        Position of the first image that this one is nearly a copy of (:func:`~visual_summaries.images.copies.near_copies`);
        None for most. Near copies are drawn together wherever images are resampled.
    """

    index: int
    name: str
    sha256: str
    view: NDArray[np.uint8]
    score: float
    predicted: int
    size: tuple[int, int] | None = None
    near: int | None = None

    @property
    def origin(self) -> int:
        """Position of the image that this one counts with: its own, or that of the first of its near copies."""
        return self.index if self.near is None else self.near


@dataclass(frozen=True, eq=False, repr=False)
class Mask(Result):
    """What optimizing the evidence mask of one image gave.

    Attributes
    ----------
    smooth, sharp : ndarray of float16, (H, W)
        Evidence masks in [0, 1]; 1 = evidence. `sharp` is the result, `smooth` the stage before it.
    superpixel : ndarray of float16, (H, W), or None
        The optional third kind: one value per superpixel.
    score_before : float
        Class score of the view as it is.
    after, hidden : ndarray of float32, (W,)
        Class score with the evidence hidden, and with everything hidden, in each of the run's infills.
    losses : ndarray of float32, (iterations,)
        The objective at each iteration, all stages one after the other.
    """

    smooth: NDArray[np.float16]
    sharp: NDArray[np.float16]
    superpixel: NDArray[np.float16] | None
    score_before: float
    after: NDArray[np.float32]
    hidden: NDArray[np.float32]
    losses: NDArray[np.float32]

    @property
    def score_after(self) -> float:
        """Class score with the evidence hidden, mean over the infills; the worst way leaves ``after.max()``."""
        return float(self.after.mean(dtype=np.float64))

    @property
    def score_hidden(self) -> float:
        """Class score with everything hidden, mean over the infills."""
        return float(self.hidden.mean(dtype=np.float64))

    @property
    def final(self) -> NDArray[np.float16]:
        """The mask that regions are read from: superpixel if there is one, else sharp."""
        return self.sharp if self.superpixel is None else self.superpixel

    def binary(self, threshold: float = 0.5) -> NDArray[np.bool_]:
        """Return which pixels are evidence: those of the final mask above `threshold`. The only place with this rule."""
        return np.asarray(self.final > threshold)

    @property
    def drop(self) -> float:
        """Relative loss of the score when the evidence is hidden: (before - after) / before."""
        return (self.score_before - self.score_after) / max(self.score_before, 1e-12)

    @property
    def normalized_score(self) -> float:
        """(after - before) / (before - hidden): -1 when hiding the evidence does as much as hiding everything.

        NaN when hiding everything changes nothing.
        """
        span = self.score_before - self.score_hidden
        return float("nan") if span == 0 else (self.score_after - self.score_before) / span

    @property
    def area(self) -> float:
        """Mean of the final evidence mask: share of the image that is hidden."""
        return float(self.final.mean(dtype=np.float64))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What went wrong with this mask, as names that reports and manifests use.

        ``"shows"``: hiding everything leaves more than half of the score, so hiding pixels cannot tell what is used.
        ``"large"``: the evidence is over 60 % of the image. ``"weak"``: hiding the evidence leaves more than half
        of the score.
        """
        found = []
        if self.score_hidden > 0.5 * self.score_before:
            found.append("shows")
        if self.area > 0.6:
            found.append("large")
        if self.score_after > 0.5 * self.score_before:
            found.append("weak")
        return tuple(found)

    @property
    def crispness(self) -> float:
        """Share of pixels whose evidence is at most 0.1 or at least 0.9."""
        gray = (self.final > 0.1) & (self.final < 0.9)
        return 1.0 - float(gray.mean())


@dataclass(frozen=True, eq=False, repr=False)
class Faithfulness(Result):
    """How the class score follows the masks, and copies of them moved to random places (the control); whether masks hold.

    Attributes
    ----------
    deletion : ndarray of float32, (N, 2, S + 1)
        Score with the first 0, 1/S, ... 1 of the pixels hidden, the strongest evidence first; of the mask and its moved copy.
    insertion : ndarray of float32, (N, 2, S + 1)
        Score with the first 0, 1/S, ... 1 of the pixels shown and all others hidden; of the mask and its moved copy.
    after, shown : ndarray of float32, (N, W)
        Score with the evidence hidden, and with nothing but the evidence shown, in each of the run's infills.
    moved : ndarray of float32, (N, 2)
        The same two for the moved copy, in the image's own infill.
    holds : ndarray of float32, (N, 3)
        Share of the mask's effect that is kept when it is shifted by 2 % of the shorter side, when its outline is smoothed, and
        when pixels are hidden in ways that no mask is optimized under; NaN where the mask has no effect.
    score_before : ndarray of float32, (N,)
        Score of the whole image.
    area : ndarray of float32, (N,)
        Share of the image that is evidence.

    Examples
    --------
    >>> curve = np.array([[[1.0, 0.0], [1.0, 0.5]]], np.float32)
    >>> after, shown = np.array([[0.0, 0.2]], np.float32), np.array([[0.9, 0.9]], np.float32)
    >>> moved, holds = np.array([[0.8, 0.2]], np.float32), np.array([[0.9, 0.8, 0.7]], np.float32)
    >>> whole, area = np.ones(1, np.float32), np.full(1, 0.3, np.float32)
    >>> one = Faithfulness(curve, 1 - curve, after, shown, moved, holds, whole, area)
    >>> one.figures()["deletion"], one.figures()["average_drop"], one.figures()["holds"]
    ((0.5, 0.75), (0.1, 0.8), (0.9, 0.8, 0.7))
    """

    deletion: NDArray[np.float32]
    insertion: NDArray[np.float32]
    after: NDArray[np.float32]
    shown: NDArray[np.float32]
    moved: NDArray[np.float32]
    holds: NDArray[np.float32]
    score_before: NDArray[np.float32]
    area: NDArray[np.float32]

    def figures(self) -> dict[str, tuple[float, ...]]:
        """Return the mean of each figure over the images, for the masks and for their moved copies.

        ``deletion``, ``insertion``: areas under the curves (deletion better low, insertion high). ``drop``: relative loss of
        the score with the evidence hidden; ``drop_over_area``: that over the share of the image that is hidden.
        ``average_drop``, ``increase``: with only the evidence shown, the mean relative loss of the score, and the share of
        images whose score rises. Of the mask, scores are means over the infills; ``drop_worst`` and
        ``average_drop_worst`` are those of each image's worst way. ``holds`` has the means of the three columns instead.
        """
        before = np.maximum(self.score_before.astype(np.float64), 1e-12)
        hidden = np.stack([self.after.mean(axis=1), self.moved[:, 0]], axis=1).astype(np.float64)
        shown = np.stack([self.shown.mean(axis=1), self.moved[:, 1]], axis=1).astype(np.float64)
        drop = (before[:, None] - hidden) / before[:, None]
        lost = np.maximum(before[:, None] - shown, 0) / before[:, None]
        values = {
            "deletion": area_under(self.deletion),
            "insertion": area_under(self.insertion),
            "drop": drop,
            "drop_over_area": drop / np.maximum(self.area.astype(np.float64), 1e-12)[:, None],
            "average_drop": lost,
            "increase": (shown > before[:, None]).astype(np.float64),
            "drop_worst": ((before - self.after.max(axis=1)) / before)[:, None],
            "average_drop_worst": (np.maximum(before - self.shown.min(axis=1), 0) / before)[:, None],
            "holds": self.holds[np.isfinite(self.holds).all(axis=1)].astype(np.float64),
        }
        means = {name: value.mean(axis=0).round(6) if len(value) else [float("nan")] for name, value in values.items()}
        return {name: tuple(float(one) for one in mean) for name, mean in means.items()}
