"""Annotated parts as tags: which of them a region lies on. They are the yardstick for tags that a network gives."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visual_summaries.classifiers import frames
from visual_summaries.errors import RunError
from visual_summaries.results import Run
from visual_summaries.tags.taggers import Crop, Tagger

#: Part points by image: ``{"0001.jpg": {"beak": (x, y), ...}}`` in pixels of the image file.
PartPoints = Mapping[str, Mapping[str, Sequence[float]]]


class PartPointsTagger:
    """The annotated points nearest to a region's middle.

    A point's weight is exp(-d^2 / 2), d its distance from the middle of what is shown (the box, or its evidence) in units of
    half the box's diagonal plus a tenth of the object's size (the diagonal of all its points), the tolerance at which points of
    two images are commonly called the same. Points with d > 1 have none; a region without a point near has no tag.

    Parameters
    ----------
    run : Run
        Whose regions are tagged: it knows where its views lie in the images.
    points : PartPoints
        An image is found by its name in the run, alone or below the run's folder.
    sides : bool
        Keep "left wing" and "right wing" apart; joined unless set.
    top : int

    Raises
    ------
    RunError
        If no image of the run has points, or the run does not know the sizes of its images.
    """

    def __init__(self, run: Run, points: PartPoints, *, sides: bool = False, top: int = 1, source: str = "") -> None:
        self.top = top
        self.source = source
        self._points: dict[int, list[tuple[str, NDArray[np.float64]]]] = {}
        self._tolerance: dict[int, float] = {}
        for image in run.images:
            found = points.get(f"{run.info.source}/{image.name}", points.get(image.name))
            if found is not None:
                frame = frames.frame_of(run.info.classifier.transform, image.size, image.name)
                places = frame.to_view(np.array([place[:2] for place in found.values()], float).reshape(-1, 2))
                names = [part if sides else part.removeprefix("left ").removeprefix("right ") for part in found]
                self._points[image.index] = list(zip(names, places, strict=True))
                self._tolerance[image.index] = 0.1 * float(np.hypot(*np.ptp(places, axis=0))) if len(places) else 0.0
        if not self._points:
            raise RunError(
                f"{source or 'the annotation'} has points for {len(points)} images (for example {next(iter(points), 'none')}), "
                f"but for none of the run's (for example {run.images[0].name}); give the annotation of the run's images"
            )
        self.vocabulary = tuple(sorted({part for parts in self._points.values() for part, _ in parts}))

    def weights(self, crops: Sequence[Crop]) -> NDArray[np.float32]:
        """Return ``(N, K)`` weights in [0, 1]."""
        weights = np.zeros((len(crops), len(self.vocabulary)), np.float32)
        column = {part: index for index, part in enumerate(self.vocabulary)}
        for row, crop in enumerate(crops):
            height, width = crop.pixels.shape[:2]
            rows, columns = np.nonzero(crop.seen)
            middle = np.array([columns.mean() + 0.5 + crop.box[0], rows.mean() + 0.5 + crop.box[1]])
            radius = math.hypot(height, width) / 2 + self._tolerance.get(crop.image.index, 0.0)
            for part, place in self._points.get(crop.image.index, ()):
                distance = float(np.hypot(*(place - middle))) / radius
                if distance <= 1:
                    weights[row, column[part]] = max(weights[row, column[part]], math.exp(-(distance**2) / 2))
        return weights

    def describe(self) -> dict[str, Any]:
        """Return what the tagger is."""
        return {"kind": "part points", "source": self.source, "annotated_images": len(self._points)}


class LabelMapTagger:
    """The labels under a region's pixels, weighted by their share of what is shown.

    Parameters
    ----------
    labels : sequence of ndarray of uint8, (H, W)
        One for each image of the run, in their order and of their views' size: indices into `names`.
    names : sequence of str
    top : int
    source : str
        For the record.

    Examples
    --------
    >>> from visual_summaries.results import Image
    >>> labels = np.zeros((4, 6), np.uint8)
    >>> labels[:, 3:] = 1
    >>> image = Image(0, "a.png", "", np.zeros((4, 6, 3), np.uint8), 1.0, 0)
    >>> crop = Crop(image.view[0:2, 2:6], image, (2, 0, 6, 2), None)
    >>> LabelMapTagger([labels], ["ground", "wing"]).weights([crop]).tolist()
    [[0.25, 0.75]]
    """

    def __init__(self, labels: Sequence[NDArray[np.uint8]], names: Sequence[str], *, top: int = 5, source: str = "") -> None:
        self.vocabulary = tuple(names)
        self.top = top
        self.source = source
        self._labels = labels

    def weights(self, crops: Sequence[Crop]) -> NDArray[np.float32]:
        """Return shares ``(N, K)``; rows sum to 1."""
        rows = []
        for crop in crops:
            x0, y0, x1, y1 = crop.box
            under = self._labels[crop.image.index][y0:y1, x0:x1][crop.seen]
            rows.append(np.bincount(under, minlength=len(self.vocabulary)) / len(under))
        return np.asarray(rows, np.float32)

    def describe(self) -> dict[str, Any]:
        """Return what the tagger is."""
        return {"kind": "label maps", "source": self.source}


def reference_tagger(run: Run, path: str | Path, top: int | None = None) -> Tagger:
    """Return the tagger of an annotation on disk.

    That is a JSON file of part points, ``{"images": {NAME: {"parts": {PART: [x, y]}}}}`` in pixels of the image files; or a
    folder of demo images, whose ``truth.npz`` labels every pixel.

    Raises
    ------
    RunError
        If it is neither, or does not fit the run.
    """
    path = Path(path)
    if path.is_dir():
        from visual_summaries.birds.pictures import read_truth
        from visual_summaries.birds.world import LABELS
        from visual_summaries.demo.scorecard import labels_for

        return LabelMapTagger(labels_for(run, read_truth(path)), LABELS, top=top or 1, source=path.name)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        points = {name: dict(entry["parts"]) for name, entry in data["images"].items()}
    except (OSError, ValueError) as error:
        raise RunError(f"part points {path} cannot be read as JSON: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f'part points {path} have another form than {{"images": {{NAME: {{"parts": {{PART: [x, y]}}}}}}}}'
            f" ({type(error).__name__}: {error})"
        ) from error
    return PartPointsTagger(run, points, top=top or 1, source=path.name)
