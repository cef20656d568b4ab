"""Compute the whitening statistics that the package ships, from photographs that scikit-image and scikit-learn carry.

    python scripts/whitening_statistics.py

writes ``src/visual_summaries/flow/data/whitening.npz``. The photographs are free to use: astronaut and rocket (public
domain); camera, chelsea, coffee, brick, grass and gravel (CC0, see their docstrings in skimage.data); china and flower (CC
BY 2.0, see README.txt beside them in scikit-learn). Only 31 means and the covariances of 31 channels at 113 offsets are
kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data
from sklearn.datasets import load_sample_image

from visual_summaries.flow.whitening import Whitening

OUT = Path(__file__).parents[1] / "src" / "visual_summaries" / "flow" / "data" / "whitening.npz"
_LONGEST = 512


def photographs() -> Iterator[NDArray[np.uint8]]:
    """Yield the photographs, each with its longer side at most 512 pixels, and each mirrored."""
    loaders = (
        data.astronaut,
        data.camera,
        data.chelsea,
        data.coffee,
        data.rocket,
        data.brick,
        data.grass,
        data.gravel,
        lambda: load_sample_image("china.jpg"),
        lambda: load_sample_image("flower.jpg"),
    )
    for load in loaders:
        image = np.asarray(load())
        if image.ndim == 2:
            image = np.repeat(image[:, :, None], 3, 2)
        factor = _LONGEST / max(image.shape[:2])
        if factor < 1:
            image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        yield image
        yield np.ascontiguousarray(image[:, ::-1])


if __name__ == "__main__":
    OUT.parent.mkdir(exist_ok=True)
    Whitening.fit(photographs()).save(OUT)
    print(f"{OUT}: {OUT.stat().st_size} bytes")
