"""A simulated participant: another network's features take the tasks that need no words.

It chooses as the intruder the region that is least like the others, and prefers the side whose rows hold together. That
exercises the kit from end to end and gives a first figure; it is no person, and is marked as simulated wherever it appears.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import normalize

from visual_summaries.classifiers import Classifier
from visual_summaries.errors import StudyError
from visual_summaries.files.atomic import write_json
from visual_summaries.flow.deep import deep_descriptor, pooled
from visual_summaries.progress import Progress, report_progress
from visual_summaries.results import Run
from visual_summaries.runs.directory import load_run
from visual_summaries.study.answers import ANSWERS_FORMAT, SIMULATED_KINDS, VERSION
from visual_summaries.study.key import Key, load_key

Vectors = Mapping[int, NDArray[np.float32]]


def simulate_answers(
    study: str | Path | Key,
    classifier: Classifier,
    out: str | Path,
    *,
    runs: Sequence[Run] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Take the intruder and preference tasks of a study with the features of a network, and write its answer file.

    Parameters
    ----------
    study : str, Path or Key
        The study's page or key.
    classifier : Classifier
        A network that none of the runs explains.
    out : str or Path
        The answer file.
    runs : sequence of Run, optional
        The study's runs in its order; loaded from where the key says they are unless given.
    progress : callable, optional

    Returns
    -------
    Path
        The file.

    Raises
    ------
    StudyError
        If the network is one of those explained, the study has no task for it, or a run is not the one that the study was
        made of, or the network has no feature maps.
    RunError
        If a run is not where it was.
    """
    key = study if isinstance(study, Key) else load_key(study)
    weights = classifier.weights_sha256
    for described in key.runs:
        if described["weights_sha256"] == weights:
            raise StudyError(
                f"{classifier.spec} is the network that {described['path']} explains; its features would judge themselves: "
                "give another network (--model)"
            )
    tasks = {name: task for kind in SIMULATED_KINDS for name, task in key.of_kind(kind).items()}
    if not tasks:
        raise StudyError("this study has neither intruder nor preference tasks, the only ones that a network can take")
    runs = runs or [load_run(Path(os.path.normpath(key.path.parent / described["path"]))) for described in key.runs]
    _require_same(runs, key)
    vectors = {
        position: region_features(run, sorted(set(_regions_of(tasks.values(), position))), classifier, progress)
        for position, run in enumerate(runs)
    }
    answers = [
        {"task": name, "kind": task["kind"], "choice": _choice(task, vectors), "seconds": None} for name, task in tasks.items()
    ]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    write_json(
        Path(out),
        {
            "format": ANSWERS_FORMAT,
            "version": VERSION,
            "study": key.study,
            "participant": f"simulated-{weights[:12]}",
            "simulated": {"model": classifier.spec, "weights_sha256": weights},
            "started": now,
            "finished": now,
            "complete": True,
            "answers": answers,
            "practice": [],
            "comment": "",
        },
    )
    return Path(out)


def _require_same(runs: Sequence[Run], key: Key) -> None:
    if len(runs) != len(key.runs):
        raise StudyError(f"{len(runs)} runs were given, but the study was made of {len(key.runs)}: give them in its order")
    for run, described in zip(runs, key.runs, strict=True):
        if (run.info.created, len(run.regions)) != (described["created"], described["regions"]):
            raise StudyError(
                f"the run in {run.path} is not the one that the study was made of ({described['path']}, created "
                f"{described['created']}); build the study again"
            )


def _regions_of(tasks: Iterable[Mapping[str, Any]], run: int) -> Iterator[int]:
    for task in tasks:
        if task["kind"] == "intruder":
            yield from task["options"].values() if task["run"] == run else ()
        else:
            rows = [row for side in task["sides"].values() if side["run"] == run for row in side["rows"]]
            yield from (region for row in rows for region in row.values())


def region_features(run: Run, regions: Sequence[int], classifier: Classifier, progress: Progress | None = None) -> Vectors:
    """Return a vector of length 1 for each region: feature maps averaged over its box, centered over all these regions.

    Raises
    ------
    StudyError
        If the network has no feature maps.
    """
    of_image: dict[int, list[int]] = {}
    for region in regions:
        of_image.setdefault(run.regions[region].image, []).append(region)
    descriptor = deep_descriptor(classifier)
    if not descriptor.layers:
        raise StudyError(f"{classifier.spec} has no feature maps to judge by: give another network (--model)")
    found: list[list[torch.Tensor]] = []
    with classifier.frozen(), torch.no_grad():
        for done, (image, own) in enumerate(of_image.items(), start=1):
            view = run.images[image].view
            boxes = np.array([run.regions[region].box for region in own], np.int32)
            found.append([pooled(one, boxes, view.shape[:2]).mean(dim=(2, 3)).cpu() for one in descriptor.maps(view)])
            report_progress(progress, "features", done, len(of_image))
    if not found:
        return {}
    stages = [torch.cat(own) for own in zip(*found, strict=True)]
    # Without its mean, what all regions share (background, the style of the drawing) does not count as likeness.
    joined = torch.cat([normalize(stage - stage.mean(0, keepdim=True), dim=1) for stage in stages], dim=1)
    order = [region for own in of_image.values() for region in own]
    return dict(zip(order, normalize(joined, dim=1).numpy(), strict=True))


def _choice(task: Mapping[str, Any], vectors: Mapping[int, Vectors]) -> str | None:
    if task["kind"] == "intruder":
        names = sorted(task["options"])  # an order that tells nothing: ids are random
        own = np.stack([vectors[task["run"]][task["options"][name]] for name in names])
        return str(names[int(likeness(own).argmin())])
    coherence = {str(name): _coherence(side, vectors[side["run"]]) for name, side in task["sides"].items()}
    return max(coherence, key=coherence.__getitem__) if len(set(coherence.values())) > 1 else None


def likeness(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean likeness (cosine) of each vector (N, D) of length 1 to the others: ``(N,)``."""
    return np.asarray(((vectors @ vectors.T).sum(axis=1) - 1) / (len(vectors) - 1), np.float32)


def _coherence(side: Mapping[str, Any], vectors: Vectors) -> float:
    """Return mean likeness within rows minus mean likeness between rows (0 where there is only one)."""
    rows = [[vectors[region] for region in row.values()] for row in side["rows"]]
    within = [float(a @ b) for row in rows for i, a in enumerate(row) for b in row[:i]]
    between = [float(a @ b) for i, row in enumerate(rows) for other in rows[:i] for a in row for b in other]
    return sum(within) / max(len(within), 1) - sum(between) / max(len(between), 1)
