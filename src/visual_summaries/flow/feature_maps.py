"""Finding, in any network, the feature maps that are worth comparing: no layer has to be chosen.

A forward hook on every submodule tells what it puts out. Outputs that are laid out like the image - ``(N, C, h, w)``, ``(N, h,
w, C)``, or tokens ``(N, T, C)`` on an ``h x w`` grid after some class or register tokens - are sorted by resolution; of each
resolution the last output of the least nested modules is taken. A network whose tokens keep one resolution (a
vision transformer) is cut at several depths instead.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

_STRIDES = (2, 4, 7, 8, 14, 16, 28, 32)
_SLACK = 2  # cells by which unpadded convolutions may make a map smaller than the image over its stride
_MAX_PREFIX = 8  # class, distillation and register tokens
_NUMBERED = re.compile(r"(\w+_)?\d+")  # timm's "3", torchvision's "encoder_layer_3"
#: Hiera's order of tokens: first all upper left ones of 2 x 2, of these again so, at as many levels as the number that follows.
UNROLLED = "unrolled"
_DEPTHS = (1 / 2, 3 / 4, 1)  # where a network of one resolution is cut


@dataclass(frozen=True)
class Layer:
    """One module whose output is used.

    Attributes
    ----------
    name : str
        Of the module, as in ``named_modules``.
    call : int
        Which of the module's calls in a forward pass (0 unless it is used more than once).
    """

    name: str
    call: int
    layout: str  # "nchw", "nhwc", "tokens", or "unrolled1", "unrolled2", ...: tokens by levels of 2 x 2
    grid: tuple[int, int]  # height and width of the map in cells
    channels: int


def as_map(output: Tensor, layout: str, grid: tuple[int, int]) -> Tensor:
    """Return a module's output as ``(N, C, h, w)``.

    Examples
    --------
    >>> import torch
    >>> as_map(torch.arange(4.0).view(1, 4, 1), "tokens", (2, 2))[0, 0].tolist()
    [[0.0, 1.0], [2.0, 3.0]]
    >>> as_map(torch.arange(8.0).view(1, 8, 1), "unrolled1", (2, 4))[0, 0].tolist()  # all upper left cells of 2 x 2 first
    [[0.0, 2.0, 1.0, 3.0], [4.0, 6.0, 5.0, 7.0]]
    """
    if layout == "nchw":
        return output
    if layout == "nhwc":
        return output.permute(0, 3, 1, 2)
    tokens = output[:, output.shape[1] - grid[0] * grid[1] :]
    if layout != "tokens":
        levels = int(layout.removeprefix(UNROLLED))
        units = tokens.reshape(len(output), *(2, 2) * levels, grid[0] >> levels, grid[1] >> levels, -1)
        rows, columns = range(2 * levels + 1, 0, -2), range(2 * levels + 2, 0, -2)
        return units.permute(0, -1, *rows, *columns).reshape(len(output), -1, *grid)
    return tokens.transpose(1, 2).reshape(output.shape[0], -1, *grid)  # not len(): batches may be symbolic


def layout_of(output: Any, size: tuple[int, int], count: int = 1) -> tuple[str, tuple[int, int], int] | None:
    """Return layout, grid and channels of an output laid out like `count` images of `size` (H, W); None for any other.

    Examples
    --------
    >>> import torch
    >>> layout_of(torch.zeros(1, 64, 28, 35), (224, 280))
    ('nchw', (28, 35), 64)
    >>> layout_of(torch.zeros(1, 197, 384), (224, 224))
    ('tokens', (14, 14), 384)
    >>> layout_of(torch.zeros(1, 3, 197, 197), (224, 224)) is None  # attention
    True
    """
    if (
        not isinstance(output, Tensor) or not output.is_floating_point() or not output.ndim or len(output) != count
    ):  # windows come as a batch
        return None
    if output.ndim == 4:
        _, p, q, r = output.shape
        if _like_image((q, r), size):
            return "nchw", (q, r), p
        if _like_image((p, q), size):
            return "nhwc", (p, q), r
    if output.ndim == 3:
        for stride in _STRIDES:
            grid = (size[0] // stride, size[1] // stride)
            cells = grid[0] * grid[1]
            if cells > 1 and 0 <= output.shape[1] - cells <= _MAX_PREFIX:
                return "tokens", grid, output.shape[2]
    return None


def _like_image(grid: tuple[int, int], size: tuple[int, int]) -> bool:
    """Whether a map of this grid can be an image of this size, strided."""
    missing = ((size[0] / stride - grid[0], size[1] / stride - grid[1]) for stride in _STRIDES)
    return min(grid) >= 2 and any(-1 <= rows <= _SLACK and -1 <= columns <= _SLACK for rows, columns in missing)


@contextmanager
def listening(modules: Mapping[str, nn.Module], tell: Callable[[str, int, Any], None]) -> Iterator[None]:
    """Tell what modules put out while inside: name, which of its calls it is, and the output (the first, of several)."""
    calls: Counter[str] = Counter()

    def hook(name: str, _module: nn.Module, _inputs: Any, output: Any) -> None:
        calls[name] += 1
        tell(name, calls[name] - 1, output[0] if isinstance(output, tuple | list) and output else output)

    handles = [
        module.register_forward_hook(partial(hook, name))
        for name, module in modules.items()
        if not isinstance(module, torch.jit.ScriptModule)  # which takes no hooks
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def recorded(
    module: nn.Module, keep: frozenset[tuple[str, int]] | None, size: tuple[int, int], images: int = 2
) -> Iterator[list[tuple[Layer, Tensor | None]]]:
    """Record what submodules put out while inside; only `keep` (name, call) with their tensors, or everything without.

    Everything: what is laid out like the two images of a batch of :func:`two_images`, and differs between them. Position tables
    and scalings of attention do not; where there is memory for one of the images only, they cannot be separated.
    """
    seen: list[tuple[Layer, Tensor | None]] = []

    def tell(name: str, call: int, tensor: Any) -> None:
        found = layout_of(tensor, size, images if keep is None else 1) if keep is None or (name, call) in keep else None
        if found is not None and (keep is not None or images == 1 or not torch.equal(tensor[0], tensor[1])):
            seen.append((Layer(name, call, *found), None if keep is None else tensor.detach()))

    names = None if keep is None else {name for name, _ in keep}
    with listening({name: one for name, one in module.named_modules() if name and (names is None or name in names)}, tell):
        yield seen


def two_images(channels: int, size: tuple[int, int], device: torch.device) -> Tensor:
    """Return two different images (2, C, H, W) in [0, 1], always the same."""
    return torch.rand(2, channels, *size, generator=torch.Generator().manual_seed(0)).to(device)


def _cells(seen: list[Layer]) -> dict[str, int]:
    return {layer.name: layer.grid[0] * layer.grid[1] for layer in seen}


def _around(layer: Layer) -> list[str]:
    """Return the names of the modules that a module is inside of, outermost first."""
    names = layer.name.split(".")
    return [".".join(names[:depth]) for depth in range(1, len(names))]


def _end(group: list[Layer], seen: list[Layer]) -> Layer:
    """Return the last output of the least nested modules of a resolution; where that begins it, of the blocks that follow."""
    end = min(reversed(group), key=lambda layer: layer.name.count("."))
    names, cells, inside = {layer.name for layer in group}, _cells(seen), _around(end)
    outermost = [layer for layer in group if names.isdisjoint(_around(layer))]
    own = end.grid[0] * end.grid[1]
    if end != outermost[0] or own == min(cells.values()):
        return end
    # What is inside of a coarser map belongs to the next stage.
    return [one for one in outermost if all(name in inside or cells.get(name, own) >= own for name in _around(one))][-1]


def _resolutions(seen: list[Layer]) -> list[list[Layer]]:
    """Sort outputs by resolution, without those of one that only the inside of a unit has: keys of fewer cells, matrices."""
    cells = _cells(seen)
    groups: dict[tuple[int, int], list[Layer]] = {}
    for layer in seen:
        own = layer.grid[0] * layer.grid[1]
        if any(cells.get(name, 0) > own for name in _around(layer)):
            continue  # inside of what puts out a finer map
        grid: tuple[int, int] | None = layer.grid
        if grid not in groups and own > min((rows * columns for rows, columns in groups), default=own):
            # Finer than what came before: padded a little, for one unit or from here on, or no stage of the network.
            alike = (one for one in groups if max(abs(one[0] - layer.grid[0]), abs(one[1] - layer.grid[1])) <= _SLACK)
            grid = next(alike, None)
        if grid is not None:
            groups.setdefault(grid, []).append(layer)
    return list(groups.values())


def choose_layers(seen: list[Layer]) -> tuple[Layer, ...]:
    """Choose the last layer of each resolution among all outputs of a forward pass, finest first.

    Examples
    --------
    >>> outputs = [Layer("stem", 0, "nchw", (56, 56), 16), Layer("blocks.0", 0, "nchw", (56, 56), 24)]
    >>> outputs += [Layer("blocks.1.expand", 0, "nchw", (56, 56), 144), Layer("blocks.1", 0, "nchw", (28, 28), 32)]
    >>> [layer.name for layer in choose_layers(outputs)]
    ['blocks.0', 'blocks.1']
    """
    groups = _resolutions(seen)
    ends = [_end(group, seen) for group in groups]
    ends.sort(key=lambda layer: -layer.grid[0] * layer.grid[1])
    if len(groups) > 2 or not seen:
        return tuple(ends)
    # One resolution (and perhaps that of a patch embedding): cut a long row of like outputs at several depths, that of whole
    # blocks (the least nested) rather than of units inside of them.
    rows: dict[tuple[int, int, tuple[int, int], str], list[Layer]] = {}
    for layer in (layer for group in groups for layer in group):
        numbered = _NUMBERED.fullmatch(layer.name.rpartition(".")[2])
        if numbered:
            rows.setdefault((layer.name.count("."), layer.channels, layer.grid, numbered[1]), []).append(layer)
    long = [row for row in rows.values() if len(row) >= 2 * len(_DEPTHS)]
    if not long:
        return tuple(ends)
    row = min(long, key=lambda row: (row[0].name.count("."), -len(row)))
    return tuple(row[round(len(row) * depth) - 1] for depth in _DEPTHS)
