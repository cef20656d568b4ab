"""The division of evidence among parts, where the right one is known to the pixel."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import binary_erosion

import visual_summaries as vs
from square_world import (
    BASE,
    SIZE,
    WEIGHTS,
    Squares,
    evidence_of,
    give_masks,
    square_network,
    square_settings,
    squares,
)
from visual_summaries.errors import RunError, SettingsError
from visual_summaries.parts import (
    Cells,
    PartSettings,
    choose_number,
    describe_cells,
    embed,
    embedding,
    group,
    join_specks,
    label_pixels,
    learn_embedding,
    pieces,
    resampled_jaccard,
    silhouettes_of_parts,
    squared_distances,
    with_centers,
)
from visual_summaries.parts.cells import cut_cells
from visual_summaries.parts.embedding import Sample
from visual_summaries.results import Parts, Run, RunInfo
from visual_summaries.runs.dividing import find_parts

TOTAL = BASE + sum(WEIGHTS)  # score of an image with all squares
SHARES = [weight / TOTAL for weight in WEIGHTS]  # what each color takes of it


def same(a: Run, b: Run) -> bool:
    return replace(a, info=RunInfo()) == replace(b, info=RunInfo())


def names_of(labels: np.ndarray, truth: np.ndarray) -> list[int]:
    """The color of each label that occurs, where each has one color and each color one label; else an error."""
    pairs = {(int(label), int(color)) for label, color in zip(labels.ravel(), truth.ravel(), strict=True) if label >= 0}
    found = dict(pairs)
    assert len(found) == len(pairs) == len(set(found.values())), f"labels and colors are mixed: {sorted(pairs)}"
    return [found[label] for label in sorted(found)]


# Cells


def one_hot(truth: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """Feature maps (rows * columns, 3) that say which color a cell has; its upper left pixel stands for it."""
    rows, columns = (np.arange(n) * (side // n) for n, side in zip(grid, truth.shape, strict=True))
    return np.asarray(truth[np.ix_(rows, columns)].reshape(-1, 1) == np.arange(3), np.float32)


def hand_made(world: Squares, grid: tuple[int, int] = (16, 24)) -> list[Cells]:
    return [cut_cells(one_hot(truth, grid), truth >= 0, grid) for truth in world.truth]


def divide(cells: Sequence[Cells], evidence: Sequence[np.ndarray], wanted: PartSettings) -> tuple[Parts, list[np.ndarray]]:
    """Divide as a run does, without one."""
    parts, _ = find_parts(cells, replace(square_settings(), parts=wanted))
    distances = [squared_distances(embed(parts, one, k), parts.centers) for k, one in enumerate(cells)]
    return parts, [label_pixels(d, one, own) for d, one, own in zip(distances, cells, evidence, strict=True)]


def test_cells_hold_the_evidence_and_no_more() -> None:
    evidence = np.zeros((30, 44), bool)
    evidence[3:17, 8:31] = True
    features = np.random.default_rng(0).normal(size=(15 * 22, 5)).astype(np.float32)
    cells = cut_cells(features, evidence, (15, 22))
    shares = evidence.reshape(15, 2, 22, 2).mean(axis=(1, 3)).ravel()
    np.testing.assert_array_equal(cells.index, np.flatnonzero(shares))
    np.testing.assert_allclose(cells.weight, shares[shares > 0])
    np.testing.assert_array_equal(cells.features, features[cells.index])
    np.testing.assert_allclose(cells.mean, features.mean(axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(cells.core, cells.weight >= 0.25)
    weight = cells.weight / cells.weight.sum()
    y, x = np.divmod(cells.index, 22)
    assert weight @ cells.place[:, 0] == pytest.approx(0, abs=1e-5)
    spread = np.sqrt(weight @ (y - weight @ y) ** 2 + weight @ (x - weight @ x) ** 2)
    np.testing.assert_allclose(cells.place[:, 1], np.abs(x - weight @ x) / spread, rtol=1e-4)


def test_an_image_without_evidence_has_no_cells() -> None:
    cells = cut_cells(np.ones((6, 4)), np.zeros((20, 30), bool), (2, 3))
    assert len(cells) == 0
    assert cells.features.shape == (0, 4)
    assert cells.place.shape == (0, 2)
    np.testing.assert_array_equal(cells.mean, np.ones(4))


def test_means_over_pixels_are_those_of_their_cells() -> None:
    evidence = np.ones((8, 12), bool)
    cells = cut_cells(np.zeros((6, 1)), evidence, (2, 3))
    values = np.arange(6.0)[:, None]
    assert cells.mean_over(values, (4, 0, 12, 8), np.ones((8, 8), bool), (8, 12)) == pytest.approx((1 + 2 + 4 + 5) / 4)
    assert cells.mean_over(values, (2, 0, 5, 1), np.ones((1, 3), bool), (8, 12)) == pytest.approx(1 / 3)


@pytest.mark.parametrize(("shows", "any_size"), [("maps", False), ("maps", True), ("tokens", False), ("scores", False)])
@pytest.mark.parametrize("cells", [16, 28])
def test_cells_of_one_color_are_alike_and_those_of_others_are_not(shows: str, any_size: bool, cells: int) -> None:
    """Whatever a network shows; cells that hold nothing but one color."""
    world = squares(2)
    classifier = vs.load_classifier(square_network(shows, any_size))
    looks, colors = [], []
    for view, truth in zip(world.images, world.truth, strict=True):
        found = describe_cells(view, truth >= 0, classifier, cells)
        inner = np.stack([binary_erosion(truth == color, np.ones((9, 9))) for color in range(3)])
        y, x = np.divmod(found.index, found.grid[1])
        middle = (np.array([y, x]) + 0.5) * (np.array([SIZE]).T / np.array([found.grid]).T)
        own = inner[:, middle[0].astype(int), middle[1].astype(int)]
        looks.append(embedding.unit(found.features - found.mean)[own.any(axis=0)])
        colors.append(own.argmax(axis=0)[own.any(axis=0)])
    look, color = np.concatenate(looks), np.concatenate(colors)
    cosine = look @ look.T
    alike = color[:, None] == color[None]
    assert set(color) == {0, 1, 2}
    assert cosine[alike].min() > 0.9
    assert cosine[~alike].max() < 0.5


def test_a_mirrored_image_has_the_mirrored_cells() -> None:
    classifier = vs.load_classifier(square_network())
    rng = np.random.default_rng(1)
    view = rng.integers(0, 2, (*SIZE, 3), np.uint8) * 255
    evidence = rng.random(SIZE) < 0.3
    cells = describe_cells(view, evidence, classifier, 16)
    turned = describe_cells(np.ascontiguousarray(view[:, ::-1]), evidence[:, ::-1], classifier, 16)
    y, x = np.divmod(cells.index, 24)
    order = np.lexsort((-x, y))
    np.testing.assert_array_equal(turned.index, (y * 24 + 23 - x)[order])
    np.testing.assert_allclose(turned.features, cells.features[order], atol=1e-5)
    np.testing.assert_allclose(turned.place, cells.place[order], atol=1e-4)


# The division


@pytest.mark.parametrize("count", [1, 2, 3, 8])
@pytest.mark.parametrize("place", [0.0, 0.5])
def test_squares_of_one_color_are_a_part_to_the_pixel(count: int, place: float) -> None:
    world = squares(count)
    parts, labels = divide(hand_made(world), world.truth >= 0, PartSettings(count=3, place=place))
    assert parts.count == 3
    colors = names_of(np.stack(labels), world.truth)
    assert sorted(colors) == [0, 1, 2]
    assert colors[0] == 2  # the part with most evidence is the first
    for own, truth in zip(labels, world.truth, strict=True):
        np.testing.assert_array_equal(own >= 0, truth >= 0)


def test_squares_that_touch_are_parted_within_a_cell_of_their_border() -> None:
    truth = np.full((3, 40, 60), -1)
    truth[:, 8:24, 4:24], truth[:, 8:24, 24:52] = 0, 1
    grid = (10, 15)  # cells of 4 x 4 pixels
    cells = [cut_cells(one_hot(own, grid), own >= 0, grid) for own in truth]
    _, labels = divide(cells, truth >= 0, PartSettings(count=2))
    for own, right in zip(labels, truth, strict=True):
        far = np.ones(right.shape, bool)
        far[:, 20:28] = False
        assert sorted(names_of(np.where(far, own, -1), right)) == [0, 1]
        np.testing.assert_array_equal(own >= 0, right >= 0)


def test_half_a_cell_of_evidence_is_labeled_as_its_whole() -> None:
    truth = np.full((3, 40, 60), -1)
    truth[:, 9:22, 5:20], truth[:, 9:22, 33:50] = 0, 1  # not on cells' edges
    grid = (10, 15)
    whole = np.full(truth.shape, -1)
    whole[:, 8:24, 4:20], whole[:, 8:24, 32:52] = 0, 1
    cells = [cut_cells(one_hot(own, grid), right >= 0, grid) for own, right in zip(whole, truth, strict=True)]
    _, labels = divide(cells, truth >= 0, PartSettings(count=2))
    assert sorted(names_of(np.stack(labels), truth)) == [0, 1]
    np.testing.assert_array_equal(np.stack(labels) >= 0, truth >= 0)


def test_the_order_of_the_images_changes_nothing_but_the_order() -> None:
    world = squares(6)
    order = np.array([4, 0, 5, 2, 1, 3])
    cells = hand_made(world)
    evidence = world.truth >= 0
    parts, labels = divide(cells, evidence, PartSettings(count=3))
    again, permuted = divide([cells[k] for k in order], evidence[order], PartSettings(count=3))
    names, others = names_of(np.stack(labels), world.truth), names_of(np.stack(permuted), world.truth[order])
    assert sorted(names) == sorted(others) == [0, 1, 2]
    np.testing.assert_allclose(
        parts.centers[np.argsort(names)][:, :3] @ parts.directions[:3].T,
        again.centers[np.argsort(others)][:, :3] @ again.directions[:3].T,
        atol=1e-3,
    )
    for position, k in enumerate(order):
        before, after = (
            np.where(own >= 0, np.array(n)[own], -1) for own, n in ((labels[k], names), (permuted[position], others))
        )
        np.testing.assert_array_equal(before, after)


def test_cells_are_averaged_with_the_most_similar_ones_of_other_images() -> None:
    """Against brute force."""
    rng = np.random.default_rng(3)
    cells = [
        Cells((5, 8), np.arange(30, dtype=np.int32), np.ones(30, np.float32), np.zeros((30, 2), np.float32), features, mean)
        for features, mean in ((rng.normal(size=(30, 6)).astype(np.float32), np.zeros(6, np.float32)) for _ in range(3))
    ]
    parts, sample = learn_embedding(cells, PartSettings(neighbors=4, dimensions=64, place=0.25))
    look = np.concatenate([one.features for one in cells]).astype(np.float64)
    look /= np.linalg.norm(look, axis=1, keepdims=True)
    owner = np.repeat(np.arange(3), 30)
    for row in range(90):
        others = np.flatnonzero(owner != owner[row])
        nearest = others[np.argsort(-(look[others] @ look[row]))[:4]]
        mean = look[nearest].mean(axis=0) + 0.5 * look[row]
        np.testing.assert_allclose(sample.features[row, :6], mean / np.linalg.norm(mean), atol=1e-4)
    np.testing.assert_allclose(embed(parts, cells[1], 1), sample.features[30:60], atol=1e-5)
    # A new image's cells may agree with those of any image.
    new = embed(parts, cells[1])
    assert np.einsum("nd,nd->n", new[:, :6], look[30:60]).min() > 0.7
    assert not np.allclose(new, sample.features[30:60], atol=1e-3)


def test_memory_is_bounded_whatever_the_number_of_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "MOST_CELLS", 200)
    monkeypatch.setattr(embedding, "MOST_REFERENCES", 50)
    world = squares(5)
    cells = hand_made(world)  # 104 cells of evidence in each
    parts, sample = learn_embedding(cells, PartSettings())
    assert len(sample) == 200
    assert np.bincount(sample.image).tolist() == [40] * 5
    assert parts.references.shape == (50, 3)
    _, labels = divide(cells, world.truth >= 0, PartSettings(count=3, neighbors=5))
    assert sorted(names_of(np.stack(labels), world.truth)) == [0, 1, 2]


def test_mini_batches_find_the_same_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    sample, truth = planted(4, 600)
    monkeypatch.setattr(embedding, "MOST_AT_ONCE", 100)
    monkeypatch.setattr(embedding, "KMeans", None)
    centers = group(sample, 4)
    assert sorted(names_of(squared_distances(sample.features, centers).argmin(axis=1), truth)) == [0, 1, 2, 3]


def test_no_more_groups_than_distinct_cells() -> None:
    rows = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    sample = Sample(rows, np.ones(3, np.float32), np.arange(3))
    assert sorted(group(sample, 6).tolist()) == [[0, 1], [1, 0]]
    many = Sample(np.repeat(rows, 40, axis=0), np.ones(120, np.float32), np.arange(120) % 7)
    with warnings.catch_warnings(action="error"):
        centers = group(many, 6)
    np.testing.assert_allclose(sorted(centers.tolist()), [[0, 1], [1, 0]], atol=1e-6)


def test_parts_are_sorted_and_reach_as_far_as_their_cells() -> None:
    features = np.concatenate([np.arange(10.0), 100 + np.arange(30.0)])[:, None].astype(np.float32)
    sample = Sample(features, np.ones(40, np.float32), np.zeros(40, np.int64))
    empty = learn_embedding(hand_made(squares(2)), PartSettings())[0]
    parts = with_centers(empty, sample, np.array([[4.5], [114.5], [50.0]], np.float32))
    assert parts.centers[:, 0].tolist() == [114.5, 4.5, 50.0]
    reach = [1.25 * np.quantile(np.abs(np.arange(count) - (count - 1) / 2), 0.99) for count in (30, 10)]
    np.testing.assert_allclose(parts.reach, [*reach, 0], rtol=1e-5)
    assert sorted(map(int, parts.tree[0, :2])) == [1, 2]  # the two that are nearest are merged first


# The number of parts


def planted(groups: int, cells: int = 300, dimensions: int = 12, noise: float = 0.05) -> tuple[Sample, np.ndarray]:
    """Cells of 10 images around `groups` orthogonal directions, and which each is of."""
    rng = np.random.default_rng(groups)
    truth = np.arange(cells) % groups
    features = np.eye(dimensions, dtype=np.float32)[truth] + noise * rng.normal(size=(cells, dimensions)).astype(np.float32)
    return Sample(features, rng.uniform(0.3, 1, cells).astype(np.float32), np.arange(cells) // groups % 10), truth


def chosen(sample: Sample, wanted: PartSettings) -> int:
    (count,) = (one.count for one in choose_number(sample, wanted) if one.chosen)
    return count


@pytest.mark.parametrize("groups", [2, 3, 5, 8])
def test_planted_groups_are_counted(groups: int) -> None:
    sample, truth = planted(groups)
    assert chosen(sample, PartSettings(explained=0.9)) == groups
    centers = group(sample, groups)
    assert sorted(names_of(squared_distances(sample.features, centers).argmin(axis=1), truth)) == list(range(groups))


def test_cells_that_are_all_alike_are_one_part() -> None:
    same_cells = Sample(np.ones((60, 4), np.float32), np.ones(60, np.float32), np.arange(60) % 6)
    (only,) = choose_number(same_cells, PartSettings())
    assert (only.count, only.chosen) == (1, True)
    assert choose_number(Sample(np.ones((0, 4), np.float32), np.ones(0, np.float32), np.zeros(0, int)), PartSettings()) == ()


def test_noise_without_structure_is_not_split_far() -> None:
    """Its parts do not come back on resampled images."""
    rng = np.random.default_rng(0)
    noise = Sample(rng.normal(size=(400, 20)).astype(np.float32), np.ones(400, np.float32), np.arange(400) % 10)
    assert chosen(noise, PartSettings()) == 1
    assert resampled_jaccard(noise, group(noise, 6), 6).mean() < 0.5


def test_parts_of_separate_groups_come_back() -> None:
    sample, _ = planted(4)
    np.testing.assert_allclose(resampled_jaccard(sample, group(sample, 4), 6), 1)
    assert resampled_jaccard(sample, group(sample, 7), 6).min() < 0.9  # some are split anywhere
    assert silhouettes_of_parts(sample, group(sample, 4)).min() > 0.7


def test_few_different_groups_are_all_told_apart() -> None:
    """Three groups as far from each other as can be: two of three centers explain half of the variation, by hand."""
    sample, _ = planted(3, noise=0)
    sample = replace(sample, weight=np.ones(len(sample), np.float32))
    numbers = choose_number(sample, PartSettings(explained=0.45))
    assert [(one.count, one.chosen) for one in numbers] == [(1, False), (2, False), (3, True)]
    assert numbers[1].explained == pytest.approx(0.5)
    assert chosen(planted(5)[0], PartSettings()) == 5


def test_splitting_stops_once_enough_is_explained() -> None:
    """Two groups with noise in ten dimensions: a third part explains little of what is left."""
    features = np.random.default_rng(0).normal(size=(200, 10)).astype(np.float32)
    features[100:, 0] += 9
    sample = Sample(features, np.ones(200, np.float32), np.arange(200) % 10)
    assert [one.count for one in choose_number(sample, PartSettings(explained=0.45))] == [1, 2]
    assert choose_number(sample, PartSettings(explained=0.99))[-1].count == PartSettings().most


def test_numbers_are_at_most_what_the_settings_say() -> None:
    sample, _ = planted(8)
    assert choose_number(sample, PartSettings(explained=1.0, most=4))[-1].count == 4


def test_two_images_are_not_enough_to_split() -> None:
    sample, _ = planted(3)
    assert chosen(replace(sample, image=sample.image % 2), PartSettings()) == 1


# Pixels


label_maps = arrays(np.int16, st.tuples(st.integers(1, 9), st.integers(1, 13)), elements=st.integers(-1, 2))


def flood(labels: np.ndarray, gap: int) -> list[tuple[int, frozenset[tuple[int, int]]]]:
    """Pieces by brute force: pixels of one part belong together when their discs of radius `gap` touch."""
    disc = [
        (y, x) for y in range(-gap, gap + 1) for x in range(-gap, gap + 1) if gap < 2 or round(np.sqrt(gap**2 - y**2)) >= abs(x)
    ]
    disc = [(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)] if gap == 1 else disc
    found = []
    for part in sorted(set(labels[labels >= 0].tolist())):
        left = {(int(y), int(x)) for y, x in np.argwhere(labels == part)}
        cover = {
            pixel: {(pixel[0] + y, pixel[1] + x) for y, x in disc if _inside(pixel[0] + y, pixel[1] + x, labels)}
            for pixel in left
        }
        while left:
            piece, edge = set[tuple[int, int]](), {min(left)}
            while edge:
                piece |= edge
                left -= edge
                reached = {(y + dy, x + dx) for p in edge for y, x in cover[p] for dy in (-1, 0, 1) for dx in (-1, 0, 1)}
                edge = {pixel for pixel in left if cover[pixel] & reached}
            found.append((part, frozenset(piece)))
    return found


def _inside(y: int, x: int, labels: np.ndarray) -> bool:
    return 0 <= y < labels.shape[0] and 0 <= x < labels.shape[1]


@settings(max_examples=60, deadline=None)
@given(label_maps, st.integers(0, 1))
def test_pieces_are_those_of_brute_force(labels: np.ndarray, gap: int) -> None:
    found = {
        (part, frozenset((int(y) + box[1], int(x) + box[0]) for y, x in np.argwhere(mask)))
        for part, box, mask in pieces(labels, gap)
    }
    assert found == set(flood(labels, gap))
    for _, (x0, y0, x1, y1), mask in pieces(labels, gap):
        assert mask.shape == (y1 - y0, x1 - x0)
        assert mask.any(axis=1)[[0, -1]].all()
        assert mask.any(axis=0)[[0, -1]].all()


@settings(max_examples=150, deadline=None)
@given(label_maps, st.integers(0, 12), st.integers(0, 2))
def test_specks_join_what_is_there_or_go(labels: np.ndarray, least: int, gap: int) -> None:
    before = labels.copy()
    joined = join_specks(labels, least, gap)
    np.testing.assert_array_equal(labels, before)
    assert set(np.unique(joined)) <= {-1, *np.unique(labels)}
    assert (joined[labels < 0] == -1).all()
    assert all(int(mask.sum()) >= least for _, _, mask in pieces(joined, gap))
    for _, (x0, y0, x1, y1), mask in pieces(labels, gap):
        after = np.unique(joined[y0:y1, x0:x1][mask])
        assert len(after) == 1  # a piece stays whole
        if mask.sum() >= least:
            assert after[0] == labels[y0:y1, x0:x1][mask][0]


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 4), st.booleans())
def test_each_pixel_of_evidence_has_one_part(data: st.DataObject, count: int, limited: bool) -> None:
    shape = data.draw(st.tuples(st.integers(3, 20), st.integers(3, 28)))
    evidence = data.draw(arrays(bool, shape))
    grid = data.draw(st.tuples(st.integers(1, shape[0]), st.integers(1, shape[1])))
    cells = cut_cells(np.zeros((grid[0] * grid[1], 1)), evidence, grid)
    distances = np.random.default_rng(0).random((len(cells), count))
    reach = np.full(count, 0.6) if limited else None
    labels = label_pixels(distances, cells, evidence, reach)
    assert (labels[~evidence] == -1).all()
    assert labels.max(initial=-1) < count
    assert limited or (labels[evidence] >= 0).all()


def test_what_is_beyond_reach_is_of_no_part() -> None:
    evidence = np.ones((4, 12), bool)
    cells = cut_cells(np.zeros((3, 1)), evidence, (1, 3))
    distances = np.array([[0.0, 9.0], [1.0, 4.0], [9.0, 9.0]])
    assert np.unique(label_pixels(distances, cells, evidence, np.array([2.0, 2.0]))[:, :6]).tolist() == [0]
    assert np.unique(label_pixels(distances, cells, evidence, np.array([2.0, 2.0]))[:, 10:]).tolist() == [-1]
    assert np.unique(label_pixels(distances, cells, evidence)[:, :6]).tolist() == [0]


def test_settings_out_of_range() -> None:
    for wrong in ({"count": 0}, {"count": 65}, {"cells": 3}, {"explained": 1.1}, {"gap": -0.1}):
        with pytest.raises(SettingsError):
            PartSettings(**wrong)


# Whole runs

COUNT = 6


@pytest.fixture
def known_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    give_masks(monkeypatch)


@pytest.fixture(scope="module")
def world() -> Squares:
    return squares(COUNT)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, world: Squares) -> Run:
    """A stored run on squares."""
    with pytest.MonkeyPatch.context() as patch:
        give_masks(patch)
        out = tmp_path_factory.mktemp("squares") / "run"
        return vs.summarize(square_network(), list(world.images), "squares", out, settings=square_settings(count=3))


def check_used_squares(run: Run, world: Squares) -> None:
    """Red is the first summary, blue the second; the green bar is the rest."""
    assert len(run.summaries) == 2
    right = np.where(world.truth == 2, -1, world.truth)
    for image in run.images:
        np.testing.assert_array_equal(run.evidence(image.index), world.truth[image.index] >= 0)
        np.testing.assert_array_equal(run.labels(image.index), right[image.index])


@pytest.mark.usefixtures("known_masks")
@pytest.mark.parametrize(("shows", "any_size"), [("maps", True), ("tokens", False), ("scores", False)])
@pytest.mark.parametrize("cells", [16, 28])
def test_summaries_are_the_squares_that_are_used(shows: str, any_size: bool, cells: int, world: Squares) -> None:
    found = vs.summarize(
        square_network(shows, any_size), list(world.images), "squares", settings=square_settings(cells=cells), parts=3
    )
    check_used_squares(found, world)


@pytest.mark.usefixtures("known_masks")
def test_the_number_of_squares_is_found(world: Squares) -> None:
    wanted = square_settings(place=0.0, explained=0.9)
    found = vs.summarize(square_network(), list(world.images), "squares", settings=wanted)
    check_used_squares(found, world)
    assert found.parts is not None
    assert [(one.count, one.chosen) for one in found.parts.numbers] == [(1, False), (2, False), (3, True)]


def test_what_squares_take_is_the_sum_that_it_is(run: Run, world: Squares) -> None:
    check_used_squares(run, world)
    for summary, share in zip(run.summaries, SHARES, strict=False):
        assert summary.analysis is not None
        np.testing.assert_allclose(summary.analysis.shares, share, atol=1e-3)
        assert summary.analysis.coverage == 1
        assert summary.analysis.stability == pytest.approx(1)
        assert all(run.regions[m.region].drop == pytest.approx(share, abs=1e-3) for m in summary.members)
    (unused,) = run.rejected
    assert unused.analysis is not None
    np.testing.assert_allclose(unused.analysis.shares, 0, atol=1e-3)
    assert run.analysis is not None
    together = run.analysis.together
    assert together is not None
    assert together.taken == pytest.approx(1 - BASE / TOTAL, abs=1e-3)
    assert together.evidence == pytest.approx(1 - BASE / TOTAL, abs=1e-3)
    assert (together.share, together.rest) == (pytest.approx(1, abs=1e-3), pytest.approx(0, abs=1e-3))
    assert together.interval == pytest.approx((1, 1), abs=1e-3)
    assert together.rest_area == pytest.approx((world.truth == 2).sum() / (world.truth >= 0).sum())
    joint = run.analysis.joint
    assert joint is not None
    np.testing.assert_allclose(joint.deletion, [1, 1 - SHARES[0], BASE / TOTAL], atol=1e-3)


def test_regions_are_the_connected_squares(run: Run, world: Squares) -> None:
    assert len(run.regions) == 3 * COUNT
    for image, truth in enumerate(world.truth):
        boxes = set()
        for color in range(3):
            y, x = np.nonzero(truth == color)
            boxes.add((x.min(), y.min(), x.max() + 1, y.max() + 1))
        assert {region.box for region in run.regions if region.image == image} == boxes
    assert all(region.mask.all() for region in run.regions)
    for summary in run.summaries:
        assert len({run.regions[member.region].image for member in summary.members}) == COUNT
        assert all(run.regions[member.region].index in summary.cluster for member in summary.members)


@pytest.mark.usefixtures("known_masks")
def test_what_no_summary_has_is_the_rest(world: Squares) -> None:
    """Blue is asked to do more than it does: then it is rejected, and its pixels and its effect are the rest's."""
    wanted = square_settings(count=3)
    wanted = replace(wanted, summaries=replace(wanted.summaries, min_effect=0.4))
    found = vs.summarize(square_network(), list(world.images), "squares", settings=wanted)
    assert len(found.summaries) == 1
    assert len(found.rejected) == 2
    for image, truth in enumerate(world.truth):
        np.testing.assert_array_equal(found.labels(image), np.where(truth == 0, 0, -1))
    assert found.analysis is not None
    assert found.analysis.together is not None
    assert found.analysis.together.share == pytest.approx(WEIGHTS[0] / sum(WEIGHTS[:2]), abs=1e-3)
    assert found.analysis.together.rest == pytest.approx(SHARES[1], abs=1e-3)


