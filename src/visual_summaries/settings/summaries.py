"""Parameters of summaries."""

from __future__ import annotations

import math
from dataclasses import dataclass

from visual_summaries._validate import require_choice, require_in_range

#: Which parts or clusters become summaries.
KEEP = ("alike", "used")


@dataclass(frozen=True)
class SummarySettings:
    """Parameters of stage 5; the defaults are the published constants.

    Attributes
    ----------
    members : int
        The most members a summary has.
    min_members : int
        Parts or clusters with fewer members (regions of different images) make no summary.
    min_coverage : float
        Parts or clusters with regions in under this share of the images (of those that have any region) make no summary.
    keep : str
        ``"alike"`` (published): summaries are the clusters whose members look alike once warped to the exemplar, by the two
        parameters below. ``"used"``: those that are in enough images and do enough to the class, by `min_effect`
        (:func:`visual_summaries.pipeline.analysing.analyse_summaries`): looking alike is not being used.
    min_effect : float
        With ``"used"``: the least share of the class score that hiding a summary has to take, above hiding the same pixels
        elsewhere, on average over all images (:attr:`visual_summaries.results.SummaryAnalysis.class_effect`).
    min_score : float
        A cluster is kept when its median SSIM over the median of all clusters reaches it.
    max_low_share : float
        A member is dropped when this share or more of its SSIMs are under the global median.
    rank : str
        Summaries are ranked by ``"score"`` (quality, published) or by ``"importance"`` (loss of the class score when hidden,
        above that when the same pixels are hidden elsewhere, over all images).
    """

    members: int = 10
    min_members: int = 2
    min_coverage: float = 0.0
    keep: str = "alike"
    min_effect: float = 0.02
    min_score: float = 0.9
    max_low_share: float = 0.6
    rank: str = "score"

    def __post_init__(self) -> None:
        require_in_range("members", self.members, 2)
        require_in_range("min_members", self.min_members, 2)
        require_in_range("min_coverage", self.min_coverage, 0.0, 1.0)
        require_choice("keep", self.keep, KEEP)
        require_in_range("min_effect", self.min_effect, 0.0, 1.0)
        require_in_range("min_score", self.min_score, 0.0)
        require_in_range("max_low_share", self.max_low_share, 0.0, 1.0)
        require_choice("rank", self.rank, ("score", "importance"))

    def images_needed(self, images: int) -> int:
        """Return in how many images a cluster must be to make a summary, when so many images have any region.

        Examples
        --------
        >>> settings = SummarySettings(min_members=2, min_coverage=0.2)
        >>> [settings.images_needed(images) for images in (4, 10, 11, 40)]
        [2, 2, 3, 8]
        """
        return max(self.min_members, math.ceil(self.min_coverage * images - 1e-9))  # 0.1 * 30 is above 3 in binary
