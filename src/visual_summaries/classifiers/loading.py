"""From a model specification to a classifier."""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from torch import nn

from visual_summaries._late import late
from visual_summaries.classifiers.checkpoints import Weights, load_weights, read_checkpoint
from visual_summaries.classifiers.classifier import Classifier
from visual_summaries.classifiers.configuration import STATED, Guess, find_transform
from visual_summaries.classifiers.devices import find_device
from visual_summaries.classifiers.exported import ExportedNetwork, Program, load_exported
from visual_summaries.classifiers.formats import what_it_is
from visual_summaries.classifiers.functions import build_from_file, build_from_module
from visual_summaries.classifiers.libraries import (
    Checkpoint,
    Found,
    library_of,
    load_hf,
    load_timm,
    load_torchvision,
    plain_weights,
    torchvision_names,
)
from visual_summaries.classifiers.onnx_programs import load_onnx
from visual_summaries.classifiers.transforms import ViewTransform, resolve_transform
from visual_summaries.errors import ClassifierError

logger = logging.getLogger("visual_summaries")

#: The forms of a model specification.
FORMS = (
    "timm/NAME, torchvision/NAME, hf/NAME, path/to/file.py:function, package.module:function, model.pt2, model.onnx, the "
    "folder of a model of timm or transformers, or that of a specialized network"
)

LIBRARIES = {"timm": load_timm, "torchvision": load_torchvision, "hf": load_hf}
#: Beginnings of specifications that name a network and nothing on this machine: what a file says may be loaded by these alone.
REGISTRIES = tuple(f"{library}/" for library in LIBRARIES)
#: The same of the demo's networks, as runs call them.
DEMO = "demo network "

Names = Sequence[str] | Mapping[Any, Any] | str | os.PathLike[str]


