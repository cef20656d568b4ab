"""From a model specification to a classifier."""

from __future__ import annotations

import copy
import difflib
import logging
import os
import pickle
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision
from torch import nn

from visual_summaries._late import late
from visual_summaries.classifiers.checkpoints import Weights, build_for, load_weights, read_checkpoint, weights_only
from visual_summaries.classifiers.classifier import Classifier, find_device
from visual_summaries.classifiers.configuration import find_transform
from visual_summaries.classifiers.exported import ExportedNetwork, load_exported
from visual_summaries.classifiers.formats import what_it_is
from visual_summaries.classifiers.functions import build_from_file, build_from_module
from visual_summaries.classifiers.processors import transform_of_preset, transform_of_processor
from visual_summaries.classifiers.transforms import ViewTransform, resolve_transform
from visual_summaries.errors import ClassifierError, MissingExtraError

logger = logging.getLogger("visual_summaries")

#: The forms of a model specification.
FORMS = (
    "timm/NAME, torchvision/NAME, hf/NAME, path/to/file.py:function, package.module:function, model.pt2, or the folder of a "
    "specialized network"
)

#: Beginnings of specifications that name a network and nothing on this machine: what a file says may be loaded by these alone.
REGISTRIES = ("timm/", "torchvision/", "hf/")
#: The same of the demo's networks, as runs call them.
DEMO = "demo network "

Checkpoint = str | os.PathLike[str]
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
        If transformers is needed and not installed.
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
            module, transform, stated = _load_specialized(specialized, spec, overrides)
            class_names = stated if class_names is None else class_names
            if device is not None:
                module = module.to(device)
        elif isinstance(spec, nn.Module):
            if checkpoint is not None:
                raise ClassifierError("checkpoint goes with a model specification: load it into the module yourself")
            name, module, transform = type(spec).__name__, spec, None
        else:
            name = os.fspath(spec)
            module, transform = _build(name, checkpoint, overrides, device)
            if device is not None and not isinstance(module, ExportedNetwork):
                module = module.to(device)
        guess = "an exported program states no preprocessing" if isinstance(module, ExportedNetwork) else ""
        if transform is None:
            transform, guess = find_transform(module)
        stated = ("input_size",) if "states the size" in guess or isinstance(module, ExportedNetwork) else ()
        missing = [given for given in ("input_size", "mean", "std") if overrides[given] is None and given not in stated]
        classifier = Classifier(
            module, transform=transform.replace(**overrides), class_names=class_names, spec=name, device=device, score=score
        )
        classifier.weights = checkpoint.taken if checkpoint is not None else ""
        if guess and missing:
            classifier.guess = f"a guess, for {guess}"
            logger.warning("%s: %s: give %s", name, classifier.transform_in_words, ", ".join(missing))
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
            network, _ = _build(named, folder / "specialized.safetensors", overrides, None)
        else:
            raise ClassifierError(
                f"{folder} holds the network {named}, specialized, which is no name that can be loaded from anywhere: give "
                f"it, and the folder as its checkpoint: load_classifier({named!r}, checkpoint={os.fspath(folder)!r}), on "
                f"the command line MODEL --checkpoint {folder}"
            )
    return late("load_module")(folder, values, network), transform, values["class_names"]


