"""Speed, memory and quality of proposals, descriptors and Proposal Flow.

    python benchmarks/flow.py --json benchmarks/results/flow.json --size full [--data DIR] [--pairs DIR]

- speed: one pair (LOM, 500 boxes, 1984 values) against the one matrix product that it cannot do without, and against a direct
  NumPy version of the formulas; two threads;
- boxes: proposals and descriptors of 100 images of 224 pixels;
- growth: time and peak memory of all pairs of 50 to 300 images of 500 boxes, and of up to 400 with the 20 nearest images only;
  every size in a process of its own;
- pairs (with --pairs): PCK on images with keypoints, see flow_keypoints.py; of deep descriptors, too, with --data or --network.


The JSON holds `rows`, one flat dict for each thing measured, and `bars`, what has to hold. A bar is there only when the very
thing it asks for was measured: memory over all pairs of 300 images, PCK over all pairs of PF-WILLOW.

`--only` chooses sections; the rows of sections that were not run are kept from the JSON that is already there, if it comes
from the same machine and versions.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from skimage import data as photographs

import visual_summaries as vs
from visual_summaries.classifiers import load_classifier
from visual_summaries.flow import Features, FlowSettings, compare_all, describe, match
from visual_summaries.images import open_image
from visual_summaries.pipeline.manifest import hardware, peak_memory_mib, versions
from visual_summaries.regions.proposals import propose_boxes

BOXES, VALUES, SALIENT = 500, 1984, 30
SECTIONS = ("speed", "boxes", "growth", "pairs")
GROWTH = {
    "quick": ((8, 0), (16, 0), (16, 4)),
    "full": ((50, 0), (100, 0), (200, 0), (300, 0), (50, 20), (100, 20), (200, 20), (400, 20)),
}


Row = dict[str, Any]


def synthetic(seed: int, side: int = 224) -> Features:
    """Random descriptors on boxes spread like those of Selective Search."""
    rng = np.random.default_rng(seed)
    sides = side * 2 ** -rng.uniform(0.3, 3.3, (BOXES, 1)) * 2 ** rng.uniform(-0.7, 0.7, (BOXES, 2))
    sides = np.clip(sides, 8, 0.95 * side)
    low = rng.uniform(0.01, 0.99, (BOXES, 2)) * (side - sides)
    boxes = np.concatenate([low, low + sides], 1).astype(np.int32)
    return Features(boxes, torch.from_numpy(rng.standard_normal((BOXES, VALUES), np.float32)), (side, side))


def direct_lom(a: Features, b: Features) -> NDArray[np.float32]:
    """LOM written down from its formulas with NumPy, box by box."""

    def geometry(one: Features) -> tuple[NDArray[np.float32], ...]:
        boxes = one.boxes.astype(np.float32)
        sides = boxes[:, 2:] - boxes[:, :2]
        out = (boxes[:, :2] < 0.01 * one.size[0]).any(1) | (boxes[:, 2:] > 0.99 * one.size[0]).any(1)
        return boxes, (boxes[:, :2] + boxes[:, 2:]) / 2, sides.prod(1), sides[:, 0] / sides[:, 1], out

    (boxes, centre_a, area_a, aspect_a, out_a), (_, centre_b, area_b, aspect_b, out_b) = geometry(a), geometry(b)
    s = np.maximum(a.descriptors.numpy() @ b.descriptors.numpy().T, 0)
    ratio = aspect_a[:, None] / aspect_b
    s[(np.maximum(ratio, 1 / ratio) > 2) | out_a[:, None] | out_b] = 0
    best, partner = s.max(1), s.argmax(1)
    offset = np.concatenate([centre_b[partner] - centre_a, (area_b[partner] / area_a)[:, None]], 1)
    confidences = np.zeros_like(s)
    for i in range(len(s)):
        shared = np.minimum(boxes[i, 2:], boxes[:, 2:]) - np.maximum(boxes[i, :2], boxes[:, :2])
        near = (shared > 0).all(1) & (best > 0)
        if near.any():
            points = offset[near]
            o = points.mean(0)
            for _ in range(20):
                weight = 1 / np.maximum(np.abs(points - o), 1e-2)
                o = (weight * points).sum(0) / weight.sum(0)
            away = np.hypot(*(centre_b - centre_a[i] - o[:2]).T)
            fit = np.exp(-0.05 * away - 0.3 * np.abs(area_b / area_a[i] - o[2]))
            confidences[i] = s[i] * fit * best[near].sum() / best.sum()
    return confidences


def best_seconds(function: Callable[[], object], repeats: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Shortest of several times: what else the machine does only ever adds."""
    function()
    times = []
    for _ in range(repeats):
        start = clock()
        function()
        times.append(clock() - start)
    return min(times)


