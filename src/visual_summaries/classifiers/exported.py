"""Programs saved by ``torch.export`` as networks."""

from __future__ import annotations

import io
import os
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn
from torch.export.passes import move_to_device_pass
from torch.nn import functional as F

from visual_summaries.classifiers.checkpoints import weights_only
from visual_summaries.classifiers.programs import require_plain_program
from visual_summaries.errors import ClassifierError


class ExportedNetwork(nn.Module):
    """A program of ``torch.export`` as a module that takes batches of any size.

    A program that was exported for one batch size, or for a range of sizes, is called on pieces of the batch, the last of them
    filled up.

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
        #: Channels, height and width that the program takes; None where it takes any.
        self.input_size: tuple[int | None, int | None, int | None] = (sizes[0], sizes[1], sizes[2])
        self.program = program.module()
        self._exported = program

    def __reduce__(self) -> tuple[Any, ...]:
        """Send the program as ``torch.export`` writes it: what it was made into here cannot be pickled."""
        content = io.BytesIO()
        torch.export.save(self._exported, content)
        return _restore, (content.getvalue(),)

    def train(self, mode: bool = True) -> ExportedNetwork:
        """Do nothing: an exported program has one mode."""
        return self

    def forward(self, x: Tensor) -> Any:
        """Return what the program returns for the images ``(N, C, H, W)``, where it returns one tensor."""
        step = self.largest or max(len(x), 1)
        if len(x) >= self.smallest and len(x) <= step:
            return self.program(x)
        answers = []
        for piece in torch.split(x, step):
            missing = self.smallest - len(piece)
            filled = F.pad(piece, (0, 0, 0, 0, 0, 0, 0, missing)) if missing > 0 else piece
            answer = self.program(filled)
            answer = answer[0] if isinstance(answer, tuple | list) else answer
            answers.append(answer[: len(piece)])
        return torch.cat(answers)


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
    require_plain_program(path)
    try:
        with weights_only():
            program = torch.export.load(path)
            if device is not None:
                program = move_to_device_pass(program, torch.device(device))
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
