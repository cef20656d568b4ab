"""A Ray cluster of several nodes on this machine, to kill its workers and nodes; for the tests and ``scale.py``."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import ray
from ray.cluster_utils import Cluster

#: Memory for objects that holds what waits here; workers find the modules that this process finds.
SMALL: dict[str, Any] = {
    "object_store_memory": 300 * 2**20,
    "env_vars": {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
}
#: A node that is gone is noticed within seconds, where Ray itself would take up to a minute. A check that is only late, on a
#: machine with fewer cores than nodes, does not count.
SYSTEM = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 1000,
    "health_check_timeout_ms": 10000,
    "health_check_failure_threshold": 3,
    "worker_niceness": 0,  # Ray would put its workers behind everything else
}


class Nodes:
    """A head that only keeps the books, and nodes of one core each that work.

    Parameters
    ----------
    count : int
        Nodes that work, at first.
    client : bool
        Whether the head also answers at ``ray://``; then `client_port` says where.
    """

    def __init__(self, count: int = 0, *, client: bool = False) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        head: dict[str, Any] = {"num_cpus": 0, "include_dashboard": False, "_system_config": SYSTEM, **SMALL}
        if client:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self.client_port = int(free.getsockname()[1])
            head["ray_client_server_port"] = self.client_port
        self.cluster = Cluster(initialize_head=True, head_node_args=head)
        self.nodes: list[Any] = []
        ray.init(self.cluster.address, log_to_driver=False, logging_level="ERROR", configure_logging=False)
        self.have(count)

    def have(self, count: int, **resources: Any) -> None:
        """Make the number of working nodes `count`."""
        while len(self.nodes) < count:
            self.nodes.append(self.cluster.add_node(num_cpus=1, **SMALL, **resources))
        while len(self.nodes) > count:
            self.lose()
        wait_until(lambda: ray.cluster_resources().get("CPU", 0) == count)

    def lose(self) -> None:
        """Kill a node as a power cut would."""
        self.cluster.remove_node(self.nodes.pop(), allow_graceful=False)

    def workers(self) -> list[int]:
        """Return the process ids of the workers of all nodes; a node ends with its agents, which are no workers."""
        raylets = {node.all_processes["raylet"][0].process.pid for node in self.nodes}
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                if parent in raylets and _is_worker(folder):
                    found.append(int(folder.name))
        return found

    def close(self) -> None:
        """End all of it."""
        ray.shutdown()
        self.cluster.shutdown()


def _is_worker(process: Path) -> bool:
    title = (process / "cmdline").read_bytes()
    return title.startswith(b"ray::") and b"Agent" not in title


def wait_until(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something holds, not for ever."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError("the cluster did not get there")
        time.sleep(0.2)
