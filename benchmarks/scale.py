"""Many runs and several machines: workers and throughput, what a cluster costs beside one process, a catalog, wrong input.

    python benchmarks/scale.py --json FILE [--size quick|full] [--data DIR] [--part NAME ...] [--resume]

Each part is made of steps of a few minutes at most; the file is written after each, and with --resume steps that are in it
stay. Workers are nodes of a real Ray cluster on this machine, one core each: on fewer cores than nodes the throughput cannot
grow, the overhead can be seen all the same. With --data the time of each stage is measured on photographs, which is what
docs/scale.md reckons with.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

import visual_summaries as vs
from visual_summaries.batch.jobs import Job
from visual_summaries.batch.work import run_jobs
from visual_summaries.birds.render import render
from visual_summaries.birds.scene import sample_scene
from visual_summaries.birds.world import CLASS_NAMES
from visual_summaries.demo import demo_network
from visual_summaries.pages.catalog import write_index
from visual_summaries.results import Run
from visual_summaries.runs.directory import FORMAT
from visual_summaries.runs.manifest import hardware, versions

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))  # ray_nodes.py, fuzzing.py

if TYPE_CHECKING:
    from ray_nodes import Nodes

Row = dict[str, Any]
#: What there is to do in a part, by name; each gives rows.
Steps = dict[str, Callable[[], list[Row]]]

#: Seed of the first drawn image.
SEED = 50_000_000
#: Networks and class whose stages are timed.
RATES = ("mobilenetv1_050", "mobilenetv2_100", "squeezenet1_1")
FOLDER, TARGET = "imagewoof320/258_Samoyed", 258
#: Inputs of a step.
FUZZED_AT_A_TIME = 1000
#: Images of a run whose stages are timed: as many as chance is measured on in a larger run, or more.
RATE_IMAGES = 16


def drawn(count: int) -> list[Any]:
    return [render(sample_scene(1, seed=SEED + k)).image for k in range(count)]


def classifier() -> vs.Classifier:
    return vs.load_classifier(demo_network("tiny"), class_names=CLASS_NAMES)


def settings() -> vs.Settings:
    """Return the default, one image a batch, so that masks can be shared out.

    In single precision: which precision is fastest is measured, and two runs may find different ones.
    """
    base = vs.preset("default")
    return replace(base, masks=replace(base.masks, precision="float32", batch_size=1))


def summarize(images: list[Any], **options: Any) -> tuple[Run, float]:
    start = time.perf_counter()
    run = vs.summarize(classifier(), images, 1, include_misclassified=True, settings=settings(), **options)
    return run, time.perf_counter() - start


def equal(a: Run, b: Run) -> bool:
    return replace(a, manifest={}) == replace(b, manifest={})


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this process on one core, where the system can do that; PyTorch has one thread from now on."""
    torch.set_num_threads(1)
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


@contextmanager
def cluster(count: int) -> Iterator[Nodes]:
    from ray_nodes import Nodes

    nodes = Nodes(count)
    try:
        yield nodes
    finally:
        nodes.close()


def engines(size: str, data: Path | None) -> Steps:
    """One run on so many workers beside the same run in this process on one core; cold workers are not counted."""

    def workers(count: int) -> list[Row]:
        images = drawn(4 if size == "quick" else 24)
        with one_core():
            local, seconds = summarize(images)
        with cluster(count):
            summarize(images[:3], engine="ray")  # starts workers, loads libraries
            run, on_cluster = summarize(images, engine="ray")
        return [
            {
                "workers": count,
                "images": len(images),
                "local_s": seconds,
                "ray_s": on_cluster,
                "images_per_second": len(images) / on_cluster,
                "times_local": seconds / on_cluster,
                "overhead_percent": 100 * (on_cluster / seconds - 1) if count == 1 else None,
                "equal": equal(run, local),
            }
        ]

    return {f"{count} workers": partial(workers, count) for count in (1, 2, 4)}


