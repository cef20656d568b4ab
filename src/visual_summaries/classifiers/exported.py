"""Programs saved by ``torch.export`` as networks.

A ``.pt2`` file may hold tensors and a graph of known operators in JSON, and is checked before anything of it is loaded: PyTorch
looks an operator up by the dotted name in the file and evaluates the file's symbolic sizes as Python, so that a made-up file
could name any function. Here names and expressions are read as data first.
"""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.export.passes import move_to_device_pass
from torch.nn import functional as F

from visual_summaries.classifiers.checkpoints import weights_only
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
_FUNCTION = re.compile(
    r"Symbol|Integer|Rational|Float|Add|Mul|Pow|Max|Min|Mod|PythonMod|FloorDiv|CleanDiv|CeilDiv|CeilToInt|"
    r"FloorToInt|TruncToInt|RoundToInt|ToFloat|Where|ModularIndexing|IntTrueDiv|FloatTrueDiv|PowByNatural|FloatPow|"
    r"Identity|Abs|floor|ceiling|Eq|Ne|Lt|Le|Gt|Ge|And|Or|Not|Equality|Unequality|StrictLessThan|LessThan|"
    r"StrictGreaterThan|GreaterThan"
)
_ATTRIBUTE = re.compile(r"\.\s*[A-Za-z_]|__")


class Program(nn.Module):
    """A network that was saved with its graph, as a module that takes batches of any size.

    A program that was saved for one batch size, or for a range of sizes, is called on pieces of the batch, the last of them
    filled up.

    Attributes
    ----------
    input_size : tuple
        Channels, height and width that the program takes; None where it takes any.
    smallest, largest : int
        Batches that it takes; `largest` is None where there is no limit.
    """

    input_size: tuple[int | None, int | None, int | None]
    smallest: int
    largest: int | None

    def train(self, mode: bool = True) -> Self:
        """Do nothing: a program has one mode."""
        return self

    def call(self, x: Tensor) -> Any:
        """Return what the program returns for a batch that it takes."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Any:
        """Return what the program returns for the images ``(N, C, H, W)``, where it returns one tensor."""
        step = self.largest or max(len(x), 1)
        if len(x) >= self.smallest and len(x) <= step:
            return self.call(x)
        answers = []
        for piece in torch.split(x, step):
            missing = self.smallest - len(piece)
            filled = F.pad(piece, (0, 0, 0, 0, 0, 0, 0, missing)) if missing > 0 else piece
            answer = self.call(filled)
            answer = answer[0] if isinstance(answer, tuple | list) else answer
            answers.append(answer[: len(piece)])
        return torch.cat(answers)


class ExportedNetwork(Program):
    """A program of ``torch.export`` as a module that takes batches of any size.

    Parameters
    ----------
    program : torch.export.ExportedProgram
        Takes one tensor ``(N, C, H, W)``.

    Raises
    ------
    ClassifierError
        If the program takes anything else, or was exported in training mode.

    Examples
    --------
    >>> program = torch.export.export(nn.Flatten().eval(), (torch.zeros(2, 3, 4, 5),))  # for batches of two
    >>> net = ExportedNetwork(program)
    >>> net.input_size, net(torch.zeros(5, 3, 4, 5)).shape
    ((3, 4, 5), torch.Size([5, 60]))
    """

    def __init__(self, program: torch.export.ExportedProgram) -> None:
        super().__init__()
        names = program.graph_signature.user_inputs
        shapes = [node.meta["val"].shape for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
        if len(names) != 1 or len(shapes) != 1 or len(shapes[0]) != 4:
            raise ClassifierError(
                f"the exported program takes {len(names)} input(s) of shape "
                f"{', '.join(str(tuple(shape)) for shape in shapes)}, but must take one tensor (N, C, H, W)"
            )
        if _is_training(program):
            raise ClassifierError(
                "the program was exported in training mode (dropout or batch statistics): export model.eval()"
            )
        self.smallest, self.largest = _range(shapes[0][0], program)
        sizes = [_size(side, program, position) for position, side in enumerate(shapes[0])][1:]
        self.input_size = (sizes[0], sizes[1], sizes[2])
        self.program = program.module()
        self._exported = program

    def __reduce__(self) -> tuple[Any, ...]:
        """Send the program as ``torch.export`` writes it: what it was made into here cannot be pickled."""
        content = io.BytesIO()
        torch.export.save(self._exported, content)
        return _restore, (content.getvalue(),)

    def call(self, x: Tensor) -> Any:
        """Return what the program returns for a batch that it takes."""
        return self.program(x)


def load_exported(path: str | os.PathLike[str], device: str | torch.device | None = None) -> ExportedNetwork:
    """Return the network in a ``.pt2`` file.

    Before anything is loaded the file is checked: pickled objects, compiled code, and graphs that call anything but operators
    on tensors are refused.

    Raises
    ------
    ClassifierError
        If there is no such file, it is not a program saved by ``torch.export.save``, or loading it would execute code.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "model.pt2"
    >>> torch.export.save(torch.export.export(nn.Flatten().eval(), (torch.zeros(1, 3, 4, 5),)), path)
    >>> load_exported(path).input_size
    (3, 4, 5)
    """
    path = Path(path)
    if not path.is_file():
        raise ClassifierError(f"model file {path} does not exist: give a file written by torch.export.save")
    try:
        require_plain_program(path)
        with weights_only():
            program = torch.export.load(path)
            if device is not None:
                program = move_to_device_pass(program, torch.device(device))
    except ClassifierError:
        raise
    except UnpicklingError as error:
        raise ClassifierError(f"{path} holds pickled code, which is refused: {error}") from error
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise ClassifierError(
            f"{path} is not a program that torch.export of PyTorch {torch.__version__} can load ({reason}): "
            "write it with torch.export.save"
        ) from error
    return ExportedNetwork(program)


def _restore(content: bytes) -> ExportedNetwork:
    with weights_only():
        return ExportedNetwork(torch.export.load(io.BytesIO(content)))


def _range(count: Any, program: torch.export.ExportedProgram) -> tuple[int, int | None]:
    """Smallest and largest batch that the program takes; None: any."""
    if isinstance(count, int):
        return count, count
    bounds = program.range_constraints.get(count.node.expr)
    if bounds is None:
        return 1, None
    largest = int(bounds.upper) if bounds.upper < 2**31 else None  # "any" is an infinity that is no number
    return max(int(bounds.lower), 1), largest


def _size(side: Any, program: torch.export.ExportedProgram, position: int) -> int | None:
    """Channels, height or width of the input; where it is dynamic, that of the example that it was exported with, if kept."""
    if isinstance(side, int):
        return side
    arguments = program.example_inputs[0] if program.example_inputs else ()
    return int(arguments[0].shape[position]) if arguments and isinstance(arguments[0], Tensor) else None


def _is_training(program: torch.export.ExportedProgram) -> bool:
    aten = torch.ops.aten
    flags = {aten.dropout.default: 2, aten.batch_norm.default: 5, aten._native_batch_norm_legit.default: 5}
    return any(
        node.op == "call_function" and node.target in flags and node.args[flags[node.target]] is True
        for node in program.graph.nodes
    )


def require_plain_program(path: Path) -> None:
    """Check that an archive of ``torch.export.save`` holds nothing but tensors and a graph of operators on tensors.

    Raises
    ------
    ClassifierError
        If it holds pickled objects, compiled code, or a graph that calls anything else; the message names what.
    """
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
        and all(map(_FUNCTION.fullmatch, _CALLED.findall(text)))
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
