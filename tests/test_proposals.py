"""Proposals: what every source promises, and that OpenCV's random numbers do not show."""

import ctypes

import numpy as np
import pytest
from skimage import data

from visual_summaries.errors import SettingsError
from visual_summaries.regions.proposals import SOURCES, propose_all, propose_boxes, selective_search


@pytest.fixture(scope="module")
def photograph():
    return np.ascontiguousarray(data.coffee()[50:370:2, 100:540:2])  # (160, 220)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("n", [1, 40, 500])
def test_boxes_are_what_they_should_be(photograph, source, n):
    boxes = propose_boxes(photograph, n, source)
    assert boxes.dtype == np.int32
    assert len(boxes) <= n
    assert boxes[0].tolist() == [0, 0, 220, 160]
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= [220, 160]).all()
    sides = boxes[:, 2:] - boxes[:, :2]
    assert sides.min() >= 8
    assert (sides.max(1) <= 5 * sides.min(1)).all()
    assert len(np.unique(boxes, axis=0)) == len(boxes)
    assert (np.diff(sides.prod(1)) <= 0).all()


@pytest.mark.parametrize("source", SOURCES)
def test_500_boxes_of_all_scales(photograph, source):
    boxes = propose_boxes(photograph, 500, source)
    assert len(boxes) == 500
    share = (boxes[:, 2:] - boxes[:, :2]).prod(1) / (220 * 160)
    for low, high in ((0, 0.02), (0.02, 0.1), (0.1, 0.4), (0.4, 1)):
        assert ((share > low) & (share <= high)).sum() >= 25, (low, high)


def test_c_library_random_numbers_do_not_show(photograph):
    libc = ctypes.CDLL(None)
    libc.srand(1)
    first = propose_boxes(photograph, 100)
    libc.srand(12345)
    np.testing.assert_array_equal(propose_boxes(photograph, 100), first)
    assert (selective_search(photograph, 500) == selective_search(photograph, 500)).all()


def test_seed_chooses(photograph):
    assert not np.array_equal(propose_boxes(photograph, 100, random_state=1), propose_boxes(photograph, 100))


def test_object_is_proposed():
    image = np.full((120, 170, 3), 30, np.uint8)
    image[40:90, 60:130] = (220, 60, 40)
    boxes = propose_boxes(image)
    low, high = np.maximum(boxes[:, :2], [60, 40]), np.minimum(boxes[:, 2:], [130, 90])
    shared = np.clip(high - low, 0, None).prod(1)
    union = (boxes[:, 2:] - boxes[:, :2]).prod(1) + 70 * 50 - shared
    assert (shared / union).max() > 0.85


@pytest.mark.parametrize("shape", [(96, 130), (512, 400)])
def test_other_sizes(shape):
    image = np.ascontiguousarray(data.astronaut()[: shape[0], : shape[1]])
    boxes = propose_boxes(image)
    assert len(boxes) > 250
    assert boxes[0].tolist() == [0, 0, shape[1], shape[0]]


def test_several_images_come_in_order(photograph):
    images = [photograph, photograph[:, ::-1].copy(), photograph[:100].copy()]
    together = list(propose_all(iter(images), 60, workers=2))
    for boxes, image in zip(together, images, strict=True):
        np.testing.assert_array_equal(boxes, propose_boxes(image, 60))


def test_wrong_arguments_are_named(photograph):
    with pytest.raises(SettingsError, match="source is 'edge', but must be one of 'selective_search'"):
        propose_boxes(photograph, source="edge")
    with pytest.raises(SettingsError, match="n is 0, but must be at least 1"):
        propose_boxes(photograph, 0)
    with pytest.raises(ValueError, match=r"uint8 \(H, W, 3\)"):
        propose_boxes(photograph[..., 0])
