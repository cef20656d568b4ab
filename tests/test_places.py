"""Where summaries lie, on masks whose answer is known; the object by what images have in common, and by what users give."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import visual_summaries as vs
from square_world import BLUE, GRAY, RED, SIDE, SIZE, square_network
from visual_summaries.analyses.objects import estimate_object, learn_looks, objectness
from visual_summaries.analyses.places import measure_place
from visual_summaries.classifiers.transforms import ViewTransform
from visual_summaries.errors import SettingsError
from visual_summaries.regions import run_length
from visual_summaries.results import Image, Region, Summary
from visual_summaries.runs.objects_file import _counts, _in_view, read_objects
from visual_summaries.runs.pieces import Pieces
from visual_summaries.runs.placing import estimate_objects, measure_places
from visual_summaries.runs.stages import Context, Shared

Mask = np.ndarray


def block(y: int, x: int, height: int, width: int, shape: tuple[int, int] = (100, 120)) -> Mask:
    mask = np.zeros(shape, bool)
    mask[max(y, 0) : y + height, max(x, 0) : x + width] = True
    return mask


def birds(count: int = 16, random_state: int = 0) -> tuple[list[Mask], list[Mask]]:
    """Objects that move about the middle as photographs have them, and a head of each: always in its upper left."""
    rng = np.random.default_rng(random_state)
    corners = [(int(y), int(x)) for y, x in zip(rng.normal(35, 8, count), rng.normal(40, 10, count), strict=True)]
    return [block(y, x, 35, 45) for y, x in corners], [block(y + 2, x + 2, 12, 14) for y, x in corners]


def test_a_part_of_the_object_is_on_the_object_though_it_is_always_in_the_upper_middle() -> None:
    for seed in range(5):
        objects, heads = birds(random_state=seed)
        place = measure_place(heads, objects)
        assert (place.kind, place.share_on_object) == ("object", 1.0)
        assert place.p_fixed > 0.05


@pytest.mark.parametrize(
    "logo",
    [block(4, 90, 14, 26), block(86, 4, 10, 50), block(40, 0, 14, 120)],
    ids=["corner", "scale bar", "text across the object"],
)
def test_what_stays_while_the_object_moves_is_fixed(logo: Mask) -> None:
    objects, _ = birds()
    noise = np.random.default_rng(0)
    masks = [logo & (noise.random(logo.shape) < 0.9) for _ in objects]  # evidence is not exact
    masks[3] = block(50, 50, 8, 8)  # nor is it always there
    place = measure_place(masks, objects)
    assert place.kind == "fixed place"
    assert place.sure > 0.9
    assert place.p_fixed < 0.01


def test_nothing_is_called_fixed_where_the_object_does_not_move_either() -> None:
    objects = [block(30, 40, 40, 40)] * 10
    place = measure_place([block(32, 42, 10, 10)] * 10, objects)
    assert (place.kind, place.common, place.p_fixed) == ("object", 1.0, 1.0)


def test_a_frame_is_at_the_border_and_a_corner_is_not() -> None:
    objects, _ = birds()
    frame = ~block(5, 5, 90, 110)
    place = measure_place([frame] * len(objects), objects)
    assert (place.kind, float(place.at_border.min())) == ("border", 1.0)
    assert measure_place([block(0, 0, 9, 9)] * len(objects), objects).kind == "fixed place"


def test_a_sticker_at_random_places_is_beside() -> None:
    objects, _ = birds()
    rng = np.random.default_rng(1)
    places = [(int(rng.integers(0, 16)), int(rng.integers(0, 100))) for _ in objects]
    place = measure_place([block(y, x, 14, 14) for y, x in places], objects)
    assert place.kind == "beside"
    assert place.interval[0] <= place.share_on_object <= place.interval[1] < 0.5


def test_texture_is_everywhere_unless_the_object_is() -> None:
    objects, _ = birds()
    noise = np.random.default_rng(2)
    masks = [noise.random((100, 120)) < 0.4 for _ in objects]
    assert measure_place(masks, objects).kind == "everywhere"
    assert measure_place(masks, [np.ones((100, 120), bool)] * len(masks)).kind == "object"


def test_what_is_not_known_of_the_object_does_not_count() -> None:
    objects, heads = birds()
    place = measure_place(heads, [None, *objects[1:]], range(10, 26), known="boxes")
    assert np.isnan(place.on_object[0])
    assert (place.kind, place.object, place.images[0]) == ("object", "boxes", 10)
    unknown = measure_place(heads, [None] * len(heads))
    assert (unknown.p_fixed, np.isnan(unknown.share_on_object), np.isnan(unknown.interval[0])) == (1.0, True, True)


def test_near_copies_are_drawn_together() -> None:
    objects, heads = birds(6)
    masks = [*heads[:3], *(block(0, 100, 10, 10) for _ in range(3))]
    alone = measure_place(masks, objects)
    copies = measure_place(masks, objects, origins=[0, 1, 2, 3, 3, 3])
    assert copies.interval[1] - copies.interval[0] > alone.interval[1] - alone.interval[0]


def test_a_summary_without_pixels_has_no_place() -> None:
    with pytest.raises(ValueError, match="lies nowhere"):
        measure_place([np.zeros((4, 4), bool)], [None])


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_shares_are_those_of_pixels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    masks, objects = (list(rng.random((3, 20, 30)) < 0.5) for _ in range(2))
    place = measure_place(masks, objects)
    assert np.allclose(place.on_object, [(m & o).sum() / m.sum() for m, o in zip(masks, objects, strict=True)])
    assert np.allclose(place.area, [m.mean() for m in masks])
    assert 0 < place.p_fixed <= 1
    assert 0 <= place.sure <= 1


def test_look_alikes_of_an_image_itself_and_of_its_copies_do_not_count() -> None:
    rng = np.random.default_rng(0)
    looks = [rng.normal(size=(49, 8)) for _ in range(4)]
    known = learn_looks(looks, [(7, 7)] * 4, [0, 0, 2, 3])
    without = learn_looks(looks[2:], [(7, 7)] * 2, [2, 3])
    without = replace(without, mean=known.mean, references=known.references[known.images != 0])
    assert np.array_equal(objectness(looks[0], (7, 7), known, 0), objectness(looks[0], (7, 7), without, 0))


def test_an_image_alone_has_its_object_in_the_middle_and_one_that_is_all_alike_has_none() -> None:
    looks = np.ones((49, 3), np.float32)
    found = objectness(looks, (7, 7), learn_looks([looks], [(7, 7)], [0]), 0)
    assert np.unravel_index(found.argmax(), found.shape) == (3, 3)
    assert not estimate_object(np.ones((7, 7)), (70, 70)).any()


def square_views(count: int = 10) -> np.ndarray:
    """Red squares about the middle, a blue one in the corner of each."""
    rng = np.random.default_rng(0)
    views = np.full((count, *SIZE, 3), GRAY, np.uint8)
    for view in views:
        y, x = rng.integers(12, 36), rng.integers(24, 56)
        view[y : y + SIDE, x : x + SIDE] = RED
        view[:SIDE, -SIDE:] = BLUE
    return views


def context(folder: Path | None = None) -> Context:
    classifier = vs.load_classifier(square_network())
    return Context(Shared(classifier, vs.classifiers.resolve_target(classifier, 0), vs.Settings()), Pieces(folder))


def images_of(views: np.ndarray) -> list[Image]:
    return [Image(k, f"{k}.png", str(k), view, 0.9, 0, view.shape[:2]) for k, view in enumerate(views)]


def colored(views: np.ndarray, color: tuple[int, int, int], start: int) -> list[Region]:
    found = []
    for k, view in enumerate(views):
        mask = (view == color).all(axis=-1)
        found.append(Region(start + k, k, (0, 0, SIZE[1], SIZE[0]), mask, *([float("nan")] * 4)))
    return found


def test_a_run_finds_the_object_and_places_its_summaries_again_from_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    views = square_views()
    images, regions = images_of(views), [*colored(views, RED, 0), *colored(views, BLUE, len(views))]
    groups = [tuple(range(len(views))), tuple(range(len(views), 2 * len(views)))]
    summaries = [Summary(k, k, (), own, 1.0, 0.0) for k, own in enumerate(groups)]
    places = measure_places(context(tmp_path), images, regions, summaries)
    assert [place.kind for place in places] == ["object", "fixed place"]
    assert places[0].share_on_object > 0.9
    assert places[1].share_on_object < 0.1
    monkeypatch.setattr("visual_summaries.runs.placing.estimate_object", None)  # nothing is computed again
    assert measure_places(context(tmp_path), images, regions, summaries) == places


def test_the_object_does_not_depend_on_which_image_comes_first() -> None:
    views = square_views()
    forth = estimate_objects(context(), images_of(views))
    back = estimate_objects(context(), images_of(views[::-1]))
    assert all(np.mean(a == b) > 0.95 for a, b in zip(forth, back[::-1], strict=True))


TRANSFORM = ViewTransform(size=(50, 50), crop_pct=0.5)


def originals(names: tuple[str, ...] = ("a/x.jpg", "b/y.jpg")) -> list[Image]:
    return [Image(k, name, str(k), np.zeros((50, 50, 3), np.uint8), 0.9, 0, (200, 300)) for k, name in enumerate(names)]


def whole(y: int = 60, x: int = 110, height: int = 40, width: int = 60) -> Mask:
    return block(y, x, height, width, (200, 300))


#: What the view shows of `whole`: the middle of the image, 2 of its pixels for each of the view's.
IN_VIEW = block(5, 5, 20, 30, (50, 50))


def write_png(path: Path, mask: Mask) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(mask.astype(np.uint8)).save(path)  # 1 is as good as 255


def test_masks_of_a_folder_are_brought_to_the_views(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_png(tmp_path / "x.png", whole())
    found = read_objects(tmp_path, originals(), TRANSFORM)
    assert (found.known, found.missing) == ("masks", ("b/y.jpg",))
    assert np.array_equal(found.masks[0], IN_VIEW)
    assert "no object for 1 of 2 images" in caplog.text


def test_a_mask_that_would_fill_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_png(tmp_path / "x.png", whole())
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(SettingsError, match="cannot be read as a mask"):
        read_objects(tmp_path, originals(), TRANSFORM)


def test_a_name_that_two_images_have_needs_its_folder(tmp_path: Path) -> None:
    images = originals(("a/x.jpg", "b/x.jpg"))
    write_png(tmp_path / "b/x.png", whole())
    assert list(read_objects(tmp_path, images, TRANSFORM).masks) == [1]


def compressed(counts: list[int]) -> str:
    """COCO's own writing of run lengths (rleToString of its C code)."""
    text = ""
    for k, count in enumerate(counts):
        value, more = count - (counts[k - 2] if k > 2 else 0), True
        while more:
            code = value & 31
            value >>= 5
            more = value != -1 if code & 16 else value != 0
            text += chr((code | 32 if more else code) + 48)
    return text


