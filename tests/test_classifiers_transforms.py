"""Transforms equal those of the libraries that state them; where a view lies in its image."""

from __future__ import annotations

from typing import Any

import numpy as np
import PIL.Image
import pytest
import timm
import timm.data
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from visual_summaries.classifiers import Classifier, ViewTransform, frame_of, resolve_transform, view_frame
from visual_summaries.classifiers.processors import transform_of_preset, transform_of_processor
from visual_summaries.errors import ClassifierError, RunError, SettingsError

IMAGES = [
    PIL.Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8))
    for seed, size in enumerate([(90, 140), (200, 61), (64, 64), (33, 47)])
]


def normalized(transform: ViewTransform, image: PIL.Image.Image) -> torch.Tensor:
    class Same(nn.Module):
        def forward(self, x):
            return x.flatten(1)

    classifier = Classifier(Same(), transform=transform)
    return classifier.logits(classifier.to_tensor([transform.view(image)])).view(transform.channels, *transform.size)


@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("crop_mode", ["center", "squash", "border"])
@pytest.mark.parametrize("crop_pct", [0.875, 0.95, 1.0])
@pytest.mark.parametrize(("size", "interpolation"), [((48, 64), "bicubic"), ((64, 40), "bilinear"), ((50, 50), "nearest")])
def test_equals_timms_evaluation_transform(image, crop_mode, crop_pct, size, interpolation):
    net = nn.Flatten()
    net.pretrained_cfg = {
        "input_size": (3, *size),
        "crop_pct": crop_pct,
        "crop_mode": crop_mode,
        "interpolation": interpolation,
        "mean": (0.4, 0.5, 0.6),
        "std": (0.2, 0.3, 0.4),
    }
    expected = timm.data.create_transform(**timm.data.resolve_model_data_config(net), is_training=False)(image)
    torch.testing.assert_close(normalized(resolve_transform(net), image), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["resnet10t", "test_vit", "mobilenetv3_small_050"])
def test_equals_timms_transform_of_its_own_models(name):
    model = timm.create_model(name)
    expected = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)(IMAGES[0])
    torch.testing.assert_close(normalized(resolve_transform(model), IMAGES[0]), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "efficientnet_b2", "vit_b_16", "squeezenet1_1"])
def test_equals_torchvisions_presets(name):
    preset = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    for image in IMAGES:
        torch.testing.assert_close(normalized(transform_of_preset(preset), image), preset(image), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("ViTImageProcessor", {"size": {"height": 40, "width": 56}, "resample": 2}),
        ("DeiTImageProcessor", {"size": {"height": 64, "width": 72}, "crop_size": {"height": 40, "width": 56}, "resample": 3}),
        ("ConvNextImageProcessor", {"size": {"shortest_edge": 56}, "crop_pct": 0.875, "resample": 3}),
        ("ConvNextImageProcessor", {"size": {"shortest_edge": 384}, "crop_pct": 0.875, "resample": 3}),
        ("BitImageProcessor", {"size": {"shortest_edge": 60}, "crop_size": {"height": 40, "width": 52}, "resample": 3}),
        ("ViTImageProcessor", {"size": {"height": 40, "width": 56}, "do_normalize": False}),
        (
            "EfficientNetImageProcessor",
            {"size": {"height": 40, "width": 56}, "rescale_factor": 1 / 127.5, "rescale_offset": True},
        ),
    ],
)
def test_equals_the_processors_of_transformers(kind, options):
    transformers = pytest.importorskip("transformers")
    processor = getattr(transformers, kind)(**options)
    transform = transform_of_processor(processor.to_dict())
    # both sizes leave an even number of pixels to cut: of an odd one transformers cuts the odd pixel on the other side
    for image in (
        PIL.Image.fromarray(np.random.default_rng(9).integers(0, 256, (*size, 3), np.uint8)) for size in ((96, 144), (192, 64))
    ):
        expected = processor(image, return_tensors="pt")["pixel_values"][0]
        got = normalized(transform, image)
        assert got.shape == expected.shape
        # transformers resizes tensors, Pillow images: the same filter, rounded elsewhere
        gray_levels = (got - expected).abs().mean() * 255 * min(transform.std)
        assert gray_levels < 1.0


def test_processors_that_lead_to_no_one_size_are_refused():
    with pytest.raises(ClassifierError, match="give input_size, mean and std"):
        transform_of_processor({"size": {"longest_edge": 300}})


def test_a_bare_module_gets_imagenets_statistics():
    transform = resolve_transform(nn.Linear(2, 2))
    assert (transform.size, transform.channels, transform.mean) == ((224, 224), 3, timm.data.IMAGENET_DEFAULT_MEAN)


def test_one_channel_is_recognized():
    model = timm.create_model("resnet10t", in_chans=1)
    transform = resolve_transform(model)
    assert transform.channels == 1
    assert transform.mean == pytest.approx((sum(model.pretrained_cfg["mean"]) / 3,))
    assert transform.view(IMAGES[0]).shape[2] == 3  # views stay RGB for pages; the network gets the luminance


def test_other_numbers_of_channels_are_refused():
    net = nn.Flatten()
    net.pretrained_cfg = {"input_size": (4, 20, 30)}
    with pytest.raises(ClassifierError, match="takes 4 channels"):
        resolve_transform(net)


def test_crop_pct_one_with_a_wide_view_cuts_only_what_the_shape_forces():
    image = PIL.Image.new("RGB", (200, 100), "red")
    image.paste("blue", (0, 0, 10, 100))
    image.paste("blue", (190, 0, 200, 100))
    wide = ViewTransform((50, 100), crop_pct=1.0).view(image)
    assert (wide[:, 0] == (0, 0, 255)).all()
    square = ViewTransform((50, 60), crop_pct=1.0).view(image)
    assert (square == (255, 0, 0)).all()


