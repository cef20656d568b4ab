"""One unit (a network and a class) of ``benchmarks/parts.py``: summaries, baselines, and what the planted parts truly do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import visual_summaries as vs
from parts_baselines import concept_groups, kmeans_groups
from visual_summaries.analyses import AnalysisSettings, measure_importance
from visual_summaries.classifiers import Classifier, classify, resolve_target, resolve_transform
from visual_summaries.clusters import ClusterSettings, cluster
from visual_summaries.demo import CLASS_NAMES, Scene, all_effects, demo_network, part_under, render, sample_scene
from visual_summaries.errors import ConvergenceError
from visual_summaries.pipeline.analysing import analyse_summaries
from visual_summaries.pipeline.compare import Warped, compare_regions, find_clusters
from visual_summaries.pipeline.context import Context, Shared
from visual_summaries.pipeline.manifest import Stopwatch
from visual_summaries.pipeline.stages import Described, compute_masks, compute_proposals
from visual_summaries.results import Image, Mask, Member, Region, Summary
from visual_summaries.settings import Settings
from visual_summaries.store import Pieces
from visual_summaries.summaries import SummarySettings, build_summaries, choose_candidates
from visual_summaries.summaries.build import Warp

#: First seed of the drawn images; training, accuracy, effects, the demo and the experiments behind the default use others.
SEED = 70_000_000

#: Preferences of affinity propagation, over the median similarity, that are tried on the default's regions; 1.3 is published.
PREFERENCES = (0.7, 1.3, 3.0, 5.0)

_ATTEMPTS = 8  # images drawn for each that is wanted, before giving up on a class that the network hardly knows


@dataclass(frozen=True)
class Explained:
    """What explaining one class of one network gave.

    Attributes
    ----------
    images, masks, regions, similarity
        As in a run.
    summaries : tuple of Summary
        Kept ones, analysed.
    """

    images: list[Image]
    masks: list[Mask]
    regions: list[Region]
    similarity: NDArray[np.float32]
    summaries: tuple[Summary, ...]


def analysed(preset: str) -> Settings:
    """Return a preset that measures importance and nothing that this benchmark does not look at."""
    settings = vs.preset(preset)
    return replace(settings, analyses=AnalysisSettings(resamplings=0, orders=0, chance=0))


def explain(
    classifier: Classifier, index: int, views: Sequence[NDArray[np.uint8]], settings: Settings, kept: Path
) -> Explained:
    """Go through the stages of a run on views, all but the faithfulness of masks; finished pieces are kept in a folder."""
    context = Context(Shared(classifier, resolve_target(classifier, index), settings), Pieces(kept))
    scores = classify(classifier, views, context.target).scores
    images = [
        Image(k, f"{k:03d}", "", view, float(score), index) for k, (view, score) in enumerate(zip(views, scores, strict=True))
    ]
    masks = compute_masks(context, images)
    features = Described(context, images, compute_proposals(context, images))
    regions, similarity = compare_regions(context, images, masks, features)
    groups = find_clusters(context, similarity)
    # Where the look of warped members decides nothing, they are not warped: this benchmark shows none.
    by_look = settings.summaries.keep == "alike"
    warp: Warp = Warped(context, images, features, regions, similarity, groups) if by_look else _blank
    summaries = build_summaries(regions, similarity, groups, warp, settings.summaries)
    found, _ = analyse_summaries(context, Stopwatch(), images, masks, regions, similarity, features, summaries)
    return Explained(images, masks, regions, similarity, found.kept)


def _blank(_exemplar: Region, _member: Region) -> NDArray[np.uint8]:
    return np.zeros((3, 3, 3), np.uint8)


def drawn(classifier: Classifier, index: int, count: int) -> list[Scene]:
    """Return the first scenes of a class that the network gets right."""
    target = resolve_target(classifier, index)
    scenes: list[Scene] = []
    for start in range(0, _ATTEMPTS * count, count):
        some = [sample_scene(index, SEED + 10_000 * index + start + k) for k in range(count)]
        hits = classify(classifier, [render(scene).image for scene in some], target).hits
        scenes += [scene for scene, hit in zip(some, hits, strict=True) if hit]
        if len(scenes) >= count:
            break
    return scenes[:count]


def group_row(
    summary: Summary, regions: Sequence[Region], labels: Sequence[str], effects: dict[str, dict[str, float]]
) -> dict[str, Any]:
    """Return where a summary's members lie, what it costs, and what its part truly does."""
    counts = Counter(labels[member.region] for member in summary.members)
    part, most = counts.most_common(1)[0]
    place = "background" if part in ("background", "distractor", "occluder") else part
    row: dict[str, Any] = {
        "part": part,
        "members": len(summary.members),
        "purity": most / len(summary.members),
        "others": sorted(name for name in counts if name != part),
        **{name: values[place] for name, values in effects.items()},
    }
    if (found := summary.analysis) is not None:
        row |= {
            "importance": found.importance,
            "alone": found.alone,
            "above_control": found.above_control,
            "class_effect": found.class_effect,
            "interval": list(found.interval),
            "beats_control": found.beats_control,
            "coverage": found.coverage,
        }
    return row


