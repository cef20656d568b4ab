"""Every kind of picture becomes the right upright RGB, and every bad one a typed error."""

import io
import struct
import zlib

import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from visual_summaries.errors import ImageError
from visual_summaries.images import open_image

H, W = 24, 40


def gradient() -> np.ndarray:
    """A picture whose corners differ, so that a wrong rotation shows."""
    pixels = np.zeros((H, W, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 255, W).astype(np.uint8)
    pixels[..., 1] = np.linspace(0, 255, H).astype(np.uint8)[:, None]
    pixels[: H // 2, : W // 2, 2] = 200
    return pixels


def encode(image: PIL.Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("kind", "options"),
    [("PNG", {}), ("BMP", {}), ("TIFF", {}), ("WEBP", {"lossless": True}), ("TIFF", {"compression": "tiff_lzw"})],
)
def test_lossless_formats_give_the_pixels_back(kind, options):
    opened = open_image(encode(PIL.Image.fromarray(gradient()), kind, **options))
    assert opened.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(opened), gradient())


def test_jpeg_is_close_and_a_path_works(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(encode(PIL.Image.fromarray(gradient()), "JPEG", quality=98, subsampling=0))
    difference = np.abs(np.asarray(open_image(path)).astype(int) - gradient())
    assert difference.mean() < 3
    assert open_image(str(path)).size == (W, H)


def test_gif_gives_its_first_frame():
    frames = [PIL.Image.new("RGB", (W, H), color) for color in ("red", "blue")]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert np.asarray(open_image(data)).reshape(-1, 3).tolist() == [[255, 0, 0]] * (H * W)


@pytest.mark.parametrize(
    ("mode", "fill", "expected"), [("L", 77, (77,) * 3), ("1", 1, (255,) * 3), ("CMYK", (0, 255, 255, 0), (255, 0, 0))]
)
def test_gray_bilevel_and_cmyk(mode, fill, expected):
    data = encode(PIL.Image.new(mode, (W, H), fill), "TIFF")
    assert open_image(data).getpixel((3, 5)) == expected


def test_cmyk_jpeg():
    red = np.asarray(open_image(encode(PIL.Image.new("CMYK", (W, H), (0, 255, 255, 0)), "JPEG", quality=98)))[5, 5]
    assert np.abs(red.astype(int) - (255, 0, 0)).max() < 8


def test_palette():
    quantized = PIL.Image.fromarray(gradient()).quantize(16)
    np.testing.assert_array_equal(np.asarray(open_image(encode(quantized, "PNG"))), np.asarray(quantized.convert("RGB")))


@pytest.mark.parametrize(
    ("mode", "fill", "expected"), [("RGBA", (200, 0, 100, 0), 255), ("LA", (0, 0), 255), ("RGBA", (200, 200, 200, 255), 200)]
)
def test_transparency_is_laid_on_white(mode, fill, expected):
    assert open_image(encode(PIL.Image.new(mode, (W, H), fill), "PNG")).getpixel((1, 1)) == (expected,) * 3


def test_half_transparent_black_is_gray():
    assert open_image(np.full((H, W, 4), (0, 0, 0, 128), np.uint8)).getpixel((0, 0)) == (127, 127, 127)


def test_palette_with_transparent_color_is_laid_on_white():
    image = PIL.Image.new("P", (W, H), 0)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.paste(1, (0, 0, 10, 10))
    opened = open_image(encode(image, "PNG", transparency=0))
    assert opened.getpixel((30, 20)) == (255, 255, 255)
    assert opened.getpixel((2, 2)) == (0, 255, 0)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_gray_is_scaled_by_its_range(kind):
    values = np.linspace(0, 65535, H * W).astype(np.uint16).reshape(H, W)
    opened = np.asarray(open_image(encode(PIL.Image.fromarray(values), kind)))
    np.testing.assert_array_equal(opened[..., 0], np.rint(values / 257).astype(np.uint8))
    assert opened.min() == 0
    assert opened.max() == 255


def png(width: int, height: int, depth: int, color: int, rows: bytes) -> bytes:
    """A PNG written by hand, for what Pillow does not write."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_16_bit_rgb_png():
    rows = (b"\0" + struct.pack(">HHH", 65535, 32896, 0) * W) * H
    assert open_image(png(W, H, 16, 2, rows)).getpixel((7, 7)) == (255, 128, 0)


def test_float_tiff_in_unit_range_is_scaled_and_others_are_refused():
    values = np.full((H, W), 0.5, np.float32)
    assert open_image(encode(PIL.Image.fromarray(values), "TIFF")).getpixel((0, 0)) == (128,) * 3
    with pytest.raises(ImageError, match=r"values from 1000 to 1000, but must lie in \[0, 1\]"):
        open_image(encode(PIL.Image.fromarray(values * 2000), "TIFF"))


def test_32_bit_integer_tiff_is_refused():
    with pytest.raises(ImageError, match=r"32-bit integers from 7 to 7.*save it with 8 or 16 bits"):
        open_image(encode(PIL.Image.fromarray(np.full((H, W), 7, np.int32)), "TIFF"))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize(("orientation", "turn"), [(3, 2), (6, 3), (8, 1)])
def test_exif_rotation_is_applied(kind, orientation, turn):
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    image = PIL.Image.fromarray(gradient())
    opened = np.asarray(open_image(encode(image, kind, exif=exif))).astype(int)
    expected = np.rot90(gradient(), turn).astype(int)
    assert opened.shape == expected.shape
    assert np.abs(opened - expected).mean() < 12  # JPEG and WebP lose a little; a wrong turn differs by more than 60


def test_exif_mirror():
    exif = PIL.Image.Exif()
    exif[0x0112] = 2
    opened = open_image(encode(PIL.Image.fromarray(gradient()), "PNG", exif=exif))
    np.testing.assert_array_equal(np.asarray(opened), gradient()[:, ::-1])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"])
def test_cut_files_are_errors(kind):
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    data = encode(PIL.Image.fromarray(noise), kind)
    with pytest.raises(ImageError) as caught:
        open_image(data[: len(data) // 2])
    assert caught.value.reason in ("truncated", "unreadable")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP"])
def test_cut_files_are_called_truncated(kind):
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    data = encode(PIL.Image.fromarray(noise), kind)
    with pytest.raises(ImageError, match="cut short") as caught:
        open_image(data[: len(data) // 2])
    assert caught.value.reason == "truncated"


def test_damaged_png_is_unreadable():
    data = bytearray(encode(PIL.Image.fromarray(gradient()), "PNG"))
    data[60:90] = bytes(30)
    with pytest.raises(ImageError) as caught:
        open_image(bytes(data))
    assert caught.value.reason == "unreadable"


@pytest.mark.parametrize(
    ("data", "match"), [(b"", "0 bytes is empty"), (b"not an image at all", "is not a readable JPEG, PNG")]
)
def test_no_image_at_all(data, match):
    with pytest.raises(ImageError, match=match) as caught:
        open_image(data)
    assert caught.value.reason == "unreadable"


def test_postscript_is_never_interpreted():
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\nshowpage\n"
    with pytest.raises(ImageError, match="is not a readable"):
        open_image(eps)


@pytest.mark.parametrize("side", [12_000, 60_000])
def test_a_bomb_is_refused_before_it_is_decoded(side, monkeypatch):
    def decode(self, *args):
        raise AssertionError("a pixel was decoded")

    bomb = png(side, side, 8, 0, b"")
    monkeypatch.setattr(PIL.Image.Image, "load", decode)
    with pytest.raises(ImageError, match="the limit is 100,000,000") as caught:
        open_image(bomb)
    assert caught.value.reason == "too-large"


def test_limits_are_the_callers():
    data = encode(PIL.Image.fromarray(gradient()), "PNG")
    with pytest.raises(ImageError, match=r"is 24 x 40 pixels \(H x W\), but its shorter side must be at least 25") as caught:
        open_image(data, min_side=25)
    assert caught.value.reason == "too-small"
    with pytest.raises(ImageError, match="960 in all, but the limit is 900"):
        open_image(data, max_pixels=900)
    assert open_image(data, min_side=24, max_pixels=960).size == (W, H)


def test_missing_file(tmp_path):
    with pytest.raises(ImageError, match=r"no\.png cannot be opened: No such file"):
        open_image(tmp_path / "no.png")


def test_array_layouts_agree():
    pixels = gradient()
    expected = pixels.tobytes()
    unit = pixels / 255
    for given_array in (
        pixels,
        unit,
        unit.astype(np.float32),
        torch.from_numpy(pixels).permute(2, 0, 1),
        torch.from_numpy(unit).permute(2, 0, 1),
    ):
        assert open_image(given_array).tobytes() == expected
    gray = pixels[..., 0]
    for given_array in (gray, gray[..., None], torch.from_numpy(gray)[None], torch.from_numpy(gray).bfloat16()[None] / 255):
        opened = np.asarray(open_image(given_array)).astype(int)
        assert np.abs(opened - gray[..., None]).max() <= 1
    assert open_image(PIL.Image.fromarray(gray)).tobytes() == np.repeat(gray[..., None], 3, axis=2).tobytes()


@pytest.mark.parametrize(
    ("bad", "match"),
    [
        (np.zeros((3, H, W), np.uint8), r"uint8 array of shape \(3, 24, 40\) is no image.*channels last"),
        (torch.zeros(H, W, 3), r"float32 tensor of shape \(24, 40, 3\) is no image.*channels first"),
        (np.zeros((2, H, W, 3), np.uint8), "give images one by one"),
        (np.zeros((H, W), np.int64), "must be uint8, or float"),
        (np.full((H, W), -0.1), r"values from -0.1 to -0.1, but must lie in \[0, 1\]"),
        (np.full((H, W), np.nan), "values from nan to nan"),
        (np.zeros((H, 4, 3), np.uint8), "its shorter side must be at least 16"),
    ],
)
def test_bad_arrays(bad, match):
    with pytest.raises(ImageError, match=match):
        open_image(bad)


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, min_side=16, max_side=20)))
def test_any_gray_array_survives(array):
    assert np.asarray(open_image(array))[..., 1].tobytes() == array.tobytes()


@given(st.binary(max_size=300))
def test_any_bytes_are_an_image_or_a_typed_error(data):
    with pytest.raises(ImageError):
        open_image(b"\xff\xd8" + data)  # starts like a JPEG
