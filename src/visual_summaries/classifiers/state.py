"""Borrowing a module: whatever is done to it, it is handed back exactly as it was found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def borrowed(module: nn.Module, device: torch.device | None = None) -> Iterator[nn.Module]:
    """Put a module into evaluation mode, without parameter gradients, on a device; afterwards put everything back.

    Restored, also after an error: the mode of each submodule, each parameter's ``requires_grad`` and storage (hence its
    device), each buffer's identity and content. Gradients that the parameters hold are never touched. Parameters and
    buffers that were made under ``torch.inference_mode`` are replaced by copies meanwhile, because autograd refuses them.

    Parameters
    ----------
    module : nn.Module
        The module; also a program loaded by ``torch.export``, which has no mode to switch.
    device : torch.device, optional
        Where it is to be meanwhile; default where it is.

    Yields
    ------
    nn.Module
        The module itself.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(2, 2), nn.Dropout()).train()
    >>> with borrowed(net):
    ...     net[1].training, net[0].weight.requires_grad
    (False, False)
    >>> net[1].training, net[0].weight.requires_grad
    (True, True)
    """
    modules = list(module.modules())
    modes = [(submodule, submodule.training) for submodule in modules]
    parameters = [
        (owner, name, parameter, parameter.data, parameter.requires_grad)
        for owner in modules
        for name, parameter in owner._parameters.items()
        if parameter is not None
    ]
    with torch.inference_mode(False):
        buffers = [
            (owner, name, buffer, buffer.detach().clone())
            for owner in modules
            for name, buffer in owner._buffers.items()
            if buffer is not None
        ]
    try:
        with torch.inference_mode(False), torch.no_grad():
            if any(training for _, training in modes):
                _switch_mode(module, train=False)
            for owner, name, parameter, _, _ in parameters:
                if parameter.is_inference():
                    owner._parameters[name] = nn.Parameter(parameter.clone(), requires_grad=False)
                else:
                    parameter.requires_grad_(False)
            for owner, name, buffer, _ in buffers:
                if buffer.is_inference():
                    owner._buffers[name] = buffer.clone()
            tensors = [entry[2] for entry in parameters] + [entry[2] for entry in buffers]
            if device is not None and any(tensor.device != device for tensor in tensors):
                module.to(device)
        yield module
    finally:
        with torch.inference_mode(False), torch.no_grad():
            if modes[0][1]:
                _switch_mode(module, train=True)
            for submodule, training in modes:
                if submodule.training != training:  # setting an attribute of a module is slow
                    submodule.training = training
            for owner, name, parameter, data, requires_grad in parameters:
                owner._parameters[name] = parameter
                if not parameter.is_inference():
                    parameter.data = data
                    parameter.requires_grad_(requires_grad)
            for owner, name, buffer, content in buffers:
                owner._buffers[name] = buffer
                _put_back(buffer, content)


def _switch_mode(module: nn.Module, *, train: bool) -> None:
    try:
        module.train(train)
    except NotImplementedError:
        # A program from torch.export inside has one mode and says so by this error; its neighbors may have two.
        module.training = train
        for child in module.children():
            _switch_mode(child, train=train)


def _put_back(buffer: Tensor, content: Tensor) -> None:
    if torch.equal(buffer, content) or bool(((buffer == content) | ((buffer != buffer) & (content != content))).all()):
        return
    if buffer.is_inference():
        with torch.inference_mode():
            buffer.copy_(content)
    else:
        buffer.copy_(content)
