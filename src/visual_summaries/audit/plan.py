"""Which runs there are to do: each class that has a folder of images, times each network."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visual_summaries.audit.folders import class_folders, holds_images, network_folders
from visual_summaries.errors import NoImagesError, SettingsError


@dataclass(frozen=True)
class Job:
    """One run: a network on the images of one class. Plain values, so that it can be sent anywhere.

    Attributes
    ----------
    model : str
        Specification of the network, see :func:`visual_summaries.load_classifier`.
    images, out : str
        Folder of the images, and of the run.
    target : str or None
        The class, by its name or index; None: it is found from the name of the folder of images.
    checkpoint, class_names, device : str or None
        As :func:`visual_summaries.load_classifier` has them.
    preset : str
    parts : int or None
    max_images, batch_size : int or None
    include_misclassified : bool
    random_state : int
        As :func:`visual_summaries.summarize` has them.
    """

    model: str
    images: str
    out: str
    target: str | None = None
    checkpoint: str | None = None
    class_names: str | None = None
    device: str | None = None
    preset: str = "default"
    parts: int | None = None
    max_images: int | None = None
    batch_size: int | None = None
    include_misclassified: bool = False
    random_state: int = 0

    @property
    def finished(self) -> bool:
        """Whether the folder holds the complete run, made with this preset, number of parts and seed."""
        try:
            manifest = json.loads((Path(self.out) / "manifest.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        asked = {name: getattr(self, name) for name in ("preset", "parts", "random_state", "include_misclassified")}
        return isinstance(manifest, dict) and {name: manifest.get(name) for name in asked} == asked


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
        Holds one folder of images for each class, called like the class or by its index (``229``,
        ``229_Old_English_sheepdog``, ``n02105641``); or is the folder of one class.
    out : str or Path
        Each run goes to ``out/NETWORK/FOLDER``.
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
        If there is no model, or another number of checkpoints.
    NoImagesError
        If there are no images, a folder of `targets` does not exist, or images lie beside folders of images.
    """
    if not models:
        raise SettingsError("models is empty, but at least one network is needed")
    if checkpoints and len(checkpoints) != len(models):
        raise SettingsError(f"{len(checkpoints)} checkpoints are given for {len(models)} models: give one for each, or none")
    weights: list[str | None] = [str(path) for path in checkpoints] or [None] * len(models)
    chosen = _folders(Path(images), target, targets)
    return [
        Job(model, str(folder), str(Path(out) / name / folder.resolve().name), wanted, checkpoint, **options)
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
