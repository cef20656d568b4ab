"""Whether summaries are the parts that a network uses: photographs, drawn birds with planted parts, and what it costs.

Run with ``python benchmarks/parts/parts.py --json FILE --data DIR [--size quick|full]``. Finished units (a network and a class)
are kept in ``--keep`` and found again, and their runs with them: an interrupted benchmark goes on, and several can work side by
side on different ``--units``. Units that FILE has already, of the same size, default and stages, are not measured again either;
``--minutes 0`` writes what is finished, to go on with elsewhere. Without ``--data`` there are drawn birds only. What is
measured is in ``docs/truth.md``.
"""

from __future__ import annotations

import pkgutil
import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import visual_summaries as vs
import visual_summaries.runs
from benchmarks.harness import Finished, Row, finish, parser, results, unfinished
from benchmarks.parts import photos
from benchmarks.parts import planted as drawn
from benchmarks.parts.bars import cost_bars, photograph_bars, photograph_rows
from benchmarks.parts.cost import cost, growth
from benchmarks.parts.drawn import planted
from benchmarks.parts.units import Photographs, Unit, read_unit, units
from visual_summaries.birds.world import CLASS_NAMES, LABELS
from visual_summaries.demo import NETWORKS
from visual_summaries.pages.figures import write_figure
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
    package = visual_summaries.runs
    modules = [import_module(f"{package.__name__}.{one.name}") for one in pkgutil.iter_modules(package.__path__)]
    found = {value.name: value.code for module in modules for value in vars(module).values() if isinstance(value, Stage)}
    return " ".join(f"{name}{code}" for name, code in sorted(found.items()))


def known_figures(found: Row | None, size: str) -> dict[str, Any]:
    """Return the finished figures, by name, that a file of results has, if it is of this size and these stages."""
    if found is None or (found["size"], found["settings"].get("stages")) != (size, code_of_stages()):
        return {}
    names = {(unit.network, unit.folder.split("/")[-1]): unit.name for unit in units()}

    def named(rows: list[Row], end: str = "") -> dict[str, Any]:
        return {f"{size}/photographs/{names[row['network'], row['class']]}{end}": row for row in rows}

    birds = {f"{size}/{row['network']}_{CLASS_NAMES.index(row['class'])}": row for row in found["units"]}
    papers = {f"{name}-paper": row["methods"]["paper"] for name, row in birds.items() if "paper" in row["methods"]}
    return named(found["photographs"]) | named(found["papers"], "-paper") | birds | papers


def drawn_unit(network: str, index: int, size: str, keep: Path, kept: Finished) -> Row | None:
    """Return what was measured of drawn birds of a class; None where nothing is, or the network gets too few of them right."""
    name, count, code = f"{network}_{index}", DRAWN[size], code_of_stages()
    folder = keep / "drawn-runs" / f"{name}-{count}"

    def inputs(preset: str) -> list[Any]:
        return [asdict(drawn.analyzed(preset)), count, drawn.VERSION, code]

    unit: Row | None = kept(f"{size}/{name}", inputs("default"), lambda: drawn.run_unit(network, index, count, folder))
    if unit is None or not unit["methods"]:
        return None
    if (network, index) in PAPER_DRAWN[size]:
        given = (network, index, count, unit["effects"], folder.with_name(f"{folder.name}-paper"))
        rows = kept(f"{size}/{name}-paper", inputs("paper"), lambda: drawn.run_paper(*given))
        unit["methods"] |= {} if rows is None else {"paper": rows}
    print(name, {method: len(rows) for method, rows in unit["methods"].items()}, flush=True)
    return unit


