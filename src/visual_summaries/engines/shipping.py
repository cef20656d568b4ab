"""Objects as bytes for another process: a network's own code goes along where that process could not import it.

These bytes go from one process of a run to another and are never stored: nothing is unpickled from a file.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

_INSTALLED = tuple(
    str(Path(folder).resolve())
    for folder in {
        *(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        str(Path(__file__).parents[1]),
    }
)


def pack_for(pickler: Any, value: Any, network: torch.nn.Module | None = None, functions: Iterable[Any] = ()) -> bytes:
    """Return `value` as bytes, by cloudpickle or Ray's copy of it.

    Modules of Python that the code of the `network` and the `functions` in it comes from go along, unless they are installed as
    packages are.
    """
    parts = [] if network is None else [type(part) for part in network.modules()]
    own = own_modules([*parts, *functions])
    with _by_value(pickler, own):
        return bytes(pickler.dumps(value))


def own_modules(things: Iterable[Any]) -> set[ModuleType]:
    """Return the modules of the user's own code that classes and functions come from, and those that they use in turn.

    Examples
    --------
    >>> own_modules([torch.nn.Linear])
    set()
    """
    found: set[ModuleType] = set()
    waiting = [sys.modules.get(getattr(thing, "__module__", "") or "") for thing in things]
    while waiting:
        module = waiting.pop()
        # __main__ always goes along
        if module is None or module in found or module.__name__ == "__main__" or _is_installed(module):
            continue
        found.add(module)
        for value in list(vars(module).values()):
            if isinstance(value, ModuleType):
                waiting.append(value)
            else:
                waiting.append(sys.modules.get(getattr(value, "__module__", None) or ""))
    return found


def _is_installed(module: ModuleType) -> bool:
    file = getattr(module, "__file__", None)
    return file is None or str(Path(file).resolve()).startswith(_INSTALLED)


@contextmanager
def _by_value(pickler: Any, modules: Iterable[ModuleType]) -> Iterator[None]:
    registered = []
    try:
        for module in modules:
            # A neighbor of a model's file may have been taken out of sys.modules after the import.
            sys.modules.setdefault(module.__name__, module)
            pickler.register_pickle_by_value(module)
            registered.append(module)
        yield
    finally:
        for module in registered:
            pickler.unregister_pickle_by_value(module)