@pytest.mark.usefixtures("known_masks")
def test_a_part_in_too_few_images_is_the_rest() -> None:
    """Two of ten images have a green bar only beside their red square: blue is in eight, green in two."""
    world = squares(8, colors=(0, 1))
    few = squares(2, random_state=5)
    images, truth = [*world.images, *few.images], np.concatenate([world.truth, few.truth])
    found = vs.summarize(square_network(), images, "squares", settings=square_settings(count=3, neighbors=5))
    assert len(found.summaries) == 2
    assert found.info.counts["clusters_of_too_few_images"] == 1
    for image, own in enumerate(truth):
        np.testing.assert_array_equal(found.labels(image), np.where(own == 2, -1, own))


@pytest.mark.usefixtures("known_masks")
def test_one_part(tmp_path: Path, world: Squares) -> None:
    found = vs.summarize(square_network(), list(world.images), "squares", settings=square_settings(), parts=1)
    assert found.parts is not None
    assert (found.parts.count, found.parts.tree.shape) == (1, (0, 4))
    (summary,) = found.summaries
    assert summary.analysis is not None
    assert np.isnan(summary.analysis.cohesion)
    for image, truth in enumerate(world.truth):
        np.testing.assert_array_equal(found.labels(image), np.where(truth >= 0, 0, -1))
    assert found.report(tmp_path / "report.html").stat().st_size > 0


