"""Where work items are computed: in this process, or on a cluster."""

from __future__ import annotations

from visual_summaries.engines.base import Batch, Compute, Engine, Handle, LocalEngine
from visual_summaries.errors import SettingsError

__all__ = ["Batch", "Compute", "Engine", "Handle", "LocalEngine", "make_engine"]

#: The forms of an engine's name.
FORMS = "local, ray, or ray://HOST:PORT"


def make_engine(engine: str | Engine = "local", *, cpus_per_task: int = 1) -> Engine:
    """Return the engine of a name: ``local``, ``ray`` or ``ray://HOST:PORT``.

    ``ray`` uses the cluster that this machine is part of (or the one that the environment variable ``RAY_ADDRESS`` names), and
    starts one on this machine alone where there is none. ``ray://HOST:PORT`` is the address of a cluster's Ray client server.

    Parameters
    ----------
    engine : str or Engine
        An engine is given back as it is.
    cpus_per_task : int
        Cores, and threads, of each task of a cluster.

    Raises
    ------
    SettingsError
        If there is no engine of that name.
    MissingExtraError
        If Ray is requested and not installed.

    Examples
    --------
    >>> make_engine("local").name
    'local'
    >>> make_engine("spark")
    Traceback (most recent call last):
    ...
    visual_summaries.errors.SettingsError: engine is 'spark', but must be local, ray, or ray://HOST:PORT
    """
    if engine == "local":
        return LocalEngine()
    if not isinstance(engine, str):
        return engine
    if engine == "ray" or (engine.startswith("ray://") and len(engine) > len("ray://")):
        from visual_summaries.engines.ray_engine import RayEngine

        return RayEngine(None if engine == "ray" else engine, cpus_per_task=cpus_per_task)
    raise SettingsError(f"engine is {engine!r}, but must be {FORMS}")
