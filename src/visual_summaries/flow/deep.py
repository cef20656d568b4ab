"""Descriptors of boxes from the network under explanation itself.

Published Proposal Flow compares boxes by HOG. The network that is explained has features that were learned for the very class
in question: its feature maps at several depths are pooled over each box (RoIAlign, He et al., ICCV 2017), as hyperpixel flow
(Min, Lee, Ponce, Cho, ICCV 2019) compares pixels by several layers together. Which layers, and how they are joined, was
measured: see ``docs/flow.md``.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Sequence
from functools import cache
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import normalize
from torchvision.ops import roi_align

from visual_summaries._batches import is_out_of_memory
from visual_summaries._recent import Recent
from visual_summaries.errors import ClassifierError
from visual_summaries.flow.feature_maps import UNROLLED, Layer, as_map, recorded, two_images
from visual_summaries.flow.token_order import layers_in_order
from visual_summaries.masks.gradients import fold

if TYPE_CHECKING:
    from visual_summaries.classifiers import Classifier

logger = logging.getLogger("visual_summaries")

#: The appearance score of two boxes is the fourth power of their cosine, 0 if that is negative.
POWER = 4.0

_LAST = 2  # how many layers, counted from the last
_CELLS = 4  # RoIAlign cells along each side of a box
_CHANNELS = 96  # channels of a layer that are left after projection
_ENLARGE = 10 / 7  # networks that take any size see the image this much larger than their input (320 for 224)
_MULTIPLE = 32
_MAPS = 2**27  # bytes of maps that are kept: those of an image are divided among cells first, later they describe its boxes


class DeepDescriptor:
    """Pooled, centered and joined feature maps of a classifier.

    It asks a copy whose batch norms are folded into its convolutions, where there is one that answers alike.

    Parameters
    ----------
    classifier : Classifier

    Attributes
    ----------
    layers : tuple of Layer
        The modules whose outputs are used, found by a forward pass; none if the network exposes nothing but scores.
    any_size : bool
        Whether the network takes images of another size than its own; then it is shown larger ones, in their own aspect ratio.
    """

    def __init__(self, classifier: Classifier) -> None:
        x = torch.rand(1, *classifier.input_size, generator=torch.Generator().manual_seed(0)).to(classifier.device)
        with classifier.frozen():
            self._classifier = fold(classifier, x) or classifier
        self._recent = Recent[Tensor](_MAPS)
        _, height, width = classifier.input_size
        shorter = min(height, width)
        self._shorter = max(round(shorter * _ENLARGE / _MULTIPLE) * _MULTIPLE, shorter)
        seen = self._probe((self._shorter, self._shorter + 2 * _MULTIPLE))
        self.any_size = bool(seen)
        if not seen:
            seen = self._probe((height, width))
        # Maps of fewer than 4 cells along a side cannot tell the parts of an object from each other.
        self.layers = layers_in_order(self._classifier, seen, _LAST, least=4)

    @property
    def stages(self) -> tuple[Layer, ...]:
        """The layers: each is the end of a stage of the network, as timm calls the blocks of one resolution."""
        return self.layers

    def _probe(self, size: tuple[int, int], images: int = 2) -> list[Layer]:
        x = two_images(self._classifier.input_size[0], size, self._classifier.device)[:images]
        module = self._classifier.module
        with torch.inference_mode(False), torch.no_grad(), recorded(module, None, size, images) as seen:
            try:
                self._classifier.logits(x)
            except Exception as error:  # what networks raise that have one size only is of any kind
                if images > 1 and is_out_of_memory(error):
                    return self._probe(size, 1)
                if size == self._classifier.input_size[1:]:
                    raise
                logger.info("feature maps at the network's own size, for it takes no larger images: %s", error)
                return []
        return [layer for layer, _ in seen]

    def maps(self, image: NDArray[np.uint8]) -> tuple[Tensor, ...]:
        """Return the feature maps of an image, one (C, h, w) for each layer.

        Raises
        ------
        ClassifierError
            If the network has none.
        """
        if not self.layers:
            raise ClassifierError(
                f"no submodule of {self._classifier.spec} puts out a feature map, so boxes cannot be described by it; "
                "use descriptor='hog'"
            )
        return self._recent((image.shape, image.tobytes()), lambda: self._maps(image))

    def _maps(self, image: NDArray[np.uint8]) -> tuple[Tensor, ...]:
        _, *own = self._classifier.input_size
        size = self._size(image.shape[0], image.shape[1]) if self.any_size else (own[0], own[1])
        try:
            return self._maps_at(image, size)
        except Exception as error:
            if not self.any_size:
                raise
            logger.info("feature maps at the network's own size, for it fails at %d x %d: %s", *size, error)
            self.any_size = False
            return self._maps_at(image, (own[0], own[1]))

    def _maps_at(self, image: NDArray[np.uint8], size: tuple[int, int]) -> tuple[Tensor, ...]:
        channels = self._classifier.input_size[0]
        shrinks = size[0] * size[1] < image.shape[0] * image.shape[1]
        view = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
        x = torch.from_numpy(np.ascontiguousarray(view)).to(self._classifier.device).permute(2, 0, 1)[None].float() / 255
        if channels == 1:
            x = (x * x.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
        x = x.contiguous(memory_format=torch.channels_last)
        wanted = {(layer.name, layer.call): i for i, layer in enumerate(self.layers)}
        with torch.inference_mode(False), torch.no_grad(), recorded(self._classifier.module, frozenset(wanted), size) as seen:
            self._classifier.logits(x)
        found: dict[int, Tensor] = {}
        for layer, tensor in seen:
            if tensor is not None:
                number = wanted[layer.name, layer.call]
                chosen = self.layers[number].layout
                layout = chosen if chosen.startswith(UNROLLED) else layer.layout
                found[number] = as_map(tensor, layout, layer.grid)[0].float()
        lost = [layer.name for i, layer in enumerate(self.layers) if i not in found]
        if lost:
            raise ClassifierError(
                f"{lost[0]} of {self._classifier.spec} puts out no feature map of {size}; use descriptor='hog'"
            )
        return tuple(found[i] for i in range(len(self.layers)))

    def _size(self, height: int, width: int) -> tuple[int, int]:
        factor = self._shorter / min(height, width)
        rows, columns = (max(round(side * factor / _MULTIPLE), 1) * _MULTIPLE for side in (height, width))
        return rows, columns

    def __call__(self, image: NDArray[np.uint8], boxes: NDArray[np.int32]) -> Tensor:
        """Return the descriptors of boxes of an image.

        Parameters
        ----------
        image : ndarray of uint8, (H, W, 3)
        boxes : ndarray of int32, (n, 4)

        Returns
        -------
        Tensor of float32, (n, d)
            Of length 1; the appearance score of two boxes is ``max(0, <a, b>) ** 4``.
        """
        return join([pooled(one, boxes, image.shape[:2]) for one in self.maps(image)])


def pooled(feature_map: Tensor, boxes: NDArray[np.int32], size: Sequence[int]) -> Tensor:
    """Pool a map (C, h, w) of an image of `size` (H, W) over boxes: (n, c, 4, 4), c at most 96.

    More channels are projected on 96 random orthogonal directions, always the same: that keeps the cosines and bounds memory.
    """
    channels, rows, columns = feature_map.shape
    if channels > _CHANNELS:
        feature_map = torch.einsum("chw,cd->dhw", feature_map, _projection(channels).to(feature_map.device))
    scale = np.array([columns / size[1], rows / size[0]] * 2, np.float32)
    places = torch.from_numpy(boxes * scale).to(feature_map.device, torch.float32)
    result: Tensor = roi_align(feature_map[None], [places], (_CELLS, _CELLS), sampling_ratio=2, aligned=True)
    return result


def join(parts: Sequence[Tensor]) -> Tensor:
    """Join what was pooled at several depths: each centered over the image's boxes and of length 1, then the whole."""
    centered = [(part - part.mean(0, keepdim=True)).flatten(1) for part in parts]
    return normalize(torch.cat([normalize(part, dim=1) for part in centered], 1), dim=1).cpu()


@cache
def _projection(channels: int) -> Tensor:
    generator = torch.Generator().manual_seed(channels)
    directions: Tensor = torch.linalg.qr(torch.randn(channels, _CHANNELS, generator=generator))[0]
    return directions


#: The descriptor of each classifier, and the state of the weights that it was made of.
_FOUND: WeakKeyDictionary[Classifier, tuple[Hashable, DeepDescriptor]] = WeakKeyDictionary()


def deep_descriptor(classifier: Classifier) -> DeepDescriptor:
    """Return the descriptor of a classifier, which is made once and again when the weights have changed."""
    state = state_of(classifier.module)
    if classifier not in _FOUND or _FOUND[classifier][0] != state:
        _FOUND[classifier] = state, DeepDescriptor(classifier)
    return _FOUND[classifier][1]


def state_of(module: nn.Module) -> Hashable:
    """Return what changes with a module's weights, but not when it is lent or moved to another device and back."""
    weights = tuple((id(one), 0 if one.is_inference() else one._version) for one in module.parameters())
    # Moving a module makes new buffers, so that they are known by what they hold.
    return weights, tuple(float(one.detach().double().sum()) for one in module.buffers() if one.is_floating_point())