def measure_speed(size: str) -> list[Row]:
    torch.set_num_threads(2)
    a, b = synthetic(0), synthetic(1)
    repeats = 20 if size == "quick" else 100
    direct = direct_lom(a, b)
    worst = float(np.abs(match(a, b, "lom").numpy() - direct).max() / direct.max())
    # Taken in turns, so that what else the machine does falls on both alike.
    product, lom = [], []
    for _ in range(3):
        product.append(best_seconds(lambda: a.descriptors @ b.descriptors.T, repeats))
        lom.append(best_seconds(lambda: match(a, b, "lom"), repeats))
    many = [synthetic(seed) for seed in range(12)]
    start = time.perf_counter()
    compare_all(many, [np.arange(SALIENT)] * len(many))
    per_pair = (time.perf_counter() - start) / (len(many) * (len(many) - 1) / 2)
    seconds = {
        "product": min(product),
        "lom": min(lom),
        "nam": best_seconds(lambda: match(a, b, "nam"), repeats),
        "phm": best_seconds(lambda: match(a, b, "phm"), repeats),
        "compare_all_per_pair_both_directions": per_pair,
        "direct_lom_numpy": best_seconds(lambda: direct_lom(a, b), 3),
    }
    # On a busy machine the processor time of one thread is the fairer measure.
    torch.set_num_threads(1)
    processor = {
        "product": best_seconds(lambda: a.descriptors @ b.descriptors.T, repeats, time.process_time),
        "lom": best_seconds(lambda: match(a, b, "lom"), repeats, time.process_time),
    }
    row: Row = {"section": "speed", "boxes": BOXES, "values": VALUES, "load_average": load()}
    rows = [
        {
            **row,
            "operation": name,
            "threads": 2,
            "milliseconds": round(1e3 * value, 3),
            "times_product": value / seconds["product"],
        }
        for name, value in seconds.items()
    ]
    rows += [
        {
            **row,
            "operation": f"{name}, processor time",
            "threads": 1,
            "milliseconds": round(1e3 * value, 3),
            "times_product": value / processor["product"],
        }
        for name, value in processor.items()
    ]
    rows[1]["largest_relative_difference_from_direct"] = worst
    return rows


def load() -> float:
    """Average number of processes that wanted a processor over the last minute."""
    return round(os.getloadavg()[0], 1)


def measure_boxes(size: str, folder: Path | None) -> list[Row]:
    count = 10 if size == "quick" else 100
    images = [square(image, 224) for image in some_photographs(folder, count)]
    torch.set_num_threads(1)  # two images side by side instead
    cv2.setNumThreads(1)

    def one(image: NDArray[np.uint8]) -> tuple[int, float, float]:
        start = time.perf_counter()
        boxes = propose_boxes(image, BOXES)
        middle = time.perf_counter()
        describe(image, boxes)
        return len(boxes), middle - start, time.perf_counter() - middle

    describe(images[0], [(0, 0, 224, 224)])  # the whitening matrix is worked out once for all
    start, started = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(one, images))
    seconds, processor = time.perf_counter() - start, time.process_time() - started
    row = {
        "section": "boxes",
        "images": count,
        "photographs": "imagewoof320, central squares" if folder else "crops of the photographs of scikit-image",
        "seconds": round(seconds, 2),
        "seconds_per_100_images": round(100 * seconds / count, 2),
        "processor_seconds_per_100_images": round(100 * processor / count, 2),
        "mean_boxes": round(float(np.mean([n for n, *_ in done])), 1),
        "mean_seconds_proposals": round(float(np.mean([t for _, t, _ in done])), 4),
        "mean_seconds_descriptors": round(float(np.mean([t for *_, t in done])), 4),
        "threads": 2,
        "load_average": load(),
    }
    return [row]


