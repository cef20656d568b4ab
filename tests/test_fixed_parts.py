"""Fixed parts: what looks the same at the same place of most images, where it is known to the pixel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import visual_summaries as vs
from square_world import RED, SIZE, evidence_of, give_masks, square_network, square_settings, squares
from visual_summaries.masks.controls import moved_copies
from visual_summaries.parts import find_fixed, fixed_confidence, fixed_pieces, where_fixed
from visual_summaries.runs.directory import save_run

SIDE = 160


def scenes(count: int, random_state: int = 0, spread: float = 35) -> np.ndarray:
    """Random pictures (N, H, W, 3) with coarse and fine structure, none like another."""
    noise = np.random.default_rng(random_state).normal(size=(count, SIDE, SIDE, 3))
    drawn = np.stack([sum(sigma * cv2.GaussianBlur(one, (0, 0), sigma) for sigma in (1, 3, 9)) for one in noise])
    return (128 + spread * drawn / drawn.std()).clip(0, 255).astype(np.uint8)


def plate() -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[10:34, 100:150] = True
    return mask


def frame() -> np.ndarray:
    mask = np.ones((SIDE, SIDE), bool)
    mask[11:-11, 11:-11] = False
    return mask


def letters() -> np.ndarray:
    drawn = np.zeros((SIDE, SIDE), np.uint8)
    cv2.putText(drawn, "COPY", (14, 93), cv2.FONT_HERSHEY_SIMPLEX, 1.7, 255, 7)
    return drawn > 0


def planted(views: np.ndarray, mask: np.ndarray, alpha: float = 1.0) -> np.ndarray:
    found = views.astype(float)
    found[:, mask] = alpha * np.array([250, 240, 40]) + (1 - alpha) * found[:, mask]
    return found.round().astype(np.uint8)


def share(found: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Share of what was found that is true, and of the truth that was found."""
    both = (found & truth).sum()
    return float(both / max(found.sum(), 1)), float(both / truth.sum())


@pytest.mark.parametrize(
    ("mask", "alpha", "precise", "covered"),
    [(plate, 1, 0.85, 0.95), (frame, 1, 0.85, 0.95), (plate, 0.9, 0.85, 0.95), (letters, 0.65, 0.6, 0.8)],
)
def test_what_is_planted_is_found(mask: Callable[[], np.ndarray], alpha: float, precise: float, covered: float) -> None:
    found = find_fixed(list(planted(scenes(16), mask(), alpha)))
    found_precise, found_covered = share(found.labels >= 0, mask())
    assert found_precise >= precise
    assert found_covered >= covered
    assert min(found.stability) > 0.7


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 1000), st.integers(8, 20), st.sampled_from([15.0, 60.0]))
def test_nothing_is_found_where_nothing_is(random_state: int, count: int, spread: float) -> None:
    found = find_fixed(list(scenes(count, random_state, spread)))
    # Nothing of the images is kept, so that what is computed of one does not depend on the others.
    assert (found.labels.shape, found.look.shape, found.stability.shape) == ((0, 0), (0, 0, 3), (0,))


def test_the_order_of_images_does_not_matter() -> None:
    views = planted(scenes(12), plate())
    both = [find_fixed(list(own)).labels for own in (views, views[::-1])]
    assert np.array_equal(*both)


def test_two_parts_are_two_and_pieces_near_each_other_one() -> None:
    views = scenes(12)
    three = np.zeros((SIDE, SIDE), bool)
    three[10:30, 10:30] = three[10:30, 34:54] = three[110:150, 100:150] = True
    found = find_fixed(list(planted(views, three)))
    assert [int((found.labels == k).sum() > 0) for k in (0, 1, 2)] == [1, 1, 0]
    assert (found.labels[112:148, 102:148] == 0).all()
    assert (found.labels[12:28, 12:28] == 1).all()
    assert (found.labels[12:28, 36:52] == 1).all()


def test_an_image_without_it_does_not_have_it() -> None:
    views = scenes(16)
    views[:12] = planted(views[:12], plate())
    found = find_fixed(list(views))
    has = [(where_fixed(view, found.labels, found.look) >= 0).any() for view in views]
    assert has == [True] * 12 + [False] * 4
    confidence = [fixed_confidence(view, found.labels, found.look)[0] for view in views]
    assert min(confidence[:12]) >= 1 > max(confidence[12:])


def test_what_few_images_have_is_no_part() -> None:
    views = scenes(16)
    views[:5] = planted(views[:5], plate())
    assert not find_fixed(list(views)).labels.size
    assert not find_fixed(list(planted(scenes(7), plate()))).labels.size


