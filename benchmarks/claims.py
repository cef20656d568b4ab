"""Claims a and c of the paper, repeated: tags agree within summaries; better networks have more summaries.

    python benchmarks/claims.py --json FILE --data DIR --size quick     (a few minutes)
    python benchmarks/claims.py --json benchmarks/results/claims.json --data DIR --size full     (hours; may be interrupted)

- Photographs (with --data): every network on every class. Tags are annotated parts where there are any (birds), and the
  classes of the strongest network on each region; with --clip, words of the shipped vocabulary, too.
- Planted parts: the networks of the demo on drawn birds, tags from the label of every pixel.
- Accuracy is each network's on all images of the class; published accuracies are compared as well.

Runs and their rows are kept below --runs and found again: give the same command to go on after an interruption. Where settings
or code have changed since, runs go on from what of them still holds (--resume), and are measured again when they changed. With
--minutes no run is begun or gone through again after that time, and what is finished with the present settings is written (0:
only that); `complete` tells whether it is all. The JSON has a row for each run, `claims` with every figure, and `bars`: whether
each claim holds, by the lower end of a 95 % interval.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch

import visual_summaries as vs
from claims_figures import bars_of, claim_a, claim_c, told
from visual_summaries.birds.pictures import write_images
from visual_summaries.birds.world import CLASS_NAMES
from visual_summaries.classifiers import Classifier, classify, load_classifier, resolve_transform
from visual_summaries.compare import count_summaries
from visual_summaries.demo import demo_network
from visual_summaries.errors import ConvergenceError, NoImagesError, TargetError
from visual_summaries.files.atomic import plain
from visual_summaries.images import gather_images
from visual_summaries.parts.clusters import cluster
from visual_summaries.parts.summaries import choose_candidates
from visual_summaries.runs.manifest import hardware, versions
from visual_summaries.tags import ClassifierTagger, ClipTagger, Tagger, reference_tagger, tag_run

#: Published top-1 accuracies on ImageNet, in percent; the last network is the strongest.
PUBLISHED = {
    "mobilenetv1_025": 39.5,
    "squeezenet1_1": 56.3,
    "mobilenetv1_050": 57.2,
    "bvlc_googlenet": 68.7,
    "mobilenetv2_100": 70.8,
}
STRONGEST = "mobilenetv2_100"

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

#: Seed of the first drawn image; neither training, accuracy, effects, the demo nor other benchmarks use these.
SEED = 50_000_000

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
    if case.world == "photographs":
        assert data is not None
        return load_classifier(f"{data / 'weights' / 'nets.py'}:{case.network}")
    module = demo_network(case.network)
    return Classifier(module, transform=resolve_transform(module), class_names=CLASS_NAMES, spec=f"demo network {case.network}")


#: What runs, and what is measured of them, are computed by; paths in the package.
RUN_CODE = ("images", "classifiers", "masks", "regions", "flow", "parts", "analyses", "runs", "settings")
MEASURING_CODE = ("tags", "compare")


@cache
def code_of(*parts: str) -> str:
    """Return a hash of the package's code in these folders."""
    package = Path(vs.__file__).parent
    files = (path for part in parts for path in (package / part).rglob("*.py"))
    return sha256(b"".join(path.read_bytes() for path in sorted(files))).hexdigest()


def row_of(case: Case, size: dict[str, Any], data: Path | None, shared: dict[str, Tagger], late: bool) -> dict[str, Any] | None:
    """Return the row of a case, or None when it is late and there is none that still holds.

    The row is kept beside the run, with what it came from: settings, code, hashes of the run's files.
    """
    settings = json.loads(json.dumps(plain(asdict(vs.preset("default")))))
    path = case.folder.with_name(f"{case.folder.name}.row.json")
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    measured = {"measuring": code_of(*MEASURING_CODE), "draws": DRAWS, "taggers": sorted(shared)}
    came_from = {"settings": settings, "code": code_of(*RUN_CODE), **measured}
    if kept and (kept["settings"] == settings if late else came_from.items() <= kept.items()):
        return kept["row"]
    if late:
        return None
    if case.world == "planted" and not (case.images / "truth.json").is_file():
        write_images(case.images, case.target, size["drawn"], seed=SEED + 1000 * case.target)
    classifier, files = classifier_of(case, data), None
    try:
        run = vs.summarize(classifier, case.images, case.target, case.folder, max_images=size["images"], resume=True)
    except (NoImagesError, TargetError) as error:
        # A network that recognizes fewer than three images of a class has no summary of it to count.
        row = {**about(case, classifier), "images": 0, "summaries": None, "failed": str(error)}
    else:
        files = json.loads((case.folder / "manifest.json").read_text(encoding="utf-8"))["files"]
        same = kept and kept["files"] == files and measured.items() <= kept.items()
        row = kept["row"] if same else measure(case, classifier, run, data, shared)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(plain({**came_from, "files": files, "row": row})), encoding="utf-8")
    return row


