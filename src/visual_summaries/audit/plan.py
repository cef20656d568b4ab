"""Which runs an audit is made of: each class that has a folder of images, times each network."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from visual_summaries.classifiers import Classifier, load_classifier, resolve_target
from visual_summaries.errors import NoImagesError, SettingsError, TargetError
from visual_summaries.report.context import short_spec


@dataclass(frozen=True)
class Job:
    """One run: a class of a network. Plain values, so that it can be sent anywhere.

    Attributes
    ----------
    model : str
        Specification of the network.
    images, out : str
        Folder of the images, and of the run.
    target : int
        Index of the class.
    name : str
        Of the class, for a reader.
    checkpoint, class_names, device : str or None
    preset : str
    max_images : int or None
    include_misclassified : bool
    random_state : int
    """

    model: str
    images: str
    out: str
    target: int
    name: str
    checkpoint: str | None = None
    class_names: str | None = None
    device: str | None = None
    preset: str = "default"
    max_images: int | None = None
    include_misclassified: bool = False
    random_state: int = 0

    @property
    def finished(self) -> bool:
        """Whether the folder holds the complete run."""
        return (Path(self.out) / "manifest.json").is_file()


def plan_jobs(
    models: Sequence[str],
    images: str | Path,
    out: str | Path,
    *,
    checkpoints: Sequence[str | Path] = (),
    class_names: str | Path | None = None,
    device: str | None = None,
    preset: str = "default",
    max_images: int | None = None,
    include_misclassified: bool = False,
    random_state: int = 0,
) -> list[Job]:
    """List the runs of an audit. Each network is loaded once, to learn its classes; nothing is computed.

    Parameters
    ----------
    models : sequence of str
        Specifications, see :func:`visual_summaries.load_classifier`.
    images : str or Path
        Holds one folder of images for each class, called like the class, or by its index (``229``,
        ``229_Old_English_sheepdog``).
    out : str or Path
        Each run goes to ``out/NETWORK/FOLDER``.
    checkpoints : sequence of paths
        Of each model, in their order; or none.
    class_names, device, preset, max_images, include_misclassified, random_state
        As :func:`visual_summaries.summarize` and :func:`visual_summaries.load_classifier` have them.

    Raises
    ------
    SettingsError
        If there is no model, or another number of checkpoints.
    NoImagesError
        If there are no folders.
    TargetError
        If a folder's name is no class of a network; all of these are named.
    """
    if not models:
        raise SettingsError("models is empty, but an audit needs at least one network")
    if checkpoints and len(checkpoints) != len(models):
        raise SettingsError(f"{len(checkpoints)} checkpoints are given for {len(models)} models: give one for each, or none")
    folders = _folders(Path(images))
    jobs, wrong = [], []
    for number, (model, name) in enumerate(zip(models, _network_names(models), strict=True)):
        checkpoint = str(checkpoints[number]) if checkpoints else None
        classifier = load_classifier(model, checkpoint, None if class_names is None else str(class_names))
        for folder in folders:
            try:
                target = class_of(folder.name, classifier)
            except TargetError:
                wrong.append(f"{folder.name} ({model})")
                continue
            jobs.append(
                Job(
                    model=model,
                    images=str(folder),
                    out=str(Path(out) / name / folder.name),
                    target=target,
                    name=classifier.class_names[target],
                    checkpoint=checkpoint,
                    class_names=None if class_names is None else str(class_names),
                    device=device,
                    preset=preset,
                    max_images=max_images,
                    include_misclassified=include_misclassified,
                    random_state=random_state,
                )
            )
    if wrong:
        listed = ", ".join(wrong[:5]) + (", ..." if len(wrong) > 5 else "")
        raise TargetError(
            f"{len(wrong)} folders of {images} are called like no class: {listed}. Call each like its class or by its index "
            "(229, or 229_Old_English_sheepdog), and keep others elsewhere"
        )
    return jobs


def class_of(folder: str, classifier: Classifier) -> int:
    """Return the index of the class that a folder is called after.

    Raises
    ------
    TargetError
        If there is none.
    """
    number = re.match(r"(\d+)(?:$|[ _.-])", folder)
    for name in (folder, int(number.group(1)) if number else None):
        if name is not None:
            try:
                found = resolve_target(classifier, name).index
            except TargetError:
                continue
            if found is not None:
                return found
    raise TargetError(f"folder {folder!r} is called like no class of {classifier.spec}")


def _folders(images: Path) -> list[Path]:
    if not images.is_dir():
        raise NoImagesError(f"{images} is not a folder: give one that holds a folder of images for each class")
    folders = sorted(path for path in images.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not folders:
        raise NoImagesError(f"{images} holds no folders: give one that holds a folder of images for each class")
    return folders


def _network_names(models: Sequence[str]) -> list[str]:
    """Return a name for the folder of each network's runs.

    Examples
    --------
    >>> _network_names(["timm/resnet50.a1_in1k", "nets/mine.py:build", "old/mine.py:build"])
    ['timm-resnet50.a1_in1k', 'mine.py-build', 'mine.py-build-2']
    """
    names: list[str] = []
    for model in models:
        plain = re.sub(r"[^\w.]+", "-", short_spec(model)).strip("-.") or "network"
        count = sum(re.fullmatch(rf"{re.escape(plain)}(-\d+)?", name) is not None for name in names)
        names.append(f"{plain}-{count + 1}" if count else plain)
    return names
