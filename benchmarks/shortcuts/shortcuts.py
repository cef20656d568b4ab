"""Whether planted shortcuts in photographs are found and named rightly, and how often a clean network is accused.

    python -m benchmarks.shortcuts.shortcuts --data DIR --json FILE [--size quick|full]

Each unit of ``units.py`` is explained with the default, with images of other classes, and without masks of the object. What a
run says is compared with the truth of the pixels of the cue, and of the box of the bird. Thresholds of the verdict were chosen
on the half "choose", but for those that docs/shortcuts.md names; bars are of the half "report". Natural cues have no twin: what
is named there is listed. Beside it, on the same units: clustered heat maps (SpRAy, ``benchmarks/parts/heatmaps.py``) and
concepts (CRAFT's construction, as in ``benchmarks/parts/baselines.py``), as far as their output can answer.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

import visual_summaries as vs
from benchmarks import harness
from benchmarks.harness import Row, bar, mean, rounded
from benchmarks.parts.baselines import concept_labels, feature_maps, pooled_crops
from benchmarks.parts.heatmaps import CLUSTERS, grad_cam, spray_labels
from benchmarks.parts.units import Unit as PartsUnit
from benchmarks.parts.units import read_unit
from benchmarks.shortcuts.units import LEARNED, Maker, Unit, load_unit, read_mask, read_truth, units
from visual_summaries.analyses.verdict import SUSPICIOUS
from visual_summaries.classifiers import Classifier
from visual_summaries.results import Run, label_map, owned_by_summaries

#: A summary is the cue when at least this share of its pixels is.
ON_CUE = 0.6
#: A summary is on the object when at least this share of its pixels lies in the object's box.
IN_BOX = 0.5
#: Changes that tell each cue that is no region.
TELLS = {
    "tint": ("gray", "hue", "tone"),
    "blur": ("blur", "sharpen", "jpeg"),
    "brightness": ("darker", "brighter", "contrast", "tone"),
    "jpeg": ("jpeg", "blur", "sharpen"),
}
#: Concepts of the method beside ours.
CONCEPTS = 10
#: Images of a natural cue that are explained, at most.
NATURAL_IMAGES = 24

Pixels = NDArray[np.bool_]


@dataclass(frozen=True)
class Natural:
    """Photographs with a cue that nobody planted: a network, a folder, its class, and images of other classes."""

    name: str
    network: str
    folder: str
    target: int
    others: str


#: Huskies and wolves: a linear layer told them apart from 15 images each, the huskies on grass and the wolves on snow.
NATURALS = (
    Natural("husky on grass", "mobilenetv2_100", "husky_wolf/husky_on_grass", 0, "husky_wolf/wolf_on_snow"),
    Natural("wolf on snow", "mobilenetv2_100", "husky_wolf/wolf_on_snow", 1, "husky_wolf/husky_on_grass"),
    Natural("tench", "efficientnet_lite0", "imagenette224/000_tench", 0, "imagenette224"),
    Natural("leaf blight", "corn_leaf", "corn_leaves/Corn___Northern_Leaf_Blight", 2, "corn_leaves"),
)


def explained(unit: Unit, keep: Path) -> Row:
    """Explain a unit, and compare the run with the truth."""
    torch.set_num_threads(1)
    folder = keep / "units" / unit.name
    truth, classifier = read_truth(folder), load_unit(folder)
    quick = vs.preset("quick")  # what is no region needs no fine masks
    coarse = replace(quick, analyses=replace(quick.analyses, changes=vs.preset("default").analyses.changes))
    images = sorted((folder / "explain").glob("*/*.png"))
    others = sorted((folder / "others").glob("*.png"))
    run = vs.summarize(
        classifier,
        images,
        truth["target"],
        keep / "runs" / unit.name,
        others=others,
        settings=coarse if truth["kind"] == "whole" else vs.preset("default"),
        include_misclassified=True,
        resume=(keep / "runs" / unit.name).exists(),
    )
    by_file = {Path(image["file"]).name: image for image in truth["images"]}
    rows = [by_file[Path(image.name).name] for image in run.images]
    masks = [read_mask(folder, row) if row["mask"] else None for row in rows]
    boxes = [row["box"] for row in rows]
    named = {name: truth[name] for name in ("name", "kind", "half", "network", "group", "class", "cue", "design", "place")}
    effects = {name: truth[name] for name in ("effect", "p_with", "p_without", "fires", "fires_without")}
    return rounded(
        {
            **named,
            **effects,
            "images": len(run.images),
            "seconds": sum(run.info.timings.values()),
            "shortcut_seconds": run.info.timings.get("shortcuts"),
            **judged(run),
            "summaries": [_summary(run, k, masks, boxes) for k in range(len(run.summaries))],
            "changes": _changes(run),
            **(_peers(classifier, run, masks) if truth["kind"] == "region" else {}),
        }
    )


def judged(run: Run) -> Row:
    """Return what the verdict says, as plain values."""
    verdict = run.verdict
    suspicions = [
        {"kind": one.kind, "summary": one.summary, "change": one.change, "effect": one.effect, "confirmed": one.confirmed}
        for one in verdict.suspicions
    ]
    return {"reliable": verdict.reliable, "unexplained": verdict.unexplained, "suspicions": suspicions}


def _summary(run: Run, k: int, masks: Sequence[Pixels | None], boxes: Sequence[Sequence[float] | None]) -> Row:
    """Return what is said of a summary, and what its pixels are."""
    assert run.analysis is not None
    summary, place, cue = run.summaries[k], run.analysis.places[k], run.analysis.cues[k]
    assert summary.analysis is not None
    pixels = {int(image): _pixels(run, k, int(image)) for image in summary.analysis.images}
    reliance = run.verdict.relies_on[k]
    return {
        "effect": summary.analysis.class_effect,
        "strength": reliance.strength,
        "coverage": summary.analysis.coverage,
        "on_cue": _share({i: masks[i] for i in pixels}, pixels),
        "in_box": _share({i: _boxed(boxes[i], own.shape) for i, own in pixels.items()}, pixels),
        "place": place.kind,
        "sure": place.sure,
        "on_object": place.share_on_object,
        "common": place.common,
        "p_fixed": place.p_fixed,
        "at_border": float(np.mean(place.at_border)),
        "area": float(np.mean(place.area)),
        "gain": cue.above_control,
        "gain_low": cue.interval[0],
        "fired": cue.fired,
        "fired_before": cue.fired_before,
        "accuracy": cue.accuracy,
        "accuracy_before": cue.accuracy_before,
    }


def _pixels(run: Run, k: int, image: int) -> Pixels:
    shape = run.images[image].view.shape[:2]
    return label_map(owned_by_summaries(run.summaries[k : k + 1], run.regions, image), (shape[0], shape[1])) >= 0


def _share(truths: Mapping[int, Pixels | None], pixels: Mapping[int, Pixels]) -> float | None:
    """Return the share of all pixels that are true; None where the truth is not known."""
    known = [(own, pixels[image]) for image, own in truths.items() if own is not None]
    total = sum(int(own.sum()) for _, own in known)
    return sum(int((own & true).sum()) for true, own in known) / total if total else None


def _boxed(box: Sequence[float] | None, shape: tuple[int, ...]) -> Pixels | None:
    if box is None:
        return None
    found = np.zeros(shape[:2], bool)
    x0, y0, x1, y1 = (round(value) for value in box)
    found[y0:y1, x0:x1] = True
    return found


def _changes(run: Run) -> list[Row]:
    assert run.analysis is not None
    return [
        {
            "name": one.name,
            "loss": one.loss,
            "other_loss": one.other_loss,
            "low": one.interval[0],
            "gain": one.gain,
            "gain_low": one.gain_interval[0],
            "fired": one.fired,
            "fired_before": one.fired_before,
            "apart": one.apart,
        }
        for one in run.analysis.changes
    ]


def _peers(classifier: Classifier, run: Run, masks: Sequence[Pixels | None]) -> Row:
    """Return how much of the best cluster of heat maps, and of the best concept, is the cue."""
    views = [image.view for image in run.images]
    whole = [np.ones(view.shape[:2], bool) for view in views]
    heats = grad_cam(classifier, views, run.info.target.index or 0)
    concepts = concept_labels(pooled_crops(classifier, views), feature_maps(classifier, views), whole, CONCEPTS)
    return {"spray": best_share(masks, spray_labels(heats), CLUSTERS), "craft": best_share(masks, concepts, CONCEPTS)}


def best_share(masks: Sequence[Pixels | None], labels: Sequence[NDArray[np.integer]], count: int) -> float:
    """Return the largest share of a group's pixels, over all images whose truth is known, that are the cue."""
    shares = (_share(dict(enumerate(masks)), {i: own == k for i, own in enumerate(labels)}) for k in range(count))
    return max(share or 0.0 for share in shares)


