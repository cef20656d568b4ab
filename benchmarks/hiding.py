"""Ways of hiding: what a mask found under one of them does under the others, on another network, and off the object.

Run with ``python benchmarks/hiding.py --json FILE [--data DIR]``. Masks of images with planted parts (truth known) and, with
``--data``, of photographs are found under each way and scored under every way. A mask that fools the network with the look of
what hides it, rather than taking evidence away, loses its effect under another way, or on another network.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import visual_summaries as vs
from visual_summaries.classifiers import Classifier, Target, classify, resolve_target, resolve_transform
from visual_summaries.demo import CLASS_NAMES, PARTS, demo_network, render, sample_scene
from visual_summaries.masks.hiding import HIDINGS, hide
from visual_summaries.pipeline.manifest import hardware, versions

#: Seed of the first drawn image; neither training, accuracy, effects nor the demo use these.
SEED = 40_000_000

#: Photographs: network, another network, folder, class.
CASE = ("mobilenetv2_100", "squeezenet1_1", "imagewoof320/258_Samoyed", 258)


def drops(
    classifier: Classifier, views: Sequence[NDArray[np.uint8]], masks: Sequence[vs.Mask], target: Target, kind: str
) -> float:
    """Return the mean relative loss of the score when the masks' evidence is hidden in one way."""
    x = classifier.to_tensor(views)
    evidence = torch.from_numpy(np.stack([mask.final for mask in masks])).to(x)[:, None]
    with classifier.frozen(), torch.no_grad():
        before = target.score(classifier.logits(x))
        after = target.score(classifier.logits(torch.lerp(x, hide(x, kind), evidence)))
    return float(((before - after) / before).double().mean())


def measure(
    images: str,
    classifier: Classifier,
    other: Classifier,
    views: list[NDArray[np.uint8]],
    other_views: list[NDArray[np.uint8]],
    target: int,
    labels: list[NDArray[np.uint8]] | None,
) -> list[dict[str, Any]]:
    """Return a row for each way of hiding that masks are found under."""
    rows = []
    own, others = resolve_target(classifier, target), resolve_target(other, target)
    for found in (*HIDINGS, "mix"):
        settings = replace(vs.preset("default").masks, hidden=found)
        masks = vs.optimize_masks(classifier, views, target, settings=settings)
        under = {kind: drops(classifier, views, masks, own, kind) for kind in HIDINGS}
        row: dict[str, Any] = {
            "images": images,
            "network": classifier.spec,
            "other_network": other.spec,
            "count": len(views),
            "found_under": found,
            "drop_under": under,
            "drop_under_other_ways": float(np.mean([under[kind] for kind in HIDINGS if kind != found])),
            "drop_on_other_network": drops(other, other_views, masks, others, "blur" if found == "mix" else found),
            "area": float(np.mean([mask.area for mask in masks])),
            "crispness": float(np.mean([mask.crispness for mask in masks])),
        }
        if labels is not None:
            off = [
                float(
                    (mask.final.astype(np.float32) * ~np.isin(truth, np.arange(1, len(PARTS) + 1))).sum()
                    / max(mask.final.sum(), 1e-6)
                )
                for mask, truth in zip(masks, labels, strict=True)
            ]
            row["share_off_object"] = float(np.mean(off))
        rows.append(row)
        print(json.dumps(row), flush=True)
    return rows


def planted(count: int) -> list[dict[str, Any]]:
    """Measure on drawn birds of four classes; the other network is a smaller one."""
    networks = [demo_network(name) for name in ("main", "tiny")]
    classifier, other = (
        Classifier(module, transform=resolve_transform(module), class_names=CLASS_NAMES, spec=f"demo network {name}")
        for module, name in zip(networks, ("main", "tiny"), strict=True)
    )
    rows = []
    for index in (0, 2, 5, 7):
        drawn = [render(sample_scene(index, SEED + 1000 * index + k)) for k in range(count // 4)]
        views = [one.image for one in drawn]
        rows += measure(f"drawn {CLASS_NAMES[index]}", classifier, other, views, views, index, [one.labels for one in drawn])
    return rows


def photographs(data: Path, count: int) -> list[dict[str, Any]]:
    """Measure on photographs that two networks of one input size get right."""
    name, other_name, folder, index = CASE
    nets = data / "weights" / "nets.py"
    classifier, other = (vs.load_classifier(f"{nets}:{one}") for one in (name, other_name))
    views = []
    for path in sorted((data / "images" / folder).iterdir()):
        view = classifier.view(vs.open_image(path))
        if all(classify(one, [view], resolve_target(one, index)).hits[0] for one in (classifier, other)):
            views.append(view)
        if len(views) == count:
            break
    # Both networks take 224 pixels, resized alike: a view of one is a view of the other.
    rows = measure(f"photographs of {classifier.class_names[index]}", classifier, other, views, views, index, None)
    for row in rows:
        row["network"], row["other_network"] = name, other_name
    return rows


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True, help="where the results go")
    parser.add_argument("--size", choices=("quick", "full"), default="quick", help="quick: 8 images a set; full: 32")
    parser.add_argument("--data", type=Path, help="folder with weights/nets.py and images/: photographs as well")
    arguments = parser.parse_args()
    count = 8 if arguments.size == "quick" else 32
    rows = planted(count) + ([] if arguments.data is None else photographs(arguments.data, count // 2))
    means = []
    for kind in (*HIDINGS, "mix"):
        own = [row for row in rows if row["found_under"] == kind]
        off = [row["share_off_object"] for row in own if "share_off_object" in row]
        means.append(
            {
                "images": "mean of all sets",
                "found_under": kind,
                **{
                    name: float(np.mean([row[name] for row in own]))
                    for name in ("drop_under_other_ways", "drop_on_other_network", "area", "crispness")
                },
                "share_off_object": float(np.mean(off)),
            }
        )
    result = {
        "benchmark": "hiding",
        "size": arguments.size,
        "hardware": hardware(torch.device("cpu")),
        "versions": versions(),
        "settings": {"masks": "preset default, hidden as named; mix by the published optimiser", "images_a_set": count},
        "rows": means + rows,
        "bars": [],
    }
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