def load_classifier(
    spec: str | os.PathLike[str] | nn.Module,
    checkpoint: Checkpoint | None = None,
    class_names: Names | None = None,
    device: str | torch.device | None = None,
    *,
    score: str | None = None,
    weights: str | None = None,
    input_size: int | Sequence[int] | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    crop_pct: float | None = None,
    crop_mode: str | None = None,
    interpolation: str | None = None,
    resize: int | tuple[int, int] | None = None,
) -> Classifier:
    """Return the classifier that a specification names, with the transform of its own configuration.

    Parameters
    ----------
    spec : str or nn.Module
        One of

        - ``timm/NAME``, with the pretrained weights of timm;
        - ``torchvision/NAME`` or ``torchvision/NAME.WEIGHTS`` (``torchvision/resnet50.IMAGENET1K_V1``);
        - ``hf/NAME``: an image classifier of transformers, by its name on the hub or its folder (extra ``hf``);
        - ``path/to/file.py:function`` or ``package.module:function``: anything callable without arguments that returns an
        ``nn.Module``;
        - ``model.pt2``: a program saved by ``torch.export.save``;
        - ``model.onnx``: an ONNX program (extra ``onnx``);
        - a folder that timm or transformers wrote: ``config.json`` with the architecture, and weights;
        - the folder of a specialized network (what ``Specialization.save`` writes), where the network that was specialized is
        of a library or the demo; else give that network here, and the folder as `checkpoint`;
        - a module itself.
    checkpoint : path, optional
        Weights for the network: safetensors, or a file of ``torch.save`` that holds tensors only. Pretrained weights are then
        not downloaded, and the number of outputs and channels is the checkpoint's. Or the folder of a specialized network,
        whose transform and class names are then taken as well.
    class_names : sequence, mapping or path, optional
        See :func:`~visual_summaries.classifiers.resolve_class_names`. Default: the model's own, ImageNet's for 1000 outputs,
        else indices.
    device : str or torch.device, optional
        Where the network runs; default where it is made (the CPU).
    score : str, optional
        What the outputs mean: ``"softmax"``, ``"sigmoid"``, ``"logit"`` or ``"as-is"``; found unless given. See
        :class:`~visual_summaries.Classifier`.
    weights : str, optional
        ``"ema"`` or ``"raw"``: which to take of a checkpoint that holds weights averaged over training steps beside raw ones.
        Default: the raw ones, and a warning.
    input_size : int, (H, W) or (C, H, W), optional
        This and what follows override the model's own transform, see :class:`~visual_summaries.classifiers.ViewTransform`.
    mean, std, crop_pct, crop_mode, interpolation, resize : optional
        As there.

    Raises
    ------
    ClassifierError
        If the specification, checkpoint or names do not fit; the message says what would.
    MissingExtraError
        If transformers or onnx2pytorch is needed and not installed.
    SettingsError
        If an override has an impossible value.

    Examples
    --------
    >>> classifier = load_classifier("torch.nn:Flatten", input_size=(2, 4), class_names=[f"pixel {i}" for i in range(24)])
    >>> classifier
    Classifier('torch.nn:Flatten', input_size=(3, 2, 4), num_classes=24)
    >>> load_classifier("timm/resnet51")
    Traceback (most recent call last):
    ...
    visual_summaries.errors.ClassifierError: timm has no model 'resnet51'; did you mean ...
    """
    overrides = {
        "input_size": input_size,
        "mean": mean,
        "std": std,
        "crop_pct": crop_pct,
        "crop_mode": crop_mode,
        "interpolation": interpolation,
        "resize": resize,
    }
    device = None if device is None else find_device(device)
    if weights is not None and checkpoint is None:
        raise ClassifierError(f"weights={weights!r} says which of a checkpoint's weights to take: give the checkpoint, too")
    checkpoint = None if checkpoint is None else Weights(checkpoint, weights)
    # Weights made under inference_mode could never be differentiated through.
    with torch.inference_mode(False):
        specialized = _specialized(spec, checkpoint)
        if specialized is not None:
            name = os.fspath(specialized)
            guess = STATED
            module, transform, stated = _load_specialized(specialized, spec, overrides)
            class_names = stated if class_names is None else class_names
            if device is not None:
                module = module.to(device)
        elif isinstance(spec, nn.Module):
            if checkpoint is not None:
                raise ClassifierError("checkpoint goes with a model specification: load it into the module yourself")
            name, module, transform, guess = type(spec).__name__, spec, None, STATED
        else:
            name = os.fspath(spec)
            module, transform, guess = _build(name, checkpoint, overrides, device)
            if device is not None and not isinstance(module, ExportedNetwork):
                module = module.to(device)
        if transform is None:
            transform, guess = find_transform(module)
        missing = [given for given in guess.names if overrides[given] is None]
        classifier = Classifier(
            module, transform=transform.replace(**overrides), class_names=class_names, spec=name, device=device, score=score
        )
        classifier.weights = checkpoint.taken if checkpoint is not None else ""
        if missing:
            classifier.guess = f"a guess, for {guess.reason}"
            options = ", ".join(f"--{one.replace('_', '-')}" for one in missing)
            logger.warning("%s: %s: give %s (%s)", name, classifier.transform_in_words, ", ".join(missing), options)
        return classifier


def _specialized(spec: str | os.PathLike[str] | nn.Module, checkpoint: Checkpoint | None) -> Path | None:
    """Return the folder of a specialized network, if one is meant."""
    for given in (checkpoint, spec):
        if given is not None and not isinstance(given, nn.Module) and late("is_specialized")(Path(given)):
            return Path(given)
    return None