@pytest.mark.usefixtures("known_masks")
def test_evidence_that_is_all_alike_is_one_part() -> None:
    world = squares(4, colors=(0,))
    wanted = square_settings(place=0.0)
    found = vs.summarize(square_network(), list(world.images), "squares", settings=wanted)
    assert found.parts is not None
    assert found.parts.count == len(found.summaries) == 1
    for image in found.images:  # two of the four are drawn alike: a copy counts once
        np.testing.assert_array_equal(found.labels(image.index), world.truth[int(image.name.removeprefix("image-"))])


@pytest.mark.usefixtures("known_masks")
def test_three_images_are_enough() -> None:
    world = squares(3)
    check_used_squares(vs.summarize(square_network(), list(world.images), "squares", settings=square_settings(count=3)), world)


def no_evidence(view: np.ndarray) -> np.ndarray:
    return np.zeros(view.shape[:2], bool)


@pytest.mark.parametrize("parts", [None, 3])
def test_no_evidence_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, world: Squares, parts: int | None) -> None:
    give_masks(monkeypatch, no_evidence)
    found = vs.summarize(
        square_network(), list(world.images[:3]), "squares", tmp_path / "run", settings=square_settings(), parts=parts
    )
    assert found.parts is not None
    assert (len(found.summaries), len(found.rejected), len(found.regions), found.parts.count) == (0, 0, 0, 0)
    assert all((found.labels(k) == -1).all() for k in range(3))
    assert found.analysis is not None
    together = found.analysis.together
    assert together is not None
    assert np.isnan(together.share)
    assert (together.taken, together.evidence, together.rest, together.rest_area) == (0, 0, 0, 0)
    assert vs.load_run(tmp_path / "run") == found
    assert found.report().stat().st_size > 0


