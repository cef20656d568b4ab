"""Where the summaries of a run that groups boxes are in new images: by semantic flow with its regions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visual_summaries.analyses.importance import divide_pixels
from visual_summaries.analyses.matching import Matcher, fit_matcher
from visual_summaries.analyses.quality import cluster_labels
from visual_summaries.classifiers import Classifier
from visual_summaries.flow import Features
from visual_summaries.flow.pairs import compare_block
from visual_summaries.pipeline.stages import describe_view
from visual_summaries.progress import Progress, report_progress
from visual_summaries.regions import propose_boxes, prune, salient_boxes
from visual_summaries.results import Box, Found, Run
from visual_summaries.settings import Settings

_SMALLEST = 3  # sides of boxes that can be compared, in pixels


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
        members = [region.image for region in run.regions if labels[region.index] >= 0]
        counts = np.bincount(members, minlength=len(run.images))
        chosen = [int(k) for k in np.argsort(-counts, kind="stable")[:most] if counts[k]]
        features: dict[int, Features] = {}
        regions: dict[int, NDArray[np.intp]] = {}
        owner: list[int] = []
        wanted: list[int] = []
        for done, k in enumerate(chosen, 1):
            own = [region for region in run.regions if region.image == k]
            boxes = _boxes(run.images[k].view, [region.box for region in own], run.settings, random_state)
            features[k] = describe_view(run.images[k].view, boxes, run.settings.flow, classifier)
            regions[k] = np.arange(len(own))  # they come first
            owner += [k] * len(own)
            wanted += [region.index for region in own]
            report_progress(progress, "references", done, len(chosen))
        pairs = [(a, b) for position, a in enumerate(chosen) for b in chosen[position + 1 :]]
        blocks = compare_block(features, regions, pairs, run.settings.flow).similarities
        place = {k: np.flatnonzero(np.array(owner) == k) for k in chosen}
        similarity = np.zeros((len(owner), len(owner)))
        for (a, b), block in zip(pairs, blocks, strict=True):
            similarity[np.ix_(place[a], place[b])] = block
            similarity[np.ix_(place[b], place[a])] = block.T
        matcher = fit_matcher(similarity, labels[wanted], owner, len(run.summaries))
        return cls(run, classifier, random_state, features, regions, matcher)

    @property
    def figures(self) -> tuple[tuple[float, ...], ...]:
        """Least similarity that counts, and how often it finds and mistakes regions of the run, of each summary."""
        matcher = self.matcher
        return tuple(matcher.least.tolist()), tuple(matcher.found.tolist()), tuple(matcher.mistaken.tolist())

    def find(self, view: NDArray[np.uint8], evidence: NDArray[np.bool_]) -> list[Found]:
        """Return the summaries in a new image."""
        settings = self.run.settings.regions
        boxes = propose_boxes(view, settings.boxes, settings.proposals, self.random_state).astype(np.int64)
        chosen = salient_boxes(boxes, evidence, settings.salient_share)
        sides = np.minimum(boxes[chosen, 2] - boxes[chosen, 0], boxes[chosen, 3] - boxes[chosen, 1])
        chosen = chosen[sides >= _SMALLEST]
        if not len(chosen):
            return []
        features = describe_view(view, boxes, self.run.settings.flow, self.classifier)
        sureness = np.nan_to_num(self.matcher.sureness(self._compare(features, chosen)))
        kept = prune(boxes[chosen], sureness.max(axis=1), settings.overlap, settings.area_factor)
        best = sureness[kept].argmax(axis=1)
        places: dict[int, list[tuple[float, Box]]] = {}
        for (x0, y0, x1, y1), k, values in zip(boxes[chosen[kept]].tolist(), best.tolist(), sureness[kept], strict=True):
            if values[k] >= 1 and evidence[y0:y1, x0:x1].any():
                places.setdefault(k, []).append((float(values[k]), (x0, y0, x1, y1)))
        # As in the run, no two summaries share a pixel.
        parts = [(k, box, evidence[box[1] : box[3], box[0] : box[2]]) for k, own in places.items() for _, box in own]
        pixels = divide_pixels(parts, (evidence.shape[0], evidence.shape[1]))
        found = []
        for k, shown in pixels.items():
            own = sorted(places[k], key=lambda one: -one[0])
            found.append(Found(k, tuple(box for _, box in own), shown, own[0][0]))
        return found

    def _compare(self, features: Features, salient: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the similarity (n, R) of boxes of a new image to all reference regions."""
        new = -1  # no image of the run has this number
        pairs = [(k, new) for k in self.features]
        flow = self.run.settings.flow
        blocks = compare_block({**self.features, new: features}, {**self.regions, new: salient}, pairs, flow)
        return np.concatenate([block.T for block in blocks.similarities], axis=1)


def _boxes(view: NDArray[np.uint8], first: Sequence[Box], settings: Settings, random_state: int) -> NDArray[np.int32]:
    """Return proposed boxes, after some that must be among them."""
    proposed = propose_boxes(view, settings.regions.boxes, settings.regions.proposals, random_state)
    given = np.array(first, np.int32).reshape(-1, 4)
    fresh = [box for box in proposed.tolist() if tuple(box) not in set(map(tuple, given.tolist()))]
    return np.concatenate([given, np.array(fresh, np.int32).reshape(-1, 4)])