def _build(
    spec: str, checkpoint: Checkpoint | None, overrides: Mapping[str, Any], device: str | torch.device | None
) -> tuple[nn.Module, ViewTransform | None]:
    place, _, function = spec.rpartition(":")
    if place.endswith(".py"):
        return _with_weights(build_from_file(place, function), checkpoint), None
    if spec.endswith(".pt2"):
        if checkpoint is not None:
            raise ClassifierError("a .pt2 file holds its weights: leave the checkpoint out")
        network = load_exported(spec, device)
        return network, _exported_transform(network, overrides)
    library, _, name = spec.partition("/")
    if library in ("timm", "torchvision", "hf") and name:
        with _plain_weights(spec):
            if library == "timm":
                return _timm(name, checkpoint, overrides), None
            return _torchvision(name, checkpoint) if library == "torchvision" else _hf(name, checkpoint, overrides)
    if place and "/" not in spec:
        return _with_weights(build_from_module(place, function), checkpoint), None
    guesses = [form for form, known in (("timm", timm.list_models()), ("torchvision", _torchvision_names())) if spec in known]
    hint = f"; did you mean {' or '.join(f'{form}/{spec}' for form in guesses)}?" if guesses else ""
    if Path(spec).is_file() and (other := what_it_is(Path(spec))):
        raise ClassifierError(f"model {spec} is {other}")
    if Path(spec).is_file() and not spec.endswith(".py"):
        hint = f"; {spec} holds weights only, so that its network is needed, too: FILE.py:FUNCTION --checkpoint {spec}"
    if Path(spec).is_dir():
        hint = f"; a folder of transformers is given as hf/{spec}, one of timm as timm/local-dir:{spec}"
    if spec.endswith(".py"):
        hint = f"; name the function that builds the network, {spec}:function"
    raise ClassifierError(f"model {spec!r} is not understood, expected {FORMS}{hint}")


@contextmanager
def _plain_weights(spec: str) -> Iterator[None]:
    """Let a library read weights without executing anything, and say so where it would have to."""
    try:
        with weights_only():
            yield
    except (pickle.UnpicklingError, RuntimeError, OSError) as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, pickle.UnpicklingError):
            cause = cause.__cause__ or cause.__context__
        if cause is None:
            raise
        raise ClassifierError(
            f"the weights of {spec} are a pickle, and reading it would execute code, which is refused: take a model whose "
            f"weights are safetensors, or plain weights with --checkpoint FILE (checkpoint=FILE). {str(cause).splitlines()[0]}"
        ) from error


def _with_weights(module: nn.Module, checkpoint: Checkpoint | None) -> nn.Module:
    if checkpoint is not None:
        load_weights(module, read_checkpoint(checkpoint), f"checkpoint {os.fspath(checkpoint)}")
    return module


def _exported_transform(network: ExportedNetwork, overrides: Mapping[str, Any]) -> ViewTransform:
    channels, height, width = network.input_size
    if height is None or width is None:
        if overrides["input_size"] is None:
            raise ClassifierError("the exported program takes images of any size: say which to use, input_size=(H, W)")
        height, width = height or 224, width or 224  # replaced by the override
    return resolve_transform(network, {"input_size": (channels or 3, height, width), "interpolation": "bilinear"})


def _timm(name: str, checkpoint: Checkpoint | None, overrides: Mapping[str, Any]) -> nn.Module:
    size = overrides["input_size"]
    own_channels = int(size[0]) if isinstance(size, Sequence) and len(size) == 3 else None
    on_hub = name.startswith(("hf-hub:", "hf_hub:", "local-dir:"))
    if not on_hub:
        architecture, _, tag = name.partition(".")
        if not timm.is_model(architecture):
            raise ClassifierError(f"timm has no model {name!r}{_suggest(name, timm.list_models())}")
        tags = timm.list_pretrained(f"{architecture}.*")
        if tag and name not in tags:
            raise ClassifierError(f"timm has no weights {tag!r} for {architecture}{_suggest(name, tags, cutoff=0)}")
        if checkpoint is None and not tags and not timm.models.is_model_pretrained(architecture):
            raise ClassifierError(f"timm has no pretrained weights for {name!r}: give a checkpoint")

    def build(outputs: int | None, channels: int | None) -> nn.Module:
        options = {"num_classes": outputs, "in_chans": channels or own_channels}
        module: nn.Module = timm.create_model(
            name, pretrained=checkpoint is None, **{key: value for key, value in options.items() if value is not None}
        )
        adapt: Any = getattr(module, "set_input_size", None)
        if size is not None and adapt is not None:  # vision transformers are made for one size
            adapt(img_size=(size, size) if isinstance(size, int) else tuple(size)[-2:])
        return module

    if checkpoint is not None:
        return build_for(build, checkpoint)
    try:
        module = build(None, None)
    except OSError as error:
        raise _no_download(f"timm/{name}", error) from error
    if getattr(module, "num_classes", None) == 0:
        raise ClassifierError(f"timm/{name} gives features, it has no classes: choose a model with a classification head")
    return module


