"""Parameters of mask optimisation."""

from __future__ import annotations

from dataclasses import dataclass, field

from visual_summaries._validate import require_choice, require_in_range
from visual_summaries.errors import SettingsError


@dataclass(frozen=True)
class MaskStage:
    """Schedule and coefficients of one optimisation stage (METHOD: L = p + l1 area + l2 TV + l3 greyness).

    Attributes
    ----------
    iterations : int
        Gradient steps.
    l1, l2, l3 : float
        Weights of the mean evidence, of the total variation and of the grey pixels.
    learning_rate : float
        Adam's.
    """

    iterations: int
    l1: float
    l2: float
    l3: float
    learning_rate: float = 0.1

    def __post_init__(self) -> None:
        require_in_range("iterations", self.iterations, 0)
        require_in_range("learning_rate", self.learning_rate, 1e-9)


@dataclass(frozen=True)
class MaskSettings:
    """Parameters of :func:`visual_summaries.optimize_masks`; the defaults are the published constants.

    Attributes
    ----------
    smooth, sharp : MaskStage
        The two published stages.
    superpixel : MaskStage or None
        The optional third stage.
    reduction : int
        The smooth mask has 1/`reduction` of the view's resolution (28 x 28 for 224).
    smooth_sigma : float
        Sigma, in pixels, of the blur of the upsampled smooth mask.
    tv_exponent : float
        Beta of the total variation.
    blur_size, blur_sigma : int, float
        Gaussian that makes the hidden image: kernel side and sigma in pixels.
    noise : float
        Standard deviation of Gaussian noise added to the perturbed view at each step.
    less : float
        Weight of the optional term that forbids raising other scores.
    score : str
        ``"probability"`` (softmax, published) or ``"logit"``.
    segments : int
        Number of superpixels of the third stage (SLIC; compactness 10, sigma 0.5).
    batch_size : int or None
        Images optimised at a time; None finds it.
    """

    smooth: MaskStage = field(default_factory=lambda: MaskStage(300, l1=0.5, l2=0.01, l3=0.0))
    sharp: MaskStage = field(default_factory=lambda: MaskStage(150, l1=0.01, l2=1.0, l3=2.0))
    superpixel: MaskStage | None = None
    reduction: int = 8
    smooth_sigma: float = 5.0
    tv_exponent: float = 3.0
    blur_size: int = 11
    blur_sigma: float = 10.0
    noise: float = 0.0
    less: float = 0.0
    score: str = "probability"
    segments: int = 2000
    batch_size: int | None = None

    def __post_init__(self) -> None:
        require_in_range("reduction", self.reduction, 1)
        require_in_range("tv_exponent", self.tv_exponent, 1.0)
        require_in_range("blur_size", self.blur_size, 1)
        if self.blur_size % 2 == 0:
            raise SettingsError(f"blur_size is {self.blur_size}, but must be odd: a kernel has a centre")
        require_in_range("blur_sigma", self.blur_sigma, 1e-6)
        require_in_range("noise", self.noise, 0.0)
        require_in_range("less", self.less, 0.0)
        require_choice("score", self.score, ("probability", "logit"))
        require_in_range("segments", self.segments, 2)
        if self.batch_size is not None:
            require_in_range("batch_size", self.batch_size, 1)
