"""What a stage's code is: its own function and all that this calls in the package, as a hash.

A change of the code may change what a stage computes, and then pieces of earlier runs must not be taken for its own: its
``code`` is raised. ``python tests/stage_code.py`` writes the present hashes to ``stage_code.json``, after a stage's code was
raised, or when it computes what it did (a renaming, another order of functions).
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
import json
import pkgutil
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import visual_summaries.runs
from visual_summaries.runs.stages import Stage

FILE = Path(__file__).with_suffix(".json")
PACKAGE = "visual_summaries"


def stages() -> dict[str, Stage]:
    """All stages of runs, by their names."""
    package = visual_summaries.runs
    modules = [importlib.import_module(f"{package.__name__}.{one.name}") for one in pkgutil.iter_modules(package.__path__)]
    return {value.name: value for module in modules for value in vars(module).values() if isinstance(value, Stage)}


def code_of(stage: Stage) -> str:
    """Hash of the code that computes a stage, without docstrings, comments and annotations."""
    seen: dict[str, str] = {}
    waiting: list[Any] = [stage.compute, stage.settings]
    while waiting:
        value = waiting.pop()
        key = f"{value.__module__}.{value.__qualname__}"
        if key in seen:
            continue
        tree = source_of(value)
        seen[key] = ast.dump(tree)
        waiting += _used(value, tree)
    return hashlib.sha256(json.dumps(sorted(seen.items())).encode()).hexdigest()[:16]


def source_of(value: Any) -> ast.AST:
    """Return the tree of a function or class, without docstrings and annotations."""
    text = textwrap.dedent(inspect.getsource(value))
    if "<lambda>" in value.__qualname__:  # the line that it stands on
        text = text[text.index("lambda") :].splitlines()[0]
        return ast.parse(repr(text))
    return _Bare().visit(ast.parse(text))


class _Bare(ast.NodeTransformer):
    """Takes away what computes nothing."""

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.arg(node.arg)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        self.generic_visit(node)
        return ast.Assign([node.target], node.value) if node.value is not None else ast.Expr(node.target)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self._without_docstring(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._without_docstring(node)

    def _without_docstring(self, node: Any) -> ast.AST:
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        return self.generic_visit(node)


def _used(value: Any, tree: ast.AST) -> Iterator[Any]:
    """Functions and classes of the package that a function or class names; their own code counts too."""
    names = vars(inspect.getmodule(value))
    for node in ast.walk(tree):
        found = names.get(node.id) if isinstance(node, ast.Name) else None
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and inspect.ismodule(names.get(node.value.id)):
            found = getattr(names[node.value.id], node.attr, None)
        found = inspect.unwrap(found) if inspect.isfunction(found) else found
        if (inspect.isfunction(found) or inspect.isclass(found)) and (found.__module__ or "").startswith(f"{PACKAGE}."):
            yield found


def record() -> dict[str, dict[str, Any]]:
    """The version and the hash of each stage's code."""
    return {name: {"code": stage.code, "hash": code_of(stage)} for name, stage in sorted(stages().items())}


if __name__ == "__main__":
    FILE.write_text(json.dumps(record(), indent=1) + "\n", encoding="utf-8")
