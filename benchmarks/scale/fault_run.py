"""A small run to break, and ways to break it; shared by the tests and by ``faults.py``.

A run is done by a child process that is forked from one that has loaded everything, so that killing and resuming it takes
seconds.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as PillowImage

import visual_summaries as vs
from visual_summaries.results import Run, RunInfo
from visual_summaries.settings.masks import FastSchedule

#: Side of the striped patches, in pixels.
PATCH = 16
SIZE = (48, 80)


class Stripes(torch.nn.Module):
    """Class 0 needs red vertical and blue horizontal stripes; its convolutions give it feature maps."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.features = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, 2, 1), torch.nn.ReLU(), torch.nn.Conv2d(8, 16, 3, 2, 1), torch.nn.ReLU()
        )
        for parameter in self.features.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        small = self.features(x).mean(dim=(1, 2, 3))
        red = (x[:, 0, :, 1:] - x[:, 0, :, :-1]).abs().sum(dim=(1, 2)) / PATCH**2
        blue = (x[:, 2, 1:, :] - x[:, 2, :-1, :]).abs().sum(dim=(1, 2)) / PATCH**2
        marked = 12 * (red.clamp(max=0.5) + blue.clamp(max=0.5)) - 6 + 0.01 * small
        return torch.stack([marked, torch.zeros_like(marked)], dim=1)


def network() -> torch.nn.Module:
    """Return the network in evaluation mode, with its transform."""
    module = Stripes().eval()
    module.pretrained_cfg = {  # type: ignore[assignment]
        "input_size": (3, *SIZE),
        "mean": (0.0, 0.0, 0.0),
        "std": (1.0, 1.0, 1.0),
        "crop_pct": 1.0,
        "interpolation": "bilinear",
        "num_classes": 2,
        "label_names": ("marked", "plain"),
    }
    return module


def draw_images(folder: Path, count: int = 10) -> None:
    """Write images with a red and a blue striped patch."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    height, width = SIZE
    stripes = np.where(np.arange(PATCH) % 4 < 2, 250, 10)
    for index in range(count):
        image = np.full((height, width, 3), 110 + index, np.uint8)
        y, x = rng.integers(1, height - PATCH), rng.integers(1, width // 2 - PATCH)
        image[y : y + PATCH, x : x + PATCH] = 40
        image[y : y + PATCH, x : x + PATCH, 0] = stripes[None, :]
        y, x = rng.integers(1, height - PATCH), rng.integers(width // 2, width - PATCH)
        image[y : y + PATCH, x : x + PATCH] = 40
        image[y : y + PATCH, x : x + PATCH, 2] = stripes[:, None]
        PillowImage.fromarray(image).save(folder / f"{index:02d}.png")


def settings() -> vs.Settings:
    """Return the default method with few steps and few boxes, in batches of three images.

    The precision is given: which is fastest is measured, and two runs (not two halves of one) may find different ones.
    """
    base = vs.preset("default")
    masks = replace(base.masks, fast=FastSchedule(steps=40, extra_rounds=0), batch_size=3, precision="float32")
    return replace(base, masks=masks, regions=replace(base.regions, boxes=150, proposals="grid"))


def run(images: Path, out: Path, *, resume: bool = False, progress: Any = None, module: Any = None) -> Run:
    """Do the small run in this process."""
    return vs.summarize(module or network(), images, "marked", out, settings=settings(), resume=resume, progress=progress)


def same_results(a: Run, b: Run) -> bool:
    """Tell whether two runs are equal bit for bit in everything but what tells how they were made."""
    return replace(a, info=RunInfo()) == replace(b, info=RunInfo())


def journal(out: Path) -> list[dict[str, Any]]:
    """Return what the journal of a run says, as far as its lines are whole."""
    found = []
    path = out / "journal.jsonl"  # absent where a run never began: whoever looks has that checked elsewhere
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return found


def computed_twice(out: Path) -> list[tuple[str, str]]:
    """Return stage and key of every piece that was computed and written more than once over all beginnings of a run."""
    seen: set[tuple[str, str]] = set()
    twice = []
    for entry in journal(out):
        for key in entry["keys"] if entry["event"] == "computed" else ():
            if (entry["stage"], key) in seen:
                twice.append((entry["stage"], key))
            seen.add((entry["stage"], key))
    return twice


@dataclass
class Child:
    """A process that does the run; what it reports comes through a pipe, a line for each stage and piece."""

    pid: int
    pipe: int
    log: Path

    def lines(self) -> Iterator[str]:
        """Yield what it reports until it ends."""
        rest = b""
        while chunk := os.read(self.pipe, 4096):
            *whole, rest = (rest + chunk).split(b"\n")
            yield from (line.decode() for line in whole)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def wait(self) -> int:
        """Wait for its end: exit code, or minus the signal that ended it."""
        _, status = os.waitpid(self.pid, 0)
        os.close(self.pipe)
        return os.waitstatus_to_exitcode(status)


def start(work: Callable[[Callable[[str, int, int], None]], Any], log: Path) -> Child:
    """Fork a child that calls ``work(progress)``; its error goes to the file `log`, exit code 1, typed errors 2."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        os.close(writing)
        return Child(pid, reading, log)
    code = 1
    try:
        os.close(reading)
        torch.set_num_threads(1)

        def progress(stage: str, done: int, total: int) -> None:
            os.write(writing, f"{stage} {done} {total}\n".encode())

        progress("reading", 0, 0)
        work(progress)
        code = 0
    except vs.VisualSummariesError as error:
        log.write_text(str(error), encoding="utf-8")
        code = 2
    except BaseException:  # noqa: BLE001 - a forked child must never go on with its parent's work
        log.write_text(traceback.format_exc(), encoding="utf-8")
    finally:
        os._exit(code)


