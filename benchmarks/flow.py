"""Speed, memory and quality of proposals, descriptors and Proposal Flow.

    python benchmarks/flow.py --json benchmarks/results/flow.json --size full [--data DIR] [--pairs DIR]

- speed: one pair (LOM, 500 boxes, 1984 values) against the one matrix product that it cannot do without, and against a direct
  NumPy version of the formulas; two threads;
- boxes: proposals and descriptors of 100 images of 224 pixels;
- growth: time and peak memory of all pairs of 50 to 300 images of 500 boxes, and of up to 400 with the 20 nearest images only;
  every size in a process of its own;
- pairs (with --pairs): PCK on images with keypoints, see flow_keypoints.py; of deep descriptors, too, with --data or --network.


`--only` chooses sections; sections that were not run are kept from the JSON that is already there.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from skimage import data as photographs

from visual_summaries.classifiers import load_classifier
from visual_summaries.flow import Features, FlowSettings, compare_all, describe, match
from visual_summaries.images import open_image
from visual_summaries.regions.proposals import propose_boxes

BOXES, VALUES, SALIENT = 500, 1984, 30
SECTIONS = ("speed", "boxes", "growth", "pairs")
GROWTH = {
    "quick": ((8, 0), (16, 0), (16, 4)),
    "full": ((50, 0), (100, 0), (200, 0), (300, 0), (50, 20), (100, 20), (200, 20), (400, 20)),
}


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
                weight = 1 / np.maximum(np.abs(points - o), 1e-3)
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


def measure_speed(size: str) -> dict[str, object]:
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
    load = os.getloadavg()[0]
    return {
        "boxes": BOXES,
        "values": VALUES,
        "threads": 2,
        "load_average": round(load, 1),
        "processor_milliseconds_one_thread": {name: round(1e3 * value, 3) for name, value in processor.items()},
        "processor_lom_over_product_one_thread": round(processor["lom"] / processor["product"], 3),
        "milliseconds": {name: round(1e3 * value, 3) for name, value in seconds.items()},
        "lom_over_product": round(min(lom) / min(product), 3),
        "compare_all_over_product": round(per_pair / min(product), 3),
        "largest_relative_difference_from_direct": worst,
        "bar": "lom_over_product <= 4",
        "met": min(lom) <= 4 * min(product),
    }


def measure_boxes(size: str, folder: Path | None) -> dict[str, object]:
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
    return {
        "images": count,
        "photographs": "imagewoof320, central squares" if folder else "crops of the photographs of scikit-image",
        "seconds": round(seconds, 2),
        "seconds_per_100_images": round(100 * seconds / count, 2),
        "mean_boxes": round(float(np.mean([n for n, *_ in done])), 1),
        "mean_seconds_proposals": round(float(np.mean([t for _, t, _ in done])), 4),
        "mean_seconds_descriptors": round(float(np.mean([t for *_, t in done])), 4),
        "threads": 2,
        "load_average": round(os.getloadavg()[0], 1),
        "processor_seconds_per_100_images": round(100 * processor / count, 2),
        "bar": "seconds_per_100_images <= 60",
        "met": bool(100 * seconds / count <= 60),
    }


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


def measure_growth(sizes: list[tuple[int, int]]) -> dict[str, object]:
    """Each size in a fresh process, whose peak memory is read when it ends."""
    rows = []
    for images, neighbours in sizes:
        command = [sys.executable, __file__, "--worker", f"{images},{neighbours}"]
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
        rows.append(json.loads(answer.stdout.splitlines()[-1]))
        print(rows[-1], flush=True)
    largest = max(rows, key=lambda row: row["images"])
    return {
        "boxes": BOXES,
        "values": VALUES,
        "salient": SALIENT,
        "rows": rows,
        "bar": "300 images within 4 GB",
        "load_average": round(os.getloadavg()[0], 1),
        "met": largest["images"] >= 300 and largest["peak_gb"] <= 4,
    }


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
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 3),
    }
    print(json.dumps(row))


def measure_pairs(options: argparse.Namespace, results: dict[str, object]) -> None:
    from flow_keypoints import evaluate

    spec = options.network or (f"{options.data}/weights/nets.py:mobilenetv2_100" if options.data else None)
    table = evaluate(
        options.pairs,
        load_classifier(spec) if spec else None,
        side=options.side,
        limit=options.limit or (40 if options.size == "quick" else 10**9),
        aligned=options.aligned,
        source=options.source,
    )
    name = options.pairs.name + (", like poses" if options.aligned else "")
    name += "" if options.source == "selective_search" else f", {options.source}"
    table["network"] = spec.split(":")[-1] if spec else None
    pairs = results.setdefault("pairs", {})
    assert isinstance(pairs, dict)
    pairs[name] = table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where the results go")
    parser.add_argument("--size", choices=("quick", "full"), default="quick")
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
    results = json.loads(options.json.read_text()) if options.json and options.json.exists() else {}
    results["machine"] = {
        "processor": platform.processor() or platform.machine(),
        "cpus": os.cpu_count(),
        "torch": torch.__version__,
        "opencv": cv2.__version__,
        "numpy": np.__version__,
    }
    if "speed" in options.only:
        results["speed"] = measure_speed(options.size)
        print(json.dumps(results["speed"], indent=1), flush=True)
    if "boxes" in options.only:
        results["boxes"] = measure_boxes(options.size, options.data)
        print(json.dumps(results["boxes"], indent=1), flush=True)
    if "growth" in options.only:
        sizes = [tuple(map(int, pair.split(","))) for pair in options.growth] if options.growth else list(GROWTH[options.size])
        results["growth"] = measure_growth(sizes)
    if "pairs" in options.only and options.pairs:
        measure_pairs(options, results)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
