"""Does compiling the network pay within a run of masks? Seconds to compile, seconds of a pass before and after.

Run with ``python benchmarks/masks/compiling.py --data DIR --json FILE [--size quick|full]``. The pass is that of the masks:
batch norm folded, channels last, forward and backward to the mask. Compiling pays when it takes less than it saves over the
passes of a run.
"""

from __future__ import annotations

import copy
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.harness import Row, bar, finish, parser, pretrained, results, unfinished, write
from benchmarks.masks.masks import CASES
from visual_summaries.classifiers import Target
from visual_summaries.masks.gradients import agrees, fold, measure
from visual_summaries.masks.infill import hide
from visual_summaries.masks.network import GradientMode, Network
from visual_summaries.settings.masks import FastSchedule, MaskSettings

NETWORKS = ("squeezenet1_1", "mobilenetv2_100")
#: Images of one class that a run has (the paper's: about 100).
RUN = 100


def passes(network: Network, images: torch.Tensor, times: int) -> list[float]:
    """Return the seconds of passes over all the images."""
    hidden, mask = hide(images), images.new_full((len(images), *images.shape[-2:]), 0.5)
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        network.odds_and_gradient(images, hidden, mask)
        if images.device.type == "cuda":
            torch.cuda.synchronize(images.device)
        seconds.append(time.perf_counter() - start)
    return seconds


def measure_case(name: str, data: Path, batch: int, times: int, device: str) -> dict[str, Any]:
    """Return the row of one network."""
    classifier, (folder, index) = pretrained(name, data, device), CASES[name]
    paths = sorted((data / "images" / folder).iterdir())[:batch]
    images = torch.cat([classifier.to_tensor([classifier.view(path)]) for path in paths])
    settings = MaskSettings()
    target = Target(index, classifier.class_names[index])
    with classifier.frozen():
        plain = GradientMode(channels_last=True, classifier=fold(classifier, images[:2]))
        compiled: Any = copy.copy(plain.classifier or classifier)
        compiled.module = torch.compile(compiled.module)
        networks = [
            Network(classifier, target, settings, batch, mode)
            for mode in (plain, GradientMode(channels_last=True, classifier=compiled))
        ]
        before = min(passes(networks[0], images, 1 + times)[1:])
        first, *rest = passes(networks[1], images, 1 + times)
        same = agrees(*(measure(network, network.mode, images[:batch]) for network in networks))
    saved = (before - min(rest)) / batch * FastSchedule().steps
    row = {
        "network": name,
        "batch": batch,
        "seconds_to_compile": first - min(rest),
        "ms_per_image_before": 1000 * before / batch,
        "ms_per_image_after": 1000 * min(rest) / batch,
        "times_faster": before / min(rest),
        "seconds_saved_per_image": saved,
        "agrees": same,
    }
    print(json.dumps(row), flush=True)
    return row


def result(rows: list[Row], size: str, device: str) -> Row:
    bars = [
        bar(
            f"{row['network']}: seconds to compile, beside those saved over {RUN} images",
            row["seconds_to_compile"],
            RUN * row["seconds_saved_per_image"],
            ">=",
        )
        for row in rows
    ]
    settings = {"batch": 16, "passes_an_image": FastSchedule().steps}
    return results("compiling", size, settings, rows, bars, device=device)


def main() -> None:
    """Measure and write; compiling is not used where it takes longer than it saves over the images of a run."""
    options = parser(__doc__, "one network, 3 passes", "8 passes", needs_data=True).parse_args()
    device, quick = "cuda" if torch.cuda.is_available() else "cpu", options.size == "quick"
    rows: list[Row] = (unfinished(options.json) or {"rows": []})["rows"]
    for name in NETWORKS[-1 if quick else 0 :]:
        if not any(row["network"] == name for row in rows):
            rows.append(measure_case(name, options.data, 16, 3 if quick else 8, device))
            write(result(rows, options.size, device), options.json)  # compiling takes many minutes
    finish(result(rows, options.size, device), options.json)


if __name__ == "__main__":
    main()