def test_overrides():
    base = ViewTransform((224, 224), resize=256, interpolation="bilinear")
    assert (
        base.replace(input_size=112)
        .in_words()
        .startswith("resize the shorter side to 128 (bilinear), cut the center 112 x 112")
    )
    assert base.replace(input_size=(1, 60, 80), mean=0.5).mean == (0.5,)
    assert base.replace(input_size=(1, 60, 80)).std == pytest.approx((sum(base.std) / 3,))
    assert base.replace(mean=[0.1, 0.2, 0.3], std=0.5).std == (0.5, 0.5, 0.5)
    assert base.replace(crop_pct=1.0).resize is None
    assert base.replace(resize=(30, 40)).in_words().startswith("resize to 30 x 40 without keeping the aspect ratio")
    assert base.replace() == base
    squashed = ViewTransform((224, 224), resize=(256, 256)).replace(input_size=(112, 168))
    assert squashed.in_words().startswith("resize to 128 x 192 without keeping the aspect ratio")


@pytest.mark.parametrize(
    ("overrides", "match"),
    [
        (
            {"input_size": (1, 2, 3, 4)},
            r"input_size is \(1, 2, 3, 4\), but must be a number of pixels, \(H, W\) or \(C, H, W\)",
        ),
        ({"input_size": (0, 5)}, r"size is \(0, 5\)"),
        ({"crop_pct": 0.0}, "crop_pct is 0.0"),
        ({"crop_mode": "middle"}, "crop_mode is 'middle', but must be one of 'center', 'squash', 'border'"),
        ({"interpolation": "cubic"}, "interpolation is 'cubic', but must be one of"),
        ({"mean": (0.5, 0.5)}, r"mean is \(0.5, 0.5\), but the network takes 3 channel"),
        ({"std": 0.0}, "must be positive"),
        ({"input_size": (5, 20, 20)}, "channels is 5"),
        ({"color": "red"}, "color is not a parameter of the transform"),
    ],
)
def test_impossible_overrides(overrides, match):
    with pytest.raises(SettingsError, match=match):
        ViewTransform((224, 224)).replace(**overrides)


def test_the_description_is_plain():
    import json

    described = ViewTransform((20, 30), resize=(22, 33)).to_dict()
    assert json.loads(json.dumps(described)) == described
    assert ViewTransform(
        **{key: tuple(value) if isinstance(value, list) else value for key, value in described.items()}
    ) == ViewTransform((20, 30), resize=(22, 33))


KINDS: list[dict[str, Any]] = [
    {"crop_pct": 0.875},
    {"crop_pct": 0.7, "crop_mode": "squash"},
    {"crop_pct": 0.9, "crop_mode": "border"},
    {"resize": 110},
    {"resize": (120, 140)},
    {"resize": 50},  # smaller than the view: padded
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@settings(max_examples=15, deadline=None)
@given(
    image_size=st.tuples(st.integers(150, 300), st.integers(150, 300)),
    size=st.one_of(st.integers(60, 100).map(lambda side: (side, side)), st.tuples(st.integers(60, 100), st.integers(60, 100))),
)
def test_each_pixel_of_a_view_comes_from_where_the_frame_says(
    kind: dict[str, Any], image_size: tuple[int, int], size: tuple[int, int]
) -> None:
    height, width = image_size
    transform = ViewTransform(size=size, **kind)
    rows, columns = np.mgrid[:height, :width]
    # red is the column, green the row; blue tells the image from padding, whose blue is the mean color's or 0
    picture = np.stack([columns * 255 / (width - 1), rows * 255 / (height - 1), np.full(image_size, 255)], axis=2)
    view = transform.view(PIL.Image.fromarray(picture.round().astype(np.uint8))).astype(float)
    frame = view_frame(transform, image_size)
    assert (frame.height, frame.width) == image_size

    y, x = np.nonzero(view[..., 2] > 250)
    places = frame.to_image(np.stack([x + 0.5, y + 0.5], axis=1))
    inner = (places > 4).all(axis=1) & (places[:, 0] < width - 4) & (places[:, 1] < height - 4)
    found = np.stack([view[y, x, 0] * (width - 1), view[y, x, 1] * (height - 1)], axis=1) / 255 + 0.5
    error = np.abs(found - places)[inner] / [frame.scale_x, frame.scale_y]
    assert inner.any()
    assert error.max() < 1.5  # view pixels: colors come in steps of more than one pixel of the image
    assert error.mean() < 0.5


@given(st.floats(-50, 50), st.floats(0.2, 5), st.floats(0.2, 5))
def test_there_and_back(offset: float, scale_x: float, scale_y: float) -> None:
    from visual_summaries.classifiers import Frame

    frame = Frame(offset, -offset, scale_x, scale_y, 100, 120)
    boxes = np.array([[3.0, 4, 17, 29]])
    assert np.allclose(frame.to_view(frame.to_image(boxes)), boxes)


def test_a_run_that_does_not_know_its_images_sizes_says_what_to_do() -> None:
    described = ViewTransform(size=(60, 80), resize=(70, 90)).to_dict()
    assert frame_of(described, (140, 180)) == view_frame(ViewTransform(size=(60, 80), resize=(70, 90)), (140, 180))
    with pytest.raises(RunError, match=r"how large a\.jpg is.*--resume"):
        frame_of(described, None, "a.jpg")
