"""Beside the peer itself: the time of a whole run, and agreement with part points, beside Xplique's CRAFT.

Run with ``python benchmarks/peers/peers.py --json FILE --data DIR [--size quick|full]``. The first time, CRAFT's own virtual
environment is made in ``--venv``, from the package registry that pip uses; PyTorch and timm are those of this project. For each
unit (a network and a class of birds) CRAFT and then each of ``--presets`` explain the same views with the same network, one
after the other, each in a process of its own, on as many threads as PyTorch takes.

Seconds are those from views in memory to the result. For CRAFT that is its concepts (fit), their Sobol importance and their
maps in the images; for a preset its summaries with all their analyses, without a report. Imports, loading and a first pass of
the network are counted apart. Agreement is that of ``parts/parts.py``: adjusted mutual information of the names of part
points and what they lie in, over points that lie in the evidence of the preset. CRAFT has no masks: a point's concept is the
one whose map is the largest there, at the same points. Agreement over all points, "in none" being a label, stands beside it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import visual_summaries as vs
from benchmarks.harness import Row, bar, finish, mean, parser, results, rounded, spec_of
from benchmarks.parts.baselines import strongest
from benchmarks.parts.scores import agreement
from benchmarks.parts.units import Photographs, Points, Unit, read_unit, units
from visual_summaries.errors import SettingsError

#: What the peer's environment is made of. The peer asks for TensorFlow with CUDA and for another OpenCV, so it is installed
#: without what it asks for, and that is named here, at versions that it allows.
PEER = "xplique==2.0.2"
PACKAGES = (
    "tensorflow-cpu<=2.20.0",
    "tensorflow-probability<=0.25.0",
    "tf-keras<=2.20.1",
    "scikit-learn<=1.7.2",
    "scikit-image<=0.25.2",
    "scipy<=1.15.3",
    "numpy>=2",
    "matplotlib",
    "einops",
    "deprecated",
)
#: Concepts, side of the crops in pixels, and crops in a batch: those of the example in the peer's documentation.
CRAFT = {"concepts": 10, "patch_size": 80, "batch_size": 64, "random_state": 0}

NETWORKS = ("mobilenetv2_100", "efficientnet_lite0")
CLASSES = ("011_European_Goldfinch", "017_Blue_Jay")
IMAGES = {"quick": 12, "full": 40}
#: The network that the bars ask about, and how many times CRAFT's seconds a preset may take.
JUDGED = "mobilenetv2_100"
PRESETS = {"default": 4.0, "quick": 1.0}

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Outcome:
    """What a process gave back.

    Attributes
    ----------
    facts : dict
        ``result.json``: times in seconds and more.
    arrays : dict of ndarray
        ``result.npz``.
    """

    facts: Row
    arrays: dict[str, NDArray[Any]]


def peer_python(folder: Path) -> Path:
    """Return the interpreter of the peer's virtual environment, which is made unless it is there.

    Packages of this project's environment come after its own, so that PyTorch need not be installed twice.

    Raises
    ------
    SystemExit
        If the folder holds something else.
    """
    folder = folder.resolve()
    paths = {"base": str(folder), "platbase": str(folder)}
    python = Path(sysconfig.get_path("scripts", "venv", paths)) / Path(sys.executable).name
    ours = str(Path(torch.__file__).parents[1])
    stamp, made_of = folder / "made-of.json", json.dumps([PEER, *PACKAGES, ours])
    if stamp.exists() and stamp.read_text(encoding="utf-8") == made_of:
        return python
    if folder.exists() and any(folder.iterdir()) and not (folder / "pyvenv.cfg").exists():
        raise SystemExit(f"{folder} is no virtual environment: name a folder that is new or empty with --venv")
    print(f"making the environment of {PEER} in {folder}", flush=True)
    venv.create(folder, clear=True, symlinks=os.name != "nt", with_pip=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for packages in (["--no-deps", PEER], PACKAGES):
        subprocess.run([*install, *packages], check=True)
    (Path(sysconfig.get_path("purelib", "venv", paths)) / "project.pth").write_text(f"{ours}\n", encoding="utf-8")
    stamp.write_text(made_of, encoding="utf-8")
    return python


def launch(python: Path | str, script: str, job: Mapping[str, Any], views: Sequence[NDArray[np.uint8]]) -> Outcome:
    """Run a script of this folder on views in a new process, and return what it wrote."""
    surroundings = {name: value for name, value in os.environ.items() if python == sys.executable or name != "PYTHONPATH"}
    with tempfile.TemporaryDirectory() as folder:
        there = Path(folder)
        (there / "job.json").write_text(json.dumps(job), encoding="utf-8")
        np.save(there / "views.npy", np.stack(views))
        command = [str(python), str(HERE / script), folder]
        subprocess.run(command, check=True, env={**surroundings, "TF_CPP_MIN_LOG_LEVEL": "3"})
        with np.load(there / "result.npz") as arrays:
            return Outcome(json.loads((there / "result.json").read_text(encoding="utf-8")), dict(arrays))


def chosen_units(size: str) -> list[Unit]:
    """Return the units that are measured, those of the network that the bars ask about first; of `quick` one."""
    named = {(unit.network, unit.folder.split("/")[-1]): unit for unit in units()}
    found = [named[network, bird] for network in NETWORKS for bird in CLASSES]
    return found[:1] if size == "quick" else found


def measure(unit: Unit, photographs: Photographs, data: Path, python: Path, presets: Sequence[str]) -> list[Row]:
    """Return the rows of a unit: CRAFT's and one for each preset."""
    transform = photographs.classifier.transform
    job = {"network": spec_of(unit.network, data.resolve()), "target": photographs.target}
    theirs = {**job, **CRAFT, "mean": list(transform.mean), "std": list(transform.std)}
    craft = launch(python, "craft.py", theirs, photographs.views)
    ours = {preset: launch(sys.executable, "ours.py", {**job, "preset": preset}, photographs.views) for preset in presets}
    if craft.facts["right"] != len(photographs.views):  # then the networks, or what they are shown, are not the same
        raise SystemExit(f"in the peer's environment {unit.network} gets {craft.facts['right']} of the images right, not all")
    named = {"network": unit.network, "class": unit.folder.split("/")[-1], "images": len(photographs.views)}
    height, width = photographs.views[0].shape[:2]
    shape = (len(photographs.views), height, width)
    return [{**named, **row} for row in compared(photographs.points or [], shape, craft, ours)]


