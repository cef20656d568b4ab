"""Beside peers, one table made by one script: time, agreement with part points, what is taken together, coverage.

Run with ``python benchmarks/peers/peers.py --json FILE --data DIR [--size quick|full]``. Finished units are kept below --keep
and found again; other code does not measure them again: give another folder for that. For each unit (a network and a class
of birds) each method explains the same views with the same network, one after the other, each in a process of its own, on as
many threads as PyTorch takes:

- the presets of ``--presets`` (``ours.py``);
- Xplique's CRAFT, the package itself (``craft.py``), in a virtual environment of its own, made in ``--venv`` the first time
  from the package registry that pip uses; PyTorch and timm are those of this project;
- k-means of features, clustered Grad-CAM (SpRAy) and ACE's construction, rebuilt from the papers (``rebuilt.py``).

Seconds are those from views in memory to the result. For CRAFT that is its concepts (fit), their Sobol importance and their
maps in the images; for a preset its summaries with all their analyses, without a report; for the others where their groups lie.
Imports, loading and a first pass of the network are counted apart. Each method gives each pixel one group or none: CRAFT that
of the largest map. *Agreement* is that of ``parts/parts.py``: adjusted mutual information of the names of part points and what
they lie in, for all methods over points that lie in the evidence of a preset, and over all points, "in none" being a label.
*Together* is the share of the class's score that is gone when all pixels of all groups are hidden, in this project's ways; for
a method that gives every pixel a group that is the whole image, so the hidden *area* stands beside it. *Coverage* is the share
of the images that a group is in. Shortcuts are those of ``benchmarks/results/shortcuts.json``.

zennit-crp is not among the methods. It installs, but its rules do not fit these networks: batch norm of timm is none that its
canonizers know, residual sums have to be replaced, and then most of the relevance is lost on the way through blocks whose
inputs have both signs. ``relevance.py`` measures how much (rows of kind ``relevance``), and the time of one concept in an
image.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import visual_summaries as vs
from benchmarks.harness import RESULTS, Finished, Row, finish, parser, read, results, rounded, spec_of
from benchmarks.parts.baselines import strongest
from benchmarks.parts.units import Photographs, Unit, read_unit, units
from benchmarks.peers import processes
from benchmarks.peers.figures import JUDGED, NEEDS, PRESETS, compared, mean_rows, peer_bars, shortcut_figures, together
from benchmarks.peers.processes import launch, peer_python
from visual_summaries.classifiers import resolve_target
from visual_summaries.errors import SettingsError
from visual_summaries.masks.scorer import Scorer

#: Concepts, side of the crops in pixels, and crops in a batch: those of the example in the peer's documentation.
CRAFT = {"concepts": 10, "patch_size": 80, "batch_size": 64, "random_state": 0}
#: Methods that are rebuilt, with what each is given.
REBUILT: dict[str, Row] = {"k-means": {"groups": CRAFT["concepts"]}, "SpRAy": {}, "ACE": {}}

NETWORKS = ("mobilenetv2_100", "efficientnet_lite0")
#: Both of the half that settings were not chosen on.
CLASSES = ("011_European_Goldfinch", "094_Ruby_throated_Hummingbird")
IMAGES = {"quick": 12, "full": 40}
#: Images whose relevance is followed to the pixels.
RELEVANCE_IMAGES = 4


def chosen_units(size: str) -> list[Unit]:
    """Return the units that are measured, those of the network that the bars ask about first; of `quick` one."""
    named = {(unit.network, unit.folder.split("/")[-1]): unit for unit in units()}
    found = [named[network, bird] for network in NETWORKS for bird in CLASSES]
    return found[:1] if size == "quick" else found


def job_of(unit: Unit, photographs: Photographs, data: Path) -> Row:
    """Return what every process is told of a unit."""
    transform = photographs.classifier.transform
    mean_and_std = {"mean": list(transform.mean), "std": list(transform.std)}
    return {"network": spec_of(unit.network, data.resolve()), "target": photographs.target, **mean_and_std}


def measure(unit: Unit, photographs: Photographs, data: Path, python: Path, presets: Sequence[str]) -> list[Row]:
    """Return the rows of a unit, one for each method: ours first."""
    job, views = job_of(unit, photographs, data), photographs.views
    ours = {preset: launch(sys.executable, "ours.py", {**job, "preset": preset}, views) for preset in presets}
    craft = launch(python, "craft.py", {**job, **CRAFT}, views)
    if craft.facts["right"] != len(views):  # then the networks, or what they are shown, are not the same
        raise SystemExit(f"in the peer's environment {unit.network} gets {craft.facts['right']} of the images right, not all")
    rebuilt = {
        name: launch(sys.executable, "rebuilt.py", {**job, **given, "method": name}, views) for name, given in REBUILT.items()
    }
    everywhere = [np.ones(view.shape[:2], bool) for view in views]
    concepts = [strongest(own, pixels) for own, pixels in zip(craft.arrays["maps"], everywhere, strict=True)]
    labels: dict[str, Any] = {
        **{name: own.arrays["labels"] for name, own in ours.items()},
        "CRAFT": np.stack(concepts),
        **{name: own.arrays["labels"] for name, own in rebuilt.items()},
    }
    evidence = {name: own.arrays["evidence"] for name, own in ours.items()}
    facts = {name: own.facts for name, own in {**ours, "CRAFT": craft, **rebuilt}.items()}
    taken = together(scorer_of(photographs), views, labels)
    named = {"kind": "unit", "network": unit.network, "class": unit.folder.split("/")[-1], "images": len(views)}
    return [{**named, **row} for row in compared(photographs.points or [], labels, evidence, facts, taken)]


def scorer_of(photographs: Photographs) -> Scorer:
    """Return what hides pixels as the default does: in those of its ways that take the class away."""
    target = resolve_target(photographs.classifier, photographs.target)
    scorer = Scorer(photographs.classifier, target, vs.preset("default").masks)
    infills, _ = scorer.effective_infills(photographs.views)
    return replace(scorer, settings=replace(scorer.settings, infill="+".join(infills)))


def relevance(unit: Unit, photographs: Photographs, data: Path, python: Path) -> Row:
    """Return how much relevance zennit-crp's rules keep in a network."""
    found = launch(python, "relevance.py", job_of(unit, photographs, data), photographs.views[:RELEVANCE_IMAGES])
    if found.facts["right"] != found.facts["images"]:  # then batch norm is not folded rightly
        raise SystemExit(f"with batch norm folded {unit.network} gets not all of the images right")
    facts = {"kind": "relevance", "method": "zennit-crp", "needs": NEEDS["zennit-crp"]}
    return {**facts, "network": unit.network, **found.facts}