def _load_specialized(
    folder: Path, spec: str | os.PathLike[str] | nn.Module, overrides: Mapping[str, Any]
) -> tuple[nn.Module, ViewTransform, Names]:
    """Return the network of a folder, its transform and class names.

    Where the network that was specialized is not given, it is the one that the folder names, if that is one of a library or the
    demo: its weights are in the folder, and no file or code is ever looked up by a name in it.
    """
    values = late("read_description")(folder)
    transform = ViewTransform.from_dict(values["transform"])
    if overrides["input_size"] is None:  # some architectures are made for one size
        overrides = {**overrides, "input_size": (transform.channels, *transform.size)}
    network: nn.Module
    if isinstance(spec, nn.Module):
        network = copy.deepcopy(spec)  # the user's own stays as it is
    elif Path(spec) != folder:
        again = _specialized(spec, None)  # a specialized network may be specialized again
        network = _load_specialized(again, spec, overrides)[0] if again else _build(os.fspath(spec), None, overrides, None)[0]
    else:
        named = values["network"]
        if named.startswith(DEMO):
            network = late("demo_network")(named.removeprefix(DEMO))
        elif named.startswith(REGISTRIES):
            network, *_ = _build(named, folder / "specialized.safetensors", overrides, None)
        else:
            raise ClassifierError(
                f"{folder} holds the network {named}, specialized, which is no name that can be loaded from anywhere: give "
                f"it, and the folder as its checkpoint: load_classifier({named!r}, checkpoint={os.fspath(folder)!r}), on "
                f"the command line MODEL --checkpoint {folder}"
            )
    return late("load_module")(folder, values, network), transform, values["class_names"]


def _build(spec: str, checkpoint: Checkpoint | None, overrides: Mapping[str, Any], device: str | torch.device | None) -> Found:
    place, _, function = spec.rpartition(":")
    if place.endswith(".py"):
        return _with_weights(build_from_file(place, function), checkpoint), None, STATED
    if spec.endswith((".pt2", ".onnx")):
        if checkpoint is not None:
            raise ClassifierError(f"a {Path(spec).suffix} file holds its weights: leave the checkpoint out")
        program = load_onnx(spec) if spec.endswith(".onnx") else load_exported(spec, device)
        return program, _transform_of_program(program, overrides), Guess("a program states no preprocessing", ("mean", "std"))
    folder = Path(spec)
    inside = library_of(folder) if folder.is_dir() and not spec.startswith(REGISTRIES) else ""
    library, _, name = f"{inside}{spec}".partition("/")
    if library in LIBRARIES and name:
        with plain_weights(spec):
            return LIBRARIES[library](name, checkpoint, overrides)
    if place and "/" not in spec:
        return _with_weights(build_from_module(place, function), checkpoint), None, STATED
    guesses = [form for form, known in (("timm", timm.list_models()), ("torchvision", torchvision_names())) if spec in known]
    hint = f"; did you mean {' or '.join(f'{form}/{spec}' for form in guesses)}?" if guesses else ""
    if folder.is_file() and (other := what_it_is(folder)):
        raise ClassifierError(f"model {spec} is {other}")
    if folder.is_file() and not spec.endswith(".py"):
        hint = f"; {spec} holds weights only, so that its network is needed, too: FILE.py:FUNCTION --checkpoint {spec}"
    if folder.is_dir():
        hint = f"; a folder of transformers or timm has a config.json that names the architecture, {spec} has none"
    if spec.endswith(".py"):
        hint = f"; name the function that builds the network, {spec}:function"
    raise ClassifierError(f"model {spec!r} is not understood, expected {FORMS}{hint}")


def _with_weights(module: nn.Module, checkpoint: Checkpoint | None) -> nn.Module:
    if checkpoint is not None:
        load_weights(module, read_checkpoint(checkpoint), f"checkpoint {os.fspath(checkpoint)}")
    return module


def _transform_of_program(network: Program, overrides: Mapping[str, Any]) -> ViewTransform:
    channels, height, width = network.input_size
    if height is None or width is None:
        if overrides["input_size"] is None:
            raise ClassifierError(
                "the exported program takes images of any size: say which to use, input_size=(H, W) (--input-size H,W)"
            )
        height, width = height or 224, width or 224  # replaced by the override
    return resolve_transform(network, {"input_size": (channels or 3, height, width), "interpolation": "bilinear"})
