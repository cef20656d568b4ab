"""Where a view lies in its image: held against what the transform does to an image whose colors are its coordinates."""

from __future__ import annotations

from typing import Any

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visual_summaries.classifiers import ViewTransform, frame_of, view_frame
from visual_summaries.errors import RunError

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