def main() -> None:
    """Measure, print and write."""
    arguments = parser(__doc__, "one unit of 12 images", "four of 40", needs_data=True, keep=True)
    arguments.add_argument("--venv", type=Path, default=Path("build/peers-venv"), help="where CRAFT's environment is made")
    arguments.add_argument("--crp-venv", type=Path, default=Path("build/crp-venv"), help="where zennit-crp's is made")
    arguments.add_argument("--presets", nargs="*", default=list(PRESETS), help="presets of this project; none: peers alone")
    options = arguments.parse_args()
    try:
        settings = {name: vs.preset(name).to_dict() for name in options.presets}
    except SettingsError as error:
        arguments.error(str(error))
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    python, crp_python = peer_python(options.venv, processes.CRAFT), peer_python(options.crp_venv, processes.CRP)
    keep = options.keep or Path("build/peers")
    done, chosen = Finished(keep / "figures", options.minutes), chosen_units(options.size)
    inputs, rows = [settings, CRAFT, REBUILT, IMAGES[options.size]], list[Row]()
    for unit in chosen:
        photographs = read_unit(unit, options.data, IMAGES[options.size], keep)
        name = f"{options.size}-{unit.name}"
        found = done(name, inputs, partial(measure, unit, photographs, options.data, python, options.presets))
        for row in found or []:
            shown = {name: row[name] for name in ("groups", "seconds", "agreement", "agreement_of_all", "together", "area")}
            print(unit.name, row["method"], rounded({**shown, "coverage": row["coverage"]}), flush=True)
        rows += rounded(found or [])
        if not any(row["kind"] == "relevance" and row["network"] == unit.network for row in rows):
            kept = done(f"{name}-relevance", inputs, partial(relevance, unit, photographs, options.data, crp_python))
            rows += [kept] if kept else []  # its shares may be tiny: they are not rounded
            print(unit.network, "zennit-crp", kept and kept["relevance"], flush=True)
    versions = {name: value for row in rows for name, value in row.pop("versions", {}).items()}
    shown_rows = [*rounded(mean_rows(rows, shortcut_figures(read(RESULTS / "shortcuts.json")))), *rows]
    found = results(
        "peers",
        options.size,
        {"CRAFT": CRAFT, "rebuilt": REBUILT, **settings, "images": IMAGES[options.size], "judged": JUDGED},
        shown_rows,
        peer_bars(rows, options.presets),
        complete=len({(row["network"], row["class"]) for row in rows if row["kind"] == "unit"}) == len(chosen),
    )
    found["hardware"]["load_at_start"], found["versions"]["peers"] = load, versions
    finish(found, options.json)


if __name__ == "__main__":
    main()
