"""Time, memory and exactness of Proposal Flow on boxes and descriptors drawn at random: sections of ``flow.py``."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

from benchmarks.harness import Row
from visual_summaries.flow import Features, compare_all, match
from visual_summaries.runs.manifest import peak_memory_mib

BOXES, VALUES, SALIENT = 500, 1984, 30
#: Images.
GROWTH = {"quick": (8, 16), "full": (50, 100, 200, 300, 400)}

Values = NDArray[np.float64]


def synthetic(seed: int, side: int = 224) -> Features:
    """Random descriptors on boxes spread like those of Selective Search."""
    rng = np.random.default_rng(seed)
    sides = side * 2 ** -rng.uniform(0.3, 3.3, (BOXES, 1)) * 2 ** rng.uniform(-0.7, 0.7, (BOXES, 2))
    sides = np.clip(sides, 8, 0.95 * side)
    low = rng.uniform(0.01, 0.99, (BOXES, 2)) * (side - sides)
    boxes = np.concatenate([low, low + sides], 1).astype(np.int32)
    return Features(boxes, torch.from_numpy(rng.standard_normal((BOXES, VALUES), np.float32)), (side, side))


def direct(a: Features, b: Features, method: str) -> Values:
    """NAM, PHM or LOM written down from the formulas with NumPy in double precision, box by box."""

    def geometry(one: Features) -> tuple[Values, Values, Values, Values, NDArray[np.bool_]]:
        boxes = one.boxes.astype(np.float64)
        sides = boxes[:, 2:] - boxes[:, :2]
        out = np.asarray(((boxes[:, :2] < 0.01 * one.size[0]) | (boxes[:, 2:] > 0.99 * one.size[0])).any(axis=1))
        return boxes, (boxes[:, :2] + boxes[:, 2:]) / 2, sides.prod(1), sides[:, 0] / sides[:, 1], out

    (boxes, center_a, area_a, aspect_a, out_a), (_, center_b, area_b, aspect_b, out_b) = geometry(a), geometry(b)
    s = np.maximum(a.descriptors.double().numpy() @ b.descriptors.double().numpy().T, 0)
    ratio = aspect_a[:, None] / aspect_b
    s[(np.maximum(ratio, 1 / ratio) > 2) | out_a[:, None] | out_b] = 0
    if method == "nam":
        return s
    if method == "phm":
        return s * _votes(s, center_b - center_a[:, None], np.log2(area_b / area_a[:, None]) / 2, a.size, b.size)
    best, partner = s.max(1), s.argmax(1)
    offset = np.concatenate([center_b[partner] - center_a, (area_b[partner] / area_a)[:, None]], 1)
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
            away = np.hypot(*(center_b - center_a[i] - o[:2]).T)
            fit = np.exp(-0.05 * away - 0.3 * np.abs(area_b / area_a[i] - o[2]))
            confidences[i] = s[i] * fit * best[near].sum() / best.sum()
    return confidences


def _votes(s: Values, offset: Values, scale: Values, size_a: tuple[int, int], size_b: tuple[int, int]) -> Values:
    """Votes of all matches for the bin of each, (n_a, n_b)."""
    height, width = size_a[0] + size_b[0], size_a[1] + size_b[1]
    step = math.sqrt(width * height / 8000)
    x = np.floor((offset[..., 0] + size_a[1]) / step).astype(int)
    y = np.floor((offset[..., 1] + size_a[0]) / step).astype(int)
    z = np.clip(np.floor((scale + 4) / 0.4), 0, 19).astype(int)
    space = np.zeros((20, math.ceil(height / step), math.ceil(width / step)))
    for i in range(len(s)):
        own = np.zeros_like(space)
        np.maximum.at(own, (z[i], y[i], x[i]), s[i])
        space += own
    kernel = np.exp(-0.5 * np.arange(-2, 3) ** 2)
    for axis in range(3):
        space = correlate1d(space, kernel / kernel.sum(), axis, mode="constant")
    return np.asarray(space[z, y, x])


def best_seconds(function: Callable[[], object], repeats: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Shortest of several times: what else the machine does only ever adds."""
    function()
    times = []
    for _ in range(repeats):
        start = clock()
        function()
        times.append(clock() - start)
    return min(times)


