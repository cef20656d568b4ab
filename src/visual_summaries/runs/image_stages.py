"""The stages of a run that look at one image at a time: masks, faithfulness, components, proposals, descriptors."""

from __future__ import annotations

import logging
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from visual_summaries._batches import even_batch
from visual_summaries.classifiers import Classifier
from visual_summaries.engines import Handle
from visual_summaries.files.arrays import pack, unpack
from visual_summaries.flow import Features, FlowSettings, describe
from visual_summaries.flow.features import mirrored_boxes
from visual_summaries.masks.faithfulness import measure_faithfulness
from visual_summaries.masks.given import Map, masks_of_maps
from visual_summaries.masks.gradients import fast_float32
from visual_summaries.masks.network import Network
from visual_summaries.masks.optimize import solve_group
from visual_summaries.masks.plan import MaskPlan, make_network, plan_masks
from visual_summaries.masks.scorer import Scorer
from visual_summaries.regions import connected_components, hidden_scores
from visual_summaries.regions.proposals import propose_all
from visual_summaries.results import Box, Component, EvidenceInfo, Faithfulness, Image, Mask
from visual_summaries.runs.given import GivenMaps
from visual_summaries.runs.manifest import Stopwatch
from visual_summaries.runs.pieces import Content
from visual_summaries.runs.reading import view_sha256
from visual_summaries.runs.stages import Context, Prepared, Shared, Stage, without_batch_size
from visual_summaries.settings import Settings
from visual_summaries.settings.masks import infills_of

logger = logging.getLogger("visual_summaries")

View = NDArray[np.uint8]
Pixels = NDArray[np.bool_]

_CURVES = tuple(f.name for f in fields(Faithfulness))

#: Images that decide which infills a run has.
_INFILL_IMAGES = 8

#: Bytes of descriptors that are held in memory; others are read again when they are needed.
_HELD = 2**29


def _plan(shared: Shared, views: Sequence[View]) -> Iterable[Content]:
    return [asdict(plan_masks(shared.classifier, view, shared.target, shared.settings.masks)) for view in views]


def _masks(shared: Shared, items: Sequence[tuple[View, MaskPlan]]) -> Iterable[Content]:
    first, plan = items[0]

    def network() -> Network:
        with torch.no_grad(), shared.classifier.frozen():
            image = shared.classifier.to_tensor([first]).clone()
            return make_network(shared.classifier, shared.target, shared.settings.masks, image, plan)

    ready = shared.once(f"masks {plan}", network)
    masks = solve_group(ready, [view for view, _ in items], shared.random_state)
    # The batch that fitted into the memory: a smaller one than planned can change the last digits.
    return [{**{name: v for name, v in vars(mask).items() if v is not None}, "batch": ready.chunk} for mask in masks]


PLAN = Stage("plan", 3, _plan, settings=without_batch_size)
MASKS = Stage("masks", 7, _masks, settings=without_batch_size, together=True)


def compute_masks(context: Context, images: Sequence[Image]) -> list[Mask]:
    """Optimize the evidence mask of each image; a batch is a piece, in which each image has its record."""
    asked = context.settings.masks.batch_size
    found = context.piece(PLAN, str(context.classifier.device), images[0].view)
    plan = replace(MaskPlan(**found), batch_size=even_batch(len(images), found["batch_size"]) if asked is None else asked)
    stage = replace(MASKS, group=plan.batch_size)
    inputs = (view_sha256(image.view) for image in images)
    records = context.map(stage, inputs, lambda i: (images[i].view, plan))
    context.notes["mask_gradients"] = plan.in_words()
    context.notes["batch_size"] = {"planned": plan.batch_size, "smallest": min(record["batch"] for record in records)}
    return [Mask(**{"superpixel": None, **{k: v for k, v in record.items() if k != "batch"}}) for record in records]


def _given(shared: Shared, items: Sequence[tuple[View, Map]]) -> Iterable[Content]:
    views, maps = zip(*items, strict=True)
    made = masks_of_maps(scorer(shared, views[0]), views, maps, shared.settings.evidence)
    return [{**{name: value for name, value in vars(mask).items() if value is not None}, "way": way} for mask, way in made]


GIVEN = Stage(
    "given", 1, _given, settings=lambda s: [infill_settings(s), asdict(s.evidence)], group=16, together=True, progress="masks"
)


def make_given_masks(context: Context, images: Sequence[Image], given: GivenMaps) -> list[Mask]:
    """Return the mask of each image from the map that was given for it, and note whose evidence it is."""
    maps = [given.maps[image.name] for image in images]
    inputs = ([view_sha256(image.view), own] for image, own in zip(images, maps, strict=True))
    records = context.map(GIVEN, inputs, lambda i: (images[i].view, maps[i]))
    ways = dict(Counter(record["way"] for record in records))
    context.notes["evidence"] = EvidenceInfo(given.source, **asdict(context.settings.evidence), ways=ways, unused=given.unused)
    return [Mask(**{"superpixel": None, **{k: v for k, v in record.items() if k != "way"}}) for record in records]


