"""Parameters of mask optimization."""

from __future__ import annotations

from dataclasses import dataclass, field

from visual_summaries._validate import require_choice, require_ranges
from visual_summaries.errors import SettingsError

#: Objectives of a mask.
MODES = ("deletion", "preservation", "both")

#: What hidden pixels may show.
INFILLS = ("blur", "strong-blur", "mean", "noise", "inpaint")

#: The infills of ``"mix"``: those that take the class away when they hide everything. The published blur does not.
MIX = ("strong-blur", "mean", "noise", "inpaint")

#: Infills that no mask is optimized under: whether a mask holds is asked under these.
HELD_OUT = ("permuted", "black")


def infills_of(infill: str) -> tuple[str, ...]:
    """Return the infills that a setting names: one, several joined by ``+``, or for ``"mix"`` those that hide best.

    Examples
    --------
    >>> infills_of("blur+mean"), infills_of("mix") == MIX
    (('blur', 'mean'), True)
    """
    names = MIX if infill == "mix" else tuple(infill.split("+"))
    for name in names:
        require_choice("infill", name, (*INFILLS, *HELD_OUT, "mix"))
    return names


@dataclass(frozen=True)
class EvidenceSettings:
    """How much of a heat map that somebody brought is evidence; of maps with two values it is the larger one, whatever is set.

    Attributes
    ----------
    loss : float
        The evidence is the smallest area of the strongest pixels whose hiding takes this share of the score. All positive
        pixels are evidence where hiding even them takes less.
    area : float or None
        The evidence is this share of the view, its strongest pixels, at most all that are positive; `loss` is not asked.
    """

    loss: float = 0.9
    area: float | None = None

    def __post_init__(self) -> None:
        require_ranges(self, loss=(0.01, 1.0), area=(0.001, 1.0))


@dataclass(frozen=True)
class MaskSchedule:
    """Steps and coefficients of one of the published optimizations (L = p + l1 area + l2 TV + l3 grayness).

    Attributes
    ----------
    iterations : int
        Gradient steps.
    l1, l2, l3 : float
        Weights of the mean evidence, of the total variation and of the gray pixels.
    learning_rate : float
        Adam's.
    """

    iterations: int
    l1: float
    l2: float
    l3: float
    learning_rate: float = 0.1

    def __post_init__(self) -> None:
        require_ranges(self, iterations=(0,), learning_rate=(1e-9,))


@dataclass(frozen=True)
class FastSchedule:
    """Parameters of the fast optimizer (:mod:`visual_summaries.masks.fast`); each was set by measurement (docs/masks.md).

    Attributes
    ----------
    steps : int
        Network passes of each image. Several infills share them.
    extra_rounds, extra_steps : int
        An image of whose score too much is left gets `extra_steps` further passes, `extra_rounds` times at most.
    checked_at, begin_again : float, int
        After this share of the passes, an image whose score is still there is restarted, so many times at most.
    cells, sigma : int, float
        The density has `cells` square cells along the view's shorter side; its upsampled field is blurred with `sigma` cells.
    learning_rate, last_rate : float
        Adam's step on the density, at the first and last pass.
    first_decay, second_decay : float
        Decay of Adam's mean and mean square (the usual 0.999 would remember all of so few steps).
    first_contrast, last_contrast : float
        Contrast of the projection to 0 and 1, at the first and last pass.
    first_area, last_area, boundary : float
        Weights of mean evidence (first and last pass) and of the boundary's length.
    kept, allowed : float
        Share of the score that is sought, and the largest mean that an image may end with without further passes.
    multiplier, largest_multiplier, adaptation, boost : float
        First and largest weight of the log-odds against the area, how fast it follows the score, and the factor on it when an
        image is given further passes.
    smallest_piece, cleaned_at : float
        Pieces under this share of the image are taken away, after this share of the passes and at the end.
    """

    steps: int = 28
    extra_rounds: int = 6
    extra_steps: int = 4
    checked_at: float = 0.55
    begin_again: int = 2
    cells: int = 28
    sigma: float = 0.3
    learning_rate: float = 0.3
    last_rate: float = 0.1
    first_decay: float = 0.8
    second_decay: float = 0.95
    first_contrast: float = 2.0
    last_contrast: float = 24.0
    first_area: float = 1.0
    last_area: float = 0.1
    boundary: float = 3.0
    kept: float = 0.001
    allowed: float = 0.018
    multiplier: float = 0.025
    largest_multiplier: float = 0.5
    adaptation: float = 0.6
    boost: float = 3.0
    smallest_piece: float = 0.005
    cleaned_at: float = 0.6

    def __post_init__(self) -> None:
        require_ranges(self, steps=(1,), extra_rounds=(0,), extra_steps=(1,), begin_again=(0,), cells=(2,), sigma=(0.0,))
        require_ranges(self, kept=(1e-6, 0.5), allowed=(self.kept, 1.0))
        require_ranges(self, checked_at=(0.0, 1.0), smallest_piece=(0.0, 1.0), cleaned_at=(0.0, 1.0))


