"""Whether tokens lie as the image does: a number of tokens that fits a grid says nothing about their order.

A quarter of an image is replaced: the cells that change tell. Hiera keeps its tokens in an order of its own, which is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from visual_summaries.flow.feature_maps import UNROLLED, Layer, as_map, recorded, two_images

if TYPE_CHECKING:
    from visual_summaries.classifiers import Classifier

_LEAST = 0.75  # told of maps that lie as the image does; in any other order it is about 1/2
_SPREAD = 1.0  # where cells change less differently, each depends on the whole image and nothing can be told
_LEVELS = (1, 2, 3)


def told_apart(own: Tensor, upper: Tensor, lower: Tensor) -> tuple[float, float]:
    """Tell whether a map (C, h, w) lies as its image does, by those of copies with another upper right, or lower left quarter.

    Returns
    -------
    told : float
        Share of pairs of a cell of either quarter of which the right one changes more in the first copy: 1 for maps that lie as
        the image does, 1/2 for cells in any order.
    spread : float
        How differently cells change in the two copies, whichever they are (deviation of the ratio's logarithm): near 0 where
        every cell depends on the whole image, so that nothing can be told.

    Examples
    --------
    >>> own, upper, lower = torch.zeros(3, 1, 4, 4)
    >>> upper[:, :2, 2:], lower[:, 2:, :2] = 1, 1
    >>> told_apart(own, upper, lower)[0], told_apart(own.mT, upper.mT, lower.mT)[0]
    (1.0, 0.0)
    """
    changes = torch.stack([(other - own).float().norm(dim=0) for other in (upper, lower)])
    changes = (changes / changes.mean((1, 2), keepdim=True).clamp_min(1e-30) + 1e-3).log()
    more = changes[0] - changes[1]
    rows, columns = more.shape[0] // 2, more.shape[1] // 2
    there, elsewhere = more[:rows, -columns:].flatten(), more[-rows:, :columns].flatten()
    return float((there[:, None] > elsewhere).float().mean()), float(more.std())


def in_order(classifier: Classifier, layers: Sequence[Layer]) -> dict[Layer, Layer | None]:
    """Return, for layers of tokens that do not lie row by row, the same in an order that is known, or None.

    The network is asked about three images of its own size, one at a time.
    """
    channels, rows, columns = classifier.input_size
    image, other = two_images(channels, (rows, columns), classifier.device).split(1)
    upper, lower = image.clone(), image.clone()
    above, left = slice(rows // 2), slice(columns // 2)
    right, below = slice(columns // 2, None), slice(rows // 2, None)
    upper[..., above, right], lower[..., below, left] = other[..., above, right], other[..., below, left]
    wanted = {(layer.name, layer.call): layer for layer in layers}
    outputs: dict[Layer, list[tuple[Layer, Tensor]]] = {layer: [] for layer in layers}
    for x in (image, upper, lower):
        with (
            torch.inference_mode(False),
            torch.no_grad(),
            recorded(classifier.module, frozenset(wanted), (rows, columns)) as seen,
        ):
            classifier.logits(x)
        for found, tensor in seen:
            if tensor is not None:
                outputs[wanted[found.name, found.call]].append((found, tensor))
    ordered = {layer: _ordered(layer, outputs[layer]) for layer in layers}
    return {layer: one for layer, one in ordered.items() if one != layer}


def _ordered(layer: Layer, outputs: Sequence[tuple[Layer, Tensor]]) -> Layer | None:
    if not outputs:
        return None  # at another size it had as many channels as tokens are expected
    grid = outputs[0][0].grid

    def told(layout: str) -> tuple[float, float]:
        return told_apart(*(as_map(tensor, layout, grid)[0] for _, tensor in outputs))

    share, spread = told("tokens")
    if share >= _LEAST or spread < _SPREAD:
        return layer
    for level in _LEVELS:
        if not (grid[0] % 2**level or grid[1] % 2**level) and told(f"{UNROLLED}{level}")[0] >= _LEAST:
            return replace(layer, layout=f"{UNROLLED}{level}")
    return None
