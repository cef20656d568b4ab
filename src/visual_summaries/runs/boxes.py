"""The published way from masks to summaries: proposed boxes, their similarities, affinity propagation, warped members."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visual_summaries.analyses import cluster_labels, mean_jaccard, measure_chance, resample, some_images
from visual_summaries.analyses.cohesion import cohesion
from visual_summaries.flow import Features
from visual_summaries.parts.summaries import build_summaries, choose_candidates
from visual_summaries.results import Chance, Image, Region, Summary
from visual_summaries.runs.analyzing import Grouped
from visual_summaries.runs.image_stages import Described, Pixels, compute_proposals
from visual_summaries.runs.manifest import Stopwatch
from visual_summaries.runs.pieces import Content, digest
from visual_summaries.runs.similarity import compare_regions, find_clusters
from visual_summaries.runs.stages import Context, Shared, Stage
from visual_summaries.runs.warping import warp_groups
from visual_summaries.settings import Settings


def group_boxes(context: Context, watch: Stopwatch, images: Sequence[Image], evidence: list[Pixels]) -> Grouped:
    """Propose boxes, compare those on the evidence, cluster them, and make summaries of the clusters."""
    with watch.stage("proposals"):
        boxes = compute_proposals(context, images)
    features = Described(context, images, boxes, watch)
    with watch.stage("similarity"):
        regions, similarity = compare_regions(context, images, evidence, features)
    with watch.stage("clusters"):
        groups = find_clusters(context, similarity)
    with watch.stage("summaries"):
        settings = context.settings.summaries
        chosen = [members for _, members in choose_candidates(groups, regions, similarity, settings)]
        warped = warp_groups(context, images, features, regions, chosen)
        crops = {members[0]: dict(zip(members, warped.crops(k), strict=True)) for k, members in enumerate(chosen)}
        summaries = build_summaries(regions, similarity, groups, lambda a, b: crops[a.index][b.index], settings)

    def figures(summaries: Sequence[Summary]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        owner = [images[region.image].origin for region in regions]
        clusters = [list(summary.cluster) for summary in summaries]
        together = cohesion(similarity, cluster_labels(summaries, len(regions)), owner)
        return together, _measure_stability(context, similarity, owner, clusters)

    return Grouped(
        regions=regions,
        summaries=summaries,
        descriptors=np.zeros((len(regions), 0), np.float32),  # regions are compared pair by pair
        similarity=similarity,
        clusters=len(groups.exemplars),
        figures=figures,
        chance=lambda: _chance(context, features, evidence, regions, similarity),
    )


#: Similarity of regions, their images, the regions of each cluster, and the number of a resampling.
StabilityItem = tuple[NDArray[np.float32], list[int], list[list[int]], int]


def _stability(shared: Shared, items: Sequence[StabilityItem]) -> Iterable[Content]:
    for similarity, owner, clusters, number in items:
        settings = shared.settings.clusters
        yield {"jaccard": resample(similarity, owner, clusters, settings, number=number, random_state=shared.random_state)}


#: A few resamplings at a time: they have their similarities in common, which so are sent once.
STABILITY = Stage("stability", 3, _stability, settings=lambda s: asdict(s.clusters), network=False, group=5)


def _measure_stability(
    context: Context, similarity: NDArray[np.float32], owner: list[int], clusters: list[list[int]]
) -> NDArray[np.float64]:
    """Measure the stability of each cluster; a piece for each resampling, which draws by itself."""
    item = (similarity, owner, clusters)
    count = context.settings.analyses.resamplings
    content = digest(list(item))
    records = context.map(STABILITY, ([content, number] for number in range(count)), lambda number: (*item, number))
    return mean_jaccard(np.array([record["jaccard"] for record in records]).reshape(count, len(clusters)))


#: Images to look at with their features and evidence, the images of the regions in them, and the similarity of these.
ChanceItem = tuple[list[Features], list[Pixels], list[int], NDArray[np.float32]]


def _chances(shared: Shared, items: Sequence[ChanceItem]) -> Iterable[Content]:
    for features, evidence, owner, similarity in items:
        chance = measure_chance(features, evidence, owner, similarity, shared.settings, random_state=shared.random_state)
        yield dict(vars(chance))


def _chance_settings(settings: Settings) -> Any:
    return [asdict(settings.regions), asdict(settings.flow), asdict(settings.clusters), settings.analyses.chance]


CHANCE = Stage("chance", 3, _chances, settings=_chance_settings)


def _chance(
    context: Context,
    features: Described,
    evidence: Sequence[Pixels],
    regions: Sequence[Region],
    similarity: NDArray[np.float32],
) -> Chance:
    """Compare a few of the run's images with moved masks; one piece."""
    chosen = some_images(len(evidence), context.settings.analyses.chance_images, context.random_state)
    place = {image: position for position, image in enumerate(chosen)}
    mine = [region.index for region in regions if region.image in place]
    owner = [place[regions[index].image] for index in mine]
    masks, own = [evidence[k] for k in chosen], similarity[np.ix_(mine, mine)]
    inputs = [[features.boxes[k] for k in chosen], masks, owner, own]
    # Images are described only if there is no piece.
    return Chance(**context.map(CHANCE, [inputs], lambda _: ([features[k] for k in chosen], masks, owner, own))[0])
