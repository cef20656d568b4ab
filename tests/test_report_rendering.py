"""Pictures of regions: every pixel here is computed by hand."""

from __future__ import annotations

import base64
import io

import cv2
import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from visual_summaries.pages.geometry import contours, convex_hull, svg_path, touching_regions, window_around
from visual_summaries.pages.images import gray_levels
from visual_summaries.pages.rendering import CYAN, DIM, LIFT, RED, WHITE, bright_on_gray, render_region
from visual_summaries.pages.shell import data_uri


@pytest.fixture
def mask() -> np.ndarray:
    """20 x 30 (H x W): an L of evidence that reaches into the box (4, 4, 12, 12), and a square far from it."""
    mask = np.zeros((20, 30), bool)
    mask[2:10, 6:8] = True
    mask[8:10, 6:16] = True
    mask[14:18, 22:26] = True
    return mask


BOX = (4, 4, 12, 12)
VIEW = np.full((20, 30, 3), (200, 100, 50), np.uint8)
GRAY = round((0.299 * 200 + 0.587 * 100 + 0.114 * 50) * DIM + LIFT)


def test_hull_of_the_pixels_in_the_box_alone(mask: np.ndarray) -> None:
    # In the box the L covers columns 6-7 of rows 4-9 and columns 6-11 of rows 8-9; the corner between them is bridged.
    assert {tuple(point) for point in convex_hull(mask, BOX).tolist()} == {(6, 4), (8, 4), (12, 8), (12, 10), (6, 10)}


def test_hull_of_no_evidence_is_empty(mask: np.ndarray) -> None:
    assert convex_hull(mask, (0, 0, 4, 4)).shape == (0, 2)


@given(hnp.arrays(bool, (7, 9)), st.integers(0, 4), st.integers(0, 3))
def test_hull_holds_every_masked_pixel_and_stays_in_the_box(mask: np.ndarray, x0: int, y0: int) -> None:
    box = (x0, y0, x0 + 5, y0 + 4)
    hull = convex_hull(mask, box)
    inside = mask[y0 : y0 + 4, x0 : x0 + 5]
    if not inside.any():
        assert len(hull) == 0
        return
    assert (hull.min(axis=0) >= (x0, y0)).all()
    assert (hull.max(axis=0) <= (x0 + 5, y0 + 4)).all()
    for row, column in np.argwhere(inside):
        for corner in ((0, 0), (1, 0), (0, 1), (1, 1)):
            point = (float(column + x0 + corner[0]), float(row + y0 + corner[1]))
            assert cv2.pointPolygonTest(hull.astype(np.float32), point, False) >= 0


def test_regions_that_touch_the_box_are_whole(mask: np.ndarray) -> None:
    expected = mask.copy()
    expected[14:18, 22:26] = False
    assert np.array_equal(touching_regions(mask, BOX), expected)
    assert not touching_regions(mask, (0, 16, 10, 20)).any()


def test_contours_enclose_the_mask_with_its_holes() -> None:
    ring = np.zeros((12, 17), bool)
    ring[2:9, 3:12] = True
    ring[4:7, 5:10] = False
    polygons = contours(ring)
    assert len(polygons) == 2
    assert all(np.array_equal(polygon[0], polygon[-1]) for polygon in polygons)
    outer = max(polygons, key=len)
    assert outer.min(axis=0).tolist() == [3, 2]
    assert outer.max(axis=0).tolist() == [12, 9]


@given(hnp.arrays(bool, (6, 9)))
def test_contours_filled_even_odd_give_the_mask_back(mask: np.ndarray) -> None:
    inside = np.zeros(mask.shape, int)
    for polygon in contours(mask):
        points = polygon.astype(np.float32)
        for row, column in np.ndindex(*mask.shape):
            inside[row, column] += cv2.pointPolygonTest(points, (column + 0.5, row + 0.5), False) > 0
    assert np.array_equal(inside % 2 == 1, mask)


def test_simplified_contours_stay_within_their_tolerance() -> None:
    rows, columns = np.mgrid[:60, :80]
    disc = (rows - 30) ** 2 + (columns - 40) ** 2 < 25**2
    [exact], [simple] = contours(disc), contours(disc, 0.3)
    assert len(simple) < len(exact) / 2
    distances = [abs(cv2.pointPolygonTest(simple.astype(np.float32), (float(x), float(y)), True)) for x, y in exact]
    assert max(distances) <= 0.35


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((10, 5, 14, 9), (9, 4, 15, 10)),
        ((0, 0, 4, 4), (0, 0, 6, 6)),  # moved inside at a corner
        ((26, 16, 30, 20), (24, 14, 30, 20)),
        ((0, 0, 30, 10), (0, 0, 30, 20)),  # wider than the image is high: cut
    ],
)
def test_window(box: tuple[int, int, int, int], expected: tuple[int, int, int, int]) -> None:
    assert window_around(box, (20, 30), margin=0.25) == expected


def test_evidence_keeps_its_color_and_the_rest_is_gray() -> None:
    evidence = np.zeros((20, 30), np.float16)
    evidence[:, :10] = 1
    evidence[:, 10:20] = 0.5
    picture = bright_on_gray(VIEW, evidence)
    assert picture[3, 4].tolist() == [200, 100, 50]
    assert picture[3, 25].tolist() == [GRAY] * 3
    assert np.abs(picture[3, 15].astype(float) - (np.array([200, 100, 50]) + GRAY) / 2).max() <= 1


