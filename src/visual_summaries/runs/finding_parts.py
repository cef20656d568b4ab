"""Where the parts of a run are in new images: by the features of their evidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visual_summaries.classifiers import Classifier
from visual_summaries.parts import describe_cells, fixed_confidence, fixed_pieces, squared_distances, where_fixed
from visual_summaries.regions import full_mask
from visual_summaries.results import Found, Parts, Run
from visual_summaries.runs.dividing import divide_image, part_settings


@dataclass(frozen=True, eq=False)
class PartFinder:
    """Divides the evidence of new images among the parts of a run; what lies beyond the reach of its part is of none."""

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
        fixed, first = where_fixed(view, parts.fixed, parts.look), parts.count - parts.fixed_count
        cells = describe_cells(view, evidence, self.classifier, settings.cells, fixed)
        embedded, pieces = divide_image(parts, cells, evidence & (fixed < 0), settings, bounded=True)
        pieces += fixed_pieces(fixed, first)
        found = []
        for summary in self.run.summaries:
            own = sorted((piece for piece in pieces if piece[0] == summary.part), key=lambda piece: -int(piece[2].sum()))
            if own:
                part, box, mask = own[0]
                if part >= first:
                    confidence = fixed_confidence(view, parts.fixed, parts.look)[part - first]
                else:
                    away = np.linalg.norm(cells.mean_over(embedded, box, mask, evidence.shape) - parts.centers[part])
                    confidence = max(float(parts.reach[part] / max(away, 1e-9)), 1.0)
                pixels = np.any([full_mask(box, mask, evidence.shape) for _, box, mask in own], axis=0)
                found.append(Found(summary.index, tuple(box for _, box, _ in own), pixels, confidence))
        return found
