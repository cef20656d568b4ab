"""Parameters of what follows the masks: regions, flow, clusters or parts, summaries, analyses."""

from __future__ import annotations

import math
from dataclasses import dataclass

from visual_summaries._validate import require_choice, require_in_range, require_ranges


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
    cues : int
        Pictures of each summary alone that the network is asked about; 0 leaves them out.
    changes : int
        Most images of the class, and most of other classes, that changes of the whole image are tried on; 0 leaves them out.
    others : int
        Most images of other classes that are read, where some are given.
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
    cues: int = 16
    changes: int = 32
    others: int = 48

    def __post_init__(self) -> None:
        require_ranges(self, cues=(0,), changes=(0,), others=(3,))
        require_ranges(self, draws=(1,), passes=(2,), bootstrap=(1,), orders=(0,), joint_images=(1,), resamplings=(0,))
        require_ranges(self, chance=(0,), chance_images=(3,), curve_steps=(1,))


@dataclass(frozen=True)
class ClusterSettings:
    """Parameters of affinity propagation, which only the published procedure uses: all are published.

    Attributes
    ----------
    preference_factor : float
        The preference is this times the median of the shifted similarities.
    damping : float
        Share of the old messages kept at each step.
    max_iterations : int
        Steps after which not having converged is an error.
    convergence_iterations : int
        Steps without a change of exemplars that count as converged.
    """

    preference_factor: float = 1.3
    damping: float = 0.9
    max_iterations: int = 1000
    convergence_iterations: int = 100

    def __post_init__(self) -> None:
        require_ranges(
            self, preference_factor=(0.0,), damping=(0.5, 1.0 - 1e-6), max_iterations=(1,), convergence_iterations=(1,)
        )


#: Descriptors of boxes, ways of matching them, and of assigning matches to pixels.
DESCRIPTORS = ("auto", "deep", "hog")
METHODS = ("nam", "phm", "lom")
ASSIGNMENTS = ("best", "vote")


@dataclass(frozen=True)
class FlowSettings:
    """Parameters of descriptors and semantic flow.

    Attributes
    ----------
    descriptor : str
        ``"hog"`` (published), ``"deep"`` (feature maps of the explained network) or ``"auto"`` (deep where the network has
        feature maps, else HOG).
    method : str
        ``"nam"``, ``"phm"`` or ``"lom"`` (published); see :mod:`visual_summaries.flow.matching`. Similarity and dense flow
        are made of its matches.
    max_aspect_ratio : float
        Pairs of boxes whose aspect ratios differ by more than this factor score 0 (published: 2).
    border : float
        Boxes within this share of the image's sides from its border are left out of matching (published: 0.01).
    exponent : float
        Similarities are confidences to this power. 1 is published; 0.5 makes purer clusters (docs/flow.md), because it keeps
        a few very confident matches from outweighing all others.
    assignment : str
        How dense flow assigns matches to pixels: ``"best"`` (published) or ``"vote"``, which was measured to be better.
    mirror : bool
        Whether a member is also looked at turned left to right before it is warped to its exemplar, and the side that looks
        more similar is warped: objects face either way. Nothing else looks at both sides. False is published.
    """

    descriptor: str = "auto"
    method: str = "lom"
    max_aspect_ratio: float = 3.0
    border: float = 0.0
    exponent: float = 0.5
    assignment: str = "vote"
    mirror: bool = True

    def __post_init__(self) -> None:
        require_choice("descriptor", self.descriptor, DESCRIPTORS)
        require_choice("method", self.method, METHODS)
        require_ranges(self, max_aspect_ratio=(1.0,), border=(0.0, 0.5), exponent=(0.0, 10.0))
        require_choice("assignment", self.assignment, ASSIGNMENTS)


@dataclass(frozen=True)
class PartSettings:
    """Parameters of the division; each default was chosen on photographs (docs/experiments/tried.md).

    Attributes
    ----------
    count : int or None
        Number of parts; None: it follows from the data (:func:`visual_summaries.parts.number.choose_number`).
    most : int
        The largest number that is considered.
    cells : int
        Grid cells along the image's shorter side; features are compared cell by cell.
    dimensions : int
        Dimensions that features are reduced to.
    neighbors : int
        Each cell's features are averaged with those of so many most similar cells of other images; 0: with none.
    place : float
        Weight of a cell's place relative to its image's evidence, beside its features, which have length 1.
    explained : float
        Once the parts explain this share of the variation of the evidence, only splits that explain much of the rest continue.
    stable : float
        Least mean Jaccard index of the parts when images are resampled, for a number of parts to be considered.
    gap : float
        Pieces of a part in one image that are nearer to each other than about twice this share of its shorter side are one.
    min_piece : float
        Pieces under this share of the image join the part beside them, else the rest.
    fixed : bool
        Whether what looks the same at the same place of most images is a part of its own.
    """

    count: int | None = None
    most: int = 12
    cells: int = 28
    dimensions: int = 64
    neighbors: int = 20
    place: float = 0.5
    explained: float = 0.45
    stable: float = 0.6
    gap: float = 0.03
    min_piece: float = 0.0005
    fixed: bool = True

    def __post_init__(self) -> None:
        if self.count is not None:
            require_in_range("parts", self.count, 1, 64)
        require_ranges(self, most=(1, 64), cells=(4,), dimensions=(2,), neighbors=(0,), place=(0.0,), explained=(0.0, 1.0))
        require_ranges(self, stable=(0.0, 1.0), gap=(0.0, 0.5), min_piece=(0.0, 1.0))