def _torchvision_names() -> list[str]:
    return list(torchvision.models.list_models(module=torchvision.models))


def _torchvision(name: str, checkpoint: Checkpoint | None) -> tuple[nn.Module, ViewTransform | None]:
    architecture, _, tag = name.partition(".")
    if architecture not in _torchvision_names():
        raise ClassifierError(f"torchvision has no classifier {architecture!r}{_suggest(architecture, _torchvision_names())}")
    choices = torchvision.models.get_model_weights(architecture)
    if tag and tag not in choices.__members__:
        raise ClassifierError(f"torchvision has no weights {tag!r} for {architecture}; it has {', '.join(choices.__members__)}")
    weights = choices[tag or "DEFAULT"]
    transform = transform_of_preset(weights.transforms())
    if checkpoint is None:
        try:
            return torchvision.models.get_model(architecture, weights=weights), transform
        except OSError as error:
            raise _no_download(f"torchvision/{name}", error) from error
    # These two initialize slowly; their published weights, and what was trained from them, take images of another
    # normalization.
    options: dict[str, Any] = (
        {"init_weights": False, "transform_input": True} if architecture in ("googlenet", "inception_v3") else {}
    )

    def build(outputs: int | None, channels: int | None) -> nn.Module:
        if outputs is not None:
            options["num_classes"] = outputs
        module: nn.Module = torchvision.models.get_model(architecture, weights=None, **options)
        return module

    return build_for(build, checkpoint), transform


def _hf(name: str, checkpoint: Checkpoint | None, overrides: Mapping[str, Any]) -> tuple[nn.Module, ViewTransform | None]:
    try:
        import transformers
    except ImportError as error:
        raise MissingExtraError("hf/ models need transformers: pip install 'visual-summaries[hf]'") from error
    if name.startswith((".", "/", "~")) and not Path(name).expanduser().is_dir():
        raise ClassifierError(f"there is no folder {name} with a model of transformers: give hf/NAME or hf/FOLDER")
    place = str(Path(name).expanduser()) if Path(name).expanduser().is_dir() else name
    try:
        # Code that a model brings along is never run, nor is the user asked whether it may.
        config = transformers.AutoConfig.from_pretrained(place, trust_remote_code=False)
        transform = _hf_transform(transformers, place, int(getattr(config, "num_channels", 3)), overrides)
        if checkpoint is None:
            return transformers.AutoModelForImageClassification.from_pretrained(place, trust_remote_code=False), transform
    except OSError as error:
        raise _no_download(f"hf/{name}", error) from error
    except ValueError as error:
        raise ClassifierError(
            f"hf/{name} is not an image classifier that transformers {transformers.__version__} can load: {error}"
        ) from error

    def build(outputs: int | None, channels: int | None) -> nn.Module:
        if outputs is not None:
            config.num_labels = outputs
        if channels is not None:
            config.num_channels = channels
        module: nn.Module = transformers.AutoModelForImageClassification.from_config(config, trust_remote_code=False)
        return module

    return build_for(build, checkpoint), transform


def _hf_transform(transformers: Any, place: str, channels: int, overrides: Mapping[str, Any]) -> ViewTransform | None:
    try:
        processor = transformers.AutoImageProcessor.from_pretrained(place, trust_remote_code=False)
    except OSError:
        if any(overrides[name] is None for name in ("input_size", "mean", "std")):
            raise
        return None  # all that matters is given
    return transform_of_processor(processor.to_dict(), channels)


def _suggest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    close = difflib.get_close_matches(name, list(known), n=5, cutoff=cutoff)
    return f"; did you mean {', '.join(close)}?" if close else ""


def _no_download(spec: str, error: Exception) -> ClassifierError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return ClassifierError(
        f"the files of {spec} are not here and could not be downloaded ({reason}): "
        "check the name and the connection, or give weights that you have with --checkpoint FILE (checkpoint=FILE)"
    )
