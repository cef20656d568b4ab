"""Baselines of ``parts.py``: the same evidence divided by k-means of its features, or among concepts as in CRAFT.

Both give label maps, like a run. *k-means*: the feature maps of the last two stages on a grid, each position of length 1,
joined, less their mean over the run, of length 1 again; the cells that are at least a quarter evidence, weighted by it, are
grouped by spherical k-means. *Concepts*: Fel et al., "CRAFT: Concept Recursive Activation FacTorization for Explainability",
CVPR 2023: crops of the images go through the network; the pooled activations of its last feature map, a crop a row, are
factorized into non-negative coefficients and concepts; a concept is localized in an image by solving for its coefficient at
every place of the feature map.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import kmeans_plusplus
from sklearn.decomposition import NMF

from visual_summaries.classifiers import Classifier
from visual_summaries.flow.deep import deep_descriptor

View = NDArray[np.uint8]
Pixels = NDArray[np.bool_]
Labels = NDArray[np.int16]
#: Feature maps of an image, one (C, h, w) for each stage.
Maps = tuple[NDArray[np.float32], ...]

_GRID = 28  # cells along each side
_CORE = 0.25  # share of evidence from which on a cell takes part in finding groups
_STARTS, _STEPS = 5, 100

_CROP = 0.35  # side of a crop, of the image's
_CROPS = 6  # along each side


def feature_maps(classifier: Classifier, views: Sequence[View]) -> list[Maps]:
    """Return the feature maps of the last two stages for each image."""
    descriptor = deep_descriptor(classifier)
    return [tuple(one.cpu().numpy() for one in descriptor.maps(view)) for view in views]


def kmeans_labels(maps: Sequence[Maps], evidence: Sequence[Pixels], count: int, random_state: int = 0) -> list[Labels]:
    """Divide the evidence among `count` groups of grid cells; the groups of an image's pixels are those of their cells.

    Parameters
    ----------
    maps : sequence of tuple of ndarray, (C, h, w)
    evidence : sequence of ndarray of bool, (H, W)
    count : int
    random_state : int

    Returns
    -------
    list of ndarray of int16, (H, W)
        -1 where there is no evidence.
    """
    looks = np.stack([_cells(one) for one in maps])
    looks = _unit(looks - looks.mean(axis=(0, 1)))
    size = (_GRID, _GRID)
    weight = np.stack([cv2.resize(own.astype(np.float32), size, interpolation=cv2.INTER_AREA).ravel() for own in evidence])
    core = weight >= _CORE
    if core.sum() < count:
        core = weight > 0
    centers = spherical_kmeans(looks[core], weight[core], count, random_state)
    found = []
    for own, pixels in zip(looks, evidence, strict=True):
        groups = (own @ centers.T).argmax(axis=1).reshape(size).astype(np.int16)
        large = cv2.resize(groups, pixels.shape[::-1], interpolation=cv2.INTER_NEAREST)
        found.append(np.where(pixels, large, np.int16(-1)))
    return found


def _cells(maps: Maps) -> NDArray[np.float32]:
    """Return the joined features of all cells of an image (cells, D), those of each stage of length 1."""
    stages = []
    for one in maps:
        tensor = torch.from_numpy(one)[None].float()
        grid = torch.nn.functional.interpolate(tensor, (_GRID, _GRID), mode="bilinear", align_corners=False)[0]
        stages.append(_unit(grid.flatten(1).T.numpy()))
    return np.concatenate(stages, axis=1)


def _unit(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-9), np.float32)


def spherical_kmeans(
    rows: NDArray[np.float32], weight: NDArray[np.floating], count: int, random_state: int = 0
) -> NDArray[np.float32]:
    """Return the centers (k, D), of length 1, that weighted rows of length 1 (n, D) have the largest cosines with.

    The best of five starts by k-means++; k is `count`, or fewer where there are fewer rows.
    """
    best, most = rows[:0], -np.inf
    for start in range(_STARTS):
        centers, _ = kmeans_plusplus(rows, min(count, len(rows)), sample_weight=weight, random_state=random_state + start)
        labels = np.full(len(rows), -1)
        for _ in range(_STEPS):
            cosines = rows @ centers.T
            new = cosines.argmax(axis=1)
            if (new == labels).all():
                break
            labels = new
            totals = np.stack([(weight * (labels == k)) @ rows for k in range(len(centers))])
            empty = np.linalg.norm(totals, axis=1) < 1e-9
            centers = np.where(empty[:, None], centers, _unit(totals)).astype(np.float32)
        value = float(weight @ (rows @ centers.T).max(axis=1))
        if value > most:
            best, most = centers, value
    return best


def pooled_crops(classifier: Classifier, views: Sequence[View]) -> NDArray[np.float32]:
    """Return the last feature map of crops of the images, at least 0, averaged over its places (n, C)."""
    crops = []
    for view in views:
        height, width = view.shape[:2]
        rows, columns = round(_CROP * height), round(_CROP * width)
        for y in np.linspace(0, height - rows, _CROPS).astype(int):
            for x in np.linspace(0, width - columns, _CROPS).astype(int):
                crops.append(cv2.resize(view[y : y + rows, x : x + columns], (width, height)))
    return pooled_maps(classifier, crops)


def pooled_maps(classifier: Classifier, pictures: Sequence[View]) -> NDArray[np.float32]:
    """Return the last feature map of pictures of the network's size, at least 0, averaged over its places (n, C)."""
    seen: list[torch.Tensor] = []
    stage = deep_descriptor(classifier).layers[-1].name
    handle = classifier.module.get_submodule(stage).register_forward_hook(
        lambda _module, _inputs, output: seen.append(output.detach().clamp(min=0).mean((2, 3)))
    )
    try:
        with classifier.frozen(), torch.no_grad():
            for start in range(0, len(pictures), 32):
                classifier.logits(classifier.to_tensor(pictures[start : start + 32]))
    finally:
        handle.remove()
    return np.asarray(torch.cat(seen).cpu().numpy(), np.float32)


