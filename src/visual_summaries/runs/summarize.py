"""From a classifier and images of one class to visual summaries: the whole job."""

from __future__ import annotations

import logging
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from visual_summaries._allocator import freed_memory_kept
from visual_summaries._validate import require_contrib, require_settings
from visual_summaries.classifiers import Classifier, load_classifier, require_explainable, resolve_target
from visual_summaries.engines import Engine, make_engine
from visual_summaries.errors import SettingsError
from visual_summaries.files.journal import JOURNAL, Journal
from visual_summaries.files.lock import locked
from visual_summaries.parts.summaries import SummarySet
from visual_summaries.progress import Progress, shown
from visual_summaries.results import Accuracy, ClassifierInfo, Component, Run, RunInfo, TargetInfo
from visual_summaries.runs.analyzing import analyze_summaries
from visual_summaries.runs.boxes import group_boxes
from visual_summaries.runs.check_file import load_check
from visual_summaries.runs.directory import require_free, save_run
from visual_summaries.runs.dividing import CELLS, group_evidence, part_settings
from visual_summaries.runs.given import GivenMaps, MapSources
from visual_summaries.runs.image_stages import (
    DESCRIPTORS,
    choose_infills,
    compute_faithfulness,
    compute_masks,
    find_components,
    make_given_masks,
)
from visual_summaries.runs.manifest import Stopwatch, hardware, peak_gpu_memory_mib, peak_memory_mib, versions
from visual_summaries.runs.pieces import Pieces
from visual_summaries.runs.reading import ImageSet, ImageSources, read_images
from visual_summaries.runs.shortcuts import measure_shortcuts, read_beside
from visual_summaries.runs.stages import Context, Shared
from visual_summaries.runs.tags_file import load_names
from visual_summaries.settings import Settings
from visual_summaries.settings import preset as named_preset
from visual_summaries.settings.masks import EvidenceSettings

logger = logging.getLogger("visual_summaries")


