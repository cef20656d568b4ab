"""The stages that ask what a summary does alone, and what changes of the whole image do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from visual_summaries.analyses.chance import some_images
from visual_summaries.analyses.changes import USUAL_TONE, Answers, Tone, ask_changes, join_changes, tone_of
from visual_summaries.analyses.cues import hits_without, measure_cue
from visual_summaries.analyses.importance import summary_pixels
from visual_summaries.results import Change, Cue, Image, Region, Summary
from visual_summaries.runs.analyzing import own_of
from visual_summaries.runs.image_stages import Pixels, View, infill_settings, scorer
from visual_summaries.runs.packed import join_results, split_results
from visual_summaries.runs.pieces import Content
from visual_summaries.runs.reading import view_sha256
from visual_summaries.runs.stages import Context, Shared, Stage


def _pixels(image: Image, regions: Sequence[Region], summaries: Sequence[Summary]) -> dict[int, Pixels]:
    return summary_pixels(summaries, regions, image.index, (image.view.shape[0], image.view.shape[1]))


def _without(shared: Shared, items: Sequence[tuple[Image, list[Region], list[Summary]]]) -> Iterable[Content]:
    for image, regions, summaries in items:
        pixels = _pixels(image, regions, summaries)
        hits = hits_without(scorer(shared, image.view), image, list(pixels.values())) if pixels else np.zeros(1, bool)
        yield {"summaries": list(pixels), "hits": hits}


#: Which images of the class are still taken for it with each of their summaries hidden.
WITHOUT = Stage("without", 1, _without, settings=infill_settings, progress="cues")


def _cues(
    shared: Shared, items: Sequence[tuple[Sequence[Image], Sequence[Pixels], Sequence[Pixels], Sequence[Image]]]
) -> Iterable[Content]:
    for images, pixels, evidence, others in items:
        network = scorer(shared, images[0].view)
        settings = shared.settings.analyses
        found = measure_cue(network, images, pixels, evidence, others, settings, random_state=shared.random_state)
        plain, arrays = split_results("cues", [found])
        yield {"plain": plain, **arrays}


CUES = Stage("cues", 2, _cues, settings=lambda s: [infill_settings(s), s.analyses.cues, s.analyses.bootstrap])


def measure_cues(
    context: Context,
    images: Sequence[Image],
    evidence: Sequence[Pixels],
    regions: Sequence[Region],
    summaries: Sequence[Summary],
    others: Sequence[Image] = (),
) -> tuple[Cue, ...]:
    """Measure what each summary does alone, on images of other classes if there are any, and the class without it.

    Empty where the settings leave it out. A summary is tried in at most ``AnalysisSettings.cues`` of its images, drawn by the
    seed; accuracies are of all of them.
    """
    most = context.settings.analyses.cues
    if not most:
        return ()
    own = [own_of(image, regions, summaries) for image in images]
    inputs = (
        [view_sha256(image.view), [[list(r.box), r.mask] for r in mine], [list(s.cluster) for s in parts]]
        for image, (mine, parts) in zip(images, own, strict=True)
    )
    records = context.map(WITHOUT, inputs, lambda k: (images[k], *own[k]))
    hits = [
        [(k, *record["hits"][[0, place]]) for k, record in enumerate(records) for place in _places(record, summary)]
        for summary in range(len(summaries))
    ]  # of each summary: image, whether it is a hit, whether it is without the summary
    grounds = [others[k] for k in np.random.default_rng(context.random_state).permutation(len(others))[:most]]
    chosen = [[rows[k][0] for k in some_images(len(rows), most, context.random_state)] for rows in hits]
    asked = [summary for summary, places in enumerate(chosen) if places]

    def item(place: int) -> tuple[list[Image], list[Pixels], list[Pixels], list[Image]]:
        places = chosen[asked[place]]
        pixels = [_pixels(images[k], regions, summaries)[asked[place]] for k in places]
        return [images[k] for k in places], pixels, [evidence[k] for k in places], grounds

    with_pixels = (
        [[[view_sha256(images[k].view), images[k].origin] for k in chosen[summary]], *item(place)[1:3], _named(grounds)]
        for place, summary in enumerate(asked)
    )
    found = context.map(CUES, with_pixels, item)
    cues = [_nothing(bool(others))] * len(summaries)
    for summary, record in zip(asked, found, strict=True):
        (cue,) = join_results(Cue, "cues", record["plain"], record)
        before, after = np.array([row[1:] for row in hits[summary]]).mean(axis=0).tolist()
        cues[summary] = replace(cue, accuracy=after, accuracy_before=before)
    return tuple(cues)


def _places(record: Content, summary: int) -> list[int]:
    return [place for place, one in enumerate(record["summaries"], 1) if one == summary]


def _named(images: Sequence[Image]) -> list[list[object]]:
    return [[view_sha256(image.view), image.score, image.predicted, image.origin] for image in images]


def _nothing(others: bool) -> Cue:
    """Return what is known of a summary whose pixels all count for others."""
    none, unknown = np.zeros(0, np.float32), float("nan")
    return Cue("others" if others else "neutral", none, none, (unknown, unknown), *(unknown,) * 4)


def _changes(shared: Shared, items: Sequence[tuple[View, Tone, int | None, tuple[Tone, View] | None]]) -> Iterable[Content]:
    for item in items:
        yield ask_changes(scorer(shared, item[0]).classifier, shared.target, *item)._asdict()


CHANGES = Stage("changes", 4, _changes)


def measure_changes(context: Context, images: Sequence[Image], others: Sequence[Image] = ()) -> tuple[Change, ...]:
    """Measure what changes of the whole image do to some images of the class, and to some of other classes.

    At most ``AnalysisSettings.changes`` of each; empty where that is 0.
    """
    most, seed = context.settings.analyses.changes, context.random_state
    if not most:
        return ()
    usual = tone_of([image.view for image in others]) if others else USUAL_TONE
    of_class = tone_of([image.view for image in images])
    own, foreign = ([side[k] for k in some_images(len(side), most, seed)] for side in (images, others))
    asked: list[tuple[View, Tone, int | None, tuple[Tone, View] | None]] = [(image.view, usual, None, None) for image in own]
    rims = [own[k % len(own)].view for k in range(len(foreign))]
    asked += [(one.view, usual, one.predicted, (of_class, rim)) for one, rim in zip(foreign, rims, strict=True)]
    inputs = (
        [view_sha256(view), usual, label, None if added is None else [added[0], view_sha256(added[1])]]
        for view, usual, label, added in asked
    )
    found = [Answers(**record) for record in context.map(CHANGES, inputs, asked.__getitem__)]
    origins, other_origins = ([image.origin for image in side] for side in (own, foreign))
    return join_changes(found[: len(own)], found[len(own) :], origins, other_origins, context.settings.analyses, seed)
