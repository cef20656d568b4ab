"""A user study on photographs, ready to be sent; what a simulated participant finds; how hard its intruders are.

    python benchmarks/claims/study.py --json FILE --data DIR      (about two minutes)
    python benchmarks/claims/study.py --json benchmarks/results/study.json --data DIR --size full      (half an hour)

Two networks on photographs of a bird, a dog and a thing, with the presets `default` and `quick`. Below --keep lie the runs and,
for each preset, a kit: `kits/PRESET/send` goes to participants, `kits/PRESET/keep` stays. Photographs are nowhere else. A
network that the study does not explain takes it as a simulated participant, with tasks drawn by several seeds.

`choice` says how intruders of other summaries were decided on, on a bird that is in no study.

Difficulty is measured on intruders of all summaries: by the same network's features (is the intruder the least like the
others?), and on birds by the annotated part that each picture shows. Where the intruder shows the part that most of its row
shows, nobody should find it: that bounds what attentive people can reach.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

import visual_summaries as vs
from benchmarks.claims.intruders import by_features, by_parts, difficulty, grouped, shown_part
from benchmarks.harness import Row, bar, finish, parser, pretrained, results, rounded
from visual_summaries.classifiers import Classifier
from visual_summaries.classifiers.frames import frame_of
from visual_summaries.pages.rendering import part_pixels
from visual_summaries.results import Run
from visual_summaries.study import (
    Study,
    StudySettings,
    analyze_answers,
    build_kit,
    build_study,
    participants_needed,
    simulate_answers,
)
from visual_summaries.study.simulate import region_features
from visual_summaries.study.statistics import rate
from visual_summaries.study.tasks import CONDITIONS, OTHER, IntruderTask, draw_tasks

#: Explained, and the one that takes the study.
NETWORKS = ("mobilenetv1_050", "efficientnet_lite0")
PARTICIPANT = "mobilenetv2_100"
PRESETS = ("default", "quick")
#: Folders of photographs; their names start with the class's index.
BIRD = "cub_crops227/017_Blue_Jay"
DEVELOPMENT = "cub_crops227/011_European_Goldfinch"
CLASSES = (BIRD, "imagewoof320/258_Samoyed", "imagenette224/569_garbage_truck")
POINTS = "parts_in_crop.json"

SIZES: dict[str, dict[str, Any]] = {
    "quick": {"images": 8, "classes": CLASSES[:1], "seeds": 2, "studies": 2},
    "full": {"images": 20, "classes": CLASSES, "seeds": 5, "studies": 3},
}
#: Intruder tasks of a run that are drawn for the difficulty: all of a seed.
ALL = 1000
#: Intruders of any other summary, not of the least alike.
ANY = "other-summary, any"
#: Shares of the least alike that were tried on `DEVELOPMENT`.
SHARES = (1.0, 0.5, 1 / 3, 0.25)
#: A page is small enough to be mailed.
MEGABYTES = 10.0


def folder_of(name: str, network: str, preset: str, size: dict[str, Any], keep: Path) -> Path:
    return keep / "runs" / f"{Path(name).name}-{network}-{preset}-{size['images']}"


def run_of(name: str, network: str, preset: str, size: dict[str, Any], data: Path, keep: Path) -> Run:
    folder = folder_of(name, network, preset, size, keep)
    images, target = data / "images" / name, int(Path(name).name[:3])
    return vs.summarize(
        pretrained(network, data), images, target, folder, preset=preset, max_images=size["images"], resume=True
    )


def kit(preset: str, runs: Sequence[Run], folder: Path) -> tuple[Study, Row]:
    """Build a preset's kit, and return it and its row."""
    shutil.rmtree(folder, ignore_errors=True)
    study = build_kit(runs, folder, contact="")
    counts = {kind: len(tasks) for kind, tasks in study.tasks.by_kind().items()}
    size = (folder / "send" / study.page.name).stat().st_size
    row = {
        "kind": "kit",
        "preset": preset,
        **counts,
        "tasks": len(study.key.tasks),
        "minutes": study.minutes,
        "megabytes": size / 1e6,
        "needed": participants_needed(study.key),
    }
    return study, row


