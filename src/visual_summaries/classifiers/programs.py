"""What a ``.pt2`` file may hold: tensors, and a graph of known operators in JSON, checked before anything of it is loaded.

PyTorch looks an operator up by the dotted name in the file and evaluates the file's symbolic sizes as Python, so that a made-up
file could name any function. Here names and expressions are read as data first.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from visual_summaries.errors import ClassifierError

# Members of the archive that torch.export would unpickle by other means than torch.load, and compiled code.
_EXECUTABLE = re.compile(r"data/constants/(opaque|custom)_obj_|data/aotinductor/")
# Operators on tensors, and arithmetic on sizes. `from_file` maps any file of the machine into a tensor.
_OPERATORS = re.compile(
    r"torch\.ops\.(aten|prims|torchvision|quantized_decomposed)\.(?!from_file)\w+(\.\w+)?"
    r"|torch\.ops\.higher_order\.(wrap_with_set_grad_enabled|wrap_with_autocast|cond)"
    r"|torch\.sym_\w+|math\.(ceil|floor|trunc|sqrt)"
    r"|_operator\.(getitem|add|sub|mul|neg|pos|abs|pow|mod|floordiv|truediv|eq|ne|lt|le|gt|ge|and_|or_|not_)"
)
_NAME = re.compile(r"\w*")
# Symbols, numbers and arithmetic, in either of SymPy's notations; what is called must be one of these, and sees no text but
# the name of a symbol.
_EXPRESSION = re.compile(r"[\w\s+\-*/%(),.<>=!&|~]*")
_QUOTED = re.compile(r"'[\w.]*'")
_CALLED = re.compile(r"([A-Za-z_][\w.]*)\s*\(")
_FUNCTIONS = frozenset(
    [
        "Symbol",
        "Integer",
        "Rational",
        "Float",
        "Add",
        "Mul",
        "Pow",
        "Max",
        "Min",
        "Mod",
        "PythonMod",
        "FloorDiv",
        "CleanDiv",
        "CeilDiv",
        "CeilToInt",
        "FloorToInt",
        "TruncToInt",
        "RoundToInt",
        "ToFloat",
        "Where",
        "ModularIndexing",
        "IntTrueDiv",
        "FloatTrueDiv",
        "PowByNatural",
        "FloatPow",
        "Identity",
        "Abs",
        "floor",
        "ceiling",
        "Eq",
        "Ne",
        "Lt",
        "Le",
        "Gt",
        "Ge",
        "And",
        "Or",
        "Not",
        "Equality",
        "Unequality",
        "StrictLessThan",
        "LessThan",
        "StrictGreaterThan",
        "GreaterThan",
    ]
)
_ATTRIBUTE = re.compile(r"\.\s*[A-Za-z_]|__")


def require_plain_program(path: Path) -> None:
    """Check that an archive of ``torch.export.save`` holds nothing but tensors and a graph of operators on tensors.

    Raises
    ------
    ClassifierError
        If it holds pickled objects, compiled code, or a graph that calls anything else; the message names what.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                if _EXECUTABLE.search(member):
                    raise ClassifierError(
                        f"{path} holds pickled objects or compiled code ({member}), which is refused: "
                        "export a network of plain tensors"
                    )
                if member.endswith(".json"):
                    for what, text in _suspects(json.loads(archive.read(member))):
                        raise ClassifierError(
                            f"{path} would execute code: its graph has the {what} {text[:80]!r}, which is refused. "
                            "Only operators on tensors (torch.ops.aten and the like) and arithmetic on sizes are loaded: "
                            "export a network of plain tensors"
                        )
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError, RecursionError) as error:
        reason = str(error) or type(error).__name__
        raise ClassifierError(
            f"{path} is not a program that torch.export of PyTorch {torch.__version__} can load ({reason}): "
            "write it with torch.export.save"
        ) from error


def is_plain_expression(text: str) -> bool:
    """Whether a symbolic size is arithmetic on symbols and nothing else.

    Examples
    --------
    >>> [is_plain_expression(text) for text in ("2*s31 + 1", "Max(1, Symbol('s0', integer=True))", "exit()", "().__class__")]
    [True, True, False, False]
    """
    text = _QUOTED.sub("s", text)
    return (
        _EXPRESSION.fullmatch(text) is not None
        and _ATTRIBUTE.search(text) is None
        and all(name in _FUNCTIONS for name in _CALLED.findall(text))
    )


def _suspects(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield what would be looked up or evaluated as code and is not known to be harmless."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _suspects(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _suspects(inner, key)
    elif isinstance(value, str):
        if key in ("target", "as_operator") and not _OPERATORS.fullmatch(value):
            yield "operator", value
        elif key == "expr_str" and not is_plain_expression(value):
            yield "expression", value
        elif key in ("name", "as_name", "forward_arg_names") and not _NAME.fullmatch(value):
            yield "name", value