def test_images_without_evidence_among_others(monkeypatch: pytest.MonkeyPatch, world: Squares) -> None:
    empty = world.images[1]
    give_masks(monkeypatch, lambda view: evidence_of(view) & (view != empty).any())
    found = vs.summarize(square_network(), list(world.images), "squares", settings=square_settings(count=3))
    right = np.where(world.truth == 2, -1, world.truth)
    right[1] = -1
    assert len(found.summaries) == 2
    for image in found.images:
        np.testing.assert_array_equal(found.labels(image.index), right[image.index])
    assert [summary.analysis.coverage for summary in found.summaries if summary.analysis] == [pytest.approx(5 / 6)] * 2


def test_a_loaded_run_equals_the_computed_one(run: Run) -> None:
    assert run.path is not None
    loaded = vs.load_run(run.path)
    assert loaded == run
    np.testing.assert_array_equal(loaded.labels(2), run.labels(2))


@pytest.mark.usefixtures("known_masks")
def test_the_same_seed_gives_the_same_run(run: Run, world: Squares) -> None:
    again = vs.summarize(square_network(), list(world.images), "squares", settings=square_settings(count=3))
    assert same(again, run)
    other = vs.summarize(square_network(), list(world.images), "squares", settings=square_settings(count=3), random_state=7)
    check_used_squares(other, world)