def outlines() -> dict[str, Any]:
    lengths = run_length(whole())
    return {
        "bbox": {"bbox": [110, 60, 60, 40]},
        "polygon": {"segmentation": [[110, 60, 170, 60, 170, 100, 110, 100]]},
        "counts": {"segmentation": lengths},
        "text": {"segmentation": {**lengths, "counts": compressed(lengths["counts"])}},
    }


def coco(path: Path, *annotations: dict[str, Any], **more: Any) -> Path:
    images = [{"id": 7, "file_name": "x.jpg", "width": 300, "height": 200}]
    path.write_text(json.dumps({"images": images, "annotations": [{"image_id": 7, **one} for one in annotations], **more}))
    return path


@pytest.mark.parametrize("kind", outlines())
def test_coco_is_read_in_every_form(tmp_path: Path, kind: str) -> None:
    found = read_objects(coco(tmp_path / "coco.json", outlines()[kind]), originals(), TRANSFORM)
    assert found.known == ("boxes" if kind == "bbox" else "masks")
    assert np.array_equal(found.masks[0], IN_VIEW)


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=20))
def test_compressed_run_lengths_are_read_as_they_were_written(counts: list[int]) -> None:
    assert _counts(compressed(counts)) == counts


def test_only_the_class_counts_where_a_category_has_its_name(tmp_path: Path) -> None:
    fish, man = {"bbox": [110, 60, 60, 40], "category_id": 1}, {"bbox": [0, 0, 300, 200], "category_id": 2}
    path = coco(tmp_path / "coco.json", fish, man, categories=[{"id": 1, "name": "Tench"}, {"id": 2, "name": "person"}])
    assert np.array_equal(read_objects(path, originals(), TRANSFORM, "tench").masks[0], IN_VIEW)
    assert read_objects(path, originals(), TRANSFORM, "robin").masks[0].all()


