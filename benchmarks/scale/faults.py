"""Faults: runs that are killed, damaged, starved of disk and memory, locked, interrupted - how many were tried and survived.

Run with ``python benchmarks/scale/faults.py --json FILE [--size quick|full]``; ``--only WORDS`` tries the scenarios whose name
has these words, and with ``--resume`` rows that are in the file stay. Ends with exit code 1 when something was not survived.
The scenarios are those of ``fault_scenarios.py``. Small disks are mounted, which needs the right to do so (root); without it
that row is left out and says so.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.harness import Row, bar, finish, parser, results, unfinished, write
from benchmarks.scale import fault_scenarios
from benchmarks.scale.fault_run import World, draw_images, fresh, run, start

#: Name of the row that tells of memory.
MEMORY = "memory"
COUNTS = (40, 80)


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


def try_scenario(world: World, what: str, size: str) -> Row:
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


def try_memory(folder: Path) -> Row:
    """Return the row that tells how the peak memory of a run grows with its images.

    With fewer images than these, batches and the sample of cells that parts are found on are not yet full.
    """
    began = time.perf_counter()
    peaks = {str(count): peak_memory(folder, count) for count in COUNTS}
    return {"fault": MEMORY, "peak_mib_by_images": peaks, "seconds": round(time.perf_counter() - began, 1)}


def bars_of(rows: list[Row], size: str) -> list[Row]:
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
            few, many = (row["peak_mib_by_images"][str(count)] for count in COUNTS)
            each = round((many - few) / (COUNTS[1] - COUNTS[0]), 2)
            bars.append(bar("memory for each further image, MiB", each, 1.0, "<="))
    return bars


def result(rows: list[Row], size: str) -> Row:
    """Return what is written."""
    return results("faults", size, {"images": 10}, rows, bars_of(rows, size))


def main() -> int:
    """Try all scenarios and write what came of it."""
    arguments = parser(__doc__, "one or two of each", "all, 50 kills")
    arguments.add_argument("--only", default="", help="scenarios whose name has these words")
    arguments.add_argument("--resume", action="store_true", help="keep the rows that are in the file")
    options = arguments.parse_args()
    logging.getLogger("visual_summaries").setLevel(logging.ERROR)
    before = unfinished(options.json) if options.resume else None
    there = {row["fault"]: row for row in before["rows"]} if before else {}
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        world: World | None = None
        for what in (*fault_scenarios.SCENARIOS, MEMORY):
            if what in there:
                rows.append(there[what])
                continue
            if options.only not in what:
                continue
            if what == "disk full" and not fault_scenarios.can_mount(folder / "disk"):
                print(f"{what}: left out, mounting a small disk is not permitted here")
                continue
            world = world or World(folder / "world")
            rows.append(try_memory(folder) if what == MEMORY else try_scenario(world, what, options.size))
            print(rows[-1], flush=True)
            write(result(rows, options.size), options.json)  # after each: a run of this that is stopped goes on with --resume
    return int(not finish(result(rows, options.size), options.json))


if __name__ == "__main__":
    sys.exit(main())
