"""What a run records about itself: versions, hardware, timings, counts."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from visual_summaries._version import __version__

_RECORDED = (
    "torch",
    "torchvision",
    "timm",
    "numpy",
    "scipy",
    "scikit-image",
    "scikit-learn",
    "opencv-contrib-python-headless",
    "pillow",
)


def versions() -> dict[str, str]:
    """Return the versions of Python, this package and the libraries whose numbers reach the results."""
    found = {"python": platform.python_version(), "visual-summaries": __version__}
    for name in _RECORDED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # for example another build of OpenCV
            found[name] = "unknown"
    return found


def hardware(device: torch.device) -> dict[str, Any]:
    """Return the machine in a few words: processor, cores, memory, device."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
    facts: dict[str, Any] = {
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(memory / 2**30, 1),
        "device": str(device),
    }
    if device.type == "cuda":
        facts["gpu"] = torch.cuda.get_device_name(device)
    return facts


def _processor() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
            return next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), platform.processor())
    except OSError:  # not Linux
        return platform.processor()


def peak_memory_mib() -> float:
    """Return the most memory this process has held, in MiB; NaN where the system does not tell (Windows)."""
    if sys.platform == "win32":
        return float("nan")
    import resource  # not there on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1))


def peak_gpu_memory_mib(device: torch.device) -> float | None:
    """Return the most memory that this process has held on the accelerator, in MiB; None without one."""
    return round(torch.cuda.max_memory_reserved(device) / 2**20, 1) if device.type == "cuda" else None


class Stopwatch:
    """Wall-clock seconds by stage; what passes in a stage inside another counts for the inner one only.

    Examples
    --------
    >>> watch = Stopwatch()
    >>> with watch.stage("similarity"):
    ...     with watch.stage("descriptors"):
    ...         pass
    >>> sorted(watch.seconds)
    ['descriptors', 'similarity']
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._inner = [0.0]  # seconds of finished inner stages, for each open stage

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time that the block takes to stage `name`."""
        start = time.perf_counter()
        self._inner.append(0.0)
        try:
            yield
        finally:
            passed = time.perf_counter() - start
            own = passed - self._inner.pop()
            self._inner[-1] += passed
            self.seconds[name] = round(self.seconds.get(name, 0.0) + own, 3)
