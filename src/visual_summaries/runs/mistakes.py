"""Images that the network gets wrong, and which summaries of the run are in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from visual_summaries.analyses.chance import some_images
from visual_summaries.engines import Handle
from visual_summaries.parts import describe_cells, label_pixels
from visual_summaries.parts.cells import Cells, grid_of
from visual_summaries.parts.looks import look_distances, look_reach
from visual_summaries.results import Image, Mistake, Parts, Region, Summary, label_map, owned_by_summaries
from visual_summaries.runs.dividing import part_settings
from visual_summaries.runs.image_stages import View
from visual_summaries.runs.pieces import Content, digest
from visual_summaries.runs.reading import MOST_MISSED, view_sha256
from visual_summaries.runs.stages import Context, Shared, Stage

#: Images of the run that say what a summary looks like, at most.
_REFERENCES = 16


def _looks(shared: Shared, items: Sequence[tuple[View, int, Handle[Parts]]]) -> Iterable[Content]:
    for view, position, sent in items:
        whole = np.ones(view.shape[:2], bool)
        cells = describe_cells(view, whole, shared.classifier, part_settings(shared.settings).cells)
        yield {"distances": look_distances(sent.get(), cells, position)}


#: How much each cell of a whole image looks like each part.
LOOKS = Stage("looks", 1, _looks, settings=lambda s: part_settings(s).cells, progress="mistakes")


def find_mistakes(
    context: Context,
    images: Sequence[Image],
    regions: Sequence[Region],
    summaries: Sequence[Summary],
    parts: Parts | None,
    missed: Sequence[Image],
    others: Sequence[Image] = (),
) -> tuple[Mistake, ...]:
    """Return the images that the network gets wrong, with how much of each summary is in them.

    The evidence of an image that the network takes for another class says little about this one. So the whole image is looked
    at: each pixel is of the part that it looks most like, if it looks as much like it as most of the part's own pixels do in
    the run's images. What is compared is the area, with that in the run's images that have the summary, found alike.

    Parameters
    ----------
    context : Context
    images, regions, summaries, parts
        Of the run; without parts (preset ``"paper"``) nothing is returned.
    missed : sequence of Image
        Images of the class that the network takes for another.
    others : sequence of Image
        Of other classes; those that the network takes for this one count, at most twelve.

    Returns
    -------
    tuple of Mistake
        Those of the class first.
    """
    index = context.target.index
    taken = [image for image in others if context.target.hit(image.score, image.predicted)][:MOST_MISSED]
    wrong = [(image, "missed") for image in missed] + [(image, "taken") for image in taken]
    if parts is None or index is None or not wrong or not summaries:
        return ()
    own = [images[k] for k in some_images(len(images), _REFERENCES, context.random_state)]
    places = {view_sha256(image.view): image.origin for image in images}  # an image's own cells do not vouch for it
    asked = [image.view for image in (*own, *(image for image, _ in wrong))]
    names = [view_sha256(view) for view in asked]
    sent, known = Handle(parts), digest([parts.mean, parts.directions, parts.references, parts.reference_images, parts.centers])
    inputs = ([known, parts.neighbors, name, places.get(name, -1)] for name in names)
    records = context.map(LOOKS, inputs, lambda k: (asked[k], places.get(names[k], -1), sent))
    distances = [record["distances"] for record in records]
    shape = (asked[0].shape[0], asked[0].shape[1])
    grid = grid_of(shape, part_settings(context.settings).cells)

    part_of = np.array([*(summary.part for summary in summaries), -1])  # the last for no summary
    summary_of = np.full(parts.count + 1, -1, np.int16)
    summary_of[part_of[:-1]] = np.arange(len(summaries))
    labels = [label_map(owned_by_summaries(summaries, regions, image.index), shape) for image in own]
    reach = look_reach(distances[: len(own)], [part_of[one] for one in labels], grid)
    whole = np.ones(shape, bool)
    alike = [summary_of[label_pixels(away, _cells(grid), whole, reach)] for away in distances]
    areas = np.array([[(one == k).mean() for k in range(len(summaries))] for one in alike])
    has = [[position for position, one in enumerate(labels) if (one == k).any()] for k in range(len(summaries))]
    usual = [float(np.median(areas[having, k])) if having else 0.0 for k, having in enumerate(has)]
    strengths = (areas / np.maximum(usual, 1 / (grid[0] * grid[1]))).astype(np.float32)  # a cell at least
    return tuple(
        Mistake(image.name, kind, image.view, image.score, context.classifier.class_names[image.predicted], strength, found)
        for (image, kind), strength, found in zip(wrong, strengths[len(own) :], alike[len(own) :], strict=True)
    )


def _cells(grid: tuple[int, int]) -> Cells:
    """All cells of an image, as far as labels of pixels need them."""
    count = grid[0] * grid[1]
    none = np.zeros((count, 0), np.float32)
    return Cells(grid, np.arange(count, dtype=np.int32), np.ones(count, np.float32), none, none, none)
