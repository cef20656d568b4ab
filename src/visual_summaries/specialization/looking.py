"""A network that looks again: at the whole image first, then from near at the places where it found parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor, nn

from visual_summaries.flow.feature_maps import Layer
from visual_summaries.specialization.network import kept_maps
from visual_summaries.specialization.windows import reduced

#: Side of a closer look over the image's, and the blur of detectors' maps in cells.
LOOK, BLUR = 0.45, 0.7


class LookingNetwork(nn.Module):
    """A frozen network that sees an image once whole and once for each shared part, from near, with a linear head for each.

    The features of a pass are the means of its last feature map. Detectors read the maps of the first pass; each part is looked
    at where its blurred log odds are highest. Outputs are the heads' log probabilities, added with weights.

    Parameters
    ----------
    network : nn.Module
        Takes normalized images ``(N, C, H, W)``; its own outputs are not used.
    layers : sequence of Layer
        Whose outputs are read, as found on images of the network's own size; features are of the last.
    values : mapping of str to Tensor
        ``detectors_0`` (K, C), ``detectors_1``, ...: weights of the K parts' detectors for each layer, ``bias`` (K,);
        ``heads`` (K + 1, classes, F), ``constants`` (K + 1, classes): that of the whole image first; ``weights`` (K + 1,).
        They become buffers.
    cells : int
        Maps are averaged down to at most so many cells along each side before detectors read them.
    side : float
        Of a closer look, over the image's.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    >>> _ = net[0].weight.data.copy_(torch.eye(3)[:, :, None, None])
    >>> values = {"detectors_0": torch.tensor([[9.0, 0, 0]]), "bias": torch.tensor([-4.0]), "weights": torch.tensor([0, 1.0])}
    >>> values |= {"heads": torch.eye(3).expand(2, 3, 3), "constants": torch.zeros(2, 3)}
    >>> red = LookingNetwork(net, [Layer("0", 0, "nchw", (8, 8), 3)], values, cells=8, side=0.25)
    >>> x = torch.zeros(1, 3, 8, 8)
    >>> x[:, 0, 2:5, 4:7] = 1  # a red spot
    >>> with torch.no_grad():
    ...     red.places(x).round(decimals=2), red(x).exp().round(decimals=1)
    (tensor([[[0.6900, 0.4400]]]), tensor([[0.6000, 0.2000, 0.2000]]))
    """

    bias: Tensor
    heads: Tensor
    constants: Tensor
    weights: Tensor
    down: Tensor
    across: Tensor

    def __init__(
        self, network: nn.Module, layers: Sequence[Layer], values: Mapping[str, Tensor], *, cells: int, side: float = LOOK
    ) -> None:
        super().__init__()
        self.network, self.layers, self.cells, self.side = network, tuple(layers), cells, side
        device = next((one.device for one in [*network.parameters(), *network.buffers()]), torch.device("cpu"))
        for name, value in values.items():
            self.register_buffer(name, value.to(device))
        rows, columns = (min(max(layer.grid[axis] for layer in layers), cells) for axis in (0, 1))
        self.register_buffer("down", blur_matrix(rows).to(device), persistent=False)
        self.register_buffer("across", blur_matrix(columns).to(device), persistent=False)
        self.train(network.training)

    def forward(self, x: Tensor) -> Tensor:
        """Return log probabilities (N, classes), but for a constant of each image, of normalized images (N, C, H, W)."""
        features, maps = self._seen(x)
        seen = features[:, None]
        if len(self.bias):
            near = self._seen(cut_out(x, self._places(maps), self.side))[0]
            seen = torch.cat([seen, near.reshape(-1, len(self.bias), near.shape[1])], dim=1)
        logits = torch.einsum("nkf,kcf->nkc", seen, self.heads.float()) + self.constants.float()
        return (logits.log_softmax(dim=2) * self.weights.float()[:, None]).sum(dim=1)

    def places(self, x: Tensor) -> Tensor:
        """Return where each part is in normalized images: (N, K, 2), x and y over the image's sides."""
        return self._places(self._seen(x)[1])

    def _seen(self, x: Tensor) -> tuple[Tensor, dict[int, Tensor]]:
        with kept_maps(self.network, self.layers) as maps:
            self.network(x)
        return pooled(maps), maps

    def _places(self, maps: Mapping[int, Tensor]) -> Tensor:
        total = self.bias.float()[None, :, None, None]
        for number in range(len(self.layers)):
            weight = getattr(self, f"detectors_{number}").float()
            scores = nn.functional.conv2d(reduced(maps[number], self.cells), weight[:, :, None, None])
            size = (len(self.down), len(self.across))
            total = total + nn.functional.interpolate(scores, size=size, mode="bilinear", align_corners=False)
        return peaks(total, self.down, self.across)


