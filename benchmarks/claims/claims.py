"""Claims a and c of the paper, repeated: tags agree within summaries; better networks have more summaries.

    python benchmarks/claims/claims.py --json FILE --data DIR     (a few minutes)
    python benchmarks/claims/claims.py --json benchmarks/results/claims.json --data DIR --size full     (hours)

- Photographs (with --data): every network on every class. Tags are annotated parts where there are any (birds), and the
  classes that one of the networks gives each region; with --clip, words of the shipped vocabulary, too.
- Planted parts: the networks of the demo on drawn birds, tags from the label of every pixel.
- Accuracy is each network's on all images of the class; published accuracies are compared as well.

Runs and their rows are kept below --keep and found again: give the same command to go on after an interruption. Where settings
or code have changed since, runs go on from what of them still holds (--resume), and are measured again when they changed. Rows
of the same size and default that are in FILE already stay, so that another machine can go on, too. With
--minutes no run is begun or gone through again after that time, and what is finished with the present settings is written (0:
only that); `complete` tells whether it is all. The JSON has a row for each run, `claims` with every figure, and `bars`: whether
each claim holds, by the lower end of a 95 % interval.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import visual_summaries as vs
from benchmarks.claims.figures import bars_of, claim_a, claim_c, told
from benchmarks.harness import Finished, Row, demo_classifier, finish, parser, pretrained, results, unfinished
from benchmarks.seeds import seeds
from visual_summaries.analyses import AnalysisSettings
from visual_summaries.birds.pictures import write_images
from visual_summaries.birds.world import CLASS_NAMES
from visual_summaries.classifiers import Classifier, classify
from visual_summaries.compare import count_summaries
from visual_summaries.errors import ConvergenceError, ImageError, NoImagesError, TargetError
from visual_summaries.files.atomic import plain
from visual_summaries.images import gather_images
from visual_summaries.tags import ClassifierTagger, ClipTagger, Tagger, reference_tagger, tag_run

#: Published top-1 accuracies on ImageNet, in percent.
PUBLISHED = {
    "mobilenetv1_025": 39.5,
    "squeezenet1_1": 56.3,
    "mobilenetv1_050": 57.2,
    "bvlc_googlenet": 68.7,
    "mobilenetv2_100": 70.8,
    "efficientnet_lite0": 75.1,
    "efficientnet_lite2": 77.6,
}
#: Whose classes are tags.
TAGGER = "mobilenetv2_100"

#: Folders of photographs; their names start with the class's index.
CLASSES = (
    "imagewoof320/155_Shih-Tzu",
    "imagewoof320/162_beagle",
    "imagewoof320/258_Samoyed",
    "cub_crops227/011_European_Goldfinch",
    "cub_crops227/017_Blue_Jay",
    "cub_crops227/094_Ruby_throated_Hummingbird",
    "imagenette224/569_garbage_truck",
    "imagenette224/701_parachute",
)
ANNOTATED = "cub_crops227"

#: The demo's networks, best first, and its birds.
PLANTED = ("main", "tiny", "narrow", "brief")

SIZES: dict[str, dict[str, Any]] = {
    "quick": {
        "images": 12,
        "networks": ("mobilenetv1_025", "mobilenetv1_050"),
        "classes": (CLASSES[1], CLASSES[4]),
        "planted": ("main", "brief"),
        "birds": (0, 1),
        "drawn": 40,
    },
    "full": {
        "images": 40,
        "networks": tuple(PUBLISHED),
        "classes": CLASSES,
        "planted": PLANTED,
        "birds": tuple(range(len(CLASS_NAMES))),
        "drawn": 100,
    },
}

#: Analyses that neither numbers nor tags of summaries depend on are left out, as far as they can be.
FEWER = {"joint_images": 1, "chance": 0, "chance_images": 3, "curve_steps": 1, "cues": 0, "changes": 0, "orders": 0}
SETTINGS = replace(vs.preset("default"), analyses=replace(vs.preset("default").analyses, **FEWER))
#: The published steps on the evidence of the default: only their regions and clusters are counted.
PUBLISHED_STEPS = replace(vs.preset("paper"), masks=SETTINGS.masks, analyses=AnalysisSettings(passes=2, resamplings=0, **FEWER))

#: Random groups of regions for each summary, and resamples of each interval.
DRAWS = 1000


@dataclass(frozen=True)
class Case:
    """One network on the images of one class."""

    world: str
    network: str
    target: int
    images: Path
    folder: Path


def planned(size: dict[str, Any], data: Path | None, runs: Path) -> list[Case]:
    cases = []
    if data is not None:
        for name in size["classes"]:
            for network in size["networks"]:
                folder = runs / f"photographs-{size['images']}" / network / Path(name).name
                cases.append(Case("photographs", network, int(Path(name).name[:3]), data / "images" / name, folder))
    for bird in size["birds"]:
        for network in size["planted"]:
            images = runs / "drawn" / f"{CLASS_NAMES[bird]}-{size['drawn']}"
            cases.append(
                Case("planted", network, bird, images, runs / f"planted-{size['images']}" / network / CLASS_NAMES[bird])
            )
    return cases


def classifier_of(case: Case, data: Path | None) -> Classifier:
    if case.world == "planted":
        return demo_classifier(case.network)
    assert data is not None
    return pretrained(case.network, data)


#: What runs, and what is measured of them, are computed by; paths in the package.
RUN_CODE = ("images", "classifiers", "masks", "regions", "flow", "parts", "analyses", "runs", "settings")
MEASURING_CODE = ("tags", "compare")


@cache
def code_of(*parts: str) -> str:
    """Return a hash of the package's code in these folders."""
    package = Path(vs.__file__).parent
    files = (path for part in parts for path in (package / part).rglob("*.py"))
    return sha256(b"".join(path.read_bytes() for path in sorted(files))).hexdigest()


