"""HOG against a loop over pixels that follows the definition; crops; whitening against the formula."""

import math

import numpy as np
import pytest
import torch

from visual_summaries.flow import Whitening, describe, hog_boxes
from visual_summaries.flow.hog import CELL, crop_boxes, hog_cells


def hog_by_loops(image: np.ndarray) -> np.ndarray:
    """31 channels of the inner cells of one (H, W, 3) image, pixel by pixel and cell by cell."""
    height, width, _ = image.shape
    rows, columns = height // CELL, width // CELL
    histogram = np.zeros((rows, columns, 18))
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            best, direction = -1.0, 0
            for c in range(3):
                dx = float(image[y, x + 1, c]) - float(image[y, x - 1, c])
                dy = float(image[y + 1, x, c]) - float(image[y - 1, x, c])
                if dx * dx + dy * dy > best:
                    best = dx * dx + dy * dy
                    direction = round(math.atan2(dy, dx) / (math.pi / 9)) % 18
            row, column = (y + 0.5) / CELL - 0.5, (x + 0.5) / CELL - 0.5
            for i in (math.floor(row), math.floor(row) + 1):
                for j in (math.floor(column), math.floor(column) + 1):
                    if 0 <= i < rows and 0 <= j < columns:
                        histogram[i, j, direction] += math.sqrt(best) * (1 - abs(row - i)) * (1 - abs(column - j))
    unsigned = histogram[:, :, :9] + histogram[:, :, 9:]
    energy = [[sum(unsigned[i, j, o] ** 2 for o in range(9)) for j in range(columns)] for i in range(rows)]
    out = np.zeros((rows - 2, columns - 2, 31))
    for i in range(1, rows - 1):
        for j in range(1, columns - 1):
            cell = out[i - 1, j - 1]
            for k, (di, dj) in enumerate(((-1, -1), (-1, 1), (1, -1), (1, 1))):
                norm = math.sqrt(energy[i][j] + energy[i + di][j] + energy[i][j + dj] + energy[i + di][j + dj] + 1e-4)
                for o in range(18):
                    value = min(histogram[i, j, o] / norm, 0.2)
                    cell[o] += 0.5 * value
                    cell[27 + k] += value / math.sqrt(18)
                for o in range(9):
                    cell[18 + o] += 0.5 * min(unsigned[i, j, o] / norm, 0.2)
    return out


