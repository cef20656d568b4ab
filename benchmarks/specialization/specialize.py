"""Do summaries make a network better at their class? The paper's last claim, with the controls that could explain it away.

    python benchmarks/specialization/specialize.py --json FILE --data DIR     (one network and one of drawn birds, one split)
    python benchmarks/specialization/specialize.py --json FILE --data DIR --size full      (hours; may be interrupted)

Five breeds of dogs: detectors and fusion are fitted on the files that begin with `n` and on half of the bystanders (119 other
breeds, one image each; pictures of other kinds), and everything is measured on the files that begin with `ILSVRC2012_val_` and
on the other half, for each of five splits. The same with drawn birds. Methods:

- `network`: as it is; the better of its logit and its softmax where precision is compared.
- `summaries`: what `visual-summaries specialize` makes. `regions`: the same with random salient regions in the place of each
  summary's.
- `pooled`: a linear classifier on the network's pooled features, alone; `pooled, joined`: joined with the network's score as
  parts are.
- `shift`: a constant added to the specialized classes' logits, chosen on the training images as the constants beside the parts
  are.

`map` is of scores that no constant can move: the network's log odds of a class, and what is added to this class beside
constants. `map_with_constants` is of the softmax as it comes out: there the constants of the other specialized classes count,
as they take images away. `ceilings`: what the network's features hold at all (`ceilings.py`).

Runs, matches, and a file for each network and split are kept below --keep and found again: give the same command to go on. With
--minutes nothing new is started after that time; `complete` tells whether that is all.
"""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import visual_summaries as vs
from benchmarks.harness import Finished, Row, finish, parser, results
from benchmarks.specialization.ceilings import ceilings
from benchmarks.specialization.figures import (
    LOSSES,
    RESAMPLES,
    STRENGTHS,
    bars_of,
    comparison,
    conclusions,
    cost,
    first_choices,
    moved_logits,
    trade_off,
)
from benchmarks.specialization.methods import (
    by_parts,
    by_pooled,
    by_shift,
    constants,
    nothing,
    random_regions,
    shuffled_salient,
)
from benchmarks.specialization.worlds import Everything, classifier_of, drawn_birds, photographs, read_world, subset
from visual_summaries.files.atomic import plain
from visual_summaries.runs.pieces import digest
from visual_summaries.specialization.fusion import margins
from visual_summaries.specialization.learning import average_precision, cut, parts_of

SIZES: dict[str, dict[str, Any]] = {
    "quick": {"networks": ("mobilenetv1_025",), "drawn": ("brief",), "seeds": (0,)},
    "full": {
        "networks": ("mobilenetv1_025", "mobilenetv1_050", "squeezenet1_1"),
        "drawn": ("brief",),
        "seeds": (0, 1, 2, 3, 4),
    },
}


