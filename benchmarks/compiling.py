"""Does compiling the network pay within a run of masks? Seconds to compile, seconds of a pass before and after.

Run with ``python benchmarks/compiling.py --data DIR --json FILE``. The pass is that of the masks: batch norm folded, channels
last, forward and backward to the mask. Compiling pays when it takes less than it saves over the passes of a run.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from pathlib import Path
from typing import Any

import torch

import visual_summaries as vs
from visual_summaries.classifiers import Target
from visual_summaries.masks.gradients import agrees, fold, measure
from visual_summaries.masks.infill import hide
from visual_summaries.masks.network import GradientMode, Network
from visual_summaries.runs.manifest import hardware, versions
from visual_summaries.settings.masks import FastSchedule, MaskSettings

#: Network -> folder and index of the class.
CASES = {
    "squeezenet1_1": ("imagenette224/569_garbage_truck", 569),
    "mobilenetv2_100": ("imagewoof320/229_Old_English_sheepdog", 229),
    "mobilenetv1_050": ("imagenette224/701_parachute", 701),
}
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
    folder, index = CASES[name]
    classifier = vs.load_classifier(f"{data / 'weights' / 'nets.py'}:{name}", device=device)
    paths = sorted((data / "images" / folder).iterdir())[:batch]
    images = torch.cat([classifier.to_tensor([classifier.view(path)]) for path in paths])
    settings = MaskSettings()
    target = Target(index, classifier.class_names[index])
    with classifier.frozen():
        plain = GradientMode(channels_last=True, classifier=fold(classifier, images[:2]))
        compiled = copy.copy(plain.classifier or classifier)
        compiled.module = torch.compile(compiled.module)  # type: ignore[attr-defined]
        networks = [
            Network(classifier, target, settings, batch, kernel)
            for kernel in (plain, GradientMode(channels_last=True, classifier=compiled))
        ]
        before = min(passes(networks[0], images, 1 + times)[1:])
        first, *rest = passes(networks[1], images, 1 + times)
        same = agrees(*(measure(network, network.kernel, images[:batch]) for network in networks))
    schedule = FastSchedule()
    count = schedule.steps
    saved = (before - min(rest)) / batch * count
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


def bar_of(row: dict[str, Any]) -> dict[str, Any]:
    """Return why compiling is not used: it takes longer than it saves over the images of a run."""
    saved = RUN * row["seconds_saved_per_image"]
    return {
        "name": f"{row['network']}: seconds to compile, beside those saved over {RUN} images",
        "value": row["seconds_to_compile"],
        "bound": saved,
        "sense": ">=",
        "holds": row["seconds_to_compile"] >= saved,
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with weights/nets.py and images/")
    parser.add_argument("--json", type=Path, required=True, help="where the results go")
    parser.add_argument("--size", choices=("quick", "full"), default="full", help="quick: one network, 3 passes; full: 8")
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    quick = arguments.size == "quick"
    names = ["mobilenetv1_050"] if quick else list(CASES)
    rows = [measure_case(name, arguments.data, 16, 3 if quick else 8, device) for name in names]
    bars = [bar_of(row) for row in rows]
    result = {
        "benchmark": "compiling",
        "size": arguments.size,
        "hardware": hardware(torch.device(device)),
        "versions": versions(),
        "settings": {"batch": 16, "passes_an_image": FastSchedule().steps},
        "rows": rows,
        "bars": bars,
    }
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