def as_summaries(groups: Sequence[Sequence[int]], regions: Sequence[Region], members: int = 10) -> list[Summary]:
    """Return summaries of groups of regions whose members come first; of an image only the first counts as a member."""
    found = []
    for group in groups:
        seen: set[int] = set()
        shown = [k for k in group if not (regions[k].image in seen or seen.add(regions[k].image))][:members]
        if len(shown) >= 2:
            crop = np.zeros((1, 1, 3), np.uint8)
            shown_members = tuple(Member(k, 0.0, float("nan"), crop) for k in shown)
            found.append(Summary(len(found), shown[0], shown_members, tuple(group), 0.0, 0.0))
    return found


def affinity_groups(explained: Explained, factor: float) -> list[list[int]] | None:
    """Return what affinity propagation makes of the default's regions, members first; None where it does not converge."""
    try:
        found = cluster(explained.similarity, ClusterSettings(preference_factor=factor))
    except ConvergenceError:
        return None
    settings = SummarySettings()
    return [members for _, members in choose_candidates(found, explained.regions, explained.similarity, settings)]


def measured(
    classifier: Classifier, explained: Explained, index: int, summaries: list[Summary], regions: Sequence[Region]
) -> list[Summary]:
    """Measure the importance of the groups of a baseline as the default's is."""
    settings = analysed("default")
    evidence = [np.asarray(mask.final > 0.5) for mask in explained.masks]
    target = resolve_target(classifier, index)
    found = measure_importance(
        classifier, target, explained.images, evidence, regions, summaries, settings.masks, settings.analyses
    )
    return [replace(one, analysis=own) for one, own in zip(summaries, found, strict=True)]


@dataclass(frozen=True)
class Unit:
    """A network, a class, and images of it that the network gets right."""

    network: str
    index: int
    scenes: list[Scene]
    classifier: Classifier

    @classmethod
    def of(cls, network: str, index: int, count: int) -> Unit:
        """Draw the images."""
        module = demo_network(network)
        classifier = Classifier(
            module, transform=resolve_transform(module), class_names=CLASS_NAMES, spec=f"demo network {network}"
        )
        return cls(network, index, drawn(classifier, index, count), classifier)

    def explain(self, preset: str, kept: Path) -> Explained:
        """Explain the images."""
        return explain(self.classifier, self.index, [render(scene).image for scene in self.scenes], analysed(preset), kept)

    def rows(
        self, summaries: Sequence[Summary], regions: Sequence[Region], effects: dict[str, dict[str, float]]
    ) -> list[dict[str, Any]]:
        """Return a row for each summary."""
        truth = [render(scene).labels for scene in self.scenes]
        labels = [part_under(region.mask, region.box, truth[region.image]) for region in regions]
        return [group_row(summary, regions, labels, effects) for summary in summaries]


def run_unit(network: str, index: int, count: int, kept: Path) -> dict[str, Any]:
    """Return the rows of the default and the baselines; without methods where the network gets too few images right."""
    unit = Unit.of(network, index, count)
    found: dict[str, Any] = {"network": network, "class": CLASS_NAMES[index], "images": len(unit.scenes), "methods": {}}
    if len(unit.scenes) < 6:
        return found
    effects = all_effects(demo_network(network), index, unit.scenes)
    default = unit.explain("default", kept)
    methods = {"default": unit.rows(default.summaries, default.regions, effects)}
    for factor in PREFERENCES:
        groups = affinity_groups(default, factor)
        name = f"affinity propagation (regions of the default, preference {factor} median)"
        if groups is None:
            found.setdefault("not_converged", []).append(name)
        methods[name] = unit.rows(as_summaries(groups or [], default.regions), default.regions, effects)
    wanted = max(len(default.summaries), 2)
    for name, (groups, regions) in {
        **kmeans_groups(unit.classifier, default.images, default.masks, default.regions, wanted),
        **concept_groups(unit.classifier, default.images, wanted),
    }.items():
        summaries = as_summaries(groups, regions)
        if not name.endswith(")"):  # the variants in brackets are for purity and recall only
            summaries = measured(unit.classifier, default, index, summaries, regions)
        methods[name] = unit.rows(summaries, regions, effects)
    return {**found, "effects": effects, "areas": [mask.area for mask in default.masks], "methods": methods}


def run_paper(network: str, index: int, count: int, effects: dict[str, dict[str, float]], kept: Path) -> list[dict[str, Any]]:
    """Return the rows of the preset `paper` on the same images; none where its clusters do not converge."""
    unit = Unit.of(network, index, count)
    try:
        paper = unit.explain("paper", kept)
    except ConvergenceError:
        return []
    return unit.rows(paper.summaries, paper.regions, effects)
