"""The specialized network: the explained one, and part detectors on its feature maps that move the logits of some classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from visual_summaries.classifiers.classifier import logits_of
from visual_summaries.errors import ClassifierError
from visual_summaries.flow.feature_maps import Layer, as_map
from visual_summaries.specialization.windows import bounded, reduced, slide


class SpecializedNetwork(nn.Module):
    """A network whose logits of some classes are corrected by detectors of their parts.

    The network's forward pass is not repeated: hooks, there only while it runs, keep the feature maps that the detectors slide
    over. What is added to the logit of a class is ``weights @ evidence``, kept in plus and minus `offset_limit`, and its
    shift; the evidence of a part is the log odds, kept in plus and minus `evidence_limit`, that the best of all windows shows
    it. Other logits pass through untouched.

    Parameters
    ----------
    network : nn.Module
        Takes normalized images ``(N, C, H, W)``.
    layers : sequence of Layer
        Whose outputs the detectors read, as found on images of the network's own size.
    owners : Tensor of int64, (P,)
        Position in `classes` of each detector's class.
    classes : Tensor of int64, (K,)
        Indices of the classes that are specialized.
    detectors : sequence of Tensor, (P, C)
        Weights of each detector, for each layer; calibrated, so that scores are log odds.
    bias : Tensor, (P,)
    sizes : Tensor, (P, S, 2)
        Heights and widths of each detector's windows, over the image's.
    weights : Tensor, (P,)
        How much each detector's evidence counts.
    shifts : Tensor, (K,)
        Constant added to each class.
    cells : int
        See :class:`~visual_summaries.specialization.SpecializeSettings`; so are `evidence_limit` and `offset_limit`.
    probabilities : bool
        Whether `network` gives probabilities: then logits are their logarithms.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    >>> _ = net[0].weight.data.copy_(torch.eye(3)[:, :, None, None])
    >>> red = SpecializedNetwork(
    ...     net, [Layer("0", 0, "nchw", (4, 6), 3)], torch.tensor([0]), torch.tensor([0]), [torch.tensor([[2.0, 0, 0]])],
    ...     torch.zeros(1), torch.full((1, 1, 2), 0.5), torch.ones(1), torch.zeros(1),
    ...     cells=14, evidence_limit=4, offset_limit=6)
    >>> x = torch.zeros(1, 3, 4, 6)
    >>> x[:, 0, :2, :3] = 1
    >>> (red(x) - net(x)).detach().round(decimals=2)
    tensor([[1.7100, 0.0000, 0.0000]])
    """

    owners: Tensor
    classes: Tensor
    bias: Tensor
    sizes: Tensor
    weights: Tensor
    shifts: Tensor

    def __init__(
        self,
        network: nn.Module,
        layers: Sequence[Layer],
        owners: Tensor,
        classes: Tensor,
        detectors: Sequence[Tensor],
        bias: Tensor,
        sizes: Tensor,
        weights: Tensor,
        shifts: Tensor,
        *,
        cells: int,
        evidence_limit: float,
        offset_limit: float,
        probabilities: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self.layers = tuple(layers)
        self.cells, self.evidence_limit, self.offset_limit = cells, evidence_limit, offset_limit
        self.probabilities = probabilities
        device = next((one.device for one in [*network.parameters(), *network.buffers()]), torch.device("cpu"))
        values = {"owners": owners, "classes": classes, "bias": bias, "sizes": sizes, "weights": weights, "shifts": shifts}
        values |= {f"detectors_{number}": one for number, one in enumerate(detectors)}
        for name, value in values.items():
            self.register_buffer(name, value.to(device))
        self.train(network.training)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, K) of normalized images (N, C, H, W)."""
        if not len(self.weights):
            return self._logits(self.network(x), x.shape[0])
        answer, maps = forward_with_maps(self.network, x, self.layers)
        logits = self._logits(answer, x.shape[0])  # not len(): a program may take batches of any size
        evidence = self._evidence(maps)
        own = torch.nn.functional.one_hot(self.owners, len(self.classes)).to(evidence.dtype)
        offset = bounded((evidence * self.weights) @ own, self.offset_limit) + self.shifts
        return logits.index_add(1, self.classes, offset.to(logits.dtype))

    def evidence(self, x: Tensor) -> Tensor:
        """Return the evidence (N, P) of each part in normalized images: log odds, in plus and minus `evidence_limit`."""
        return self._evidence(forward_with_maps(self.network, x, self.layers)[1])

    def _evidence(self, maps: Sequence[Tensor]) -> Tensor:
        small = [reduced(one, self.cells) for one in maps]
        detectors = [getattr(self, f"detectors_{number}") for number in range(len(small))]
        # In a network of half precision the maps are brought to single, and so is what the detectors weigh them with.
        scores = slide(small, [one.float() for one in detectors], self.bias.float(), self.sizes.float(), self.places)
        return bounded(scores.amax(dim=(2, 3, 4)), self.evidence_limit)

    @property
    def places(self) -> int:
        """Places of windows along each side."""
        return places_of(self.layers, self.cells)

    def _logits(self, answer: Any, count: int) -> Tensor:
        logits = logits_of(answer, count)
        return logits.clamp_min(1e-12).log() if self.probabilities else logits


def places_of(layers: Sequence[Layer], cells: int) -> int:
    """Return how many places windows have along each side: the cells of the finest map, at most `cells`."""
    return min(max((max(layer.grid) for layer in layers), default=1), cells)


@contextmanager
def kept_maps(network: nn.Module, layers: Sequence[Layer]) -> Iterator[dict[int, Tensor]]:
    """Keep the maps (N, C, h, w) that some modules put out while inside, under the positions of their layers; gradients pass.

    Raises
    ------
    ClassifierError
        If the network has no such module, or one put nothing out.
    """
    modules = dict(network.named_modules())
    missing = [layer.name for layer in layers if layer.name not in modules]
    if missing:
        raise ClassifierError(
            f"the network {type(network).__name__} has no module {missing[0]!r}, which part detectors read: "
            "give the network that was specialized"
        )
    found: dict[int, Tensor] = {}
    calls: dict[str, int] = {}
    handles = []

    def listen(name: str) -> None:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            call = calls.get(name, 0)
            calls[name] = call + 1
            for number, layer in enumerate(layers):
                if (layer.name, layer.call) == (name, call):
                    tensor = output[0] if isinstance(output, tuple | list) else output
                    found[number] = as_map(tensor, layer.layout, layer.grid)

        handles.append(modules[name].register_forward_hook(hook))

    for name in dict.fromkeys(layer.name for layer in layers):
        listen(name)
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
    if len(found) < len(layers):
        lost = next(layer.name for number, layer in enumerate(layers) if number not in found)
        raise ClassifierError(f"module {lost!r}, which part detectors read, put nothing out in this forward pass")


def forward_with_maps(network: nn.Module, x: Tensor, layers: Sequence[Layer]) -> tuple[Any, list[Tensor]]:
    """Return a network's answer to a batch and the maps (N, C, h, w) that some of its modules put out on the way."""
    with kept_maps(network, layers) as found:
        answer = network(x)
    return answer, [found[number] for number in range(len(layers))]