def faults(size: str, data: Path | None) -> Steps:
    """Workers killed and nodes lost in the middle of a stage: whether the run comes out the same."""

    def strike(kind: str, stage: str) -> list[Row]:
        images = drawn(4)
        torch.set_num_threads(1)
        local, _ = summarize(images)
        struck: list[str] = []
        with cluster(2) as nodes:

            def progress(name: str, done: int, total: int) -> None:
                if name == stage and 0 < done < total and not struck:
                    struck.append(name)
                    if kind == "node lost":
                        nodes.lose()
                    else:
                        for pid in nodes.workers():
                            os.kill(pid, signal.SIGKILL)

            run, seconds = summarize(images, engine="ray", progress=progress)
        row = {"fault": kind, "stage": stage, "tried": len(struck), "survived": int(bool(struck) and equal(run, local))}
        return [{**row, "seconds": seconds}]

    stages = ("faithfulness",) if size == "quick" else ("faithfulness", "importance")
    return {f"{kind}, {stage}": partial(strike, kind, stage) for kind in ("workers killed", "node lost") for stage in stages}


def audit(size: str, data: Path | None) -> Steps:
    """Four runs by so many processes, or as tasks of so many nodes."""
    import PIL.Image

    def runs(name: str, workers: int, threads: int) -> list[Row]:
        with tempfile.TemporaryDirectory() as folder:
            nets, images = Path(folder) / "nets.py", Path(folder) / "images"
            nets.write_text("from visual_summaries.demo import demo_network\n\ndef tiny():\n    return demo_network('tiny')\n")
            images.mkdir()
            for number, image in enumerate(drawn(4)):
                PIL.Image.fromarray(image).save(images / f"{number}.png")
            jobs = [
                Job(f"{nets}:tiny", str(images), f"{folder}/runs/{k}", "1", include_misclassified=True)
                for k in range(2 if size == "quick" else 4)
            ]
            start = time.perf_counter()
            if name == "processes":
                results = list(run_jobs(jobs, workers=workers))
            else:
                with cluster(workers):
                    start = time.perf_counter()
                    results = list(run_jobs(jobs, engine="ray"))
            seconds = time.perf_counter() - start
        failed = [result.error for result in results if result.state != "done"]
        assert not failed, failed
        row = {"how": f"{workers} {name}", "threads": threads, "runs": len(jobs), "seconds": seconds}
        return [{**row, "seconds_per_run": seconds / len(jobs)}]

    ways = (("processes", 1, 2), ("processes", 2, 1), ("nodes", 1, 1), ("nodes", 2, 1))
    return {f"{workers} {name}": partial(runs, name, workers, threads) for name, workers, threads in ways}


def manifests(folder: Path, count: int) -> None:
    """Write what a catalog reads of `count` runs, as large as a run of 100 images has it."""
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
            "format": FORMAT,
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


def index(size: str, data: Path | None) -> Steps:
    """Time to write a catalog of so many runs, and to open, sort and search it in a browser."""
    from playwright.sync_api import sync_playwright

    def listed(count: int) -> list[Row]:
        chromium = os.environ.get("VISUAL_SUMMARIES_CHROMIUM", "chromium")
        with tempfile.TemporaryDirectory() as name:
            manifests(Path(name), count)
            start = time.perf_counter()
            written = write_index(name)
            seconds = time.perf_counter() - start
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=_which(chromium), args=["--no-sandbox", "--disable-gpu"])
                page = browser.new_page(viewport={"width": 1280, "height": 800})
                page.goto("about:blank")
                opened = _seconds(lambda: (page.goto(written.page.as_uri()), page.evaluate(_PAINTED)))
                sort = _seconds(lambda: (page.click("button[data-key=accuracy]"), page.evaluate(_PAINTED)))
                search = _seconds(lambda: (page.fill("#search", "class 9"), page.evaluate(_PAINTED)))
                browser.close()
            mib = written.page.stat().st_size / 2**20
        row = {"runs_listed": count, "write_s": seconds, "open_s": opened, "sort_s": sort, "search_s": search}
        return [{**row, "page_mib": mib}]

    return {f"{count} runs": partial(listed, count) for count in ((100,) if size == "quick" else (100, 1000))}


#: Answers when what was changed has been drawn.
_PAINTED = "() => new Promise(done => requestAnimationFrame(() => setTimeout(done, 0)))"


