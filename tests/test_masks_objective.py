"""Terms of the objective, the perturbation and superpixels against values computed by hand or by another library."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d

from visual_summaries.errors import SettingsError
from visual_summaries.masks.objective import area, geometry, grayness, less, total_variation
from visual_summaries.masks.perturb import gaussian_blur, perturb, straight_through_blur
from visual_summaries.masks.published import label_images, paint, segment_means
from visual_summaries.settings.masks import MaskSchedule, MaskSettings

TWO = torch.tensor(
    [
        [[1.0, 0.5, 0.0], [1.0, 0.0, 0.0]],
        [[0.25, 0.25, 0.25], [0.75, 0.75, 0.75]],
    ]
)


def test_area_is_the_mean_hidden_share_of_each_image():
    assert area(TWO).tolist() == pytest.approx([(0 + 0.5 + 1 + 0 + 1 + 1) / 6, 0.5])


def test_grayness_is_the_mean_of_m_times_one_minus_m():
    assert grayness(TWO).tolist() == pytest.approx([0.25 / 6, 0.1875])


@pytest.mark.parametrize(
    ("exponent", "expected"),
    [
        (3.0, [(0 + 0.125 + 0) / 3 + (0.125 + 0.125 + 1 + 0) / 4, 3 * 0.125 / 3]),
        (1.0, [0.5 / 3 + (0.5 + 0.5 + 1 + 0) / 4, 0.5]),
        (2.0, [0.25 / 3 + (0.25 + 0.25 + 1) / 4, 0.25]),
    ],
)
def test_total_variation_is_the_mean_power_in_each_direction(exponent, expected):
    assert total_variation(TWO, exponent).tolist() == pytest.approx(expected)


def test_total_variation_of_one_row_has_no_vertical_part():
    assert total_variation(torch.tensor([[[0.0, 1.0, 1.0]]]), 3.0).item() == pytest.approx(0.5)


def test_geometry_weighs_the_terms_with_the_stage():
    stage = MaskSchedule(1, l1=0.5, l2=0.25, l3=2.0)
    expected = 0.5 * area(TWO) + 0.25 * total_variation(TWO, 3.0) + 2 * grayness(TWO)
    torch.testing.assert_close(geometry(TWO, stage), expected)
    assert geometry(TWO, MaskSchedule(1, 0, 0, 0)).tolist() == [0, 0]


def test_gradient_of_an_image_does_not_know_its_batch():
    stage = MaskSchedule(1, l1=0.5, l2=0.25, l3=2.0)
    batch = TWO.clone().requires_grad_()
    geometry(batch, stage).sum().backward()
    for i in range(2):
        alone = TWO[i : i + 1].clone().requires_grad_()
        geometry(alone, stage).sum().backward()
        assert torch.equal(batch.grad[i], alone.grad[0])


def test_less_counts_only_scores_that_rise():
    value = less(torch.tensor([[0.25, 0.5, 0.25], [1.0, 0.0, 0.0]]), torch.tensor([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]]))
    assert value.tolist() == pytest.approx([0.25 / 3, 0.0])


@pytest.mark.parametrize("radius", [5, 40])  # by convolutions, and as products of matrices
def test_blur_agrees_with_scipy(radius):
    maps = torch.rand(2, 3, 17, 23, generator=torch.Generator().manual_seed(0))
    ours = gaussian_blur(maps, 2 * radius + 1, 10.0).numpy()
    scipys = maps.numpy()
    for axis in (2, 3):
        scipys = gaussian_filter1d(scipys, 10.0, axis=axis, mode="nearest", radius=radius)
    np.testing.assert_allclose(ours, scipys, atol=1e-6)


def test_a_flat_image_blurred_is_that_image():
    flat = torch.full((1, 3, 12, 20), 0.3)
    torch.testing.assert_close(gaussian_blur(flat, 11, 10.0), flat)


def test_perturb_mixes_by_the_mask():
    images, hidden = torch.rand(2, 3, 4, 5), torch.rand(2, 3, 4, 5)
    mask = torch.rand(2, 4, 5)
    torch.testing.assert_close(perturb(images, hidden, mask), images * mask[:, None] + hidden * (1 - mask[:, None]))
    assert torch.equal(perturb(images, hidden, torch.ones(2, 4, 5)), images)


def test_straight_through_blur_blurs_forward_and_nothing_backward():
    mask = torch.rand(2, 20, 30, generator=torch.Generator().manual_seed(1)).requires_grad_()
    blurred = straight_through_blur(mask, 5.0)
    torch.testing.assert_close(blurred, gaussian_blur(mask.detach()[:, None], 31, 5.0)[:, 0])
    weights = torch.rand(2, 20, 30)
    (blurred * weights).sum().backward()
    torch.testing.assert_close(mask.grad, weights)


@given(st.floats(0, 1), st.integers(2, 9), st.integers(2, 9))
def test_flat_masks_have_no_variation(value, h, w):
    mask = torch.full((1, h, w), value)
    assert total_variation(mask).item() == 0
    assert area(mask).item() == pytest.approx(1 - value, abs=1e-6)


def test_superpixels_follow_the_image_and_paint_means():
    image = torch.zeros(1, 3, 32, 48)
    image[:, :, :, 24:] = 1.0
    labels = label_images(image, segments=6)
    assert labels.shape == (1, 32, 48)
    assert not set(labels[0, :, :24].flatten().tolist()) & set(labels[0, :, 24:].flatten().tolist())
    maps = torch.rand(1, 32, 48)
    means = segment_means(maps, labels)
    for label in labels.unique():
        assert means[0, label].item() == pytest.approx(maps[labels == label].mean().item(), rel=1e-5)
    assert torch.equal(paint(means, labels)[0, 0, 0], means[0, labels[0, 0, 0]])


def test_superpixels_of_gray_images():
    assert label_images(torch.rand(2, 1, 16, 24), segments=8).shape == (2, 16, 24)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score": "odds"}, r"score is 'odds', but must be one of 'probability', 'logit'"),
        ({"noise": -1.0}, r"noise is -1.0, but must be at least 0.0"),
        ({"batch_size": 0}, r"batch_size is 0, but must be at least 1"),
        ({"tv_exponent": 0.5}, r"tv_exponent is 0.5"),
        ({"blur_size": 10}, r"blur_size is 10, but must be odd"),
    ],
)
def test_settings_name_what_is_wrong(change, message):
    with pytest.raises(SettingsError, match=message):
        MaskSettings(**change)