def row_of(
    case: Case, size: dict[str, Any], data: Path | None, shared: dict[str, Tagger], kept: Finished
) -> dict[str, Any] | None:
    """Return the row of a case, or None when it is late and there is none that still holds."""
    inputs = [asdict(SETTINGS), asdict(PUBLISHED_STEPS), DRAWS, sorted(shared)]
    code = code_of(*RUN_CODE) + code_of(*MEASURING_CODE)
    return kept(f"{case.folder}.row", inputs, lambda: make_row(case, size, data, shared), code)


def make_row(case: Case, size: dict[str, Any], data: Path | None, shared: dict[str, Tagger]) -> dict[str, Any]:
    """Return the row of a case from its run; what was measured of the very same files is not measured again."""
    if case.world == "planted" and not (case.images / "truth.json").is_file():
        write_images(case.images, case.target, size["drawn"], seed=seeds("claims", case.target, size["drawn"]).start)
    classifier = classifier_of(case, data)
    try:
        run = vs.summarize(
            classifier, case.images, case.target, case.folder, settings=SETTINGS, max_images=size["images"], resume=True
        )
    except (NoImagesError, TargetError) as error:
        # A network that recognizes fewer than three images of a class has no summary of it to count.
        return {**about(case, classifier), "images": 0, "summaries": None, "failed": str(error)}
    files = json.loads((case.folder / "manifest.json").read_text(encoding="utf-8"))["files"]
    inputs, code = [files, DRAWS, sorted(shared)], code_of(*MEASURING_CODE)
    return Finished(Path())(
        f"{case.folder}.measured", inputs, lambda: measure(case, classifier, run, size["images"], data, shared), code
    )


def rows_of_size(found: Row | None, size: str) -> dict[tuple[str, str, int], Row]:
    """Return the rows of runs that a file of results has, by world, network and class, if they are of this size."""
    if found is None or found["size"] != size:
        return {}
    return {(row["world"], row["network"], row["target"]): row for row in found["rows"] if row.get("kind") == "run"}


def published_counts(case: Case, classifier: Classifier, images: int) -> dict[str, int | None]:
    """Return how many regions and clusters of two images or more the published steps make of the same evidence.

    They are salient boxes, LOM, and affinity propagation, before it is judged which clusters look alike. None where affinity
    propagation finds no end.
    """
    # Masks of the run are found there, and boxes of the same images from the network before.
    folder = case.folder.parent.parent / "published" / case.folder.name
    shutil.copytree(case.folder, folder, dirs_exist_ok=True)
    try:
        run = vs.summarize(
            classifier, case.images, case.target, folder, settings=PUBLISHED_STEPS, max_images=images, resume=True
        )
    except ConvergenceError:
        return {"published_regions": None, "published_clusters": None}
    counts = run.info.counts
    clusters = counts["clusters"] - counts["clusters_of_too_few_images"]
    return {"published_regions": len(run.regions), "published_clusters": clusters}