def _which(name: str) -> str:
    import shutil

    return shutil.which(name) or name


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def fuzz(size: str, data: Path | None) -> Steps:
    """Mutated files of each kind: how many gave a result, how many a typed error, how many neither."""
    import fuzzing

    def some(kind: str, start: int, count: int) -> list[Row]:
        with warnings.catch_warnings(action="ignore"):  # libraries warn of what was mutated
            tally = fuzzing.fuzz(kind, count, start=start)
        print(*tally.failures, sep="\n", end="")
        row = {"input": kind, "inputs": tally.inputs, "accepted": tally.accepted, "typed_errors": sum(tally.errors.values())}
        return [{**row, "failures": len(tally.failures), "slowest_s": round(tally.slowest, 3)}]

    steps: Steps = {}
    for kind, count in fuzzing.shares(600 if size == "quick" else 12000).items():
        for start in range(0, count, FUZZED_AT_A_TIME):
            steps[f"{kind} from {start}"] = partial(some, kind, start, min(FUZZED_AT_A_TIME, count - start))
    return steps


def fuzzed(rows: list[Row]) -> Iterator[Row]:
    """Yield a row for each kind of input, all steps together."""
    for kind in dict.fromkeys(row["input"] for row in rows):
        own = [row for row in rows if row["input"] == kind]
        counts = {name: sum(row[name] for row in own) for name in ("inputs", "accepted", "typed_errors", "failures")}
        yield {"part": "fuzzed", "input": kind, **counts, "slowest_s": max(row["slowest_s"] for row in own)}


def rates(size: str, data: Path | None) -> Steps:
    """Seconds of each stage of a run of photographs."""

    def network(name: str) -> list[Row]:
        assert data is not None
        torch.set_num_threads(os.cpu_count() or 1)
        loaded = vs.load_classifier(f"{data / 'weights' / 'nets.py'}:{name}")
        start = time.perf_counter()
        run = vs.summarize(loaded, data / "images" / FOLDER, TARGET, max_images=RATE_IMAGES)
        row = {"network": name, "images": len(run.images), "regions": len(run.regions), "summaries": len(run.summaries)}
        return [{**row, "run_s": time.perf_counter() - start, "stages": run.info.timings}]

    return {} if data is None else {name: partial(network, name) for name in RATES[: 1 if size == "quick" else None]}


#: Stages of a run that no other benchmark times, and what their time grows with: images, or not at all beyond RATE_IMAGES
#: (what is found on a bounded number of cells, or measured on a few images).
GROWS = {
    "images": "images",
    "faithfulness": "images",
    "parts": "images",
    "descriptors": "images",
    "summaries": "images",
    "importance": "images",
    "stability": "once",
    "together": "images",
    "joint": "once",
    "chance": "once",
}
#: Stages that a card does not make faster: grouping, boxes and dense flow are done on the processor.
ON_CPU = ("parts", "summaries")


def reckoning(masks: dict[str, Any], timed: list[Row]) -> Iterator[Row]:
    """Yield what 1,000 classes of 100 images cost with three networks, from the rates of masks and of other stages."""
    rates = {row["network"]: row["default"]["seconds_per_image"] for row in masks["rows"] if "default" in row}
    stages = {"masks": 100 * sum(rates.values()) / len(rates)}
    for row in timed:  # other stages by their ratio to the masks of the same run: the machine may have been busy
        row["times_as_slow"] = row["stages"]["masks"] / (row["images"] * rates[row["network"]])
    for stage, grows in GROWS.items() if timed else ():
        growth = [100 / row["images"] if grows == "images" else 1 for row in timed]
        seconds = [row["stages"].get(stage, 0.0) / row["times_as_slow"] for row in timed]
        stages[stage] = sum(a * b for a, b in zip(seconds, growth, strict=True)) / len(timed)
    run = sum(stages.values())
    cores = masks["hardware"]["cores"]
    for stage, seconds in {**stages, "whole run": run}.items():
        yield {
            "stage": stage,
            "from": f"rates, by {GROWS[stage]}" if stage in GROWS else "masks.json" if stage == "masks" else None,
            "seconds_per_run": seconds,
            "hours_of_3000": seconds * 3000 / 3600,
        }
    on_cpu = sum(stages.get(stage, 0.0) for stage in ON_CPU)
    for machine, factor, basis in (
        (f"1 of {cores} cores", 1.0, "rates measured"),
        (f"1 of 64 cores, {64 // cores} runs at a time", cores / 64, "the same for each core; not measured"),
        ("16 of 64 cores", cores / 1024, "the same for each core; not measured"),
        (
            f"1 of {cores} cores with a card that makes all but {' and '.join(ON_CPU)} free",
            on_cpu / run,
            "a bound; not measured",
        ),
    ):
        hours = run * 3000 / 3600 * factor
        yield {"machine": machine, "hours": hours, "days": hours / 24, "basis": basis}


