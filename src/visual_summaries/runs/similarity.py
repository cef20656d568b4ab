"""The stages of a run that look at several images: similarity by blocks of pairs, kept regions, clusters, warped members."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visual_summaries.engines import Handle
from visual_summaries.files.arrays import pack, unpack
from visual_summaries.flow import Features
from visual_summaries.flow.pairs import best_of, compare_block, joined_blocks, mean_of
from visual_summaries.parts.clusters import Clusters, cluster
from visual_summaries.regions import prune, salient_boxes
from visual_summaries.regions.salient import evidence_shares
from visual_summaries.results import Box, Image, Region
from visual_summaries.runs.image_stages import Described, Pixels, View, contributions, infill_settings
from visual_summaries.runs.pieces import Content, digest
from visual_summaries.runs.reading import view_sha256
from visual_summaries.runs.stages import Context, Records, Shared, Stage
from visual_summaries.settings import Settings

#: Images of one side of a block of pairs: at most so many, and a block ends after one image of so many on average.
_LARGEST_BLOCK, _MEAN_BLOCK = 12, 8


def image_blocks(names: Sequence[str]) -> list[list[int]]:
    """Divide images into blocks of neighbors, where the images themselves say that a block ends.

    So an image that is added or taken away changes the block that it is in, and no other (content-defined chunking, as backup
    programs use it). A name is a hexadecimal hash of an image.

    Examples
    --------
    >>> hashes = [f"{k:08x}" for k in (1, 8, 3, 5, 16, 2)]
    >>> image_blocks(hashes), image_blocks(hashes[1:])
    ([[0, 1], [2, 3, 4], [5]], [[0], [1, 2, 3], [4]])
    """
    blocks: list[list[int]] = [[]]
    for position, name in enumerate(names):
        blocks[-1].append(position)
        if int(name[:8], 16) % _MEAN_BLOCK == 0 or len(blocks[-1]) == _LARGEST_BLOCK:
            blocks.append([])
    return [block for block in blocks if block]


#: Sides of boxes that can be compared, in pixels.
SMALLEST = 3

#: A block of pairs: features and salient boxes of its images, and which of these are compared.
Block = tuple[dict[int, Handle[Features]], dict[int, NDArray[np.intp]], list[tuple[int, int]]]


def _similarity(shared: Shared, items: Sequence[Block]) -> Iterable[Content]:
    for parts, salient, pairs in items:
        features = {image: part.get() for image, part in parts.items()}
        similarities, top = compare_block(features, salient, pairs, shared.settings.flow, shared.settings.regions.best)
        best = {f"best{image}": values for image, values in enumerate(top.values())}
        yield {**pack("similarity", similarities, 2, np.float32), **best}


def _flow(settings: Settings) -> Any:
    return [asdict(settings.flow), settings.regions.best]


SIMILARITY = Stage("similarity", 3, _similarity, settings=_flow)


def compare_regions(
    context: Context, images: Sequence[Image], evidence: Sequence[Pixels], features: Described
) -> tuple[list[Region], NDArray[np.float32]]:
    """Find the salient boxes, compare those of different images, and keep of redundant ones the most distinctive.

    The regions are those that are kept; their similarity is (R, R).
    """
    settings = context.settings.regions
    boxes = [np.asarray(item, dtype=np.int64) for item in features.boxes]
    salient = [
        usable_boxes(proposed, salient_boxes(proposed, own, settings.salient_share))
        for proposed, own in zip(boxes, evidence, strict=True)
    ]
    blocks = _compare_blocks(context, images, features, salient)
    distinctiveness = blocks.best_mean()
    kept = [
        prune(proposed[chosen], means, settings.overlap, settings.area_factor)
        for proposed, chosen, means in zip(boxes, salient, distinctiveness, strict=True)
    ]
    chosen_boxes = [proposed[chosen[rows]] for proposed, chosen, rows in zip(boxes, salient, kept, strict=True)]
    means = [own[rows] for own, rows in zip(distinctiveness, kept, strict=True)]
    regions = _measure(context, images, evidence, chosen_boxes, means)
    return regions, blocks.similarity(kept)


@dataclass(frozen=True)
class _Blocks:
    """The similarities of all salient boxes, block by block of pairs of images; never all of them in memory."""

    salient: Sequence[NDArray[np.intp]]
    best: int
    pairs: list[list[tuple[int, int]]]
    records: Records

    def best_mean(self) -> list[NDArray[np.float32]]:
        """Return for each image the mean of the best confidences of each of its salient boxes."""
        top = [np.zeros((len(chosen), 0), np.float32) for chosen in self.salient]
        for pairs, record in zip(self.pairs, self.records, strict=True):
            for place, image in enumerate(_members(pairs)):
                top[image] = best_of([top[image], record[f"best{place}"]], self.best)
        return [mean_of(values) for values in top]

    def similarity(self, kept: Sequence[NDArray[np.intp]]) -> NDArray[np.float32]:
        """Return the similarities (R, R) of these salient boxes of each image."""
        blocks = (
            ((i, j), part[np.ix_(kept[i], kept[j])])
            for pairs, record in zip(self.pairs, self.records, strict=True)
            for (i, j), part in zip(pairs, unpack("similarity", record), strict=True)
        )
        return joined_blocks(blocks, [len(rows) for rows in kept])


def _compare_blocks(
    context: Context, images: Sequence[Image], features: Described, salient: Sequence[NDArray[np.intp]]
) -> _Blocks:
    """Compare the salient boxes of all pairs of images."""
    names = [digest([view_sha256(image.view), boxes]) for image, boxes in zip(images, features.boxes, strict=True)]
    divided = _divide(names)
    keys = []
    for pairs in divided:  # what goes into a block: its images, and which of them are compared, by their places in it
        place = {image: k for k, image in enumerate(_members(pairs))}
        keys.append([[[names[i], salient[i]] for i in place], [[place[i], place[j]] for i, j in pairs]])
    # Only what is not there yet needs descriptors.
    features.prepare(image for k in context.missing(SIMILARITY, keys) for pair in divided[k] for image in pair)

    def item(position: int) -> Block:
        members = _members(divided[position])
        return {i: features.handle(i) for i in members}, {i: salient[i] for i in members}, divided[position]

    return _Blocks(salient, context.settings.regions.best, divided, context.each(SIMILARITY, keys, item))


def _divide(names: Sequence[str]) -> list[list[tuple[int, int]]]:
    """Return all pairs of images, block by block."""
    blocks = image_blocks(names)
    block_of = {image: k for k, block in enumerate(blocks) for image in block}
    found: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for i, j in combinations(range(len(names)), 2):
        found.setdefault((block_of[i], block_of[j]), []).append((i, j))
    return [found[key] for key in sorted(found)]


def _members(pairs: Sequence[tuple[int, int]]) -> list[int]:
    """Images of a block, ascending."""
    return sorted({image for pair in pairs for image in pair})


def usable_boxes(boxes: NDArray[np.int64], chosen: NDArray[np.intp]) -> NDArray[np.intp]:
    """Leave out chosen boxes with a side that is too short: nothing can be compared inside them."""
    sides = np.minimum(boxes[chosen, 2] - boxes[chosen, 0], boxes[chosen, 3] - boxes[chosen, 1])
    usable: NDArray[np.intp] = chosen[sides >= SMALLEST]
    return usable


def _alone(shared: Shared, items: Sequence[tuple[View, float, list[tuple[Box, Pixels]]]]) -> Iterable[Content]:
    return [{"alone": [list(pair) for pair in own]} for own in contributions(shared, items)]


REGIONS = Stage("regions", 3, _alone, settings=infill_settings, group=8, together=True, progress="contributions")


def _measure(
    context: Context,
    images: Sequence[Image],
    binary: Sequence[Pixels],
    boxes: Sequence[NDArray[np.int64]],
    distinctiveness: Sequence[NDArray[np.float32]],
) -> list[Region]:
    """Make regions of the kept boxes of each image: their evidence, and what hiding it alone does."""
    parts: list[list[tuple[Box, Pixels]]] = [
        [((x0, y0, x1, y1), np.ascontiguousarray(evidence[y0:y1, x0:x1])) for x0, y0, x1, y1 in kept.tolist()]
        for kept, evidence in zip(boxes, binary, strict=True)
    ]
    inputs = ([view_sha256(i.view), i.score, evidence, kept] for i, evidence, kept in zip(images, binary, boxes, strict=True))
    records = context.map(REGIONS, inputs, lambda k: (images[k].view, images[k].score, parts[k]))
    regions: list[Region] = []
    for image, own, record, means in zip(images, parts, records, distinctiveness, strict=True):
        shares = evidence_shares(boxes[image.index], binary[image.index])
        for (box, pixels), share, (contribution, drop), mean in zip(own, shares, record["alone"], means, strict=True):
            regions.append(Region(len(regions), image.index, box, pixels, float(share), contribution, drop, float(mean)))
    return regions


def _clusters(shared: Shared, items: Sequence[NDArray[np.float32]]) -> Iterable[Content]:
    for similarity in items:
        found = cluster(similarity, shared.settings.clusters, random_state=shared.random_state)
        yield {"labels": found.labels, "exemplars": found.exemplars}


CLUSTERS = Stage("clusters", 2, _clusters, settings=lambda s: asdict(s.clusters), network=False)


def find_clusters(context: Context, similarity: NDArray[np.float32]) -> Clusters:
    """Group the regions."""
    return Clusters(**context.piece(CLUSTERS, similarity, similarity))
