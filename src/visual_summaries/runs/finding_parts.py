"""Where the parts of a run are in new images: by the features of their evidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visual_summaries.classifiers import Classifier
from visual_summaries.parts import describe_cells, embed, join_specks, label_pixels, pieces, squared_distances
from visual_summaries.results import Found, Parts, Run
from visual_summaries.runs.dividing import part_settings


@dataclass(frozen=True, eq=False)
class PartFinder:
    """Divides the evidence of new images among the parts of a run; what lies beyond the reach of its part is of none.

    Attributes
    ----------
    run : Run
    parts : Parts
    classifier : Classifier
    """

    run: Run
    parts: Parts
    classifier: Classifier

    @property
    def figures(self) -> tuple[tuple[float, ...], ...]:
        """Least confidence that counts (1), and how often regions of the run's summaries, and others, reach it."""
        distances = np.sqrt(squared_distances(self.run.descriptors, self.parts.centers))
        nearest = distances.argmin(axis=1)
        within = distances[np.arange(len(nearest)), nearest] <= self.parts.reach[nearest]
        found, mistaken = [], []
        for summary in self.run.summaries:
            own = np.zeros(len(nearest), bool)
            own[list(summary.cluster)] = True
            hit = within & (nearest == summary.part)
            found.append(float(hit[own].mean()))
            mistaken.append(float(hit[~own].mean()) if (~own).any() else 0.0)
        return (1.0,) * len(found), tuple(found), tuple(mistaken)

    def find(self, view: NDArray[np.uint8], evidence: NDArray[np.bool_]) -> list[Found]:
        """Return the summaries in a new image."""
        settings, parts = part_settings(self.run.settings), self.parts
        cells = describe_cells(view, evidence, self.classifier, settings.cells)
        if not len(cells):
            return []
        embedded = embed(parts, cells)
        gap = round(settings.gap * min(evidence.shape))
        labels = label_pixels(squared_distances(embedded, parts.centers), cells, evidence, parts.reach)
        labels = join_specks(labels, round(settings.min_piece * evidence.size), gap)
        summary_of = {summary.part: summary.index for summary in self.run.summaries}
        found = []
        for part in np.unique(labels[labels >= 0]).tolist():
            if part in summary_of:
                own = sorted((piece for piece in pieces(np.where(labels == part, labels, -1).astype(np.int16), gap)), key=_size)
                box, mask = own[0][1:]
                away = np.linalg.norm(cells.mean_over(embedded, box, mask, evidence.shape) - parts.centers[part])
                confidence = max(float(parts.reach[part] / max(away, 1e-9)), 1.0)
                found.append(Found(summary_of[part], tuple(box for _, box, _ in own), labels == part, confidence))
        return found


def _size(piece: tuple[int, object, NDArray[np.bool_]]) -> int:
    return -int(piece[2].sum())