def test_images_of_other_sizes_have_it_at_the_same_share_of_their_sides() -> None:
    views = planted(scenes(16), plate())
    found = find_fixed([cv2.resize(view, (200, 250)) if k % 2 else view for k, view in enumerate(views)])
    assert share(found.labels == 0, plate())[1] > 0.9
    large = where_fixed(cv2.resize(views[0], (320, 320), interpolation=cv2.INTER_CUBIC), found.labels, found.look)
    assert share(large == 0, np.kron(plate(), np.ones((2, 2), bool)))[0] > 0.9


def test_pieces_are_those_of_brute_force() -> None:
    own = np.random.default_rng(0).integers(-1, 3, (9, 12)).astype(np.int16)
    assert [part for part, *_ in fixed_pieces(own, 4)] == [4, 5, 6]
    for part, (x0, y0, x1, y1), mask in fixed_pieces(own, 4):
        full = np.zeros(own.shape, bool)
        full[y0:y1, x0:x1] = mask
        assert np.array_equal(full, own == part - 4)
        assert mask.any(axis=0)[[0, -1]].all()
        assert mask.any(axis=1)[[0, -1]].all()


def test_a_frame_is_compared_with_as_much_next_to_it() -> None:
    copies = moved_copies(frame(), 2, np.random.default_rng(0))
    assert (copies.sum(axis=(1, 2)) == frame().sum()).all()
    assert not (copies & frame()).any()
    assert not copies[:, 30:-30, 30:-30].any()
    most = np.ones((6, 8), bool)
    most[2:4, 3:5] = False
    assert (moved_copies(most, 1, np.random.default_rng(0))[0] == ~most).all()


# In a run


def mottled(count: int, random_state: int, fixed: bool = True) -> np.ndarray:
    """Squares on mottled gray, blue at places of its own; the red one always at the same, or nowhere."""
    world = squares(count, random_state, colors=(1,))
    gray = np.random.default_rng(random_state).integers(60, 180, (count, *SIZE, 1), np.uint8)
    views = np.where(world.truth[..., None] < 0, gray, world.images)
    if fixed:
        views[:, :16, :16] = RED
    return views.astype(np.uint8)


def colored(view: np.ndarray) -> np.ndarray:
    return evidence_of(view) & (np.ptp(view.astype(int), axis=2) > 100)


def is_red(view: np.ndarray) -> np.ndarray:
    return (view == RED).all(axis=2)


@pytest.fixture(scope="module")
def run() -> vs.Run:
    with pytest.MonkeyPatch.context() as patch:
        give_masks(patch, colored)
        return vs.summarize(square_network(), mottled(10, 1), 0, settings=square_settings())


def test_a_fixed_part_is_a_summary_of_its_own(run: vs.Run) -> None:
    assert run.parts is not None
    assert run.parts.fixed_count == 1
    first = next(one for one in run.summaries if one.part == run.parts.count - 1)
    assert len(first.cluster) == len(run.images)
    for index in first.cluster:
        region = run.regions[index]
        x0, y0, x1, y1 = region.box
        red = is_red(run.images[region.image].view)
        assert share(np.pad(region.mask, ((y0, SIZE[0] - y1), (x0, SIZE[1] - x1))), red)[0] > 0.9
        assert region.mask.sum() > 0.9 * red.sum()


def test_it_is_found_in_new_images_that_have_it(run: vs.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    give_masks(monkeypatch, colored)
    assert run.parts is not None
    first = next(one.index for one in run.summaries if one.part == run.parts.count - 1)
    applied = run.apply([*mottled(3, 7), *mottled(3, 8, fixed=False)], vs.load_classifier(square_network()))
    found = [[one for one in image.present if one.summary == first] for image in applied.images]
    assert [len(one) for one in found] == [1, 1, 1, 0, 0, 0]
    for image, (one, *_) in zip(applied.images, found[:3], strict=False):
        assert share(one.pixels, is_red(image.image.view))[0] > 0.9
        assert one.confidence >= 1


def test_a_network_may_rely_on_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    give_masks(monkeypatch, is_red)
    only = vs.summarize(square_network(), mottled(10, 1), 0, settings=square_settings())
    assert only.parts is not None
    assert (only.parts.count, only.parts.fixed_count) == (1, 1)
    assert [one.part for one in only.summaries] == [0]


def test_it_is_kept_and_can_be_turned_off(run: vs.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_run(run, tmp_path / "run")
    loaded = vs.load_run(tmp_path / "run")
    assert loaded.parts is not None
    assert run.parts is not None
    assert np.array_equal(loaded.parts.fixed, run.parts.fixed)
    assert np.array_equal(loaded.parts.look, run.parts.look)
    give_masks(monkeypatch, colored)
    wanted = square_settings(fixed=False)
    without = vs.summarize(square_network(), mottled(10, 1), 0, settings=wanted)
    assert without.parts is not None
    assert without.parts.fixed_count == 0
    assert replace(wanted.parts, fixed=True) == square_settings().parts  # type: ignore[type-var]