def photograph_unit(
    unit: Unit, size: str, data: Path, keep: Path, kept: Finished, figures: Path | None
) -> tuple[Row | None, Row | None]:
    """Return what was measured of photographs, by the default and by `paper`; None for what is not."""
    # Whether a background beats its control is a question to an interval, which 20 images leave wide.
    count = PHOTOGRAPHS[size] * (2 if unit.kind == "confounded" else 1)
    name, folder = f"{size}/photographs/{unit.name}", keep / "runs" / unit.name
    default, rest = vs.preset("default").to_dict(), [photos.VERSION, code_of_stages()]

    def images(number: int = count) -> Photographs:
        return read_unit(unit, data, number, keep)

    def run() -> vs.Run:
        return photos.run_preset(images(), "default", folder)

    def paper() -> Row:
        return photos.measure_paper(unit, images(PAPER_IMAGES), folder.with_name(f"{unit.name}-paper"), run())

    row = kept(name, [default, count, *rest], lambda: photos.measure_unit(unit, images(), folder))
    if row is None:
        return None, None
    print(unit.name, {key: row.get(key) for key in ("summaries", "together", "agreement")}, flush=True)
    if figures is not None and row["summaries"]:
        write_figure(run(), figures / f"{unit.name}.png")
    if size == "quick" or unit.name not in PAPER:
        return row, None
    return row, kept(f"{name}-paper", [vs.preset("paper").to_dict(), default, PAPER_IMAGES, *rest], paper)


def cost_rows(size: str, data: Path, keep: Path, kept: Finished) -> list[Row]:
    """Return the rows of the cost and of its growth; none where one of them is missing."""
    count, times = TIMED[size]
    inputs = [vs.preset("default").to_dict(), count, times, code_of_stages()]
    first = kept(f"{size}/cost", inputs, lambda: cost(data, count, keep))
    last = None if first is None else kept(f"{size}/growth", inputs, lambda: growth(data, count, times, keep))
    return [] if last is None else [{"set": "cost", **first}, {"set": "cost", **last}]


def main() -> None:
    """Measure what is not measured yet, and write."""
    arguments = parser(__doc__, "a few units of 8 images", "all, of 20 photographs or 16 drawn birds", keep=True)
    arguments.add_argument(
        "--networks", nargs="*", choices=NETWORKS, default=list(NETWORKS), help="of drawn birds; none: leave out"
    )
    arguments.add_argument("--units", nargs="*", metavar="WORD", help="units of photographs with one of these in their name")
    arguments.add_argument("--no-cost", action="store_true", help="leave out the cost")
    arguments.add_argument(
        "--figures", type=Path, metavar="DIR", help="write a figure of the summaries of each unit of photographs"
    )
    options = arguments.parse_args()
    size, keep, data = options.size, options.keep or Path("build/parts"), options.data
    kept = Finished(keep / "figures", options.minutes, known_figures(unfinished(options.json), size))
    chosen = [unit for unit in units() if size == "full" or unit.name in QUICK]
    if options.units is not None:
        chosen = [unit for unit in chosen if any(word in unit.name for word in options.units)]
    rows: list[Row] = []
    bars: list[Row] = []
    found: list[Row] = []
    papers: list[Row] = []
    if data is not None:
        measured = [photograph_unit(unit, size, data, keep, kept, options.figures) for unit in chosen]
        found, papers = [row for row, _ in measured if row], [paper for _, paper in measured if paper]
        rows, bars = photograph_rows(found, papers), photograph_bars(found)
        if not options.no_cost and (timed := cost_rows(size, data, keep, kept)):
            rows, bars = rows + timed, bars + cost_bars(timed, TIMED[size][1])
    pairs = [(network, index) for index in ORDER for network in options.networks]
    wanted = [pair for pair in pairs if size == "full" or pair in QUICK_DRAWN]
    birds = [unit for pair in wanted if (unit := drawn_unit(*pair, size, keep, kept))]
    truth = planted(birds) if birds else {"rows": [], "shortcut": [], "bars": []}
    settings: dict[str, Any] = {name: vs.preset(name).to_dict() for name in ("default", "paper")}
    settings |= {"images_of_photographs": PHOTOGRAPHS[size], "images_of_drawn_birds": DRAWN[size]}
    settings |= {"labels": list(LABELS), "classes": list(CLASS_NAMES)}
    settings["stages"] = code_of_stages()
    more = {"shortcut": truth["shortcut"], "photographs": found, "papers": papers, "units": birds}
    finish(results("parts", size, settings, truth["rows"] + rows, bars + truth["bars"], **more), options.json)


if __name__ == "__main__":
    main()
