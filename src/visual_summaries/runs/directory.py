"""A run on disk: plain JSON for what is small, ``.npz`` without pickle for arrays, the manifest last.

The layout is described in ``docs/run-format.md``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from visual_summaries.errors import RunError
from visual_summaries.files.arrays import load_arrays, pack, save_arrays, unpack
from visual_summaries.files.atomic import CHECKSUMS, plain, sha256_of, take_checksums, temporary_of, write_json, writing
from visual_summaries.files.journal import JOURNAL
from visual_summaries.files.lock import HOLDER, LOCK, require_unlocked
from visual_summaries.results import (
    Chance,
    Change,
    Component,
    Cue,
    Faithfulness,
    Image,
    JointEffects,
    Mask,
    Mistake,
    PartNumber,
    Parts,
    Place,
    Region,
    Run,
    RunAnalysis,
    RunInfo,
    Skipped,
    Summary,
    SummaryAnalysis,
    Together,
)
from visual_summaries.runs.check_file import load_check
from visual_summaries.runs.checks import check_run
from visual_summaries.runs.packed import MismatchError, join_results, split_results, typed
from visual_summaries.runs.tags_file import load_names
from visual_summaries.settings import Settings

_T = TypeVar("_T")

FORMAT = 3
MANIFEST = "manifest.json"

#: Files whose checksums are in the manifest.
FILES = ("run.json", "arrays.npz")

#: Arrays of one size for each mask.
_OF_MASKS = ("smooth", "sharp", "after", "hidden")

#: What the analysis of a run is made of: one of each at most, and any number of each.
_OF_ANALYSIS = {"joint": JointEffects, "chance": Chance, "together": Together}
_OF_SHORTCUTS = {"places": Place, "cues": Cue, "changes": Change, "mistakes": Mistake}

#: No number of a run is larger.
_LARGEST = 2**62


def save_run(run: Run, path: Path) -> None:
    """Write a run to a directory, which is made if it is not there; the manifest comes last.

    Raises
    ------
    RunError
        If the directory cannot be written to.
    """
    summaries = run.summaries + run.rejected
    members = [member for summary in summaries for member in summary.members]
    arrays: dict[str, NDArray[np.generic]] = {
        "views": np.stack([image.view for image in run.images]),
        **{name: np.stack([getattr(mask, name) for mask in run.masks]) for name in _OF_MASKS},
        "similarity": run.similarity,
        "descriptors": run.descriptors,
        **pack("losses", [mask.losses for mask in run.masks], 1, np.float32),
        **pack("components", [c.mask for c in run.components], 2, bool),
        **pack("regions", [r.mask for r in run.regions], 2, bool),
        **pack("warped", [m.warped for m in members], 3, np.uint8),
    }
    if run.faithfulness is not None:
        arrays |= {f"faithfulness_{name}": value for name, value in vars(run.faithfulness).items()}
    superpixel = [mask.superpixel for mask in run.masks if mask.superpixel is not None]
    if superpixel:
        arrays["superpixel"] = np.stack(superpixel)
    parts, packed_parts = split_results("parts", [] if run.parts is None else [replace(run.parts, numbers=())])
    arrays |= packed_parts
    analyses, packed = split_results("analyses", [s.analysis for s in summaries if s.analysis is not None])
    together: dict[str, Any] = {}
    for name in _OF_ANALYSIS | _OF_SHORTCUTS if run.analysis is not None else ():
        own = getattr(run.analysis, name)
        together[name], more = split_results(f"analysis.{name}", own if name in _OF_SHORTCUTS else [own] * (own is not None))
        packed |= more
    # A run that is written again is not complete in between.
    with writing(path / MANIFEST):
        (path / MANIFEST).unlink(missing_ok=True)
    save_arrays(path / "arrays.npz", arrays | packed)
    write_json(
        path / "run.json",
        {
            **{name: [_scalars(one) for one in getattr(run, name)] for name in ("images", "masks", "components", "regions")},
            **{name: [_summary_scalars(one) for one in getattr(run, name)] for name in ("summaries", "rejected")},
            # One for each summary that has one: summaries first, then the rejected.
            "analyses": analyses,
            "analyzed": [summary.analysis is not None for summary in summaries],
            "analysis": None if run.analysis is None else together,
            # For programs that read no arrays; a loaded run judges again. Summaries are positions, as everywhere in this file.
            "verdict": plain(asdict(run.verdict)),
            "parts": parts,
            "numbers": [] if run.parts is None else [_scalars(one) for one in run.parts.numbers],
            "skipped": [_scalars(skipped) for skipped in run.skipped],
            "settings": run.settings.to_dict(),
        },
    )
    write_json(path / MANIFEST, {"format": FORMAT, "complete": True, **asdict(run.info), CHECKSUMS: sha256_of(path, FILES)})


def load_run(path: str | Path) -> Run:
    """Return the run that a directory holds; it equals the run that was computed.

    Nothing in the directory is executed.

    Parameters
    ----------
    path : str or Path
        A directory that ``summarize`` or ``visual-summaries run`` wrote.

    Raises
    ------
    RunError
        If there is no such directory, it holds no complete run, or a file of it is damaged or of another format.

    Examples
    --------
    >>> load_run("no/such/run")
    Traceback (most recent call last):
    ...
    visual_summaries.errors.RunError: no/such/run is not a folder; give the folder that a run was written to (--out)
    """
    path = Path(path)
    if not path.is_dir():
        raise RunError(f"{path} is not a folder; give the folder that a run was written to (--out)")
    manifest = read_manifest(path)
    take_checksums(path, manifest, FILES)
    data = read_results(path)
    arrays = {name.replace("parts.centres", "parts.centers"): value for name, value in load_arrays(path / "arrays.npz").items()}
    try:
        run = _assemble(path, manifest, data, arrays)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, RuntimeError) as error:
        versions = manifest.get("versions")
        writer = versions.get("visual-summaries", "") if isinstance(versions, dict) else "an unknown version"
        raise RunError(
            f"{path} is damaged, or does not fit this version ({type(error).__name__}: {error}); it was written by "
            f"visual-summaries {writer}: compute the run again, or load it with that version"
        ) from error
    return load_check(load_names(check_run(run, path)))


def find_runs(folders: Iterable[str | Path]) -> list[Path]:
    """Return the complete runs in some folders: each folder itself, or those at any depth below it, by their paths.

    Raises
    ------
    RunError
        If a folder holds none.
    """
    found: list[Path] = []
    for folder in map(Path, folders):
        own: list[Path] = []
        for path in sorted((path.parent for path in folder.rglob(MANIFEST)), key=lambda path: path.parts):
            if not own or own[-1] not in path.parents:  # what a run keeps inside its folder is no run of the user's
                own.append(path)
        if not own:
            raise RunError(f"{folder} holds no complete run; give folders that `run` wrote (--out)")
        found += [path for path in own if path not in found]
    return found


def read_manifest(path: Path) -> dict[str, Any]:
    """Return the manifest of the run in a directory; raise RunError if it is missing, damaged or of another format."""
    manifest = _read_json(path / MANIFEST)
    if manifest.get("format") != FORMAT:
        raise RunError(
            f"{path / MANIFEST} has format {manifest.get('format')!r}, but this version reads format {FORMAT}; "
            "install the version that wrote it (its 'versions' entry tells) or compute the run again"
        )
    return manifest


def read_info(path: Path) -> RunInfo:
    """Return what the run in a directory says about itself; raise RunError if its manifest is missing or damaged."""
    try:
        return typed(read_manifest(path), RunInfo, "manifest")
    except MismatchError as error:
        raise RunError(f"{path} is damaged, or does not fit this version ({error})") from error


def read_results(path: Path) -> dict[str, Any]:
    """Return ``run.json`` of the run in a directory, its fields under the names of today."""
    found: dict[str, Any] = _renamed(_read_json(path / "run.json"))
    return found


#: Names of fields in runs of version 0.1, and of today.
_FORMER = {"analysed": "analyzed", "centres": "centers", "neighbours": "neighbors"}


def _renamed(data: Any) -> Any:
    if isinstance(data, list):
        return [_renamed(item) for item in data]
    if not isinstance(data, dict):
        return data
    if "blur_size" in data and "hidden" in data:  # of the masks' settings; masks have another field of this name
        data = {"infill" if name == "hidden" else name: value for name, value in data.items()}
    return {_FORMER.get(name, name): _renamed(value) for name, value in data.items()}


def _assemble(path: Path, manifest: dict[str, Any], data: dict[str, Any], arrays: dict[str, Any]) -> Run:
    def stacked(kind: type[_T], name: str, arrays_of: dict[str, Sequence[Any]]) -> tuple[_T, ...]:
        rows = zip(data[name], *arrays_of.values(), strict=True)
        return tuple(
            typed({**item, **dict(zip(arrays_of, own, strict=True))}, kind, f"{name}.{number}")
            for number, (item, *own) in enumerate(rows)
        )

    def analysis(name: str) -> Any:
        if name in _OF_SHORTCUTS:  # runs of version 0.1 have none
            return tuple(join_results(_OF_SHORTCUTS[name], f"analysis.{name}", data["analysis"].get(name, ()), arrays))
        return next(iter(join_results(_OF_ANALYSIS[name], f"analysis.{name}", data["analysis"][name], arrays)), None)

    names = _OF_ANALYSIS | _OF_SHORTCUTS
    curves = {key.removeprefix("faithfulness_"): own for key, own in arrays.items() if key.startswith("faithfulness_")}
    pictures = unpack("warped", arrays)
    count = sum(len(item["members"]) for group in ("summaries", "rejected") for item in data[group])
    if count != len(pictures):
        raise MismatchError(f"{count} members, but {len(pictures)} pictures of members")
    warped = iter(pictures)
    analyses = iter(join_results(SummaryAnalysis, "analyses", data["analyses"], arrays))
    analyzed = iter(data["analyzed"])
    groups: dict[str, Any] = {}
    for group in ("summaries", "rejected"):
        for item in data[group]:
            item["members"] = [{**member, "warped": next(warped)} for member in item["members"]]
        found = [typed(item, Summary, f"{group}.{number}") for number, item in enumerate(data[group])]
        groups[group] = tuple(replace(one, analysis=next(analyses)) if next(analyzed, False) else one for one in found)
    masks: dict[str, Any] = {name: arrays[name] for name in _OF_MASKS}
    masks["superpixel"] = arrays.get("superpixel", [None] * len(data["masks"]))
    parts = join_results(Parts, "parts", data["parts"], arrays)
    numbers = stacked(PartNumber, "numbers", {})
    return Run(
        images=stacked(Image, "images", {"view": arrays["views"]}),
        masks=stacked(Mask, "masks", {**masks, "losses": unpack("losses", arrays)}),
        components=stacked(Component, "components", {"mask": unpack("components", arrays)}),
        regions=stacked(Region, "regions", {"mask": unpack("regions", arrays)}),
        descriptors=typed(arrays["descriptors"], NDArray[np.float32], "descriptors"),
        similarity=typed(arrays["similarity"], NDArray[np.float32], "similarity"),
        **groups,
        skipped=stacked(Skipped, "skipped", {}),
        settings=typed(Settings.from_dict(data["settings"]).to_dict(), Settings, "settings"),
        info=typed(manifest, RunInfo, "manifest"),
        faithfulness=typed(curves, Faithfulness, "faithfulness") if curves else None,
        analysis=RunAnalysis(**{name: analysis(name) for name in names}) if data["analysis"] is not None else None,
        parts=replace(parts[0], numbers=numbers) if parts else None,
        path=path,
    )


def _scalars(item: Any) -> dict[str, Any]:
    """Return the fields of a result that are no arrays."""
    values = {f.name: getattr(item, f.name) for f in fields(item)}
    return {k: v for k, v in values.items() if not isinstance(v, np.ndarray) and k != "superpixel"}


def _summary_scalars(summary: Summary) -> dict[str, Any]:
    values = {**_scalars(summary), "members": [_scalars(member) for member in summary.members]}
    del values["analysis"]  # kept beside its arrays
    del values["tag"]  # kept in a file of its own, because people edit names
    return values


def _read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file of a run; raise RunError if it is missing, damaged, or holds something else."""
    try:
        text = path.read_text(encoding="utf-8")
        value = json.loads(text, parse_int=_bounded(int), parse_float=_bounded(float), parse_constant=_nan)
    except FileNotFoundError as error:
        raise RunError(f"{path} is missing: {path.parent} holds no complete run; finish it with --resume") from error
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path} cannot be read ({error}); it is damaged: compute the run again") from error
    if not isinstance(value, dict):
        raise RunError(f"{path} holds {type(value).__name__}, but must hold a JSON object; compute the run again")
    return value


