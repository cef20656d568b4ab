"""Faults: runs that are killed, damaged, starved of disk and memory, locked, interrupted - how many were tried and survived.

Run with ``python benchmarks/faults.py --json FILE``; ``--only WORDS`` tries the scenarios whose name has these words, and with
``--resume`` rows that are in the file stay. Ends with exit code 1 when something was not survived. The scenarios are those of
``tests/fault_scenarios.py``. Small disks are mounted, which needs the right to do so (root); without it that row is left out
and says so.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from visual_summaries.runs.manifest import versions

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import fault_scenarios  # noqa: E402 - found only now
from faults import draw_images, fresh, run, start  # noqa: E402

#: Name of the row that tells of memory.
MEMORY = "memory"


def peak_memory(folder: Path, count: int) -> float:
    """Return the peak memory in MiB of the run on so many images, in a process of its own."""
    images, out = folder / f"images{count}", fresh(folder / "memory")
    draw_images(images, count)
    child = start(lambda progress: run(images, out, progress=progress), folder / "log.txt")
    list(child.lines())
    if child.wait():
        raise SystemExit((folder / "log.txt").read_text(encoding="utf-8"))
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    return float(manifest["peak_memory_mib"])


def try_scenario(world: fault_scenarios.World, what: str, size: str) -> dict[str, Any]:
    """Return the row of a scenario."""
    scenario, given = fault_scenarios.SCENARIOS[what]
    if size == "quick" and given:
        given = (min(given[0], 2), *given[1:])
    began = time.perf_counter()
    outcome = scenario(world, *given)
    return {
        "fault": what,
        "tried": outcome.tried,
        "survived": outcome.tried - min(outcome.tried, len(outcome.wrong)),
        "seconds": round(time.perf_counter() - began, 1),
        "wrong": outcome.wrong,
        **outcome.facts,
    }


def try_memory(folder: Path) -> dict[str, Any]:
    """Return the row that tells how the peak memory of a run grows with its images."""
    began = time.perf_counter()
    peaks = {str(count): peak_memory(folder, count) for count in (10, 40)}
    return {"fault": MEMORY, "peak_mib_by_images": peaks, "seconds": round(time.perf_counter() - began, 1)}


def bars_of(rows: list[dict[str, Any]], size: str) -> list[dict[str, Any]]:
    """Return each figure that was asked for beside its bound."""
    bars = [bar("faults not survived", sum(row["tried"] - row["survived"] for row in rows if "tried" in row), 0, "<=")]
    stops = [row["slowest stop in seconds"] for row in rows if "slowest stop in seconds" in row]
    if stops:
        bars.append(bar("slowest stop after Ctrl-C, seconds", max(stops), 2.0, "<="))
    kills = [row["kills by stage"] for row in rows if "kills by stage" in row]
    if kills and size == "full":
        bars.append(bar("kills at random moments", sum(kills[0].values()), 50, ">="))
        bars.append(bar("minutes for all", round(sum(row["seconds"] for row in rows) / 60, 1), 20, "<="))
    for row in rows:
        if row["fault"] == MEMORY:
            peaks = row["peak_mib_by_images"]
            bars.append(bar("memory for each further image, MiB", round((peaks["40"] - peaks["10"]) / 30, 2), 1.0, "<="))
    return bars


def main() -> int:
    """Try all scenarios and write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--size", choices=("quick", "full"), default="full", help="quick: one or two of each")
    parser.add_argument("--only", default="", help="scenarios whose name has these words")
    parser.add_argument("--resume", action="store_true", help="keep the rows that are in the file")
    arguments = parser.parse_args()
    logging.getLogger("visual_summaries").setLevel(logging.ERROR)
    there: dict[str, dict[str, Any]] = {}
    if arguments.resume and arguments.json and arguments.json.is_file():
        there = {row["fault"]: row for row in json.loads(arguments.json.read_text(encoding="utf-8"))["rows"]}
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        world: fault_scenarios.World | None = None
        for what in (*fault_scenarios.SCENARIOS, MEMORY):
            if what in there:
                rows.append(there[what])
                continue
            if arguments.only not in what:
                continue
            if what == "disk full" and not fault_scenarios.can_mount(folder / "disk"):
                print(f"{what}: left out, mounting a small disk is not permitted here")
                continue
            world = world or fault_scenarios.World(folder / "world")
            rows.append(try_memory(folder) if what == MEMORY else try_scenario(world, what, arguments.size))
            print(rows[-1], flush=True)
            if arguments.json:  # after each: a run of this that is stopped goes on with --resume
                arguments.json.write_text(json.dumps(result(rows, arguments.size), indent=1) + "\n", encoding="utf-8")
    bars = bars_of(rows, arguments.size)
    for one in bars:
        print(f"{'holds' if one['holds'] else 'MISSED'}: {one['name']}: {one['value']} ({one['sense']} {one['bound']})")
    return int(not all(one["holds"] for one in bars))


def result(rows: list[dict[str, Any]], size: str) -> dict[str, Any]:
    """Return what is written: rows and bars, and where they were measured."""
    return {
        "hardware": {"machine": platform.machine(), "cores": os.cpu_count(), "threads": torch.get_num_threads()},
        "versions": versions(),
        "settings": {"size": size, "images": 10},
        "rows": rows,
        "bars": bars_of(rows, size),
    }


def bar(name: str, value: float, bound: float, sense: str) -> dict[str, Any]:
    """Return a figure with its bound, and whether it holds."""
    return {
        "name": name,
        "value": value,
        "bound": bound,
        "sense": sense,
        "holds": value <= bound if sense == "<=" else value >= bound,
    }


if __name__ == "__main__":
    sys.exit(main())
