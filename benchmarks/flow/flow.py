"""Speed, memory and quality of proposals, descriptors and Proposal Flow.

    python benchmarks/flow/flow.py --json benchmarks/results/flow.json --size full [--data DIR] [--pairs DIR]

- exact: confidences against a direct version of the formulas in double precision;
- speed: one pair (LOM, 500 boxes, 1984 values) against the one matrix product that it cannot do without, and against the
  direct version; two threads;
- boxes: proposals and descriptors of 100 images of 224 pixels;
- growth: time and peak memory over all pairs of 50 to 400 images of 500 boxes; every size in a process of its own;
- parts (with --data): whether similar regions, and the clusters that follow, show one part of a bird; see parts.py;
- whitening (with --data): keypoints with the shipped statistics and with the images' own;
- pairs (with --pairs): PCK on images with keypoints, see keypoints.py; of deep descriptors, too, with --data or --network.

The JSON holds `rows`, one flat dict for each thing measured, and `bars`, what has to hold. A bar is there only when the very
thing it asks for was measured: memory over all pairs of 300 images, PCK over all pairs of PF-WILLOW.

`--only` chooses sections; the rows of sections that were not run are kept from the JSON that is already there, if it comes
from the same machine and versions.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from skimage import data as photographs

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import visual_summaries as vs
from benchmarks.flow.keypoints import evaluate, is_willow, measure_whitening
from benchmarks.flow.parts import NETWORK, measure_parts
from benchmarks.flow.speed import BOXES, GROWTH, growth_worker, load, measure_exact, measure_growth, measure_speed
from benchmarks.harness import Row, bar, finish, parser, results, spec_of, unfinished, write
from visual_summaries.classifiers import load_classifier
from visual_summaries.flow import describe
from visual_summaries.images import open_image
from visual_summaries.regions.proposals import propose_boxes

SECTIONS = ("exact", "speed", "boxes", "growth", "parts", "whitening", "pairs")
NEED_DATA = ("parts", "whitening")


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


def measure_pairs(options: argparse.Namespace) -> list[Row]:
    torch.set_num_threads(1)  # pairs side by side instead
    cv2.setNumThreads(1)
    spec = options.network or (spec_of(NETWORK, options.data) if options.data else None)
    rows = evaluate(
        options.pairs,
        load_classifier(spec) if spec else None,
        side=options.side,
        limit=options.limit or (40 if options.size == "quick" else 10**9),
        aligned=options.aligned,
        half=options.half,
        source=options.source,
        boxes=options.boxes,
    )
    everything = options.size == "full" and not options.limit and not options.aligned and options.half == "both"
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
    bars = []
    for row in rows:
        if row["section"] == "speed" and row["operation"] == "lom":
            bars.append(bar("time of LOM over that of the one matrix product", row["times_product"], 4, "<="))
        elif row["section"] == "boxes" and row["images"] == 100:
            bars.append(bar("seconds for boxes and HOG descriptors of 100 images of 224 pixels", row["seconds"], 60, "<="))
        elif row["section"] == "exact":
            name = f"largest difference of {row['formula'].upper()} from the direct version, of the largest confidence"
            bars.append(bar(name, row["largest_difference"], 1e-5, "<="))
        elif row["section"] == "growth" and row["images"] == 300:
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


def begin(file: Path | None, size: str) -> Row:
    """Return results without rows, or with those that the file holds already."""
    torch.set_num_threads(2)
    settings = {name: asdict(vs.preset(name).flow) for name in ("default", "paper")}
    fresh = results("flow", size, {**settings, "sizes": {}, "note": {}}, [], [])
    fresh["versions"]["torch"] = torch.__version__
    if (kept := unfinished(file)) is None:
        return fresh
    for part in ("hardware", "versions"):
        for name, value in kept[part].items():
            if name in fresh[part] and fresh[part][name] != value:
                was = f"{file} was measured with {part} {name} = {value}, this is {fresh[part][name]}"
                raise SystemExit(f"{was}: give another --json file, or move it away")
        fresh[part] = {**kept[part], **fresh[part]}
    fresh["rows"] = kept["rows"]
    fresh["settings"] |= {name: kept["settings"].get(name, {}) for name in ("sizes", "note")}
    return fresh


def enter(found: Row, section: str, size: str, rows: list[Row]) -> None:
    """Put the rows of a section in the place of its earlier ones; of keypoints and growth, those of the same setup."""
    setup = {"pairs": ("data", "aligned", "half", "source", "side", "boxes"), "growth": ("images",)}.get(section, ())
    new = {tuple(row.get(name) for name in setup) for row in rows}
    kept = [row for row in found["rows"] if row["section"] != section or tuple(row.get(n) for n in setup) not in new]
    if not any(row["section"] == section for row in kept):  # else the note still speaks of them
        found["settings"]["note"].pop(section, None)
    found["rows"] = kept + rows
    found["settings"]["sizes"][section] = size
    found["bars"] = bars_of(found["rows"])


def main() -> None:
    arguments = parser(__doc__)
    add = arguments.add_argument
    add("--pairs", type=Path, help="images with keypoints")
    add("--network", help=f"classifier of the deep descriptors; default weights/nets.py:{NETWORK} of --data")
    add("--limit", type=int, help="at most this many pairs (default: all; 40 with --size quick)")
    add("--aligned", action="store_true", help="only pairs of like pose (for data sets of many poses)")
    add("--half", choices=("both", "first", "second"), default="both", help="of the classes, sorted by name")
    add("--side", type=int, default=300, help="longer side that the images with keypoints are brought to")
    add("--source", default="selective_search", help="source of the boxes of --pairs")
    add("--boxes", type=int, default=1000, help="boxes of each image of --pairs")
    add("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    add("--growth", nargs="+", type=int, metavar="IMAGES", help="sizes instead of those of --size")
    add("--worker", type=int, help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.worker:
        growth_worker(options.worker)
        return
    work: dict[str, Callable[[], list[Row]]] = {
        "exact": lambda: measure_exact(options.size),
        "speed": lambda: measure_speed(options.size),
        "boxes": lambda: measure_boxes(options.size, options.data),
        "growth": lambda: measure_growth(options.growth or GROWTH[options.size]),
        "parts": lambda: measure_parts(options.data, options.size),
        "whitening": lambda: measure_whitening(options.data, options.size),
        "pairs": lambda: measure_pairs(options),
    }
    found = begin(options.json, options.size)
    for section in options.only:
        if (section == "pairs" and not options.pairs) or (section in NEED_DATA and not options.data):
            continue
        rows = work[section]()
        enter(found, section, options.size, rows)
        print(*rows, sep="\n")
        write(found, options.json)  # after each section: a run that is interrupted keeps what it has
    finish(found, options.json)


if __name__ == "__main__":
    main()