def load() -> float:
    """Average number of processes that wanted a processor over the last minute."""
    return round(os.getloadavg()[0], 1)


def measure_exact(size: str) -> list[Row]:
    """How far confidences are from those of the direct version, relative to the largest."""
    rows = []
    for method in ("nam", "phm", "lom"):
        worst = 0.0
        for seed in range(0, 2 if size == "quick" else 6, 2):
            a, b = synthetic(seed), synthetic(seed + 1)
            expected = direct(a, b, method)
            worst = max(worst, float(np.abs(match(a, b, method).double().numpy() - expected).max() / expected.max()))
        rows.append({"section": "exact", "formula": method, "boxes": BOXES, "values": VALUES, "largest_difference": worst})
    return rows


def measure_speed(size: str) -> list[Row]:
    torch.set_num_threads(2)
    a, b = synthetic(0), synthetic(1)
    repeats = 20 if size == "quick" else 100
    # Taken in turns, so that what else the machine does falls on both alike.
    product, lom = [], []
    for _ in range(3):
        product.append(best_seconds(lambda: a.descriptors @ b.descriptors.T, repeats))
        lom.append(best_seconds(lambda: match(a, b, "lom"), repeats))
    many = [synthetic(seed) for seed in range(16)]
    pairs = len(many) * (len(many) - 1) / 2
    seconds = {
        "product": min(product),
        "lom": min(lom),
        "nam": best_seconds(lambda: match(a, b, "nam"), repeats),
        "phm": best_seconds(lambda: match(a, b, "phm"), repeats),
        "compare_all, a pair, both directions": best_seconds(lambda: compare_all(many, [range(SALIENT)] * len(many)), 2)
        / pairs,
        "direct LOM, NumPy": best_seconds(lambda: direct(a, b, "lom"), 3),
    }
    # On a busy machine the processor time of one thread is the fairer measure.
    torch.set_num_threads(1)
    processor = {
        "product": best_seconds(lambda: a.descriptors @ b.descriptors.T, repeats, time.process_time),
        "lom": best_seconds(lambda: match(a, b, "lom"), repeats, time.process_time),
    }
    row: Row = {"section": "speed", "boxes": BOXES, "values": VALUES, "load_average": load()}
    timed = [(name, 2, value, seconds["product"]) for name, value in seconds.items()]
    timed += [(f"{name}, processor time", 1, value, processor["product"]) for name, value in processor.items()]
    return [
        {**row, "operation": name, "threads": threads, "milliseconds": round(1e3 * value, 3), "times_product": value / product}
        for name, threads, value, product in timed
    ]


def measure_growth(sizes: Sequence[int]) -> list[Row]:
    """Each size in a fresh process, whose peak memory is read when it ends."""
    rows = []
    for images in sizes:
        command = [sys.executable, str(Path(__file__).with_name("flow.py")), "--worker", str(images)]
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
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


def growth_worker(images: int) -> None:
    """Compare images of random boxes and print what it took."""
    torch.set_num_threads(2)
    features = [synthetic(seed) for seed in range(images)]
    held = peak_gib()
    start, started = time.perf_counter(), time.process_time()
    result = compare_all(features, [np.arange(SALIENT)] * images)
    seconds, processor = time.perf_counter() - start, time.process_time() - started
    blocks = result.similarity.reshape(images, SALIENT, images, SALIENT)
    pairs = int(np.count_nonzero(blocks.any((1, 3)))) // 2
    row = {
        "images": images,
        "pairs": pairs,
        "seconds": round(seconds, 2),
        "processor_seconds": round(processor, 2),
        "milliseconds_per_pair": round(1e3 * seconds / max(pairs, 1), 2),
        "descriptors_gib": round(images * BOXES * VALUES * 4 / 2**30, 3),
        "peak_gib_before": round(held, 3),
        "peak_gib": round(peak_gib(), 3),
    }
    print(json.dumps(row))
