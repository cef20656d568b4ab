"""The nouns of the package as frozen dataclasses: image, mask, region, member, summary, run.

Conventions, everywhere:

- a *view* is an image as the network sees it: resized and cropped, ``uint8`` ``(H, W, 3)``, not yet normalised;
- a *mask* is an **evidence** mask on the view: 1 = evidence (hidden to destroy the class), 0 = background. The ``m`` of the
  paper's formulas (1 = pixel untouched) is 1 minus that;
- a *box* is ``(x0, y0, x1, y1)`` in view pixels, half open: it covers columns ``x0 .. x1-1`` and rows ``y0 .. y1-1``;
- probabilities, shares and areas lie in [0, 1].

Two results are equal when all their fields are, arrays compared by shape, type and value.

Examples
--------
>>> import numpy as np
>>> a = Region(index=0, image=2, box=(4, 6, 8, 10), mask=np.ones((4, 4), bool), salient_share=1.0,
...            contribution=0.7, drop=0.6, distinctiveness=0.1)
>>> a.area, a == a, a.size
(16, True, (4, 4))
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import trapezoid

if TYPE_CHECKING:
    from visual_summaries.settings import Settings

Box = tuple[int, int, int, int]


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal, looking into arrays, sequences, mappings and results.

    Examples
    --------
    >>> same({"x": np.zeros(2)}, {"x": np.zeros(2)}), same(np.zeros(2), np.zeros(3))
    (True, False)
    """
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return (
            isinstance(a, np.ndarray)
            and isinstance(b, np.ndarray)
            and a.dtype == b.dtype
            and a.shape == b.shape
            and bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))
        )
    if isinstance(a, Result):
        return bool(a == b)
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b or (a != a and b != b))  # NaN equals NaN: a loaded run equals the computed one


