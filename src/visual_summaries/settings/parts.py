"""Parameters of dividing evidence among parts."""

from __future__ import annotations

from dataclasses import dataclass

from visual_summaries._validate import require_in_range


@dataclass(frozen=True)
class PartSettings:
    """Parameters of the division; each default was chosen on photographs (docs/tried.md).

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
    neighbours : int
        Each cell's features are averaged with those of so many most similar cells of other images; 0: with none.
    place : float
        Weight of a cell's place relative to its image's evidence, beside its features, which have length 1.
    explained : float
        Once the parts explain this share of the variation of the evidence, only splits that explain much of the rest go on.
    stable : float
        Least mean Jaccard index of the parts when images are resampled, for a number of parts to be considered.
    gap : float
        Pieces of a part in one image that are nearer to each other than about twice this share of its shorter side are one.
    min_piece : float
        Pieces under this share of the image join the part beside them, else the rest.
    """

    count: int | None = None
    most: int = 12
    cells: int = 28
    dimensions: int = 64
    neighbours: int = 20
    place: float = 0.5
    explained: float = 0.45
    stable: float = 0.6
    gap: float = 0.03
    min_piece: float = 0.0005

    def __post_init__(self) -> None:
        if self.count is not None:
            require_in_range("parts", self.count, 1, 64)
        require_in_range("most", self.most, 1, 64)
        require_in_range("cells", self.cells, 4)
        require_in_range("dimensions", self.dimensions, 2)
        require_in_range("neighbours", self.neighbours, 0)
        require_in_range("place", self.place, 0.0)
        require_in_range("explained", self.explained, 0.0, 1.0)
        require_in_range("stable", self.stable, 0.0, 1.0)
        require_in_range("gap", self.gap, 0.0, 0.5)
        require_in_range("min_piece", self.min_piece, 0.0, 1.0)
