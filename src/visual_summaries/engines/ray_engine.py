"""Work items as tasks of a Ray cluster."""

from __future__ import annotations

import math
import os
import time
import uuid
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from visual_summaries._allocator import freed_memory_kept
from visual_summaries._validate import require_in_range
from visual_summaries.engines.base import Batch, Compute, Handle
from visual_summaries.engines.shipping import pack_for
from visual_summaries.errors import EngineError, MissingExtraError

#: How often a task is given to another worker when its own dies.
_RETRIES = 5

# What a run's items have in common, unpickled once in each process of the cluster; that of one run at a time.
_SHARED: dict[str, Any] = {}


class RayEngine:
    """A Ray cluster: each batch of items is a task.

    What all items have in common - network, weights, settings - is put into the cluster's memory once and read once by each
    worker process. No more than `in_flight` tasks for each worker wait at a time, so that neither the memory of this process
    nor the cluster's grows with the number of items. A task whose worker or node dies is given to another.

    Parameters
    ----------
    address : str, optional
        As :func:`ray.init` takes it: ``"ray://HOST:PORT"``, ``"HOST:PORT"``, ``"auto"``. Unless given, the cluster of this
        machine or of ``RAY_ADDRESS``; where there is none, one is started here.
    cpus_per_task : int
        Processor cores of a task, which are its threads.
    gpus_per_task : float
        Share of a GPU of each task that needs one.
    in_flight : int
        Tasks that are handed out for each one that can run.
    patience : float
        Seconds to wait for a node when none of the cluster has what a task asks for: nodes come and go.

    Raises
    ------
    MissingExtraError
        If Ray is not installed.
    EngineError
        If there is no cluster at that address.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        cpus_per_task: int = 1,
        gpus_per_task: float = 1.0,
        in_flight: int = 2,
        patience: float = 300.0,
    ) -> None:
        require_in_range("cpus_per_task", cpus_per_task, 1)
        require_in_range("gpus_per_task", gpus_per_task, 0.01, 64)
        require_in_range("in_flight", in_flight, 1)
        require_in_range("patience", patience, 0)
        self.name = "ray"
        self._address, self._cpus, self._gpus, self._in_flight = address, cpus_per_task, gpus_per_task, in_flight
        self._patience = patience
        self._ray: Any = None
        self._started = False
        self._shared: tuple[Any, str, Any] | None = None
        self._handles: WeakKeyDictionary[Handle[Any], Any] = WeakKeyDictionary()
        self._import()

    @staticmethod
    def _import() -> Any:
        try:
            import ray
        except ImportError as error:
            raise MissingExtraError("the engine ray needs Ray: pip install 'visual-summaries[ray]'") from error
        return ray

    def connect(self) -> Any:
        """Return the module ``ray``, connected to the cluster.

        Raises
        ------
        EngineError
            If there is none at the address.
        """
        if self._ray is None:
            ray = self._import()
            # Ray would tell its makers of the cluster, and say much on the terminal.
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            if not ray.is_initialized():
                try:
                    ray.init(self._address, log_to_driver=False, logging_level="ERROR", configure_logging=False)
                except Exception as error:  # Ray raises ConnectionError, ValueError, RuntimeError and others
                    raise EngineError(
                        f"no Ray cluster at {self._address or 'this machine'} ({_line(error)}): start one "
                        "with 'ray start --head', or check the address (ray://HOST:10001 for Ray's client server)"
                    ) from error
                self._started = True
            self._ray = ray
            self._remote = ray.remote(compute_batch)
        return self._ray

    def run(
        self, name: str, compute: Compute, shared: Any, batches: Iterator[Batch], *, accelerator: bool, whole: bool
    ) -> Iterator[tuple[list[int], list[Any]]]:
        """See :meth:`Engine.run`.

        Raises
        ------
        EngineError
            If the cluster is gone or has no node left for a task, or a task died with each worker that it was given to.
        """
        ray = self.connect()
        token, reference = self._share(shared)
        task = self._remote.options(
            name=f"visual-summaries {name}",
            num_cpus=self._cpus,
            num_gpus=self._gpus if accelerator else 0,
            max_retries=_RETRIES,
            scheduling_strategy="SPREAD",
        )
        waiting: dict[Any, list[int]] = {}
        try:
            for positions, items in batches:
                waiting[task.remote(token, [reference], self._cpus, compute, self._sent(items))] = positions
                if len(waiting) >= self._room(accelerator):
                    yield self._finished(waiting, accelerator)
            while waiting:
                yield self._finished(waiting, accelerator)
        except ray.exceptions.RayTaskError as error:
            # What the computation itself raised, as it would have been raised here.
            cause = getattr(error, "cause", None)
            if isinstance(cause, Exception):
                raise cause from error
            raise
        except (ray.exceptions.RayError, ConnectionError) as error:
            raise EngineError(
                f"the cluster could not finish {name} ({type(error).__name__}): {_line(error)}; what is "
                "finished is kept: give the command again with --resume when the cluster is back"
            ) from error
        finally:
            for waited in waiting:
                ray.cancel(waited, force=False)

    def _finished(self, waiting: dict[Any, list[int]], accelerator: bool) -> tuple[list[int], list[Any]]:
        """Wait for one of the tasks, and return its positions and records."""
        alone_since: float | None = None
        while True:
            found, _ = self._ray.wait(list(waiting), num_returns=1, timeout=min(5.0, self._patience))
            if found:
                return waiting.pop(found[0]), [_own(record) for record in self._ray.get(found[0])]
            # Ray itself would wait for ever for a node that can take the task.
            if self._slots(accelerator):
                alone_since = None
            elif alone_since is None:
                alone_since = time.monotonic()
            elif time.monotonic() - alone_since >= self._patience:
                card = f" and {self._gpus:g} GPUs" if accelerator else ""
                raise ConnectionError(f"no node has had {self._cpus} cores{card} for a task for {self._patience:g} s")

    def _slots(self, accelerator: bool) -> int:
        """How many tasks could run at a time; asked each time, because clusters grow and shrink."""
        count = 0
        for node in self._ray.nodes():
            if node["Alive"]:
                slots = node["Resources"].get("CPU", 0.0) / self._cpus
                if accelerator:
                    slots = min(slots, node["Resources"].get("GPU", 0.0) / self._gpus)
                count += math.floor(slots)
        return count

    def _room(self, accelerator: bool) -> int:
        """How many tasks may be handed out now."""
        return max(2, self._in_flight * self._slots(accelerator))

    def _share(self, shared: Any) -> tuple[str, Any]:
        """Put what all items have in common into the cluster's memory, once for each run."""
        if self._shared is None or self._shared[0] is not shared:
            network = getattr(getattr(shared, "classifier", None), "module", None)
            function = getattr(getattr(shared, "target", None), "function", None)
            content = pack_for(self._ray.cloudpickle, shared, network, [] if function is None else [function])
            self._shared = (shared, uuid.uuid4().hex, self._ray.put(content))
        return self._shared[1], self._shared[2]

    def _sent(self, item: Any) -> Any:
        """Return an item whose handles are of the cluster's memory, each put there once, for as long as somebody holds it."""
        if isinstance(item, Handle):
            if item not in self._handles:
                self._handles[item] = self._ray.put(item.value)
            return RemoteHandle(self._handles[item])
        if isinstance(item, dict):
            return {name: self._sent(value) for name, value in item.items()}
        return type(item)(map(self._sent, item)) if type(item) in (list, tuple) else item

    def close(self) -> None:
        """Leave the cluster; one that was started for this engine ends."""
        self._shared = None
        self._handles.clear()
        if self._started and self._ray is not None:
            self._ray.shutdown()
        self._ray, self._started = None, False


def _own(record: Any) -> Any:
    """Return a record whose arrays are in this process: Ray's lie in the cluster's memory for as long as one has them."""
    if isinstance(record, np.ndarray):
        return record.copy()
    return {name: _own(value) for name, value in record.items()} if isinstance(record, dict) else record


def _line(error: Exception) -> str:
    """Return the first line of what an error says."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


@dataclass(frozen=True)
class RemoteHandle:
    """What a :class:`~visual_summaries.engines.Handle` is for a worker: its value lies in the cluster's memory."""

    reference: Any

    def get(self) -> Any:
        """Return a copy of it."""
        import ray

        return ray.get(self.reference)


def compute_batch(token: str, shared: list[Any], cpus: int, compute: Compute, items: Sequence[Any]) -> list[Any]:
    """Compute a batch of items, in a process of the cluster, by so many threads.

    `shared`, of the name `token`, refers to the bytes of what all items of the run have in common; it is in a list, so that Ray
    does not fetch it for every task.
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
