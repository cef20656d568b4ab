"""Images of a run and their evidence masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visual_summaries.results.base import Result, area_under


@dataclass(frozen=True, eq=False)
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
    """

    index: int
    name: str
    sha256: str
    view: NDArray[np.uint8]
    score: float
    predicted: int
    size: tuple[int, int] | None = None


@dataclass(frozen=True, eq=False)
class Mask(Result):
    """What optimising the evidence mask of one image gave.

    Attributes
    ----------
    smooth, sharp : ndarray of float16, (H, W)
        Evidence masks in [0, 1]; 1 = evidence. `sharp` is the result, `smooth` the stage before it.
    superpixel : ndarray of float16, (H, W), or None
        The optional third kind: one value per superpixel.
    score_before, score_after, score_blurred : float
        Class score of the view, of the view with the evidence hidden, and of the view hidden altogether.
    losses : ndarray of float32, (iterations,)
        The objective at each iteration, all stages one after the other.
    """

    smooth: NDArray[np.float16]
    sharp: NDArray[np.float16]
    superpixel: NDArray[np.float16] | None
    score_before: float
    score_after: float
    score_blurred: float
    losses: NDArray[np.float32]

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
        """(after - before) / (before - blurred): -1 when hiding the evidence does as much as hiding everything.

        NaN when hiding everything changes nothing.
        """
        span = self.score_before - self.score_blurred
        return float("nan") if span == 0 else (self.score_after - self.score_before) / span

    @property
    def area(self) -> float:
        """Mean of the final evidence mask: share of the image that is hidden."""
        return float(self.final.mean(dtype=np.float64))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What went wrong with this mask, as names that reports and manifests use.

        ``"blurred"``: the hidden image keeps more than half of the score, so hiding pixels cannot tell what is used.
        ``"large"``: the evidence is over 60 % of the image. ``"weak"``: hiding the evidence leaves more than half
        of the score.
        """
        found = []
        if self.score_blurred > 0.5 * self.score_before:
            found.append("blurred")
        if self.area > 0.6:
            found.append("large")
        if self.score_after > 0.5 * self.score_before:
            found.append("weak")
        return tuple(found)

    @property
    def crispness(self) -> float:
        """Share of pixels whose evidence is at most 0.1 or at least 0.9."""
        grey = (self.final > 0.1) & (self.final < 0.9)
        return 1.0 - float(grey.mean())


@dataclass(frozen=True, eq=False)
class Faithfulness(Result):
    """How the class score follows the masks, and copies of them moved to random places (the control).

    In each array the axis of length 2 holds the mask first, its moved copy second.

    Attributes
    ----------
    deletion : ndarray of float32, (N, 2, S + 1)
        Score with the first 0, 1/S, ... 1 of the pixels hidden, the strongest evidence first.
    insertion : ndarray of float32, (N, 2, S + 1)
        Score with the first 0, 1/S, ... 1 of the pixels shown and all others hidden.
    evidence : ndarray of float32, (N, 2, 2)
        Score with the evidence hidden, and with nothing but the evidence shown (last axis).
    score_before : ndarray of float32, (N,)
        Score of the whole image.
    area : ndarray of float32, (N,)
        Share of the image that is evidence.

    Examples
    --------
    >>> curve = np.array([[[1.0, 0.0], [1.0, 0.5]]], np.float32)
    >>> evidence = np.array([[[0.1, 0.9], [0.8, 0.2]]], np.float32)
    >>> one = Faithfulness(curve, 1 - curve, evidence, np.ones(1, np.float32), np.full(1, 0.3, np.float32))
    >>> one.figures()["deletion"], one.figures()["average_drop"]
    ((0.5, 0.75), (0.1, 0.8))
    """

    deletion: NDArray[np.float32]
    insertion: NDArray[np.float32]
    evidence: NDArray[np.float32]
    score_before: NDArray[np.float32]
    area: NDArray[np.float32]

    def figures(self) -> dict[str, tuple[float, float]]:
        """Return the mean of each figure over the images, for the masks and for their moved copies.

        ``deletion``, ``insertion``: areas under the curves (deletion better low, insertion high). ``drop``: relative loss of
        the score with the evidence hidden; ``drop_over_area``: that over the share of the image that is hidden.
        ``average_drop``, ``increase``: with only the evidence shown, the mean relative loss of the score, and the share of
        images whose score rises.
        """
        before = np.maximum(self.score_before.astype(np.float64), 1e-12)[:, None]
        hidden, shown = self.evidence[..., 0].astype(np.float64), self.evidence[..., 1].astype(np.float64)
        drop = (before - hidden) / before
        values = {
            "deletion": area_under(self.deletion),
            "insertion": area_under(self.insertion),
            "drop": drop,
            "drop_over_area": drop / np.maximum(self.area.astype(np.float64), 1e-12)[:, None],
            "average_drop": np.maximum(before - shown, 0) / before,
            "increase": (shown > before).astype(np.float64),
        }
        means = {name: value.mean(axis=0).round(6) for name, value in values.items()}
        return {name: (float(mean[0]), float(mean[1])) for name, mean in means.items()}
