"""Which networks are taken in: a small one of each family of timm, torchvision and transformers, with random weights.

Run with ``python benchmarks/networks/inputs.py --json FILE``. Each is loaded, sees an image, is probed for gradients by pixels,
and is asked for the feature maps that parts are found with. What is written of it: whether it works, is refused by an error of
the package that says why, or breaks; and whether the maps are the network's own.

Maps may be wrong without any error, so that two copies of an image tell: of one the upper right quarter is taken from another
image, of the other the lower left one. ``told`` (the least of all maps, see ``told_apart`` of ``flow.token_order``) is 1 for
maps that lie as the image does and a half for tokens in any order; null where each cell depends on the whole image, as it may
with random weights. Batch norms take their statistics of two images first: with those of fresh networks answers vanish or
explode. Seconds are those of the processor.
"""

from __future__ import annotations

import logging
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

import numpy as np
import PIL.Image
import torch
import transformers
from numpy.typing import NDArray
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.harness import Finished, Row, bar, finish, parser, results, rounded
from benchmarks.networks.families import Member, members
from benchmarks.seeds import seeds
from visual_summaries.birds.render import render
from visual_summaries.birds.scene import sample_scene
from visual_summaries.classifiers import load_classifier, require_explainable, resolve_target
from visual_summaries.errors import VisualSummariesError
from visual_summaries.flow.deep import DeepDescriptor
from visual_summaries.flow.token_order import told_apart

SIDE = 256
#: Below, maps lie elsewhere than the image.
LEAST_TOLD = 0.75
#: Below, each cell depends on the whole image, and nothing can be told.
LEAST_SPREAD = 1.0


def drawn(number: int) -> PIL.Image.Image:
    """Return a drawn bird of a class."""
    return PIL.Image.fromarray(render(sample_scene(number, seeds("inputs", number, 1)[0], (SIDE, SIDE))).image)


def examine(member: Member) -> Row:
    """Return what comes of a network."""
    row: Row = {"library": member.library, "family": member.family, "network": member.network}
    torch.manual_seed(0)
    module = member.build().eval()
    start = time.process_time()
    row["millions"] = sum(one.numel() for one in module.parameters()) / 1e6
    try:
        classifier = load_classifier(module)
        row |= {"input": list(classifier.input_size), "guess": bool(classifier.guess)}
        views = [classifier.view(drawn(number)) for number in (0, 1)]
        settle(module, classifier.to_tensor(views))
        require_explainable(classifier, resolve_target(classifier, 0), classifier.to_tensor(views[:1]))
        row |= {"outcome": "working", **maps_of(DeepDescriptor(classifier), views[0], views[1])}
    except VisualSummariesError as error:
        row |= {"outcome": "typed", "error": type(error).__name__, "message": str(error)}
    except Exception as error:  # noqa: BLE001 - that is what is measured
        row |= {"outcome": "traceback", "error": type(error).__name__, "message": traceback.format_exc(limit=-3)}
    return rounded(row | {"seconds": time.process_time() - start}, 2)


def settle(module: nn.Module, x: Tensor) -> None:
    """Let batch norms take their statistics of images (N, C, H, W) in [0, 1]."""
    norms = [one for one in module.modules() if isinstance(one, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.momentum = None  # the mean over all passes
        norm.train()
    if norms:
        with torch.no_grad():
            module((x - 0.5) / 0.25)
    module.eval()


def maps_of(descriptor: DeepDescriptor, first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Row:
    """Return which maps a network has, and whether they go with the image."""
    if not descriptor.layers:
        return {"maps": "pixels"}
    layers = [f"{one.name} {one.grid[0]} x {one.grid[1]} ({one.channels})" for one in descriptor.layers]
    rows, columns = first.shape[0] // 2, first.shape[1] // 2
    upper, lower = first.copy(), first.copy()
    upper[:rows, columns:], lower[rows:, :columns] = second[:rows, columns:], second[rows:, :columns]
    told, alike = [], False
    for own, a, b in zip(*(descriptor.maps(view) for view in (first, upper, lower)), strict=True):
        alike |= torch.equal(own, a) or torch.equal(own, b) or not bool(own.isfinite().all())
        told.append(told_apart(own, a, b))
    known = [share for share, spread in told if spread >= LEAST_SPREAD]
    return {
        "maps": "network",
        "layers": layers,
        "any_size": descriptor.any_size,
        "alike": alike,
        "told": min(known, default=None),
    }


def main() -> int:
    arguments = parser(__doc__, "26 networks", "a network of each family", keep=True).parse_args()
    logging.getLogger("visual_summaries").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    finished = Finished(arguments.keep or Path("build") / "inputs", arguments.minutes)
    rows = []
    for member in members(arguments.size):
        row = finished(member.path.replace("/", "-"), member.path, lambda: examine(member))  # noqa: B023
        if row is not None:
            rows.append(row)
            print(
                f"{row['outcome']:9} {member.path} {row.get('maps', '')} {row.get('apart', row.get('message', ''))}", flush=True
            )
    settings = {"image": SIDE, "seed": 0, "transformers": transformers.__version__}
    found = results("inputs", arguments.size, settings, counts(rows) + rows, bars_of(rows))
    return 0 if finish(found, arguments.json) else 1


def counts(rows: list[Row]) -> list[Row]:
    """Return how many networks of each library have which outcome and which maps."""
    made = []
    for library in dict.fromkeys(row["library"] for row in rows):
        own = [row for row in rows if row["library"] == library]
        outcomes, maps = Counter(row["outcome"] for row in own), Counter(row.get("maps") for row in own)
        made.append(
            {
                "library": library,
                "tried": len(own),
                "families": len({row["family"] for row in own}),
                **{name: outcomes[name] for name in ("working", "typed", "traceback")},
                "own_maps": maps["network"],
                "pixels": maps["pixels"],
                "minutes": round(sum(row["seconds"] for row in own) / 60, 1),
            }
        )
    return made


def bars_of(rows: list[Row]) -> list[Row]:
    """Return what was asked for."""
    raw = sum(row["outcome"] == "traceback" for row in rows)
    alike = sum(row.get("alike", False) for row in rows)
    elsewhere = sum(row.get("told") is not None and row["told"] < LEAST_TOLD for row in rows)
    return [
        bar("networks that break with a raw traceback", raw, 0, "<="),
        bar("networks whose maps do not depend on the image", alike, 0, "<="),
        bar("networks whose maps lie elsewhere than the image", elsewhere, 0, "<="),
    ]


if __name__ == "__main__":
    sys.exit(main())
