"""Affinity propagation: groups, the preference rule, failures that are errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visual_summaries.errors import ConvergenceError, SettingsError
from visual_summaries.parts.clusters import cluster
from visual_summaries.settings.stages import ClusterSettings


def planted(sizes: list[int], inside: float = 1.0, outside: float = 0.1, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    truth = np.repeat(np.arange(len(sizes)), sizes)
    noise = np.random.default_rng(seed).uniform(0, 0.02, (len(truth), len(truth)))
    similarity = np.where(truth[:, None] == truth[None, :], inside, outside) + (noise + noise.T) / 2
    return similarity, truth


def direct_affinity_propagation(s: np.ndarray, preference: float, damping: float, steps: int) -> np.ndarray:
    """Frey & Dueck's message updates, one entry at a time."""
    n = len(s)
    s = s.copy()
    s[np.arange(n), np.arange(n)] = preference
    a = np.zeros((n, n))
    r = np.zeros((n, n))
    for _ in range(steps):
        new = np.empty_like(r)
        for i in range(n):
            for k in range(n):
                new[i, k] = s[i, k] - max(a[i, j] + s[i, j] for j in range(n) if j != k)
        r = damping * r + (1 - damping) * new
        new = np.empty_like(a)
        for i in range(n):
            for k in range(n):
                others = sum(max(0.0, r[j, k]) for j in range(n) if j not in (i, k))
                new[i, k] = others if i == k else min(0.0, r[k, k] + others)
        a = damping * a + (1 - damping) * new
    return np.argmax(a + r, axis=1)


def test_planted_groups_are_found_with_the_largest_first() -> None:
    similarity, truth = planted([3, 7, 5])
    result = cluster(similarity)
    assert len(result.exemplars) == 3
    assert [len(result.members(k)) for k in range(3)] == [7, 5, 3]
    for k in range(3):
        members = result.members(k)
        assert len(set(truth[members])) == 1
        assert result.exemplars[k] in members


def test_agrees_with_a_direct_transcription_of_the_messages() -> None:
    rng = np.random.default_rng(3)
    points = np.concatenate([rng.normal(c, 0.3, (6, 2)) for c in ((0, 0), (3, 0), (0, 3))])
    similarity = -((points[:, None] - points[None]) ** 2).sum(-1)
    off = ~np.eye(len(points), dtype=bool)
    shifted = similarity - similarity[off].max()
    expected = direct_affinity_propagation(shifted, 1.3 * np.median(shifted[off]), 0.9, 300)
    result = cluster(similarity)
    np.testing.assert_array_equal(result.exemplars[result.labels], expected)


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(12)))
def test_partition_does_not_depend_on_the_order_of_the_regions(order: list[int]) -> None:
    similarity, _ = planted([5, 4, 3])
    base = cluster(similarity).labels
    moved = cluster(similarity[np.ix_(order, order)]).labels
    for i in range(12):
        for j in range(12):
            assert (moved[i] == moved[j]) == (base[order[i]] == base[order[j]])


def test_a_constant_shift_of_all_similarities_changes_nothing() -> None:
    similarity, _ = planted([4, 6])
    np.testing.assert_array_equal(cluster(similarity).labels, cluster(similarity + 5.0).labels)


def test_a_larger_preference_factor_gives_no_more_clusters() -> None:
    similarity, _ = planted([4, 4, 4, 4])
    few = cluster(similarity, ClusterSettings(preference_factor=5.0))
    many = cluster(similarity, ClusterSettings(preference_factor=0.01))
    assert len(few.exemplars) < len(many.exemplars)


def test_not_converging_is_an_error_that_names_the_remedy() -> None:
    similarity, _ = planted([5, 5, 5])
    with pytest.raises(
        ConvergenceError, match=r"15 regions within 20 steps .* raise ClusterSettings.max_iterations or damping"
    ):
        cluster(similarity, ClusterSettings(max_iterations=20))


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_regions_to_compare(count: int) -> None:
    result = cluster(np.zeros((count, count)))
    assert len(result.labels) == len(result.exemplars) == count


def test_equal_similarities_make_one_cluster() -> None:
    assert cluster(np.full((5, 5), 0.3)).labels.tolist() == [0] * 5


@pytest.mark.parametrize(
    ("similarity", "message"),
    [
        (np.zeros((2, 3)), r"shape \(2, 3\), but must be square"),
        (np.array([[0, np.nan], [np.nan, 0]]), "NaN or infinite"),
        (np.array([[0, 1.0], [0.0, 0]]), "not symmetric"),
    ],
)
def test_bad_similarities_are_refused(similarity: np.ndarray, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        cluster(similarity)
