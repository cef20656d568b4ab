"""The runs of an audit computed: in processes of this machine, or as tasks of a cluster."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from visual_summaries._validate import require_in_range
from visual_summaries.audit.plan import Job
from visual_summaries.classifiers import Classifier, load_classifier
from visual_summaries.engines import Engine, make_engine
from visual_summaries.errors import VisualSummariesError
from visual_summaries.pipeline import summarize
from visual_summaries.progress import Progress, report_progress


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes
    ----------
    job : Job
    state : str
        ``"done"``; ``"kept"``: the run was there already; ``"failed"``.
    seconds : float
    error : str
        Why it failed.
    """

    job: Job
    state: str
    seconds: float = 0.0
    error: str = ""


def run_audit(
    jobs: Sequence[Job],
    *,
    engine: str = "local",
    workers: int | None = None,
    cpus_per_job: int | None = None,
    progress: Progress | None = None,
) -> list[Outcome]:
    """Compute the runs that are not there yet; one that fails does not stop the others.

    Runs go to their folders as they are finished, and an unfinished one goes on from its pieces: giving the same jobs again
    ends what was interrupted. On a cluster the folders of images and of runs must be the same on all its machines.

    Parameters
    ----------
    jobs : sequence of Job
    engine : str
        ``"local"``: `workers` processes at a time; ``"ray"`` or ``"ray://HOST:PORT"``: each job is a task.
    workers : int, optional
        Processes at a time of the local engine; a quarter of the cores unless given, since one run keeps about four busy.
    cpus_per_job : int, optional
        Cores, and so threads, of each job; unless given, the cores shared out (locally), or 1 (on a cluster).
    progress : callable, optional

    Returns
    -------
    list of Outcome
        In the order of the jobs.

    Raises
    ------
    EngineError, MissingExtraError
        If there is no such cluster, or it went away.
    """
    waiting = [job for job in jobs if not job.finished]
    outcomes = {job: Outcome(job, "kept") for job in jobs if job.finished}
    report_progress(progress, "audit", len(outcomes), len(jobs))
    if engine == "local":
        found = _locally(waiting, workers, cpus_per_job)
    else:
        found = _on_cluster(waiting, make_engine(engine, cpus_per_task=cpus_per_job or 1))
    for outcome in found:
        outcomes[outcome.job] = outcome
        report_progress(progress, "audit", len(outcomes), len(jobs))
    return [outcomes[job] for job in jobs]


def do_job(job: Job) -> Outcome:
    """Compute one run in this process, and its report."""
    start = time.perf_counter()
    try:
        run = summarize(
            _classifier(job.model, job.checkpoint, job.class_names, job.device),
            job.images,
            job.target,
            job.out,
            preset=job.preset,
            max_images=job.max_images,
            include_misclassified=job.include_misclassified,
            resume=True,
            random_state=job.random_state,
        )
        run.report()
    except Exception as error:  # noqa: BLE001 - told to the user with the others
        known = isinstance(error, VisualSummariesError)
        return Outcome(job, "failed", time.perf_counter() - start, str(error) if known else f"{type(error).__name__}: {error}")
    return Outcome(job, "done", time.perf_counter() - start)


@lru_cache(maxsize=1)
def _classifier(model: str, checkpoint: str | None, class_names: str | None, device: str | None) -> Classifier:
    """Load a network once for all jobs of this process, as long as it stays the same."""
    return load_classifier(model, checkpoint=checkpoint, class_names=class_names, device=device)


def _locally(jobs: Sequence[Job], workers: int | None, cpus: int | None) -> Iterator[Outcome]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = max(1, cores // 4) if workers is None else workers
    require_in_range("workers", workers, 1)
    threads = max(1, cores // workers) if cpus is None else cpus
    environment = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))}
    waiting = list(reversed(jobs))
    running: dict[subprocess.Popen[str], tuple[Job, float]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                job = waiting.pop()
                process = subprocess.Popen(  # noqa: S603 - this program itself
                    _command(job),
                    env=environment,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    text=True,
                    errors="replace",
                )
                running[process] = (job, time.perf_counter())
            process = _first_finished(running)
            job, start = running.pop(process)
            said = process.communicate()[1].strip().splitlines()
            seconds = time.perf_counter() - start
            if process.returncode == 0:
                yield Outcome(job, "done", seconds)
            else:
                reasons = [line.removeprefix("error: ") for line in said if line.startswith("error: ")]
                reason = reasons[-1] if reasons else " ".join(said[-1:]) or f"the process ended with {process.returncode}"
                yield Outcome(job, "failed", seconds, reason)
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.communicate()


def _first_finished(running: dict[subprocess.Popen[str], Any]) -> subprocess.Popen[str]:
    while True:
        for process in running:
            try:
                process.wait(timeout=0.1)
            except subprocess.TimeoutExpired:
                continue
            return process


def _command(job: Job) -> list[str]:
    """Return the command line of a job; what a user named stands behind `--`, whatever it begins with."""
    options = ["--target", str(job.target), "--out", job.out, "--preset", job.preset, "--seed", str(job.random_state)]
    for name, value in (
        ("--checkpoint", job.checkpoint),
        ("--class-names", job.class_names),
        ("--device", job.device),
        ("--max-images", job.max_images),
    ):
        if value is not None:
            options += [name, str(value)]
    if job.include_misclassified:
        options.append("--include-misclassified")
    return [sys.executable, "-m", "visual_summaries", "run", "--resume", "--quiet", *options, "--", job.model, job.images]


def _on_cluster(jobs: Sequence[Job], engine: Engine) -> Iterator[Outcome]:
    batches = (([number], [job]) for number, job in enumerate(jobs))
    on_card = any(job.device is not None and job.device.startswith("cuda") for job in jobs)
    for _, outcomes in engine.run("audit", do_jobs, Path.cwd(), batches, accelerator=on_card, whole=True):
        yield from outcomes


def do_jobs(folder: Path, jobs: Sequence[Job]) -> list[Outcome]:
    """Compute runs in this process; relative paths of theirs start at `folder`, where this machine has it."""
    if folder.is_dir():
        os.chdir(folder)
    return [do_job(job) for job in jobs]
