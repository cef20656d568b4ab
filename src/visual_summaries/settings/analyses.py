"""Parameters of the analyses."""

from __future__ import annotations

from dataclasses import dataclass

from visual_summaries._validate import require_in_range


@dataclass(frozen=True)
class AnalysisSettings:
    """How much is measured of a finished set of summaries; none of it changes what the summaries are.

    Attributes
    ----------
    draws : int
        Random places of the object that a summary's pixels are moved to in each image.
    passes : int
        Network passes for the shares of one image; with few summaries in it all their combinations fit and shares are exact.
    bootstrap : int
        Resamplings of the images behind an interval.
    orders : int
        Random orders that the curves of joint effects are compared with; 0 leaves joint effects out.
    joint_images : int
        Most images that joint effects are measured on.
    resamplings : int
        How often resampled images are grouped again for the stability; 0 leaves it out.
    chance : int
        How often all masks are moved at random to see what groups chance gives; 0 leaves it out.
    chance_images : int
        Most images that this is done on.
    curve_steps : int
        Points of the deletion and insertion curves of masks, after the first.
    """

    draws: int = 1
    passes: int = 16
    bootstrap: int = 1000
    orders: int = 1
    joint_images: int = 8
    resamplings: int = 20
    chance: int = 19
    chance_images: int = 8
    curve_steps: int = 5

    def __post_init__(self) -> None:
        require_in_range("draws", self.draws, 1)
        require_in_range("passes", self.passes, 2)
        require_in_range("bootstrap", self.bootstrap, 1)
        require_in_range("orders", self.orders, 0)
        require_in_range("joint_images", self.joint_images, 1)
        require_in_range("resamplings", self.resamplings, 0)
        require_in_range("chance", self.chance, 0)
        require_in_range("chance_images", self.chance_images, 3)
        require_in_range("curve_steps", self.curve_steps, 1)
