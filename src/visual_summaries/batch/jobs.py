"""Which runs there are to make: folders of images, the classes that they mean, and where each run goes."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

from visual_summaries.classifiers import Classifier, ViewTransform, find_class
from visual_summaries.errors import NoImagesError, RunError, SettingsError, TargetError
from visual_summaries.images.gather import natural_key
from visual_summaries.images.kinds import is_image
from visual_summaries.runs.directory import read_info
from visual_summaries.runs.reading import MIN_IMAGES
from visual_summaries.settings.masks import EvidenceSettings

_NUMBERED = re.compile(r"(?P<index>\d{1,6})[ ._-]+(?P<name>.*\D.*)")

_WORDNET = re.compile(r"(?P<name>n\d{8})(?:[ ._-].*)?")


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
    found = tuple(entry for entry in entries if entry.is_dir() and holds_images(entry))
    loose = [entry for entry in entries if _is_image(entry)]
    if found and loose:
        raise NoImagesError(
            f"{folder} holds images (for example {loose[0].name}) beside folders of images (for example {found[0].name}): give "
            "--target if all of them are one class, or move the images into class folders"
        )
    return found


def holds_images(folder: Path) -> bool:
    """Return whether there are images anywhere in a folder."""
    return any(map(_is_image, folder.rglob("*")))


def _is_image(path: Path) -> bool:
    return path.is_file() and is_image(path)


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
    """Return a map from folder names to classes (names or indices), of a JSON object or a text with lines ``FOLDER,CLASS``.

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


def network_folders(models: Sequence[str]) -> list[str]:
    """Return a folder name for each network, all different.

    Examples
    --------
    >>> network_folders(["timm/resnet18.a1", "a/nets.py:small", "b/nets.py:small", "exported/net.pt2"])
    ['resnet18.a1', 'small', 'small-2', 'net']
    """
    names: list[str] = []
    for model in models:
        last = re.split(r"[/\\:]", model)[-1].removesuffix(".pt2").removesuffix(".onnx")
        name = re.sub(r"[^\w.+-]", "_", last) or "network"
        names.append(next(free for free in chain([name], (f"{name}-{n}" for n in count(2))) if free not in names))
    return names


#: What of a :class:`Job` says how its network is loaded; from the sixth on, how images are shown to it.
LOADING = (
    *("checkpoint", "class_names", "device", "score", "weights"),
    *("input_size", "mean", "std", "resize", "interpolation"),
)


@dataclass(frozen=True)
class Job:
    """A run that is planned: a network on the images of one class. Plain values, so that it can be sent anywhere.

    Attributes
    ----------
    model : str
        Specification of the network, see :func:`visual_summaries.load_classifier`.
    images, out : str
        Folder of the images, and of the run.
    target : str or None
        The class, by its name or index; None: it is found from the name of the folder of images.
    checkpoint, class_names, device, score, weights, input_size, mean, std, resize, interpolation
        As :func:`visual_summaries.load_classifier` has them, paths as str; :data:`LOADING`.
    preset, parts, evidence, evidence_loss, evidence_area, others, objects, max_images, batch_size, include_misclassified,
    random_state
        As :func:`visual_summaries.summarize` has them.
    """

    model: str
    images: str
    out: str
    target: str | None = None
    checkpoint: str | None = None
    class_names: str | None = None
    device: str | None = None
    score: str | None = None
    weights: str | None = None
    input_size: int | tuple[int, ...] | None = None
    mean: float | tuple[float, ...] | None = None
    std: float | tuple[float, ...] | None = None
    resize: int | tuple[int, int] | None = None
    interpolation: str | None = None
    preset: str = "default"
    parts: int | None = None
    evidence: str | None = None
    evidence_loss: float | None = None
    evidence_area: float | None = None
    others: str | None = None
    objects: str | None = None
    max_images: int | None = None
    batch_size: int | None = None
    include_misclassified: bool = False
    random_state: int = 0

    @property
    def name(self) -> str:
        """What tells it from other runs: the last two folders of `out`, those of network and class."""
        return "/".join(Path(self.out).parts[-2:])

    @property
    def finished(self) -> bool:
        """Whether the folder holds the complete run, made with the same of what changes its results."""
        try:
            info = read_info(Path(self.out))
        except RunError:
            return False
        shown = {name: getattr(self, name) for name in LOADING[5:] if getattr(self, name) is not None}
        if shown and (made := ViewTransform.from_dict(info.classifier.transform)).replace(**shown) != made:
            return False
        asked = ("preset", "parts", "random_state", "include_misclassified")
        loss = EvidenceSettings().loss if self.evidence_loss is None else self.evidence_loss
        given = None if self.evidence is None else (Path(self.evidence).name, loss, self.evidence_area)
        found = None if info.evidence is None else (info.evidence.source, info.evidence.loss, info.evidence.area)
        tested = bool(info.counts.get("others")) == (self.others is not None)
        return found == given and tested and all(getattr(info, name) == getattr(self, name) for name in asked)