def concept_labels(pooled: NDArray[np.float32], maps: Sequence[Maps], evidence: Sequence[Pixels], count: int) -> list[Labels]:
    """Give each pixel of evidence the concept whose coefficient is the largest there.

    Parameters
    ----------
    pooled : ndarray of float32, (n, C)
        Of crops of the images (:func:`pooled_crops`): what concepts are found on.
    maps : sequence of tuple of ndarray, (C, h, w)
        Of each image; the last one counts.
    evidence : sequence of ndarray of bool, (H, W)
    count : int
        Concepts, at most.

    Returns
    -------
    list of ndarray of int16, (H, W)
        -1 where there is no evidence or no concept.
    """
    count = min(count, *pooled.shape)
    model = NMF(count, init="nndsvda", max_iter=400, random_state=0).fit(pooled)
    found = []
    for one, pixels in zip(maps, evidence, strict=True):
        channels, rows, columns = one[-1].shape
        places = np.maximum(one[-1], 0).reshape(channels, -1).T
        heat = model.transform(np.ascontiguousarray(places, np.float32)).reshape(rows, columns, count).astype(np.float32)
        found.append(strongest(heat, pixels))
    return found


def strongest(heat: NDArray[np.float32], pixels: Pixels) -> Labels:
    """Return which of the coefficients of a feature map's places (h, w, K) is the largest at each pixel (H, W), -1 for none.

    Coefficients are interpolated. A pixel has none where all are 0, or where `pixels` is not set.
    """
    large = np.stack([cv2.resize(heat[..., k], pixels.shape[::-1]) for k in range(heat.shape[-1])])
    return np.where(pixels & (large.max(axis=0) > 0), large.argmax(axis=0), -1).astype(np.int16)