def readable(folder: Path) -> Iterator[PIL.Image.Image]:
    """Yield the images of a folder; drawn birds lie beside their truth, which is none."""
    for source in gather_images(folder):
        try:
            image = source.load()
        except ImageError:
            continue
        yield image


def accuracy_of(case: Case, classifier: Classifier) -> tuple[int, int]:
    """Return how many of all images of the class the network gives it, and how many there are."""
    found = classify(classifier, map(classifier.view, readable(case.images)), case.target)
    return int(found.hits.sum()), len(found.hits)


def taggers_of(case: Case, run: vs.Run, data: Path | None, shared: dict[str, Tagger]) -> Iterator[tuple[str, Tagger]]:
    if case.world == "planted":
        yield "planted parts", reference_tagger(run, case.images)
        return
    assert data is not None
    if case.images.parent.name == ANNOTATED:
        yield "part points", reference_tagger(run, case.images.parent / "parts_in_crop.json")
    yield from shared.items()


def about(case: Case, classifier: Classifier) -> dict[str, Any]:
    """Return what is known of a case without its run."""
    correct, total = accuracy_of(case, classifier)
    return {
        "world": case.world,
        "network": case.network,
        "class": classifier.class_names[case.target],
        "published": PUBLISHED.get(case.network),
        "correct": correct,
        "total": total,
        "accuracy": correct / total,
    }


def measure(
    case: Case, classifier: Classifier, run: vs.Run, images: int, data: Path | None, shared: dict[str, Tagger]
) -> dict[str, Any]:
    """Return the row of a case."""
    row = about(case, classifier)
    count = count_summaries([run], [case.network], [row["class"]])[0]
    row |= {
        "images": len(run.images),
        "regions": len(run.regions),
        "with_regions": len({region.image for region in run.regions}),
        "clusters": run.info.counts["clusters"],
        **published_counts(case, classifier, images),
        "summaries": count.summaries,
        "stable": {f"{threshold:.2f}": number for threshold, number in count.stable.items()},
        "presence": [len({run.regions[i].image for i in summary.cluster}) for summary in run.summaries],
        "mask_area": float(np.mean([mask.area for mask in run.masks])),
        "seconds": run.info.timings,
    }
    row["tags"] = {}
    for name, tagger in taggers_of(case, run, data, shared):
        tagging = tag_run(run, tagger, draws=DRAWS)
        row["tags"][name] = {
            shown: {
                **plain(asdict(tagging.agreement[shown])),
                "named": sum(found.name is not None for found in tagging.names[shown]),
            }
            for shown in tagging.agreement
        }
    return row


def main() -> None:
    arguments = parser(__doc__, "two networks, 12 images a run", "all of it, 40 images a run", keep=True)
    arguments.add_argument("--clip", help="a model of open_clip as for `tag --clip`, as another tagger")
    options = arguments.parse_args()
    size, data, keep = SIZES[options.size], options.data, options.keep or Path("build/claims")

    shared: dict[str, Tagger] = {}
    if data is not None:
        shared[f"classes of {TAGGER}"] = ClassifierTagger(pretrained(TAGGER, data))
    if options.clip is not None:
        shared["words by CLIP"] = ClipTagger(options.clip)

    cases, rows, kept = planned(size, data, keep), [], Finished(Path(), options.minutes)
    known = rows_of_size(unfinished(options.json), options.size)
    for number, case in enumerate(cases, start=1):
        began = time.perf_counter()
        row = known.get((case.world, case.network, case.target)) or row_of(case, size, data, shared, kept)
        if row is None:
            print(f"{number} of {len(cases)}: left for another time; give the same command to go on", flush=True)
            continue
        rows.append({"kind": "run", "target": case.target, **row})
        what = f"{row['summaries']} summaries, {row['accuracy']:.0%} right, {time.perf_counter() - began:.0f} s"
        print(f"{number} of {len(cases)}: {case.network}, {row['class']}: {what}", flush=True)

    tags, counts = claim_a(rows), claim_c(rows, vs.preset("default").summaries)
    found = results(
        "claims",
        options.size,
        {"preset": "default", "draws": DRAWS, "clip": options.clip, **size},
        [*rows, *told(tags, counts)],
        bars_of(tags, counts),
        complete=len(rows) == len(cases),
        claims={"a": tags, "c": counts},
    )
    finish(found, options.json)


if __name__ == "__main__":
    main()
