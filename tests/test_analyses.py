"""Sets, stability, quality and chance, on cases whose answer can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import silhouette_samples

from visual_summaries.analyses import (
    mean_jaccard,
    measure_chance,
    resample,
    silhouettes,
)
from visual_summaries.analyses.cohesion import cohesion
from visual_summaries.analyses.joint import smallest
from visual_summaries.analyses.stability import matched_jaccard
from visual_summaries.flow import Features
from visual_summaries.masks.controls import moved
from visual_summaries.settings import Settings
from visual_summaries.settings.stages import AnalysisSettings


@given(st.integers(1, 5).flatmap(lambda k: st.tuples(st.permutations(range(k)), st.sets(st.integers(0, 2**k - 1)))))
def test_the_smallest_set_can_spare_no_member(case: tuple[list[int], set[int]]) -> None:
    order, enough = case
    found = smallest(order, enough.__contains__)
    if found:
        assert sum(1 << k for k in found) in enough
        if len(order) <= 2 and len(found) == 2:
            assert not {1 << found[0], 1 << found[1]} & enough


def test_silhouettes_agree_with_sklearn_where_it_applies() -> None:
    """Distances 1 - s with a = own, b = other: sklearn's (b - a) / max(a, b); by similarity the roles are exchanged."""
    rng = np.random.default_rng(0)
    similarity = rng.uniform(0.1, 1, (9, 9))
    similarity = (similarity + similarity.T) / 2
    labels = np.repeat([0, 1, 2], 3)
    distance = similarity.max() - similarity
    np.fill_diagonal(distance, 0)
    ours = silhouettes(similarity, labels, np.arange(9))
    theirs = silhouette_samples(distance, labels, metric="precomputed")
    assert (np.sign(ours) == np.sign(theirs)).all()
    for i in range(9):
        own = [similarity[i, j] for j in range(9) if labels[j] == labels[i] and j != i]
        other = max(np.mean(similarity[i, labels == k]) for k in range(3) if k != labels[i])
        assert ours[i] == pytest.approx((np.mean(own) - other) / max(np.mean(own), other))


def test_silhouettes_leave_out_regions_of_the_same_image() -> None:
    similarity = np.array([[0, 0, 3.0, 1.0], [0, 0, 1.0, 1.0], [3.0, 1.0, 0, 0], [1.0, 1.0, 0, 0]])
    values = silhouettes(similarity, [0, 0, 0, 1], [0, 0, 1, 1])
    assert values[0] == pytest.approx(2 / 3)  # 3 to its own, 1 to the other: what it has in its own image does not count
    assert np.isnan(values[3])
    assert cohesion(similarity, [0, 0, 0, -1], [0, 0, 1, 1]).tolist() == [1.0]  # nothing else to be like


def blocks(sizes: list[int], seed: int = 0) -> np.ndarray:
    truth = np.repeat(np.arange(len(sizes)), sizes)
    noise = np.random.default_rng(seed).uniform(0, 0.05, (len(truth),) * 2)
    return np.where(truth[:, None] == truth, 1.0, 0.1) + (noise + noise.T) / 2


def test_planted_groups_are_stable_and_random_ones_are_not() -> None:
    images = np.tile(np.arange(10), 3)
    planted = [list(range(10)), list(range(10, 20)), list(range(20, 30))]
    mixed = [list(range(0, 30, 3)), list(range(1, 30, 3)), list(range(2, 30, 3))]

    def stability(clusters: list[list[int]]) -> np.ndarray:
        return mean_jaccard(np.array([resample(blocks([10, 10, 10]), images, clusters, number=k) for k in range(20)]))

    assert stability(planted).min() > 0.95
    assert stability(mixed).max() < 0.5


def test_each_resampling_is_reproducible_and_another_one() -> None:
    similarity, images = blocks([6, 6], 3), np.tile(np.arange(6), 2)
    clusters = [range(5), range(5, 12)]
    first, again = (
        [resample(similarity, images, clusters, number=k, random_state=4).tolist() for k in range(4)] for _ in range(2)
    )
    assert first == again
    assert len({tuple(one) for one in first}) > 1


@given(st.integers(0, 1000), st.integers(1, 5), st.integers(1, 5))
def test_matched_jaccard_is_the_best_matching(seed: int, rows: int, columns: int) -> None:
    from itertools import permutations

    rng = np.random.default_rng(seed)
    old, new = rng.random((rows, 8)) < 0.4, rng.random((columns, 8)) < 0.4
    table = np.array([[(a & b).sum() / max((a | b).sum(), 1) for b in new] for a in old])
    wide = table if rows <= columns else table.T
    best = max(sum(wide[i, p] for i, p in enumerate(order)) for order in permutations(range(wide.shape[1]), len(wide)))
    assert matched_jaccard(old, new).sum() == pytest.approx(best)


def test_chance_makes_nothing_as_alike_as_what_is_planted() -> None:
    """Boxes on a grid: those of the left column look alike in all images, all others are like nothing."""
    rng = np.random.default_rng(1)
    grid = np.array([(x, y, x + 20, y + 20) for y in range(0, 100, 20) for x in range(0, 160, 20)], np.int32)
    common = torch.nn.functional.normalize(torch.randn(1, 64, generator=torch.Generator().manual_seed(9)), dim=1)
    features = []
    for _ in range(6):
        looks = torch.nn.functional.normalize(torch.from_numpy(rng.normal(size=(len(grid), 64))).float(), dim=1)
        looks[torch.from_numpy(grid[:, 0] == 0)] = common
        features.append(Features(grid, looks, (100, 160)))
    mask = np.zeros((100, 160), bool)
    mask[20:60, :40] = True
    found = measure_chance(
        features, [mask] * 6, list(range(6)) * 2, blocks([6, 6]), Settings(analyses=AnalysisSettings(chance=4))
    )
    assert (found.images, found.summaries) == (6, 2)
    assert found.cohesion > 0.8
    assert found.likeness == pytest.approx(1.02, abs=0.02)
    assert found.random_summaries.shape == found.random_cohesion.shape == (4,)
    assert (np.nan_to_num(found.random_likeness) < found.likeness).all()
    assert found.p_value == pytest.approx(1 / 5)


@given(st.integers(0, 10**6))
def test_moved_masks_keep_their_area(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((24, 40)) < 0.3
    assert moved(mask, rng, mirrored=True).sum() == mask.sum()
