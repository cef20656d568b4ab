"""Folders, lists, arrays and tensors as sequences of named sources."""

import hashlib
import io

import numpy as np
import PIL.Image
import pytest
import torch

from visual_summaries.errors import ImageError, NoImagesError
from visual_summaries.images import gather_images
from visual_summaries.images.copies import near_copies


def save(path, color=(10, 20, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.new("RGB", (40, 24), color).save(path)


def names(source, **options):
    return [item.name for item in gather_images(source, **options)]


def test_a_folder_is_searched_in_natural_order(tmp_path):
    for name in ("10.png", "9.png", "b/2.JPG", "a/1.webp", ".hidden.png", ".cache/x.png"):
        save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    assert names(tmp_path) == ["9.png", "10.png", "a/1.webp", "b/2.JPG"]
    assert names(str(tmp_path), max_images=2) == ["9.png", "10.png"]


def test_link_loops_end_and_linked_folders_are_followed_once(tmp_path):
    save(tmp_path / "in" / "sub" / "1.png")
    save(tmp_path / "out" / "2.png")
    (tmp_path / "in" / "sub" / "up").symlink_to(tmp_path / "in", target_is_directory=True)
    (tmp_path / "in" / "away").symlink_to(tmp_path / "out", target_is_directory=True)
    (tmp_path / "in" / "again").symlink_to(tmp_path / "out", target_is_directory=True)
    assert names(tmp_path / "in") == ["again/2.png", "sub/1.png"]


def test_a_link_to_a_folder_above_shows_what_is_new_there_once(tmp_path):
    save(tmp_path / "in" / "1.png")
    save(tmp_path / "out" / "2.png")
    (tmp_path / "in" / "up").symlink_to(tmp_path, target_is_directory=True)
    assert names(tmp_path / "in") == ["1.png", "up/out/2.png"]


def test_nothing_is_opened_before_it_is_loaded(tmp_path):
    save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"broken")
    bad, good = gather_images(tmp_path)
    assert good.load().getpixel((0, 0)) == (10, 20, 30)
    assert good.sha256() == hashlib.sha256((tmp_path / "good.png").read_bytes()).hexdigest()
    with pytest.raises(ImageError, match=r"bad\.png is not a readable") as caught:
        bad.load()
    assert caught.value.reason == "unreadable"


def test_a_file_that_vanished_is_an_image_error(tmp_path):
    save(tmp_path / "a.png")
    (source,) = gather_images(tmp_path)
    (tmp_path / "a.png").unlink()
    with pytest.raises(ImageError, match="No such file"):
        source.sha256()


def test_paths_are_named_below_their_common_folder(tmp_path):
    for name in ("x/1.png", "x/y/1.png"):
        save(tmp_path / name)
    assert names([tmp_path / "x" / "1.png", str(tmp_path / "x" / "y" / "1.png")]) == ["1.png", "y/1.png"]
    assert names(tmp_path / "x" / "1.png") == ["1.png"]
    assert names([tmp_path / "x" / "1.png"]) == ["1.png"]


def test_arrays_tensors_and_generators():
    arrays = [np.full((24, 40, 3), value, np.uint8) for value in range(5)]
    tensor = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2)
    for source in (arrays, iter(arrays), np.stack(arrays), tensor):
        found = gather_images(source, max_images=4)
        assert [item.name for item in found] == ["image-0000", "image-0001", "image-0002", "image-0003"]
        assert found[3].load().getpixel((0, 0)) == (3, 3, 3)
    assert gather_images(arrays)[2].sha256() == hashlib.sha256(arrays[2].tobytes()).hexdigest()
    assert gather_images(tensor)[2].sha256() == gather_images(tensor.clone())[2].sha256()
    assert len(gather_images(arrays[0])) == 1
    assert len(gather_images(tensor[0])) == 1


def test_a_generator_is_read_no_further_than_needed():
    def endless():
        while True:
            yield np.zeros((24, 40), np.uint8)

    assert len(gather_images(endless(), max_images=3)) == 3


def test_empty_and_missing_sources_say_what_was_found(tmp_path):
    with pytest.raises(NoImagesError, match=r"nothere does not exist"):
        gather_images(tmp_path / "nothere")
    with pytest.raises(NoImagesError, match=r"holds no files.*\.jpg, \.jpeg"):
        gather_images(tmp_path)
    for index in range(3):
        (tmp_path / f"{index}.txt").write_text("")
    (tmp_path / "README").write_text("")
    with pytest.raises(
        NoImagesError, match=r"holds 4 files, none of them an image: \.txt \(3\), no suffix \(1\)\. Accepted are \.jpg"
    ):
        gather_images(tmp_path)
    with pytest.raises(NoImagesError, match="the iterable that was given is empty"):
        gather_images([])
    with pytest.raises(NoImagesError, match=r"shape \(2, 3, 4, 5, 6\) given, but expected \(N, C, H, W\)"):
        gather_images(torch.zeros(2, 3, 4, 5, 6))
    with pytest.raises(NoImagesError, match="max_images is 0"):
        gather_images(tmp_path, max_images=0)


def photograph(seed: int, side: int = 160) -> np.ndarray:
    """Something with shapes of all sizes, as photographs have."""
    rng, image = np.random.default_rng(seed), np.zeros((side, side, 3))
    for cells in (3, 6, 12, 24):
        coarse = PIL.Image.fromarray(rng.integers(0, 256, (cells, cells, 3), np.uint8))
        image += np.asarray(coarse.resize((side, side), PIL.Image.Resampling.BICUBIC), float) / cells
    return (image / image.max() * 255).astype(np.uint8)


def saved_again(view: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    PIL.Image.fromarray(view).save(buffer, "JPEG", quality=quality)
    return np.asarray(PIL.Image.open(buffer))


def test_near_copies_are_found_and_other_images_are_not() -> None:
    views = [photograph(seed) for seed in range(12)]
    assert near_copies(views) == list(range(12))
    first = views[0].astype(float)
    changed = [saved_again(views[0], 30), (first * 0.7).astype(np.uint8), np.ascontiguousarray(views[0][:, ::-1])]
    resized = PIL.Image.fromarray(views[0]).resize((90, 90)).resize((160, 160))
    cut = PIL.Image.fromarray(views[0]).crop((3, 3, 157, 157)).resize((160, 160))
    assert near_copies([*views, *changed, np.asarray(resized), np.asarray(cut)]) == [*range(12), 0, 0, 0, 0, 0]