#: Names accepted by :func:`visual_summaries.propose_boxes`.
SOURCES = ("selective_search", "grid", "edge_boxes")


def check_source(source: str) -> None:
    """Raise SettingsError unless `source` is one of :data:`SOURCES`, or ``edge_boxes:`` and the path of a model.

    Examples
    --------
    >>> check_source("edge_boxes:model.yml.gz")
    """
    name, colon, _ = source.partition(":")
    require_choice("source", name if colon and name == "edge_boxes" else source, SOURCES)


@dataclass(frozen=True)
class RegionSettings:
    """Parameters of regions of the evidence.

    Attributes
    ----------
    threshold : float
        Pixels whose evidence exceeds it are evidence (the paper's m < 0.5).
    min_component_area : float
        Connected regions under this share of the image are dropped.
    proposals : str
        Source of boxes, one of :data:`SOURCES` (``"selective_search"`` is published), or ``"edge_boxes:PATH"`` with a
        structured edge model.
    boxes : int
        Boxes proposed for an image (published: 500).
    salient_share : float
        A box is salient when more than this share of it is evidence.
    overlap : float
        Salient boxes of one image whose intersection over the smaller area reaches it may be redundant ...
    area_factor : float
        ... when their areas also lie within this factor.
    best : int
        How many best similarities to boxes of other images are averaged to choose between redundant boxes.
    """

    threshold: float = 0.5
    min_component_area: float = 0.01
    proposals: str = "grid"
    boxes: int = 200
    salient_share: float = 0.75
    overlap: float = 0.5
    area_factor: float = 2.0
    best: int = 100

    def __post_init__(self) -> None:
        check_source(self.proposals)
        require_ranges(self, threshold=(0.0, 1.0), min_component_area=(0.0, 1.0), boxes=(1,), salient_share=(0.0, 1.0))
        require_ranges(self, overlap=(0.0, 1.0), area_factor=(1.0,), best=(1,))


#: Which parts or clusters become summaries.
KEEP = ("alike", "used")


@dataclass(frozen=True)
class SummarySettings:
    """Parameters of summaries.

    Attributes
    ----------
    members : int
        The most members a summary has.
    min_members : int
        Parts or clusters with fewer members (regions of different images) make no summary.
    min_coverage : float
        Parts or clusters with regions in under this share of the images (of those that have any region) make no summary.
    keep : str
        ``"alike"`` (published): summaries are the clusters whose members look similar once warped to the exemplar, by the two
        parameters below. ``"used"``: those that are in enough images and do enough to the class, by `min_effect`
        (:func:`visual_summaries.runs.analyzing.analyze_summaries`): similar-looking parts may be irrelevant.
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
    min_members: int = 3
    min_coverage: float = 0.15
    keep: str = "used"
    min_effect: float = 0.02
    min_score: float = 0.9
    max_low_share: float = 0.6
    rank: str = "importance"

    def __post_init__(self) -> None:
        require_choice("keep", self.keep, KEEP)
        require_choice("rank", self.rank, ("score", "importance"))
        require_ranges(self, members=(2,), min_members=(2,), min_coverage=(0.0, 1.0), min_effect=(0.0, 1.0), min_score=(0.0,))
        require_ranges(self, max_low_share=(0.0, 1.0))

    def images_needed(self, images: int) -> int:
        """Return in how many images a cluster must be to make a summary, when so many images have any region.

        Examples
        --------
        >>> settings = SummarySettings(min_members=2, min_coverage=0.2)
        >>> [settings.images_needed(images) for images in (4, 10, 11, 40)]
        [2, 2, 3, 8]
        """
        return max(self.min_members, math.ceil(self.min_coverage * images - 1e-9))  # 0.1 * 30 is above 3 in binary
