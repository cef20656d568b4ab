"""What intervening on a finished set of summaries showed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from visual_summaries.results.base import Result, area_under
from visual_summaries.results.shortcuts import Change, Cue, Mistake, Place

#: A summary whose mean Jaccard over resampled images is below this is called not reproducible (a common bound for "a pattern").
REPRODUCIBLE = 0.5

#: A summary beats its control when its whole 95 % interval above the control lies over this share of the score.
MARGIN = 0.01


@dataclass(frozen=True, eq=False, repr=False)
class SummaryAnalysis(Result):
    """What a summary does to the class score, beside random regions, and how firmly it stands.

    All losses are relative: (score of the image - score with pixels hidden) / score of the image, so 1 is all of it and a
    negative loss is a gain. All regions of the summary's cluster in one image are hidden together (``"paper"``: less what lies
    in smaller regions of other summaries).

    Attributes
    ----------
    images : ndarray of int64, (M,)
        Indices of the images that have the summary: those with a region in its cluster.
    shares : ndarray of float32, (M,)
        The summary's Shapley value in each image: the loss that hiding it adds, averaged over orders in which the image's
        evidence can be hidden, summary by summary (rejected ones and the rest included); estimated above four parts.
    share_controls : ndarray of float32, (M,)
        The same for the summary's pixels moved to a random place of the object: what they add instead.
    interval : tuple of float
        95 % interval, by resampling images, of `above_control`.
    coverage : float
        Share of the run's images that have it.
    cohesion : float
        Mean silhouette of the part's cells (``"paper"``: of its regions), in [-1, 1]; NaN where it is not known.
    stability : float
        Mean Jaccard index of the part or cluster with its counterpart when images are resampled, in [0, 1]; NaN where it is
        not known.

    Examples
    --------
    >>> shares, controls = np.array([0.4, 0.6], np.float32), np.array([0.0, 0.2], np.float32)
    >>> one = SummaryAnalysis(np.array([0, 2]), shares, controls, (0.2, 0.6), 0.5)
    >>> round(one.importance, 3), round(one.control, 3), round(one.above_control, 3), one.beats_control
    (0.5, 0.1, 0.4, True)
    >>> round(one.class_effect, 3)  # half of the images have it
    0.2
    """

    images: NDArray[np.int64]
    shares: NDArray[np.float32]
    share_controls: NDArray[np.float32]
    interval: tuple[float, float]
    coverage: float
    cohesion: float = float("nan")
    stability: float = float("nan")

    @property
    def importance(self) -> float:
        """Mean loss that hiding the summary brings, over the orders in which the evidence of an image can be hidden."""
        return _mean(self.shares)

    @property
    def control(self) -> float:
        """Mean loss that the same pixels, moved to random places of the object, bring in the summary's stead."""
        return _mean(self.share_controls)

    @property
    def above_control(self) -> float:
        """Importance minus control."""
        return self.importance - self.control

    @property
    def class_effect(self) -> float:
        """What it takes above control over all images, those without it counting 0: what summaries are ranked by."""
        return self.above_control * self.coverage

    #: Names of what :meth:`figures` returns.
    FIGURES: ClassVar[tuple[str, ...]] = (
        *("importance", "control", "above_control", "low", "high", "class_effect"),
        *("coverage", "cohesion", "stability", "beats_control", "reproducible"),
    )

    def figures(self) -> dict[str, Any]:
        """Return all figures by their names, for JSON; NaN becomes None."""
        low, high = self.interval
        found = {name: getattr(self, name) for name in self.FIGURES if name not in ("low", "high")} | {"low": low, "high": high}
        known = {name: value if not isinstance(value, float) or math.isfinite(value) else None for name, value in found.items()}
        return {name: known[name] for name in self.FIGURES}

    @property
    def beats_control(self) -> bool:
        """Whether the whole interval lies above 0.01: one hundredth of the score."""
        return bool(self.interval[0] > MARGIN)

    @property
    def reproducible(self) -> bool | None:
        """Whether the stability reaches one half; None where it was not measured."""
        return None if math.isnan(self.stability) else self.stability >= REPRODUCIBLE


def _mean(values: NDArray[np.float32]) -> float:
    return float(values.mean(dtype=np.float64)) if values.size else float("nan")


