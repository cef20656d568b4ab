"""The photographs of ``parts.py``: a unit is a network and a folder of images of one class.

Every second class of each set is of the half that settings were chosen on, the others are of the half that is reported. Where
ImageNet-1k does not have the classes, a linear head is fitted on the network's features of other images than those explained.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from sklearn.linear_model import LogisticRegression
from torch import nn

import visual_summaries as vs
from benchmarks.harness import pretrained
from visual_summaries.classifiers import Classifier, resolve_target, resolve_transform
from visual_summaries.classifiers.frames import view_frame

View = NDArray[np.uint8]
Points = dict[str, tuple[float, float]]

CHOSEN, REPORTED = "chosen on", "reported"

#: Class folders of each set, those that settings were chosen on first.
BIRDS = (("017_Blue_Jay",), ("011_European_Goldfinch", "094_Ruby_throated_Hummingbird"))
NEW_BIRDS = (
    (
        "009_Brewer_Blackbird",
        "010_Red_winged_Blackbird",
        "013_Bobolink",
        "023_Brandt_Cormorant",
        "026_Bronzed_Cowbird",
        "028_Brown_Creeper",
    ),
    (
        "004_Groove_billed_Ani",
        "011_Rusty_Blackbird",
        "012_Yellow_headed_Blackbird",
        "019_Gray_Catbird",
        "020_Yellow_breasted_Chat",
        "021_Eastern_Towhee",
    ),
)
OBJECTS = (
    (
        "imagewoof320/229_Old_English_sheepdog",
        "imagewoof320/162_beagle",
        "imagenette224/000_tench",
        "imagenette224/569_garbage_truck",
    ),
    ("imagewoof320/155_Shih-Tzu", "imagewoof320/258_Samoyed", "imagenette224/701_parachute", "imagenette224/566_French_horn"),
)
LEAVES = (("Corn___Northern_Leaf_Blight",), ("Corn___Common_rust",))
CONFOUNDED = (("husky_on_grass",), ("wolf_on_snow",))

#: Images of a class that a head is fitted on; the others are explained.
TRAINING = {"cub12_320": 30, "husky_wolf": 15}


@dataclass(frozen=True)
class Unit:
    """A network and a class.

    Attributes
    ----------
    kind : str
        ``"birds"`` (ImageNet's), ``"new birds"`` (with a head of ours), ``"objects"``, ``"leaves"`` or ``"confounded"``.
    network : str
        Function of ``weights/nets.py``.
    folder : str
        Below ``images/``.
    half : str
        ``"chosen on"`` or ``"reported"``.
    """

    kind: str
    network: str
    folder: str
    half: str

    @property
    def name(self) -> str:
        """Name for files."""
        return f"{self.network}-{self.folder.split('/')[-1]}"


@dataclass(frozen=True)
class Photographs:
    """What a unit explains.

    Attributes
    ----------
    classifier : Classifier
    target : int
    views : list of ndarray (H, W, 3), uint8
        Images that the network gets right.
    points : list of dict, or None
        Named part points (x, y) of each view, in its pixels; left and right not told apart by name.
    names : list of str
        File of each view, below the set's folder.
    """

    classifier: Classifier
    target: int
    views: list[View]
    points: list[Points] | None
    names: list[str] = field(default_factory=list)


def units() -> list[Unit]:
    """Return all units; birds first."""
    two = ("efficientnet_lite0", "mobilenetv2_100")
    table = [
        ("birds", two, [[f"cub_crops227/{name}" for name in half] for half in BIRDS]),
        ("new birds", two, [[f"cub12_320/{name}" for name in half] for half in NEW_BIRDS]),
        ("leaves", ("corn_leaf",), [[f"corn_leaves/{name}" for name in half] for half in LEAVES]),
        ("confounded", ("mobilenetv2_100",), [[f"husky_wolf/{name}" for name in half] for half in CONFOUNDED]),
        ("objects", (*two, "efficientnet_lite2"), OBJECTS),
    ]
    return [
        Unit(kind, network, folder, half)
        for kind, names, halves in table
        for network in names
        for half, folders in zip((CHOSEN, REPORTED), halves, strict=True)
        for folder in folders
    ]


def read_unit(unit: Unit, data: Path, count: int, keep: Path) -> Photographs:
    """Return the first `count` images of a unit's class that its network gets right."""
    group, name = unit.folder.split("/")
    folder = data / "images" / group
    if group in TRAINING:
        classifier = with_head(unit.network, data, group, keep)
        target = sorted(path.name for path in folder.iterdir() if path.is_dir()).index(name)
        paths = sorted((folder / name).iterdir())[TRAINING[group] :]
    else:
        classifier = pretrained(unit.network, data)
        target = {"Corn___Common_rust": 1, "Corn___Northern_Leaf_Blight": 2}.get(name) or int(name.split("_")[0] or 0)
        paths = sorted((folder / name).iterdir())
    listed = _listed_points(folder)
    views: list[View] = []
    points: list[Points] = []
    names: list[str] = []
    wanted = resolve_target(classifier, target)
    for path in paths:
        own = listed.get(f"{name}/{path.name}", {})
        view, moved = _view(classifier, path, own, squash=group == "cub_crops227")
        with classifier.frozen(), torch.no_grad():
            right = bool(wanted.hits(classifier.logits(classifier.to_tensor([view])))[0])
        if right and len(views) < count:
            views.append(view)
            points.append(moved)
            names.append(f"{name}/{path.name}")
    return Photographs(as_shown(classifier), target, views, points if listed else None, names)


def as_shown(classifier: Classifier) -> Classifier:
    """Return the classifier with a transform that leaves views as they are: else a run would cut off their borders again."""
    transform = replace(classifier.transform, crop_pct=1.0, crop_mode="center", resize=None)
    return Classifier(classifier.module, transform=transform, class_names=classifier.class_names, spec=classifier.spec)


def warmed(spec: str, view: View) -> Classifier:
    """Return a network :func:`as_shown` after its first pass: what a process does there is no part of what is timed."""
    classifier = as_shown(vs.load_classifier(spec))
    with classifier.frozen(), torch.no_grad():
        classifier.logits(classifier.to_tensor([view]))
    return classifier


def listed_boxes(folder: Path) -> dict[str, tuple[float, float, float, float]]:
    """Return the box of the object in each file of a set, (x0, y0, x1, y1) in pixels of the file."""
    listed = json.loads((folder / "parts.json").read_text())["images"]
    return {path: (x, y, x + width, y + height) for path, (x, y, width, height) in ((k, v["bbox"]) for k, v in listed.items())}


def _listed_points(folder: Path) -> dict[str, Points]:
    for name in ("parts.json", "parts_in_crop.json"):
        if (folder / name).exists():
            listed = json.loads((folder / name).read_text())["images"]
            return {path: {part: tuple(where) for part, where in entry["parts"].items()} for path, entry in listed.items()}
    return {}


def _view(classifier: Classifier, path: Path, points: Points, squash: bool) -> tuple[View, Points]:
    """Return what the network sees of an image, and points of it; `squash`: a crop of the object, shown whole."""
    image = vs.open_image(path)
    if squash:
        pixels, (height, width) = np.asarray(image), classifier.input_size[-2:]
        scale = np.array([width / pixels.shape[1], height / pixels.shape[0]])
        view = np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_CUBIC))
        return view, {name: tuple(np.asarray(where) * scale) for name, where in points.items()}
    view = classifier.view(image)
    frame = view_frame(classifier.transform, (image.height, image.width))
    moved = {name: tuple(frame.to_view(np.array([where]))[0]) for name, where in points.items()}
    height, width = view.shape[:2]
    return view, {name: (x, y) for name, (x, y) in moved.items() if 0 <= x < width and 0 <= y < height}


