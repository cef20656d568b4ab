"""Planned runs computed: one after the other in this process, several processes at a time, or as tasks of a cluster."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from visual_summaries._validate import require_in_range
from visual_summaries.batch.jobs import LOADING, Job, target_of_folder
from visual_summaries.classifiers import Classifier, load_classifier
from visual_summaries.engines import Engine, make_engine
from visual_summaries.errors import VisualSummariesError
from visual_summaries.progress import Progress
from visual_summaries.results import Run
from visual_summaries.runs.summarize import summarize

logger = logging.getLogger("visual_summaries")

#: Called as ``progress(job, stage, done, total)``, from several threads where several runs are computed at a time.
JobProgress = Callable[[Job, str, int, int], None]

#: What the libraries that compute with threads read their number from.
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")


@dataclass(frozen=True)
class JobResult:
    """What became of a planned run.

    Attributes
    ----------
    job : Job
    state : str
        ``"done"``; ``"kept"``: the run was there already; ``"failed"``.
    seconds : float
    error : str
        Why it failed; empty where it did not.
    """

    job: Job
    state: str
    seconds: float = 0.0
    error: str = ""


def run_jobs(
    jobs: Sequence[Job],
    *,
    workers: int | None = None,
    engine: str = "local",
    resume: bool = False,
    progress: JobProgress | None = None,
) -> Iterator[JobResult]:
    """Compute planned runs and their reports; one that fails does not stop the others.

    Parameters
    ----------
    jobs : sequence of Job
    workers : int, optional
        Runs at a time. 1: one after the other in this process. More: each in a process of its own, with as many threads as
        ``OMP_NUM_THREADS`` says, else with its share of the cores. Default: 1, or as many as a cluster has room for.
    engine : str
        ``"local"``; or ``"ray"`` or ``"ray://HOST:PORT"``: each run is a task, whose cores are ``OMP_NUM_THREADS``, else one.
        Folders of images and of runs must then be the same on all machines. With one worker the work of each run is shared
        out instead.
    resume : bool
        Whether to keep runs that are finished and to continue with those that are not.
    progress : callable, optional
        Called as ``progress(job, stage, done, total)``; tasks of a cluster tell nothing.

    Yields
    ------
    JobResult
        As each is known; those of runs that are there already come first.

    Raises
    ------
    EngineError, MissingExtraError
        If there is no such cluster, or it went away.
    """
    require_in_range("workers", 1 if workers is None else workers, 1)
    waiting: list[Job] = []
    for job in jobs:
        if resume and job.finished:
            yield JobResult(job, "kept")
        else:
            waiting.append(job)
    if workers == 1 or (workers is None and engine == "local"):
        for job in waiting:
            yield do_job(job, resume=resume, engine=engine, progress=progress)
    elif engine == "local":
        yield from _in_processes(waiting, workers or 1, resume, progress)
    else:
        threads = os.environ.get("OMP_NUM_THREADS", "")
        yield from _on_cluster(waiting, make_engine(engine, cpus_per_task=int(threads) if threads.isdecimal() else 1), resume)


def compute_run(job: Job, *, resume: bool = False, engine: str = "local", progress: Progress | None = None) -> Run:
    """Compute one planned run in this process, and its report. Networks are loaded once for runs that follow each other.

    Parameters
    ----------
    job : Job
    resume : bool
        Whether to continue with what is in its folder.
    engine : str
        Where the work of its stages is done.
    progress : callable, optional

    Raises
    ------
    VisualSummariesError
        As :func:`visual_summaries.load_classifier` and :func:`visual_summaries.summarize` do.
    """
    classifier = _classifier(job.model, json.dumps({name: getattr(job, name) for name in LOADING}))
    if isinstance(classifier, Exception):
        raise classifier
    run = summarize(
        classifier,
        job.images,
        job.target if job.target is not None else target_of_folder(Path(job.images).resolve().name, classifier),
        job.out,
        preset=job.preset,
        parts=job.parts,
        evidence=job.evidence,
        evidence_loss=job.evidence_loss,
        evidence_area=job.evidence_area,
        others=job.others,
        objects=job.objects,
        max_images=job.max_images,
        include_misclassified=job.include_misclassified,
        batch_size=job.batch_size,
        resume=resume,
        random_state=job.random_state,
        engine=engine,
        progress=progress,
    )
    run.report()
    return run


def do_job(job: Job, *, resume: bool = False, engine: str = "local", progress: JobProgress | None = None) -> JobResult:
    """Compute one planned run in this process as :func:`compute_run` does; an error is a result like others."""
    start = time.perf_counter()
    try:
        compute_run(job, resume=resume, engine=engine, progress=None if progress is None else partial(progress, job))
    except Exception as error:  # noqa: BLE001 - shown to the user with the others
        reason = str(error) if isinstance(error, VisualSummariesError) else f"{type(error).__name__}: {error}"
        return JobResult(job, "failed", time.perf_counter() - start, reason)
    return JobResult(job, "done", time.perf_counter() - start)


@lru_cache(maxsize=1)
def _classifier(model: str, loading: str) -> Classifier | VisualSummariesError:
    """Return the network, loaded as a text of JSON says, or why there is none, so that either is found out once."""
    options: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in json.loads(loading).items()
    }
    try:
        classifier = load_classifier(model, **options)
    except VisualSummariesError as error:
        return error
    logger.info("%s: %s; score: %s", classifier.spec, classifier.transform_in_words, classifier.score_in_words)
    return classifier


def _in_processes(jobs: Sequence[Job], workers: int, resume: bool, progress: JobProgress | None) -> Iterator[JobResult]:
    """Compute each run in a process of its own, so that one that dies takes no other along."""
    environment = _environment(min(workers, len(jobs) or 1))
    processes: list[subprocess.Popen[str]] = []
    ended = threading.Event()

    def compute(job: Job) -> JobResult:
        start = time.perf_counter()
        # A file, not a pipe: one that nobody reads would stop a process that says much.
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "visual_summaries.batch.work"],
                env=environment,
                stdin=subprocess.PIPE,  # kept open: the process ends when this one does
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
            processes.append(process)
            if ended.is_set():
                process.terminate()
            with suppress(BrokenPipeError, json.JSONDecodeError), process:  # of a process that died
                print(json.dumps([asdict(job), resume]), file=process.stdin, flush=True)
                for message in map(json.loads, process.stdout or ()):
                    if isinstance(message, dict):
                        return JobResult(job, **message)
                    if progress is not None:
                        progress(job, *message)
            errors.seek(0)
            last = errors.read().decode(errors="replace").strip().splitlines()[-1:]
        reason = ": ".join([f"the process ended with {process.returncode}", *last])
        return JobResult(job, "failed", time.perf_counter() - start, reason)

    with ThreadPoolExecutor(workers) as pool:
        try:
            for computed in as_completed([pool.submit(compute, job) for job in jobs]):
                yield computed.result()
        finally:
            ended.set()
            pool.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.terminate()


def _environment(workers: int) -> dict[str, str]:
    """Return the environment of each of `workers` processes.

    More threads than free cores wait for each other, by default in a loop that keeps a core busy: a run may take ten times as
    long. So they are no more than the user allows, and sleep while they wait.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, cores // workers))
    return {"OMP_WAIT_POLICY": "passive", **dict.fromkeys(_THREADS, threads), **os.environ, "OMP_NUM_THREADS": threads}