def bars(rows: list[Row]) -> list[dict[str, Any]]:
    """Return each figure that was asked for beside its bound."""

    def bar(name: str, value: float, sense: str, bound: float) -> dict[str, Any]:
        holds = {"<=": value <= bound, ">=": value >= bound}[sense]
        return {"name": name, "value": value, "bound": bound, "sense": sense, "holds": holds}

    found = []
    of = {part: [row for row in rows if row["part"] == part] for part in PARTS}
    for row in of["index"]:
        if row["runs_listed"] == 1000:
            found.append(bar("seconds to open a catalog of 1,000 runs in the browser", row["open_s"], "<=", 2))
    if of["fuzz"]:
        found.append(bar("inputs fuzzed", sum(row["inputs"] for row in of["fuzz"]), ">=", 10_000))
        failures = sum(row["failures"] for row in of["fuzz"])
        found.append(bar("inputs that gave neither a result nor a typed error", failures, "<=", 0))
    if of["faults"]:
        lost = sum(row["survived"] != 1 for row in of["faults"])
        found.append(bar("runs lost or changed by killed workers or a lost node, or not struck", lost, "<=", 0))
    if of["engines"]:
        found.append(
            bar("runs on a cluster that differ from the local one", sum(not row["equal"] for row in of["engines"]), "<=", 0)
        )
    return found


PARTS: dict[str, Callable[[str, Path | None], Steps]] = {
    "engines": engines,
    "faults": faults,
    "audit": audit,
    "index": index,
    "fuzz": fuzz,
    "rates": rates,
}


def result(rows: list[Row], size: str) -> dict[str, Any]:
    masks = json.loads((ROOT / "benchmarks" / "results" / "masks.json").read_text())
    timed = [row for row in rows if row["part"] == "rates" and "parts" in row["stages"]]  # not those of the former default
    reckoned = [{"part": "reckoning", "step": "reckoning", **row} for row in reckoning(masks, timed)]
    measured = sorted((row for row in rows if row["part"] in PARTS), key=lambda row: [*PARTS].index(row["part"]))
    return {
        "benchmark": "scale",
        "size": size,
        "hardware": hardware(torch.device("cpu")) | {"threads": "as the rows say"},
        "versions": versions(),
        "settings": {"network": "demo tiny", "class": 1, "node_cores": 1, "photographs": FOLDER},
        "rows": [*measured, *fuzzed([row for row in measured if row["part"] == "fuzz"]), *reckoned],
        "bars": bars(measured),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--size", choices=("quick", "full"), default="quick")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--part", choices=tuple(PARTS), nargs="*", default=list(PARTS), help="rows of other parts are kept")
    parser.add_argument("--resume", action="store_true", help="keep the rows of steps that are in the file")
    arguments = parser.parse_args()
    rows: list[Row] = json.loads(arguments.json.read_text())["rows"] if arguments.json and arguments.json.is_file() else []
    for part in arguments.part:
        for name, step in PARTS[part](arguments.size, arguments.data).items():
            mine = {"part": part, "step": name}
            there = [row for row in rows if mine.items() <= row.items()]
            if there and arguments.resume:
                continue
            start, load = time.perf_counter(), round(os.getloadavg()[0], 1)
            new = [{**mine, **row, "load_before": load} for row in step()]
            print(f"{part}, {name}: {time.perf_counter() - start:.0f} s", *new, sep="\n  ", flush=True)
            rows = [row for row in rows if row not in there] + new
            if arguments.json:  # after each step: one that fails takes no other along
                arguments.json.write_text(json.dumps(result(rows, arguments.size), indent=1) + "\n")
    for bar in bars([row for row in rows if row["part"] in PARTS]):
        print(f"{'holds' if bar['holds'] else 'MISSED'}: {bar['name']}: {bar['value']:.4g} ({bar['sense']} {bar['bound']})")


if __name__ == "__main__":
    main()
