"""What runs in the processes of a cluster."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from visual_summaries._allocator import freed_memory_kept
from visual_summaries.engines.base import Compute

# What a run's items have in common, unpickled once in this process; that of one run at a time, so that memory stays flat.
_SHARED: dict[str, Any] = {}


@dataclass(frozen=True)
class RemoteReference:
    """What a :class:`~visual_summaries.engines.Part` is for the worker: it lies in the cluster's memory.

    Attributes
    ----------
    reference : ObjectRef
    """

    reference: Any

    def get(self) -> Any:
        """Return a copy of it."""
        import ray

        return ray.get(self.reference)


def compute_batch(token: str, shared: list[Any], cpus: int, compute: Compute, items: Sequence[Any]) -> list[Any]:
    """Compute a batch of items.

    Parameters
    ----------
    token : str
        Name of `shared`.
    shared : list of one ObjectRef
        Bytes of what all items of the run have in common; in a list, so that Ray does not fetch it for every task.
    cpus : int
        Threads to use.
    compute : callable
    items : sequence
    """
    if token not in _SHARED:
        import pickle

        import ray
        import torch

        torch.set_num_threads(cpus)
        # Arrays that Ray hands out cannot be written. Nobody here does.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        _SHARED.clear()
        # From the process that runs the job, by way of the cluster's memory: no file.
        _SHARED[token] = pickle.loads(ray.get(shared[0]))  # noqa: S301
    with freed_memory_kept():
        return list(compute(_SHARED[token], items))
