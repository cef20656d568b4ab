"""Affinity propagation; members, quality and rank of summaries on clusters whose answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visual_summaries.errors import ConvergenceError, SettingsError
from visual_summaries.parts.clusters import Clusters, cluster
from visual_summaries.parts.ssim import consistent_members, pairwise_ssim, ssim
from visual_summaries.parts.summaries import build_summaries, rank_summaries
from visual_summaries.results import Region, Summary, SummaryAnalysis
from visual_summaries.settings import preset
from visual_summaries.settings.stages import ClusterSettings

PAPER = preset("paper").summaries

H, W = 16, 24


def region(index: int, image: int, drop: float = 0.5) -> Region:
    return Region(index, image, (0, 0, W, H), np.ones((H, W), bool), 1.0, 0.5, drop, 0.0)


def texture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (H, W, 3), dtype=np.uint8)


def clusters_of(labels: list[int], exemplars: list[int]) -> Clusters:
    return Clusters(np.array(labels), np.array(exemplars))


def test_ssim_of_equal_and_of_unrelated_crops() -> None:
    assert ssim(texture(0), texture(0)) == 1.0
    assert abs(ssim(texture(0), texture(1))) < 0.2
    assert ssim(texture(0)[:4, :5], texture(0)[:4, :5]) == 1.0  # smaller than the window


def test_ssim_refuses_crops_of_different_size() -> None:
    with pytest.raises(SettingsError, match=r"\(16, 24, 3\) and \(16, 20, 3\)"):
        ssim(texture(0), texture(0)[:, :20])


def test_pairs_are_symmetric_without_diagonal() -> None:
    values = pairwise_ssim([texture(0), texture(1), texture(0)])
    np.testing.assert_array_equal(values, values.T)
    assert np.isnan(np.diag(values)).all()
    assert values[0, 2] == 1.0


def test_the_exemplar_is_never_dropped() -> None:
    assert consistent_members(pairwise_ssim([texture(0), texture(1), texture(1)]), 0.5).tolist() == [True, True, True]
    # 0 agrees with nobody (2 of 2 low), 1 and 2 with each other (1 of 2 low).
    assert consistent_members(pairwise_ssim([texture(1), texture(1), texture(0)]), 0.5).tolist() == [True, True, False]


def test_clusters_that_look_alike_are_kept_and_noise_is_rejected() -> None:
    """Clusters 0 and 1 warp to one picture each, 2 to noise, 3 has one image only."""
    regions = [region(i, image) for i, image in enumerate([0, 1, 2, 0, 1, 2, 0, 1, 2, 3, 3])]
    labels = [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3]
    similarity = np.where(np.equal.outer(labels, labels), 0.9, 0.1)

    def warp(exemplar: Region, member: Region) -> np.ndarray:
        return texture(member.index + 100) if labels[exemplar.index] == 2 else texture(labels[exemplar.index])

    result = build_summaries(regions, similarity, clusters_of(labels, [0, 3, 6, 9]), warp, PAPER)
    assert [s.exemplar for s in result.kept] == [0, 3]
    assert [s.index for s in result.kept] == [0, 1]
    assert all(s.score == pytest.approx(1.0) for s in result.kept)
    assert [s.exemplar for s in result.rejected] == [6]
    assert result.rejected[0].index == 2
    assert result.rejected[0].score < 0.2
    assert result.small == 1


def test_a_member_that_does_not_look_like_the_others_is_dropped() -> None:
    regions = [region(i, i) for i in range(5)]
    similarity = np.full((5, 5), 0.5)

    def warp(_: Region, member: Region) -> np.ndarray:
        return texture(7) if member.index != 3 else texture(8)

    (summary,) = build_summaries(regions, similarity, clusters_of([0] * 5, [0]), warp, PAPER).kept
    assert [m.region for m in summary.members] == [0, 1, 2, 4]
    assert summary.cluster == (0, 1, 2, 3, 4)


def test_members_are_ordered_by_similarity_one_an_image_and_at_most_ten() -> None:
    regions = [region(i, min(i, 13)) for i in range(15)]  # 13 and 14 share an image
    similarity = np.zeros((15, 15))
    similarity[0, :] = similarity[:, 0] = np.linspace(0, 1, 15)
    (summary,) = build_summaries(regions, similarity, clusters_of([0] * 15, [0]), lambda *_: texture(0), PAPER).kept
    assert [m.region for m in summary.members] == [0, 14, 12, 11, 10, 9, 8, 7, 6, 5]
    assert summary.members[0].similarity == pytest.approx(1.0)  # the exemplar's own: the best of the others


@pytest.mark.parametrize(("rank", "order"), [("score", [3, 0]), ("importance", [0, 3])])
def test_rank_by_quality_or_by_importance(rank: str, order: list[int]) -> None:
    regions = [region(i, i % 3, drop=0.9 if i < 3 else 0.1) for i in range(6)]
    similarity = np.full((6, 6), 0.5)

    def warp(exemplar: Region, member: Region) -> np.ndarray:
        crop = texture(exemplar.index)
        if exemplar.index == 0 and member.index == 2:  # one member of the first cluster looks a little different
            noise = np.random.default_rng(0).integers(-9, 10, crop.shape)
            crop = (crop.astype(int) + noise).clip(0, 255).astype(np.uint8)
        return crop

    result = build_summaries(regions, similarity, clusters_of([0, 0, 0, 1, 1, 1], [0, 3]), warp, replace(PAPER, rank=rank))
    assert [s.exemplar for s in result.kept] == order
    assert {s.exemplar: s.importance for s in result.kept} == pytest.approx({0: 0.9, 3: 0.1})


def test_no_clusters_no_summaries() -> None:
    result = build_summaries([], np.zeros((0, 0)), clusters_of([], []), lambda *_: texture(0), PAPER)
    assert (result.kept, result.rejected, result.small) == ((), (), 0)


def test_what_is_used_may_look_any_way_but_must_be_in_enough_images() -> None:
    regions = [region(index, index % 5) for index in range(7)]
    similarity = np.ones((7, 7))
    clusters = clusters_of([0, 0, 0, 0, 0, 1, 1], [0, 5])  # in 5 of 5 images, and in 2

    def warp(exemplar: Region, member: Region) -> np.ndarray:
        return texture(member.index)  # no two alike

    settings = replace(PAPER, keep="used", min_coverage=0.5)
    found = build_summaries(regions, similarity, clusters, warp, settings)
    assert [len(summary.members) for summary in found.kept] == [5]
    assert (found.rejected, found.small) == ((), 1)
    both = build_summaries(regions, similarity, clusters, warp, replace(PAPER, keep="used", min_coverage=0.4))
    assert [len(summary.members) for summary in both.kept] == [5, 2]


def test_what_a_summary_takes_counts_over_all_images() -> None:
    def analyzed(index: int, share: float, coverage: float) -> Summary:
        one = np.array([share], np.float32)
        found = SummaryAnalysis(np.array([0]), one, np.zeros(1, np.float32), (0.0, 1.0), coverage)
        return Summary(index, index, (), (index,), 0.0, share, analysis=found)

    rare, common = analyzed(0, 0.8, 0.1), analyzed(1, 0.3, 0.9)
    assert [one.exemplar for one in rank_summaries([rare, common], "importance")] == [1, 0]
    assert rare.analysis is not None
    assert rare.analysis.class_effect == pytest.approx(0.08)


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
