"""Connected regions of an evidence mask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.measure import label, regionprops

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