def test_what_cannot_be_used_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write_png(tmp_path / "small/x.png", np.ones((10, 20), bool))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/x.png").write_bytes(b"no picture")
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "keys.json").write_text('{"images": [{"id": 1}]}')
    for name, said in {
        "nothing": "does not exist; give a folder",
        "empty": "for none of the 2 images",
        "small": "20 x 10 pixels and the image 300 x 200",
        "broken": "cannot be read as a mask",
        "list.json": "cannot be read as COCO",
        "keys.json": "it has no 'height'",
    }.items():
        with pytest.raises(SettingsError, match=said):
            read_objects(tmp_path / name, originals(), TRANSFORM)


def test_a_mask_lands_where_the_classifier_shows_it() -> None:
    """The mask's view is that of a picture of the mask, by the classifier's own transform."""
    classifier = vs.load_classifier(square_network())
    mask = np.zeros((90, 200), bool)
    cv2.circle(mask.view(np.uint8), (90, 40), 30, 1, -1)
    view = classifier.view(PIL.Image.fromarray(np.repeat(255 * mask[..., None].astype(np.uint8), 3, axis=2)))
    image = Image(0, "x.jpg", "0", view, 0.9, 0, mask.shape)
    found = _in_view(image, mask, classifier.transform, Path("masks"))
    assert np.mean(found == (view[..., 0] > 127)) > 0.995
