"""The specialized network: the explained one, and part detectors on its feature maps that move the logits of some classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from visual_summaries.classifiers.meaning import logits_of
from visual_summaries.errors import ClassifierError
from visual_summaries.flow.feature_maps import Layer, as_map, listening
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
    detectors : mapping of str to Tensor
        ``classes`` (K,): indices of the classes that are specialized; ``shifts`` (K,): the constant added to each;
        ``owners`` (P,): position in ``classes`` of each detector's class; ``weights`` (P,): how much its evidence counts;
        ``detectors_0`` (P, C), ``detectors_1``, ...: its weights for each stage, and ``bias`` (P,), calibrated, so that scores
        are log odds; ``sizes`` (P, S, 2): heights and widths of its windows, over the image's. They become buffers.
    cells, evidence_limit, offset_limit : int, float, float
        See :class:`~visual_summaries.specialization.SpecializeSettings`.
    probabilities : bool
        Whether `network` gives probabilities: then logits are their logarithms.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    >>> _ = net[0].weight.data.copy_(torch.eye(3)[:, :, None, None])
    >>> values = {"classes": torch.tensor([0]), "shifts": torch.zeros(1), "owners": torch.tensor([0]), "weights": torch.ones(1)}
    >>> values |= {"detectors_0": torch.tensor([[2.0, 0, 0]]), "bias": torch.zeros(1), "sizes": torch.full((1, 1, 2), 0.5)}
    >>> layers = [Layer("0", 0, "nchw", (4, 6), 3)]
    >>> red = SpecializedNetwork(net, layers, values, cells=14, evidence_limit=4, offset_limit=6)
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
        detectors: Mapping[str, Tensor],
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
        for name, value in detectors.items():
            self.register_buffer(name, value.to(device))
        self.train(network.training)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, K) of normalized images (N, C, H, W)."""
        if not len(self.weights):
            return self._logits(self.network(x), x.shape[0])
        with kept_maps(self.network, self.layers) as maps:
            answer = self.network(x)
        logits = self._logits(answer, x.shape[0])  # not len(): a program may take batches of any size
        evidence = self._evidence(maps)
        own = torch.nn.functional.one_hot(self.owners, len(self.classes)).to(evidence.dtype)
        offset = bounded((evidence * self.weights) @ own, self.offset_limit) + self.shifts
        return logits.index_add(1, self.classes, offset.to(logits.dtype))

    def evidence(self, x: Tensor) -> Tensor:
        """Return the evidence (N, P) of each part in normalized images: log odds, in plus and minus `evidence_limit`."""
        with kept_maps(self.network, self.layers) as maps:
            self.network(x)
        return self._evidence(maps)

    def _evidence(self, maps: Mapping[int, Tensor]) -> Tensor:
        small = [reduced(maps[number], self.cells) for number in range(len(self.layers))]
        detectors = [getattr(self, f"detectors_{number}") for number in range(len(small))]
        # In a network of half precision the maps are brought to single, and so is what the detectors weigh them with.
        places = places_of(self.layers, self.cells)
        scores = slide(small, [one.float() for one in detectors], self.bias.float(), self.sizes.float(), places)
        return bounded(scores.amax(dim=(2, 3, 4)), self.evidence_limit)

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

    def tell(name: str, call: int, tensor: Any) -> None:
        for number, stage in enumerate(layers):
            if (stage.name, stage.call) == (name, call):
                found[number] = as_map(tensor, stage.layout, stage.grid)

    with listening({stage.name: modules[stage.name] for stage in layers}, tell):
        yield found
    if len(found) < len(layers):
        lost = next(stage.name for number, stage in enumerate(layers) if number not in found)
        raise ClassifierError(f"module {lost!r}, which part detectors read, put nothing out in this forward pass")