def scorer(shared: Shared, view: View) -> Scorer:
    """Return what computes scores: the classifier's answers, faster where it has convolutions."""
    network = shared.once("float32 scores", lambda: fast_float32(shared.classifier, view))
    return Scorer(network, shared.target, shared.settings.masks)


def _infills(shared: Shared, items: Sequence[Sequence[View]]) -> Iterable[Content]:
    for views in items:
        infills, left = scorer(shared, views[0]).effective_infills(views)
        yield {"infills": list(infills), "left": left}


def infill_settings(settings: Settings) -> Any:
    """Return the settings that say what hidden pixels show."""
    return [settings.masks.infill, settings.masks.blur_size, settings.masks.blur_sigma]


def _faithfulness(shared: Shared, items: Sequence[tuple[View, Mask]]) -> Iterable[Content]:
    for view, mask in items:
        steps = shared.settings.analyses.curve_steps
        measured = measure_faithfulness(scorer(shared, view), [view], [mask], steps=steps, random_state=shared.random_state)
        yield {name: getattr(measured, name) for name in _CURVES}


INFILLS = Stage("infills", 2, _infills, settings=infill_settings, progress="")
FAITHFULNESS = Stage("faithfulness", 4, _faithfulness, settings=lambda s: [infill_settings(s), s.analyses.curve_steps])