def summarize(
    classifier: Classifier | torch.nn.Module | str,
    images: ImageSources,
    target: int | str | Any,
    out: str | Path | None = None,
    *,
    preset: str = "default",
    settings: Settings | None = None,
    parts: int | None = None,
    evidence: MapSources | None = None,
    evidence_loss: float | None = None,
    evidence_area: float | None = None,
    others: ImageSources | None = None,
    objects: str | Path | None = None,
    max_images: int | None = None,
    include_misclassified: bool = False,
    batch_size: int | None = None,
    resume: bool = False,
    random_state: int = 0,
    engine: str | Engine = "local",
    progress: Progress | bool | None = None,
) -> Run:
    """Find the parts that a classifier uses again and again for one class.

    Parameters
    ----------
    classifier : Classifier, Module or str
        What to explain; a specification or a module goes through :func:`visual_summaries.load_classifier`.
    images : str, Path, iterable or tensor
        Images of the class: a folder (searched recursively), paths, arrays, or a tensor ``(N, C, H, W)`` in [0, 1]; or what
        looks like a dataset (torch, torchvision, Hugging Face, rows, pairs), of which the images of that label are taken.
    target : int, str or callable
        Index or name of the class, or a function of the outputs ``(N, K) -> (N,)``.
    out : str or Path, optional
        Folder to keep the run in; it must be new or empty, unless `resume` is set. Without it the run is in memory only.
    preset : str
        ``"default"``, ``"quick"`` or ``"paper"``; see :func:`visual_summaries.preset`.
    settings : Settings, optional
        Parameters of every stage, instead of a preset.
    parts : int, optional
        Number of parts that the evidence is divided among; default: it follows from the data. Those that hardly beat their
        control become no summary.
    evidence : str, Path, sequence, dict or callable, optional
        Heat maps or masks instead of masks that the run would find: a folder of PNG (gray) or ``.npy`` files named like the
        images; maps in the order of the images, None where there is none; a dict from names of images, with or without ending,
        to maps; or a function of a view ``(H, W, 3)``. A map is an array or tensor ``(H, W)`` as large as the image, or of the
        view's shape at any size; three channels are summed, and only what is positive counts. Images without one are set aside.
    evidence_loss, evidence_area : float, optional
        Share of the score that hiding a map's evidence takes, or of the view that is evidence: see
        :class:`~visual_summaries.settings.masks.EvidenceSettings`. Give one of them.
    others : str, Path, iterable or tensor, optional
        Images of other classes, given as `images` are; those in a folder named like the class are left out. With them the
        run tests whether a summary alone makes other images look like the class, and what is special to this class.
    objects : str or Path, optional
        Where the object is in the images: a folder of PNG masks named like the images (0 is no object), or a COCO file with
        boxes, polygons or run lengths. Estimated unless given.
    max_images : int, optional
        Explain at most this many images: of more, a random sample that `random_state` and the images' names decide. How many
        there were is ``run.info.counts["sample_of"]``.
    include_misclassified : bool
        Keep images that the network gives another class.
    batch_size : int, optional
        Images that pass the network at a time; found from the free memory unless given. It does not change the result.
    resume : bool
        Continue with an interrupted run in `out`: pieces made from the same inputs are not computed again.
    random_state : int
        Seed of everything that is drawn at random.
    engine : str or Engine
        Where the work is done: ``"local"``, ``"ray"`` or ``"ray://HOST:PORT"``; see
        :func:`visual_summaries.engines.make_engine`. Another engine may continue with what one has begun.
    progress : callable or bool, optional
        Called as ``progress(stage, done, total)``. Unless given, a line for each stage in notebooks and terminals; False: none.

    Returns
    -------
    Run

    Raises
    ------
    SettingsError
        If `settings` are not :class:`~visual_summaries.Settings`, or `evidence` cannot be matched with the images.
    RunError
        If `out` holds a run already (and `resume` is not set), is in use by another process, or cannot be written to.
    ClassifierError, TargetError, NoImagesError
        If the model, the class or the images cannot be used; the message says what to do.
    EngineError, MissingExtraError
        If the cluster that is to do the work cannot be reached, or its library or OpenCV's contrib modules are not installed.
    ConvergenceError
        If clustering does not converge. What was computed before stays in `out`.
    """
    progress = shown(progress)
    require_settings(settings, Settings)
    require_contrib()  # in every preset members are warped by its filter, after masks have been made
    if not isinstance(classifier, Classifier):
        classifier = load_classifier(classifier)
    resolved = resolve_target(classifier, target)
    settings = settings or named_preset(preset)
    if parts is not None:
        part_settings(settings)  # which says so where there are none
        settings = _with_count(settings, parts)
    chosen = {name: own for name, own in (("loss", evidence_loss), ("area", evidence_area)) if own is not None}
    if len(chosen) == 2 or (chosen and evidence is None):
        raise SettingsError("evidence_loss and evidence_area cut heat maps: give one of them, together with evidence")
    settings = replace(settings, evidence=replace(settings.evidence, **chosen))
    if batch_size is not None:
        settings = replace(settings, masks=replace(settings.masks, batch_size=batch_size))
    path = None if out is None else Path(out)
    if path is not None:
        require_free(path, resume)
    # A function cannot be hashed: pieces made for one must not be taken for those of another.
    keep_pieces = path is not None and resolved.index is not None
    journal = Journal(path / JOURNAL if path else None)
    pieces = Pieces(path / "pieces" if path and keep_pieces else None, journal)
    shared = Shared(classifier, resolved, settings, random_state)
    context = Context(shared, pieces, progress, engine=make_engine(engine))
    with ExitStack() as held:
        if path is not None:
            held.enter_context(locked(path, journal))
            require_free(path, resume)  # again: another process may have been here before the lock was ours
        return _explain(
            context,
            images,
            path,
            given=None if evidence is None else GivenMaps(evidence, classifier.transform),
            others=others,
            objects=objects,
            preset=preset,
            max_images=max_images,
            include_misclassified=include_misclassified,
            batch_size=batch_size,
        )


