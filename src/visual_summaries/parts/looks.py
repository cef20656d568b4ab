"""What looks like a part anywhere in an image, with or without evidence: by features alone, wherever it lies.

A part's reach holds for evidence, whose place counts too; here it is taken again from the looks of the part's own pixels in the
run's images, so that most of what is no part stays of none.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from visual_summaries.parts.cells import Cells
from visual_summaries.parts.embedding import embed, squared_distances
from visual_summaries.results import Parts

#: Share of a part's own cells that look enough like it; of all others fewer do the smaller it is.
TYPICAL = 0.75
#: A cell is a part's own when at least this share of it is.
_OWN = 0.5


def look_distances(parts: Parts, cells: Cells, position: int = -1) -> NDArray[np.float32]:
    """Return the squared distances (n, K) of the cells of a whole image to the parts, their places left out.

    `position` is as for :func:`~visual_summaries.parts.embedding.embed`.
    """
    return squared_distances(embed(parts, cells, position)[:, :-2], parts.centers[:, :-2])


def look_reach(
    distances: Sequence[NDArray[np.floating]], labels: Sequence[NDArray[np.integer]], grid: tuple[int, int]
) -> NDArray[np.float32]:
    """Return how far from each part its own pixels look, ``(K,)``: what holds three quarters of its cells; 0 for none.

    Parameters
    ----------
    distances : sequence of ndarray, (rows * columns, K)
        Squared, of all cells of each image.
    labels : sequence of ndarray of int, (H, W)
        The part of each pixel of these images; -1 for none.
    grid : tuple of int
        Rows and columns.

    Examples
    --------
    >>> labels = np.array([[0, 0, 0, 0, -1, -1]])
    >>> look_reach([np.array([[1.0, 9.0], [4.0, 9.0], [25.0, 0.0]])], [labels], (1, 3)).tolist()
    [1.75, 0.0]
    """
    count = distances[0].shape[1]
    own: list[list[float]] = [[] for _ in range(count)]
    for away, of in zip(distances, labels, strict=True):
        for part in np.unique(of[of >= 0]).tolist():
            share = cv2.resize((of == part).astype(np.float32), grid[::-1], interpolation=cv2.INTER_AREA).ravel()
            own[part] += np.sqrt(away[share >= _OWN, part]).tolist()
    return np.array([np.quantile(one, TYPICAL) if one else 0.0 for one in own], np.float32)
