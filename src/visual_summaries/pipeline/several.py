"""Several classes and several networks in one go: which folder is which class, and one run for each pair."""

from __future__ import annotations

import csv
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visual_summaries.classifiers import Classifier, find_class
from visual_summaries.errors import NoImagesError, SettingsError, TargetError, VisualSummariesError
from visual_summaries.images.gather import IMAGE_SUFFIXES, natural_key
from visual_summaries.pipeline.job import summarize
from visual_summaries.results import Run

_NUMBERED = re.compile(r"(?P<index>\d{1,6})[ ._-]+(?P<name>.*\D.*)")
_WORDNET = re.compile(r"(?P<name>n\d{8})(?:[ ._-].*)?")


@dataclass(frozen=True)
class Job:
    """One network on one folder of images of one class.

    Attributes
    ----------
    model : str
        Specification of the network.
    images : Path
        Folder of the class's images.
    target : str or None
        The class; None: it is found from the folder's name.
    out : Path
        Folder for the run.
    """

    model: str
    images: Path
    target: str | None
    out: Path


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes
    ----------
    job : Job
    run : Run or None
        None when it failed.
    error : Exception or None
        Why it failed.
    seconds : float
    """

    job: Job
    run: Run | None
    error: Exception | None
    seconds: float


def class_folders(images: str | Path) -> tuple[Path, ...]:
    """Return the folders in a folder that hold images, in the natural order of their names.

    An empty tuple means that the images lie in the folder itself: it is one class.

    Raises
    ------
    NoImagesError
        If the folder does not exist, or holds images beside folders of images, so that it is not clear what is a class.
    """
    folder = Path(images)
    if not folder.is_dir():
        raise NoImagesError(f"{folder} is not a folder: give a folder of images, or a folder of class folders")
    entries = sorted((e for e in folder.iterdir() if not e.name.startswith(".")), key=lambda entry: natural_key(entry.name))
    found = tuple(entry for entry in entries if entry.is_dir() and any(map(_is_image, entry.rglob("*"))))
    loose = [entry for entry in entries if _is_image(entry)]
    if found and loose:
        raise NoImagesError(
            f"{folder} holds images (for example {loose[0].name}) beside folders of images (for example {found[0].name}): give "
            "--target if all of them are one class, or move the images into class folders"
        )
    return found


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()


def target_of_folder(name: str, classifier: Classifier) -> int:
    """Return the class that a folder's name means.

    Understood are the name of a class, ``155``, ``155_Shih-Tzu`` (the number counts, and a name that is another class of
    the network is an error), and WordNet identifiers: ``n02086240``, ``n02086240-Shih-Tzu``.

    Raises
    ------
    TargetError
        If no class of the network is meant, or number and name mean two.

    Examples
    --------
    >>> import torch
    >>> from visual_summaries.classifiers import ViewTransform
    >>> net = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    >>> classifier = Classifier(net, transform=ViewTransform((6, 8)), class_names=["tabby", "Shih-Tzu", "crane"])
    >>> [target_of_folder(name, classifier) for name in ("shih_tzu", "2", "001_Shih-Tzu", "2_bird")]
    [1, 2, 1, 2]
    """
    wordnet, numbered = _WORDNET.fullmatch(name), _NUMBERED.fullmatch(name)
    said = wordnet["name"] if wordnet else str(int(numbered["index"])) if numbered else name
    try:
        index = find_class(classifier.class_names, said, classifier.synonyms)
    except TargetError as error:
        raise TargetError(f"folder {name} names no class: {error}; or give it with --target or --targets") from error
    if wordnet or not numbered:
        return index
    try:
        named = find_class(classifier.class_names, numbered["name"], classifier.synonyms)
    except TargetError:  # "17_Blue_Jay" where the network says "jay": the number tells
        return index
    if named != index:
        raise TargetError(
            f"folder {name} means two classes: number {index} is {classifier.class_names[index]!r}, but "
            f"{numbered['name']!r} is number {named}; rename it, or give a map with --targets"
        )
    return index


def read_targets(path: str | Path) -> dict[str, str]:
    """Return a map from folder names to classes.

    Parameters
    ----------
    path : str or Path
        JSON ``{"FOLDER": CLASS}``, or text with a line ``FOLDER,CLASS`` (or a tab) for each folder; a class is a name or an
        index.

    Raises
    ------
    SettingsError
        If the file cannot be read or has another form.
    """
    path = Path(path)
    try:
        content = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".json":
            data = json.loads(content)
            if not isinstance(data, dict):
                raise ValueError(f"it holds {type(data).__name__}, but must map folders to classes")
            return {str(folder): str(target) for folder, target in data.items()}
        lines = [line for line in content.splitlines() if line.strip() and not line.startswith("#")]
        rows = list(csv.reader(lines, delimiter="\t" if all("\t" in line for line in lines) else ","))
        if not rows or any(len(row) != 2 for row in rows):
            raise ValueError("each line must hold a folder and its class, with a comma or a tab between them")
    except (OSError, ValueError) as error:
        raise SettingsError(f"targets {path} cannot be read: {error}") from error
    return {folder.strip(): target.strip() for folder, target in rows}


def plan(
    models: Sequence[str],
    images: str | Path,
    out: str | Path,
    *,
    target: str | None = None,
    targets: Mapping[str, str] | None = None,
) -> list[Job]:
    """Return the jobs of several networks on the classes of a folder; runs go to ``out/NETWORK/CLASS``.

    Parameters
    ----------
    models : sequence of str
        Specifications of networks.
    images : str or Path
        Folder of class folders, or the folder of one class.
    out : str or Path
    target : str, optional
        The one class of all images below `images`.
    targets : mapping, optional
        Classes of the folders, by name; only these folders are taken. Else classes are found from the folders' names.

    Returns
    -------
    list of Job
        Network by network.

    Raises
    ------
    NoImagesError
        If `images` or a folder of `targets` does not exist.
    """
    folder = Path(images)
    if target is not None:
        chosen: list[tuple[Path, str | None]] = [(folder, target)]
    elif targets is not None:
        chosen = [(folder / name, wanted) for name, wanted in targets.items()]
        missing = [path for path, _ in chosen if not path.is_dir()]
        if missing:
            raise NoImagesError(
                f"{missing[0]} of the map of targets is not a folder; its names are those of folders in {folder}"
            )
    else:
        chosen = [(path, None) for path in class_folders(folder) or (folder,)]
    names = network_folders(models)
    return [
        Job(model, path, wanted, Path(out) / name / (path.name or path.resolve().name))
        for model, name in zip(models, names, strict=True)
        for path, wanted in chosen
    ]


def network_folders(models: Sequence[str]) -> list[str]:
    """Return a folder name for each network, all different.

    Examples
    --------
    >>> network_folders(["timm/resnet18.a1", "a/nets.py:small", "b/nets.py:small", "exported/net.pt2"])
    ['resnet18.a1', 'small', 'small-2', 'net']
    """
    names: list[str] = []
    for model in models:
        last = re.split(r"[/\\:]", model)[-1].removesuffix(".pt2")
        name = re.sub(r"[^\w.+-]", "_", last) or "network"
        times = Counter(re.sub(r"-\d+$", "", other) if other.startswith(f"{name}-") else other for other in names)[name]
        names.append(f"{name}-{times + 1}" if times else name)
    return names


def summarize_several(jobs: Sequence[Job], load: Callable[[str], Classifier], **options: Any) -> Iterator[Outcome]:
    """Do jobs one after the other; one that fails is told, and the others go on.

    Parameters
    ----------
    jobs : sequence of Job
        Those of one network beside each other, so that it is loaded once.
    load : callable
        Makes a classifier from a specification.
    **options
        For :func:`~visual_summaries.summarize`.

    Yields
    ------
    Outcome
        As each job ends.
    """
    loaded: tuple[str, Classifier | Exception] | None = None
    for job in jobs:
        start = time.perf_counter()
        run: Run | None = None
        failure: Exception | None = None
        try:
            if loaded is None or loaded[0] != job.model:
                loaded = (job.model, _loaded(load, job.model))
            if isinstance(loaded[1], Exception):
                raise loaded[1]
            target: int | str = job.target if job.target is not None else target_of_folder(job.images.resolve().name, loaded[1])
            run = summarize(loaded[1], job.images, target, job.out, **options)
        except (VisualSummariesError, RuntimeError, OSError) as error:  # out of memory, a full disk: other classes may do
            failure = error
        yield Outcome(job, run, failure, time.perf_counter() - start)


def _loaded(load: Callable[[str], Classifier], model: str) -> Classifier | Exception:
    """Return the classifier, or why there is none, so that this is tried once."""
    try:
        return load(model)
    except (VisualSummariesError, RuntimeError, OSError) as error:
        return error
