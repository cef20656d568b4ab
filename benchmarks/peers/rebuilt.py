"""Methods without a package of their own that could be run, rebuilt here, on the photographs of a job: for ``peers.py``.

Run as ``python rebuilt.py FOLDER``. FOLDER holds ``job.json`` (what :func:`processes.launch` writes, with ``method``) and
``views.npy``, uint8 (N, H, W, 3); ``result.json`` (times in seconds) and ``result.npz`` (``labels``, (N, H, W)) are written
to it.

- *k-means*: of features of the whole images (``parts/baselines.py``), as many groups as CRAFT's example has concepts.
- *SpRAy*: Grad-CAM's heat maps, clustered (``parts/heatmaps.py``).
- *ACE*: superpixels, grouped by the features of their patches (``ace.py``).
"""

from __future__ import annotations

import time

STARTED = time.perf_counter()

import json  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable, Sequence  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.parts.baselines import feature_maps, kmeans_labels  # noqa: E402
from benchmarks.parts.heatmaps import grad_cam, spray_labels  # noqa: E402
from benchmarks.parts.units import warmed  # noqa: E402
from benchmarks.peers.ace import ace_labels  # noqa: E402
from visual_summaries.classifiers import Classifier  # noqa: E402

IMPORTED = time.perf_counter()

View = NDArray[np.uint8]
Labels = NDArray[np.int16]


def kmeans(classifier: Classifier, views: Sequence[View], job: dict[str, Any]) -> list[Labels]:
    """Return the groups of all pixels."""
    return kmeans_labels(feature_maps(classifier, views), [np.ones(view.shape[:2], bool) for view in views], job["groups"])


def spray(classifier: Classifier, views: Sequence[View], job: dict[str, Any]) -> list[Labels]:
    """Return the cluster of each image where its heat map is hottest."""
    return spray_labels(grad_cam(classifier, views, job["target"]))


def ace(classifier: Classifier, views: Sequence[View], _job: dict[str, Any]) -> list[Labels]:
    """Return the concepts of superpixels."""
    return ace_labels(classifier, views)


METHODS: dict[str, Callable[[Classifier, Sequence[View], dict[str, Any]], list[Labels]]] = {
    "k-means": kmeans,
    "SpRAy": spray,
    "ACE": ace,
}


def main() -> None:
    """Run the job of a folder."""
    folder = Path(sys.argv[1])
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    views = list(np.load(folder / "views.npy"))
    started = time.perf_counter()
    classifier = warmed(job["network"], views[0])
    loaded = time.perf_counter()

    processor, start = time.process_time(), time.perf_counter()
    labels = METHODS[job["method"]](classifier, views, job)
    seconds, processor = time.perf_counter() - start, time.process_time() - processor
    result = {
        "seconds": seconds,
        "processor_seconds": processor,
        "imports": IMPORTED - STARTED,
        "loading": loaded - started,
        "threads": torch.get_num_threads(),
    }
    np.savez(folder / "result.npz", labels=np.stack(labels))
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
