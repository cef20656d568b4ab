"""What can go wrong with a run, each as a function that tries it so many times and says which tries went wrong.

A try that goes wrong is a sentence; a scenario that survives everything returns none.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image as PillowImage

import visual_summaries as vs
from benchmarks.scale.fault_run import (
    Child,
    Outcome,
    Stripes,
    World,
    computed_twice,
    draw_images,
    finish,
    journal,
    kill_at,
    moments,
    network,
    run,
    start,
)
from visual_summaries.errors import RunError


def killed(world: World, tries: int, seed: int = 0) -> Outcome:
    """Kill -9 at random moments, each stage in turn; resumed: same result, nothing that was finished is computed again."""
    outcome = Outcome()
    hit: Counter[str] = Counter()
    for number, (stage, delay) in enumerate(moments(world.first, tries, seed)):
        out = world.out()
        was_killed, last = kill_at(world.images, out, stage, delay, world.log)
        hit[last if was_killed else "after the end"] += 1
        outcome.tried += 1
        what = f"kill {number} in {last} ({delay:.3f} s after {stage} began)"
        world.resumed(outcome, out, what)
        outcome.check(not (twice := computed_twice(out)), f"{what}: computed again: {twice}")
        outcome.check(not list(out.rglob("*.tmp")), f"{what}: temporary files are left")
    outcome.facts["kills by stage"] = dict(hit)
    return outcome


def killed_again_and_again(world: World, tries: int, seed: int = 1) -> Outcome:
    """One run killed many times, resumed each time and killed again, until it is done."""
    outcome, out, rng = Outcome(), world.out(), random.Random(seed)
    stages = [name for name in world.first if name != "end"]
    for number in range(tries):
        kill_at(world.images, out, rng.choice(stages), rng.uniform(0, 0.3), world.log, resume=number > 0)
        outcome.tried += 1
    world.resumed(outcome, out, f"killed {tries} times")
    outcome.check(not (twice := computed_twice(out)), f"computed again: {twice}")
    return outcome


def damaged(world: World, tries: int, seed: int = 2) -> Outcome:
    """A flipped bit, or a file cut short, anywhere in a finished run's pieces: found, reported, computed again."""
    outcome, out, rng = Outcome(), world.out(), random.Random(seed)
    finish(world.images, out, world.log, resume=False)
    by_stage: dict[str, list[Path]] = {}
    for path in sorted((out / "pieces").rglob("*.npz")):
        by_stage.setdefault(path.parent.name, []).append(path)
    for number in range(tries):
        stage = sorted(by_stage)[number % len(by_stage)]
        path = rng.choice([path for path in by_stage[stage] if path.is_file()])
        what = f"{'bit flipped' if number % 2 else 'cut short'} in {stage}/{path.name}"
        raw = bytearray(path.read_bytes())
        if number % 2:
            raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
            path.write_bytes(bytes(raw))
        else:
            path.write_bytes(bytes(raw[: rng.randrange(len(raw))]))
        outcome.tried += 1
        found = world.resumed(outcome, out, what)
        if found is not None:
            named = [entry["file"] for entry in found.info.damaged]
            outcome.check(named == [path.name], f"{what}: the manifest names {named}")
            others = {name: count["computed"] for name, count in found.info.pieces.items() if name != stage}
            remade = {"descriptors", *(["cells"] if stage in ("parts", "labels") else [])}  # deleted when a run is complete
            again = {name: count for name, count in others.items() if count and name not in remade}
            outcome.check(not again, f"{what}: also computed again: {again}")
    return outcome


def damaged_results(world: World, tries: int, seed: int = 3) -> Outcome:
    """A flipped bit in the files of a finished run: loading says so, resuming mends it."""
    outcome, out, rng = Outcome(), world.out(), random.Random(seed)
    finish(world.images, out, world.log, resume=False)
    for number in range(tries):
        path = out / ("arrays.npz", "run.json")[number % 2]
        raw = bytearray(path.read_bytes())
        raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
        path.write_bytes(bytes(raw))
        outcome.tried += 1
        try:
            vs.load_run(out)
            outcome.check(False, f"a flipped bit in {path.name} was not noticed")
        except RunError as error:
            outcome.check("--resume" in str(error), f"{path.name}: the message does not say how to mend it: {error}")
        world.resumed(outcome, out, f"bit flipped in {path.name}")
    return outcome