@dataclass(frozen=True)
class MaskSettings:
    """Parameters of :func:`visual_summaries.optimize_masks`.

    Attributes
    ----------
    smooth, sharp : MaskSchedule
        The two published optimizations, one after the other.
    superpixel : MaskSchedule or None
        The optional third one.
    reduction : int
        The smooth mask has 1/`reduction` of the view's resolution (28 x 28 for 224).
    smooth_sigma : float
        Sigma, in pixels, of the blur of the upsampled smooth mask.
    tv_exponent : float
        Beta of the total variation.
    mode : str
        ``"deletion"`` (published): the smallest evidence whose hiding destroys the class, L with p(x(m)).
        ``"preservation"``: the smallest that suffices, L with 1 - p of the image with all *but* the evidence hidden.
        ``"both"``: the sum of the two.
    infill : str
        What hidden pixels show: ``"blur"`` (published), ``"strong-blur"``, ``"mean"``, ``"noise"`` or ``"inpaint"``; see
        :func:`visual_summaries.masks.infill.hide`. Several joined by ``+`` (``"blur+noise"``): one is drawn at each step, and
        scores are means over all. ``"mix"`` is all but ``"blur"``, which leaves networks much of the score: masks found under
        one infill lose much of their effect under others, and under the published blur they do not hold when they are shifted
        by a few pixels (docs/masks.md).
    blur_size, blur_sigma : int, float
        Gaussian of ``"blur"``: kernel side and sigma in pixels.
    noise : float
        Standard deviation of Gaussian noise added to the perturbed view at each step.
    less : float
        Weight of the optional term that forbids raising other scores.
    score : str
        ``"probability"`` (softmax, published) or ``"logit"``.
    segments : int
        Number of superpixels of the third optimization (SLIC; compactness 10, sigma 0.5).
    batch_size : int or None
        Images optimized at a time; None finds it.
    fast : FastSchedule or None
        None: the published optimizer. Given: the fast one, for a class scored by its probability, without noise, *less* term or
        superpixels; it knows all modes and infills. Elsewhere the published one.
    precision : str
        ``"float32"``, or ``"auto"``: whichever of float32 and bfloat16 autocast, with or without channels-last, is measured to
        be fastest on this network and agrees with float32. Final scores are float32 either way.
    """

    smooth: MaskSchedule = field(default_factory=lambda: MaskSchedule(300, l1=0.5, l2=0.01, l3=0.0))
    sharp: MaskSchedule = field(default_factory=lambda: MaskSchedule(150, l1=0.01, l2=1.0, l3=2.0))
    superpixel: MaskSchedule | None = None
    reduction: int = 8
    smooth_sigma: float = 5.0
    tv_exponent: float = 3.0
    mode: str = "deletion"
    infill: str = "mix"
    blur_size: int = 11
    blur_sigma: float = 10.0
    noise: float = 0.0
    less: float = 0.0
    score: str = "probability"
    segments: int = 2000
    batch_size: int | None = None
    fast: FastSchedule | None = field(default_factory=FastSchedule)
    precision: str = "auto"

    def __post_init__(self) -> None:
        require_choice("mode", self.mode, MODES)
        infills_of(self.infill)
        if self.blur_size % 2 == 0:
            raise SettingsError(f"blur_size is {self.blur_size}, but must be odd: a kernel has a center")
        require_choice("score", self.score, ("probability", "logit"))
        require_choice("precision", self.precision, ("float32", "auto"))
        require_ranges(self, reduction=(1,), tv_exponent=(1.0,), blur_size=(1,), blur_sigma=(1e-6,), noise=(0.0,), less=(0.0,))
        require_ranges(self, segments=(2,), batch_size=(1,))
