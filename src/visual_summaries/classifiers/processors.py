"""Transforms that other libraries state in their own words: torchvision's presets, transformers' image processors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import PIL.Image

from visual_summaries.classifiers.transforms import ViewTransform
from visual_summaries.errors import ClassifierError


def transform_of_preset(preset: Any) -> ViewTransform:
    """Return the transform that torchvision ships with a set of weights, ``weights.transforms()``.

    Examples
    --------
    >>> import torchvision
    >>> transform_of_preset(torchvision.models.ResNet18_Weights.DEFAULT.transforms()).in_words()[:55]
    'resize the shorter side to 256 (bilinear), cut the cent'
    """
    sides = list(preset.crop_size)
    return ViewTransform(
        size=(int(sides[0]), int(sides[-1])),
        crop_pct=1.0,
        interpolation=preset.interpolation.value,
        mean=tuple(float(value) for value in preset.mean),
        std=tuple(float(value) for value in preset.std),
        resize=int(preset.resize_size[0]),
    )


def transform_of_processor(processor: Mapping[str, Any], channels: int = 3) -> ViewTransform:
    """Return the transform that an image processor of transformers states.

    Parameters
    ----------
    processor : mapping
        As in ``preprocessor_config.json``, or ``processor.to_dict()``.
    channels : int
        Channels that the network takes.

    Raises
    ------
    ClassifierError
        If it does not lead to images of one size.

    Examples
    --------
    >>> transform_of_processor({"do_resize": True, "size": {"height": 30, "width": 40}, "resample": 2, "do_rescale": True,
    ...                         "do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}).in_words()[:66]
    'resize to 30 x 40 without keeping the aspect ratio (bilinear), cut'
    """
    size = _sides(processor.get("size"))
    crop = _sides(processor.get("crop_size")) if processor.get("do_center_crop") else {}
    if not processor.get("do_resize", True):
        size = {"shortest_edge": min(crop.values())} if crop else {}
    resize: int | tuple[int, int]
    if {"height", "width"} <= size.keys():
        resize = (size["height"], size["width"])
        target = (crop.get("height", resize[0]), crop.get("width", resize[1]))
    elif "shortest_edge" in size:
        edge = size["shortest_edge"]
        resize = edge
        target = (crop.get("height", edge), crop.get("width", edge))
        if "crop_pct" in processor and "ConvNext" in str(processor.get("image_processor_type", "")):
            # ConvNeXt's processor (ResNet's and others' too) enlarges before it cuts, but not from 384 pixels on
            resize = int(edge / processor["crop_pct"]) if edge < 384 else (edge, edge)
            target = (edge, edge)
    else:
        raise ClassifierError(
            f"the image processor's size is {processor.get('size')!r}, which is no one size: give input_size, mean and std "
            "(--input-size, --mean, --std)"
        )
    mean, std = _statistics(processor, channels)
    resample = processor.get("resample", 2)
    interpolation = getattr(resample, "value", resample)
    if isinstance(interpolation, int):  # Pillow's numbers, which transformers writes into its files
        interpolation = PIL.Image.Resampling(interpolation).name.lower()
    return ViewTransform(
        size=target,
        crop_pct=1.0,
        interpolation=str(interpolation),
        mean=mean,
        std=std,
        channels=channels,
        resize=resize,
    )


def _sides(size: Any) -> dict[str, int]:
    if isinstance(size, int):
        return {"height": size, "width": size}
    if not isinstance(size, Mapping):
        # transformers keeps sizes in a dataclass of its own
        size = {name: getattr(size, name, None) for name in ("height", "width", "shortest_edge")}
    return {name: int(value) for name, value in size.items() if value is not None}


def _statistics(processor: Mapping[str, Any], channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and std for values in [0, 1], where the processor's own rescaling may be another."""
    mean, std = [0.0], [1.0]
    if processor.get("do_normalize", True):
        mean, std = _listed(processor.get("image_mean", 0.5)), _listed(processor.get("image_std", 0.5))
    if processor.get("include_top"):  # EfficientNet's processor divides by the standard deviation once more
        std = [value * again for value, again in zip(std, _listed(processor["image_std"]), strict=True)]
    factor = processor.get("rescale_factor", 1 / 255) if processor.get("do_rescale", True) else 1.0
    scale = 1.0 if math.isclose(factor * 255, 1.0, rel_tol=1e-3) else factor * 255
    offset = 1.0 if processor.get("rescale_offset") or processor.get("offset") else 0.0
    mean, std = [(value + offset) / scale for value in mean], [value / scale for value in std]
    if len(mean) != channels:
        mean, std = ([sum(values) / len(values)] * channels for values in (mean, std))
    return tuple(mean), tuple(std)


def _listed(value: Any) -> list[float]:
    return [float(value)] if isinstance(value, int | float) else [float(item) for item in value]
