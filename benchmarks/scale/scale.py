"""Many runs and several machines: workers and throughput, what a cluster costs beside one process, a catalog, wrong input.

    python benchmarks/scale/scale.py --json FILE [--size quick|full] [--data DIR] [--part NAME ...] [--resume]

Each part is made of steps of a few minutes at most; the file is written after each, and with --resume steps that are in it
stay. Workers are nodes of a real Ray cluster on this machine, one core each: on fewer cores than nodes the throughput cannot
grow, the overhead can be seen all the same. With --data the time of each stage is measured on photographs, which is what
docs/scale.md estimates with.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import visual_summaries as vs
from benchmarks.harness import RESULTS, Row, bar, finish, parser, pretrained, results, unfinished, write
from benchmarks.scale import fuzzing
from benchmarks.scale.clusters import Steps, audit, engines, faults, one_thread
from benchmarks.scale.estimate import estimate
from visual_summaries.pages.catalog import write_index
from visual_summaries.runs.directory import FORMAT

#: Networks and class whose stages are timed.
RATES = ("mobilenetv1_050", "mobilenetv2_100", "squeezenet1_1")
FOLDER, TARGET = "imagewoof320/258_Samoyed", 258
#: Inputs of a step.
FUZZED_AT_A_TIME = 1000
#: Images of a run whose stages are timed: as many as chance is measured on in a larger run, or more.
RATE_IMAGES = 16


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
    from benchmarks.scale.report import chromium

    def listed(count: int) -> list[Row]:
        with tempfile.TemporaryDirectory() as name:
            manifests(Path(name), count)
            start = time.perf_counter()
            written = write_index(name)
            seconds = time.perf_counter() - start
            with chromium() as browser:
                page = browser.new_page(viewport={"width": 1280, "height": 800})
                page.goto("about:blank")
                painted = partial(page.evaluate, _PAINTED)
                opened = _seconds(partial(page.goto, written.page.as_uri()), painted)
                sort = _seconds(partial(page.click, "button[data-key=accuracy]"), painted)
                search = _seconds(partial(page.fill, "#search", "class 9"), painted)
            mib = written.page.stat().st_size / 2**20
        row = {"runs_listed": count, "write_s": seconds, "open_s": opened, "sort_s": sort, "search_s": search}
        return [{**row, "page_mib": mib}]

    return {f"{count} runs": partial(listed, count) for count in ((100,) if size == "quick" else (100, 1000))}


#: Answers when what was changed has been drawn.
_PAINTED = "() => new Promise(done => requestAnimationFrame(() => setTimeout(done, 0)))"


def _seconds(*actions: Callable[[], object]) -> float:
    start = time.perf_counter()
    for action in actions:
        action()
    return time.perf_counter() - start


def fuzz(size: str, data: Path | None) -> Steps:
    """Mutated files of each kind: how many gave a result, how many a typed error, how many neither."""

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
    """Seconds of each stage of a run of photographs, on one thread as those of the masks that they are told beside."""

    def network(name: str) -> list[Row]:
        assert data is not None
        loaded = pretrained(name, data)
        start = time.perf_counter()
        with one_thread():
            run = vs.summarize(loaded, data / "images" / FOLDER, TARGET, max_images=RATE_IMAGES)
        row = {"network": name, "images": len(run.images), "regions": len(run.regions), "summaries": len(run.summaries)}
        return [{**row, "run_s": time.perf_counter() - start, "stages": run.info.timings}]

    return {} if data is None else {name: partial(network, name) for name in RATES[: 1 if size == "quick" else None]}


def bars_of(rows: list[Row]) -> list[Row]:
    """Return each figure that was asked for beside its bound."""
    of = {part: [row for row in rows if row["part"] == part] for part in PARTS}
    found = [
        bar("seconds to open a catalog of 1,000 runs in the browser", row["open_s"], 2, "<=")
        for row in of["index"]
        if row["runs_listed"] == 1000
    ]
    if of["fuzz"]:
        found.append(bar("inputs fuzzed", sum(row["inputs"] for row in of["fuzz"]), 10_000, ">="))
        failures = sum(row["failures"] for row in of["fuzz"])
        found.append(bar("inputs that gave neither a result nor a typed error", failures, 0, "<="))
    if of["faults"]:
        lost = sum(row["survived"] != 1 for row in of["faults"])
        found.append(bar("runs lost or changed by killed workers or a lost node, or not struck", lost, 0, "<="))
    if of["engines"]:
        differ = sum(not row["equal"] for row in of["engines"])
        found.append(bar("runs on a cluster that differ from the local one", differ, 0, "<="))
    return found


PARTS: dict[str, Callable[[str, Path | None], Steps]] = {
    "engines": engines,
    "faults": faults,
    "audit": audit,
    "index": index,
    "fuzz": fuzz,
    "rates": rates,
}


def result(rows: list[Row], size: str) -> Row:
    masks = json.loads((RESULTS / "masks.json").read_text(encoding="utf-8"))
    timed = [row for row in rows if row["part"] == "rates"]
    estimated = [{"part": "reckoning", "step": "reckoning", **row} for row in estimate(masks, timed)]
    measured = sorted((row for row in rows if row["part"] in PARTS), key=lambda row: [*PARTS].index(row["part"]))
    shown = [*measured, *fuzzed([row for row in measured if row["part"] == "fuzz"]), *estimated]
    settings = {"network": "demo tiny", "class": 1, "node_cores": 1, "photographs": FOLDER}
    found = results("scale", size, settings, shown, bars_of(measured))
    found["hardware"]["threads"] = "as the rows say"
    return found


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--part", choices=tuple(PARTS), nargs="*", default=list(PARTS), help="rows of other parts are kept")
    arguments.add_argument("--resume", action="store_true", help="keep the rows of steps that are in the file")
    options = arguments.parse_args()
    rows: list[Row] = (unfinished(options.json) or {"rows": []})["rows"]
    for part in options.part:
        for name, step in PARTS[part](options.size, options.data).items():
            mine = {"part": part, "step": name}
            there = [row for row in rows if mine.items() <= row.items()]
            if there and options.resume:
                continue
            start, load = time.perf_counter(), round(os.getloadavg()[0], 1)
            new = [{**mine, **row, "load_before": load} for row in step()]
            print(f"{part}, {name}: {time.perf_counter() - start:.0f} s", *new, sep="\n  ", flush=True)
            rows = [row for row in rows if row not in there] + new
            write(result(rows, options.size), options.json)  # after each step: one that fails takes no other along
    finish(result(rows, options.size), options.json)


if __name__ == "__main__":
    main()