def disk_full(world: World, tries: int, seed: int = 4) -> Outcome:
    """A small disk (tmpfs): a typed error that says so; with more room the run goes on. Needs the right to mount."""
    outcome, rng = Outcome(), random.Random(seed)
    needed = sum(path.stat().st_size for path in (world.folder / "whole").rglob("*") if path.is_file()) // 1024
    disk = world.folder / "disk"
    disk.mkdir(exist_ok=True)
    for number in range(tries):
        size = rng.randrange(40, max(needed * 4 // 5, 80))
        _mount("-t", "tmpfs", "-o", f"size={size}k,mode=755", "tmpfs", str(disk))
        try:
            outcome.tried += 1
            what = f"disk of {size} KiB"
            code, _ = finish(world.images, disk / "run", world.log, resume=False)
            said = world.log.read_text(encoding="utf-8")
            outcome.check(code == 2 and "MiB are free" in said and "--resume" in said, f"{what}: exit {code}, {said[-300:]}")
            outcome.check(not (disk / "run" / "manifest.json").exists(), f"{what}: the run says that it is complete")
            _mount("-o", "remount,size=64m", str(disk))
            world.resumed(outcome, disk / "run", what)
            outcome.check(not (twice := computed_twice(disk / "run")), f"{what}: computed again: {twice}")
            if number == 0:  # the same disk, not to be written to: a resumed run says so
                _mount("-o", "remount,ro", str(disk))
                code, _ = finish(world.images, disk / "run", world.log)
                said = world.log.read_text(encoding="utf-8")
                outcome.tried += 1
                outcome.check(code == 2 and "cannot write" in said, f"read-only disk: exit {code}, {said[-300:]}")
        finally:
            subprocess.run(["umount", str(disk)], check=True)
    return outcome


def can_mount(folder: Path) -> bool:
    """Tell whether this process may mount a small disk."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=False, capture_output=True)
    if done.returncode == 0:
        subprocess.run(["umount", str(folder)], check=True)
    return done.returncode == 0


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


def read_only_folder(world: World) -> Outcome:
    """A folder that belongs to somebody else, and one inside a folder that cannot be entered: a typed error names it."""
    outcome = Outcome()
    with tempfile.TemporaryDirectory() as name:  # of its own: whoever runs this must be able to see it as nobody
        place, log = Path(name), Path(name) / "log.txt"
        place.chmod(0o755)
        log.touch(mode=0o666)
        log.chmod(0o666)
        for mode in (0o555, 0o600):
            folder = place / f"{mode:o}"
            folder.mkdir()
            folder.chmod(mode)

            def work(progress: Any, folder: Path = folder) -> None:
                if os.geteuid() == 0:
                    os.setuid(65534)  # the superuser may write anywhere
                run(world.images, folder / "run", progress=progress)

            outcome.tried += 1
            child = start(work, log)
            list(child.lines())
            code, said = child.wait(), log.read_text(encoding="utf-8")
            outcome.check(code == 2 and "choose a folder that you can write to" in said, f"exit {code}, {said[-300:]}")
    return outcome


def _run(images: Path, out: Path, progress: Any) -> vs.Run:
    return run(images, out, progress=progress)


def two_processes(world: World, tries: int) -> Outcome:
    """A second process says who holds the run; when the first is killed, its lock is taken over."""
    outcome = Outcome()
    for _ in range(tries):
        out = world.out()
        outcome.tried += 1
        holder = start(partial(_run, world.images, out), world.folder / "holder.txt")
        _until(holder, "masks")
        holder.kill(signal.SIGSTOP)
        code, _ = finish(world.images, out, world.log)
        said = world.log.read_text(encoding="utf-8")
        named = f"process {holder.pid} on {os.uname().nodename}, since 2" in said
        outcome.check(code == 2 and named, f"the second process: exit {code}, {said[-300:]}")
        holder.kill()
        list(holder.lines())
        holder.wait()
        world.resumed(outcome, out, "taken over")
        over = [entry["former"]["pid"] for entry in journal(out) if entry["event"] == "taken over"]
        outcome.check(over == [holder.pid], f"the journal says taken over from {over}")
        outcome.check(not (twice := computed_twice(out)), f"computed again: {twice}")
    return outcome


def _until(child: Child, stage: str) -> None:
    for line in child.lines():
        if line.split()[0] == stage:
            return


def clocks(world: World) -> Outcome:
    """The clock jumps years back and forth while the run goes on, and between its parts; files have times of the future."""
    outcome, out = Outcome(tried=1), world.out()

    def work(progress: Any) -> None:
        real, jumps = time.time, random.Random(0)

        def jump(stage: str, done: int, total: int) -> None:
            offset = jumps.choice([-1, 1]) * 3e8
            time.time = lambda: real() + offset
            progress(stage, done, total)

        run(world.images, out, progress=jump)

    child = start(work, world.log)
    _until(child, "faithfulness")
    child.kill()
    list(child.lines())
    child.wait()
    for number, path in enumerate(sorted(out.rglob("*"))):
        os.utime(path, (4e9, 4e9) if number % 2 else (1, 1))
    if (holder := out / "holder.json").exists():
        holder.write_text(
            json.dumps({**json.loads(holder.read_text()), "since": "2099-01-01T00:00:00+00:00"}), encoding="utf-8"
        )
    world.resumed(outcome, out, "after clock changes")
    outcome.check(not (twice := computed_twice(out)), f"computed again: {twice}")
    return outcome


def images_gone(world: World) -> Outcome:
    """Images are deleted and changed while the run is interrupted: it says which, and goes on with the pieces of the others."""
    outcome, out = Outcome(tried=3), world.out()
    images = world.out("others")
    draw_images(images, len(world.whole.images))
    names = sorted(path.name for path in images.iterdir())
    kill_at(images, out, "parts", 0.0, world.log)
    (images / names[1]).unlink()
    (images / names[6]).unlink()
    PillowImage.open(images / names[3]).transpose(PillowImage.Transpose.FLIP_LEFT_RIGHT).save(images / names[4])
    found = world.resumed(outcome, out, "images gone", images=images)
    if found is not None:
        expected = {"gone": [names[1], names[6]], "changed": [names[4]], "added": []}
        told = found.info.images_since_begun
        outcome.check(told == expected, f"told of {told}, expected {expected}")
        kept = {image.name: mask for image, mask in zip(world.whole.images, world.whole.masks, strict=True)}
        same = [kept[i.name] == m for i, m in zip(found.images, found.masks, strict=True) if i.name != names[4]]
        outcome.check(
            len(same) == len(names) - 3 and all(same), f"{same.count(True)} of {len(names) - 3} masks are those from before"
        )
        computed = found.info.pieces["masks"]["computed"]
        outcome.check(computed == 1, f"{computed} masks computed for one changed image")
    for name in names[2:]:
        (images / name).unlink(missing_ok=True)
    code, _ = finish(images, out, world.log)
    said = world.log.read_text(encoding="utf-8")
    outcome.check(code == 2 and "images gone" in said, f"nearly all images gone: exit {code}, {said[-300:]}")
    return outcome


class Hungry(Stripes):
    """Runs out of memory with more than `most` images at a time."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if len(x) > self.most:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes")
        return super().forward(x)


def out_of_memory(world: World, rooms: tuple[int, ...] = (2, 1, 0)) -> Outcome:
    """Memory runs out: batches are halved until they fit, the manifest says so; with no image fitting, a typed error."""
    outcome = Outcome()
    for most in rooms:
        module = Hungry(4)  # loading a classifier asks about two images
        module.pretrained_cfg = network().pretrained_cfg
        classifier = vs.load_classifier(module.eval())
        module.most = most
        outcome.tried += 1
        out = world.out()
        code, _ = finish(world.images, out, world.log, resume=False, module=classifier)
        if most:
            outcome.check(code == 0, f"room for {most}: {world.log.read_text(encoding='utf-8') if code else ''}")
            if code == 0:
                found = vs.load_run(out)
                expected = {"planned": 3, "smallest": 1}
                outcome.check(found.info.batch_size == expected, f"{found.info.batch_size}, not {expected}")
                outcome.check(found.info.peak_memory_mib > 0, "no peak memory")
                outcome.check(len(found.summaries) == len(world.whole.summaries), "another number of summaries")
        else:
            said = world.log.read_text(encoding="utf-8")
            outcome.check(code == 2 and "memory ran out with a single image" in said, f"exit {code}, {said[-300:]}")
    return outcome


#: Where the command finds what a network file imports.
ROOT = str(Path(__file__).resolve().parents[2])

#: A network file for the command line; the second network spends very long in a single call of the linear algebra library.
NETWORK_FILE = """
import torch
from benchmarks.scale.fault_run import network

def quick():
    return network()

def slow():
    module = network()
    matrix = torch.randn(2500, 2500, dtype=torch.float64)
    calls = []
    def block(inner, inputs):
        calls.append(0)
        if len(calls) > 6:
            torch.linalg.eigvals(matrix)
    module.register_forward_pre_hook(block)
    return module
"""


def interrupted(
    world: World, tries: int, number: int = signal.SIGINT, network_name: str = "quick", resume: bool = True
) -> Outcome:
    """Ctrl-C to the real command at random moments: it stops within 2 s, says how to go on, and goes on where it stopped."""
    outcome, rng = Outcome(), random.Random(5)
    file = world.folder / "nets.py"
    file.write_text(NETWORK_FILE, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([ROOT, *sys.path]), "OMP_NUM_THREADS": "1"}
    seconds = []
    for _ in range(tries):
        out = world.out()
        command = [sys.executable, "-m", "visual_summaries", "run", f"{file}:{network_name}", str(world.images)]
        command += ["--target", "marked", "--out", str(out), "--batch-size", "3"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environment)
        deadline = time.perf_counter() + 120
        while not (out / "holder.json").exists() and process.poll() is None and time.perf_counter() < deadline:
            time.sleep(0.02)
        time.sleep(rng.uniform(0.3, 1.0))
        outcome.tried += 1
        if process.poll() is not None:
            outcome.check(False, f"it ended before it was interrupted: {process.communicate()[1][-300:]}")
            continue
        began = time.perf_counter()
        process.send_signal(number)
        said = process.communicate(timeout=120)[1]
        seconds.append(time.perf_counter() - began)
        outcome.check(process.returncode == 128 + number, f"exit {process.returncode}: {said[-300:]}")
        outcome.check("--resume" in said and str(out) in said.replace("\n", ""), f"it does not say how to go on: {said[-300:]}")
        outcome.check(seconds[-1] <= 2.0, f"it took {seconds[-1]:.1f} s to stop")
        if resume:
            done = subprocess.run(
                [*command, "--resume", "--quiet"], env=environment, capture_output=True, text=True, check=False
            )
            outcome.check(done.returncode == 0, f"resuming: exit {done.returncode}: {done.stderr[-300:]}")
            outcome.check(not (twice := computed_twice(out)), f"computed again: {twice}")
    outcome.facts["slowest stop in seconds"] = round(max(seconds, default=0.0), 2)
    return outcome


#: Scenarios by what happens, with how often each is tried in a full run.
SCENARIOS: dict[str, tuple[Callable[..., Outcome], tuple[Any, ...]]] = {
    "kill -9 at a random moment, each stage in turn": (killed, (50,)),
    "one run killed again and again": (killed_again_and_again, (8,)),
    "piece cut short or with a flipped bit": (damaged, (24,)),
    "result with a flipped bit": (damaged_results, (6,)),
    "disk full": (disk_full, (8,)),
    "folder that cannot be written": (read_only_folder, ()),
    "two processes on one run": (two_processes, (3,)),
    "clock changes": (clocks, ()),
    "images deleted and changed": (images_gone, ()),
    "out of memory": (out_of_memory, ()),
    "Ctrl-C": (interrupted, (5,)),
    "Ctrl-C inside a long computation": (interrupted, (2, signal.SIGINT, "slow", False)),
    "ended by a scheduler (SIGTERM)": (interrupted, (2, signal.SIGTERM, "quick", False)),
}