def plan_jobs(
    models: Sequence[str],
    images: str | Path,
    out: str | Path,
    *,
    target: str | None = None,
    targets: Mapping[str, str] | None = None,
    checkpoints: Sequence[str | Path] = (),
    **options: Any,
) -> list[Job]:
    """List the runs of several networks on the classes of a folder. No network is loaded, and nothing is computed.

    Parameters
    ----------
    models : sequence of str
        Specifications of networks.
    images : str or Path
        Holds one folder of images for each class, named like the class or by its index (``229``,
        ``229_Old_English_sheepdog``, ``n02105641``); or is the folder of one class.
    out : str or Path
        Each run goes to ``out/NETWORK/FOLDER``; that of one network on one folder, which is `images` itself, to `out`.
    target : str, optional
        The one class of all images below `images`.
    targets : mapping, optional
        Classes of the folders, by name; only these folders are taken. Else classes are found from the folders' names.
    checkpoints : sequence of paths
        Of each model, in their order; or none.
    **options
        Other attributes of each :class:`Job`.

    Returns
    -------
    list of Job
        Network by network.

    Raises
    ------
    SettingsError
        If there is no model, another number of checkpoints, or evidence for several models.
    NoImagesError
        If there are no images, a folder of `targets` does not exist, or images lie beside folders of images.
    """
    if not models:
        raise SettingsError("models is empty, but at least one network is needed")
    if checkpoints and len(checkpoints) != len(models):
        raise SettingsError(f"{len(checkpoints)} checkpoints are given for {len(models)} models: give one for each, or none")
    weights: list[str | None] = [str(path) for path in checkpoints] or [None] * len(models)
    chosen = _folders(Path(images), target, targets)
    if len(models) == 1 and [folder for folder, _ in chosen] == [Path(images)]:
        return [Job(models[0], str(images), str(out), target, weights[0], **options)]
    if (evidence := options.pop("evidence", None)) is not None and len(models) > 1:
        raise SettingsError(f"evidence {evidence} is of one network, but {len(models)} are given: explain them one by one")
    # Where several classes are explained, images of the others are there to test cues on, if each class leaves some.
    counts = [len(list(islice(filter(_is_image, folder.rglob("*")), MIN_IMAGES))) for folder, _ in chosen]
    if options.get("others") is None and all(sum(counts) - own >= MIN_IMAGES for own in counts):
        options["others"] = str(images)
    return [
        Job(
            model,
            str(folder),
            str(Path(out) / name / folder.resolve().name),
            wanted,
            checkpoint,
            evidence=None if evidence is None else str(Path(evidence) / folder.resolve().name),
            **options,
        )
        for model, name, checkpoint in zip(models, network_folders(models), weights, strict=True)
        for folder, wanted in chosen
    ]


def _folders(images: Path, target: str | None, targets: Mapping[str, str] | None) -> list[tuple[Path, str | None]]:
    """Return the folder of each class, and its class where that is known."""
    if targets is not None:
        for name in targets:
            if not (images / name).is_dir():
                raise NoImagesError(f"{images / name} of the map of targets is not a folder; its names are those in {images}")
        return [(images / name, wanted) for name, wanted in targets.items()]
    folders = () if target is not None else class_folders(images)
    if not folders and not holds_images(images):
        raise NoImagesError(f"{images} holds no images: give a folder of images, or a folder of class folders")
    return [(folder, target) for folder in folders or (images,)]