def area_under(curve: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the area under curves over [0, 1] by the trapezoidal rule; curves lie along the last axis.

    Examples
    --------
    >>> float(area_under(np.array([1.0, 0.0, 0.0])))
    0.25
    """
    return np.asarray(trapezoid(curve.astype(np.float64), dx=1 / (curve.shape[-1] - 1), axis=-1))


class Result:
    """Equality by value for dataclasses that hold arrays; fields marked ``compare=False`` do not count."""

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(
            same(getattr(self, f.name), getattr(other, f.name))
            for f in fields(self)  # type: ignore[arg-type]
            if f.compare
        )

    __hash__ = None  # type: ignore[assignment]


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
    """

    index: int
    name: str
    sha256: str
    view: NDArray[np.uint8]
    score: float
    predicted: int


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


@dataclass(frozen=True, eq=False)
class Component(Result):
    """A connected region of one image's binary evidence mask, ranked by what hiding it alone does.

    Attributes
    ----------
    image : int
        Index of its image.
    box : tuple of int
        Its bounding box.
    mask : ndarray of bool, (y1 - y0, x1 - x0)
        Its pixels inside the box.
    contribution : float
        1 minus the class score with this region alone hidden.
    drop : float
        Relative loss of the score with this region alone hidden.
    """

    image: int
    box: Box
    mask: NDArray[np.bool_]
    contribution: float
    drop: float

    @property
    def area(self) -> int:
        """Number of its pixels."""
        return int(self.mask.sum())


@dataclass(frozen=True, eq=False)
class Region(Result):
    """A kept salient box: what is compared between images and clustered.

    Attributes
    ----------
    index : int
        Position in ``run.regions``, row and column of ``run.similarity``.
    image : int
        Index of its image in ``run.images``.
    box : tuple of int
        ``(x0, y0, x1, y1)`` in view pixels, half open.
    mask : ndarray of bool, (y1 - y0, x1 - x0)
        Evidence pixels inside the box.
    salient_share : float
        Share of the box that is evidence.
    contribution : float
        1 minus the class score with this region's evidence alone hidden.
    drop : float
        Relative loss of the score with this region's evidence alone hidden.
    distinctiveness : float
        Mean of its best similarities (100 published) to all boxes of the other images; decides which redundant box stays.
    """

    index: int
    image: int
    box: Box
    mask: NDArray[np.bool_]
    salient_share: float
    contribution: float
    drop: float
    distinctiveness: float

    @property
    def area(self) -> int:
        """Area of the box in pixels."""
        x0, y0, x1, y1 = self.box
        return (x1 - x0) * (y1 - y0)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the box in pixels."""
        x0, y0, x1, y1 = self.box
        return (y1 - y0, x1 - x0)


@dataclass(frozen=True, eq=False)
class Member(Result):
    """A region as a member of a summary.

    Attributes
    ----------
    region : int
        Index of the region in ``run.regions``.
    similarity : float
        Similarity to the exemplar, as in ``run.similarity`` (of the exemplar itself: the largest of its summary).
    ssim : float
        Median structural similarity of this member, warped to the exemplar, to the other members; NaN where it has no other.
    warped : ndarray of uint8, (h, w, 3)
        The member's image warped by dense flow into the exemplar's box.
    """

    region: int
    similarity: float
    ssim: float
    warped: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Summary(Result):
    """A group of regions that show one part that the network uses.

    Attributes
    ----------
    index : int
        Rank in ``run.summaries``, best first.
    exemplar : int
        Index of the exemplar's region in ``run.regions``.
    members : tuple of Member
        Exemplar first, then by similarity to it; at most one region of any image, at most the best 10 (published).
    cluster : tuple of int
        All regions of the cluster that the summary was made from.
    score : float
        Quality: median SSIM of the warped members over the median of all clusters.
    importance : float
        Mean over the members of the relative loss of the class score when the member's evidence alone is hidden.
    """

    index: int
    exemplar: int
    members: tuple[Member, ...]
    cluster: tuple[int, ...]
    score: float
    importance: float

    def plot(self, run: Run, ax: Any = None, **options: Any) -> Any:
        """Draw the members side by side on matplotlib axes; see :func:`visual_summaries.figures.plot_summary`."""
        from visual_summaries.figures import plot_summary

        return plot_summary(run, self, ax, **options)


@dataclass(frozen=True)
class Skipped:
    """An image that was not used, and why.

    Attributes
    ----------
    name : str
        Path below the image folder.
    reason : str
        One of the reasons of :class:`~visual_summaries.errors.ImageError`, or ``"misclassified"``.
    detail : str
        A sentence for a reader.
    """

    name: str
    reason: str
    detail: str


@dataclass(frozen=True, eq=False)
class Run(Result):
    """Everything that explaining one class of one network gave.

    Attributes
    ----------
    images : tuple of Image
        The images that were used.
    masks : tuple of Mask
        One for each image, in the same order.
    components : tuple of Component
        Connected regions of the masks, image by image, those that contribute most first.
    regions : tuple of Region
        Kept salient boxes of all images.
    similarity : ndarray of float32, (R, R)
        Symmetric similarities of the regions, >= 0; 0 between regions of one image and on the diagonal.
    summaries : tuple of Summary
        Kept summaries, best first.
    rejected : tuple of Summary
        Clusters whose quality was too low, in the same form.
    skipped : tuple of Skipped
        Images that were set aside, with the reason.
    settings : Settings
        Every parameter of the method.
    manifest : dict
        Versions, hardware, timings, the classifier and target in words, counts.
    faithfulness : Faithfulness or None
        Deletion and insertion curves of the masks, with their control.
    path : Path or None
        Where the run is stored.
    """

    images: tuple[Image, ...]
    masks: tuple[Mask, ...]
    components: tuple[Component, ...]
    regions: tuple[Region, ...]
    similarity: NDArray[np.float32]
    summaries: tuple[Summary, ...]
    rejected: tuple[Summary, ...]
    skipped: tuple[Skipped, ...]
    settings: Settings
    manifest: dict[str, Any]
    faithfulness: Faithfulness | None = None
    path: Path | None = field(default=None, compare=False)

    def report(self, path: str | Path | None = None) -> Path:
        """Write the self-contained HTML report and return where it is (default: ``report.html`` in the run's folder)."""
        from visual_summaries.report import write_report  # the rim is imported only when it is asked for

        return write_report(self, path)

    def plot(self, **options: Any) -> Any:
        """Return a matplotlib Figure of the summaries; see :func:`visual_summaries.figures.plot_summaries`."""
        from visual_summaries.figures import plot_summaries

        return plot_summaries(self, **options)

    def _repr_html_(self) -> str:
        """Show the summaries in a notebook."""
        from visual_summaries.report import render_strip

        return render_strip(self)