def kill_at(images: Path, out: Path, stage: str, delay: float, log: Path, *, resume: bool = False) -> tuple[bool, str]:
    """Start the run and kill it `delay` seconds after `stage` is first heard of: whether it was killed, and in which stage."""
    child = start(lambda progress: run(images, out, resume=resume, progress=progress), log)
    last = ""
    for line in child.lines():
        last = line.split()[0]
        if last == stage:
            break
    time.sleep(delay)
    child.kill()
    for line in child.lines():
        last = line.split()[0]
    return child.wait() == -signal.SIGKILL, last


def finish(images: Path, out: Path, log: Path, *, resume: bool = True, module: Any = None) -> tuple[int, dict[str, float]]:
    """Do the run in a child to its end: exit code, and when each stage was first heard of, in seconds."""
    began = time.perf_counter()
    child = start(lambda progress: run(images, out, resume=resume, progress=progress, module=module), log)
    first: dict[str, float] = {}
    for line in child.lines():
        first.setdefault(line.split()[0], time.perf_counter() - began)
    first["end"] = time.perf_counter() - began
    return child.wait(), first


def fresh(folder: Path) -> Path:
    """Return a path with nothing there."""
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def moments(first: dict[str, float], count: int, seed: int) -> list[tuple[str, float]]:
    """Draw `count` moments of a run that took these times: stages in turn, a random moment in each."""
    rng = random.Random(seed)
    stages = sorted((name for name in first if name != "end"), key=lambda name: first[name])
    ends = dict(zip(stages, [first[name] for name in stages[1:]] + [first["end"]], strict=True))
    return [
        (stage, rng.uniform(0, max(ends[stage] - first[stage], 0.002)))
        for stage in (stages[k % len(stages)] for k in range(count))
    ]


@dataclass
class Outcome:
    """How many tries there were, what went wrong in them, and what is worth telling."""

    tried: int = 0
    wrong: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def check(self, holds: bool, message: str) -> None:
        """Note what went wrong, if it did."""
        if not holds:
            self.wrong.append(message)


class World:
    """A folder with images, the run that nothing happened to, and how long its stages took."""

    def __init__(self, folder: Path, count: int = 10) -> None:
        torch.set_num_threads(1)
        # What children need is loaded before they are forked; the backward pass is not tried, it would start threads.
        vs.load_classifier(network())
        importlib.import_module("visual_summaries.runs.summarize")
        self.folder, self.images, self.log = folder, folder / "images", folder / "log.txt"
        draw_images(self.images, count)
        code, self.first = finish(self.images, folder / "whole", self.log, resume=False)
        if code:
            raise RuntimeError(self.log.read_text(encoding="utf-8"))
        self.whole = vs.load_run(folder / "whole")

    def out(self, name: str = "out") -> Path:
        """Return a path with nothing there."""
        return fresh(self.folder / name)

    def resumed(self, outcome: Outcome, out: Path, what: str, *, images: Path | None = None) -> Run | None:
        """Resume a run, check that its result is that of the whole one, and return it."""
        code, _ = finish(images or self.images, out, self.log)
        if code:
            outcome.check(False, f"{what}: resuming failed: {self.log.read_text(encoding='utf-8')}")
            return None
        found = vs.load_run(out)
        if images is None:
            outcome.check(same_results(found, self.whole), f"{what}: the result is another one")
        return found
