"""CRAFT on the photographs of a job: the half of ``peers.py`` that runs in the peer's own environment.

Run as ``python craft.py FOLDER``. FOLDER holds ``job.json`` (what :func:`processes.launch` writes) and ``views.npy``, uint8
(N, H, W, 3). Written to it are ``result.json`` (times in seconds, importance of the concepts, versions) and ``result.npz``
(``maps``: coefficients of the concepts, (N, h, w, K)). The network must be one of timm's, whose ``forward_features`` ends at
the last feature map before pooling.
"""

from __future__ import annotations

import time

STARTED = time.perf_counter()

import json  # noqa: E402
import runpy  # noqa: E402
import sys  # noqa: E402
from importlib.metadata import version  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torchvision  # noqa: E402, F401  (the process crashes where it is imported after TensorFlow)
from torch import nn  # noqa: E402
from xplique.concepts import CraftTorch  # noqa: E402

IMPORTED = time.perf_counter()

_VERSIONS = ("xplique", "tensorflow-cpu", "torch", "timm", "numpy", "scipy", "scikit-learn")


class Part(nn.Module):
    """One half of a network of timm: up to its last feature map, or from there on.

    Parameters
    ----------
    network : nn.Module
    method : str
        ``"forward_features"``, (N, 3, H, W) of normalized images to (N, C, h, w); or ``"forward_head"``, those to (N, classes).
    """

    def __init__(self, network: nn.Module, method: str) -> None:
        super().__init__()
        self.network, self._method = network, method

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what this half of the network makes of its input."""
        answer: torch.Tensor = getattr(self.network, self._method)(x)
        return answer


def load_network(spec: str) -> nn.Module:
    """Return what the function of a file returns, from ``"FILE:FUNCTION"``."""
    file, _, function = spec.rpartition(":")
    return runpy.run_path(file)[function]().eval()


def normalized(views: np.ndarray, mean: list[float], std: list[float]) -> torch.Tensor:
    """Return views as the network's input, (N, 3, H, W)."""
    x = torch.from_numpy(views).permute(0, 3, 1, 2).float() / 255
    return (x - torch.tensor(mean).view(-1, 1, 1)) / torch.tensor(std).view(-1, 1, 1)


def main() -> None:
    """Run the job of a folder."""
    folder = Path(sys.argv[1])
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    views = np.load(folder / "views.npy")
    started = time.perf_counter()
    network = load_network(job["network"])
    g, h = Part(network, "forward_features"), Part(network, "forward_head")
    with torch.no_grad():  # what a process does at its first pass is no part of the method
        h(g(normalized(views[:1], job["mean"], job["std"])))
    loaded = time.perf_counter()

    np.random.seed(job["random_state"])  # the factorization takes no seed of its own
    marks, processor = [time.perf_counter()], time.process_time()
    x = normalized(views, job["mean"], job["std"])
    craft = CraftTorch(
        g, h, number_of_concepts=job["concepts"], batch_size=job["batch_size"], patch_size=job["patch_size"], device="cpu"
    )
    craft.fit(x, class_id=job["target"])
    marks.append(time.perf_counter())
    importance = craft.estimate_importance()
    marks.append(time.perf_counter())
    maps = craft.transform(x)
    marks.append(time.perf_counter())
    processor = time.process_time() - processor

    with torch.no_grad():
        right = (h(g(x)).argmax(1) == job["target"]).sum()
    result = {
        "seconds": marks[-1] - marks[0],
        "processor_seconds": processor,
        "stages": dict(zip(("fit", "importance", "maps"), np.diff(marks).tolist(), strict=True)),
        "imports": IMPORTED - STARTED,
        "loading": loaded - started,
        "threads": torch.get_num_threads(),
        "right": int(right),
        "importance": [float(value) for value in importance],
        "versions": {name: version(name) for name in _VERSIONS},
    }
    np.savez(folder / "result.npz", maps=np.asarray(maps, np.float32))
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
