"""From a model specification to a classifier."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from visual_summaries.classifiers.classifier import Classifier
from visual_summaries.classifiers.transforms import resolve_transform
from visual_summaries.errors import ClassifierError

_FORMS = "timm/NAME, torchvision/NAME, hf/NAME, path/to/file.py:function, package.module:function, or model.pt2"


def load_classifier(
    spec: str | nn.Module,
    checkpoint: Any = None,
    class_names: Any = None,
    device: str | torch.device | None = None,
    **overrides: Any,
) -> Classifier:
    """Return the classifier that a specification names."""
    with torch.inference_mode(False):
        module = spec if isinstance(spec, nn.Module) else _from_function(spec)
    name = type(spec).__name__ if isinstance(spec, nn.Module) else spec
    transform = resolve_transform(module).replace(**overrides)
    return Classifier(module, transform=transform, class_names=class_names, spec=name, device=device)


def _from_function(spec: str) -> nn.Module:
    place, _, function = spec.rpartition(":")
    if not place:
        raise ClassifierError(f"model {spec!r} is not understood, expected {_FORMS}")
    if place.endswith(".py"):
        path = Path(place)
        sys.path.insert(0, str(path.parent.resolve()))
        found = importlib.util.spec_from_file_location(f"_vs_{path.stem}", path)
        code = importlib.util.module_from_spec(found)
        found.loader.exec_module(code)
    else:
        code = importlib.import_module(place)
    return getattr(code, function)()
