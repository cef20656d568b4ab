"""Connected regions, salient boxes and redundancy, against counting pixels and pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from visual_summaries.errors import SettingsError
from visual_summaries.regions.components import connected_components
from visual_summaries.regions.salient import evidence_shares, prune, redundant_pairs, salient_boxes

BOXES = st.lists(
    st.tuples(st.integers(0, 20), st.integers(0, 15), st.integers(1, 12), st.integers(1, 9)).map(
        lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
    ),
    min_size=1,
    max_size=12,
)


def test_components_under_one_percent_are_dropped_and_the_rest_come_largest_first() -> None:
    evidence = np.zeros((20, 30), np.float16)  # 1 % of 600 pixels is 6
    evidence[1:3, 1:4] = 0.9  # 6 pixels: stays
    evidence[10:18, 10:20] = 1.0  # 80
    evidence[0, 25:30] = 1.0  # 5: goes
    found = connected_components(evidence)
    assert [box for box, _ in found] == [(10, 10, 20, 18), (1, 1, 4, 3)]
    assert [int(mask.sum()) for _, mask in found] == [80, 6]


def test_a_component_is_its_own_pixels_not_its_box() -> None:
    evidence = np.zeros((12, 9))
    evidence[2:8, 2] = evidence[7, 2:7] = 1.0  # an L
    ((box, mask),) = connected_components(evidence)
    assert box == (2, 2, 7, 8)
    np.testing.assert_array_equal(mask, evidence[2:8, 2:7] > 0)


def test_pixels_at_exactly_the_threshold_are_background() -> None:
    assert connected_components(np.full((5, 7), 0.5)) == []


@given(st.integers(0, 2**32 - 1))
def test_components_agree_with_scipy(seed: int) -> None:
    evidence = np.random.default_rng(seed).random((13, 17))
    labels, count = ndimage.label(evidence > 0.6, structure=np.ones((3, 3)))
    areas = sorted((int((labels == k).sum()) for k in range(1, count + 1)), reverse=True)
    found = connected_components(evidence, threshold=0.6, min_area=0.0)
    assert [int(mask.sum()) for _, mask in found] == areas


@given(BOXES, st.integers(0, 2**32 - 1))
def test_shares_agree_with_counting(boxes: list[tuple[int, ...]], seed: int) -> None:
    binary = np.random.default_rng(seed).random((24, 32)) < 0.6
    shares = evidence_shares(np.array(boxes), binary)
    for (x0, y0, x1, y1), share in zip(boxes, shares, strict=True):
        assert share == pytest.approx(binary[y0:y1, x0:x1].mean())


def test_salient_means_more_than_the_share() -> None:
    binary = np.zeros((8, 12), bool)
    binary[:, :6] = True
    boxes = np.array([[0, 0, 8, 4], [0, 0, 7, 8], [5, 0, 7, 8]])  # 0.75, 0.857, 0.5
    assert salient_boxes(boxes, binary).tolist() == [1]
    assert salient_boxes(boxes, binary, share=0.4).tolist() == [0, 1, 2]


@pytest.mark.parametrize("box", [(0, 0, 0, 3), (0, 0, 13, 3), (-1, 0, 3, 3), (0, 3, 3, 3)])
def test_boxes_outside_the_image_are_refused(box: tuple[int, ...]) -> None:
    with pytest.raises(SettingsError, match="is empty or leaves the image of 12 x 8 pixels"):
        evidence_shares(np.array([box]), np.ones((8, 12), bool))


@given(BOXES)
def test_redundancy_agrees_with_the_definition(boxes: list[tuple[int, ...]]) -> None:
    same = redundant_pairs(np.array(boxes))
    canvas = np.zeros((len(boxes), 24, 32), bool)
    for k, (x0, y0, x1, y1) in enumerate(boxes):
        canvas[k, y0:y1, x0:x1] = True
    for i in range(len(boxes)):
        for j in range(len(boxes)):
            a, b = canvas[i].sum(), canvas[j].sum()
            expected = i != j and (canvas[i] & canvas[j]).sum() >= 0.5 * min(a, b) and max(a, b) <= 2 * min(a, b)
            assert same[i, j] == expected


@given(BOXES, st.integers(0, 2**32 - 1))
def test_pruning_keeps_no_redundant_pair_and_drops_only_for_a_better_one(boxes: list[tuple[int, ...]], seed: int) -> None:
    array = np.array(boxes)
    value = np.random.default_rng(seed).random(len(boxes))
    kept = prune(array, value)
    same = redundant_pairs(array)
    assert not same[np.ix_(kept, kept)].any()
    for index in set(range(len(boxes))) - set(kept.tolist()):
        assert (value[kept[same[index, kept]]] >= value[index]).any()


def test_pruning_nothing() -> None:
    assert prune(np.empty((0, 4), int), np.empty(0)).tolist() == []
