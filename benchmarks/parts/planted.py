"""One unit of drawn birds of ``parts.py``: summaries, baselines, and what the planted parts truly do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import visual_summaries as vs
from benchmarks.harness import demo_classifier
from benchmarks.parts.baselines import concept_labels, feature_maps, kmeans_labels, pooled_crops
from benchmarks.parts.effects import all_effects
from benchmarks.seeds import seeds
from visual_summaries.analyses import AnalysisSettings, measure_importance
from visual_summaries.birds.render import render
from visual_summaries.birds.scene import Scene, sample_scene
from visual_summaries.birds.world import CLASS_NAMES
from visual_summaries.classifiers import Classifier, classify, resolve_target
from visual_summaries.demo import demo_network, part_under
from visual_summaries.errors import ConvergenceError
from visual_summaries.masks.scorer import Scorer
from visual_summaries.regions import connected_components
from visual_summaries.results import Member, Region, Run, Summary
from visual_summaries.settings import Settings

#: Raised when this file measures something else, so that kept figures are not taken for new ones.
VERSION = 1

_ATTEMPTS = 8  # images drawn for each that is wanted, before giving up on a class that the network hardly knows
_FEWEST = 6  # images that a unit needs
_PIECE = 0.001  # least share of the image that a connected piece of a baseline's group has


def analyzed(preset: str) -> Settings:
    """Return a preset that measures importance and nothing that is not looked at on drawn birds."""
    settings = vs.preset(preset)
    return replace(settings, analyses=AnalysisSettings(resamplings=0, orders=0, chance=0))


def drawn(classifier: Classifier, index: int, count: int) -> list[Scene]:
    """Return the first scenes of a class that the network gets right."""
    target = resolve_target(classifier, index)
    scenes: list[Scene] = []
    for start in range(0, _ATTEMPTS * count, count):
        some = [sample_scene(index, seed) for seed in seeds("parts", index, count, start)]
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
        row |= {name: getattr(found, name) for name in ("above_control", "class_effect", "beats_control", "coverage")}
    return {name: round(float(value), 5) if isinstance(value, float) else value for name, value in row.items()}


def as_summaries(label_maps: Sequence[NDArray[np.integer]], members: int = 10) -> tuple[list[Summary], list[Region]]:
    """Return summaries, and their regions, of the groups of label maps (H, W).

    Regions are connected pieces; the largest piece of an image may be a member, the largest of all comes first.
    """
    regions: list[Region] = []
    groups: dict[int, list[Region]] = {}
    for image, labels in enumerate(label_maps):
        for group in np.unique(labels[labels >= 0]).tolist():
            for box, pixels in connected_components((labels == group).astype(np.float32), min_area=_PIECE):
                regions.append(Region(len(regions), image, box, pixels, 1.0, 0.0, 0.0, 0.0))
                groups.setdefault(group, []).append(regions[-1])
    found: list[Summary] = []
    crop = np.zeros((1, 1, 3), np.uint8)
    for _, own in sorted(groups.items()):
        own.sort(key=lambda region: -int(region.mask.sum()))
        largest = {one.image: one.index for one in reversed(own)}
        shown = [one.index for one in own if largest[one.image] == one.index][:members]
        if len(shown) >= 2:
            shown_members = tuple(Member(k, 0.0, float("nan"), crop) for k in shown)
            cluster = tuple(region.index for region in own)
            found.append(Summary(len(found), shown[0], shown_members, cluster, 0.0, 0.0))
    return found, regions


@dataclass(frozen=True)
class DrawnUnit:
    """A network, a class, and images of it that the network gets right."""

    network: str
    index: int
    scenes: list[Scene]
    classifier: Classifier

    @classmethod
    def of(cls, network: str, index: int, count: int) -> DrawnUnit:
        """Draw the images."""
        classifier = demo_classifier(network)
        return cls(network, index, drawn(classifier, index, count), classifier)

    def run(self, preset: str, folder: Path) -> Run:
        """Explain the images; what an earlier run has left in the folder is not computed again."""
        x = self.classifier.to_tensor([render(scene).image for scene in self.scenes])
        return vs.summarize(self.classifier, x, self.index, folder, settings=analyzed(preset), resume=folder.exists())

    def rows(
        self, summaries: Sequence[Summary], regions: Sequence[Region], effects: dict[str, dict[str, float]]
    ) -> list[dict[str, Any]]:
        """Return a row for each summary."""
        truth = [render(scene).labels for scene in self.scenes]
        labels = [part_under(region.mask, region.box, truth[region.image]) for region in regions]
        return [group_row(summary, regions, labels, effects) for summary in summaries]

    def baseline_rows(
        self,
        run: Run,
        label_maps: Sequence[NDArray[np.integer]],
        evidence: Sequence[NDArray[np.bool_]],
        effects: dict[str, dict[str, float]],
    ) -> list[dict[str, Any]]:
        """Return the rows of a baseline's groups, whose importance is measured as the default's is."""
        summaries, regions = as_summaries(label_maps)
        settings, target = analyzed("default"), resolve_target(self.classifier, self.index)
        scorer = Scorer(self.classifier, target, settings.masks)
        found = measure_importance(scorer, run.images, evidence, regions, summaries, settings.analyses)
        analyzed_ones = [replace(one, analysis=own) for one, own in zip(summaries, found, strict=True)]
        return self.rows(analyzed_ones, regions, effects)


def run_unit(network: str, index: int, count: int, folder: Path) -> dict[str, Any]:
    """Return the rows of the default and the baselines; without methods where the network gets too few images right."""
    unit = DrawnUnit.of(network, index, count)
    found: dict[str, Any] = {"network": network, "class": CLASS_NAMES[index], "images": len(unit.scenes), "methods": {}}
    if len(unit.scenes) < _FEWEST:
        return found
    effects = all_effects(demo_network(network), index, unit.scenes)
    run = unit.run("default", folder)
    methods = {"default": unit.rows(run.summaries, run.regions, effects)}
    evidence = [run.evidence(i) for i in range(len(run.images))]
    rest = any(bool((pixels & (run.labels(i) < 0)).any()) for i, pixels in enumerate(evidence))
    wanted = max(len(run.summaries) + rest, 2)
    views = [image.view for image in run.images]
    maps = feature_maps(unit.classifier, views)
    baselines = {
        "k-means": kmeans_labels(maps, evidence, wanted),
        "concepts": concept_labels(pooled_crops(unit.classifier, views), maps, evidence, wanted),
    }
    for name, label_maps in baselines.items():
        methods[name] = unit.baseline_rows(run, label_maps, evidence, effects)
    return {**found, "effects": effects, "methods": methods}


def run_paper(network: str, index: int, count: int, effects: dict[str, dict[str, float]], folder: Path) -> list[dict[str, Any]]:
    """Return the rows of the preset `paper` on the same images; none where its clusters do not converge."""
    unit = DrawnUnit.of(network, index, count)
    try:
        run = unit.run("paper", folder)
    except ConvergenceError:
        return []
    return unit.rows(run.summaries, run.regions, effects)