def _on_cluster(jobs: Sequence[Job], engine: Engine, resume: bool) -> Iterator[JobResult]:
    batches = (([number], [job]) for number, job in enumerate(jobs))
    on_card = any(job.device is not None and job.device.startswith("cuda") for job in jobs)
    for _, results in engine.run("runs", _do_jobs, (Path.cwd(), resume), batches, accelerator=on_card, whole=True):
        yield from results


def _do_jobs(shared: tuple[Path, bool], jobs: Sequence[Job]) -> list[JobResult]:
    """Compute runs in this process; relative paths of theirs start at a folder, where this machine has it."""
    folder, resume = shared
    if folder.is_dir():
        os.chdir(folder)
    return [do_job(job, resume=resume) for job in jobs]


def _work() -> None:
    """Compute the run that stdin says; lines on stdout are its progress, ``[stage, done, total]``, and its result."""
    # Pieces are whole whenever the process ends; the process that started this one tells how to continue.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a network's own code prints is no message
    job, resume = json.loads(sys.stdin.readline())

    def end_with_parent() -> None:
        os.read(0, 1)
        os._exit(1)

    def say(message: object) -> None:
        print(json.dumps(message), file=answers, flush=True)

    threading.Thread(target=end_with_parent, daemon=True).start()
    result = asdict(do_job(Job(**job), resume=resume, progress=lambda _, *values: say(values)))
    del result["job"]
    say(result)


if __name__ == "__main__":
    _work()
