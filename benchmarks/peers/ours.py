"""A run of this project on the photographs of a job: the other half of ``peers.py``, in a process of its own, too.

Run as ``python ours.py FOLDER``. FOLDER holds ``job.json`` (what :func:`processes.launch` writes) and ``views.npy``, uint8
(N, H, W, 3); ``result.json`` (times in seconds, importance of the summaries) and ``result.npz`` (``evidence`` and ``labels``,
(N, H, W)) are written to it.
"""

from __future__ import annotations

import time

STARTED = time.perf_counter()

import json  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.parts.photos import divided, run_preset  # noqa: E402
from benchmarks.parts.units import Photographs, warmed  # noqa: E402

IMPORTED = time.perf_counter()


def main() -> None:
    """Run the job of a folder."""
    folder = Path(sys.argv[1])
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    views = np.load(folder / "views.npy")
    started = time.perf_counter()
    classifier = warmed(job["network"], views[0])
    loaded = time.perf_counter()

    processor, start = time.process_time(), time.perf_counter()
    run = run_preset(Photographs(classifier, job["target"], list(views), None), job["preset"])
    seconds, processor = time.perf_counter() - start, time.process_time() - processor

    evidence, labels = divided(run)
    result = {
        "seconds": seconds,
        "processor_seconds": processor,
        "stages": run.info.timings,
        "imports": IMPORTED - STARTED,
        "loading": loaded - started,
        "threads": torch.get_num_threads(),
        "importance": [None if one.analysis is None else one.analysis.class_effect for one in run.summaries],
    }
    np.savez(folder / "result.npz", evidence=np.stack(evidence), labels=np.stack(labels))
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