def with_head(network: str, data: Path, group: str, keep: Path) -> Classifier:
    """Return a network with a linear head for the class folders of a set, fitted on the first images of each.

    The head is kept as a file: fitted again it could differ in its last digits.
    """
    whole, folder = pretrained(network, data), data / "images" / group
    names = sorted(path.name for path in folder.iterdir() if path.is_dir())
    module: Any = whole.module
    path = keep / "heads" / f"{network}-{group}.safetensors"
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (whole.transform.mean, whole.transform.std))
    if not path.exists():
        x, y = [], []
        with whole.frozen(), torch.no_grad():
            for label, name in enumerate(names):
                for image in sorted((folder / name).iterdir())[: TRAINING[group]]:
                    tensor = whole.to_tensor([whole.view(vs.open_image(image))])
                    x.append(module.forward_head(module.forward_features((tensor - mean) / std), pre_logits=True)[0].numpy())
                    y.append(label)
        model = LogisticRegression(C=0.1, max_iter=3000).fit(np.stack(x), np.array(y))
        weight, bias = torch.from_numpy(model.coef_).float(), torch.from_numpy(model.intercept_).float()
        if len(names) == 2:  # two outputs whose difference is the decision function
            weight, bias = torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({"weight": weight.contiguous(), "bias": bias.contiguous()}, path)
    found = load_file(path)
    head = nn.Linear(*reversed(found["weight"].shape))
    head.load_state_dict(found)
    module.classifier = head
    return Classifier(module, transform=resolve_transform(module), class_names=tuple(names), spec=f"{network}, head of {group}")
