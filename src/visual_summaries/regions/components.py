"""Connected regions of an evidence mask, and boxes around them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.measure import label, regionprops
from skimage.morphology import isotropic_opening

from visual_summaries.results import Box


def connected_components(
    evidence: NDArray[np.floating], threshold: float = 0.5, min_area: float = 0.01
) -> list[tuple[Box, NDArray[np.bool_]]]:
    """Return the connected regions of the binary evidence mask, largest first.

    Parameters
    ----------
    evidence : ndarray, (H, W)
        Evidence mask in [0, 1]; 1 = evidence.
    threshold : float
        Pixels above it are evidence.
    min_area : float
        Regions under this share of the image are dropped.

    Returns
    -------
    list of (box, mask)
        The bounding box ``(x0, y0, x1, y1)`` and the region's pixels inside it, ``bool (y1 - y0, x1 - x0)``. Pixels that
        touch at a corner belong to the same region.

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


def evidence_boxes(
    evidence: NDArray[np.bool_],
    min_area: float = 0.003,
    openings: tuple[float, ...] = (0.0, 0.0125, 0.025, 0.045),
    smallest: int = 6,
) -> NDArray[np.int32]:
    """Return bounding boxes of the connected regions of the evidence, as it is and with its narrow places cut.

    Proposals come from the image alone: small parts often have none that lies on the evidence. These boxes come from the
    evidence. Where it runs over several parts, openings by discs of growing radius cut it at its narrowest places first.

    Parameters
    ----------
    evidence : ndarray of bool, (H, W)
        Binary evidence mask, True = evidence.
    min_area : float
        Regions under this share of the image are dropped.
    openings : tuple of float
        Radii of the discs, as shares of the shorter side.
    smallest : int
        Boxes with a side under this many pixels are dropped.

    Returns
    -------
    ndarray of int32, (n, 4)
        ``(x0, y0, x1, y1)``, half open, sorted, no two alike.

    Examples
    --------
    >>> evidence = np.zeros((40, 80), bool)
    >>> evidence[5:25, 5:25] = evidence[5:25, 45:65] = evidence[14:15, 25:45] = True  # two parts joined by a line
    >>> found = evidence_boxes(evidence).tolist()
    >>> [box in found for box in ([5, 5, 65, 25], [5, 5, 25, 25], [45, 5, 65, 25])]
    [True, True, True]
    """
    found: set[tuple[int, ...]] = set()
    for share in openings:
        radius = share * min(evidence.shape)
        opened = isotropic_opening(evidence, radius) if radius >= 1 else evidence
        for region in regionprops(label(opened, connectivity=2)):
            y0, x0, y1, x1 = region.bbox
            if region.area >= min_area * evidence.size and min(y1 - y0, x1 - x0) >= smallest:
                found.add((int(x0), int(y0), int(x1), int(y1)))
    return np.array(sorted(found), dtype=np.int32).reshape(-1, 4)
