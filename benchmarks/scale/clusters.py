"""Runs on a Ray cluster of this machine, beside the same runs in one process: parts of ``scale.py``."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import PIL.Image
import torch
from threadpoolctl import threadpool_limits

import visual_summaries as vs
from benchmarks.harness import Row, demo_classifier
from benchmarks.scale.fault_run import same_results
from benchmarks.seeds import seeds
from visual_summaries.batch.jobs import Job
from visual_summaries.batch.work import run_jobs
from visual_summaries.birds.render import render
from visual_summaries.birds.scene import sample_scene
from visual_summaries.results import Run

if TYPE_CHECKING:
    from benchmarks.scale.ray_nodes import Nodes

#: What there is to do in a part, by name; each gives rows.
Steps = dict[str, Callable[[], list[Row]]]


def drawn(count: int) -> list[Any]:
    return [render(sample_scene(1, seed)).image for seed in seeds("scale", 1, count)]


def settings() -> vs.Settings:
    """Return the default, one image a batch, so that masks can be shared out.

    In single precision: which precision is fastest is measured, and two runs may find different ones.
    """
    base = vs.preset("default")
    return replace(base, masks=replace(base.masks, precision="float32", batch_size=1))


def summarize(images: list[Any], **options: Any) -> tuple[Run, float]:
    start = time.perf_counter()
    run = vs.summarize(demo_classifier("tiny"), images, 1, include_misclassified=True, settings=settings(), **options)
    return run, time.perf_counter() - start


@contextmanager
def one_thread() -> Iterator[None]:
    """Give this process one thread, as a task on a node has: results are equal bit for bit only at equal threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):  # NumPy's and SciPy's
            yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this process on one core, where the system can do that."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


@contextmanager
def cluster(count: int) -> Iterator[Nodes]:
    from benchmarks.scale.ray_nodes import Nodes

    with closing(Nodes(count)) as nodes:
        yield nodes


def engines(size: str, data: Path | None) -> Steps:
    """One run on so many workers beside the same run in this process on one core; cold workers are not counted."""

    def workers(count: int) -> list[Row]:
        images = drawn(4 if size == "quick" else 24)
        with one_thread():
            with one_core():
                local, seconds = summarize(images)
            with cluster(count):
                summarize(images[:3], engine="ray")  # starts workers, loads libraries
                run, on_cluster = summarize(images, engine="ray")
        return [
            {
                "workers": count,
                "images": len(images),
                "local_s": seconds,
                "ray_s": on_cluster,
                "images_per_second": len(images) / on_cluster,
                "times_local": seconds / on_cluster,
                "overhead_percent": 100 * (on_cluster / seconds - 1) if count == 1 else None,
                "equal": same_results(run, local),
            }
        ]

    return {f"{count} workers": partial(workers, count) for count in (1, 2, 4)}


def faults(size: str, data: Path | None) -> Steps:
    """Workers killed and nodes lost in the middle of a stage: whether the run comes out the same."""

    def strike(kind: str, stage: str) -> list[Row]:
        images = drawn(4)
        struck: list[str] = []
        with one_thread():
            local, _ = summarize(images)
            with cluster(2) as nodes:

                def progress(name: str, done: int, total: int) -> None:
                    if name == stage and 0 < done < total and not struck:
                        struck.append(name)
                        if kind == "node lost":
                            nodes.lose()
                        else:
                            for pid in nodes.workers():
                                os.kill(pid, signal.SIGKILL)

                run, seconds = summarize(images, engine="ray", progress=progress)
        row = {"fault": kind, "stage": stage, "tried": len(struck), "survived": int(bool(struck) and same_results(run, local))}
        return [{**row, "seconds": seconds}]

    stages = ("faithfulness",) if size == "quick" else ("faithfulness", "importance")
    return {f"{kind}, {stage}": partial(strike, kind, stage) for kind in ("workers killed", "node lost") for stage in stages}


def audit(size: str, data: Path | None) -> Steps:
    """Four runs by so many processes, or as tasks of so many nodes."""

    def runs(name: str, workers: int, threads: int) -> list[Row]:
        with tempfile.TemporaryDirectory() as folder:
            nets, images = Path(folder) / "nets.py", Path(folder) / "images"
            nets.write_text("from visual_summaries.demo import demo_network\n\ndef tiny():\n    return demo_network('tiny')\n")
            images.mkdir()
            for number, image in enumerate(drawn(4)):
                PIL.Image.fromarray(image).save(images / f"{number}.png")
            jobs = [
                Job(f"{nets}:tiny", str(images), f"{folder}/runs/{k}", "1", include_misclassified=True)
                for k in range(2 if size == "quick" else 4)
            ]
            start = time.perf_counter()
            if name == "processes":
                results = list(run_jobs(jobs, workers=workers))
            else:
                with cluster(workers):
                    start = time.perf_counter()
                    results = list(run_jobs(jobs, engine="ray"))
            seconds = time.perf_counter() - start
        failed = [result.error for result in results if result.state != "done"]
        assert not failed, failed
        row = {"how": f"{workers} {name}", "threads": threads, "runs": len(jobs), "seconds": seconds}
        return [{**row, "seconds_per_run": seconds / len(jobs)}]

    ways = (("processes", 1, 2), ("processes", 2, 1), ("nodes", 1, 1), ("nodes", 2, 1))
    return {f"{workers} {name}": partial(runs, name, workers, threads) for name, workers, threads in ways}
