"""Clustered heat maps (SpRAy), for ``shortcuts/shortcuts.py`` and ``peers/peers.py``.

Lapuschkin et al., "Unmasking Clever Hans predictors and assessing what machines really learn", Nature Communications 2019: the
heat maps of all images of a class, made small, are grouped by spectral clustering. A group is one of images, not of parts; what
it shows are the hottest pixels of its images. Heat maps are Grad-CAM's (Selvaraju et al., ICCV 2017) of the last feature map.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import SpectralClustering

from visual_summaries.classifiers import Classifier
from visual_summaries.flow.deep import deep_descriptor

View = NDArray[np.uint8]
Heat = NDArray[np.float32]

#: Clusters of heat maps.
CLUSTERS = 4
#: Share of a heat map's pixels, the hottest, that count as what it shows.
HOTTEST = 0.1

_SIDE, _NEIGHBORS = 14, 7  # of the small heat maps; of the graph that is clustered


def grad_cam(classifier: Classifier, views: Sequence[View], target: int) -> list[Heat]:
    """Return Grad-CAM's heat maps of the last feature map, each as large as its view."""
    module = classifier.module.get_submodule(deep_descriptor(classifier).layers[-1].name)
    kept: list[torch.Tensor] = []

    def keep_map(_module: object, _inputs: object, output: torch.Tensor) -> None:
        output.retain_grad()
        kept.append(output)

    found = []
    for view in views:
        kept.clear()
        handle = module.register_forward_hook(keep_map)
        try:
            with classifier.frozen(), torch.enable_grad():
                classifier.logits(classifier.to_tensor([view]).requires_grad_())[0, target].backward()
        finally:
            handle.remove()
        (own,) = kept
        assert own.grad is not None
        heat = (own.grad.mean((2, 3), keepdim=True) * own).sum(1).clamp(min=0)[0].detach().cpu().numpy()
        found.append(np.asarray(cv2.resize(heat, view.shape[1::-1]), np.float32))
    return found


def heat_clusters(heats: Sequence[Heat], count: int = CLUSTERS) -> NDArray[np.intp]:
    """Return the cluster of each image by its heat map, from 0 on; `count` of them, or one fewer than there are images."""
    small = np.stack([cv2.resize(heat, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).ravel() for heat in heats])
    neighbors = min(_NEIGHBORS, len(heats) - 1)
    clusters = SpectralClustering(
        min(count, len(heats) - 1), affinity="nearest_neighbors", n_neighbors=neighbors, random_state=0
    )
    found = clusters.fit_predict(small / np.maximum(np.linalg.norm(small, axis=1, keepdims=True), 1e-9))
    return np.asarray(found, np.intp)


def spray_labels(heats: Sequence[Heat], count: int = CLUSTERS) -> list[NDArray[np.int16]]:
    """Return for each image its cluster where its heat map is hottest, -1 elsewhere (H, W)."""
    groups = heat_clusters(heats, count)
    return [
        np.where(heat >= np.quantile(heat, 1 - HOTTEST), group, -1).astype(np.int16)
        for heat, group in zip(heats, groups, strict=True)
    ]
