"""Which summary a region of a new image belongs to: by similarity to the regions of the run, with a least one found there."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from visual_summaries.analyses.cohesion import cluster_labels
from visual_summaries.analyses.importance import divide_pixels
from visual_summaries.classifiers import Classifier
from visual_summaries.flow import Features
from visual_summaries.flow.pairs import compare_block, joined_blocks
from visual_summaries.progress import Progress, report_progress
from visual_summaries.regions import propose_boxes, prune, salient_boxes
from visual_summaries.results import Box, Found, Region, Run
from visual_summaries.runs.image_stages import describe_view, joined_boxes
from visual_summaries.runs.similarity import usable_boxes


@dataclass(frozen=True, eq=False)
class Matcher:
    """What counts as belonging to each of K summaries."""

    labels: NDArray[np.int64]  # summary of each reference region (R,), -1 for none
    least: NDArray[np.float64]  # least mean similarity to a summary's references (K,); infinite where it has fewer than two
    # On the references, each image left out in turn: shares (K,) of a summary's own regions, and of all others, that reach it.
    found: NDArray[np.float64]
    mistaken: NDArray[np.float64]

    def confidence(self, similarity: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return how far new regions reach the least similarity: ``(N, K)`` from ``(N, R)``; from 1 on they belong."""
        return np.asarray(_means(similarity, self.labels, len(self.least), np.ones_like(similarity)) / self.least)


def fit_matcher(similarity: NDArray[np.floating], labels: ArrayLike, images: ArrayLike, summaries: int) -> Matcher:
    """Find for each of K summaries the least similarity that tells its own regions from all others.

    `similarity` is that of the reference regions (R, R), `labels` the summary of each (-1 for none), `images` its image. A
    region's similarity to a summary is its mean similarity to the summary's regions in *other* images, so that no image vouches
    for itself. The least one is where the share of own regions that reach it exceeds that of the others by most (Youden 1950),
    half way to the next lower value.

    Examples
    --------
    >>> similarity = np.array([[0, 8, 1, 2], [8, 0, 2, 1], [1, 2, 0, 6], [2, 1, 6, 0]])
    >>> matcher = fit_matcher(similarity, [0, 0, 1, 1], [0, 1, 0, 1], 2)
    >>> matcher.least.tolist(), matcher.found.tolist(), matcher.mistaken.tolist()
    ([5.0, 4.0], [1.0, 1.0], [0.0, 0.0])
    >>> matcher.confidence(np.array([[5.0, 6.0, 1.0, 1.0]])).round(2).tolist()
    [[1.1, 0.25]]
    """
    labels, images = np.asarray(labels, np.int64), np.asarray(images)
    means = _means(similarity, labels, summaries, (images[:, None] != images[None, :]).astype(np.float64))
    least, found, mistaken = np.full(summaries, np.inf), np.zeros(summaries), np.zeros(summaries)
    for k in range(summaries):
        own = np.sort(means[(labels == k) & np.isfinite(means[:, k]), k])
        others = np.sort(means[(labels != k) & np.isfinite(means[:, k]), k])
        if len(own) < 2:
            continue
        hits = 1 - np.arange(len(own)) / len(own)
        false = 1 - np.searchsorted(others, own) / max(len(others), 1)
        place = int(np.argmax(hits - false))
        lower = np.concatenate([own[:place], others[others < own[place]]])
        least[k] = (own[place] + (lower.max() if lower.size else own[place])) / 2
        found[k], mistaken[k] = (own >= least[k]).mean(), (others >= least[k]).mean() if len(others) else 0.0
    return Matcher(labels, np.maximum(least, 1e-12), found, mistaken)


