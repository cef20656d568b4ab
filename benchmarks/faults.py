"""Faults: runs that are killed, damaged, starved of disk and memory, locked, interrupted - how many were tried and survived.

Run with ``python benchmarks/faults.py --json FILE``; ``--only WORDS`` tries the scenarios whose name has these words. Ends
with exit code 1 when something was not survived. The scenarios are those of ``tests/fault_scenarios.py``. Small disks are
mounted, which needs the right to do so (root); without it that row is left out and says so.
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

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import fault_scenarios  # noqa: E402 - found only now
from faults import draw_images, fresh, run, start  # noqa: E402
from visual_summaries.pipeline.manifest import versions  # noqa: E402


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


def main() -> int:
    """Try all scenarios and write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--size", choices=("quick", "full"), default="full", help="quick: one or two of each")
    parser.add_argument("--only", default="", help="scenarios whose name has these words")
    arguments = parser.parse_args()
    logging.getLogger("visual_summaries").setLevel(logging.ERROR)
    rows: list[dict[str, Any]] = []
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        world = fault_scenarios.World(folder / "world")
        for what, (scenario, given) in fault_scenarios.SCENARIOS.items():
            if arguments.only not in what:
                continue
            if scenario is fault_scenarios.disk_full and not fault_scenarios.can_mount(folder / "disk"):
                print(f"{what}: left out, mounting a small disk is not permitted here")
                continue
            if arguments.size == "quick" and given:
                given = (min(given[0], 2), *given[1:])
            start_of_scenario = time.perf_counter()
            outcome = scenario(world, *given)
            rows.append(
                {
                    "fault": what,
                    "tried": outcome.tried,
                    "survived": outcome.tried - min(outcome.tried, len(outcome.wrong)),
                    "seconds": round(time.perf_counter() - start_of_scenario, 1),
                    "wrong": outcome.wrong,
                    **outcome.facts,
                }
            )
            print(
                f"{what}: {rows[-1]['survived']} of {outcome.tried} survived {outcome.facts or ''}",
                *outcome.wrong,
                sep="\n  ",
                flush=True,
            )
        memory = {} if arguments.only else {count: peak_memory(folder, count) for count in (10, 40)}
    minutes = (time.perf_counter() - began) / 60
    tried, survived = sum(row["tried"] for row in rows), sum(row["survived"] for row in rows)
    bars = [bar("faults not survived", tried - survived, 0, "<=")]
    stops = [row["slowest stop in seconds"] for row in rows if "slowest stop in seconds" in row]
    if stops:
        bars.append(bar("slowest stop after Ctrl-C, seconds", max(stops), 2.0, "<="))
    kills = [row["kills by stage"] for row in rows if "kills by stage" in row]
    if kills and arguments.size == "full":
        bars.append(bar("kills at random moments", sum(kills[0].values()), 50, ">="))
        bars.append(bar("minutes for all", round(minutes, 1), 20, "<="))
    if memory:
        rows.append({"fault": "memory", "peak_mib_by_images": memory})
        growth = round((memory[40] - memory[10]) / 30, 2)
        bars.append(bar("memory for each further image, MiB", growth, 1.0, "<="))
    results = {
        "hardware": {"machine": platform.machine(), "cores": os.cpu_count(), "threads": torch.get_num_threads()},
        "versions": versions(),
        "settings": {"size": arguments.size, "images": 10},
        "rows": rows,
        "bars": bars,
    }
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"{survived} of {tried} survived in {minutes:.1f} minutes")
    return int(not all(one["holds"] for one in bars))


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