def natural(one: Natural, data: Path, keep: Path) -> Row:
    """Explain photographs with a natural cue, and return what is said of each summary."""
    torch.set_num_threads(1)
    out = keep / "runs" / one.name.replace(" ", "-")
    classifier: Any
    images: Any
    others: Any
    if one.folder.startswith("husky_wolf"):
        own, foreign = (
            read_unit(PartsUnit("confounded", one.network, name, ""), data, NATURAL_IMAGES, keep)
            for name in (one.folder, one.others)
        )
        classifier, images, others = own.classifier, own.views, foreign.views
    else:
        classifier, images, others = (
            harness.spec_of(one.network, data),
            data / "images" / one.folder,
            data / "images" / one.others,
        )
    run = vs.summarize(classifier, images, one.target, out, others=others, max_images=NATURAL_IMAGES, resume=out.exists())
    run.report()
    summaries = [_summary(run, k, [None] * len(run.images), [None] * len(run.images)) for k in range(len(run.summaries))]
    return rounded({"name": one.name, "kind": "natural", "network": one.network, **judged(run), "summaries": summaries})


def used_summaries(row: Row) -> list[Row]:
    """Return a row for each summary of a natural cue that beats its control: where it lies, what it takes, what is said."""
    said = {one["summary"]: "confirmed" if one["confirmed"] else "to check" for one in row["suspicions"]}
    return [
        {
            "kind": "natural summary",
            "of": row["name"],
            "summary": number,
            **{key: one[key] for key in ("place", "on_object", "effect", "strength", "gain")},
            "suspicion": said.get(number - 1),
        }
        for number, one in enumerate(row["summaries"], 1)
        if one["strength"] != "none"
    ]


