"""The command ``doctor``: what is installed, what it would compute on, and whether a run on the embedded network works."""

from __future__ import annotations

import platform
import re
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer

from visual_summaries.cli.console import AsJson, Quiet, StageProgress, say, say_json
from visual_summaries.errors import VisualSummariesError

#: Exit code where the self-test fails.
FAILED = 1

#: Images of the self-test, and the least mean loss of score that hiding their evidence must bring.
IMAGES, LEAST_LOSS = 5, 0.5

#: Extras that are for developers of the package.
_DEVELOPERS = {"test", "lint", "docs"}


def doctor(
    self_test: Annotated[
        bool, typer.Option("--self-test/--no-self-test", help="Explain the embedded network on five drawn birds.")
    ] = True,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Check the installation: versions, devices, extras, and a self-test of about ten seconds."""
    values: dict[str, Any] = {"versions": _versions(), "devices": _devices(), "extras": extras()}
    if not as_json:
        say("versions: " + ", ".join(f"{name} {version}" for name, version in values["versions"].items()))
        for device in values["devices"]:
            say(f"device: {device}")
        for name, lacking in values["extras"].items():
            state = f"lacks {', '.join(lacking)}: pip install 'visual-summaries[{name}]'" if lacking else "installed"
            say(f"extra {name}: {state}")
    if self_test:
        with StageProgress(quiet) as progress:
            values["self_test"] = run_self_test(progress)
        if not as_json:
            say(f"self-test: {values['self_test']['message']}")
    if as_json:
        say_json(values)
    if self_test and not values["self_test"]["passed"]:
        raise typer.Exit(FAILED)


def extras(package: str = "visual-summaries") -> dict[str, list[str]]:
    """Return for each extra what it lacks: names of distributions, empty where it is installed.

    Examples
    --------
    >>> sorted(extras())
    ['clip', 'dicom', 'heif', 'hf', 'onnx', 'plot', 'ray', 'table']
    """
    found: dict[str, list[str]] = {}
    for requirement in metadata.requires(package) or ():
        name, extra = re.match(r"[\w.-]+", requirement), re.search(r"""extra\s*==\s*['"]([\w.-]+)['"]""", requirement)
        if name is None or extra is None or extra[1] in _DEVELOPERS:
            continue
        lacking = found.setdefault(extra[1], [])
        if not _installed(name[0]):
            lacking.append(name[0])
    return found


def run_self_test(progress: StageProgress | None = None) -> dict[str, Any]:
    """Explain the embedded network on drawn birds, and return whether that ``passed``, a ``message`` and the ``seconds``."""
    from visual_summaries.demo import run_demo

    begun = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory() as folder:
            run, _ = run_demo(Path(folder) / "demo", n=IMAGES, preset="quick", progress=progress)
            size = run.report().stat().st_size
    except (VisualSummariesError, OSError, RuntimeError) as error:
        return _result(False, f"FAILED with {type(error).__name__}: {error}", begun)
    loss = sum(mask.drop for mask in run.masks) / len(run.masks)
    if not run.summaries or loss < LEAST_LOSS:
        return _result(False, f"FAILED: {len(run)} summaries; hiding the evidence takes {loss:.0%} of the score", begun)
    return _result(
        True,
        f"passed: {len(run)} summaries of {len(run.images)} images; hiding the evidence takes {loss:.0%} of the score; "
        f"report of {size / 1e6:.1f} MB",
        begun,
    )


def _result(passed: bool, message: str, begun: float) -> dict[str, Any]:
    seconds = round(time.perf_counter() - begun, 1)
    return {"passed": passed, "message": f"{message} ({seconds:.0f} s)", "seconds": seconds}


def _versions() -> dict[str, str]:
    from visual_summaries.runs.manifest import versions

    return {**versions(), "python": platform.python_version(), "platform": platform.platform()}


def _devices() -> list[str]:
    import torch

    found = [f"cpu, {torch.get_num_threads()} threads"]
    for number in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(number)
        found.append(f"cuda:{number}, {properties.name}, {properties.total_memory / 2**30:.0f} GiB")
    if torch.backends.mps.is_available():
        found.append("mps")
    return found


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
