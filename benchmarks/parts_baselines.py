"""Baselines of ``benchmarks/parts.py``: k-means on deep features of regions, and concepts by matrix factorisation as in CRAFT.

Fel et al., "CRAFT: Concept Recursive Activation FacTorization for Explainability", CVPR 2023: crops of the images go through
the network; the pooled activations of its last feature map, a crop a row, are factorised into non-negative coefficients and
concepts; a concept is localised in an image by solving for its coefficient at every place of the feature map.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from skimage.measure import label
from sklearn.cluster import KMeans
from sklearn.decomposition import NMF

from visual_summaries.classifiers import Classifier
from visual_summaries.flow import describe
from visual_summaries.flow.deep import deep_descriptor
from visual_summaries.regions import connected_components
from visual_summaries.results import Image, Mask, Region

#: Groups of regions, those that a person would be shown first; and the regions.
Grouped = tuple[list[list[int]], list[Region]]

_CROP = 0.35  # side of a crop, of the image's
_STEPS = 6  # crops along each side
_SHOWN = 0.5  # a concept lies where it reaches this share of its largest value in the image
_PRESENT = 0.25  # and is in images where that reaches this share of its largest value in any

#: Numbers of concepts that are tried beside the default's.
NUMBERS = (3, 5, 8, 12)


def kmeans_groups(
    classifier: Classifier, images: Sequence[Image], masks: Sequence[Mask], regions: Sequence[Region], count: int
) -> dict[str, Grouped]:
    """Group the connected regions of the masks, and the default's own regions, by k-means of their deep descriptors."""
    components = []
    for image, mask in zip(images, masks, strict=True):
        for box, pixels in connected_components(mask.final, min_area=0.003):
            if min(box[2] - box[0], box[3] - box[1]) >= 3:
                components.append(Region(len(components), image.index, box, pixels, 1.0, 0.0, 0.0, 0.0))
    return {
        "k-means": _kmeans(classifier, images, components, count),
        "k-means (regions of the default)": _kmeans(classifier, images, list(regions), count),
    }


def _kmeans(classifier: Classifier, images: Sequence[Image], regions: list[Region], count: int) -> Grouped:
    if len(regions) < count:
        return [], regions
    looks = np.zeros((len(regions), 0), np.float32)
    for image in images:
        own = [region for region in regions if region.image == image.index]
        if own:
            found = describe(image.view, [region.box for region in own], "deep", classifier=classifier).descriptors.numpy()
            if looks.shape[1] == 0:
                looks = np.zeros((len(regions), found.shape[1]), np.float32)
            looks[[region.index for region in own]] = found
    model = KMeans(count, n_init=5, random_state=0).fit(looks)
    away = model.transform(looks)
    groups = [sorted(np.flatnonzero(model.labels_ == k).tolist(), key=lambda i: away[i, k]) for k in range(count)]
    return groups, regions


def concept_groups(classifier: Classifier, images: Sequence[Image], count: int) -> dict[str, Grouped]:
    """Return concepts, as many as the default has summaries and other numbers of them, with where they lie in each image."""
    descriptor = deep_descriptor(classifier)
    crops, maps = [], []
    for image in images:
        height, width = image.view.shape[:2]
        side = (round(_CROP * height), round(_CROP * width))
        for y in np.linspace(0, height - side[0], _STEPS).astype(int):
            for x in np.linspace(0, width - side[1], _STEPS).astype(int):
                crops.append(cv2.resize(image.view[y : y + side[0], x : x + side[1]], (width, height)))
        maps.append(descriptor.maps(image.view)[-1].clamp(min=0).cpu().numpy())
    stage = descriptor.stages[-1].name
    pooled = _pooled(classifier, crops, stage)
    found = {f"concepts ({number})": _concepts(images, pooled, maps, number) for number in NUMBERS}
    return {"concepts": _concepts(images, pooled, maps, count), **found}


def _pooled(classifier: Classifier, crops: Sequence[NDArray[np.uint8]], stage: str) -> NDArray[np.float32]:
    """Mean over the places of a stage's output, for each crop (n, C), at least 0."""
    seen: list[torch.Tensor] = []
    handle = classifier.module.get_submodule(stage).register_forward_hook(
        lambda _module, _inputs, output: seen.append(output.detach().clamp(min=0).mean((2, 3)))
    )
    try:
        with classifier.frozen(), torch.no_grad():
            for start in range(0, len(crops), 32):
                classifier.logits(classifier.to_tensor(crops[start : start + 32]))
    finally:
        handle.remove()
    return np.asarray(torch.cat(seen).cpu().numpy(), np.float32)


def _concepts(images: Sequence[Image], pooled: NDArray[np.float32], maps: Sequence[NDArray[np.float32]], count: int) -> Grouped:
    count = min(count, min(pooled.shape))
    model = NMF(count, init="nndsvda", max_iter=400, random_state=0)
    model.fit(pooled)
    heat = []
    for one in maps:
        channels, rows, columns = one.shape
        heat.append(model.transform(one.reshape(channels, -1).T.astype(np.float32)).T.reshape(count, rows, columns))
    highest = np.array([[float(heat[k][concept].max()) for k in range(len(images))] for concept in range(count)])
    regions: list[Region] = []
    groups: list[list[int]] = []
    for concept in range(count):
        group = []
        for k in np.argsort(-highest[concept], kind="stable"):
            if highest[concept, k] > _PRESENT * highest[concept].max() and highest[concept, k] > 0:
                view = images[int(k)].view
                regions.append(_place(len(regions), int(k), heat[int(k)][concept], (view.shape[0], view.shape[1])))
                group.append(len(regions) - 1)
        groups.append(group)
    return groups, regions


def _place(index: int, image: int, heat: NDArray[np.floating], size: tuple[int, int]) -> Region:
    """Return the connected pixels around the largest value of a heat map that reach a share of it."""
    large = cv2.resize(heat.astype(np.float32), size[::-1], interpolation=cv2.INTER_LINEAR)
    y, x = np.unravel_index(int(large.argmax()), large.shape)
    labels = label(large >= _SHOWN * large.max(), connectivity=2)
    rows, columns = np.nonzero(labels == labels[y, x])
    box = (int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
    mask = np.asarray(labels == labels[y, x])[box[1] : box[3], box[0] : box[2]]
    return Region(index, image, box, np.ascontiguousarray(mask), 1.0, 0.0, 0.0, 0.0)
