"""What tells a shortcut: where summaries lie, what they do alone, changes of the whole image, mistakes; and the verdict."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visual_summaries.files.atomic import plain
from visual_summaries.results.base import Result

#: Where a summary lies: on the object, beside it, at one place of the picture whatever it shows, along the border, or all over.
PLACES = ("object", "beside", "fixed place", "border", "everywhere")


@dataclass(frozen=True, eq=False)
class Place(Result):
    """Where a summary lies in its images.

    Attributes
    ----------
    kind : str
        One of :data:`PLACES`.
    sure : float
        Share of resampled sets of images that give the same kind, in [0, 1].
    images : ndarray of int64, (M,)
        Indices of the images that have the summary.
    on_object : ndarray of float32, (M,)
        Share of its pixels that lie on the object; NaN where the object is not known.
    at_border : ndarray of float32, (M,)
        Share of its pixels that lie along the border of the view.
    area : ndarray of float32, (M,)
        Share of the view that it covers.
    common : float
        Largest share of its images in which it covers one and the same pixel.
    p_fixed : float
        How often the summary, moved as the object moves from image to image, lies as much on itself from image to image.
        Small for what is fixed.
    interval : tuple of float
        95 % interval, by resampling images, of the mean of `on_object`.
    object : str
        How the object is known: ``"masks"``, ``"boxes"`` (given), or ``"estimated"``.
    """

    kind: str
    sure: float
    images: NDArray[np.int64]
    on_object: NDArray[np.float32]
    at_border: NDArray[np.float32]
    area: NDArray[np.float32]
    common: float
    p_fixed: float
    interval: tuple[float, float]
    object: str = "estimated"

    @property
    def share_on_object(self) -> float:
        """Mean share of its pixels that lie on the object; NaN where it is known in no image."""
        known = self.on_object[np.isfinite(self.on_object)]
        return float(known.mean(dtype=np.float64)) if known.size else float("nan")


@dataclass(frozen=True, eq=False)
class Cue(Result):
    """What a summary does without the rest of its image, and what the class does without it.

    Attributes
    ----------
    ground : str
        What its regions were pasted onto, each at its own place: ``"others"``, images of other classes that were given, or
        ``"neutral"``, the infill that hides the rest of its own image.
    gains : ndarray of float32, (P,)
        Of each pasted picture: score of the class with the region, minus that of the ground alone.
    interval : tuple of float
        95 % interval of the mean of `gains`, grounds and images resampled.
    fired, fired_before : float
        Share of the pictures that the network takes for the class, with the region and without.
    accuracy, accuracy_before : float
        Share of the images that have the summary and are taken for the class with it hidden, and as they are.
    """

    ground: str
    gains: NDArray[np.float32]
    interval: tuple[float, float]
    fired: float
    fired_before: float
    accuracy: float
    accuracy_before: float

    @property
    def gain(self) -> float:
        """Mean gain of the class's score."""
        return float(self.gains.mean(dtype=np.float64)) if self.gains.size else float("nan")


@dataclass(frozen=True, eq=False)
class Change(Result):
    """What a change of the whole image does to the class, and to other classes.

    Attributes
    ----------
    name : str
        ``"gray"``, ``"hue"``, ``"darker"``, ``"brighter"``, ``"contrast"``, ``"blur"``, ``"sharpen"``, ``"jpeg"``,
        ``"smaller"``, ``"larger"``, ``"mirrored"`` or ``"border"``.
    losses : ndarray of float32, (N,)
        Relative loss of the class's score in the run's images.
    other_losses : ndarray of float32, (M,)
        Relative loss that the class which the network gives an image of another class has there; empty without others.
    gains : ndarray of float32, (M,)
        Gain of the run's class's score in images of other classes.
    interval, gain_interval : tuple of float
        95 % intervals, by resampling images, of the mean loss above that of other classes, and of the mean gain.
    fired, fired_before : float
        Share of the images of other classes that the network takes for the class, changed and as they are.
    """

    name: str
    losses: NDArray[np.float32]
    other_losses: NDArray[np.float32]
    gains: NDArray[np.float32]
    interval: tuple[float, float]
    gain_interval: tuple[float, float]
    fired: float
    fired_before: float

    @property
    def loss(self) -> float:
        """Mean relative loss of the class's score."""
        return _mean(self.losses)

    @property
    def other_loss(self) -> float:
        """The same of other classes, in their images; NaN without others."""
        return _mean(self.other_losses)

    @property
    def gain(self) -> float:
        """Mean gain of the class's score in images of other classes; NaN without others."""
        return _mean(self.gains)


