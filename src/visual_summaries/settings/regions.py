"""Parameters of regions: connected components, proposals, redundancy."""

from __future__ import annotations

from dataclasses import dataclass

from visual_summaries._validate import require_choice, require_in_range

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
    """Parameters of stage 2; the defaults are the published constants.

    Attributes
    ----------
    threshold : float
        Pixels whose evidence exceeds it are evidence (the paper's m < 0.5).
    min_component_area : float
        Connected regions under this share of the image are dropped.
    proposals : str
        Source of boxes, one of :data:`SOURCES`, or ``"edge_boxes:PATH"`` with a structured
        edge model.
    boxes : int
        Boxes proposed for an image.
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
    proposals: str = "selective_search"
    boxes: int = 500
    salient_share: float = 0.75
    overlap: float = 0.5
    area_factor: float = 2.0
    best: int = 100

    def __post_init__(self) -> None:
        check_source(self.proposals)
        require_in_range("threshold", self.threshold, 0.0, 1.0)
        require_in_range("min_component_area", self.min_component_area, 0.0, 1.0)
        require_in_range("boxes", self.boxes, 1)
        require_in_range("salient_share", self.salient_share, 0.0, 1.0)
        require_in_range("overlap", self.overlap, 0.0, 1.0)
        require_in_range("area_factor", self.area_factor, 1.0)
        require_in_range("best", self.best, 1)
