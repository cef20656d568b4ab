"""Devices that networks run on."""

from __future__ import annotations

import torch

from visual_summaries.errors import ClassifierError


def find_device(device: str | torch.device) -> torch.device:
    """Return a device that can be used here.

    Raises
    ------
    ClassifierError
        If there is none of this name.

    Examples
    --------
    >>> find_device("cpu")
    device(type='cpu')
    """
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise ClassifierError(f"device is {device!r}, but must be one that PyTorch knows, such as 'cpu' or 'cuda'") from error
    if found.type == "cuda" and not torch.cuda.is_available():
        raise ClassifierError(
            f"device is {str(device)!r}, but PyTorch finds no CUDA device here: use device='cpu' (--device cpu)"
        )
    try:
        return torch.zeros(1, device=found).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        said = str(error).splitlines()[0]
        raise ClassifierError(
            f"device is {str(device)!r}, which PyTorch cannot use here ({said}): use device='cpu' (--device cpu)"
        ) from error
