"""What a run is asked about shortcuts once its summaries are ranked: places, cues, changes, mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from visual_summaries.parts.summaries import SummarySet
from visual_summaries.results import Image, RunAnalysis, Skipped
from visual_summaries.runs.analyzing import Grouped
from visual_summaries.runs.cues import measure_changes, measure_cues
from visual_summaries.runs.image_stages import Pixels
from visual_summaries.runs.manifest import Stopwatch
from visual_summaries.runs.mistakes import find_mistakes
from visual_summaries.runs.objects_file import Objects, read_objects
from visual_summaries.runs.others import read_others
from visual_summaries.runs.placing import measure_places
from visual_summaries.runs.reading import ImageSet, ImageSources
from visual_summaries.runs.stages import Context


@dataclass(frozen=True)
class Beside:
    """What is given beside the images of the class: images of other classes, and where the object is."""

    others: tuple[Image, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    objects: Objects | None = None


def read_beside(
    context: Context, images: Sequence[Image], own: ImageSources, others: ImageSources | None, objects: str | Path | None
) -> Beside:
    """Read it, before anything expensive starts; `own` is what `images` were read from.

    Raises
    ------
    NoImagesError, SettingsError
        If what is given cannot be used.
    """
    found, skipped = ((), ()) if others is None else read_others(context, others, images, own)
    name = context.target.name
    known = None if objects is None else read_objects(objects, images, context.classifier.transform, name)
    return Beside(found, skipped, known)


def measure_shortcuts(
    context: Context,
    watch: Stopwatch,
    read: ImageSet,
    evidence: Sequence[Pixels],
    grouped: Grouped,
    summaries: SummarySet,
    analysis: RunAnalysis,
    beside: Beside,
) -> RunAnalysis:
    """Return the analysis with what tells a shortcut."""
    images, regions, kept = read.images, grouped.regions, summaries.kept
    with watch.stage("places"):
        places = measure_places(context, images, regions, kept, beside.objects)
    with watch.stage("cues"):
        cues = measure_cues(context, images, evidence, regions, kept, beside.others)
    with watch.stage("changes"):
        changes = measure_changes(context, images, beside.others)
    with watch.stage("mistakes"):
        mistakes = find_mistakes(context, images, regions, kept, grouped.parts, read.missed, beside.others)
    return replace(analysis, places=places, cues=cues, changes=changes, mistakes=mistakes)