def simulated_rows(
    preset: str, study: Study, runs: Sequence[Run], participant: Classifier, studies: int, folder: Path
) -> Iterator[Row]:
    """Yield what the participant finds in the kit and in studies of other seeds, together."""
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    votes: dict[tuple[str, str], list[int]] = {}
    for seed in range(studies):
        page = folder / f"{preset}-{seed}.html"
        made = build_study(runs, page, settings=StudySettings(random_state=seed)) if seed else study
        answers = simulate_answers(made.key, participant, folder / f"{preset}-{seed}.answers.json", runs=runs)
        group = analyze_answers([answers], made.key).simulated
        assert group is not None
        for condition in ("all", *CONDITIONS):
            one = group["intruder"][condition]
            found[condition].append((one["hits"], one["count"]))
        for pair in group["preference"]["networks"]:
            own = votes.setdefault(tuple(pair["networks"]), [0, 0, 0])
            for place, name in enumerate(("first", "second", "no_difference")):
                own[place] += pair[name]
    for condition, pairs in found.items():
        hits, counts = zip(*pairs, strict=True)
        pooled = rate(sum(hits), sum(counts), 1 / 5)
        shares = [hit / count for hit, count in pairs if count]
        yield {
            "kind": "simulated",
            "preset": preset,
            "condition": condition,
            "studies": studies,
            **pooled,
            "interval": f"{pooled['low']:.2f} to {pooled['high']:.2f}",
            "least": min(shares),
            "most": max(shares),
        }
    for networks, (first, second, neither) in votes.items():
        yield {
            "kind": "preference",
            "preset": preset,
            "first_network": networks[0].rpartition(":")[2],
            "second_network": networks[1].rpartition(":")[2],
            "first": first,
            "second": second,
            "no_difference": neither,
        }


def parts_shown(run: Run, regions: set[int], listed: dict[str, Any]) -> dict[int, str]:
    """Return the annotated part that the picture of each region shows; nothing for regions of images without points."""
    found = {}
    for region in sorted(regions):
        image = run.images[run.regions[region].image]
        entry = listed.get(f"{run.info.source}/{image.name}", listed.get(image.name))
        if entry is None:
            continue
        frame = frame_of(run.info.classifier.transform, image.size, image.name)
        places = frame.to_view(np.array([where[:2] for where in entry["parts"].values()], float).reshape(-1, 2))
        points = dict(zip(entry["parts"], map(tuple, places), strict=True))
        found[region] = shown_part(part_pixels(run, region), points)
    return found


def measured(run: Run, participant: Classifier, seeds: int, data: Path, name: str, shares: Sequence[float]) -> list[Row]:
    """Return the figures of each intruder task of a run, drawn by several seeds; `shares`: the ``unlike`` of settings."""
    tasks: list[tuple[float, IntruderTask]] = []
    for share, seed in product(shares, range(seeds)):
        settings = StudySettings(kinds=("intruder",), intruders=ALL, unlike=share, random_state=seed)
        tasks += [(share, task) for task in draw_tasks([run], settings).intruders]
    shown = {region for _, task in tasks for region in (*task.members, task.intruder)}
    vectors = region_features(run, sorted(shown), participant)
    file = (data / "images" / name).parent / POINTS
    parts = parts_shown(run, shown, json.loads(file.read_text())["images"]) if file.is_file() else {}
    rows = []
    for share, task in tasks:
        own = (*task.members, task.intruder)
        row = {"unlike": share, "condition": task.condition, **by_features(np.stack([vectors[region] for region in own]))}
        if set(own) <= parts.keys():
            named = [parts[region] for region in own]
            row["points"] = {"parts": by_parts(named), "groups": by_parts([grouped(part) for part in named])}
        rows.append(row)
    return rows


