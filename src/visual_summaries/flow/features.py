"""What is known of the boxes of one image: where they are and what they look like."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from visual_summaries._short import Short
from visual_summaries._validate import require_choice
from visual_summaries.flow.deep import POWER, deep_descriptor
from visual_summaries.flow.hog import hog_boxes
from visual_summaries.flow.whitening import Whitening
from visual_summaries.results.base import require_boxes, require_image
from visual_summaries.settings.stages import DESCRIPTORS

if TYPE_CHECKING:
    from visual_summaries.classifiers import Classifier


@dataclass(frozen=True, eq=False, repr=False)
class Features(Short):
    """Boxes of one image with a descriptor for each.

    Attributes
    ----------
    boxes : ndarray of int32, (n, 4)
        ``(x0, y0, x1, y1)`` in pixels, half open.
    descriptors : Tensor of float32, (n, d)
        The appearance score of two boxes is ``max(0, <a, b>) ** power``.
    size : tuple of int
        Height and width of the image in pixels.
    power : float
        1 for whitened HOG, 4 for deep descriptors.
    mirrored : Features or None
        The same boxes, in the same order, of the image turned left to right.
    """

    boxes: NDArray[np.int32]
    descriptors: Tensor
    size: tuple[int, int]
    power: float = 1.0
    mirrored: Features | None = None

    def __post_init__(self) -> None:
        if (
            self.boxes.ndim != 2
            or self.boxes.shape[1] != 4
            or self.descriptors.ndim != 2
            or len(self.boxes) != len(self.descriptors)
        ):
            raise ValueError(
                f"boxes {self.boxes.shape} and descriptors {tuple(self.descriptors.shape)} do not belong together; "
                "expected (n, 4) and (n, d) with the same n"
            )

    def __len__(self) -> int:
        return len(self.boxes)


def describe(
    image: NDArray[np.uint8],
    boxes: ArrayLike,
    descriptor: str = "hog",
    whitening: Whitening | None = None,
    classifier: Classifier | None = None,
    *,
    mirrored: bool = False,
) -> Features:
    """Describe boxes of an image.

    Parameters
    ----------
    image : ndarray of uint8, (H, W, 3)
    boxes : array_like of int, (n, 4)
        ``(x0, y0, x1, y1)`` in pixels, half open, inside the image.
    descriptor : str
        ``"hog"`` (published): whitened HOG of 1984 values. ``"deep"``: feature maps of the explained network, pooled over each
        box. ``"auto"``: deep where a classifier is given that has feature maps, else HOG.
    whitening : Whitening, optional
        Statistics of natural HOG cells; the shipped ones by default.
    classifier : Classifier, optional
        The network whose feature maps describe the boxes.
    mirrored : bool
        Whether to describe the same boxes of the image turned left to right as well. Objects face either way, and neither
        descriptors nor offsets agree between one that faces left and one that faces right: with these,
        :func:`~visual_summaries.flow.facing` says which side looks more similar.

    Returns
    -------
    Features

    Raises
    ------
    ValueError
        If a box is empty or leaves the image, the descriptor is unknown, or it is ``"deep"`` and there is no classifier.
    ClassifierError
        If the descriptor is ``"deep"`` and the network has no feature maps.

    Examples
    --------
    >>> image = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    >>> features = describe(image, [(0, 0, 80, 60), (10, 10, 40, 30)])
    >>> features.size, features.descriptors.shape
    ((60, 80), torch.Size([2, 1984]))
    >>> describe(image, [(10, 10, 40, 30)], mirrored=True).mirrored.boxes.tolist()
    [[40, 10, 70, 30]]
    """
    size = require_image(image)
    require_choice("descriptor", descriptor, DESCRIPTORS)
    array = require_boxes(boxes, size)
    if mirrored:
        features = describe(image, array, descriptor, whitening, classifier)
        turned = np.ascontiguousarray(image[:, ::-1])
        other = describe(turned, mirrored_boxes(array, size[1]), descriptor, whitening, classifier)
        return replace(features, mirrored=other)
    if descriptor == "deep" and classifier is None:
        raise ValueError(
            "descriptor is 'deep', which needs the network: give describe(..., classifier=...), or use descriptor='hog'"
        )
    if descriptor != "hog" and classifier is not None:
        deep = deep_descriptor(classifier)
        if deep.layers or descriptor == "deep":
            return Features(array, deep(image, array), size, POWER)
    whitening = Whitening.default() if whitening is None else whitening
    return Features(array, whitening(hog_boxes(image, array)), size)


def mirrored_boxes(boxes: NDArray[np.integer], width: int) -> NDArray[np.int32]:
    """Return where boxes (n, 4) lie once an image of `width` pixels is turned left to right.

    Examples
    --------
    >>> mirrored_boxes(np.array([[0, 1, 4, 9]]), 10).tolist()
    [[6, 1, 10, 9]]
    """
    turned = np.array(boxes, np.int32)
    turned[:, [0, 2]] = width - turned[:, [2, 0]]
    return turned