def compared(points: Sequence[Points], shape: tuple[int, int, int], craft: Outcome, ours: Mapping[str, Outcome]) -> list[Row]:
    """Return the figures of CRAFT and of each preset on the same images.

    Parameters
    ----------
    points : sequence of dict
        Named part points (x, y) of each image.
    shape : tuple of int
        Images, height and width of their views.
    craft : Outcome
        With ``maps``, (N, h, w, K).
    ours : mapping of str to Outcome
        With ``evidence`` and ``labels``, (N, H, W), for each preset.

    Returns
    -------
    list of dict
        CRAFT's first. ``agreement`` is over points in the evidence of a preset, ``craft_agreement`` CRAFT's over the same;
        ``agreement_of_all`` is over all points. ``ratio`` is of the seconds, to CRAFT's.
    """
    everywhere = np.ones(shape, bool)
    concepts = [strongest(own, pixels) for own, pixels in zip(craft.arrays["maps"], everywhere, strict=True)]
    facts = {"method": "CRAFT", "groups": len(craft.facts["importance"])}
    of_all, count = agreement(concepts, everywhere, points)
    rows = [{**facts, **craft.facts, "points_of_all": count, "agreement_of_all": of_all}]
    for preset, own in ours.items():
        labels, evidence = own.arrays["labels"], own.arrays["evidence"]
        value, count = agreement(labels, evidence, points)
        rows.append(
            {
                "method": preset,
                "groups": len(own.facts["importance"]),
                **own.facts,
                "ratio": own.facts["seconds"] / craft.facts["seconds"],
                "points": count,
                "agreement": value,
                "craft_agreement": agreement(concepts, evidence, points)[0],
                "points_of_all": rows[0]["points_of_all"],
                "agreement_of_all": agreement(labels, everywhere, points)[0],
                "craft_agreement_of_all": of_all,
            }
        )
    return rows


def means(rows: Sequence[Row], network: str, method: str) -> Row:
    """Return the figures of a method over the units of a network; the ratio of the seconds is that of their sums.

    Examples
    --------
    >>> unit = {"network": "n", "method": "CRAFT", "seconds": 10.0}
    >>> ours = {**unit, "method": "default", "seconds": 30.0, "agreement": 0.4, "craft_agreement": 0.2}
    >>> means([unit, ours], "n", "default")
    {'units': 1, 'ratio': 3.0, 'agreement': 0.4, 'craft_agreement': 0.2}
    """
    own, craft = ([row for row in rows if (row["network"], row["method"]) == (network, one)] for one in (method, "CRAFT"))
    seconds, theirs = (sum(row["seconds"] for row in some) for some in (own, craft))
    values = {name: mean([row[name] or 0.0 for row in own]) for name in ("agreement", "craft_agreement")}
    return {"units": len(own), "ratio": seconds / theirs if own else None, **values}


def peer_bars(rows: Sequence[Row], presets: Sequence[str]) -> list[Row]:
    """Return the bars: seconds and agreement of each preset, beside CRAFT's, on the network that they ask about."""
    bars = []
    for preset in presets:
        found = means(rows, JUDGED, preset)
        if preset in PRESETS:
            bars.append(bar(f"{preset}: seconds, in those of CRAFT", found["ratio"], PRESETS[preset], "<="))
        theirs = found["craft_agreement"]
        bars.append(bar(f"{preset}: agreement with part points above CRAFT's", found["agreement"], theirs or 0.0, ">"))
    return bars


def main() -> None:
    """Measure, print and write."""
    arguments = parser(__doc__, "one unit of 12 images", "four of 40", needs_data=True)
    arguments.add_argument("--venv", type=Path, default=Path("build/peers-venv"), help="where the peer's environment is made")
    arguments.add_argument("--presets", nargs="*", default=list(PRESETS), help="presets of this project; none: CRAFT alone")
    options = arguments.parse_args()
    try:
        settings = {name: vs.preset(name).to_dict() for name in options.presets}
    except SettingsError as error:
        arguments.error(str(error))
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    python, rows = peer_python(options.venv), []
    for unit in chosen_units(options.size):
        photographs = read_unit(unit, options.data, IMAGES[options.size], options.venv)
        rows += rounded(measure(unit, photographs, options.data, python, options.presets))
        for row in rows[-1 - len(options.presets) :]:
            shown = {name: row.get(name) for name in ("images", "seconds", "ratio", "agreement", "craft_agreement")}
            print(unit.name, row["method"], {**shown, "of all points": row["agreement_of_all"]}, flush=True)
    found = results(
        "peers",
        options.size,
        {"CRAFT": CRAFT, **settings, "images": IMAGES[options.size], "judged": JUDGED},
        [{name: value for name, value in row.items() if name != "versions"} for row in rows],
        peer_bars(rows, options.presets),
        means={preset: {n: rounded(means(rows, n, preset)) for n in NETWORKS} for preset in options.presets},
    )
    found["hardware"]["load_at_start"], found["versions"]["peer"] = load, rows[0]["versions"]
    finish(found, options.json)


if __name__ == "__main__":
    main()