def pooled(maps: Mapping[int, Tensor]) -> Tensor:
    """Return the features (N, F) of a pass: the means of its last map."""
    return maps[len(maps) - 1].float().mean(dim=(2, 3))


def blur_matrix(cells: int) -> Tensor:
    """Return the Gaussian blur of a row of cells, mirrored at its ends, as a matrix (cells, cells)."""
    return torch.from_numpy(gaussian_filter1d(np.eye(cells), BLUR, axis=0)).float()


def peaks(scores: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """Return where blurred maps of log odds (..., rows, columns) are highest, to parts of a cell.

    Parameters
    ----------
    scores : Tensor
    down, across : Tensor
        :func:`blur_matrix` of the rows and of the columns.

    Returns
    -------
    Tensor, (..., 2)
        x and y over the image's sides: the mean of the highest cell and those around it, weighted by what is there.

    Examples
    --------
    >>> scores = torch.full((8, 8), -20.0)
    >>> scores[2, 4] = 20
    >>> peaks(scores, blur_matrix(8), blur_matrix(8)).round(decimals=2).tolist()
    [0.56..., 0.31...]
    """
    down, across = down.to(scores.dtype), across.to(scores.dtype)
    blurred = down @ scores.sigmoid() @ across.T
    rows, columns = blurred.shape[-2:]
    best = blurred.flatten(-2).argmax(dim=-1)
    row, column = best // columns, best % columns
    place_down, place_across = (torch.arange(count, device=scores.device) for count in (rows, columns))
    near_down = (place_down - row[..., None]).abs() <= 1
    near_across = (place_across - column[..., None]).abs() <= 1
    near = blurred * (near_down[..., :, None] & near_across[..., None, :])
    near = near / near.sum(dim=(-2, -1), keepdim=True)
    x = (near.sum(dim=-2) * (place_across + 0.5) / columns).sum(dim=-1)
    y = (near.sum(dim=-1) * (place_down + 0.5) / rows).sum(dim=-1)
    return torch.stack([x, y], dim=-1)


def cut_out(x: Tensor, centers: Tensor, side: float) -> Tensor:
    """Return squares of images around centers, moved into the image, as large as the images: (N * K, C, H, W).

    Parameters
    ----------
    x : Tensor, (N, C, H, W)
    centers : Tensor, (N, K, 2)
        x and y over the image's sides.
    side : float
        Of a square, over the image's.

    Examples
    --------
    >>> x = torch.arange(4.0).repeat_interleave(2).expand(1, 1, 8, 8)
    >>> cut_out(x, torch.tensor([[[0.9, 0.5]]]), 0.5)[0, 0, 4].round().tolist()
    [2.0, 2.0, 2.0, 2.0, 3.0, 3.0, 3.0, 3.0]
    """
    middle = centers.detach().to(x.dtype).clamp(side / 2, 1 - side / 2).flatten(0, 1)
    theta = torch.zeros(len(middle), 2, 3, dtype=x.dtype, device=x.device)
    theta[:, 0, 0] = theta[:, 1, 1] = side
    theta[:, :, 2] = 2 * middle - 1
    images = x.repeat_interleave(centers.shape[1], dim=0)
    grid = nn.functional.affine_grid(theta, list(images.shape), align_corners=False)
    return nn.functional.grid_sample(images, grid, mode="bicubic", padding_mode="border", align_corners=False)