def _means(
    similarity: NDArray[np.floating], labels: NDArray[np.int64], summaries: int, weights: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return the mean similarity (N, K) to the regions of each summary; NaN where none may be looked at."""
    members = (labels[:, None] == np.arange(summaries)).astype(np.float64)
    with np.errstate(invalid="ignore"):
        return np.asarray((similarity * weights) @ members / (weights @ members))


@dataclass(frozen=True)
class BoxFinder:
    """Images of the run to compare with: their boxes described, and which of these are regions of the run."""

    run: Run
    classifier: Classifier
    random_state: int
    features: dict[int, Features]
    regions: dict[int, NDArray[np.intp]]
    matcher: Matcher

    @classmethod
    def of(cls, run: Run, classifier: Classifier, most: int, random_state: int, progress: Progress | None) -> BoxFinder:
        """Describe the images of a run that have the most members of summaries."""
        labels = cluster_labels(run.summaries, len(run.regions))
        counts = Counter(region.image for region in run.regions if labels[region.index] >= 0)
        chosen = sorted(counts, key=lambda k: (-counts[k], k))[:most]
        settings = run.settings.regions
        features: dict[int, Features] = {}
        regions: dict[int, NDArray[np.intp]] = {}
        rows: list[Region] = []
        for place, k in enumerate(chosen):
            own = [region for region in run.regions if region.image == k]
            proposed = propose_boxes(run.images[k].view, settings.boxes, settings.proposals, random_state)
            boxes = joined_boxes([region.box for region in own], map(tuple, proposed.tolist()))
            features[place] = describe_view(run.images[k].view, boxes, run.settings.flow, classifier)
            regions[place] = np.arange(len(own))  # they come first
            rows += own
            report_progress(progress, "references", place + 1, len(chosen))
        pairs = list(combinations(range(len(chosen)), 2))
        blocks, _ = compare_block(features, regions, pairs, run.settings.flow)
        similarity = joined_blocks(zip(pairs, blocks, strict=True), [len(own) for own in regions.values()])
        owner = [region.image for region in rows]
        matcher = fit_matcher(similarity, labels[[region.index for region in rows]], owner, len(run.summaries))
        return cls(run, classifier, random_state, features, regions, matcher)

    @property
    def figures(self) -> tuple[tuple[float, ...], ...]:
        """Least similarity that counts, and how often it finds and mistakes regions of the run, of each summary."""
        return tuple(tuple(own.tolist()) for own in (self.matcher.least, self.matcher.found, self.matcher.mistaken))

    def find(self, view: NDArray[np.uint8], evidence: NDArray[np.bool_]) -> list[Found]:
        """Return the summaries in a new image."""
        settings = self.run.settings.regions
        boxes = propose_boxes(view, settings.boxes, settings.proposals, self.random_state).astype(np.int64)
        chosen = usable_boxes(boxes, salient_boxes(boxes, evidence, settings.salient_share))
        if not len(chosen):
            return []
        features = describe_view(view, boxes, self.run.settings.flow, self.classifier)
        confidence = np.nan_to_num(self.matcher.confidence(self._compare(features, chosen)))
        kept = prune(boxes[chosen], confidence.max(axis=1), settings.overlap, settings.area_factor)
        best = confidence[kept].argmax(axis=1)
        places: dict[int, list[tuple[float, Box]]] = {}
        for (x0, y0, x1, y1), k, values in zip(boxes[chosen[kept]].tolist(), best.tolist(), confidence[kept], strict=True):
            if values[k] >= 1 and evidence[y0:y1, x0:x1].any():
                places.setdefault(k, []).append((float(values[k]), (x0, y0, x1, y1)))
        # As in the run, no two summaries share a pixel.
        parts = [(k, box, evidence[box[1] : box[3], box[0] : box[2]]) for k, own in places.items() for _, box in own]
        pixels = divide_pixels(parts, (evidence.shape[0], evidence.shape[1]))
        best_first = {k: sorted(own, key=lambda one: -one[0]) for k, own in places.items()}
        return [Found(k, tuple(box for _, box in best_first[k]), shown, best_first[k][0][0]) for k, shown in pixels.items()]

    def _compare(self, features: Features, salient: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the similarity (n, R) of boxes of a new image to all reference regions."""
        new, flow = len(self.features), self.run.settings.flow
        pairs = [(k, new) for k in self.features]
        blocks, _ = compare_block({**self.features, new: features}, {**self.regions, new: salient}, pairs, flow)
        return np.concatenate([block.T for block in blocks], axis=1)