def found_cue(row: Row) -> Row | None:
    """Return the summary that is the cue and beats its control, the one with most effect; None where there is none.

    ``together`` of it is the sum of the effects of all that are: a cue may be in several parts, as an object is.
    """
    own = [one for one in row["summaries"] if (one["on_cue"] or 0) >= ON_CUE and one["strength"] != "none"]
    found = max(own, key=lambda one: one["effect"], default=None)
    return None if found is None else {**found, "together": sum(one["effect"] for one in own)}


def flags(row: Row) -> list[str]:
    """Return the changes of the whole image that the verdict names."""
    return [one["change"] for one in row["suspicions"] if one["kind"] == "change"]


def figures(rows: Sequence[Row], half: str) -> Row:
    """Return what the bars ask for, of one half."""
    own = [row for row in rows if row.get("half") == half]
    region = [row for row in own if row["kind"] == "region" and row["effect"] >= LEARNED]
    whole = [row for row in own if row["kind"] == "whole" and row["effect"] >= LEARNED]
    clean = [row for row in own if row["kind"] == "clean"]
    cues = [(row, cue) for row in region if (cue := found_cue(row)) is not None]
    birds = [one for row in clean for one in row["summaries"] if one["in_box"] is not None]
    ranks = (
        spearmanr([row["effect"] for row, _ in cues], [cue["together"] for _, cue in cues]).statistic if len(cues) > 2 else None
    )
    return {
        "half": half,
        "region_units": len(region),
        "whole_units": len(whole),
        "clean_units": len(clean),
        "found": mean([found_cue(row) is not None for row in region]),
        "placed": mean([cue["place"] == row["place"] for row, cue in cues]),
        "suspected": mean([any(one["kind"] in SUSPICIOUS for one in row["suspicions"]) for row in region]),
        "confirmed": mean([any(one["kind"] in SUSPICIOUS and one["confirmed"] for one in row["suspicions"]) for row in region]),
        "ranked": None if ranks is None else float(ranks),
        "accused": mean([any(one["confirmed"] for one in row["suspicions"]) for row in clean]),
        "to_check": mean([bool(row["suspicions"]) for row in clean]),
        "flagged": mean([any(name in TELLS[row["cue"]] for name in flags(row)) for row in whole]),
        "false_flags": mean([bool(flags(row)) for row in clean]),
        "object_or_not": mean([(one["place"] in ("object", "everywhere")) == (one["in_box"] >= IN_BOX) for one in birds]),
        "bird_summaries": len(birds),
        "spray": mean([row["spray"] >= ON_CUE for row in region]),
        "craft": mean([row["craft"] >= ON_CUE for row in region]),
        "seconds": mean([row["seconds"] for row in own]),
    }