def _bounded(number: Callable[[str], float]) -> Callable[[str], float]:
    """Return a reader of numbers that refuses those which nothing can be computed with."""

    def read(value: str) -> float:
        found = number(value)
        if abs(found) > _LARGEST:
            raise ValueError(f"{value[:20]} is too large a number")
        return found

    return read


def _nan(value: str) -> float:
    if value != "NaN":
        raise ValueError(f"{value} is no number of a run")
    return math.nan


def require_free(path: Path, resume: bool) -> None:
    """Check that a run may be written to a directory.

    Raises
    ------
    RunError
        If it holds a run already and `resume` is not set, is in use, or holds something else.
    """
    with writing(path):  # which says so when not even that can be looked up
        exists = path.exists()
    if not exists:
        return
    if not path.is_dir():
        raise RunError(f"{path} is a file, but the output must be a folder; choose another --out")
    names = {entry.name for entry in path.iterdir()}
    # A run may be killed while it writes who holds it: that is its first file.
    names = {name for name in names if name not in {LOCK, HOLDER, JOURNAL} and not temporary_of(name, HOLDER)}
    if not _holds_work(path / "pieces"):
        names.discard("pieces")
    ours = names & {MANIFEST, "pieces", "run.json"}
    if ours and not resume:
        require_unlocked(path)
        state = "a complete" if MANIFEST in names else "an unfinished"
        raise RunError(
            f"{path} already holds {state} run; add --resume (resume=True) to continue with it, or choose another --out"
        )
    if names and not ours:
        listed = ", ".join(sorted(names)[:3])
        raise RunError(f"{path} is not empty ({listed}, ...) and holds no run; choose a new or empty folder")


def _holds_work(pieces: Path) -> bool:
    """Whether there are pieces of a stage other than the first: answers alone are left where no image was of the class."""
    return pieces.exists() and any(file.parent.name != "answers" for file in pieces.glob("*/*"))