@pytest.mark.usefixtures("known_masks")
@pytest.mark.parametrize("stages", [("parts",), ("labels",), ("parts", "labels"), ("importance", "together")])
def test_resume_computes_what_is_missing(tmp_path: Path, run: Run, world: Squares, stages: tuple[str, ...]) -> None:
    assert run.path is not None
    out = shutil.copytree(run.path, tmp_path / "run")
    for stage in stages:
        assert (out / "pieces" / stage).is_dir()
        shutil.rmtree(out / "pieces" / stage)
    again = vs.summarize(square_network(), list(world.images), "squares", out, settings=square_settings(count=3), resume=True)
    assert same(again, run)
    for stage in stages:
        assert again.info.pieces[stage]["found"] == 0
    assert again.info.pieces["faithfulness"]["computed"] == 0
    assert vs.load_run(out) == again


@pytest.mark.usefixtures("known_masks")
def test_resuming_a_finished_run_computes_nothing(tmp_path: Path, run: Run, world: Squares) -> None:
    assert run.path is not None
    out = shutil.copytree(run.path, tmp_path / "run")
    again = vs.summarize(square_network(), list(world.images), "squares", out, settings=square_settings(count=3), resume=True)
    assert {stage: counts["computed"] for stage, counts in again.info.pieces.items() if counts["computed"]} == {}
    assert same(again, run)


