"""Whether zennit-crp's rules fit a network: the half of ``peers.py`` that runs in that peer's environment.

Concept relevance propagation (Achtibat et al., Nature Machine Intelligence 2023) goes back from the class's output through
channels of a layer to the pixels, by rules that keep the sum of the relevance. Here the rules are epsilon-plus-flat, the peer's
own choice; batch norm is folded into the convolutions (the peer's canonizers do not know timm's), and the sums of residual
blocks are given the module that its rules ask for. Written are the share of the relevance of the last layer that reaches the
pixels, with the rules as packaged and with biases left out of them, and the seconds of a concept in an image. Where
relevance is lost, a heat map of a concept is not what the method defines, and its parts are not compared.

Run as ``python relevance.py FOLDER`` with the ``job.json`` and ``views.npy`` of ``craft.py``.
"""

from __future__ import annotations

import json
import runpy
import sys
import time
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from types import MethodType
from typing import Any

import numpy as np
import torch
from crp.attribution import CondAttribution
from timm.layers import BatchNormAct2d
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from zennit.canonizers import AttributeCanonizer
from zennit.composites import LAYER_MAP_BASE, EpsilonPlusFlat, SpecialFirstLayerMapComposite
from zennit.layer import Sum
from zennit.rules import Epsilon, Flat, ZPlus
from zennit.types import Convolution, Linear

#: The layer whose channels are the concepts: the last convolution of timm's MobileNets and EfficientNets.
LAYER = "conv_head"


def fold_batch_norm(network: nn.Module) -> None:
    """Fold batch norms into the convolutions before them; what activates after them stays."""
    for module in network.modules():
        children = list(module.named_children())
        for (first, convolution), (second, norm) in pairwise(children):
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, BatchNormAct2d):
                setattr(module, first, fuse_conv_bn_eval(convolution, norm))
                setattr(module, second, norm.act)


def with_sum(_name: str, module: nn.Module) -> dict[str, Any] | None:
    """Return what a residual block is given so that the rules see its sum; None for other modules."""
    if not getattr(module, "has_skip", False):
        return None

    def forward(block: Any, x: torch.Tensor) -> torch.Tensor:
        block.has_skip = False
        try:
            own = type(block).forward(block, x)
        finally:
            block.has_skip = True
        answer: torch.Tensor = block.canonizer_sum(torch.stack([own, x], dim=-1))
        return answer

    return {"forward": MethodType(forward, module), "canonizer_sum": Sum()}


def without_biases(rule: Any) -> Any:
    """Return a rule that gives biases no relevance."""
    rule.param_modifiers = [
        lambda value, name, own=own: torch.zeros_like(value) if name == "bias" else own(value, name)
        for own in rule.param_modifiers
    ]
    return rule


def composites() -> dict[str, Any]:
    """Return the rules as packaged, and those without biases."""
    layers = [(Convolution, without_biases(ZPlus())), (nn.Linear, without_biases(Epsilon()))]
    canonizers = [AttributeCanonizer(with_sum)]
    return {
        "packaged": EpsilonPlusFlat(canonizers=canonizers),
        "without_biases": SpecialFirstLayerMapComposite(LAYER_MAP_BASE + layers, [(Linear, Flat())], canonizers=canonizers),
    }


def main() -> None:
    """Run the job of a folder."""
    folder = Path(sys.argv[1])
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    views = np.load(folder / "views.npy")
    file, _, function = job["network"].rpartition(":")
    network = runpy.run_path(file)[function]().eval()
    fold_batch_norm(network)
    x = torch.from_numpy(views).permute(0, 3, 1, 2).float() / 255
    x = (x - torch.tensor(job["mean"]).view(-1, 1, 1)) / torch.tensor(job["std"]).view(-1, 1, 1)
    attribute, shares = CondAttribution(network), {}
    for name, rules in composites().items():
        found = attribute(x.clone().requires_grad_(), [{"y": [job["target"]]}], rules, record_layer=[LAYER])
        own = found.relevances[LAYER].sum((1, 2, 3))
        shares[name] = float((found.heatmap.sum((1, 2)) / own).mean())
        channel = int(found.relevances[LAYER][0].sum((1, 2)).argmax())
    start = time.perf_counter()
    attribute(x[:1].clone().requires_grad_(), [{"y": [job["target"]], LAYER: [channel]}], rules)
    result = {
        "relevance": shares,
        "seconds_each": time.perf_counter() - start,
        "right": int((found.prediction.argmax(1) == job["target"]).sum()),
        "images": len(views),
        "versions": {name: version(name) for name in ("zennit-crp", "zennit", "torch", "timm")},
    }
    np.savez(folder / "result.npz")
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