@pytest.mark.parametrize("shape", [(80, 80), (40, 56)])
def test_hog_equals_loops(shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    image[: shape[0] // 2, : shape[1] // 3] = 90  # a flat part: no gradient, no division by zero
    cells = hog_cells(torch.from_numpy(image).permute(2, 0, 1)[None])[0].numpy()
    np.testing.assert_allclose(cells, hog_by_loops(image), atol=1e-5)


def test_box_descriptor_equals_loops_on_its_padded_crop():
    image = np.random.default_rng(1).integers(0, 256, (120, 140, 3), np.uint8)
    box = (20, 30, 84, 94)  # 64 px: padded by 8 on each side it is 80 x 80 without resizing
    expected = hog_by_loops(image[22:102, 12:92])
    np.testing.assert_allclose(hog_boxes(image, [box])[0].numpy(), expected.ravel(), atol=1e-5)


def test_batches_do_not_change_descriptors(monkeypatch):
    image = np.random.default_rng(2).integers(0, 256, (60, 80, 3), np.uint8)
    boxes = [(x, y, x + 20, y + 12) for x in range(0, 60, 9) for y in range(0, 48, 9)]
    together = hog_boxes(image, boxes)
    monkeypatch.setattr("visual_summaries.flow.hog._BATCH", 5)
    assert torch.equal(together, hog_boxes(image, boxes))


def test_crops_pad_by_an_eighth_and_repeat_the_border():
    ramp = np.repeat(np.arange(0, 240, 2, dtype=np.uint8)[None, :, None], 96, 0).repeat(3, 2)  # (96, 120), value 2 x
    inside, corner = crop_boxes(ramp, [(20, 16, 84, 80), (0, 0, 32, 96)])
    np.testing.assert_array_equal(inside[40, :, 0], 2 * np.arange(12, 92))
    assert (corner[:, :6] == 0).all()  # four pixels left of the image repeat its first column
    assert corner[40, -1, 0] == pytest.approx(2 * 35, abs=1)


def test_shrinking_averages():
    fine = np.zeros((200, 160, 3), np.uint8)
    fine[:, ::2] = 200  # stripes narrower than a pixel of the 80 x 80 crop
    crop = crop_boxes(fine, [(0, 20, 128, 148)])[0]
    assert np.ptp(crop[:, 10:-10].astype(int)) <= 2


def test_dimension_and_flat_image():
    flat = hog_boxes(np.full((50, 70, 3), 128, np.uint8), [(0, 0, 70, 50)])
    assert flat.shape == (1, 1984)
    assert not flat.any()
    with pytest.raises(ValueError, match=r"multiples of 8"):
        hog_cells(torch.zeros(1, 3, 30, 40))


def test_whitened_products_are_the_formula():
    whitening = Whitening.default()
    descriptors = torch.rand(3, 1984, generator=torch.Generator().manual_seed(0))
    centered = descriptors.numpy().astype(np.float64) - np.tile(whitening.mean.astype(np.float64), 64)
    expected = centered @ np.linalg.solve(whitening.covariance(), centered.T)
    whitened = whitening(descriptors)
    np.testing.assert_allclose((whitened @ whitened.T).numpy(), expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def test_covariance_blocks_follow_the_offsets():
    whitening = Whitening.default()
    bare = Whitening(whitening.mean, whitening.autocovariance, 0.0)
    full = bare.covariance().reshape(8, 8, 31, 8, 8, 31)
    block = full[2, 3, :, 4, 1, :]  # two rows down, two columns to the left
    autocovariance = whitening.autocovariance
    np.testing.assert_allclose(block, autocovariance[7 + 2, 7 - 2], atol=1e-6)
    np.linalg.cholesky(whitening.covariance())  # raises unless positive definite


def test_autocovariance_equals_loops():
    image = np.random.default_rng(3).integers(0, 256, (96, 120, 3), np.uint8)
    fitted = Whitening.fit([image])  # 96 halves to 48, which holds no descriptor: one size only
    cells = hog_cells(torch.from_numpy(image).permute(2, 0, 1)[None])[0].numpy().astype(np.float64)
    np.testing.assert_allclose(fitted.mean, cells.mean((0, 1)), atol=1e-6)
    for dy, dx in ((0, 0), (2, -3), (-1, 4), (0, -7)):
        centered = cells - cells.mean((0, 1))
        pairs = [
            np.multiply.outer(centered[y, x], centered[y + dy, x + dx])
            for y in range(cells.shape[0])
            for x in range(cells.shape[1])
            if 0 <= y + dy < cells.shape[0] and 0 <= x + dx < cells.shape[1]
        ]
        expected = np.sum(pairs, 0) / (cells.shape[0] * cells.shape[1])
        np.testing.assert_allclose(fitted.autocovariance[7 + dy, 7 + dx], expected, atol=1e-6)


def test_statistics_survive_saving_and_shrink(tmp_path):
    noise = np.random.default_rng(4).integers(0, 256, (160, 170, 3), np.uint8)
    fitted = Whitening.fit([noise])
    fitted.save(tmp_path / "w.npz")
    loaded = Whitening.load(tmp_path / "w.npz")
    np.testing.assert_allclose(loaded.autocovariance, fitted.autocovariance, atol=1e-4)
    halfway = Whitening.fit([noise], shrinkage=Whitening.default())
    np.testing.assert_allclose(halfway.mean, (fitted.mean + Whitening.default().mean) / 2, atol=1e-6)
    with pytest.raises(ValueError, match="at least 80 x 80"):
        Whitening.fit([noise[:60]])


def test_describe_says_what_is_wrong_with_boxes():
    image = np.zeros((40, 60, 3), np.uint8)
    with pytest.raises(ValueError, match=r"\[50, 0, 61, 10\] is empty or leaves the image of 60 x 40"):
        describe(image, [(0, 0, 60, 40), (50, 0, 61, 10)])
    with pytest.raises(ValueError, match=r"uint8 \(H, W, 3\)"):
        describe(np.zeros((40, 60), np.uint8), [(0, 0, 60, 40)])
    with pytest.raises(ValueError, match="'sift', but must be one of 'auto', 'deep', 'hog'"):
        describe(image, [(0, 0, 60, 40)], "sift")
    assert describe(image, np.zeros((0, 4), int)).descriptors.shape == (0, 1984)