@pytest.mark.usefixtures("known_masks")
def test_some_labels_missing_are_computed_from_the_parts_that_are_there(tmp_path: Path, run: Run, world: Squares) -> None:
    assert run.path is not None
    out = shutil.copytree(run.path, tmp_path / "run")
    sorted((out / "pieces" / "labels").glob("*.npz"))[0].unlink()
    again = vs.summarize(square_network(), list(world.images), "squares", out, settings=square_settings(count=3), resume=True)
    assert again.info.pieces["labels"] == {"computed": 1, "found": COUNT - 1, "damaged": 0}
    assert same(again, run)


@pytest.mark.usefixtures("known_masks")
def test_applied_to_new_images_of_the_same_squares(run: Run, world: Squares) -> None:
    """The squares of the run's images, as far from each other as there, the other way round.

    A part reaches as far as 99 % of its evidence in the run, so that about a hundredth is of none.
    """
    images, truths = (np.ascontiguousarray(one[:, :, ::-1]) for one in (world.images, world.truth))
    applied = run.apply(list(images), vs.load_classifier(square_network()))
    assert len(applied.images) == COUNT
    hits = 0
    for explained, truth in zip(applied.images, truths, strict=True):
        found = {presence.summary: presence for presence in explained.present}
        assert sorted(found) == [0, 1]
        for color, presence in found.items():
            assert not (presence.pixels & (truth != color)).any()
            hits += presence.pixels.sum()
            assert presence.importance == pytest.approx(SHARES[color], abs=0.05)
            assert presence.confidence >= 1
    assert hits >= 0.98 * ((truths == 0) | (truths == 1)).sum()
    assert (applied.found, applied.mistaken) == ((1.0, 1.0), (0.0, 0.0))


