"""Networks that the user's own Python code builds."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from visual_summaries.errors import ClassifierError


def build_from_file(path: str | Path, function: str) -> nn.Module:
    r"""Return the network that a function in a Python file builds.

    The file's folder can be imported from while the file is imported and the function runs, and not afterwards.

    Raises
    ------
    ClassifierError
        If there is no such file or function, the function needs arguments, or it returns no ``nn.Module``. What the user's
        code itself raises passes through.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "nets.py"
    >>> _ = file.write_text("from torch import nn\n\ndef tiny():\n    return nn.Flatten()\n")
    >>> build_from_file(file, "tiny")
    Flatten(start_dim=1, end_dim=-1)
    """
    path = Path(path).expanduser().resolve()
    if not path.is_file():
        raise ClassifierError(f"model file {path} does not exist: give path/to/file.py:function")
    # A name of its own, so that two files called nets.py are two modules.
    name = f"{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    found = importlib.util.spec_from_file_location(name, path)
    if found is None or found.loader is None:
        raise ClassifierError(f"model file {path} is not Python code: give path/to/file.py:function")
    with _importing_from(path.parent):
        code = importlib.util.module_from_spec(found)
        sys.modules[name] = code  # dataclasses and pickle look classes up by their module's name
        try:
            found.loader.exec_module(code)
        except BaseException:
            del sys.modules[name]
            raise
        return _call(code, function, str(path))


def build_from_module(name: str, function: str) -> nn.Module:
    """Return the network that a function of an importable module builds; the working directory can be imported from.

    Raises
    ------
    ClassifierError
        As :func:`build_from_file`.

    Examples
    --------
    >>> build_from_module("torch.nn", "Flatten")
    Flatten(start_dim=1, end_dim=-1)
    """
    with _importing_from(Path.cwd()):
        try:
            code = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise  # the module is there; one that it imports is not
            raise ClassifierError(
                f"there is no Python module {error.name!r} to take {name}:{function} from: "
                "install it, run in its folder, or give path/to/file.py:function"
            ) from error
        return _call(code, function, name)


def _call(code: ModuleType, function: str, place: str) -> nn.Module:
    builder: Any = code
    for part in function.split("."):
        if not hasattr(builder, part):
            offered = ", ".join(name for name, value in vars(code).items() if callable(value) and not name.startswith("_"))
            raise ClassifierError(f"{place} has no {function!r}; it offers {offered or 'nothing callable'}")
        builder = getattr(builder, part)
    if isinstance(builder, nn.Module):
        return builder
    if not callable(builder):
        raise ClassifierError(
            f"{function} in {place} is a {type(builder).__name__}, but must be a function that returns a torch.nn.Module"
        )
    needed = [
        parameter.name
        for parameter in _parameters(builder)
        if parameter.default is parameter.empty and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if needed:
        raise ClassifierError(
            f"{function} in {place} needs the argument(s) {', '.join(needed)}: give a function that needs none"
        )
    module = builder()
    if not isinstance(module, nn.Module):
        raise ClassifierError(f"{function} in {place} returned a {type(module).__name__}, but must return a torch.nn.Module")
    return module


def _parameters(builder: Any) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(builder).parameters.values())
    except ValueError:  # some functions in C do not say
        return []


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    """Put a folder before the import path, and take all changes of the path back afterwards."""
    path_before = list(sys.path)
    # A neighbor named like a module that was loaded from another model's folder must not be taken for it.
    names = {file.stem for file in folder.glob("*.py")} | {file.parent.name for file in folder.glob("*/__init__.py")}
    shadowed = {
        name: module for name, module in sys.modules.items() if name.split(".")[0] in names and _is_foreign(module, folder)
    }
    for name in shadowed:
        del sys.modules[name]
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = path_before
        sys.modules.update(shadowed)


def _is_foreign(module: ModuleType, folder: Path) -> bool:
    """Whether a module came from a file that cannot be imported by name now: another model's neighbor."""
    file = getattr(module, "__file__", None)
    if file is None:
        return False
    parents = [str(parent) for parent in Path(file).parents]
    return str(folder) not in parents and not any(str(Path(entry or ".").absolute()) in parents for entry in sys.path)