def measure(everything: Everything, seed: int, settings: vs.SpecializeSettings, folder: Path) -> tuple[Row, dict[str, Any]]:
    """Return the row of a network and a split, and the arrays that intervals are made of."""
    start = time.perf_counter()
    rng = np.random.default_rng(seed)
    held = everything.groups == "test"
    for group in ("near", "far"):
        places = np.flatnonzero(everything.groups == group)
        held[rng.permutation(places)[: len(places) // 2]] = True
    chosen = np.flatnonzero(~held)
    fit, test = subset(everything.examples, chosen), subset(everything.examples, np.flatnonzero(held))
    truth, groups = everything.indices[held], everything.groups[held]
    folds = cut(fit.labels, settings.folds, seed)

    kept = folder / f"folds-{digest(plain(asdict(settings)))[:12]}"
    summaries, learned = by_parts(fit, test, folds, settings, seed, kept / f"summaries-{seed}")
    shuffled = random_regions(fit, shuffled_salient(everything.salient, chosen), seed)
    regions, _ = by_parts(shuffled, test, folds, settings, seed, kept / f"regions-{seed}")
    pooled, joined = by_pooled(fit, test, folds, settings)
    methods = {
        "shift": by_shift(fit, len(test), settings),
        "summaries": summaries,
        "regions": regions,
        "pooled": pooled,
        "pooled, joined": joined,
    }
    margin = np.stack([margins(test.logits, index) for index in fit.classes], axis=1)
    logit = test.logits[:, list(fit.classes)].astype(np.float64)
    scores = {"logit": logit, "softmax": margin}
    scores |= {name: margin + m.offsets if m.alone is None else m.alone for name, m in methods.items() if name != "shift"}
    precision = {
        name: [average_precision(test.labels == k, s[:, k]) for k in range(len(fit.classes))] for name, s in scores.items()
    }
    network = "softmax" if np.mean(precision["softmax"]) >= np.mean(precision["logit"]) else "logit"

    untouched = nothing(fit, len(test))
    before = first_choices(test, fit.classes, untouched, untouched.shifts) == truth
    points, with_constants = {}, {}
    for name, method in {"network": untouched, **methods}.items():
        if method.alone is None:
            moved = moved_logits(test, fit.classes, method, method.shifts)
            with_constants[name] = float(
                np.mean([average_precision(test.labels == k, margins(moved, c)) for k, c in enumerate(fit.classes)])
            )
            after = moved.argmax(axis=1) == truth
            points[name] = {
                group: comparison(before[groups == group], after[groups == group], seed) for group in np.unique(groups)
            }
    curves = {
        f"curve of {name}": trade_off(test, fit.classes, method, constants(method, fit, settings), truth, groups, before)
        for name, method in methods.items()
        if method.alone is None
    }
    row = {
        "world": everything.world.name,
        "network": everything.world.network,
        "seed": seed,
        "classes": list(fit.classes),
        "fit": {"own": int((fit.labels >= 0).sum()), "others": int((fit.labels < 0).sum())},
        "test": {str(group): int((groups == group).sum()) for group in np.unique(groups)},
        "parts": [len(parts_of(fit, owner)) for owner in range(len(fit.classes))],
        "images_of_parts": [[len(fit.parts[p].boxes) for p in parts_of(fit, owner)] for owner in range(len(fit.classes))],
        "unchanged": {name: list(m.unchanged) for name, m in methods.items() if m.unchanged},
        "penalties": {name: list(m.penalties) for name, m in methods.items() if m.penalties},
        "own_score": network,
        "map": {name: float(np.mean(values)) for name, values in precision.items()},
        "map_with_constants": with_constants,
        "ap": precision,
        "ceilings": ceilings(fit, test, seed),
        "points": points,
        "seconds": time.perf_counter() - start,
        "cost": cost(everything.classifier, fit, learned, settings),
    }
    arrays = {"sha256": np.array(test.sha256, dtype=np.str_), "labels": test.labels, "network": scores[network]}
    arrays |= {name: scores[name] for name in ("summaries", "regions", "pooled", "pooled, joined")} | curves
    return row, arrays


class Case:
    """A network and its images; they are read when the first split asks for them."""

    def __init__(self, world: str, network: str, keep: Path, data: Path | None, settings: vs.SpecializeSettings) -> None:
        self.world, self.network, self.folder = world, network, keep / world / network
        self._keep, self._data, self._settings = keep, data, settings
        self._everything: Everything | None = None

    def measure(self, seed: int) -> Row | None:
        """Return the row of a split, and write its arrays; None where no class has a summary."""
        if self._everything is None:
            data = self._data if self.world == "photographs" else None
            world = photographs(self.network, data) if data else drawn_birds(self.network, self._keep)
            self._everything = read_world(world, classifier_of(world, self._data), self._keep, self._settings)
        if self._everything is None:
            print(f"{self.network}: no class has a summary", flush=True)
            return None
        row, values = measure(self._everything, seed, self._settings, self.folder)
        np.savez_compressed(self.folder / f"split-{seed}.npz", **values)
        return row


def main() -> None:
    arguments = parser(__doc__, "one network of each world, one split", "all, five splits", keep=True)
    arguments.add_argument("--networks", nargs="*", help="only these; what is finished of the others is written, too")
    arguments.add_argument(
        "--no-apply", action="store_true", help="do not look for the summaries in images that the runs set aside"
    )
    options = arguments.parse_args()
    size, keep = SIZES[options.size], options.keep or Path("build/specialize")
    settings = vs.SpecializeSettings(apply=not options.no_apply)

    cases = [("photographs", name) for name in size["networks"]] if options.data else []
    cases += [("drawn", name) for name in size["drawn"]]
    rows: list[Row] = []
    arrays: dict[tuple[str, str], list[dict[str, NDArray[Any]]]] = {}
    kept, only_kept = Finished(keep, options.minutes), Finished(keep, 0)
    for world, network in cases:
        case = Case(world, network, keep, options.data, settings)
        chosen = kept if not options.networks or network in options.networks else only_kept
        for seed in size["seeds"]:
            name = f"{world}/{network}/split-{seed}"
            row = chosen(name, asdict(settings), partial(case.measure, seed))
            if row is None:
                continue
            rows.append(row)
            with np.load(keep / f"{name}.npz", allow_pickle=False) as loaded:
                arrays.setdefault((world, network), []).append(dict(loaded))
            told = ", ".join(f"{name} {100 * value:.1f}" for name, value in row["map"].items())
            print(f"{network}, split {seed}: mAP {told}", flush=True)

    found = conclusions(rows, arrays)
    result = results(
        "specialize",
        options.size,
        {**asdict(settings), **size, "losses": list(LOSSES), "strengths": list(STRENGTHS), "resamples": RESAMPLES},
        found,
        bars_of(found),
        complete=len(rows) == len(cases) * len(size["seeds"]),
        splits=rows,
    )
    finish(result, options.json)


if __name__ == "__main__":
    main()
