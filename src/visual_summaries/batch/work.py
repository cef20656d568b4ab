"""The runs of an audit computed: in processes of this machine, or as tasks of a cluster."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO

from visual_summaries._validate import require_in_range
from visual_summaries.batch.jobs import Job, target_of_folder
from visual_summaries.classifiers import Classifier, load_classifier
from visual_summaries.engines import Engine, make_engine
from visual_summaries.errors import VisualSummariesError
from visual_summaries.progress import Progress, report_progress
from visual_summaries.runs.summarize import summarize


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
        Why it failed; empty where it did not.
    code : int
        What the command line would exit with.
    """

    job: Job
    state: str
    seconds: float = 0.0
    error: str = ""
    code: int = 0


def run_audit(
    jobs: Sequence[Job],
    *,
    engine: str = "local",
    workers: int | None = None,
    cpus_per_job: int | None = None,
    progress: Progress | None = None,
) -> Iterator[Outcome]:
    """Compute the runs that are not there yet, several at a time; one that fails does not stop the others.

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

    Yields
    ------
    Outcome
        As each is known; those of runs that are there already come first.

    Raises
    ------
    EngineError, MissingExtraError
        If there is no such cluster, or it went away.
    """
    told = 0
    waiting = []
    for job in jobs:
        if job.finished:
            told += 1
            yield Outcome(job, "kept")
        else:
            waiting.append(job)
    report_progress(progress, "audit", told, len(jobs))
    if engine == "local":
        found = _locally(waiting, workers, cpus_per_job)
    else:
        found = _on_cluster(waiting, make_engine(engine, cpus_per_task=cpus_per_job or 1))
    for number, outcome in enumerate(found, start=told + 1):
        yield outcome
        report_progress(progress, "audit", number, len(jobs))


def do_job(job: Job, *, resume: bool = True, engine: str = "local", progress: Progress | None = None) -> Outcome:
    """Compute one run in this process, and its report. Networks are loaded once for jobs that follow each other.

    Parameters
    ----------
    job : Job
    resume : bool
        Whether to go on with what is in its folder.
    engine : str
        Where the work of its stages is done.
    progress : callable, optional
    """
    start = time.perf_counter()
    try:
        classifier = _classifier(job.model, job.checkpoint, job.class_names, job.device)
        if isinstance(classifier, Exception):
            raise classifier
        run = summarize(
            classifier,
            job.images,
            job.target if job.target is not None else target_of_folder(Path(job.images).resolve().name, classifier),
            job.out,
            preset=job.preset,
            parts=job.parts,
            max_images=job.max_images,
            include_misclassified=job.include_misclassified,
            batch_size=job.batch_size,
            resume=resume,
            random_state=job.random_state,
            engine=engine,
            progress=progress,
        )
        run.report()
    except Exception as error:  # noqa: BLE001 - told to the user with the others
        known = isinstance(error, VisualSummariesError)
        reason = str(error) if known else f"{type(error).__name__}: {error}"
        return Outcome(job, "failed", time.perf_counter() - start, reason, getattr(error, "exit_code", 1))
    return Outcome(job, "done", time.perf_counter() - start)


@lru_cache(maxsize=1)
def _classifier(
    model: str, checkpoint: str | None, class_names: str | None, device: str | None
) -> Classifier | VisualSummariesError:
    """Return the network, or why there is none, so that either is found out once."""
    try:
        return load_classifier(model, checkpoint=checkpoint, class_names=class_names, device=device)
    except VisualSummariesError as error:
        return error


def _locally(jobs: Sequence[Job], workers: int | None, cpus: int | None) -> Iterator[Outcome]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = max(1, cores // 4) if workers is None else workers
    require_in_range("workers", workers, 1)
    threads = max(1, cores // workers) if cpus is None else cpus
    environment = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))}
    waiting = list(reversed(jobs))
    running: list[_Process] = []
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                running.append(_Process(waiting.pop(), environment))
            ended = next((process for process in running if process.has_ended()), None)
            if ended is None:
                time.sleep(0.05)
            else:
                running.remove(ended)
                yield ended.outcome()
    finally:
        for process in running:
            process.end()


class _Process:
    """A job in a process of its own, see :mod:`visual_summaries.batch.work`."""

    def __init__(self, job: Job, environment: dict[str, str]) -> None:
        self.job, self._start = job, time.perf_counter()
        # Files, not pipes: one that nobody reads would stop a process that says much.
        self._out, self._err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 - closed when it has ended
        with tempfile.TemporaryFile() as given:
            given.write(json.dumps(asdict(job)).encode())
            given.seek(0)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "visual_summaries.batch.work"],
                env=environment,
                stdin=given,
                stdout=self._out,
                stderr=self._err,
            )

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def outcome(self) -> Outcome:
        """Return what the process said became of its job, or how it died."""
        out, err = map(self._lines, (self._out, self._err))
        if self._process.returncode == 0:
            return Outcome(self.job, **json.loads(out[-1]))
        reason = f"the process ended with {self._process.returncode}" + "".join(f": {line}" for line in err[-1:])
        return Outcome(self.job, "failed", time.perf_counter() - self._start, reason, 1)

    @staticmethod
    def _lines(file: IO[bytes]) -> list[str]:
        with file:
            file.seek(0)
            return file.read().decode(errors="replace").strip().splitlines()

    def end(self) -> None:
        self._process.terminate()
        self._process.wait()
        self._out.close()
        self._err.close()


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


if __name__ == "__main__":
    # Pieces are whole whenever the process ends; the process that started this one tells how to go on.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    outcome = asdict(do_job(Job(**json.load(sys.stdin))))
    del outcome["job"]
    print("\n" + json.dumps(outcome))
