"""Many runs and several machines: workers and throughput, what a cluster costs beside one process, a catalogue, wrong input.

Run with ``python benchmarks/scale.py --json FILE [--size quick|full] [--data DIR] [--part NAME ...]``. Workers are nodes of a
real Ray cluster on this machine, one core each: on fewer cores than nodes the throughput cannot grow, the overhead can be seen
all the same. With ``--data`` the time of each stage is measured on photographs, which is what docs/scale.md reckons with.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

import visual_summaries as vs
from visual_summaries.audit import Job, run_audit
from visual_summaries.demo import CLASS_NAMES, demo_network, render, sample_scene
from visual_summaries.index import write_index
from visual_summaries.pipeline.manifest import hardware, versions
from visual_summaries.results import Run

PARTS = ("engines", "faults", "audit", "index", "fuzz", "rates")
ROOT = Path(__file__).resolve().parent.parent
#: Seed of the first drawn image.
SEED = 50_000_000
#: Networks and class whose stages are timed.
RATES = ("mobilenetv1_050", "mobilenetv2_100", "bvlc_googlenet")
FOLDER, TARGET = "imagewoof320/258_Samoyed", 258


def drawn(count: int) -> list[Any]:
    return [render(sample_scene(1, seed=SEED + k)).image for k in range(count)]


def classifier() -> vs.Classifier:
    return vs.load_classifier(demo_network("tiny"), class_names=CLASS_NAMES)


def summarize(images: list[Any], **options: Any) -> tuple[Run, float]:
    start = time.perf_counter()
    run = vs.summarize(classifier(), images, 1, include_misclassified=True, **options)
    return run, time.perf_counter() - start


class Nodes:
    """A head that only keeps the books, and nodes of one core each."""

    def __init__(self, count: int) -> None:
        import ray
        from ray.cluster_utils import Cluster

        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        small = {"object_store_memory": 200 * 2**20}
        self.cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **small})
        self.nodes = [self.cluster.add_node(num_cpus=1, **small) for _ in range(count)]
        ray.init(self.cluster.address, log_to_driver=False, logging_level="ERROR", configure_logging=False)

    def workers(self) -> list[int]:
        """Return the process ids of the workers of all nodes."""
        raylets = {node.all_processes["raylet"][0].process.pid for node in self.nodes}
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                if parent in raylets and (folder / "cmdline").read_bytes().startswith(b"ray::"):
                    found.append(int(folder.name))
        return found

    def close(self) -> None:
        """End all of it."""
        import ray

        ray.shutdown()
        self.cluster.shutdown()


@contextmanager
def cluster(count: int) -> Iterator[Nodes]:
    nodes = Nodes(count)
    try:
        yield nodes
    finally:
        nodes.close()


def engines(size: str) -> Iterator[dict[str, Any]]:
    """Yield a row for each engine and number of workers: the same run, cold workers not counted."""
    images = drawn(4 if size == "quick" else 8)
    torch.set_num_threads(1)
    local, seconds = summarize(images)
    yield {
        "part": "engines",
        "engine": "local, 1 thread",
        "workers": 1,
        "seconds": seconds,
        "images_per_second": len(images) / seconds,
    }
    base = seconds
    for count in (1, 2, 4):
        with cluster(count):
            vs.summarize(
                classifier(), images[:3], 1, include_misclassified=True, engine="ray"
            )  # starts workers, loads libraries
            run, seconds = summarize(images, engine="ray")
        yield {
            "part": "engines",
            "engine": "ray",
            "workers": count,
            "seconds": seconds,
            "images_per_second": len(images) / seconds,
            "times_local": base / seconds,
            "overhead": seconds / base - 1 if count == 1 else None,
            "equal": replace(run, manifest={}) == replace(local, manifest={}),
        }


def faults(size: str) -> Iterator[dict[str, Any]]:
    """Yield a row for each kind of fault: how many were tried, how many runs came out the same all the same."""
    images = drawn(4)
    torch.set_num_threads(1)
    local, _ = summarize(images)
    stages = ("masks", "faithfulness", "similarity")
    tried = {"worker killed": 0, "node lost": 0}
    survived = dict(tried)
    for kind in tried:
        for stage in stages[: 1 if size == "quick" else len(stages)]:
            with cluster(2) as nodes:
                struck: list[str] = []

                def progress(
                    name: str,
                    done: int,
                    total: int,
                    stage: str = stage,
                    kind: str = kind,
                    nodes: Any = nodes,
                    struck: Any = struck,
                ) -> None:
                    if name == stage and 0 < done < total and not struck:
                        struck.append(name)
                        if kind == "node lost":
                            nodes.cluster.remove_node(nodes.nodes.pop(), allow_graceful=False)
                        else:
                            for pid in nodes.workers():
                                os.kill(pid, signal.SIGKILL)

                run, _ = summarize(images, engine="ray", progress=progress)
                if struck:
                    tried[kind] += 1
                    survived[kind] += replace(run, manifest={}) == replace(local, manifest={})
    for kind in tried:
        yield {"part": "faults", "fault": kind, "tried": tried[kind], "survived": survived[kind]}


def audit(size: str) -> Iterator[dict[str, Any]]:
    """Yield a row for each way of giving two cores to four runs."""
    import PIL.Image

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        nets = folder / "nets.py"
        nets.write_text("from visual_summaries.demo import demo_network\n\ndef tiny():\n    return demo_network('tiny')\n")
        (folder / "images").mkdir()
        for number, image in enumerate(drawn(4 if size == "quick" else 8)):
            PIL.Image.fromarray(image).save(folder / "images" / f"{number}.png")
        for workers, threads in ((1, 2), (2, 1)):
            jobs = [
                Job(
                    f"{nets}:tiny",
                    str(folder / "images"),
                    str(folder / f"{workers}" / str(k)),
                    1,
                    "x",
                    include_misclassified=True,
                )
                for k in range(2 if size == "quick" else 4)
            ]
            start = time.perf_counter()
            outcomes = run_audit(jobs, workers=workers, cpus_per_job=threads)
            failed = [outcome.error for outcome in outcomes if outcome.state != "done"]
            assert not failed, failed
            seconds = time.perf_counter() - start
            yield {
                "part": "audit",
                "processes": workers,
                "threads": threads,
                "runs": len(jobs),
                "seconds": seconds,
                "seconds_per_run": seconds / len(jobs),
            }


def manifests(folder: Path, count: int) -> None:
    """Write what a catalogue reads of `count` runs, as large as a run of 100 images has it."""
    regions = [
        {
            "index": k,
            "image": k % 100,
            "box": [10, 20, 90, 120],
            "salient_share": 0.8,
            "contribution": 0.5,
            "drop": 0.4,
            "distinctiveness": 1.25,
        }
        for k in range(400)
    ]
    for number in range(count):
        path = folder / f"net{number % 3}" / f"{number:04d}"
        path.mkdir(parents=True)
        manifest = {
            "format": 1,
            "created": f"2026-{1 + number % 12:02d}-{1 + number % 28:02d}T10:00:00+00:00",
            "classifier": {"spec": f"timm/network_{number % 3}"},
            "target": {"index": number, "name": f"class {number}"},
            "accuracy": {"correct": number % 101, "total": 100},
            "counts": {"images": 100, "skipped": 1, "rejected": 2},
            "faithfulness": {"deletion": [0.1, 0.6], "insertion": [0.7, 0.4]},
            "warnings": {"weak": number % 4},
            "timings": {"masks": 12.5},
        }
        summaries = [
            {"index": k, "importance": (number * 7 + k * 13) % 100 / 100, "cluster": list(range(12)), "members": []}
            for k in range(8)
        ]
        (path / "manifest.json").write_text(json.dumps(manifest, indent=1))
        (path / "run.json").write_text(json.dumps({"regions": regions, "summaries": summaries}, indent=1))
        (path / "report.html").touch()


def index(size: str) -> Iterator[dict[str, Any]]:
    """Yield a row for each number of runs: time to write the catalogue, and to open, sort and search it in a browser."""
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("VISUAL_SUMMARIES_CHROMIUM", "chromium")
    for count in (100,) if size == "quick" else (100, 1000):
        with tempfile.TemporaryDirectory() as name:
            manifests(Path(name), count)
            start = time.perf_counter()
            written = write_index(name)
            seconds = time.perf_counter() - start
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=_which(chromium), args=["--no-sandbox", "--disable-gpu"])
                page = browser.new_page(viewport={"width": 1280, "height": 800})
                page.goto("about:blank")
                opened = _seconds(
                    lambda page=page, written=written: (page.goto(written.page.as_uri()), page.evaluate(_PAINTED))
                )
                sort = _seconds(lambda page=page: (page.click("button[data-key=accuracy]"), page.evaluate(_PAINTED)))
                search = _seconds(lambda page=page: (page.fill("#search", "class 9"), page.evaluate(_PAINTED)))
                browser.close()
            yield {
                "part": "index",
                "runs_listed": count,
                "write_s": seconds,
                "open_s": opened,
                "sort_s": sort,
                "search_s": search,
                "page_mib": written.page.stat().st_size / 2**20,
            }


#: Answers when what was changed has been drawn.
_PAINTED = "() => new Promise(done => requestAnimationFrame(() => setTimeout(done, 0)))"


def _which(name: str) -> str:
    import shutil

    return shutil.which(name) or name


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def fuzz(size: str) -> Iterator[dict[str, Any]]:
    """Yield a row for each kind of input."""
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "fuzz.json"
        count = "600" if size == "quick" else "12000"
        command = [sys.executable, str(ROOT / "tests" / "fuzzing.py"), "--count", count, "--json", str(out)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 - our own
        for row in json.loads(out.read_text())["rows"]:
            yield {"part": "fuzz", **{("input" if key == "kind" else key): value for key, value in row.items()}}


def rates(size: str, data: Path | None) -> Iterator[dict[str, Any]]:
    """Yield the time of each stage of a run of photographs, per image and per pair of images."""
    if data is None:
        return
    torch.set_num_threads(os.cpu_count() or 1)
    count = 8 if size == "quick" else 20
    for name in RATES[: 1 if size == "quick" else None]:
        network = vs.load_classifier(f"{data / 'weights' / 'nets.py'}:{name}")
        start = time.perf_counter()
        run = vs.summarize(network, data / "images" / FOLDER, TARGET, max_images=count)
        seconds = time.perf_counter() - start
        timings = run.manifest["timings"]
        pairs = count * (count - 1) / 2
        once = {stage: value for stage, value in timings.items() if stage != "similarity"}
        yield {
            "part": "rates",
            "network": name,
            "images": count,
            "run_s": seconds,
            **{f"{stage}_s_per_image": value / count for stage, value in once.items()},
            "similarity_s_per_pair": timings["similarity"] / pairs,
            "image_s": sum(once.values()) / count,
            "hundred_images_min": (sum(once.values()) / count * 100 + timings["similarity"] / pairs * 4950) / 60,
        }


def reckoning(masks: dict[str, Any], flow: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what 1,000 classes of 100 images cost with three networks, reckoned from the committed rates of masks and flow."""
    rates = [row["default"]["seconds_per_image"] for row in masks["rows"] if "default" in row]
    boxes = next(row for row in flow["rows"] if row["section"] == "boxes")
    pair = next(row for row in flow["rows"] if row.get("operation") == "compare_all_per_pair_both_directions")
    share = boxes["mean_seconds_proposals"] / (boxes["mean_seconds_proposals"] + boxes["mean_seconds_descriptors"])
    parts = {
        "masks": 100 * sum(rates) / len(rates),
        "boxes": boxes["seconds_per_100_images"] * share,
        "descriptors": boxes["seconds_per_100_images"] * (1 - share),
        "comparison": 4950 * pair["milliseconds"] / 1000,
    }
    run = sum(parts.values())
    cores = flow["hardware"]["cores"]
    for stage, seconds in {**parts, "together": run}.items():
        yield {"part": "reckoning", "stage": stage, "seconds_per_run": seconds, "hours_of_3000": seconds * 3000 / 3600}
    for machine, factor, basis in (
        (f"1 of {cores} cores", 1.0, "rates measured"),
        (f"1 of 64 cores, {64 // cores} runs at a time", cores / 64, "the same for each core; not measured"),
        ("16 of 64 cores", cores / 1024, "the same for each core; not measured"),
        (f"1 of {cores} cores with a card that makes all but the boxes free", parts["boxes"] / run, "a bound; not measured"),
    ):
        hours = run * 3000 / 3600 * factor
        yield {"part": "reckoning", "machine": machine, "hours": hours, "days": hours / 24, "basis": basis}