@pytest.mark.usefixtures("known_masks")
def test_evidence_of_another_color_is_of_no_part(run: Run) -> None:
    new = squares(2, random_state=11, colors=(0,))
    images = new.images.copy()
    images[:, 40:60, 60:80] = (255, 0, 255)
    applied = run.apply(list(images), vs.load_classifier(square_network()))
    for explained, truth in zip(applied.images, new.truth, strict=True):
        (presence,) = explained.present
        assert presence.summary == 0
        np.testing.assert_array_equal(presence.pixels, truth == 0)


@pytest.mark.usefixtures("known_masks")
def test_nothing_is_found_where_there_is_no_evidence(run: Run) -> None:
    (explained,) = run.apply([np.full((*SIZE, 3), 120, np.uint8)], vs.load_classifier(square_network())).images
    assert explained.present == ()


@pytest.mark.parametrize("former", [1, 2])
def test_runs_of_a_former_format_say_what_to_do(tmp_path: Path, run: Run, former: int) -> None:
    assert run.path is not None
    out = shutil.copytree(run.path, tmp_path / "run")
    manifest = json.loads((out / "manifest.json").read_text())
    (out / "manifest.json").write_text(json.dumps({**manifest, "format": former}))
    with pytest.raises(RunError, match=rf"format {former}.*format 3.*comput"):
        vs.load_run(out)


