"""The stages of a run that say where its summaries lie."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from visual_summaries.analyses.importance import summary_pixels
from visual_summaries.analyses.objects import CELLS, Looks, estimate_object, learn_looks, objectness, project
from visual_summaries.analyses.places import measure_place
from visual_summaries.engines import Handle
from visual_summaries.parts import grid_features, grid_of
from visual_summaries.results import Image, Region, Summary
from visual_summaries.results.shortcuts import Place
from visual_summaries.runs.image_stages import View
from visual_summaries.runs.objects_file import Objects
from visual_summaries.runs.pieces import Content
from visual_summaries.runs.reading import view_sha256
from visual_summaries.runs.stages import Context, Shared, Stage


def _looks(shared: Shared, items: Sequence[View]) -> Iterable[Content]:
    for view in items:
        grid = grid_of(view.shape[:2], CELLS)
        yield {"looks": project(grid_features(view, shared.classifier, grid)), "grid": list(grid)}


#: How the cells of the whole image look, with evidence or without.
LOOKS = Stage("object-looks", 1, _looks, progress="places")


def _objects(shared: Shared, items: Sequence[tuple[tuple[int, int], Content, int, Handle[Looks]]]) -> Iterable[Content]:
    for shape, record, origin, sent in items:
        found = objectness(record["looks"], tuple(record["grid"]), sent.get(), origin)
        yield {"object": estimate_object(found, shape)}


OBJECTS = Stage("objects", 1, _objects, network=False, progress="places")


def estimate_objects(context: Context, images: Sequence[Image]) -> list[NDArray[np.bool_]]:
    """Return where the object is in each image (H, W), as far as the images together tell."""
    inputs = [view_sha256(image.view) for image in images]
    records = context.map(LOOKS, inputs, lambda k: images[k].view)
    origins = [image.origin for image in images]
    known = learn_looks([r["looks"] for r in records], [tuple(r["grid"]) for r in records], origins, context.random_state)
    whole = [[context.key(LOOKS, one) for one in inputs], origins]
    sent = Handle(known)
    each = ([whole, place] for place in range(len(images)))
    found = context.map(OBJECTS, each, lambda k: (images[k].view.shape[:2], records[k], origins[k], sent))
    return [np.asarray(record["object"], bool) for record in found]


def measure_places(
    context: Context,
    images: Sequence[Image],
    regions: Sequence[Region],
    summaries: Sequence[Summary],
    objects: Objects | None = None,
) -> tuple[Place, ...]:
    """Return where each summary lies, in the order of the summaries.

    Parameters
    ----------
    context : Context
    images : sequence of Image
    regions : sequence of Region
    summaries : sequence of Summary
    objects : Objects, optional
        What the user says of the object; images that are not in it count as not known. Estimated unless given.
    """
    if not summaries:
        return ()
    known = estimate_objects(context, images) if objects is None else [objects.masks.get(image.index) for image in images]
    owned = [summary_pixels(summaries, regions, image.index, image.view.shape[:2]) for image in images]
    places = []
    for number in range(len(summaries)):
        rows = [row for row, own in enumerate(owned) if number in own]
        places.append(
            measure_place(
                [owned[row][number] for row in rows],
                [known[row] for row in rows],
                [images[row].index for row in rows],
                [images[row].origin for row in rows],
                known="estimated" if objects is None else objects.known,
                random_state=context.random_state,
            )
        )
    return tuple(places)
