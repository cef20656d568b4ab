"""Importance, controls, shares and joint effects on networks whose answer can be worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from visual_summaries.analyses import AnalysisSettings, measure_importance, measure_joint
from visual_summaries.analyses.coalitions import HiddenSets, prefixes, random_orders, shapley
from visual_summaries.analyses.importance import bootstrap_interval, divide_pixels
from visual_summaries.analyses.joint import join_together
from visual_summaries.classifiers import Classifier, Target, ViewTransform, resolve_target
from visual_summaries.masks.controls import moved_copies, object_mask
from visual_summaries.masks.scorer import Scorer
from visual_summaries.results import Image, JointEffects, Region, Summary, SummaryAnalysis
from visual_summaries.settings.masks import MaskSettings

H, W = 24, 40
#: Squares of 6 x 6 pixels that a network may look at, and two that it does not.
PLACES = {"first": (2, 3), "second": (14, 30), "decoy": (2, 30), "other": (14, 3)}
SIDE = 6


class Squares(torch.nn.Module):
    """Looks at two striped squares; `needs` says how what is left of them (1 whole, 0 blurred away) becomes the score."""

    def __init__(self, needs: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.needs = needs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left = []
        for name in ("first", "second"):
            y, column = PLACES[name]
            square = x[:, 0, y : y + SIDE, column : column + SIDE]
            left.append(((square[..., 1:] - square[..., :-1]).abs().mean(dim=(1, 2)) > 0.5).float())
        score = self.needs(*left)
        return torch.stack([score, 1 - score], dim=1).clamp(1e-6, 1 - 1e-6).log()


def both(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return 0.8 * a * b + 0.1


def either(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return 0.8 * torch.maximum(a, b) + 0.1


def striped(count: int) -> list[Image]:
    """Images with stripes all over: stripes of one pixel, which the published blur destroys."""
    view = np.zeros((H, W, 3), np.uint8)
    view[:, ::2] = 255
    return [Image(index, f"{index}.png", "", view + np.uint8(0), 0.9, 0) for index in range(count)]


@dataclass(frozen=True)
class Case:
    """A classifier, images, and a summary for each of some places."""

    classifier: Classifier
    target: Target
    images: list[Image]
    evidence: list[np.ndarray]
    regions: list[Region]
    summaries: list[Summary]


def set_up(needs: Callable[..., torch.Tensor], names: tuple[str, ...], count: int = 3) -> Case:
    classifier = Classifier(Squares(needs), transform=ViewTransform((H, W)), class_names=["yes", "no"])
    regions: list[Region] = []
    summaries = []
    margin = 1  # a region is a little larger than what the network looks at
    for name in names:
        y, x = PLACES[name]
        box = (x - margin, y - margin, x + SIDE + margin, y + SIDE + margin)
        pixels = np.ones((SIDE + 2 * margin,) * 2, bool)
        own = [Region(len(regions) + i, i, box, pixels, 1.0, 0.0, 0.0, 0.0) for i in range(count)]
        regions += own
        summaries.append(Summary(len(summaries), own[0].index, (), tuple(r.index for r in own), 1.0, 0.0))
    evidence = np.zeros((H, W), bool)
    for y, x in PLACES.values():
        evidence[y - margin : y + SIDE + margin, x - margin : x + SIDE + margin] = True
    target = resolve_target(classifier, "yes")
    return Case(classifier, target, striped(count), [evidence] * count, regions, summaries)


def measure(
    needs: Callable[..., torch.Tensor], names: tuple[str, ...], count: int = 3, **settings: Any
) -> list[SummaryAnalysis]:
    case = set_up(needs, names, count)
    scorer = Scorer(case.classifier, case.target, MaskSettings(infill="blur"))
    return measure_importance(scorer, case.images, case.evidence, case.regions, case.summaries, AnalysisSettings(**settings))


def test_both_needed_they_share_the_loss() -> None:
    first, second, decoy = measure(both, ("first", "second", "decoy"))
    lost = 0.8 / 0.9
    assert (first.importance, second.importance, decoy.importance) == pytest.approx((lost / 2, lost / 2, 0), abs=1e-6)
    assert first.coverage == 1
    assert first.images.tolist() == [0, 1, 2]


def test_either_suffices_they_share_the_loss() -> None:
    first, second, decoy, other = measure(either, ("first", "second", "decoy", "other"), count=6)
    lost = 0.8 / 0.9
    assert (first.importance, second.importance, decoy.importance, other.importance) == pytest.approx(
        (lost / 2, lost / 2, 0, 0), abs=1e-6
    )
    assert first.beats_control
    assert second.beats_control
    assert not decoy.beats_control
    assert not other.beats_control


@pytest.mark.parametrize("needs", [both, either])
def test_a_decoy_never_beats_its_control(needs: Callable[..., torch.Tensor]) -> None:
    """Its copies may hit what is used, itself it cannot."""
    decoy = measure(needs, ("decoy",), count=8, draws=4)[0]
    assert decoy.above_control <= 1e-6
    assert not decoy.beats_control


def test_shares_by_orders_come_near_the_exact_ones() -> None:
    exact = measure(either, ("first", "second", "decoy", "other"), count=4, passes=32)
    sampled = measure(either, ("first", "second", "decoy", "other"), count=4, passes=12)
    for one, other in zip(exact, sampled, strict=True):
        assert one.importance == pytest.approx(other.importance, abs=0.2)


def test_a_summary_alone_has_the_same_copies_as_among_others(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[bytes, bytes]] = []

    def recorded(mask: np.ndarray, *args: Any) -> np.ndarray:
        copies = moved_copies(mask, *args)
        made.append((mask.tobytes(), copies.tobytes()))
        return copies

    monkeypatch.setattr("visual_summaries.analyses.importance.moved_copies", recorded)
    measure(both, ("first",), draws=3)
    alone = set(made)
    made.clear()
    measure(both, ("second", "first"), draws=3)
    assert len(alone) == 1  # the images are copies
    assert alone < set(made)


def test_a_control_counts_what_a_copy_adds_in_the_place_of_its_summary() -> None:
    """Both are needed: a copy on the other square takes all, unless that was hidden before it."""
    lost = 0.8 / 0.9
    for analysis in measure(both, ("first", "second", "decoy", "other"), count=8, draws=4):
        places = analysis.share_controls / lost * 4
        np.testing.assert_allclose(places, places.round(), atol=1e-5)  # each of four copies takes all or nothing
        assert set(places.round().tolist()) <= {0, 1, 2, 3, 4}


games = st.integers(1, 4).flatmap(lambda k: st.lists(st.floats(-1, 1), min_size=2**k, max_size=2**k))


@given(games)
def test_shapley_values_are_those_of_the_definition(values: list[float]) -> None:
    count = len(values).bit_length() - 1
    parts = np.eye(count, dtype=bool)[:, None, :]

    def score(masks: np.ndarray) -> np.ndarray:
        return np.array([values[sum(1 << i for i in range(count) if mask[0, i])] for mask in masks])

    hidden = HiddenSets(score, parts, values[0])
    expected = np.zeros(count)
    orders = list(permutations(range(count)))
    for order in orders:
        for index in order:
            before = prefixes(order)[order.index(index)]
            expected[index] += (values[before] - values[before | 1 << index]) / len(orders)
    np.testing.assert_allclose(shapley(hidden, [], 2**count), expected, atol=1e-9)
    np.testing.assert_allclose(shapley(HiddenSets(score, parts, values[0]), orders, 1), expected, atol=1e-9)
    assert expected.sum() == pytest.approx(values[0] - values[-1], abs=1e-9)


@given(st.integers(2, 9), st.integers(2, 64), st.integers(0, 5))
def test_orders_stay_within_the_budget(count: int, passes: int, seed: int) -> None:
    orders = random_orders(count, passes, np.random.default_rng(seed))
    assert orders[1::2] == [order[::-1] for order in orders[::2]][: len(orders) // 2]  # the last may have none
    assert all(sorted(order) == list(range(count)) for order in orders)
    sets = {members for order in orders for members in prefixes(order)}
    assert len(sets) <= passes or len(orders) == 1
    assert len(orders) <= passes


@given(st.integers(0, 10**6), st.integers(3, 12), st.integers(3, 14))
def test_copies_keep_the_pixels_and_stay_off_the_region(seed: int, height: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    mask = np.zeros((40, 56), bool)
    y, x = rng.integers(0, 40 - height), rng.integers(0, 56 - width)
    mask[y : y + height, x : x + width] = rng.random((height, width)) < 0.7
    mask[y, x] = True
    copies = moved_copies(mask, 5, rng)
    assert (copies.sum(axis=(1, 2)) == mask.sum()).all()
    assert ((copies & mask).sum(axis=(1, 2)) <= 0.05 * mask.sum()).all()


def test_copies_on_the_object_lie_on_it() -> None:
    mask = np.zeros((60, 90), bool)
    mask[20:28, 30:40] = True
    on_object = np.zeros_like(mask)
    on_object[10:40, 25:60] = True
    copies = moved_copies(mask, 6, np.random.default_rng(0), on_object)
    assert ((copies & on_object).sum(axis=(1, 2)) >= 0.9 * mask.sum()).all()
    assert len({copy.tobytes() for copy in copies}) > 3


def test_a_region_that_fills_the_image_is_its_own_copy() -> None:
    mask = np.ones((6, 8), bool)
    assert moved_copies(mask, 2, np.random.default_rng(0)).all()
    assert not moved_copies(np.zeros((6, 8), bool), 2, np.random.default_rng(0)).any()


def test_no_evidence_no_object() -> None:
    assert not object_mask(np.zeros((4, 5, 3), np.uint8), np.zeros((4, 5), bool)).any()


def test_evidence_all_over_leaves_no_background_to_learn_from() -> None:
    assert object_mask(np.zeros((4, 5, 3), np.uint8), np.ones((4, 5), bool)).all()


def test_an_object_is_looked_for_once_for_the_same_image_and_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    view = np.random.default_rng(5).integers(0, 255, (30, 40, 3), np.uint8)
    view[8:20, 10:30] = (200, 30, 30)
    evidence = np.zeros((2, 30, 40), bool)
    evidence[0, 9:12, 11:14], evidence[1, 15:18, 20:26] = True, True
    grown = []
    monkeypatch.setattr("cv2.grabCut", lambda *given, ran=cv2.grabCut: grown.append(ran(*given)))
    first, other = (object_mask(view, one) for one in evidence)
    assert object_mask(view.copy(), evidence[0].copy()) is first
    assert object_mask(view, evidence[1]) is other
    assert len(grown) == 2
    view[8:20, 10:30] = (30, 30, 200)
    object_mask(view, evidence[0])
    assert len(grown) == 3
    with pytest.raises(ValueError, match="read-only"):
        first[0, 0] = True


def joint(needs: Callable[..., torch.Tensor], names: tuple[str, ...], **settings: Any) -> JointEffects:
    case = set_up(needs, names)
    analyses = measure(needs, names)
    summaries = [replace(summary, analysis=found) for summary, found in zip(case.summaries, analyses, strict=True)]
    scorer = Scorer(case.classifier, case.target, MaskSettings(infill="blur"))
    found = measure_joint(scorer, case.images, case.evidence, case.regions, summaries, AnalysisSettings(**settings))
    assert found is not None
    return found


def test_where_both_are_needed_one_destroys_and_two_suffice() -> None:
    found = joint(both, ("decoy", "first", "second"))
    assert found.order[2] == 0
    np.testing.assert_allclose(found.deletion, np.array([0.9, 0.1, 0.1, 0.1]) / 0.9, atol=1e-5)
    np.testing.assert_allclose(found.insertion, np.array([0.1, 0.1, 0.9, 0.9]) / 0.9, atol=1e-5)
    assert found.evidence == pytest.approx((1 / 9, 1), abs=1e-5)
    assert len(found.destroying) == 1
    assert set(found.sufficient) == {1, 2}
    assert 0 not in found.destroying


def test_a_summary_whose_pixels_all_count_for_another_does_nothing() -> None:
    found = joint(both, ("first", "first", "second"))
    assert found.evidence == pytest.approx((1 / 9, 1), abs=1e-5)
    assert found.deletion[-1] == pytest.approx(1 / 9, abs=1e-5)
    assert set(found.sufficient) == {1, 2}


def test_where_either_suffices_two_destroy_and_one_suffices() -> None:
    found = joint(either, ("decoy", "first", "second"))
    assert set(found.destroying) == {1, 2}
    assert len(found.sufficient) == 1
    assert found.sufficient[0] != 0
    areas = found.areas()
    assert areas["deletion"][0] <= areas["deletion"][1]
    assert areas["insertion"][0] >= areas["insertion"][1]


def test_random_orders_start_and_end_where_all_orders_do() -> None:
    found = joint(both, ("first", "decoy", "second"), orders=4)
    assert found.random_deletion.shape == (4, 4)
    for curves, own in ((found.random_deletion, found.deletion), (found.random_insertion, found.insertion)):
        np.testing.assert_allclose(curves[:, [0, -1]], np.tile(own[[0, -1]], (4, 1)), atol=1e-6)


def test_evidence_without_effect_needs_no_set() -> None:
    found = joint(lambda a, b: 0 * a + 0.9, ("first", "second"))
    assert found.destroying == found.sufficient == ()


def test_no_summaries_no_joint_effects() -> None:
    case = set_up(both, ())
    scorer = Scorer(case.classifier, case.target)
    assert measure_joint(scorer, case.images, case.evidence, [], []) is None


def test_no_two_summaries_share_a_pixel() -> None:
    whole, part = np.ones((6, 9), bool), np.ones((2, 3), bool)
    found = divide_pixels(
        [(7, (3, 1, 6, 3), part), (4, (0, 0, 9, 6), whole), (5, (3, 1, 6, 3), np.zeros((2, 3), bool))], (6, 9)
    )
    assert sorted(found) == [4, 7]  # what is empty is nowhere
    expected = np.zeros((6, 9), bool)
    expected[1:3, 3:6] = True
    np.testing.assert_array_equal(found[7], expected)
    np.testing.assert_array_equal(found[4], ~expected)
    assert sorted(divide_pixels([(0, (0, 0, 9, 6), whole), (1, (0, 0, 9, 6), whole)], (6, 9))) == [1]  # of equals one has all


def test_values_of_one_group_are_drawn_together() -> None:
    """Copies prove nothing: the interval of values that are all there three times is that of the values."""
    values = np.random.default_rng(3).normal(0.1, 0.2, 7)
    once = bootstrap_interval(values)
    assert bootstrap_interval(np.repeat(values, 3), groups=np.repeat(np.arange(7), 3)) == pytest.approx(once)
    low, high = bootstrap_interval(np.repeat(values, 3))
    assert once[0] < low < high < once[1]


def test_near_copies_are_resampled_together_in_the_share_of_summaries() -> None:
    losses = np.random.default_rng(0).uniform(0.2, 0.6, (5, 4))
    once = join_together(losses, 0.1)
    thrice = join_together(np.repeat(losses, 3, axis=0), 0.1, origins=np.repeat(np.arange(5), 3))
    assert thrice.interval == pytest.approx(once.interval)