@pytest.mark.usefixtures("known_masks")
def test_parts_are_asked_of_runs_that_have_them(world: Squares) -> None:
    with pytest.raises(SettingsError, match="parts"):
        vs.summarize(square_network(), list(world.images), "squares", preset="paper", parts=3)


def test_masks_that_are_optimized_are_divided_as_they_are(striped_run: Run, draw_striped_images: Callable[..., Any]) -> None:
    """With nothing known beforehand: each summary is of one kind of striped patch, and both kinds have one."""
    striped = draw_striped_images(6)
    kinds = set()
    for position in range(len(striped_run.summaries)):
        on = np.zeros(2)
        for image in striped_run.images:
            for kind, boxes in enumerate((striped.red, striped.blue)):
                x0, y0, x1, y1 = boxes[image.index]
                on[kind] += (striped_run.labels(image.index)[y0:y1, x0:x1] == position).sum()
        assert on.max() >= 0.9 * on.sum()
        kinds.add(int(on.argmax()))
    assert kinds == {0, 1}


@pytest.mark.data
def test_photographs_of_sheepdogs_are_not_lost(data_dir: Path) -> None:
    """Thirty photographs once gave six summaries, later one, and nothing noticed."""
    found = vs.summarize(
        f"{data_dir / 'weights' / 'nets.py'}:mobilenetv1_050",
        data_dir / "images" / "imagewoof320" / "229_Old_English_sheepdog",
        229,
        max_images=16,
    )
    assert len(found.images) == 16
    assert len(found.summaries) >= 3
    assert found.analysis is not None
    assert found.analysis.together is not None
    assert found.analysis.together.share >= 0.6


def test_neighbors_are_the_largest_of_each_row_however_many_rows_there_are() -> None:
    values = np.random.default_rng(0).permuted(np.tile(np.arange(40, dtype=np.float32), (600, 1)), axis=1)
    values[:, 0] = -np.inf
    found = embedding._largest(values, 5)
    assert found.shape == (600, 5)
    assert (np.sort(found, axis=1) == np.sort(np.argsort(-values, axis=1)[:, :5], axis=1)).all()