@dataclass(frozen=True, eq=False, repr=False)
class JointEffects(Result):
    """What hiding, or showing, several summaries together does: means over all images of the run, relative to the whole image.

    Position k of a curve stands for the first k summaries of an order; 1 is the score of the whole image.

    Attributes
    ----------
    order : tuple of int
        Positions of the summaries in ``run.summaries``, those that add most above their control, over all images, first.
    deletion : ndarray of float32, (S + 1,)
        Score left with the first k hidden.
    insertion : ndarray of float32, (S + 1,)
        Score with nothing but the first k shown.
    random_deletion, random_insertion : ndarray of float32, (R, S + 1)
        The same for R random orders.
    evidence : tuple of float
        Score left with all evidence of the masks hidden, and score with nothing but it shown.
    destroying : tuple of int
        The fewest summaries found whose hiding does at least nine tenths of what hiding all evidence does; empty when all of
        them do not.
    sufficient : tuple of int
        The fewest summaries found that, shown alone, do at least nine tenths of what showing all evidence does; empty when all
        of them do not, or showing the evidence does nothing.

    Examples
    --------
    >>> curve = np.array([1.0, 0.2, 0.0], np.float32)
    >>> slower = np.array([[1.0, 0.9, 0.0]], np.float32)
    >>> joint = JointEffects((1, 0), curve, 1 - curve, slower, 1 - slower, (0.0, 1.0), (1, 0), (1, 0))
    >>> {name: tuple(round(value, 2) for value in pair) for name, pair in joint.areas().items()}
    {'deletion': (0.35, 0.7), 'insertion': (0.65, 0.3)}
    """

    order: tuple[int, ...]
    deletion: NDArray[np.float32]
    insertion: NDArray[np.float32]
    random_deletion: NDArray[np.float32]
    random_insertion: NDArray[np.float32]
    evidence: tuple[float, float]
    destroying: tuple[int, ...]
    sufficient: tuple[int, ...]

    def areas(self) -> dict[str, tuple[float, float]]:
        """Return the areas under both curves: by importance, and the mean over random orders.

        Deletion is better low, insertion better high; where the two of a pair differ little, the ranking says little.
        """
        return {
            "deletion": (float(area_under(self.deletion)), float(area_under(self.random_deletion).mean())),
            "insertion": (float(area_under(self.insertion)), float(area_under(self.random_insertion).mean())),
        }


@dataclass(frozen=True, eq=False, repr=False)
class Chance(Result):
    """The same grouping of masks that were moved to random places: what to expect when there is nothing to find.

    Attributes
    ----------
    images : int
        How many of the run's images the comparison is made on.
    summaries, cohesion : float
        Number of parts of the evidence of these images, and the mean silhouette of their cells; with the preset ``"paper"``
        of clusters with regions of at least 2 images, and of their regions.
    likeness : float
        Mean cosine of a cell and its part in other images; with ``"paper"`` mean similarity of a region to its cluster there.
    random_summaries, random_cohesion, random_likeness : ndarray, (R,)
        The same for R random moves of the masks; NaN where nothing could be clustered.
    """

    images: int
    summaries: int
    cohesion: float
    likeness: float
    random_summaries: NDArray[np.int64]
    random_cohesion: NDArray[np.float32]
    random_likeness: NDArray[np.float32]

    @property
    def p_value(self) -> float:
        """How often chance makes regions of a cluster at least as like each other: (1 + how many of R do) / (1 + R).

        Likeness decides, not cohesion: a few clusters of a few regions are easily far apart, but not alike.
        """
        as_good = np.nan_to_num(self.random_likeness, nan=-1.0) >= self.likeness
        return float((1 + as_good.sum()) / (1 + len(as_good)))


@dataclass(frozen=True, eq=False, repr=False)
class Together(Result):
    """How much of what the network uses is in the summaries: mean relative losses of the class score over all images.

    Attributes
    ----------
    taken : float
        Loss when the evidence of all summaries is hidden.
    evidence : float
        Loss when all evidence is hidden.
    interval : tuple of float
        95 % interval, by resampling images, of `share`.
    rest : float
        Loss when only the rest is hidden: the evidence that is in no summary.
    rest_control : float
        Loss when as many pixels, in the shape of the rest, are hidden elsewhere on the object.
    rest_area : float
        Share of the evidence's pixels that is rest.

    Examples
    --------
    >>> round(Together(0.6, 0.8, (0.7, 0.8), 0.1, 0.05, 0.2).share, 3)
    0.75
    """

    taken: float
    evidence: float
    interval: tuple[float, float]
    rest: float
    rest_control: float
    rest_area: float

    @property
    def share(self) -> float:
        """Of what all evidence takes, the share that the summaries take; NaN where the evidence takes nothing."""
        return self.taken / self.evidence if self.evidence > 0 else float("nan")


@dataclass(frozen=True, eq=False, repr=False)
class RunAnalysis(Result):
    """What is known of a run's summaries together.

    Attributes
    ----------
    together : Together or None
        What hiding all summaries takes, beside all evidence and the rest.
    joint : JointEffects or None
        None for a run without summaries.
    chance : Chance or None
        None where it was not requested.
    places : tuple of Place
        Where each summary lies, in the order of ``run.summaries``; empty where it was not measured.
    cues : tuple of Cue
        What each summary does without the rest of its image; empty where it was not measured.
    changes : tuple of Change
        What changes of the whole image do.
    mistakes : tuple of Mistake
        Images that the network gets wrong.
    """

    joint: JointEffects | None = None
    chance: Chance | None = None
    together: Together | None = None
    places: tuple[Place, ...] = ()
    cues: tuple[Cue, ...] = ()
    changes: tuple[Change, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
