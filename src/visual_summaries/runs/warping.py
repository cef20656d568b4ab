"""The stage of a run that warps the members of a group to its exemplar by semantic flow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from visual_summaries.engines import Handle
from visual_summaries.files.arrays import pack, unpack
from visual_summaries.flow import Features, FlowSettings, dense_flow, facing, match, warp
from visual_summaries.results import Box, Image, Region
from visual_summaries.runs.image_stages import Described, View
from visual_summaries.runs.pieces import Content
from visual_summaries.runs.reading import view_sha256
from visual_summaries.runs.stages import Context, Records, Shared, Stage

#: An exemplar and members with the features and views of their images, that of the exemplar first.
WarpItem = tuple[list[Region], list[Handle[Features]], list[View]]


def _warped(shared: Shared, items: Sequence[WarpItem]) -> Iterable[Content]:
    for regions, handles, views in items:
        exemplar = handles[0].get()
        found = [
            warp_member(regions[0], region, (exemplar, handle.get()), (views[0], view), shared.settings.flow)
            for region, handle, view in zip(regions, handles, views, strict=True)
        ]
        crops, confidences = zip(*found, strict=True)
        yield {**pack("warped", crops, 3, np.uint8), "confidences": np.array(confidences, np.float64)}


WARPS = Stage("warps", 3, _warped, settings=lambda s: asdict(s.flow), progress="summaries")


@dataclass(frozen=True)
class Warped:
    """The members of each group, warped into the box of its exemplar; one piece a group."""

    records: Records

    def crops(self, group: int) -> list[View]:
        """Return the image of each member of a group, warped and cut out at the exemplar's box, ``uint8 (h, w, 3)``."""
        return [np.asarray(crop, np.uint8) for crop in unpack("warped", self.records[group])]

    def confidences(self, group: int) -> NDArray[np.float64]:
        """Return the confidence of the match of each member's box with the exemplar's; 0 for the exemplar itself."""
        return np.asarray(self.records[group]["confidences"], np.float64)


def warp_groups(
    context: Context, images: Sequence[Image], features: Described, regions: Sequence[Region], chosen: Sequence[list[int]]
) -> Warped:
    """Warp the members of each group, chosen with its exemplar first, into the box of the exemplar.

    The boxes of all members are among those of the features.
    """
    inputs = [
        [[view_sha256(images[r.image].view), features.boxes[r.image], list(r.box)] for r in (regions[m] for m in members)]
        for members in chosen
    ]
    needed = context.missing(WARPS, inputs)
    features.prepare(regions[member].image for k in needed for member in chosen[k])

    def item(position: int) -> WarpItem:
        own = [regions[member] for member in chosen[position]]
        return own, [features.handle(region.image) for region in own], [images[region.image].view for region in own]

    return Warped(context.each(WARPS, inputs, item))


def warp_member(
    exemplar: Region,
    member: Region,
    features: tuple[Features, Features],
    views: tuple[View, View],
    settings: FlowSettings,
) -> tuple[View, float]:
    """Return a member's image warped by dense flow to the exemplar's, and how well their boxes match.

    Features and views are those of the exemplar's image and the member's; both regions' boxes are among their features'. The
    crop (h, w, 3) is at the exemplar's box, the confidence 0 in the exemplar's own image. Where the settings ask for it, the
    member's image is turned left to right when it looks more like the exemplar's so.
    """
    x0, y0, x1, y1 = exemplar.box
    if member.image == exemplar.image:
        return np.ascontiguousarray(views[0][y0:y1, x0:x1]), 0.0
    a, b = features
    other, place = views[1], _place(b, member.box)
    if settings.mirror and (side := facing(a, b, settings.max_aspect_ratio, settings.border)) is not b:
        b, other = side, np.ascontiguousarray(other[:, ::-1])  # boxes of both sides are in the same order
    confidences = match(a, b, settings.method, max_aspect_ratio=settings.max_aspect_ratio, border=settings.border)
    flow = dense_flow(a, b, confidences, guide=views[0], assignment=settings.assignment)
    return warp(other, flow, exemplar.box), float(confidences[_place(a, exemplar.box), place])


def _place(features: Features, box: Box) -> int:
    """Return the position of a box among those of an image."""
    return int(np.flatnonzero((features.boxes == np.array(box)).all(axis=1))[0])
