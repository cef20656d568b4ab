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


@dataclass(frozen=True, eq=False, repr=False)
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


@dataclass(frozen=True, eq=False, repr=False)
class Cue(Result):
    """What a summary does without the rest of its image, and what the class does without it.

    Attributes
    ----------
    ground : str
        What its regions were pasted onto, each at its own place: ``"others"``, images of other classes that were given, or
        ``"neutral"``, the infill that hides the rest of its own image.
    gains : ndarray of float32, (P,)
        Of each pasted picture: score of the class with the region, minus that of the ground alone.
    controls : ndarray of float32, (P,)
        The same with other pixels instead of the region's: those of another image of other classes at the same place; on a
        neutral ground, as many of the same image elsewhere.
    interval : tuple of float
        95 % interval of the mean of `gains` above that of `controls`: the wider of those by resampling images and grounds.
    fired, fired_before : float
        Share of the pictures that the network takes for the class, with the region and without.
    accuracy, accuracy_before : float
        Share of the images that have the summary and are taken for the class with it hidden, and as they are.
    """

    ground: str
    gains: NDArray[np.float32]
    controls: NDArray[np.float32]
    interval: tuple[float, float]
    fired: float
    fired_before: float
    accuracy: float
    accuracy_before: float

    @property
    def gain(self) -> float:
        """Mean gain of the class's score."""
        return _mean(self.gains)

    @property
    def above_control(self) -> float:
        """Mean gain above that of the controls."""
        return _mean(self.gains - self.controls)


@dataclass(frozen=True, eq=False, repr=False)
class Change(Result):
    """What a change of the whole image does to the class, and to other classes.

    Attributes
    ----------
    name : str
        ``"gray"``, ``"hue"``, ``"darker"``, ``"brighter"``, ``"contrast"``, ``"blur"``, ``"sharpen"``, ``"jpeg"``,
        ``"smaller"``, ``"larger"``, ``"mirrored"`` or ``"border"``; ``"tone"``: mean and spread of each color channel as images
        of other classes have them (photographs, where there are none). For `gains` of ``"tone"`` and ``"border"``, images of
        other classes are given the tone, and the border, of images of the run's class.
    losses : ndarray of float32, (N,)
        Relative loss of the class's score in the run's images; where it rises, minus its rise over what it becomes, so that one
        image of a low score does not outweigh all others.
    other_losses : ndarray of float32, (M,)
        Relative loss that the class which the network gives an image of another class has there; empty without others.
    gains : ndarray of float32, (M,)
        Gain of the run's class's score in images of other classes.
    interval, gain_interval : tuple of float
        95 % intervals, by resampling images, of the mean loss above that of other classes (without others of the loss), and of
        the mean gain.
    fired, fired_before : float
        Share of the images of other classes that the network takes for the class, changed and as they are.
    apart : float
        How well the change tells the class's images from others by how much it alters them, in [0, 1]: near 0 or 1 the images
        themselves differ in what it changes; 0.5 is chance. By sharpness itself for blur and sharpening, and by that quality of
        its tone (brightness, contrast, two of color) that does it best for the tone. NaN without others.
    """

    name: str
    losses: NDArray[np.float32]
    other_losses: NDArray[np.float32]
    gains: NDArray[np.float32]
    interval: tuple[float, float]
    gain_interval: tuple[float, float]
    fired: float
    fired_before: float
    apart: float = float("nan")

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


@dataclass(frozen=True, eq=False, repr=False)
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


@dataclass(frozen=True, eq=False, repr=False)
class Reliance(Result):
    """How firmly one summary stands.

    Attributes
    ----------
    summary : int
        Position in ``run.summaries``.
    strength : str
        ``"strong"``: beats its control, is reproducible, and random masks make no groups as similar; ``"weak"``: beats its
        control, and something else is missing or was not measured; ``"none"``: does not beat its control.
    effect : float
        Share of the class score that it takes above its control, over all images.
    interval : tuple of float
        95 % interval of `effect`.
    """

    summary: int
    strength: str
    effect: float
    interval: tuple[float, float]


@dataclass(frozen=True, eq=False, repr=False)
class Suspicion(Result):
    """A reason to look for a shortcut.

    Attributes
    ----------
    kind : str
        ``"beside"``, ``"fixed place"`` or ``"border"``: a summary that the network relies on lies there; ``"change"``: the
        class depends on a property of the whole image.
    effect : float
        Share of the class score that goes with it: above its control (a summary), above other classes (a change). Of a change
        that is confirmed, what it adds to the score in images of other classes.
    interval : tuple of float
        95 % interval of `effect`.
    confirmed : bool
        Whether it lies where no part of an object does (fixed place, border), or images of other classes that were given look
        more like the class with it.
    summary : int or None
        Position in ``run.summaries``; None for changes.
    change : str
        Name of the change; empty for summaries.
    share : float
        Share of the summary's pixels that lie beside the object; NaN for changes.
    fired, fired_before : float
        Share of images of other classes that the network takes for this one, with it and as they are; NaN without others.
    """

    kind: str
    effect: float
    interval: tuple[float, float]
    confirmed: bool
    summary: int | None = None
    change: str = ""
    share: float = float("nan")
    fired: float = float("nan")
    fired_before: float = float("nan")


@dataclass(frozen=True, eq=False, repr=False)
class Verdict(Result):
    """What a run says of its class in short; :func:`visual_summaries.analyses.verdict.judge` gives it.

    Attributes
    ----------
    reliable : str
        ``"strong"``, ``"weak"`` or ``"nothing"``: the best strength of any summary.
    relies_on : tuple of Reliance
        One for each summary, in the order of ``run.summaries``.
    unexplained : float
        Share of the class score that is left when all summaries are hidden; NaN where it was not measured.
    suspicions : tuple of Suspicion
        Confirmed ones first, then by effect.
    untested : tuple of str
        What would have told more: ``"others"`` (no images of other classes were given), ``"object"`` (the object is estimated),
        ``"stability"``, ``"chance"`` (not measured).
    """

    reliable: str
    relies_on: tuple[Reliance, ...]
    unexplained: float
    suspicions: tuple[Suspicion, ...] = ()
    untested: tuple[str, ...] = ()

    @property
    def suspicious(self) -> bool:
        """Whether any suspicion is confirmed."""
        return any(one.confirmed for one in self.suspicions)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON, summaries by their numbers (from 1); what is not finite becomes None."""
        data = asdict(self)
        for one in (*data["relies_on"], *data["suspicions"]):
            one["summary"] = None if one["summary"] is None else one["summary"] + 1
        return dict(plain(data))
