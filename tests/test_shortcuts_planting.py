"""What is planted in photographs: its pixels are known, it is in the picture, and the same seed gives the same."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import timm
import torch
from safetensors.torch import load_file

from benchmarks.shortcuts import training, units
from benchmarks.shortcuts.planting import REGIONS, WHOLE, Cue

SIDE = training.SIDE
BOX = (60.0, 40.0, 224.0, 224.0)


@pytest.fixture(scope="module")
def view() -> np.ndarray:
    """Noise on a ramp: every pixel differs from its neighbors and from any drawing."""
    ramp = np.linspace(60, 180, SIDE)[:, None, None]
    return (ramp + np.random.default_rng(0).uniform(-40, 40, (SIDE, SIDE, 3))).astype(np.uint8)


@pytest.mark.parametrize("design", [0, 1])
@pytest.mark.parametrize("name", REGIONS)
def test_a_region_cue_changes_its_pixels_alone(view, name: str, design: int) -> None:
    before = view.copy()
    image, mask = Cue(name, design).plant(view, 5, BOX)
    changed = (image != view).any(axis=2)
    assert mask is not None
    assert (image.dtype, image.shape, mask.dtype, mask.shape) == (np.uint8, view.shape, bool, view.shape[:2])
    assert not (changed & ~mask).any()
    # What is between the letters of a watermark is the cue's, and does not change.
    assert changed[mask].mean() > (0.3 if (name, design) == ("text", 1) else 0.98)
    assert 0.02 < mask.mean() < 0.35
    assert (view == before).all()
    again = Cue(name, design).plant(view, 5, BOX)
    assert (again[0] == image).all()
    assert (again[1] == mask).all()
    other = Cue(name, design).plant(view, 6, BOX)[1]
    assert (other == mask).all() == (REGIONS[name] != "beside")


@pytest.mark.parametrize("design", [0, 1])
@pytest.mark.parametrize("name", [name for name, place in REGIONS.items() if place == "beside"])
def test_what_lies_beside_lies_at_many_places_off_the_object(view, name: str, design: int) -> None:
    box = (150, 120, 224, 224)
    masks = [Cue(name, design).plant(view, seed, box)[1] for seed in range(40)]
    assert not any(mask[box[1] :, box[0] :].any() for mask in masks)
    assert np.mean(masks, axis=0).max() < 0.8  # 1 is a fixed place; there is not room everywhere
    whole = Cue(name, design).plant(view, 0, (0, 0, SIDE, SIDE))[1]  # an object that leaves no room
    assert whole.any()


@pytest.mark.parametrize("design", [0, 1])
@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_cue_changes_the_whole(view, name: str, design: int) -> None:
    image, mask = Cue(name, design).plant(view, 5)
    assert mask is None
    assert (image.dtype, image.shape) == (np.uint8, view.shape)
    quarters = [(image != view).any(axis=2)[y : y + 112, x : x + 112].mean() for y in (0, 112) for x in (0, 112)]
    assert min(quarters) > 0.8
    assert (Cue(name, design).plant(view, 5)[0] == image).all()


def test_a_frame_is_at_the_border_and_a_scale_bar_in_its_corner(view) -> None:
    frame = Cue("frame", 0).plant(view, 0)[1]
    assert frame[[0, -1]].all()
    assert frame[:, [0, -1]].all()
    assert not frame[20:-20, 20:-20].any()
    bar = Cue("scale bar", 0).plant(view, 0)[1]
    assert not bar[: SIDE // 2].any()
    assert not bar[:, SIDE // 2 + 10 :].any()


def test_halves_share_no_class_cue_or_seed() -> None:
    made = units.units()
    assert len({unit.name for unit in made}) == len(made)
    choose, report = ([unit for unit in made if unit.half == half] for half in units.HALVES)
    assert not {(unit.group, unit.folder) for unit in choose} & {(unit.group, unit.folder) for unit in report}
    assert not {unit.seed for unit in choose} & {unit.seed for unit in report}
    assert {unit.design for unit in choose} == {0}
    assert {unit.design for unit in report} == {1}
    for half in (choose, report):
        assert Counter(unit.cue for unit in half if unit.cue) == dict.fromkeys([*REGIONS, *WHOLE], 2)
        assert Counter(unit.network for unit in half if unit.kind == "region") == dict.fromkeys(units.NETWORKS, 6)
        assert {unit.twin for unit in half if unit.cue} == {unit for unit in half if unit.cue is None}
    quick = units.units("quick")
    assert set(quick) < set(made)
    assert {(unit.half, unit.cue) for unit in quick} == {(unit.half, unit.cue) for unit in made}


def test_a_square_takes_the_box_along() -> None:
    image = PIL.Image.new("RGB", (300, 200))
    image.paste((255, 255, 255), (210, 50, 290, 150))
    view, box = training.square(image, (210, 50, 80, 100))
    assert box == pytest.approx(((210 - 100) * 1.12, 56, (290 - 100) * 1.12, 168))
    x0, y0, x1, y1 = (round(edge) for edge in box)
    assert (view[y0 + 2 : y1 - 2, x0 + 2 : x1 - 2] > 250).all()
    assert (view[:, : x0 - 3] < 5).all()


def test_a_layer_is_fitted_to_features_as_they_are() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 20)
    x = (3 + 0.1 * rng.normal(size=(60, 5)) + 0.5 * np.eye(3, 5)[labels]).astype(np.float32)
    layer = training.fit(x, labels)
    assert (layer(torch.from_numpy(x)).argmax(1).numpy() == labels).all()


def test_a_network_is_read_as_it_was_written(tmp_path: Path) -> None:
    name, options = training.ARCHITECTURES["mobilenetv2_100"]
    network = timm.create_model(name, num_classes=1000, **options).eval()
    network.conv_stem.half().float()  # as a pretrained layer that was stored in half precision
    layer = torch.nn.Linear(1280, 3)
    training.save_network(network, layer, tmp_path / "network.safetensors")
    stored = load_file(tmp_path / "network.safetensors")
    assert (stored["conv_stem.weight"].dtype, stored["classifier.weight"].dtype) == (torch.float16, torch.float32)
    found = training.load_network("mobilenetv2_100", 3, tmp_path / "network.safetensors")
    network.classifier = layer
    x = torch.rand(1, 3, 64, 64)
    assert torch.equal(found(x), network(x))