def by_cue(rows: Sequence[Row]) -> list[Row]:
    """Return for each half and cue its mean effect, and the shares of its units in which it was found, placed and flagged."""
    learned = [row for row in rows if row.get("cue") and row["effect"] >= LEARNED]
    found = []
    for half, cue in sorted({(row["half"], row["cue"]) for row in learned}):
        own = [row for row in learned if (row["half"], row["cue"]) == (half, cue)]
        summaries = [(row, found_cue(row)) for row in own if row["kind"] == "region"]
        named = [(row, one) for row, one in summaries if one is not None]
        found.append(
            {
                "kind": "by cue",
                "half": half,
                "of": cue,
                "units": len(own),
                "true_effect": mean([row["effect"] for row in own]),
                "found": mean([one is not None for _, one in summaries]),
                "placed": mean([one["place"] == row["place"] for row, one in named]),
                "suspected": mean([bool(row["suspicions"]) for row in own]),
                "effect": mean([one["together"] for _, one in named]),
                "spray": mean([row["spray"] >= ON_CUE for row, _ in summaries]),
                "craft": mean([row["craft"] >= ON_CUE for row, _ in summaries]),
                "flagged": mean([any(name in TELLS[cue] for name in flags(row)) for row in own if row["kind"] == "whole"]),
            }
        )
    return rounded(found)


def bars_of(report: Row) -> list[Row]:
    """Return the bars, of the reported half."""
    return [
        bar("planted units of effect .2 or more", float(report["region_units"]), 12, ">="),
        bar("region cues: found", report["found"], 0.95, ">="),
        bar("region cues: place named rightly", report["placed"], 0.9, ">="),
        bar("region cues: effect ranked as the true effect (Spearman)", report["ranked"], 0.8, ">="),
        bar("clean twins: accused", report["accused"], 0.05, "<="),
        bar("cues that are no region: flagged", report["flagged"], 0.8, ">="),
        bar("cues that are no region: false flags in clean twins", report["false_flags"], 0.05, "<="),
        bar("summaries of birds: on the object or not, without masks", report["object_or_not"], 0.9, ">="),
    ]


def main() -> None:
    """Measure, print and write."""
    arguments = harness.parser(
        __doc__, "each cue on one set of each half", "each cue on two sets of each half", needs_data=True, keep=True
    ).parse_args()
    keep = arguments.keep or Path("build/shortcuts")
    maker, done = Maker(arguments.data, keep), harness.Finished(keep / "figures", arguments.minutes)
    chosen = units(arguments.size)
    truths = [maker.make(unit) for unit in chosen]
    settings: dict[str, Any] = {"preset": "default", "preset_of_whole": "quick", "on_cue": ON_CUE, "learned": LEARNED}
    jobs: list[tuple[str, Any, Callable[..., Row], tuple[Any, ...]]] = [
        (unit.name, truth, explained, (unit, keep)) for unit, truth in zip(chosen, truths, strict=True)
    ]
    jobs += [(one.name, asdict(one), natural, (one, arguments.data, keep)) for one in NATURALS]
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        begun = {job[0]: pool.submit(job[2], *job[3]) for job in jobs if not done.has(job[0]) and arguments.minutes}
        rows = [
            done(name, known, lambda: (begun.get(name) or pool.submit(measure, *given)).result())  # noqa: B023 (asked at once)
            for name, known, measure, given in jobs
        ]
        pool.shutdown(cancel_futures=True)
    rows = [row for row in rows if row is not None]
    halves = [figures(rows, half) for half in ("choose", "report")]
    rows += by_cue(rows) + [one for row in rows if row["kind"] == "natural" for one in used_summaries(row)]
    found = harness.results("shortcuts", arguments.size, settings, rows, bars_of(halves[1]), halves=rounded(halves))
    harness.finish(found, arguments.json)


if __name__ == "__main__":
    main()