def bars(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return each figure that was asked for beside its bound."""

    def bar(name: str, value: float, sense: str, bound: float) -> dict[str, Any]:
        holds = {"<=": value <= bound, ">=": value >= bound}[sense]
        return {"name": name, "value": value, "bound": bound, "sense": sense, "holds": holds}

    found = []
    of = {part: [row for row in rows if row["part"] == part] for part in PARTS}
    for row in of["index"]:
        if row["runs_listed"] == 1000:
            found.append(bar("seconds to open a catalogue of 1,000 runs in the browser", row["open_s"], "<=", 2))
    if of["fuzz"]:
        found.append(bar("inputs fuzzed", sum(row["inputs"] for row in of["fuzz"]), ">=", 10_000))
        found.append(
            bar("inputs that gave neither a result nor a typed error", sum(row["failures"] for row in of["fuzz"]), "<=", 0)
        )
    if of["faults"]:
        lost = sum(row["tried"] - row["survived"] for row in of["faults"])
        found.append(bar("runs lost or changed by a killed worker or a lost node", lost, "<=", 0))
    if of["engines"]:
        unequal = sum(not row.get("equal", True) for row in of["engines"])
        found.append(bar("runs on a cluster that differ from the local one", unequal, "<=", 0))
    return found


def summary(rows: list[dict[str, Any]], size: str) -> dict[str, Any]:
    committed = (json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text()) for name in ("masks", "flow"))
    every = [*(row for row in rows if row["part"] != "reckoning"), *reckoning(*committed)]
    every.sort(key=lambda row: [*PARTS, "reckoning"].index(row["part"]))
    return {
        "benchmark": "scale",
        "size": size,
        "hardware": hardware(torch.device("cpu")) | {"load_at_start": os.getloadavg()[0]},
        "versions": versions(),
        "settings": {"network": "demo tiny", "class": 1, "node_cores": 1},
        "rows": every,
        "bars": bars(every),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--size", choices=("quick", "full"), default="quick")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--part", choices=PARTS, nargs="*", default=PARTS, help="rows of other parts in the file are kept")
    arguments = parser.parse_args()
    kept = json.loads(arguments.json.read_text())["rows"] if arguments.json and arguments.json.is_file() else []
    rows = [row for row in kept if row["part"] not in arguments.part]
    result: dict[str, Any] = {}
    for part in arguments.part:
        extra = (arguments.data,) if part == "rates" else ()
        for row in globals()[part](arguments.size, *extra):
            print(row, flush=True)
            rows.append(row)
        result = summary(rows, arguments.size)
        if arguments.json:  # after each part: one that fails takes no other along
            arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    for bar in result["bars"]:
        print(f"{'holds' if bar['holds'] else 'MISSED'}: {bar['name']}: {bar['value']:.4g} ({bar['sense']} {bar['bound']})")


if __name__ == "__main__":
    main()
