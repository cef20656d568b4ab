"""Dense flow on matches whose displacement can be worked out by hand, and on photographs with a known warp."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from skimage import data

import visual_summaries as vs
from visual_summaries.errors import MissingExtraError, SettingsError
from visual_summaries.flow import Features, dense_flow, describe, match, warp
from visual_summaries.flow.dense import FILTERS
from visual_summaries.regions.proposals import propose_boxes
from visual_summaries.results import Region
from visual_summaries.runs.warping import warp_member
from visual_summaries.settings import preset
from visual_summaries.settings.stages import ASSIGNMENTS

PAPER = preset("paper").flow


def features(boxes, size):
    boxes = np.asarray(boxes, np.int32)
    return Features(boxes, torch.eye(len(boxes)), size)


def test_affine_map_of_the_most_confident_box():
    a = features([[10, 20, 30, 40], [10, 20, 20, 40]], (60, 80))
    b = features([[20, 10, 60, 50], [50, 30, 70, 50]], (70, 90))
    result = dense_flow(a, b, torch.tensor([[1.0, 0.0], [0.0, 0.5]]), assignment="best", completion="none", tolerance=1)
    # The large box is the more confident: it doubles in size, so the center of pixel (12, 21) goes to (20, 10) + 2 *
    # (2.5, 1.5) = (25, 13).
    assert result.flow[21, 12] == pytest.approx([25 - 12.5, 13 - 21.5])
    swapped = dense_flow(a, b, torch.tensor([[0.5, 0.0], [0.0, 1.0]]), assignment="best", completion="none", tolerance=1)
    # Now the small one: twice as wide, as high as before, so (12.5, 21.5) goes to (50, 30) + (2 * 2.5, 1.5).
    assert swapped.flow[21, 12] == pytest.approx([55 - 12.5, 31.5 - 21.5])
    assert swapped.flow.shape == (60, 80, 2)
    assert result.valid[20:40, 10:30].all()
    assert result.valid.sum() == 400


def test_matches_that_the_other_direction_denies_are_dropped():
    # Both boxes of A go to the only box of B, whose best match is box 0: pixels of box 1 come back somewhere else.
    a = features([[5, 5, 25, 25], [60, 30, 80, 50]], (60, 90))
    b = Features(np.array([[5, 5, 25, 25]], np.int32), torch.ones(1, 2), (60, 90))
    result = dense_flow(a, b, torch.tensor([[1.0], [0.9]]), assignment="best", completion="none")
    assert result.valid[5:25, 5:25].all()
    assert result.valid.sum() == 400
    assert not result.flow.any()  # holes take the nearest valid displacement, which is none


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
@pytest.mark.parametrize("completion", FILTERS)
def test_constant_motion_stays_constant_when_filled(completion, assignment):
    a = features([[10, 10, 40, 40], [50, 20, 80, 50]], (60, 90))
    b = features(a.boxes + np.array([6, -4, 6, -4]), (60, 100))
    guide = np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)
    flow = dense_flow(a, b, torch.eye(2), guide=guide, assignment=assignment, completion=completion).flow
    np.testing.assert_allclose(flow, np.broadcast_to([6, -4], flow.shape), atol=1e-2)


def test_votes_outweigh_a_single_more_confident_match():
    # Three boxes agree on (8, 2); the most confident one, which covers the same pixels, goes astray.
    boxes = np.array([[20, 10, 50, 40], [18, 12, 52, 38], [22, 8, 48, 42], [24, 14, 46, 36]])
    moved = boxes + np.array([8, 2, 8, 2])
    moved[3] = (80, 50, 102, 72)
    a, b = features(boxes, (60, 90)), features(moved, (80, 110))
    confidences = torch.diag(torch.tensor([0.8, 0.8, 0.8, 1.0]))
    voted = dense_flow(a, b, confidences, completion="none")
    np.testing.assert_allclose(voted.flow[25, 35], [8, 2], atol=0.2)
    best = dense_flow(a, b, confidences, assignment="best", completion="none")
    np.testing.assert_allclose(best.flow[25, 35], [56, 36], atol=0.2)


def test_voted_flow_of_one_match_is_its_affine_map():
    a, b = features([[10, 12, 70, 52]], (64, 96)), features([[30, 5, 60, 65]], (80, 110))
    flow = dense_flow(a, b, torch.ones(1, 1), completion="none", tolerance=1).flow
    y, x = np.mgrid[:64, :96] + 0.5
    expected = np.stack([30 + (x - 10) * 0.5 - x, 5 + (y - 12) * 1.5 - y], 2)
    np.testing.assert_allclose(flow[20:44, 20:60], expected[20:44, 20:60], atol=0.05)


def test_filled_flow_keeps_the_edges_of_the_guide():
    guide = np.zeros((40, 80, 3), np.uint8)
    guide[:, 40:] = 255
    a = features([[2, 2, 20, 38], [60, 2, 78, 38]], (40, 80))
    b = features([[2, 2, 20, 38], [70, 2, 88, 38]], (40, 100))
    flow = dense_flow(a, b, torch.eye(2), guide=guide).flow
    assert abs(flow[20, 36, 0]) < 1
    assert abs(flow[20, 43, 0] - 10) < 1


def test_nothing_matches():
    a, b = features([[10, 10, 40, 40]], (50, 60)), features([[10, 10, 40, 40]], (50, 60))
    result = dense_flow(a, b, torch.zeros(1, 1))
    assert not result.flow.any()
    assert not result.valid.any()


def test_a_moved_photograph_comes_back():
    image = np.ascontiguousarray(data.astronaut()[::2, ::2])[:200, :240]
    moved = np.roll(image, (14, -18), (0, 1))
    a, b = (describe(one, propose_boxes(one, 200)) for one in (image, moved))
    # The same boxes exist in both but for the border.
    flow = dense_flow(a, b, match(a, b, "lom"), guide=image)
    inner = flow.flow[40:-40, 40:-40]
    off = np.hypot(inner[..., 0] + 18, inner[..., 1] - 14)
    assert np.median(off) < 6
    box = (60, 50, 160, 150)
    before = np.abs(moved[50:150, 60:160].astype(int) - image[50:150, 60:160]).mean()
    after = np.abs(warp(moved, flow, box).astype(int) - image[50:150, 60:160]).mean()
    assert after < 0.6 * before


def test_warp_takes_pixels_from_where_the_flow_points():
    image = np.random.default_rng(0).integers(0, 256, (30, 50, 3), np.uint8)
    flow = np.zeros((20, 40, 2), np.float32)
    flow[..., 0], flow[..., 1] = 7, 3
    np.testing.assert_array_equal(warp(image, flow), image[3:23, 7:47])
    np.testing.assert_array_equal(warp(image, flow, (5, 2, 15, 18)), image[5:21, 12:22])


def test_wrong_arguments_are_named():
    a, b = features([[1, 1, 5, 5]], (20, 30)), features([[1, 1, 5, 5], [2, 2, 9, 9]], (20, 30))
    with pytest.raises(ValueError, match=r"shape \(2, 1\), but the images have 1 and 2 boxes"):
        dense_flow(a, b, torch.zeros(2, 1))
    with pytest.raises(ValueError, match="image A has height and width"):
        dense_flow(a, b, torch.zeros(1, 2), guide=np.zeros((30, 20, 3), np.uint8))
    with pytest.raises(SettingsError, match="assignment is 'mean', but must be one of 'best', 'vote'"):
        dense_flow(a, b, torch.zeros(1, 2), assignment="mean")
    with pytest.raises(SettingsError, match="completion is 'median', but must be one of"):
        dense_flow(a, b, torch.zeros(1, 2), completion="median")


def test_members_are_warped_by_the_matcher_of_the_settings():
    # Three boxes around one place move by (20, 0); a fourth looks more like another box, far away. NAM follows its looks.
    boxes = np.array([[20, 20, 60, 60], [22, 20, 62, 60], [20, 22, 60, 62], [30, 30, 50, 50]], np.int32)
    there = np.concatenate([boxes + np.array([20, 0, 20, 0]), [[120, 70, 140, 90]]]).astype(np.int32)
    looks = torch.eye(4)
    a = Features(boxes, looks, (100, 160))
    b = Features(there, torch.cat([looks, 1.2 * looks[3:]]), (100, 160))
    views = tuple(np.random.default_rng(k).integers(0, 256, (100, 160, 3), np.uint8) for k in (0, 1))
    exemplar, member = (
        Region(k, k, tuple(box[3].tolist()), np.ones((20, 20), bool), 1.0, 0.0, 0.0, 0.0)
        for k, box in enumerate((boxes, there))
    )

    def warped(**settings):
        return warp_member(exemplar, member, (a, b), views, replace(PAPER, **settings))

    expected = {
        name: warp(views[1], dense_flow(a, b, match(a, b, name), guide=views[0], assignment="best"), exemplar.box)
        for name in ("nam", "lom")
    }
    assert not np.array_equal(expected["nam"], expected["lom"])
    for name, picture in expected.items():
        crop, confidence = warped(method=name)
        np.testing.assert_array_equal(crop, picture)
        assert confidence == pytest.approx(float(match(a, b, name)[3, 3]))


def test_a_member_of_the_exemplars_own_image_is_cut_out_as_it_is():
    view = np.random.default_rng(0).integers(0, 256, (50, 80, 3), np.uint8)
    one = features([[10, 12, 30, 40]], (50, 80))
    exemplar = Region(0, 3, (10, 12, 30, 40), np.ones((28, 20), bool), 1.0, 0.0, 0.0, 0.0)
    crop, confidence = warp_member(exemplar, exemplar, (one, one), (view, view), PAPER)
    np.testing.assert_array_equal(crop, view[12:40, 10:30])
    assert confidence == 0


def test_an_opencv_without_contrib_is_said_before_anything_is_computed(monkeypatch, tmp_path):
    monkeypatch.delattr(cv2.ximgproc, "createFastGlobalSmootherFilter")  # what a plain build over contrib leaves
    box = np.array([[10, 10, 30, 40]], np.int32)
    features = Features(box, torch.ones(1, 1), (60, 90))
    for ask in (
        lambda: vs.summarize("no/such.py:network", tmp_path, 0),
        lambda: dense_flow(features, features, torch.ones(1, 1)),
        lambda: propose_boxes(np.zeros((60, 90, 3), np.uint8)),
    ):
        with pytest.raises(MissingExtraError, match="--force-reinstall --no-deps opencv-contrib-python-headless"):
            ask()
    assert len(propose_boxes(np.zeros((60, 90, 3), np.uint8), source="grid")) > 1
