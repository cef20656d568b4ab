"""Parameters of semantic flow: descriptors and matching."""

from __future__ import annotations

from dataclasses import dataclass

from visual_summaries._validate import require_choice, require_in_range


@dataclass(frozen=True)
class FlowSettings:
    """Parameters of stage 3; the defaults are the published constants.

    Attributes
    ----------
    descriptor : str
        ``"hog"`` (published), ``"deep"`` (feature maps of the explained network) or ``"auto"`` (deep where the network has
        feature maps, else HOG).
    method : str
        ``"nam"``, ``"phm"`` or ``"lom"`` (published); see :mod:`visual_summaries.flow.matching`. Similarity and dense flow
        are made of its matches.
    max_aspect_ratio : float
        Pairs of boxes whose aspect ratios differ by more than this factor score 0.
    border : float
        Boxes within this share of the image's sides from its border are left out of matching.
    exponent : float
        Similarities are confidences to this power. 1 is published; 0.5 makes purer clusters (docs/flow.md), because it keeps
        a few very confident matches from outweighing all others.
    assignment : str
        How dense flow assigns matches to pixels: ``"best"`` (published) or ``"vote"``, which was measured to be better.
    mirror : bool
        Whether a member is also looked at turned left to right before it is warped to its exemplar, and the side that looks
        more alike is warped: objects face either way. Nothing else looks at both sides. False is published.
    """

    descriptor: str = "hog"
    method: str = "lom"
    max_aspect_ratio: float = 2.0
    border: float = 0.01
    exponent: float = 1.0
    assignment: str = "best"
    mirror: bool = False

    def __post_init__(self) -> None:
        require_choice("descriptor", self.descriptor, ("hog", "deep", "auto"))
        require_choice("method", self.method, ("nam", "phm", "lom"))
        require_in_range("max_aspect_ratio", self.max_aspect_ratio, 1.0)
        require_in_range("border", self.border, 0.0, 0.5)
        require_in_range("exponent", self.exponent, 0.0, 10.0)
        require_choice("assignment", self.assignment, ("best", "vote"))
