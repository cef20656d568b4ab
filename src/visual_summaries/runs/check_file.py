"""``check.json`` of a run: what the randomization check found, kept beside the run as names are.

It belongs to the very images, regions and summaries that were checked; when they change, it is no longer read.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from visual_summaries.errors import RunError
from visual_summaries.files.atomic import plain, write_json
from visual_summaries.results import RandomizationCheck, Run
from visual_summaries.runs.checks import check_randomization
from visual_summaries.runs.packed import MismatchError, typed

CHECK = "check.json"
FORMAT = 1

#: Fields that are arrays.
_ARRAYS = ("masks", "moved", "summaries")


@dataclass(frozen=True)
class _Stored:
    """The file, its arrays as lists."""

    images: tuple[int, ...]
    masks: tuple[float, ...]
    moved: tuple[float, ...]
    summaries: tuple[float | None, ...]
    clusters: int


def save_check(run: Run, found: RandomizationCheck) -> Run:
    """Write what a check of a stored run found into its folder, and return the run with it; other runs only get it."""
    checked = replace(run, check=found)
    if run.path is not None:
        values = {"images": found.images, "clusters": found.clusters}
        values |= {name: getattr(found, name).tolist() for name in _ARRAYS}
        write_json(run.path / CHECK, {"format": FORMAT, "of": _key(run), **plain(values)})
    return checked


def load_check(run: Run) -> Run:
    """Return a run with what its folder's ``check.json`` says; unchanged where there is none, or one of other summaries.

    Raises
    ------
    RunError
        If the file is damaged.
    """
    if run.path is None or not (run.path / CHECK).is_file():
        return run
    path = run.path / CHECK
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(data, dict) or data.pop("format", None) != FORMAT:
            raise MismatchError(f"it is not of format {FORMAT}")
        if data.pop("of", None) != _key(run):
            return run
        found = _found(typed(data, _Stored, "it"))
        check_randomization(run, found)
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path} cannot be read ({error}); delete it, and run `check` again") from error
    return replace(run, check=found)


def _found(stored: _Stored) -> RandomizationCheck:
    arrays: dict[str, Any] = {name: np.array(getattr(stored, name), np.float64) for name in _ARRAYS}  # None becomes NaN
    return RandomizationCheck(images=stored.images, clusters=stored.clusters, **arrays)


def _key(run: Run) -> str:
    """Return a hash of what a check says something about."""
    regions = [(region.image, region.box) for region in run.regions]
    summaries = [summary.cluster for summary in run.summaries]
    known = json.dumps([[image.sha256 for image in run.images], regions, summaries], default=int)
    return hashlib.sha256(known.encode()).hexdigest()