def published_clusters(run: vs.Run) -> int | None:
    """Return how many clusters of two images or more the published clustering makes of a run's regions.

    How the number that the paper counts would behave on the same regions and similarities, before it looks at quality. None
    where it finds no end, and where regions are not compared pair by pair: only runs with the preset ``paper`` have a number.
    """
    if run.parts is not None:
        return None
    settings = vs.preset("paper")
    try:
        found = cluster(run.similarity, settings.clusters)
    except ConvergenceError:
        return None
    return len(choose_candidates(found, run.regions, run.similarity, settings.summaries))


def accuracy_of(case: Case, classifier: Classifier) -> tuple[int, int]:
    """Return how many of all images of the class the network gives it, and how many there are."""
    found = classify(classifier, (classifier.view(source.load()) for source in gather_images(case.images)), case.target)
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


def measure(case: Case, classifier: Classifier, run: vs.Run, data: Path | None, shared: dict[str, Tagger]) -> dict[str, Any]:
    """Return the row of a case."""
    row = about(case, classifier)
    count = count_summaries([run], [case.network], [row["class"]])[0]
    row |= {
        "images": len(run.images),
        "regions": len(run.regions),
        "with_regions": len({region.image for region in run.regions}),
        "clusters": run.info.counts["clusters"],
        "published_clusters": published_clusters(run),
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True, help="file for the results")
    parser.add_argument("--data", type=Path, help="folder with weights/nets.py and images/; without it only planted parts")
    parser.add_argument("--size", choices=tuple(SIZES), default="quick")
    parser.add_argument("--runs", type=Path, default=Path("runs/claims"), help="where runs are kept and found again")
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="begin no run after this time; 0 writes what is finished"
    )
    parser.add_argument("--clip", help="a model of open_clip as for `tag --clip`, as another tagger")
    arguments = parser.parse_args()
    size = SIZES[arguments.size]

    shared: dict[str, Tagger] = {}
    if arguments.data is not None:
        strongest = replace(planned(size, arguments.data, arguments.runs)[0], network=STRONGEST)
        shared["classes of mobilenetv2_100"] = ClassifierTagger(classifier_of(strongest, arguments.data))
    if arguments.clip is not None:
        shared["words by CLIP"] = ClipTagger(arguments.clip)

    cases = planned(size, arguments.data, arguments.runs)
    start, rows = time.perf_counter(), []
    for number, case in enumerate(cases, start=1):
        began = time.perf_counter()
        late = began - start >= 60 * arguments.minutes
        row = row_of(case, size, arguments.data, shared, late)
        if row is None:
            print(f"{number} of {len(cases)}: left for another time; give the same command to go on", flush=True)
            continue
        rows.append({"kind": "run", **row})
        what = f"{row['summaries']} summaries, {row['accuracy']:.0%} right, {time.perf_counter() - began:.0f} s"
        print(f"{number} of {len(cases)}: {case.network}, {row['class']}: {what}", flush=True)

    tags, counts = claim_a(rows), claim_c(rows, vs.preset("default").summaries)
    result = {
        "benchmark": "claims",
        "size": arguments.size,
        "complete": len(rows) == len(cases),
        "hardware": hardware(torch.device("cpu")),
        "versions": versions(),
        "settings": {"preset": "default", "draws": DRAWS, "clip": arguments.clip, **size},
        "rows": [*rows, *told(tags, counts)],
        "claims": {"a": tags, "c": counts},
        "bars": bars_of(tags, counts),
    }
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(plain(result), indent=1) + "\n", encoding="utf-8")
    for bar in result["bars"]:
        value = "too few runs" if bar["value"] is None else f"{bar['value']:.3f}"
        print(f"{'holds' if bar['holds'] else 'does not hold'}: {bar['name']}: {value}")


if __name__ == "__main__":
    main()
