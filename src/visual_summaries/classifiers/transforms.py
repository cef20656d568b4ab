"""The transform from an image to what the network sees, resolved from the model's own configuration."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL.Image
import timm.data
from numpy.typing import NDArray
from torch import nn
from torchvision.transforms import functional

from visual_summaries._validate import require_choice, require_in_range
from visual_summaries.errors import ClassifierError, ImageError, SettingsError
from visual_summaries.images.decode import MAX_PIXELS

INTERPOLATIONS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
CROP_MODES = ("center", "squash", "border")
#: Why networks of other channels are refused, and what to do.
ONLY_CHANNELS = (
    "only networks of 1 channel (luminance) and of 3 (RGB) are explained, for images have no others: wrap it in a module that "
    "takes 3 and makes the others of them"
)


@dataclass(frozen=True)
class ViewTransform:
    """How an image becomes a view, and how views are normalized for the network.

    Attributes
    ----------
    size : tuple of int
        Height and width of the view.
    crop_pct : float
        Share of the resized image that the view keeps, in each direction (timm's term). The image is resized to
        ``floor(size / crop_pct)``.
    crop_mode : str
        ``"center"`` keeps the aspect ratio and cuts the center; ``"squash"`` resizes without keeping it; ``"border"`` keeps
        it and pads with the mean color, so that nothing is cut off.
    interpolation : str
        Pillow's name: ``"bilinear"``, ``"bicubic"``, ...
    mean, std : tuple of float
        Normalization of values in [0, 1], one for each channel of the network.
    channels : int
        1 (the network gets the luminance of the view) or 3.
    resize : int or (int, int), optional
        As torchvision and transformers state it: the length in pixels to which the shorter side is resized, or the height and
        width to which the image is resized without keeping its aspect ratio, before the center is cut. Takes the place of
        `crop_pct` and `crop_mode`.

    Raises
    ------
    SettingsError
        If a value cannot be worked with.

    Examples
    --------
    >>> transform = ViewTransform(size=(96, 128), crop_pct=1.0)
    >>> transform.view(PIL.Image.new("RGB", (400, 200))).shape
    (96, 128, 3)
    >>> print(transform.in_words())
    resize keeping the aspect ratio until it covers 96 x 128 (bilinear), cut the center 96 x 128 (H x W), RGB in [0, 1],
    subtract mean (0.485, 0.456, 0.406), divide by std (0.229, 0.224, 0.225)
    """

    size: tuple[int, int]
    crop_pct: float = 0.875
    crop_mode: str = "center"
    interpolation: str = "bilinear"
    mean: tuple[float, ...] = timm.data.IMAGENET_DEFAULT_MEAN
    std: tuple[float, ...] = timm.data.IMAGENET_DEFAULT_STD
    channels: int = 3
    resize: int | tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if len(self.size) != 2 or not all(isinstance(side, int) and side > 0 for side in self.size):
            raise SettingsError(f"size is {self.size!r}, but must be a height and a width in pixels")
        if not 0 < self.crop_pct <= 1.5:
            raise SettingsError(
                f"crop_pct is {self.crop_pct}, but must lie in (0, 1.5]; 1.0 cuts nothing beyond the shape of the view"
            )
        require_choice("crop_mode", self.crop_mode, CROP_MODES)
        require_choice("interpolation", self.interpolation, INTERPOLATIONS)
        if self.channels not in (1, 3):
            raise SettingsError(f"channels is {self.channels!r}, but {ONLY_CHANNELS}")
        if self.resize is not None:
            for side in [self.resize] if isinstance(self.resize, int) else self.resize:
                require_in_range("resize", side, 1)
        for name in ("mean", "std"):
            values = getattr(self, name)
            if len(values) != self.channels or not all(math.isfinite(value) for value in values):
                raise SettingsError(
                    f"{name} is {values!r}, but the network takes {self.channels} channel(s): give one number for each"
                )
        if min(self.std) <= 0:
            raise SettingsError(f"std is {self.std!r}, but must be positive")

    def view(self, image: PIL.Image.Image) -> NDArray[np.uint8]:
        """Return what the network sees of an RGB image: ``uint8`` ``(H, W, 3)``, not yet normalized.

        Raises
        ------
        ImageError
            If the image is so long and thin that it cannot be resized, with the reason ``"too-elongated"``.
        """
        resized = self.resized_size(image.height, image.width)
        if resized[0] * resized[1] > MAX_PIXELS or min(resized) < 1:
            raise ImageError(
                f"an image of {image.height} x {image.width} pixels (H x W) is too long and thin for this network, which would "
                f"see it resized to {resized[0]:,} x {resized[1]:,}: cut out what matters of it",
                "too-elongated",
            )
        if self.resize is not None:
            mode = functional.InterpolationMode(self.interpolation)
            whole = functional.resize(
                image, [self.resize] if isinstance(self.resize, int) else list(self.resize), interpolation=mode
            )
            return np.array(functional.center_crop(whole, list(self.size)))
        fill = self.mean if self.channels == 3 else self.mean * 3  # "border" pads RGB
        pipeline = timm.data.create_transform(
            input_size=(3, *self.size),
            interpolation=self.interpolation,
            mean=fill,
            std=(1.0, 1.0, 1.0),
            crop_pct=self.crop_pct,
            crop_mode=self.crop_mode,
            use_prefetcher=True,  # timm's way of saying: uint8, not normalized
        )
        return np.ascontiguousarray(np.asarray(pipeline(image)).transpose(1, 2, 0))

    def resized_size(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width of the whole of an image after resizing, before the center is cut."""
        if self.resize is not None and not isinstance(self.resize, int):
            return self.resize
        goal = [math.floor(side / self.crop_pct) for side in self.size]
        if self.resize is None and self.crop_mode == "squash":
            return goal[0], goal[1]
        if self.resize is not None or (self.crop_mode == "center" and goal[0] == goal[1]):
            shorter = self.resize or goal[0]  # as torchvision has it: the longer side is rounded down
            return (shorter, int(shorter * width / height)) if height <= width else (int(shorter * height / width), shorter)
        ratios = (height / goal[0], width / goal[1])
        ratio = max(ratios) if self.crop_mode == "border" else min(ratios)
        return round(height / ratio), round(width / ratio)

    def replace(self, **overrides: Any) -> ViewTransform:
        """Return the transform with some parameters changed; see :func:`~visual_summaries.classifiers.load_classifier`.

        ``input_size`` is an int, ``(H, W)`` or ``(C, H, W)``. When the size changes and `resize` is not given, the resized
        image changes in proportion. A single mean or std holds for all channels.

        Examples
        --------
        >>> ViewTransform(size=(224, 224), resize=256).replace(input_size=(112, 140)).in_words()[:62]
        'resize keeping the aspect ratio until it covers 128 x 160 (bil'
        """
        changes = {name: value for name, value in overrides.items() if value is not None}
        if "input_size" in changes:
            channels, *size = _input_size(changes.pop("input_size"), self.channels)
            changes["size"] = tuple(size)
            if channels != self.channels:
                changes["channels"] = channels
                for name in ("mean", "std"):
                    values = getattr(self, name)
                    changes.setdefault(name, values * 3 if channels == 3 else (sum(values) / len(values),))
        if self.resize is not None and "resize" not in changes and {"size", "crop_pct", "crop_mode"} & changes.keys():
            changes["resize"] = None
            if not isinstance(self.resize, int):
                changes.setdefault("crop_mode", "squash")
            changes.setdefault(
                "crop_pct", min(1.0, min(self.size) / (self.resize if isinstance(self.resize, int) else min(self.resize)))
            )
        for name in ("mean", "std"):
            if name in changes:
                values = changes[name]
                values = tuple(float(v) for v in values) if isinstance(values, Sequence) else (float(values),)
                count = changes.get("channels", self.channels)
                changes[name] = values * count if len(values) == 1 else values
        known = {field.name for field in dataclasses.fields(self)}
        for name in changes.keys() - known:
            raise SettingsError(
                f"{name} is not a parameter of the transform; those are input_size, {', '.join(sorted(known - {'size'}))}"
            )
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters as plain values, for JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in dataclasses.asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ViewTransform:
        """Return the transform that :meth:`to_dict` wrote."""
        stated: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        return cls(**stated)

    def in_words(self) -> str:
        """Return one sentence for a reader."""
        height, width = self.size
        scaled = (math.floor(height / self.crop_pct), math.floor(width / self.crop_pct))
        if isinstance(self.resize, int):
            first = f"resize the shorter side to {self.resize}"
        elif self.resize is not None:
            first = f"resize to {self.resize[0]} x {self.resize[1]} without keeping the aspect ratio"
        elif self.crop_mode == "squash":
            first = f"resize to {scaled[0]} x {scaled[1]} without keeping the aspect ratio"
        elif self.crop_mode == "border":
            first = f"resize keeping the aspect ratio until it fits into {scaled[0]} x {scaled[1]}, pad with the mean color"
        elif height == width:
            first = f"resize the shorter side to {scaled[0]}"
        else:
            first = f"resize keeping the aspect ratio until it covers {scaled[0]} x {scaled[1]}"
        color = "RGB" if self.channels == 3 else "luminance"
        mean, std = (f"({', '.join(f'{value:.4g}' for value in values)})" for values in (self.mean, self.std))
        return (
            f"{first} ({self.interpolation}), cut the center {height} x {width} (H x W), {color} in [0, 1], "
            f"subtract mean {mean}, divide by std {std}"
        )


def _input_size(value: Any, channels: int) -> tuple[int, int, int]:
    numbers = [value] * 2 if isinstance(value, int) else list(value)
    if len(numbers) == 2:
        numbers = [channels, *numbers]
    if len(numbers) != 3:
        raise SettingsError(f"input_size is {value!r}, but must be a number of pixels, (H, W) or (C, H, W)")
    return int(numbers[0]), int(numbers[1]), int(numbers[2])


def resolve_transform(module: nn.Module, pretrained_cfg: Mapping[str, Any] | None = None) -> ViewTransform:
    """Return the evaluation transform that a module's ``pretrained_cfg`` states, in timm's form.

    What the configuration leaves out is timm's default; without any, 224 x 224 and the statistics of ImageNet.

    Parameters
    ----------
    module : nn.Module
        Any module; ``module.pretrained_cfg`` is read if it is a mapping. Where the module's first convolution takes one
        channel and the configuration speaks of three (timm keeps it so for ``in_chans=1``), the mean of the three statistics
        is taken.
    pretrained_cfg : mapping, optional
        Used in place of the module's own.

    Examples
    --------
    >>> net = nn.Conv2d(1, 4, 3)
    >>> net.pretrained_cfg = {"input_size": (1, 60, 80), "mean": (0.5,), "std": (0.25,), "crop_pct": 1.0}
    >>> resolve_transform(net)
    ViewTransform(size=(60, 80), crop_pct=1.0, crop_mode='center', interpolation='bicubic',
                  mean=(0.5,), std=(0.25,), channels=1, resize=None)
    """
    cfg: Any = pretrained_cfg if pretrained_cfg is not None else getattr(module, "pretrained_cfg", None)
    if not isinstance(cfg, Mapping):
        # timm's own models hold a dataclass, older ones a dictionary
        cfg = cfg.to_dict() if hasattr(cfg, "to_dict") else {}
    first = next((layer for layer in module.modules() if isinstance(layer, nn.Conv2d)), None)
    stated = "input_size" in cfg
    config = timm.data.resolve_data_config({}, pretrained_cfg=dict(cfg), model=None if cfg else nn.Identity())
    channels, height, width = config["input_size"]
    mean, std = tuple(config["mean"]), tuple(config["std"])
    if first is not None and first.in_channels in (1, 3) and first.in_channels != channels and (not stated or channels == 3):
        channels = first.in_channels
    if channels not in (1, 3):
        raise ClassifierError(f"the network takes {channels} channels (input_size {config['input_size']}), but {ONLY_CHANNELS}")
    if len(mean) != channels:
        mean, std = (values * 3 if channels == 3 else (sum(values) / len(values),) for values in (mean, std))
    return ViewTransform(
        size=(int(height), int(width)),
        crop_pct=float(config["crop_pct"]),
        crop_mode=config["crop_mode"],
        interpolation=config["interpolation"],
        mean=tuple(float(value) for value in mean),
        std=tuple(float(value) for value in std),
        channels=channels,
    )