def test_overlay_at_every_place(mask: np.ndarray) -> None:
    scale = 8
    picture = render_region(VIEW, mask, BOX, scale=scale)
    assert picture.shape == (20 * scale, 30 * scale, 3)

    def at(x: float, y: float) -> np.ndarray:
        """Color at a point in view pixels (edges)."""
        return picture[round(y * scale), round(x * scale)].astype(int)

    assert at(2, 2).tolist() == [GRAY] * 3  # no evidence
    assert at(7, 6).tolist() == [200, 100, 50]  # evidence in the box
    assert at(14, 9).tolist() == [200, 100, 50]  # evidence outside the box stays bright
    assert at(24, 16).tolist() == [200, 100, 50]  # and so does that of a region that does not touch it
    assert np.abs(at(10, 6) - RED).max() < 60  # hull's slanted side, from (8, 4) to (12, 8)
    assert at(9, 10).tolist() == list(RED)  # hull's lower side lies on the outline and is drawn last
    assert at(14, 10).tolist() == list(CYAN)  # outline outside the box
    assert at(6, 3).tolist() == list(CYAN)
    assert at(22, 16).tolist() not in (list(CYAN), list(RED))  # the far region is not outlined
    assert at(4, 8).tolist() == list(WHITE)  # left side of the box
    assert not (picture == WHITE).all(axis=2)[: 3 * scale].any()  # nothing white above the box


def test_lines_are_anti_aliased(mask: np.ndarray) -> None:
    picture = render_region(VIEW, mask, BOX, scale=6, draw_box=False)
    colors = {tuple(color) for color in picture[4 * 6 : 8 * 6, 8 * 6 : 12 * 6].reshape(-1, 3).tolist()}
    assert len(colors) > 5  # the slanted side mixes with what lies under it


def test_lines_lie_where_the_pixels_end(mask: np.ndarray) -> None:
    scale = 9
    picture = render_region(VIEW, mask, BOX, scale=scale, draw_box=False)
    column = (picture[:, round(9.5 * scale)] == RED).all(axis=1)
    rows = np.flatnonzero(column[9 * scale :]) + 9 * scale
    assert abs(rows.mean() + 0.5 - 10 * scale) <= 0.5  # hull's lower side at y = 10


def test_window_is_a_part_of_the_whole(mask: np.ndarray) -> None:
    whole = render_region(VIEW, mask, BOX, scale=4)
    part = render_region(VIEW, mask, BOX, window=(4, 2, 20, 14), scale=4)
    inner = (slice(8, -8), slice(8, -8))  # interpolation at the cut differs
    assert np.abs(part[inner].astype(int) - whole[2 * 4 : 14 * 4, 4 * 4 : 20 * 4][inner]).max() <= 1


def test_mask_style_is_black_and_white(mask: np.ndarray) -> None:
    picture = render_region(VIEW, mask, BOX, style="mask", scale=5, draw_box=False)
    assert set(np.unique(picture)) == {0, 255}
    assert np.array_equal(picture[2::5, 2::5, 0] > 0, mask)
    labels, count = ndimage.label(picture[..., 0])
    assert count == 2
    assert labels.shape == (100, 150)


def test_image_style_is_the_image(mask: np.ndarray) -> None:
    picture = render_region(VIEW, mask, BOX, style="image", scale=2, draw_box=False)
    assert (picture == (200, 100, 50)).all()
    assert VIEW.flags.writeable
    assert (VIEW == (200, 100, 50)).all()


def test_unknown_style(mask: np.ndarray) -> None:
    with pytest.raises(ValueError, match="style is 'heat', but must be 'overlay', 'image' or 'mask'"):
        render_region(VIEW, mask, BOX, style="heat")


def decoded(uri: str) -> np.ndarray:
    head, data = uri.split(",")
    assert head == "data:image/webp;base64"
    return np.asarray(PIL.Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))


def test_data_uri_without_loss() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (9, 13), np.uint8)
    assert np.array_equal(decoded(data_uri(picture, quality=None)), np.repeat(picture[..., None], 3, axis=2))


def test_data_uri_with_loss_is_close_and_smaller() -> None:
    rows, columns = np.mgrid[:64, :96]
    noise = np.random.default_rng(0).integers(0, 6, (64, 96, 3))
    picture = (np.stack([rows * 2, columns * 2, rows + columns], axis=2) + noise).astype(np.uint8)
    lossy = data_uri(picture)
    assert np.abs(decoded(lossy).astype(int) - picture).mean() < 4
    assert len(lossy) < len(data_uri(picture, quality=None))


def test_gray_levels() -> None:
    values = gray_levels(np.array([[-1.0, 0.0, 0.26, 1.0, 2.0]], np.float16), levels=5)
    assert values.tolist() == [[0, 0, 64, 255, 255]]
    assert values.dtype == np.uint8


def test_svg_path_of_nothing_and_of_two_polygons() -> None:
    square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.26]])
    assert svg_path([]) == ""
    assert svg_path([np.zeros((0, 2))]) == ""
    assert svg_path([square, square + 10]) == "M0 0 1 0 1 1.3ZM10 10 11 10 11 11.3Z"
