"""The stages of a run that divide its evidence among parts, and make regions and summaries of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from visual_summaries.analyses import measure_part_chance, some_images
from visual_summaries.engines import Handle
from visual_summaries.errors import SettingsError
from visual_summaries.files.arrays import pack, unpack
from visual_summaries.parts import (
    Cells,
    FixedParts,
    PartSettings,
    choose_number,
    describe_cells,
    embed,
    embed_looks,
    find_fixed,
    fixed_pieces,
    grid_features,
    grid_of,
    group,
    join_specks,
    label_pixels,
    learn_embedding,
    pieces,
    resampled_jaccard,
    silhouettes_of_parts,
    squared_distances,
    where_fixed,
    with_centers,
    with_fixed,
)
from visual_summaries.parts.embedding import Sample
from visual_summaries.parts.summaries import SummarySet, choose_typical, exemplar_first, summaries_of_parts
from visual_summaries.results import Box, Chance, Image, PartNumber, Parts, Region, Summary
from visual_summaries.runs.analyzing import Grouped
from visual_summaries.runs.image_stages import Described, Pixels, View, compute_proposals, joined_boxes
from visual_summaries.runs.manifest import Stopwatch
from visual_summaries.runs.packed import join_results, split_results
from visual_summaries.runs.pieces import Content, digest
from visual_summaries.runs.reading import view_sha256
from visual_summaries.runs.similarity import REGIONS, SMALLEST
from visual_summaries.runs.stages import Context, Prepared, Shared, Stage
from visual_summaries.runs.warping import warp_groups
from visual_summaries.settings import Settings


@dataclass(frozen=True, eq=False)
class Division:
    """The evidence of a run, divided."""

    parts: Parts
    regions: list[Region]  # connected pieces of one part in one image
    part_of: NDArray[np.int64]  # of each region (R,)
    descriptors: NDArray[np.float32]  # mean features of each region's cells (R, d), comparable with `parts.centers`
    stability: NDArray[np.float64]  # of each part (K,), as the next; NaN where it was not requested
    cohesion: NDArray[np.float64]


def part_settings(settings: Settings) -> PartSettings:
    """Return the settings of the division, of a run that has one."""
    if settings.parts is None:
        raise SettingsError("these settings group boxes (parts=None), so there are no parts; use those of the preset 'default'")
    return settings.parts


def _fixed(shared: Shared, items: Sequence[Sequence[View]]) -> Iterable[Content]:
    for views in items:
        yield dict(vars(find_fixed(views, shared.random_state)))


FIXED = Stage("fixed", 2, _fixed, network=False, progress="")


def _find_fixed(context: Context, images: Sequence[Image]) -> FixedParts:
    """Find what looks the same in most images; near copies count once."""
    if not part_settings(context.settings).fixed:
        return FixedParts.none()
    views = [image.view for image in images if image.origin == image.index]
    return FixedParts(**context.piece(FIXED, [view_sha256(view) for view in views], views))


def _cells(shared: Shared, items: Sequence[tuple[View, Pixels, NDArray[np.int16]]]) -> Iterable[Content]:
    for view, evidence, fixed in items:
        found = describe_cells(view, evidence, shared.classifier, part_settings(shared.settings).cells, fixed)
        halves = {name: getattr(found, name).astype(np.float16) for name in ("features", "fixed")}
        yield {**vars(found), **halves, "grid": list(found.grid)}


#: Large: deleted when the run is complete, because what is made of them is kept.
CELLS = Stage("cells", 6, _cells, settings=lambda s: part_settings(s).cells, compress=False, progress="parts")


class _CellsOf(Prepared[Cells]):
    """The cells of each image, read from their pieces on demand."""

    def __init__(self, context: Context, images: Sequence[Image], evidence: Sequence[Pixels], fixed: FixedParts) -> None:
        known = digest([fixed.labels, fixed.look])
        inputs = [[view_sha256(image.view), own, known] for image, own in zip(images, evidence, strict=True)]
        super().__init__(
            context,
            CELLS,
            inputs,
            lambda k: (images[k].view, evidence[k], where_fixed(images[k].view, fixed.labels, fixed.look)),
        )
        #: What tells the cells of each image from all others.
        self.names = [context.key(CELLS, one) for one in inputs]

    def at(self, position: int) -> Cells:
        """Return the cells of an image."""
        record = dict(self.record(position))
        rows, columns = record.pop("grid")
        singles = {name: record[name].astype(np.float32) for name in ("features", "fixed")}
        return Cells(grid=(rows, columns), **{**record, **singles})


def find_parts(
    cells: Sequence[Cells],
    settings: Settings,
    random_state: int = 0,
    origins: Sequence[int] | None = None,
    fixed: FixedParts | None = None,
) -> tuple[Parts, dict[str, NDArray[np.float64]]]:
    """Find the parts, and how stable and how compact each is; those of `fixed` come last."""
    found = _divided(cells, settings, random_state, origins)
    return found if fixed is None or not len(fixed.stability) else _add_fixed(*found, cells, fixed)


def _divided(
    cells: Sequence[Cells], settings: Settings, random_state: int, origins: Sequence[int] | None
) -> tuple[Parts, dict[str, NDArray[np.float64]]]:
    wanted = part_settings(settings)
    parts, sample = learn_embedding(cells, wanted, random_state, origins)
    if not len(sample):
        return parts, {"stability": np.zeros(0), "cohesion": np.zeros(0)}
    count, numbers = wanted.count, tuple[PartNumber, ...]()
    if count is None:
        numbers = choose_number(sample, wanted, random_state)
        count = next(one.count for one in numbers if one.chosen)
    parts = replace(with_centers(parts, sample, group(sample, count, random_state)), numbers=numbers)
    resamplings = settings.analyses.resamplings
    stability = resampled_jaccard(sample, parts.centers, resamplings, random_state) if resamplings else None
    return parts, {
        "stability": np.full(parts.count, np.nan) if stability is None else stability,
        "cohesion": silhouettes_of_parts(sample, parts.centers),
    }


def _add_fixed(
    parts: Parts, figures: dict[str, NDArray[np.float64]], cells: Sequence[Cells], fixed: FixedParts
) -> tuple[Parts, dict[str, NDArray[np.float64]]]:
    count = len(fixed.stability)
    looks = [np.stack([c.fixed[k] for c in cells if k < len(c.fixed) and np.isfinite(c.fixed[k, 0])]) for k in range(count)]
    points = [embed_looks(parts, own) for own in looks]
    parts = with_fixed(parts, fixed.labels, fixed.look, points)
    own = np.concatenate(points)
    cohesion = silhouettes_of_parts(Sample(own, np.ones(len(own), np.float32), np.arange(len(own))), parts.centers)[-count:]
    return parts, {
        "stability": np.concatenate([figures["stability"], fixed.stability]),
        "cohesion": np.concatenate([figures["cohesion"], cohesion]),
    }


def _parts(shared: Shared, items: Sequence[tuple[Sequence[Cells], list[int], FixedParts]]) -> Iterable[Content]:
    for cells, origins, fixed in items:
        parts, figures = find_parts(cells, shared.settings, shared.random_state, origins, fixed)
        plain, arrays = split_results("parts", [replace(parts, numbers=())])
        yield {"plain": plain, "numbers": [asdict(one) for one in parts.numbers], **arrays, **figures}


PARTS = Stage(
    "parts", 3, _parts, settings=lambda s: [asdict(part_settings(s)), s.analyses.resamplings], network=False, progress=""
)


def divide_image(
    parts: Parts, cells: Cells, evidence: Pixels, settings: PartSettings, *, position: int = -1, bounded: bool = False
) -> tuple[NDArray[np.float32], list[tuple[int, Box, Pixels]]]:
    """Divide one image's evidence (H, W): its cells as points (n, d + 2), and part, box and pixels of each connected piece.

    The evidence is that beside fixed parts, and none of it is of one. `position` is that of the image in the run, whose own
    cells do not vouch for it; -1 for a new image. Where `bounded`, evidence beyond the reach of its part is of none.
    """
    embedded = embed(parts, cells, position)
    gap = round(settings.gap * min(evidence.shape))
    distances = squared_distances(embedded, parts.centers[: parts.count - parts.fixed_count])
    labels = label_pixels(distances, cells, evidence, parts.reach if bounded else None)
    return embedded, pieces(join_specks(labels, round(settings.min_piece * evidence.size), gap), gap)


def _labels(shared: Shared, items: Sequence[tuple[int, View, Cells, Pixels, Handle[Parts]]]) -> Iterable[Content]:
    for position, view, cells, evidence, sent in items:
        parts = sent.get()
        own, first = where_fixed(view, parts.fixed, parts.look), parts.count - parts.fixed_count
        rest = evidence & (own < 0)
        embedded, found = divide_image(parts, cells, rest, part_settings(shared.settings), position=position)
        fixed = fixed_pieces(own, first)
        points = [cells.mean_over(embedded, box, mask, rest.shape) for _, box, mask in found]
        looks = embed_looks(parts, cells.fixed[[part - first for part, *_ in fixed]])
        found += fixed
        yield {
            "boxes": [list(box) for _, box, _ in found],
            "part": [part for part, _, _ in found],
            **pack("pixels", [mask for *_, mask in found], 2, bool),
            "descriptors": np.concatenate([np.array(points, np.float32).reshape(-1, embedded.shape[1]), looks]),
        }


LABELS = Stage("labels", 3, _labels, settings=lambda s: asdict(part_settings(s)), network=False, progress="parts")


def divide_evidence(context: Context, images: Sequence[Image], evidence: Sequence[Pixels]) -> Division:
    """Divide the evidence of all images among parts: one record an image, and one for the parts."""
    fixed = _find_fixed(context, images)
    cells = _CellsOf(context, images, evidence, fixed)
    names, origins = cells.names, [image.origin for image in images]
    inputs = [names, origins]
    if context.missing(PARTS, [inputs]):
        cells.prepare(range(len(images)))
    found = context.piece(PARTS, inputs, (cells, origins, fixed))
    (parts,) = join_results(Parts, "parts", found["plain"], found)
    parts = replace(parts, numbers=tuple(PartNumber(**one) for one in found["numbers"]))
    sent, whole = Handle(parts), context.key(PARTS, inputs)
    # An image's own cells do not vouch for it, so that its place among the others goes in.
    each = [[whole, origin, name] for origin, name in zip(origins, names, strict=True)]
    cells.prepare(context.missing(LABELS, each))
    rows = context.map(LABELS, each, lambda k: (origins[k], images[k].view, cells[k], evidence[k], sent))
    regions: list[Region] = []
    part_of: list[int] = []
    descriptors = [np.zeros((0, parts.centers.shape[1]), np.float32)]
    for image, record in zip(images, rows, strict=True):
        for (x0, y0, x1, y1), mask in zip(record["boxes"], unpack("pixels", record), strict=True):
            share, unknown = float(mask.mean()), (float("nan"),) * 3
            regions.append(Region(len(regions), image.index, (x0, y0, x1, y1), np.asarray(mask, bool), share, *unknown))
        part_of += record["part"]
        descriptors.append(record["descriptors"])
    return Division(
        parts, regions, np.array(part_of, np.int64), np.concatenate(descriptors), found["stability"], found["cohesion"]
    )


def summarize_parts(
    context: Context, watch: Stopwatch, images: Sequence[Image], division: Division
) -> tuple[list[Region], SummarySet]:
    """Make a summary of each part that is in enough images: its typical regions, in the order of their semantic flow.

    Of the regions that are returned beside them, those that are members have their contributions measured.
    """
    settings = context.settings.summaries
    areas = np.array([int(region.mask.sum()) for region in division.regions], np.int64)
    owner = np.array([images[region.image].origin for region in division.regions], np.int64)  # near copies count as one
    large = np.array([min(region.size) >= SMALLEST for region in division.regions], bool)
    needed = settings.images_needed(len(np.unique(owner)))
    groups: list[tuple[int, list[int], list[int]]] = []
    for part in range(division.parts.count):
        own = np.flatnonzero(division.part_of == part)
        distance = np.sqrt(squared_distances(division.descriptors[own], division.parts.centers[part : part + 1]))[:, 0]
        typical = choose_typical(distance, areas[own], owner[own], large[own], settings.members)
        if len(np.unique(owner[own])) >= needed and len(typical) >= settings.min_members:
            groups.append((part, own.tolist(), own[typical].tolist()))
    members = sorted({r for *_, chosen in groups for r in chosen})
    regions = _measured(context, images, division.regions, members)
    groups = [(part, own, exemplar_first(chosen, [regions[r].drop for r in chosen])) for part, own, chosen in groups]
    more: list[list[Box]] = [[] for _ in images]
    for index in members:
        more[regions[index].image].append(regions[index].box)
    boxes = [joined_boxes(*both) for both in zip(compute_proposals(context, images), more, strict=True)]
    features = Described(context, images, boxes, watch)
    warped = warp_groups(context, images, features, regions, [chosen for *_, chosen in groups])
    exponent = context.settings.flow.exponent
    found = summaries_of_parts(
        [
            (part, own, chosen, warped.confidences(k) ** exponent, warped.crops(k))
            for k, (part, own, chosen) in enumerate(groups)
        ],
        regions,
        settings,
        small=division.parts.count - len(groups),
    )
    return regions, found


def _measured(context: Context, images: Sequence[Image], regions: Sequence[Region], chosen: Sequence[int]) -> list[Region]:
    """Measure what hiding alone does of some regions; of the others it stays unknown (NaN)."""
    by_image: dict[int, list[int]] = {}
    for index in chosen:
        by_image.setdefault(regions[index].image, []).append(index)
    rows = list(by_image.items())
    parts = [[(regions[r].box, regions[r].mask) for r in own] for _, own in rows]
    inputs = (
        [view_sha256(images[k].view), images[k].score, [[list(box), mask] for box, mask in own]]
        for (k, _), own in zip(rows, parts, strict=True)
    )
    records = context.map(REGIONS, inputs, lambda i: (images[rows[i][0]].view, images[rows[i][0]].score, parts[i]))
    measured = list(regions)
    for (_, own), record in zip(rows, records, strict=True):
        for index, (contribution, drop) in zip(own, record["alone"], strict=True):
            measured[index] = replace(regions[index], contribution=contribution, drop=drop)
    return measured


def _part_chance(shared: Shared, items: Sequence[tuple[list[View], list[Pixels], Parts]]) -> Iterable[Content]:
    settings = shared.settings
    for views, masks, parts in items:
        grids = [grid_of(mask.shape, part_settings(settings).cells) for mask in masks]
        features = [grid_features(view, shared.classifier, grid) for view, grid in zip(views, grids, strict=True)]
        draws = settings.analyses.chance
        yield dict(vars(measure_part_chance(features, grids, masks, parts, draws=draws, random_state=shared.random_state)))


PART_CHANCE = Stage("part_chance", 2, _part_chance, settings=lambda s: [asdict(part_settings(s)), s.analyses.chance])


def _chance(context: Context, images: Sequence[Image], evidence: Sequence[Pixels], parts: Parts) -> Chance:
    """Compare a few of the run's images with moved masks; one piece."""
    chosen = some_images(len(images), context.settings.analyses.chance_images, context.random_state)
    views, masks = [images[k].view for k in chosen], [evidence[k] for k in chosen]
    inputs = [digest([parts.mean, parts.directions, parts.centers]), [view_sha256(view) for view in views], masks]
    return Chance(**context.piece(PART_CHANCE, inputs, (views, masks, parts)))


def group_evidence(context: Context, watch: Stopwatch, images: Sequence[Image], evidence: list[Pixels]) -> Grouped:
    """Divide the evidence among parts, and make summaries of them."""
    with watch.stage("parts"):
        division = divide_evidence(context, images, evidence)
    with watch.stage("summaries"):
        regions, summaries = summarize_parts(context, watch, images, division)

    def figures(summaries: Sequence[Summary]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        part = [summary.part for summary in summaries if summary.part is not None]
        return division.cohesion[part], division.stability[part]

    return Grouped(
        regions=regions,
        summaries=summaries,
        descriptors=division.descriptors,
        similarity=np.zeros((0, 0), np.float32),  # no regions are compared pair by pair
        clusters=division.parts.count,
        figures=figures,
        chance=lambda: _chance(context, images, evidence, division.parts),
        parts=division.parts,
    )