def some_photographs(folder: Path | None, count: int) -> list[NDArray[np.uint8]]:
    """Photographs of the data folder, or else random crops of those that scikit-image carries."""
    if folder is not None:
        paths = sorted((folder / "images" / "imagewoof320").glob("*/*"))
        return [np.asarray(open_image(paths[k])) for k in np.linspace(0, len(paths) - 1, count).astype(int)]
    rng = np.random.default_rng(0)
    sources = [photographs.astronaut(), photographs.coffee(), photographs.chelsea(), photographs.rocket()]
    crops = []
    for k in range(count):
        source = sources[k % len(sources)]
        side = int(rng.integers(200, min(source.shape[:2]) + 1))
        y, x = (int(rng.integers(0, extent - side + 1)) for extent in source.shape[:2])
        crops.append(source[y : y + side, x : x + side])
    return crops


def square(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    least = min(image.shape[:2])
    y, x = ((extent - least) // 2 for extent in image.shape[:2])
    crop = np.ascontiguousarray(image[y : y + least, x : x + least])
    method = cv2.INTER_AREA if least > side else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(crop, (side, side), interpolation=method), np.uint8)


def measure_growth(sizes: list[tuple[int, int]]) -> list[Row]:
    """Each size in a fresh process, whose peak memory is read when it ends."""
    rows = []
    for images, neighbours in sizes:
        command = [sys.executable, __file__, "--worker", f"{images},{neighbours}"]
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
        row = json.loads(answer.stdout.splitlines()[-1])
        rows.append({"section": "growth", **row, "boxes": BOXES, "values": VALUES, "salient": SALIENT, "load_average": load()})
        print(rows[-1], flush=True)
    return rows


def peak_gib() -> float:
    """Most memory this process has held. Linux counts that of the parent into ru_maxrss, but not into VmHWM."""
    status = Path("/proc/self/status")
    if status.exists():
        kib = next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(kib) / 2**20
    return peak_memory_mib() / 2**10


def growth_worker(images: int, neighbours: int) -> None:
    torch.set_num_threads(2)
    features = [synthetic(seed) for seed in range(images)]
    start = time.perf_counter()
    result = compare_all(features, [np.arange(SALIENT)] * images, FlowSettings(neighbours=neighbours))
    seconds = time.perf_counter() - start
    blocks = result.similarity.reshape(images, SALIENT, images, SALIENT)
    pairs = int(np.count_nonzero(blocks.any((1, 3)))) // 2
    row = {
        "images": images,
        "neighbours": neighbours,
        "pairs": pairs,
        "seconds": round(seconds, 2),
        "milliseconds_per_pair": round(1e3 * seconds / max(pairs, 1), 2),
        "peak_gib": round(peak_gib(), 3),
    }
    print(json.dumps(row))


def measure_pairs(options: argparse.Namespace) -> list[Row]:
    from flow_keypoints import evaluate, is_willow

    spec = options.network or (f"{options.data}/weights/nets.py:mobilenetv2_100" if options.data else None)
    rows = evaluate(
        options.pairs,
        load_classifier(spec) if spec else None,
        side=options.side,
        limit=options.limit or (40 if options.size == "quick" else 10**9),
        aligned=options.aligned,
        source=options.source,
    )
    everything = options.size == "full" and not options.limit and not options.aligned
    row: Row = {
        "section": "pairs",
        "data": options.pairs.name,
        "willow": is_willow(options.pairs),
        "all_pairs": everything,
        "load_average": load(),
    }
    network = spec.split(":")[-1] if spec else None
    return [{**row, **one, "network": network if one["descriptor"] == "deep" else None} for one in rows]


def bars_of(rows: list[Row]) -> list[Row]:
    """Return what has to hold, as far as it was measured."""

    def bar(name: str, value: float, bound: float, sense: str) -> Row:
        holds = value >= bound if sense == ">=" else value <= bound
        return {"name": name, "value": value, "bound": bound, "sense": sense, "holds": bool(holds)}

    bars = []
    for row in rows:
        if row["section"] == "speed" and row["operation"] == "lom":
            bars.append(bar("time of LOM over that of the one matrix product", row["times_product"], 4, "<="))
        elif row["section"] == "boxes" and row["images"] == 100:
            bars.append(bar("seconds for boxes and HOG descriptors of 100 images of 224 pixels", row["seconds"], 60, "<="))
        elif row["section"] == "growth" and row["images"] == 300 and not row["neighbours"]:
            # The bound is in 10^9 bytes.
            bars.append(bar("peak GB over all pairs of 300 images of 500 boxes", row["peak_gib"] * 2**30 / 1e9, 4, "<="))
    willow = [
        row
        for row in rows
        if row["section"] == "pairs" and row["willow"] and row["all_pairs"] and row["source"] == "selective_search"
    ]
    published = {r["assignment"]: r["pck_10"] for r in willow if (r["descriptor"], r["method"]) == ("hog", "lom")}
    if published:
        each = ", ".join(f"{way} {value:.3f}" for way, value in published.items())
        bars.append(bar(f"PF-WILLOW, PCK@0.1: HOG + LOM, better assignment ({each})", max(published.values()), 0.52, ">="))
    default = vs.preset("default").flow
    for row in willow:
        if (row["descriptor"], row["method"], row["assignment"]) == ("deep", default.method, default.assignment):
            bars.append(bar(f"PF-WILLOW, PCK@0.1: default descriptor, {row['network']}", row["pck_10"], 0.68, ">="))
    return bars


def begin(file: Path | None) -> Row:
    """Results without rows, or those that the file holds already."""
    torch.set_num_threads(2)
    found = {"hardware": hardware(torch.device("cpu")), "versions": {**versions(), "torch": torch.__version__}}
    settings = {name: asdict(vs.preset(name).flow) for name in ("default", "paper")}
    fresh: Row = {"benchmark": "flow", **found, "settings": {**settings, "sizes": {}, "note": {}}, "rows": [], "bars": []}
    if not file or not file.exists():
        return fresh
    kept = json.loads(file.read_text())
    for part, facts in found.items():
        for name, value in kept[part].items():
            if name in facts and facts[name] != value:
                was = f"{file} was measured with {part} {name} = {value}, this is {facts[name]}"
                raise SystemExit(f"{was}: give another --json file, or move it away")
        fresh[part] = {**kept[part], **facts}
    fresh["rows"] = kept["rows"]
    for name in ("sizes", "note"):
        fresh["settings"][name] = kept["settings"].get(name, {})
    return fresh


def enter(results: Row, section: str, size: str, rows: list[Row]) -> None:
    """Put the rows of a section in the place of its earlier ones; of keypoints, those of the same images and setup."""
    setup = ("data", "aligned", "source", "side")

    def replaced(row: Row) -> bool:
        return row["section"] == section and all(row.get(name) == rows[0].get(name) for name in setup)

    kept = [row for row in results["rows"] if not replaced(row)]
    if not any(row["section"] == section for row in kept):  # else the note still speaks of them
        results["settings"]["note"].pop(section, None)
    results["rows"] = kept + rows
    results["settings"]["sizes"][section] = size
    results["bars"] = bars_of(results["rows"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where the results go")
    parser.add_argument("--size", choices=("quick", "full"), default="full")
    parser.add_argument("--data", type=Path, help="folder with images/ and weights/")
    parser.add_argument("--pairs", type=Path, help="images with keypoints")
    parser.add_argument(
        "--network", help="classifier of the deep descriptors; default weights/nets.py:mobilenetv2_100 of --data"
    )
    parser.add_argument("--limit", type=int, help="at most this many pairs (default: all; 40 with --size quick)")
    parser.add_argument("--aligned", action="store_true", help="only pairs of like pose (for data sets of many poses)")
    parser.add_argument("--side", type=int, default=300, help="longer side that the images with keypoints are brought to")
    parser.add_argument("--source", default="selective_search", help="source of the boxes of --pairs")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--growth", nargs="+", metavar="IMAGES,NEIGHBOURS", help="sizes instead of those of --size")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        growth_worker(*(int(value) for value in options.worker.split(",")))
        return
    sizes = [tuple(map(int, pair.split(","))) for pair in options.growth] if options.growth else list(GROWTH[options.size])
    work: dict[str, Callable[[], list[Row]]] = {
        "speed": lambda: measure_speed(options.size),
        "boxes": lambda: measure_boxes(options.size, options.data),
        "growth": lambda: measure_growth(sizes),
        "pairs": lambda: measure_pairs(options),
    }
    results = begin(options.json)
    for section in options.only:
        if section == "pairs" and not options.pairs:
            continue
        rows = work[section]()
        enter(results, section, options.size, rows)
        for row in rows:
            print(row)
        if options.json:  # after each section: a run that is interrupted keeps what it has
            options.json.parent.mkdir(parents=True, exist_ok=True)
            options.json.write_text(json.dumps(results, indent=1) + "\n")
    for bar in results["bars"]:
        print(f"{'ok ' if bar['holds'] else 'NOT'} {bar['name']}: {bar['value']:.4g} {bar['sense']} {bar['bound']}")


if __name__ == "__main__":
    main()