def _mean(values: NDArray[np.float32]) -> float:
    return float(values.mean(dtype=np.float64)) if values.size else float("nan")


@dataclass(frozen=True, eq=False)
class Mistake(Result):
    """An image that the network gets wrong, and which summaries are in it.

    Attributes
    ----------
    name : str
    kind : str
        ``"missed"``: of the class, taken for another; ``"taken"``: of another class, taken for this one.
    view : ndarray of uint8, (H, W, 3)
    score : float
        Score of the run's class.
    predicted : str
        What the network says it is.
    strengths : ndarray of float32, (S,)
        For each summary how much of it is there: area that looks like it, as a share of the median over the run's images that
        have it. 0: absent.
    labels : ndarray of int16, (H, W)
        Which summary each pixel looks like; -1 for none.
    """

    name: str
    kind: str
    view: NDArray[np.uint8]
    score: float
    predicted: str
    strengths: NDArray[np.float32]
    labels: NDArray[np.int16]


@dataclass(frozen=True)
class Reliance:
    """How firmly one summary stands.

    Attributes
    ----------
    summary : int
        Position in ``run.summaries``.
    strength : str
        ``"strong"``: beats its control, is reproducible, and chance makes nothing alike; ``"weak"``: one of these is missing;
        ``"none"``: it does not beat its control.
    effect : float
        Share of the score that it takes above its control, over all images.
    interval : tuple of float
        95 % interval of that.
    """

    summary: int
    strength: str
    effect: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Suspicion:
    """A reason to think that the network relies on something else than the object.

    Attributes
    ----------
    kind : str
        ``"beside"``, ``"fixed place"``, ``"border"`` (a summary that lies there), ``"change"`` (of the whole image).
    summary : int or None
        Position in ``run.summaries``.
    change : str
        Name of the change of the whole image; empty for summaries.
    effect : float
        Share of the class's score that goes with it.
    interval : tuple of float
        95 % interval of `effect`.
    confirmed : bool
        Whether the cue alone makes other images look like the class.
    evidence : str
        The figures in a sentence.
    todo : str
        What to do next.
    """

    kind: str
    summary: int | None
    change: str
    effect: float
    interval: tuple[float, float]
    confirmed: bool
    evidence: str
    todo: str


@dataclass(frozen=True)
class Verdict:
    """What a run says about its class in short.

    Attributes
    ----------
    reliable : str
        ``"strong"``, ``"weak"`` or ``"nothing reliable"``: the best strength of any summary.
    relies_on : tuple of Reliance
        Strong and weak ones, by effect.
    unexplained : float
        Share of what all evidence takes that is in no summary; NaN where it was not measured.
    suspicions : tuple of Suspicion
        The gravest first.
    untested : tuple of str
        What was not looked at, and what to give so that it is.
    """

    reliable: str
    relies_on: tuple[Reliance, ...]
    unexplained: float
    suspicions: tuple[Suspicion, ...]
    untested: tuple[str, ...] = ()

    @property
    def suspicious(self) -> bool:
        """Whether there is any suspicion."""
        return bool(self.suspicions)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; what is not finite becomes None."""
        return dict(plain(asdict(self)))
