"""Connected regions of the evidence, and what hiding each alone does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from skimage.measure import label, regionprops

from visual_summaries.masks.scorer import Scorer
from visual_summaries.masks.seen import infill_of
from visual_summaries.regions.pixels import full_mask
from visual_summaries.results import Box

#: The regions of a view: box and evidence pixels inside it, ``bool (y1 - y0, x1 - x0)``, True = hidden.
Regions = Sequence[tuple[Box, NDArray[np.bool_]]]


def connected_components(
    evidence: NDArray[np.floating], threshold: float = 0.5, min_area: float = 0.01
) -> list[tuple[Box, NDArray[np.bool_]]]:
    """Return box and pixels of the connected regions of an evidence mask (H, W) in [0, 1], largest first.

    Pixels above the threshold are evidence; those that touch at a corner belong to the same region. Regions under the share
    `min_area` of the image are dropped.

    Examples
    --------
    >>> evidence = np.zeros((10, 20))
    >>> evidence[2:5, 3:9] = 1.0
    >>> evidence[9, 19] = 1.0  # one pixel of 200: under 1 %
    >>> [(box, int(mask.sum())) for box, mask in connected_components(evidence)]
    [((3, 2, 9, 5), 18)]
    """
    labels = label(evidence > threshold, connectivity=2)
    smallest = min_area * evidence.size
    found = []
    for region in regionprops(labels):
        if region.area < smallest:
            continue
        y0, x0, y1, x1 = region.bbox
        found.append(((int(x0), int(y0), int(x1), int(y1)), np.asarray(region.image, dtype=bool)))
    return sorted(found, key=lambda item: (-int(item[1].sum()), item[0]))


def hidden_scores(scorer: Scorer, views: Sequence[NDArray[np.uint8]], regions: Sequence[Regions]) -> list[NDArray[np.float32]]:
    """Return for each view its class scores with each of its regions alone hidden (docs/paper.md, regions).

    ``1 - score`` of a class's probability is the region's contribution.
    """
    asked = []
    for view, own in zip(views, regions, strict=True):
        shape = (view.shape[0], view.shape[1])
        hide = np.array([full_mask(box, pixels, shape) for box, pixels in own], dtype=bool).reshape(-1, *shape)
        asked.append((view, hide, [infill_of(view, scorer.settings)] * len(hide)))
    return scorer.without_in(asked)
