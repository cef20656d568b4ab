"""Pictures and folders as nobody would wish for: odd sizes, wrong endings, cut and false files, loops, strange names."""

from __future__ import annotations

import io
import os
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from benchmarks.scale.fuzzing import image_seeds
from visual_summaries.classifiers import ViewTransform
from visual_summaries.errors import ImageError, VisualSummariesError
from visual_summaries.images import gather_images, open_image

#: What a careless page, shell or log would stumble over.
ODD_NAMES = [
    "new\nline.png",
    "🐦🦅.png",
    "-rf.png",
    "--help.png",
    "<img src=x onerror=alert(1)>.png",
    "a b\t'quoted' \"double\" & $(touch x) ;.png",
    "%2e%2e%2f.png",
    "..png",
    " .png",
    "‮gnp.exe.png",
    "a" * 240 + ".png",
    "PNG.PNG",
]


def save(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.new("RGB", (40, 24), (10, 20, 30)).save(path, "PNG")


@pytest.mark.parametrize("number", range(len(image_seeds())))
def test_every_format_cut_anywhere_is_a_picture_or_a_typed_error(number: int) -> None:
    data = image_seeds()[number]
    assert open_image(data).mode == "RGB"
    errors = 0
    for end in range(0, len(data), 7):
        try:
            open_image(data[:end])
        except ImageError as error:
            errors += error.reason in ("unreadable", "truncated")
    assert errors > len(data) // 7 * 0.3


@pytest.mark.parametrize("size", [(1, 1), (1, 20_000), (20_000, 1), (15, 4000)])
@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "TIFF"])
def test_too_small(size: tuple[int, int], kind: str) -> None:
    buffer = io.BytesIO()
    PIL.Image.new("L", size).save(buffer, kind)
    with pytest.raises(ImageError, match="its shorter side must be at least 16") as caught:
        open_image(buffer.getvalue())
    assert caught.value.reason == "too-small"


def test_a_hundred_megapixels_are_read_and_one_row_more_is_not() -> None:
    for side, fits in ((10_000, True), (10_001, False)):
        buffer = io.BytesIO()
        PIL.Image.new("1", (10_000, side)).save(buffer, "PNG")
        if fits:
            image = open_image(buffer.getvalue())
            assert image.size == (10_000, side)
            assert ViewTransform(size=(40, 60)).view(image).shape == (40, 60, 3)
        else:
            with pytest.raises(ImageError, match="the limit is 100,000,000"):
                open_image(buffer.getvalue())


@pytest.mark.parametrize(
    ("mode", "resize", "says"),
    [("center", None, "256 x 512,000"), ("center", 300, "300 x 600,000"), ("border", None, "0 x 274")],
)
def test_what_keeping_the_aspect_ratio_would_blow_up_or_lose_is_refused(mode: str, resize: int | None, says: str) -> None:
    transform = ViewTransform(size=(224, 240), crop_mode=mode, resize=resize, crop_pct=0.875)
    assert transform.view(PIL.Image.new("RGB", (160, 16))).shape == (224, 240, 3)
    # small itself
    very_long = PIL.Image.new("RGB", (160_000 if mode == "border" else 32_000, 16))
    with pytest.raises(ImageError, match=f"too long and thin .* {says}") as caught:
        transform.view(very_long)
    assert caught.value.reason == "too-elongated"
    assert ViewTransform(size=(224, 240), crop_mode="squash").view(very_long).shape == (224, 240, 3)


def test_a_png_whose_text_unpacks_to_a_gigabyte() -> None:
    packed = zlib.compress(b"\0" * 200_000_000)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    whole = image_seeds()[3]
    for kind in (b"zTXt", b"iCCP"):
        bomb = whole[:33] + chunk(kind, b"key\0\0" + packed) + whole[33:]
        try:
            open_image(bomb)  # what is not needed may also be passed over
        except ImageError as error:
            assert error.reason == "unreadable"  # noqa: PT017 - either is right


@pytest.mark.parametrize("name", ["picture.jpg", "picture.gif", "picture.tiff"])
def test_a_wrong_ending_does_not_matter(name: str, tmp_path: Path) -> None:
    save(tmp_path / name)
    assert open_image(tmp_path / name).getpixel((0, 0)) == (10, 20, 30)


def test_what_is_no_picture_under_a_pictures_ending(tmp_path: Path) -> None:
    contents = {
        "svg.png": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        "page.jpg": b"<!doctype html><script>alert(1)</script>",
        "program.gif": b"\x7fELF\x02\x01\x01" + bytes(100),
        "archive.webp": b"PK\x03\x04" + bytes(100),
        "script.bmp": b"#!/bin/sh\ntouch executed\n",
        "postscript.tiff": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    for source in gather_images(tmp_path):
        with pytest.raises(ImageError, match="is not a readable JPEG"):
            source.load()


def test_odd_names_come_through_as_they_are(tmp_path: Path) -> None:
    for name in ODD_NAMES:
        save(tmp_path / name)
    found = gather_images(tmp_path)
    assert sorted(source.name for source in found) == sorted(name for name in ODD_NAMES if not name.startswith("."))
    for source in found:
        assert source.load().size == (40, 24)
        assert len(source.sha256()) == 64


@pytest.mark.skipif(sys.platform == "win32", reason="needs file names of any bytes")
def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.png"
    save(tmp_path / "a.png")
    os.rename(tmp_path / "a.png", path)  # noqa: PTH104 - bytes
    (source,) = gather_images(tmp_path)
    assert source.load().size == (40, 24)


def test_links_to_nothing_to_themselves_and_to_files_elsewhere(tmp_path: Path) -> None:
    save(tmp_path / "elsewhere" / "real.png")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "dangling.png").symlink_to(tmp_path / "nowhere.png")
    (inside / "self.png").symlink_to(inside / "self.png")
    (inside / "linked.png").symlink_to(tmp_path / "elsewhere" / "real.png")
    (inside / "loop").symlink_to(inside, target_is_directory=True)
    found = {source.name: source for source in gather_images(inside)}
    assert found["linked.png"].load().size == (40, 24)
    for name in set(found) - {"linked.png"}:
        with pytest.raises(ImageError, match="cannot be opened"):
            found[name].load()


def test_what_is_no_file_under_a_pictures_ending(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    save(tmp_path / "folder.png" / "inside.png")
    (tmp_path / "unreadable.png").symlink_to(tmp_path / "folder.png", target_is_directory=True)
    assert [source.name for source in gather_images(tmp_path)] == ["folder.png/inside.png"]
    with pytest.raises(ImageError, match="cannot be opened"):
        open_image(tmp_path / "folder.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_does_not_block_for_ever(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    save(tmp_path / "real.png")
    (tmp_path / "also.png").symlink_to("/dev/zero")
    for name in ("pipe.png", "also.png"):
        with pytest.raises(ImageError, match="is no regular file"):
            open_image(tmp_path / name)
    for source in gather_images(tmp_path):
        if source.name != "real.png":
            with pytest.raises(ImageError, match="is no regular file"):
                source.sha256()


@pytest.mark.parametrize("values", [np.full((20, 30), np.nan), np.zeros((20, 30), "U3"), np.zeros((20, 0, 3), np.uint8)])
def test_arrays_that_are_no_pictures(values: np.ndarray) -> None:
    with pytest.raises(VisualSummariesError):
        open_image(values)
