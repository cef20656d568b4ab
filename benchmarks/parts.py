"""Whether summaries are the parts that a network uses: photographs, drawn birds with planted parts, and what it costs.

Run with ``python benchmarks/parts.py --json FILE --data DIR [--size quick|full]``. Finished units (a network and a class) are
kept in ``--keep`` and found again, and their runs with them: an interrupted benchmark goes on, and several can work side by
side on different ``--units``. Without ``--data`` there are drawn birds only. What is measured is in ``docs/truth.md``.
"""

from __future__ import annotations

import argparse
import json
import pkgutil
from collections.abc import Callable
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

import parts_photos
import parts_planted
import visual_summaries as vs
import visual_summaries.runs
from parts_bars import cost_bars, photograph_bars, photograph_rows
from parts_cost import cost, growth
from parts_drawn import planted
from parts_strips import write_strips
from parts_units import Unit, read_unit, units
from visual_summaries.birds.world import CLASS_NAMES, LABELS
from visual_summaries.demo import NETWORKS
from visual_summaries.runs.manifest import hardware, versions
from visual_summaries.runs.pieces import digest
from visual_summaries.runs.stages import Stage

#: Images of a unit of drawn birds, of photographs, and of the run that is timed; times as many for its growth.
DRAWN = {"quick": 8, "full": 16}
PHOTOGRAPHS = {"quick": 8, "full": 20}
TIMED = {"quick": (16, 4), "full": (40, 10)}

#: Units of photographs that `quick` looks at.
QUICK = (
    "efficientnet_lite0-017_Blue_Jay",
    "mobilenetv2_100-011_European_Goldfinch",
    "efficientnet_lite0-011_Rusty_Blackbird",
    "corn_leaf-Corn___Common_rust",
    "mobilenetv2_100-husky_on_grass",
    "mobilenetv2_100-wolf_on_snow",
    "efficientnet_lite0-000_tench",
    "mobilenetv2_100-701_parachute",
)
#: Units that the preset `paper` is run on as well, one of each half, and images of them: its masks take ten times as long.
PAPER = ("efficientnet_lite0-017_Blue_Jay", "efficientnet_lite0-011_European_Goldfinch")
PAPER_IMAGES = 12

#: The same for drawn birds: networks and classes.
QUICK_DRAWN = {("main", 0), ("main", 6), ("tiny", 1)}
PAPER_DRAWN = {
    "quick": {("tiny", 1)},
    "full": {("main", 0), ("main", 6), ("tiny", 1), ("tiny", 3), ("narrow", 2), ("narrow", 4), ("brief", 0), ("brief", 5)},
}
#: The class with the shortcut comes first, so that an interrupted run has it.
ORDER = (6, 0, 1, 5, 2, 3, 4, 7)


def code_of_stages() -> str:
    """Return the names and versions of all stages of a run: figures of a stage that has changed are measured again."""
    modules = [
        import_module(f"{visual_summaries.runs.__name__}.{one.name}")
        for one in pkgutil.iter_modules(visual_summaries.runs.__path__)
    ]
    found = {value.name: value.code for module in modules for value in vars(module).values() if isinstance(value, Stage)}
    return " ".join(f"{name}{code}" for name, code in sorted(found.items()))


class Kept:
    """Finished figures as files.

    Parameters
    ----------
    folder : Path
    finished : bool
        Measure nothing: what is not there yet is None.
    """

    def __init__(self, folder: Path, finished: bool) -> None:
        self._folder, self._finished, self._code = folder, finished, code_of_stages()

    def __call__(self, name: str, inputs: Any, make: Callable[[], Any]) -> Any:
        """Return what the file of this name holds for these inputs, or make it and write the file."""
        path, key = self._folder / f"{name}.json", digest([inputs, self._code])
        if path.exists() and (found := json.loads(path.read_text(encoding="utf-8")))["key"] == key:
            return found["value"]
        if self._finished:
            return None
        value = make()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"key": key, "value": value}, indent=1) + "\n", encoding="utf-8")
        return value


def drawn_units(size: str, networks: list[str], keep: Path, kept: Kept) -> list[dict[str, Any]]:
    """Return what was measured of drawn birds."""
    found = []
    count = DRAWN[size]
    for index, network in [(index, network) for index in ORDER for network in networks]:
        if size == "quick" and (network, index) not in QUICK_DRAWN:
            continue
        name, folder = f"{network}_{index}", keep / "drawn-runs" / f"{network}_{index}-{count}"
        inputs = [asdict(parts_planted.analyzed("default")), count, parts_planted.VERSION]
        unit = kept(f"{size}/{name}", inputs, lambda n=network, i=index, f=folder: parts_planted.run_unit(n, i, count, f))
        if unit is None or not unit["methods"]:
            continue
        if (network, index) in PAPER_DRAWN[size]:
            inputs = [asdict(parts_planted.analyzed("paper")), count, parts_planted.VERSION]
            rows = kept(
                f"{size}/{name}-paper",
                inputs,
                lambda n=network, i=index, u=unit, f=folder: parts_planted.run_paper(
                    n, i, count, u["effects"], f.with_name(f"{f.name}-paper")
                ),
            )
            unit["methods"] |= {} if rows is None else {"paper": rows}
        found.append(unit)
        print(name, {method: len(rows) for method, rows in unit["methods"].items()}, flush=True)
    return found


