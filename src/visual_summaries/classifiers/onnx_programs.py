"""ONNX programs as networks that can be differentiated, by onnx2pytorch (extra ``onnx``).

onnx2pytorch makes a module of each operator and calls them in turn: no code is made of what the file says. Only ONNX's own
operators are taken: for any other name it would look for a function of torch.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from visual_summaries.classifiers.exported import Program
from visual_summaries.classifiers.formats import ONNX, what_it_is
from visual_summaries.errors import ClassifierError, MissingExtraError


class OnnxNetwork(Program):
    """An ONNX program as a module.

    Parameters
    ----------
    network : nn.Module
        The program, converted.
    shape : sequence of (int or None)
        Of its input: ``(N, C, H, W)``, or ``(N, H, W, C)`` as TensorFlow has it; None where it takes any size.

    Raises
    ------
    ClassifierError
        If that is no batch of images.

    Examples
    --------
    >>> net = OnnxNetwork(nn.Flatten(), (1, 4, 5, 3))
    >>> net.input_size, net.smallest, net.largest
    ((3, 4, 5), 1, 1)
    """

    def __init__(self, network: nn.Module, shape: tuple[int | None, ...]) -> None:
        super().__init__()
        if len(shape) != 4:
            raise ClassifierError(f"the ONNX program takes a tensor of shape {shape}, but must take images (N, C, H, W)")
        self.channels_last = shape[3] in (1, 3) and shape[1] not in (1, 3)
        count, *sides = shape
        self.input_size = (sides[2], sides[0], sides[1]) if self.channels_last else (sides[0], sides[1], sides[2])
        self.smallest, self.largest = count or 1, count
        self.network = network.eval()

    def call(self, x: Tensor) -> Any:
        """Return what the program returns for a batch that it takes."""
        return self.network(x.permute(0, 2, 3, 1) if self.channels_last else x)


def load_onnx(path: str | os.PathLike[str]) -> OnnxNetwork:
    """Return the network in an ``.onnx`` file, with its weights, also where they lie in a file beside it.

    Raises
    ------
    ClassifierError
        If there is no such file, it is damaged, takes no batch of images, or has operators that cannot be converted.
    MissingExtraError
        If onnx2pytorch is not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise ClassifierError(f"model file {path} does not exist: give an ONNX program, or another model")
    if (other := what_it_is(path)) != ONNX:
        raise ClassifierError(f"model {path} is {other}")
    try:
        import onnx
        import onnx.inliner
        from onnx2pytorch import ConvertModel
    except ImportError as error:
        raise MissingExtraError("ONNX programs need onnx and onnx2pytorch: pip install 'visual-summaries[onnx]'") from error
    try:
        program = onnx.load(path)
        if program.functions:
            program = onnx.inliner.inline_local_functions(program)
        onnx.checker.check_model(program, check_custom_domain=True)
        weights = {tensor.name for tensor in program.graph.initializer}
        [taken] = [value.type.tensor_type for value in program.graph.input if value.name not in weights]
        _fold(program)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of domains that are imported and not used
            warnings.simplefilter("error", RuntimeWarning)  # an operator without a conversion, guessed by its name
            network = ConvertModel(program)
        del program.graph.initializer[:]  # the network has them
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ClassifierError(
            f"{path} is not an ONNX program of one input that can be brought to torch ({type(error).__name__}: {reason}): "
            "export it again from the framework that made it, with ONNX's own operators (opset 13 or later); a network of "
            "torch is better given as a program of torch.export, a .pt2 file"
        ) from error
    return OnnxNetwork(network, tuple(side.dim_value or None for side in taken.shape.dim))


def _fold(program: Any) -> None:
    """Make constants of the graph weights, and name each weight once: layers are recognized by weights among their inputs."""
    graph = program.graph
    weights = {tensor.name for tensor in graph.initializer}
    answers = {value.name for value in graph.output}
    same: dict[str, str] = {}
    kept = []
    for node in graph.node:
        for position, name in enumerate(node.input):
            node.input[position] = same.get(name, name)
        if node.op_type == "Identity" and node.input[0] in weights and node.output[0] not in answers:
            same[node.output[0]] = node.input[0]
        elif node.op_type == "Constant" and node.attribute[0].name == "value":
            weight = node.attribute[0].t
            weight.name = node.output[0]
            graph.initializer.append(weight)
            weights.add(weight.name)
        else:
            for attribute in [one for one in node.attribute if one.name == "training_mode" and not one.i]:
                node.attribute.remove(attribute)  # what it is without it
            kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)
