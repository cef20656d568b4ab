"""Similarities of salient boxes over all pairs of images, in memory that does not grow with the number of pairs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, combinations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from visual_summaries._short import Short
from visual_summaries.flow.features import Features
from visual_summaries.flow.matching import Geometry, appearance, confidences
from visual_summaries.settings.stages import FlowSettings

_TILE = 8  # images on each side of the groups of pairs that are worked on at a time
_WAITING = 16  # best confidences of so many images wait before they are merged


@dataclass(frozen=True, eq=False, repr=False)
class PairwiseSimilarity(Short):
    """What comparing all images leaves.

    Attributes
    ----------
    similarity : ndarray of float32, (R, R)
        Mean over both directions of the confidences (to the power of the settings) of each pair of salient boxes; R counts the
        salient boxes of all images, image by image. 0 within an image and on the diagonal.
    best_mean : ndarray of float32, (R,)
        Mean of the best confidences (100 published) of each salient box to all boxes of the other images, its own image
        being A.
    """

    similarity: NDArray[np.float32]
    best_mean: NDArray[np.float32]


def compare_all(
    features: Sequence[Features],
    salient: Sequence[ArrayLike],
    settings: FlowSettings | None = None,
    *,
    best: int = 100,
) -> PairwiseSimilarity:
    """Compare the salient boxes of every image with all boxes of every other image.

    All boxes of two images take part in their matching, but only the rows of the salient ones are computed; the
    confidences of a pair of images are dropped as soon as its block of the result is filled in. A pair is compared as it is,
    whatever ``settings.mirror`` says; `best` confidences are averaged for `best_mean`.

    Examples
    --------
    >>> boxes = np.array([[10, 10, 30, 40], [15, 20, 35, 50]], np.int32)
    >>> images = [Features(boxes, torch.eye(2), (80, 90)) for _ in range(3)]
    >>> result = compare_all(images, [[0], [0, 1], []], best=1)
    >>> result.similarity
    array([[0., 1., 0.],
           [1., 0., 0.],
           [0., 0., 0.]], dtype=float32)
    >>> result.best_mean
    array([1., 1., 1.], dtype=float32)
    """
    if len(features) != len(salient):
        raise ValueError(
            f"{len(features)} images are described, but salient boxes are given for {len(salient)}; "
            "give one array for each image"
        )
    settings = FlowSettings() if settings is None else settings
    rows = [np.asarray(chosen, np.int64).reshape(-1) for chosen in salient]
    pairs = list(combinations(range(len(features)), 2))
    similarities, top = compare_block(dict(enumerate(features)), dict(enumerate(rows)), pairs, settings, best)
    similarity = joined_blocks(zip(pairs, similarities, strict=True), [len(chosen) for chosen in rows])
    means = [mean_of(top.get(i, np.zeros((len(own), 0), np.float32))) for i, own in enumerate(rows)]
    return PairwiseSimilarity(similarity, np.concatenate(means) if means else np.zeros(0, np.float32))


def compare_block(
    features: Mapping[int, Features],
    salient: Mapping[int, ArrayLike],
    pairs: Sequence[tuple[int, int]],
    settings: FlowSettings,
    best: int = 100,
) -> tuple[list[NDArray[np.float32]], dict[int, NDArray[np.float32]]]:
    """Compare the salient boxes of some pairs of images, as :func:`compare_all` does for all pairs.

    A pair's similarities do not depend on the block it is in, and the best of all blocks' best are the best of all: the
    result is that of one block, bit for bit.

    Returns
    -------
    similarities : list of ndarray of float32, (r_i, r_j)
        For each pair, of the salient boxes of i and j.
    best : dict of int to ndarray of float32, (r_i, <= best)
        For each image its salient boxes' best confidences to all boxes of the images that it was compared with, the best first.
    """
    images = sorted({image for pair in pairs for image in pair})
    rows = {i: torch.as_tensor(np.asarray(salient[i], np.int64).reshape(-1)) for i in images}
    geometry = {i: Geometry.of(features[i], settings.border) for i in images}
    top = {i: [np.zeros((len(rows[i]), 0), np.float32)] for i in images}
    similarities = [np.zeros((len(rows[i]), len(rows[j])), np.float32) for i, j in pairs]
    # Groups of pairs between a few images and a few others, so that each image has several partners.
    tiles: dict[tuple[int, int], list[int]] = {}
    for position, (i, j) in enumerate(pairs):
        tiles.setdefault((i // _TILE, j // _TILE), []).append(position)
    for tile in tiles.values():
        scores: dict[tuple[int, int], Tensor] = {}
        partners: dict[int, list[int]] = {}
        for i, j in (pairs[position] for position in tile):
            if len(rows[i]) or len(rows[j]):
                scores[i, j] = appearance(features[i], features[j], geometry[i], geometry[j], settings.max_aspect_ratio)
                # Transposed in memory, not only in name: the row maxima of the other direction run over contiguous values.
                scores[j, i] = scores[i, j].T.contiguous()
                partners.setdefault(i, []).append(j)
                partners.setdefault(j, []).append(i)
        found: dict[tuple[int, int], Tensor] = {}
        for a, own in partners.items():
            asked = [scores.pop((a, b)) for b in own]
            values_of = confidences(asked, geometry[a], [geometry[b] for b in own], settings.method, rows[a])
            for b, values in zip(own, values_of, strict=True):
                found[a, b] = values if settings.exponent == 1 else values**settings.exponent
        for position in tile:
            i, j = pairs[position]
            if (i, j) in found:
                forward, backward = found[i, j], found[j, i]
                for image, values in ((i, forward), (j, backward)):
                    # The best of the new ones alone first, so that what waits stays small; merged when a few are waiting.
                    top[image].append(values.topk(min(best, values.shape[1]), 1).values.cpu().numpy())
                    if len(top[image]) > _WAITING:
                        top[image] = [best_of(top[image], best)]
                similarities[position] = ((forward[:, rows[j]] + backward[:, rows[i]].T) / 2).cpu().numpy()
    return similarities, {i: best_of(parts, best) for i, parts in top.items()}


def joined_blocks(blocks: Iterable[tuple[tuple[int, int], NDArray[np.generic]]], counts: Sequence[int]) -> NDArray[np.float32]:
    """Return the symmetric similarities (R, R) whose blocks (i, j) are given, of images with so many boxes each."""
    start = [0, *accumulate(counts)]
    similarity = np.zeros((start[-1], start[-1]), np.float32)
    for (i, j), block in blocks:
        similarity[start[i] : start[i + 1], start[j] : start[j + 1]] = block
        similarity[start[j] : start[j + 1], start[i] : start[i + 1]] = block.T
    return similarity


def best_of(parts: Sequence[NDArray[np.float32]], best: int = 100) -> NDArray[np.float32]:
    """Return the `best` largest values of rows that stand in several arrays (R, n), the best first."""
    both = torch.cat([torch.from_numpy(part) for part in parts], 1)
    result: NDArray[np.float32] = both.topk(min(best, both.shape[1]), 1).values.numpy()
    return result


def mean_of(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of each row of (R, n); 0 where n is."""
    result: NDArray[np.float32] = (torch.from_numpy(values).sum(1) / max(values.shape[1], 1)).numpy()
    return result


def likeness(scores: Tensor) -> float:
    """Return how similar two images look: the sum of the best appearance score of every box of either."""
    return float(scores.max(1).values.sum() + scores.max(0).values.sum()) if scores.numel() else 0.0


def facing(a: Features, b: Features, max_aspect_ratio: float = 2.0, border: float = 0.01) -> Features:
    """Return `b`, or ``b.mirrored`` where there is one and it looks more like `a`.

    Examples
    --------
    >>> box = np.array([[10, 20, 30, 50]], np.int32)
    >>> left, right = (Features(box, torch.tensor([look]), (90, 80)) for look in ([1.0, 0.0], [0.0, 1.0]))
    >>> facing(left, Features(box, right.descriptors, (90, 80), mirrored=left)) is left
    True
    """
    if b.mirrored is None:
        return b
    own = Geometry.of(a, border)
    found = [likeness(appearance(a, one, own, Geometry.of(one, border), max_aspect_ratio)) for one in (b, b.mirrored)]
    return b.mirrored if found[1] > found[0] else b