def difficulty_rows(preset: str, of_class: dict[str, list[Row]], chance: float) -> Iterator[Row]:
    """Yield the difficulty by class and kind of intruder, and of all classes together."""
    every = [row | {"points": {}} for rows in of_class.values() for row in rows]  # birds alone have points
    of_class = {**of_class, "all": every} if len(of_class) > 1 else of_class
    for name, rows in of_class.items():
        for condition in (*CONDITIONS, ANY):
            own = [row for row in rows if row["condition"] == condition]
            if own:
                yield {
                    "kind": "difficulty",
                    "preset": preset,
                    "class": Path(name).name,
                    "condition": condition,
                    **difficulty(own, chance),
                }


def choice_rows(participant: Classifier, size: dict[str, Any], data: Path, keep: Path) -> Iterator[Row]:
    """Yield how often intruders of other summaries show their row's part on `DEVELOPMENT`, by how they are chosen."""
    rows = []
    for network in NETWORKS:
        run = run_of(DEVELOPMENT, network, "default", size, data, keep)
        rows += measured(run, participant, size["seeds"], data, DEVELOPMENT, SHARES)
    for share in SHARES:
        own = [row for row in rows if row["unlike"] == share and row["condition"] == OTHER]
        yield {"kind": "choice", "class": Path(DEVELOPMENT).name, "share": share, **difficulty(own, StudySettings().chance)}


def bars_of(rows: Sequence[Row]) -> list[Row]:
    """Return whether the kits can be sent, and whether a participant can find what it is asked for."""

    def one(kind: str, preset: str, **wanted: Any) -> Row:
        return next(row for row in rows if row["kind"] == kind and row["preset"] == preset and wanted.items() <= row.items())

    bars = []
    for preset in PRESETS:
        bars.append(bar(f"{preset}: size of the page, MB", one("kit", preset)["megabytes"], MEGABYTES, "<="))
        found = one("simulated", preset, condition="all")
        bars.append(bar(f"{preset}: intruders found by a simulated participant, lower end", found["low"], 0.2, ">"))
        hard = one("difficulty", preset, **{"class": Path(BIRD).name, "condition": OTHER})["groups"]
        bars.append(bar(f"{preset}: intruders of other summaries that show the part of their row", hard["same"], 0.1, "<="))
    return bars


def main() -> int:
    args = parser(__doc__, "8 images of a bird", "20 images of each of three classes", needs_data=True, keep=True).parse_args()
    size, data, keep = SIZES[args.size], args.data.resolve(), args.keep or Path("build/study")
    end, shares = time.perf_counter() + 60 * args.minutes, (StudySettings().unlike, 1.0)

    def is_made(name: str) -> bool:
        """Make the runs of a class while there is time; return whether all are there."""
        cases = list(product(PRESETS, NETWORKS))
        for preset, network in cases:
            if time.perf_counter() < end:
                run_of(name, network, preset, size, data, keep)
        return all((folder_of(name, network, preset, size, keep) / "manifest.json").is_file() for preset, network in cases)

    classes = [name for name in size["classes"] if is_made(name)]
    if not classes:
        raise SystemExit("no class has all its runs: give the command again, with more --minutes")
    participant, rows = pretrained(PARTICIPANT, data), []
    for preset in PRESETS:
        runs = {
            (name, network): run_of(name, network, preset, size, data, keep) for name, network in product(classes, NETWORKS)
        }
        studied = list(runs.values())
        study, row = kit(preset, studied, keep / "kits" / preset)
        rows.append(row)
        rows += simulated_rows(preset, study, studied, participant, size["studies"], keep / "simulated")
        of_class: dict[str, list[Row]] = defaultdict(list)
        for (name, _), run in runs.items():
            for row in measured(run, participant, size["seeds"], data, name, shares):
                if row["unlike"] == shares[0]:
                    of_class[name].append(row)
                elif row["condition"] == OTHER:
                    of_class[name].append(row | {"condition": ANY})
        rows += difficulty_rows(preset, of_class, StudySettings().chance)
    if args.size == "full":
        rows += choice_rows(participant, size, data, keep)
    settings = {**size, "networks": NETWORKS, "participant": PARTICIPANT, "presets": PRESETS}
    complete = len(classes) == len(size["classes"])
    found = results("study", args.size, settings, rounded(rows), bars_of(rows), complete=complete, studied=classes)
    return int(not finish(found, args.json))


if __name__ == "__main__":
    sys.exit(main())
