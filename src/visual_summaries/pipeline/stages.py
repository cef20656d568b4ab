"""The stages of a run between images and clusters, each reading and writing the pieces that make a run resumable."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visual_summaries.analyses import measure_importance
from visual_summaries.classifiers import Classifier, Target
from visual_summaries.flow import Features, FlowSettings, compare_all, dense_flow, describe, match, warp
from visual_summaries.masks import iter_masks
from visual_summaries.masks.faithfulness import measure_faithfulness
from visual_summaries.pipeline.reading import view_sha256
from visual_summaries.progress import Progress, report_progress
from visual_summaries.regions import connected_components, hidden_scores, prune, salient_boxes
from visual_summaries.regions.proposals import propose_all
from visual_summaries.regions.salient import evidence_shares
from visual_summaries.results import Box, Component, Faithfulness, Image, Mask, Region
from visual_summaries.settings import Settings
from visual_summaries.store import Pieces, digest
from visual_summaries.summaries import SummarySet, rank_summaries

#: Raised when a stage computes something else from the same input, so that old pieces are not taken for new ones.
CODE_VERSIONS = {"masks": 1, "proposals": 1, "similarity": 1}

_SCORES = ("score_before", "score_after", "score_blurred")
_Pixels = NDArray[np.bool_]


@dataclass(frozen=True)
class Context:
    """What every stage of one run is given.

    Attributes
    ----------
    classifier : Classifier
    target : Target
    settings : Settings
    random_state : int
    pieces : Pieces
        Where finished pieces are kept.
    progress : callable or None
    """

    classifier: Classifier
    target: Target
    settings: Settings
    random_state: int
    pieces: Pieces
    progress: Progress | None

    def key(self, stage: str, **inputs: Any) -> str:
        """Return the hash of what goes into a piece of `stage`."""
        return digest({"stage": stage, "code": CODE_VERSIONS[stage], "random_state": self.random_state, **inputs})


def compute_masks(context: Context, images: Sequence[Image]) -> list[Mask]:
    """Optimise the evidence mask of each image, one piece an image."""
    # The batch size is no input: an image's mask does not depend on the images beside it.
    settings = asdict(replace(context.settings.masks, batch_size=None))
    common: dict[str, Any] = {
        "weights": context.classifier.weights_sha256,
        "transform": context.classifier.transform.to_dict(),
        "settings": settings,
    }
    common["target"] = [context.target.index, context.target.name]
    keys = [context.key("masks", view=view_sha256(image.view), **common) for image in images]
    masks: dict[int, Mask] = {}
    for position, key in enumerate(keys):
        if (arrays := context.pieces.get("masks", key)) is not None:
            masks[position] = _mask_from(arrays)
    missing = [position for position in range(len(images)) if position not in masks]
    report_progress(context.progress, "masks", len(masks), len(images))
    found = iter_masks(
        context.classifier,
        (images[position].view for position in missing),
        context.target,
        context.settings.masks,
        random_state=context.random_state,
    )
    for order, mask in found:
        position = missing[order]
        context.pieces.put("masks", keys[position], _mask_arrays(mask))
        masks[position] = mask
        report_progress(context.progress, "masks", len(masks), len(images))
    return [masks[position] for position in range(len(images))]


def _mask_arrays(mask: Mask) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {"smooth": mask.smooth, "sharp": mask.sharp, "losses": mask.losses}
    if mask.superpixel is not None:
        arrays["superpixel"] = mask.superpixel
    arrays["scores"] = np.array([getattr(mask, name) for name in _SCORES])
    return arrays


def _mask_from(arrays: dict[str, NDArray[Any]]) -> Mask:
    scores = dict(zip(_SCORES, arrays["scores"].tolist(), strict=True))
    return Mask(
        smooth=arrays["smooth"],
        sharp=arrays["sharp"],
        superpixel=arrays.get("superpixel"),
        losses=arrays["losses"],
        **scores,
    )


def compute_faithfulness(context: Context, images: Sequence[Image], masks: Sequence[Mask]) -> Faithfulness:
    """Measure how the class score follows the masks, an image at a time."""
    parts = []
    for image, mask in zip(images, masks, strict=True):
        parts.append(
            measure_faithfulness(
                context.classifier,
                [image.view],
                [mask],
                context.target,
                context.settings.masks,
                random_state=context.random_state,
            )
        )
        report_progress(context.progress, "faithfulness", image.index + 1, len(images))
    return Faithfulness(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Faithfulness)})


def compute_proposals(context: Context, images: Sequence[Image]) -> list[NDArray[np.int32]]:
    """Propose boxes for each image."""
    settings = context.settings.regions
    key = context.key(
        "proposals",
        views=[view_sha256(image.view) for image in images],
        source=settings.proposals,
        boxes=settings.boxes,
    )
    if (arrays := context.pieces.get("proposals", key)) is not None:
        report_progress(context.progress, "proposals", len(images), len(images))
        return [arrays[f"{index:06d}"].astype(np.int32) for index in range(len(images))]
    boxes: list[NDArray[np.int32]] = []
    for proposed in propose_all(
        (image.view for image in images), settings.boxes, settings.proposals, random_state=context.random_state
    ):
        boxes.append(proposed)
        report_progress(context.progress, "proposals", len(boxes), len(images))
    context.pieces.put("proposals", key, {f"{index:06d}": value for index, value in enumerate(boxes)})
    return boxes


def find_components(context: Context, images: Sequence[Image], masks: Sequence[Mask]) -> list[Component]:
    """Find the connected regions of each mask; of each image, those that contribute most come first."""
    settings = context.settings.regions
    components: list[Component] = []
    for image, mask in zip(images, masks, strict=True):
        found = connected_components(mask.final, settings.threshold, settings.min_component_area)
        alone = _contributions(context, image, found)
        components += sorted(
            (
                Component(image.index, box, pixels, contribution, drop)
                for (box, pixels), (contribution, drop) in zip(found, alone, strict=True)
            ),
            key=lambda component: -component.contribution,
        )
        report_progress(context.progress, "contributions", image.index + 1, len(images))
    return components


def _contributions(context: Context, image: Image, regions: Sequence[tuple[Box, _Pixels]]) -> list[tuple[float, float]]:
    """Contribution (1 - score) and drop of each region hidden alone."""
    scores = hidden_scores(context.classifier, image.view, context.target, regions, context.settings.masks)
    before = max(image.score, 1e-12)
    return [(float(1 - score), float((image.score - score) / before)) for score in scores]


def describe_images(context: Context, images: Sequence[Image], boxes: Sequence[NDArray[np.int32]]) -> list[Features]:
    """Describe the boxes of each image for matching."""
    features = []
    for image, proposed in zip(images, boxes, strict=True):
        features.append(
            describe(image.view, proposed, descriptor=context.settings.flow.descriptor, classifier=context.classifier)
        )
        report_progress(context.progress, "descriptors", image.index + 1, len(images))
    return features


def compare_regions(
    context: Context, images: Sequence[Image], masks: Sequence[Mask], features: Sequence[Features]
) -> tuple[list[Region], NDArray[np.float32]]:
    """Find the salient boxes, compare those of different images, and keep of redundant ones the most distinctive.

    Returns
    -------
    regions : list of Region
    similarity : ndarray of float32, (R, R)
    """
    settings = context.settings.regions
    binary = [np.asarray(mask.final > settings.threshold) for mask in masks]
    boxes = [np.asarray(item.boxes, dtype=np.int64) for item in features]
    salient = [
        _usable(proposed, salient_boxes(proposed, evidence, settings.salient_share))
        for proposed, evidence in zip(boxes, binary, strict=True)
    ]
    key = context.key(
        "similarity",
        boxes=[_hash(item) for item in boxes],
        salient=[_hash(item) for item in salient],
        views=[view_sha256(image.view) for image in images],
        flow=asdict(context.settings.flow),
        best=settings.best,
        weights=context.classifier.weights_sha256,
    )
    if (arrays := context.pieces.get("similarity", key)) is not None:
        similarity = np.asarray(arrays["similarity"], dtype=np.float32)
        distinctiveness = np.asarray(arrays["best_mean"], dtype=np.float32)
    else:
        result = compare_all(features, salient, context.settings.flow, best=settings.best, progress=context.progress)
        similarity, distinctiveness = result.similarity, result.best_mean
        context.pieces.put("similarity", key, {"similarity": similarity, "best_mean": distinctiveness})
    owner = np.repeat(np.arange(len(images)), [len(item) for item in salient])
    regions: list[Region] = []
    rows: list[int] = []
    for image, proposed, chosen, evidence in zip(images, boxes, salient, binary, strict=True):
        row = np.flatnonzero(owner == image.index)
        kept = prune(proposed[chosen], distinctiveness[row], settings.overlap, settings.area_factor)
        candidates: list[tuple[Box, _Pixels]] = []
        for x0, y0, x1, y1 in proposed[chosen[kept]].tolist():
            candidates.append(((x0, y0, x1, y1), np.ascontiguousarray(evidence[y0:y1, x0:x1])))
        shares = evidence_shares(proposed[chosen[kept]], evidence)
        alone = _contributions(context, image, candidates)
        for (box, pixels), share, (contribution, drop), source in zip(candidates, shares, alone, row[kept], strict=True):
            regions.append(
                Region(
                    index=len(regions),
                    image=image.index,
                    box=box,
                    mask=pixels,
                    salient_share=float(share),
                    contribution=contribution,
                    drop=drop,
                    distinctiveness=float(distinctiveness[source]),
                )
            )
            rows.append(int(source))
        report_progress(context.progress, "contributions", image.index + 1, len(images))
    return regions, similarity[np.ix_(rows, rows)]


def analyse_summaries(
    context: Context, images: Sequence[Image], masks: Sequence[Mask], regions: Sequence[Region], summaries: SummarySet
) -> SummarySet:
    """Measure the importance of every summary, kept or rejected, and rank the kept ones anew."""
    threshold = context.settings.regions.threshold
    measured = []
    for group in (summaries.kept, summaries.rejected):  # shares are shares among the kept, or among the rejected
        found = measure_importance(
            context.classifier,
            context.target,
            images,
            [np.asarray(mask.final > threshold) for mask in masks],
            regions,
            group,
            context.settings.masks,
            context.settings.analyses,
            random_state=context.random_state,
            progress=context.progress if group is summaries.kept else None,
        )
        measured.append(
            tuple(replace(one, importance=own.importance, analysis=own) for one, own in zip(group, found, strict=True))
        )
    return SummarySet(rank_summaries(measured[0], context.settings.summaries.rank), measured[1], summaries.small)


def _usable(boxes: NDArray[np.int64], chosen: NDArray[np.intp]) -> NDArray[np.intp]:
    """Leave out boxes with a side under 3 pixels: nothing can be compared inside them."""
    sides = np.minimum(boxes[chosen, 2] - boxes[chosen, 0], boxes[chosen, 3] - boxes[chosen, 1])
    usable: NDArray[np.intp] = chosen[sides >= 3]
    return usable


def _hash(array: NDArray[Any]) -> str:
    return hashlib.sha256(repr((array.shape, array.dtype.str)).encode() + array.tobytes()).hexdigest()


class Warper:
    """Warps members into the box of an exemplar by dense flow between their images.

    Parameters
    ----------
    images : sequence of Image
    features : sequence of Features
        Of the same images.
    settings : FlowSettings
        Matching method, and how matches are assigned to pixels.
    """

    def __init__(self, images: Sequence[Image], features: Sequence[Features], settings: FlowSettings) -> None:
        self._images = images
        self._features = features
        self._settings = settings

    def __call__(self, exemplar: Region, member: Region) -> NDArray[np.uint8]:
        """Return the member's image warped to the exemplar's and cut out at the exemplar's box, ``uint8 (h, w, 3)``."""
        x0, y0, x1, y1 = exemplar.box
        view = self._images[exemplar.image].view
        if member.image == exemplar.image:
            return np.ascontiguousarray(view[y0:y1, x0:x1])
        a, b = self._features[exemplar.image], self._features[member.image]
        confidences = match(
            a, b, self._settings.method, max_aspect_ratio=self._settings.max_aspect_ratio, border=self._settings.border
        )
        flow = dense_flow(a, b, confidences, guide=view, assignment=self._settings.assignment)
        return warp(self._images[member.image].view, flow, exemplar.box)