def choose_infills(context: Context, images: Sequence[Image]) -> Context:
    """Return the context of the run's own infills: those that leave too much of the score are left out, and noted."""
    masks, target = context.settings.masks, context.shared.target
    # Of a function or a logit, which may be negative, a share says nothing.
    if len(infills_of(masks.infill)) == 1 or target.index is None or target.kind == "logit":
        return context
    sample = images[:: -(-len(images) // _INFILL_IMAGES)]
    views = [image.view for image in sample]
    found = context.map(INFILLS, [[view_sha256(view) for view in views]], lambda i: views)[0]
    context.notes["left_when_hidden"] = found["left"]
    if len(found["infills"]) == len(infills_of(masks.infill)):
        return context
    logger.info("hiding by %s: the other infills leave too much of the score", ", ".join(found["infills"]))
    settings = replace(context.settings, masks=replace(masks, infill="+".join(found["infills"])))
    return replace(context, shared=replace(context.shared, settings=settings))


def compute_faithfulness(context: Context, images: Sequence[Image], masks: Sequence[Mask]) -> Faithfulness:
    """Measure how the class score follows the masks, an image at a time."""
    inputs = ([view_sha256(i.view), m.final, m.smooth, m.score_before] for i, m in zip(images, masks, strict=True))
    parts = context.map(FAITHFULNESS, inputs, lambda i: (images[i].view, masks[i]))
    return Faithfulness(**{name: np.concatenate([part[name] for part in parts]) for name in _CURVES})


def _components(shared: Shared, items: Sequence[tuple[View, float, Mask]]) -> Iterable[Content]:
    settings = shared.settings.regions
    parts = [connected_components(mask.final, settings.threshold, settings.min_component_area) for _, _, mask in items]
    measured = contributions(shared, [(view, score, found) for (view, score, _), found in zip(items, parts, strict=True)])
    for found, alone in zip(parts, measured, strict=True):
        order = sorted(range(len(found)), key=lambda k: -alone[k][0])
        yield {
            "boxes": [list(found[k][0]) for k in order],
            **pack("pixels", [found[k][1] for k in order], 2, bool),
            "alone": [list(alone[k]) for k in order],
        }


COMPONENTS = Stage(
    "components",
    2,
    _components,
    settings=lambda s: [infill_settings(s), s.regions.threshold, s.regions.min_component_area],
    progress="contributions",
)


def find_components(context: Context, images: Sequence[Image], masks: Sequence[Mask]) -> list[Component]:
    """Find the connected regions of each mask; of each image, those that contribute most come first."""
    inputs = ([view_sha256(i.view), i.score, m.final] for i, m in zip(images, masks, strict=True))
    records = context.map(COMPONENTS, inputs, lambda i: (images[i].view, images[i].score, masks[i]))
    return [
        Component(image.index, (x0, y0, x1, y1), np.asarray(pixels, bool), *alone)
        for image, record in zip(images, records, strict=True)
        for (x0, y0, x1, y1), pixels, alone in zip(record["boxes"], unpack("pixels", record), record["alone"], strict=True)
    ]


def contributions(
    shared: Shared, items: Sequence[tuple[View, float, Sequence[tuple[Box, Pixels]]]]
) -> list[list[tuple[float, float]]]:
    """Contribution (1 - score) and drop of each region hidden alone; an item has a view, its score and its regions."""
    views, before, regions = zip(*items, strict=True)
    scores = hidden_scores(scorer(shared, views[0]), views, regions)
    rows = zip(before, scores, strict=True)
    return [[(float(1 - hidden), float((score - hidden) / max(score, 1e-12))) for hidden in own] for score, own in rows]


def _proposals(shared: Shared, items: Sequence[View]) -> Iterable[Content]:
    settings = shared.settings.regions
    for boxes in propose_all(items, settings.boxes, settings.proposals, random_state=shared.random_state):
        yield {"boxes": boxes}


# A few images at a time: they are shared out to threads.
PROPOSALS = Stage(
    "proposals", 2, _proposals, settings=lambda s: [s.regions.proposals, s.regions.boxes], network=False, group=16
)


def compute_proposals(context: Context, images: Sequence[Image]) -> list[NDArray[np.int32]]:
    """Propose boxes for each image."""
    records = context.map(PROPOSALS, (view_sha256(image.view) for image in images), lambda i: images[i].view)
    return [record["boxes"] for record in records]


def joined_boxes(first: ArrayLike, more: Iterable[Box]) -> NDArray[np.int32]:
    """Return boxes (n, 4) with more behind them: those that are not among the first, none twice.

    Examples
    --------
    >>> joined_boxes([(0, 0, 2, 2)], [(1, 1, 3, 3), (0, 0, 2, 2), (1, 1, 3, 3)]).tolist()
    [[0, 0, 2, 2], [1, 1, 3, 3]]
    """
    given = np.asarray(first, np.int32).reshape(-1, 4)
    known = set(map(tuple, given.tolist()))
    fresh = [box for box in dict.fromkeys(more) if box not in known]
    return np.concatenate([given, np.array(fresh, np.int32).reshape(-1, 4)])


def describe_view(view: View, boxes: ArrayLike, settings: FlowSettings, classifier: Classifier) -> Features:
    """Describe boxes as the settings ask for it: by which descriptor, and whether turned left to right as well."""
    return describe(view, boxes, settings.descriptor, classifier=classifier, mirrored=settings.mirror)


def _descriptors(shared: Shared, items: Sequence[tuple[View, NDArray[np.int32]]]) -> Iterable[Content]:
    for view, boxes in items:
        found = describe_view(view, boxes, shared.settings.flow, shared.classifier)
        mirrored = {} if found.mirrored is None else {"mirrored": found.mirrored.descriptors.cpu().numpy()}
        yield {
            **mirrored,
            "descriptors": found.descriptors.cpu().numpy(),
            "power": found.power,
            "device": str(found.descriptors.device),
        }


#: The largest pieces by far: deleted when the run is complete, because what is made of them is kept.
DESCRIPTORS = Stage("descriptors", 3, _descriptors, settings=lambda s: [s.flow.descriptor, s.flow.mirror], compress=False)


class Described(Prepared[Features]):
    """The features of each image's boxes (n, 4), held in memory as far as a limit in bytes allows.

    Those of a run that has no directory are in memory all the same.
    """

    def __init__(
        self,
        context: Context,
        images: Sequence[Image],
        boxes: Sequence[NDArray[np.int32]],
        watch: Stopwatch,
        held: int = _HELD,
    ) -> None:
        inputs = [[view_sha256(image.view), own] for image, own in zip(images, boxes, strict=True)]
        super().__init__(
            context, DESCRIPTORS, inputs, lambda k: (images[k].view, boxes[k]), partial(watch.stage, "descriptors")
        )
        self._images, self.boxes = images, boxes
        self._limit, self._bytes = held, 0
        self._held: OrderedDict[int, Handle[Features]] = OrderedDict()

    def at(self, position: int) -> Features:
        """Return the features of an image."""
        return self.handle(position).get()

    def handle(self, position: int) -> Handle[Features]:
        """Return the features of an image for work items to hold: the same for all, as long as it is held."""
        if position in self._held:
            self._held.move_to_end(position)
            return self._held[position]
        record = self.record(position)
        view = self._images[position].view
        descriptors = torch.from_numpy(record["descriptors"]).to(record["device"])
        size, power = (view.shape[0], view.shape[1]), record["power"]
        mirrored = None
        if "mirrored" in record:
            turned = torch.from_numpy(record["mirrored"]).to(record["device"])
            mirrored = Features(mirrored_boxes(self.boxes[position], size[1]), turned, size, power)
        features = Features(self.boxes[position], descriptors, size, power, mirrored)
        self._held[position] = handle = Handle(features)
        self._bytes += _bytes(features)
        while self._bytes > self._limit and len(self._held) > 1:
            self._bytes -= _bytes(self._held.popitem(last=False)[1].value)
        return handle


def _bytes(features: Features) -> int:
    """Bytes of all descriptors."""
    return features.descriptors.nbytes + (0 if features.mirrored is None else features.mirrored.descriptors.nbytes)
