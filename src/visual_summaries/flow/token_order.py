"""Whether tokens lie as the image does: a number of tokens that fits a grid says nothing about their order.

A quarter of an image is replaced: the cells that change tell. Hiera keeps its tokens in an order of its own, which is known.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from visual_summaries.flow.feature_maps import UNROLLED, Layer, as_map, choose_layers, recorded, two_images

if TYPE_CHECKING:
    from visual_summaries.classifiers import Classifier

logger = logging.getLogger("visual_summaries")

_LEAST = 0.75  # told of maps that lie as the image does; in any other order it is about 1/2
_SPREAD = 1.0  # where cells change less differently, each depends on the whole image and nothing can be told

#: Orders other than row by row that are known.
ORDERS = tuple(f"{UNROLLED}{level}" for level in (1, 2, 3))


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


def layers_in_order(classifier: Classifier, seen: list[Layer], last: int, least: int = 1) -> tuple[Layer, ...]:
    """Choose the last layers among all outputs (`choose_layers`), of tokens those that lie as the image does or can be put so.

    Parameters
    ----------
    classifier : Classifier
    seen : list of Layer
        All outputs of a forward pass.
    last : int
        How many, counted from the last.
    least : int
        Cells along a side that a map must have.
    """
    layers = [layer for layer in choose_layers(seen) if min(layer.grid) >= least][-last:]
    tokens = [layer for layer in layers if layer.layout == "tokens"]
    other = _in_order(classifier, tokens) if tokens else {}
    lost = {layer.grid for layer, one in other.items() if one is None}
    if lost:
        logger.info("%s: tokens on %s lie in an unknown order", classifier.spec, ", ".join(f"{a} x {b}" for a, b in lost))
        return layers_in_order(classifier, [one for one in seen if one.layout != "tokens" or one.grid not in lost], last, least)
    return tuple(other.get(layer) or layer for layer in layers)


def _in_order(classifier: Classifier, layers: Sequence[Layer]) -> dict[Layer, Layer | None]:
    """Return, for layers of tokens that do not lie row by row, the same in an order that is known, or None.

    The network is asked about three images of its own size, one at a time.
    """
    channels, rows, columns = classifier.input_size
    both = two_images(channels, (rows, columns), classifier.device)
    image, other = both[:1], both[1:]
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
    for order in ORDERS:
        cells = 2 ** int(order.removeprefix(UNROLLED))
        if not (grid[0] % cells or grid[1] % cells) and told(order)[0] >= _LEAST:
            return replace(layer, layout=order)
    return None
