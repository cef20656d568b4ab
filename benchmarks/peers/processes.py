"""Processes and virtual environments of ``peers.py``: each method runs in a process of its own, a peer in its environment."""

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

from benchmarks.harness import Row

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Peer:
    """What a peer's environment is made of.

    Attributes
    ----------
    package : str
        The peer, installed without what it asks for.
    bare : tuple of str
        Further packages that are installed like this.
    packages : tuple of str
        What it needs beside PyTorch, timm and what else this project needs.
    """

    package: str
    bare: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()


#: It asks for TensorFlow with CUDA and for another OpenCV: what it needs is named, at versions that it allows.
CRAFT = Peer(
    "xplique==2.0.2",
    packages=(
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
    ),
)
#: It asks for PyTorch, which would be installed again. Its rules are zennit's, at a version that it allows.
CRP = Peer("zennit-crp==0.6.0", bare=("zennit==0.4.6",))


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


def peer_python(folder: Path, peer: Peer) -> Path:
    """Return the interpreter of a peer's virtual environment, which is made unless it is there.

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
    stamp, made_of = folder / "made-of.json", json.dumps([peer.package, *peer.bare, *peer.packages, ours])
    if stamp.exists() and stamp.read_text(encoding="utf-8") == made_of:
        return python
    if folder.exists() and any(folder.iterdir()) and not (folder / "pyvenv.cfg").exists():
        raise SystemExit(f"{folder} is no virtual environment: name a folder that is new or empty with --venv")
    print(f"making the environment of {peer.package} in {folder}", flush=True)
    venv.create(folder, clear=True, symlinks=os.name != "nt", with_pip=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "--no-deps", *peer.bare, peer.package], check=True)
    if peer.packages:
        subprocess.run([*install, *peer.packages], check=True)
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