def photograph_units(
    chosen: list[Unit], size: str, data: Path, keep: Path, kept: Kept, strips: Path | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return what was measured of photographs, by the default and by `paper`."""
    found, papers = [], []
    for unit in chosen:
        # Whether a background beats its control is a question to an interval, which 20 images leave wide.
        count = PHOTOGRAPHS[size] * (2 if unit.kind == "confounded" else 1)
        folder = keep / "runs" / unit.name

        def measure(unit: Unit = unit, folder: Path = folder, count: int = count) -> dict[str, Any]:
            return parts_photos.measure_unit(unit, read_unit(unit, data, count, keep), folder)

        def paper(unit: Unit = unit, folder: Path = folder, count: int = count) -> dict[str, Any]:
            few, beside = read_unit(unit, data, PAPER_IMAGES, keep), folder.with_name(f"{unit.name}-paper")
            default = parts_photos.run_default(read_unit(unit, data, count, keep), folder)
            return parts_photos.measure_paper(unit, few, beside, default)

        row = kept(f"{size}/photographs/{unit.name}", [vs.preset("default").to_dict(), count, parts_photos.VERSION], measure)
        if row is None:
            continue
        found.append(row)
        print(unit.name, {name: row.get(name) for name in ("summaries", "together", "agreement")}, flush=True)
        if strips is not None:
            write_strips(parts_photos.run_default(read_unit(unit, data, count, keep), folder), strips / f"{unit.name}.jpg")
        if size == "full" and unit.name in PAPER:
            inputs = [vs.preset("paper").to_dict(), vs.preset("default").to_dict(), PAPER_IMAGES, parts_photos.VERSION]
            papers.append(kept(f"{size}/photographs/{unit.name}-paper", inputs, paper))
    return found, [row for row in papers if row]


def cost_rows(size: str, data: Path, keep: Path, kept: Kept) -> list[dict[str, Any]]:
    """Return the rows of the cost and of its growth; none where one of them is missing."""
    count, times = TIMED[size]
    inputs = [vs.preset("default").to_dict(), count, times]
    first = kept(f"{size}/cost", inputs, lambda: cost(data, count, keep))
    last = None if first is None else kept(f"{size}/growth", inputs, lambda: growth(data, count, times, keep))
    return [] if last is None else [{"set": "cost", **first}, {"set": "cost", **last}]


def write(results: dict[str, Any], path: Path) -> None:
    """Write results as JSON, an item of a list a line: they are read by people, too."""
    lines = []
    for name, value in results.items():
        if isinstance(value, list) and value:
            items = ",\n".join(f"  {json.dumps(item)}" for item in value)
            lines.append(f" {json.dumps(name)}: [\n{items}\n ]")
        else:
            lines.append(f" {json.dumps(name)}: {json.dumps(value)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def finish(results: dict[str, Any], path: Path | None) -> None:
    """Print the bars of results, and write all of them where there is a path."""
    for one in results["bars"]:
        value = "-" if one["value"] is None else f"{one['value']:.3f}"
        print(f"  {'ok ' if one['holds'] else 'NOT'} {one['name']}: {value} {one['sense']} {one['bound']:.3f}")
    if path:
        write(results, path)


def main() -> None:
    """Measure what is not measured yet, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where the results go")
    parser.add_argument("--size", choices=("quick", "full"), default="full", help="quick: a few units of 8 images")
    parser.add_argument("--data", type=Path, help="folder with weights/nets.py and images/: photographs and cost as well")
    parser.add_argument("--keep", type=Path, default=Path("build/parts"), help="where finished units and runs are kept")
    parser.add_argument("--finished", action="store_true", help="measure nothing: write what the finished units give")
    parser.add_argument(
        "--networks", nargs="*", choices=NETWORKS, default=list(NETWORKS), help="of drawn birds; none: leave out"
    )
    parser.add_argument("--units", nargs="*", metavar="WORD", help="units of photographs with one of these in their name")
    parser.add_argument("--no-cost", action="store_true", help="leave out the cost")
    parser.add_argument(
        "--strips", type=Path, metavar="DIR", help="write a picture of the summaries of each unit of photographs"
    )
    arguments = parser.parse_args()
    size, keep, data = arguments.size, arguments.keep, arguments.data
    kept = Kept(keep / "figures", arguments.finished)
    chosen = [unit for unit in units() if size == "full" or unit.name in QUICK]
    if arguments.units is not None:
        chosen = [unit for unit in chosen if any(word in unit.name for word in arguments.units)]
    rows: list[dict[str, Any]] = []
    bars: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    if data is not None:
        found, papers = photograph_units(chosen, size, data, keep, kept, arguments.strips)
        rows, bars = photograph_rows(found, papers), photograph_bars(found)
        if not arguments.no_cost and (timed := cost_rows(size, data, keep, kept)):
            rows, bars = rows + timed, bars + cost_bars(timed, TIMED[size][1])
    birds = drawn_units(size, arguments.networks, keep, kept)
    truth = planted(birds) if birds else {"rows": [], "shortcut": [], "bars": []}
    results: dict[str, Any] = {
        "benchmark": "parts",
        "size": size,
        "hardware": hardware(torch.device("cpu")),
        "versions": versions(),
        "settings": {
            "default": vs.preset("default").to_dict(),
            "paper": vs.preset("paper").to_dict(),
            "images_of_photographs": PHOTOGRAPHS[size],
            "images_of_drawn_birds": DRAWN[size],
            "labels": list(LABELS),
            "classes": list(CLASS_NAMES),
        },
        "rows": truth["rows"] + rows,
        "shortcut": truth["shortcut"],
        "bars": bars + truth["bars"],
        "photographs": found,
        "units": birds,
    }
    finish(results, arguments.json)


if __name__ == "__main__":
    main()
