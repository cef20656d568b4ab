"""Where a network says how its images are prepared: in itself or in a module inside it, as timm and others have it."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
import torchvision
from torch import nn

from visual_summaries.classifiers.processors import transform_of_preset, transform_of_processor
from visual_summaries.classifiers.transforms import ViewTransform, resolve_transform
from visual_summaries.errors import ClassifierError

logger = logging.getLogger("visual_summaries")


class Guess(NamedTuple):
    """Why a transform is a guess, and which parameters of it are."""

    reason: str
    names: tuple[str, ...] = ("input_size", "mean", "std")


#: No guess: somebody states the transform.
STATED = Guess("", ())

_ALIKE = 0.9  # share of a torchvision architecture's weights that a module must have: its head may be another


def find_transform(module: nn.Module) -> tuple[ViewTransform, Guess]:
    """Return the evaluation transform of a network, and why it is a guess, if it is one.

    A configuration counts wherever it is held: by the module, or by one inside a wrapper. Of several modules that state one
    side by side (an ensemble) all must state the same.

    Examples
    --------
    >>> class Wrapper(nn.Module):
    ...     def __init__(self, net):
    ...         super().__init__()
    ...         self.anything = net
    >>> net = nn.Conv2d(3, 4, 3)
    >>> net.pretrained_cfg = {"input_size": (3, 60, 80), "mean": (0.5,) * 3, "std": (0.5,) * 3}
    >>> find_transform(nn.Sequential(Wrapper(net), nn.Softmax(1)))[0].size
    (60, 80)
    >>> find_transform(nn.Conv2d(3, 4, 3))[1].reason
    'the network states no preprocessing'
    """
    owners = configured(module)
    found = {transform_of(owner) for owner in owners}
    if len(found) == 1 and None not in found:
        transform = found.pop()
        assert transform is not None  # noqa: S101 - just asked
        of_kind = any(_transformers(owner) is not None and not _processor(owner.config) for owner in owners)
        size_only = Guess("transformers states the size only, mean and std are those of the kind", ("mean", "std"))
        return transform, size_only if of_kind else STATED
    reason = "its modules state several preprocessings" if len(found) > 1 else "the network states no preprocessing"
    return resolve_transform(module, {}), Guess(reason)


def configured(module: nn.Module) -> list[nn.Module]:
    """Return the outermost modules that state a configuration: the module itself, or those inside it."""
    if _timm(module) or _transformers(module) is not None or _torchvision(module):
        return [module]
    return list({id(owner): owner for child in module.children() for owner in configured(child)}.values())


def transform_of(owner: nn.Module) -> ViewTransform | None:
    """Return the transform that a module of :func:`configured` states itself; None where it cannot be known."""
    if cfg := _timm(owner):
        return resolve_transform(owner, cfg)
    if (config := _transformers(owner)) is not None:
        return _of_transformers(config)
    return _of_torchvision(owner)


def _timm(module: nn.Module) -> dict[str, Any]:
    for name in ("pretrained_cfg", "default_cfg"):
        cfg: Any = getattr(module, name, None)
        # timm's own models hold a dataclass, older ones a dictionary
        cfg = cfg.to_dict() if hasattr(cfg, "to_dict") else cfg
        if isinstance(cfg, Mapping) and cfg:
            return dict(cfg)
    return {}


def _transformers(module: nn.Module) -> Any:
    config = getattr(module, "config", None)
    return config if hasattr(config, "model_type") and hasattr(config, "id2label") else None


def _processor(config: Any) -> dict[str, Any]:
    """Return what the model's own image processor states, where its files are here."""
    try:
        from transformers import AutoImageProcessor

        place = config.name_or_path
        processor: Any = AutoImageProcessor.from_pretrained(place, local_files_only=True) if place else None
    except (ImportError, OSError, ValueError) as error:
        logger.debug("no image processor of %s here: %s", config.name_or_path, error)
        return {}
    return {} if processor is None else dict(processor.to_dict())


def _of_transformers(config: Any) -> ViewTransform | None:
    """Return the transform of a model's own processor where its files are here, else of its kind, for the model's size."""
    channels, size = getattr(config, "num_channels", 3), getattr(config, "image_size", None)
    if values := _processor(config):
        try:
            return transform_of_processor(values, channels)
        except ClassifierError as error:
            logger.debug("%s", error)
            return None
    if size is None:  # the kind's own is often not that of any model
        return None
    try:
        kinds = importlib.import_module("transformers.models.auto.image_processing_auto").IMAGE_PROCESSOR_MAPPING[type(config)]
        choices = kinds.values() if isinstance(kinds, Mapping) else kinds
        transform = transform_of_processor(next(kind for kind in choices if kind is not None)().to_dict(), channels)
    except (ImportError, KeyError, StopIteration, ValueError) as error:
        logger.debug("transformers has no image processor for %s: %s", config.model_type, error)
        return None
    return transform.replace(input_size=size if isinstance(size, int) else tuple(size))


def _torchvision(module: nn.Module) -> list[str]:
    """Return the architectures of torchvision that are made of this class."""
    if not type(module).__module__.startswith("torchvision.models."):
        return []
    names = torchvision.models.list_models(module=torchvision.models)
    builders = {name: torchvision.models.get_model_builder(name) for name in names}
    return [
        name
        for name, builder in builders.items()
        if builder.__annotations__.get("return") in (type(module), type(module).__name__)
    ]


def _of_torchvision(module: nn.Module) -> ViewTransform | None:
    """Return the preset of the architecture that has the module's weights, by their names and shapes."""
    count = sum(parameter.numel() for parameter in module.parameters())
    alike = {name: _alike(name, module, count) for name in _torchvision(module)}
    best = max(alike, key=lambda name: alike[name], default="")
    if not best or alike[best] < _ALIKE:
        return None
    choices = torchvision.models.get_model_weights(best)
    fitting = [one for one in choices if one.meta.get("num_params") == count and one.name != "DEFAULT"]
    chosen = choices["DEFAULT"] if choices["DEFAULT"] in fitting or not fitting else fitting[0]
    logger.info("a %s of torchvision: preprocessing of its weights %s", best, chosen.name)
    return transform_of_preset(chosen.transforms())


def _alike(name: str, module: nn.Module, count: int) -> float:
    """Return the share of weights that a module of `count` parameters has in common with an architecture of torchvision."""
    own = {key: tensor.shape for key, tensor in module.state_dict().items()}
    plain = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    try:
        with torch.device("meta"):
            expected = torchvision.models.get_model(name, weights=None, **plain).state_dict()
    except (NotImplementedError, RuntimeError) as error:  # RegNet reads its widths from tensors
        logger.debug("%s by its number of parameters: %s", name, error)
        head = [layer for layer in module.modules() if isinstance(layer, nn.Linear)][-1:]
        count += sum((1000 - layer.out_features) * (layer.in_features + 1) for layer in head)
        stated: int = max(one.meta["num_params"] for one in torchvision.models.get_model_weights(name))
        return min(count, stated) / max(count, stated)
    kept: list[str] = [key for key in expected if key in own or not key.startswith("aux")]  # auxiliary heads may be left out
    same = sum(bool(own.get(key) == expected[key].shape) for key in kept)
    total = max(len(kept), len(own))
    return min(same + 2, total) / total  # whatever the head's weight and bias are: AlexNet has no more than 16 of them