@freed_memory_kept()
def _explain(
    context: Context,
    images: ImageSources,
    path: Path | None,
    *,
    given: GivenMaps | None,
    others: ImageSources | None,
    objects: str | Path | None,
    preset: str,
    max_images: int | None,
    include_misclassified: bool,
    batch_size: int | None,
) -> Run:
    """Run all stages, and write what they give to `path`."""
    classifier, resolved, settings = context.classifier, context.target, context.settings
    pieces, random_state = context.pieces, context.random_state
    pieces.journal.write("begun")
    watch = Stopwatch()
    with watch.stage("images"):
        read = read_images(
            context,
            images,
            max_images=max_images,
            include_misclassified=include_misclassified,
            batch_size=batch_size or 32,
            given=given,
        )
        beside = read_beside(context, read.images, images, others, objects)
        if given is None:  # else no gradient is needed
            require_explainable(classifier, resolved, classifier.to_tensor([read.images[0].view]))
    with watch.stage("masks"):
        asked = context.settings
        context = choose_infills(context, read.images)
        settings = context.settings
        masks = compute_masks(context, read.images) if given is None else make_given_masks(context, read.images, given)
    with watch.stage("faithfulness"):
        faithfulness = compute_faithfulness(context, read.images, masks)
    components: list[Component] = []
    if settings.parts is None:
        with watch.stage("contributions"):
            components = find_components(context, read.images, masks)
    evidence = [mask.binary(settings.regions.threshold) for mask in masks]
    grouping = group_boxes if settings.parts is None else group_evidence
    grouped = grouping(context, watch, read.images, evidence)
    regions = grouped.regions
    summaries, analysis = analyze_summaries(context, watch, read.images, evidence, grouped)
    analysis = measure_shortcuts(context, watch, read, evidence, grouped, summaries, analysis, beside)
    logger.info("%d summaries from %d regions of %d images", len(summaries.kept), len(regions), len(read.images))

    run = Run(
        images=read.images,
        masks=tuple(masks),
        components=tuple(components),
        regions=tuple(regions),
        descriptors=grouped.descriptors,
        similarity=grouped.similarity,
        summaries=summaries.kept,
        rejected=summaries.rejected,
        skipped=read.skipped,
        settings=settings,
        info=RunInfo(
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            classifier=ClassifierInfo(**classifier.describe()),
            target=TargetInfo(resolved.index, resolved.name),
            source=_source_name(images),
            accuracy=Accuracy(read.correct, read.total),
            predicted=_predicted_names(classifier, read),
            counts=_counts(read, len(components), len(regions), grouped.clusters, summaries)
            | {"others": len(beside.others), "others_skipped": len(beside.skipped)}
            | ({} if read.sample_of is None else {"sample_of": read.sample_of}),
            faithfulness=faithfulness.figures(),
            warnings=dict(Counter(name for mask in masks for name in mask.warnings)),
            preset=preset
            if replace(_with_count(asked, None), evidence=EvidenceSettings()) == named_preset(preset)
            else "custom",
            parts=None if settings.parts is None else settings.parts.count,
            random_state=random_state,
            include_misclassified=include_misclassified,
            versions=versions(),
            hardware=hardware(classifier.device),
            engine=context.engine.name,
            pieces=pieces.counts(),
            damaged=pieces.damaged,
            images_since_begun=read.changes,
            timings=watch.seconds,
            peak_memory_mib=peak_memory_mib(),
            peak_gpu_memory_mib=peak_gpu_memory_mib(classifier.device),
            **context.notes,
        ),
        faithfulness=faithfulness,
        analysis=analysis,
        parts=grouped.parts,
        path=path,
    )
    if path is not None:
        save_run(run, path)
        for large in (DESCRIPTORS, CELLS):
            pieces.forget(large.name)
        pieces.journal.write("finished")
    return load_check(load_names(run))


def _with_count(settings: Settings, count: int | None) -> Settings:
    """Return settings with another number of parts, where there are parts."""
    return settings if settings.parts is None else replace(settings, parts=replace(settings.parts, count=count))


def _source_name(images: object) -> str:
    return Path(images).name if isinstance(images, str | Path) else type(images).__name__


def _predicted_names(classifier: Classifier, read: ImageSet) -> dict[str, str]:
    """Names of the classes that the network gives to the images of the run, by index (JSON has string keys only)."""
    return {str(index): classifier.class_names[index] for index in sorted({image.predicted for image in read.images})}


def _counts(read: ImageSet, components: int, regions: int, clusters: int, summaries: SummarySet) -> dict[str, int]:
    return {
        "images": len(read.images),
        "skipped": len(read.skipped),
        "components": components,
        "regions": regions,
        "clusters": clusters,
        "clusters_of_too_few_images": summaries.small,
        "summaries": len(summaries.kept),
        "rejected": len(summaries.rejected),
    }
