"""Files of a folder that are no JPEG or PNG: opened, or counted with their reason; nothing is passed over in silence."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import PIL.features
import PIL.Image
import pytest

from visual_summaries.errors import ImageError
from visual_summaries.images import gather_images, open_image
from visual_summaries.images.kinds import kind_of

SIZE = (48, 32)


def drawn() -> PIL.Image.Image:
    """Smooth, so that lossy formats come close."""
    x, y = np.meshgrid(np.linspace(0, 255, SIZE[0]), np.linspace(0, 255, SIZE[1]))
    return PIL.Image.fromarray(np.stack([x, y, 255 - x], axis=2).astype(np.uint8))


def encoded(kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    drawn().save(buffer, kind, **options)
    return buffer.getvalue()


def heic() -> bytes:
    buffer = io.BytesIO()
    pytest.importorskip("pillow_heif").from_pillow(drawn()).save(buffer, quality=95)
    return buffer.getvalue()


def npy(values: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, **options)
    return buffer.getvalue()


def dicom(pixels: np.ndarray, kind: str = "MONOCHROME2", **values: Any) -> bytes:
    pydicom = pytest.importorskip("pydicom")
    found = pydicom.Dataset()
    found.Rows, found.Columns = pixels.shape[:2]
    found.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    if pixels.ndim == 3:
        found.PlanarConfiguration = 0
    found.PhotometricInterpretation = kind
    found.BitsAllocated = found.BitsStored = pixels.dtype.itemsize * 8
    found.HighBit = found.BitsStored - 1
    found.PixelRepresentation = int(pixels.dtype.kind == "i")
    found.PixelData = pixels.tobytes()
    for name, value in values.items():
        setattr(found, name, value)
    found.file_meta = pydicom.dataset.FileMetaDataset()
    found.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    found.file_meta.MediaStorageSOPClassUID = pydicom.uid.SecondaryCaptureImageStorage
    found.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, found, enforce_file_format=True)
    return buffer.getvalue()


def close(data: bytes, most: float = 6) -> bool:
    opened = open_image(data)
    return opened.size == SIZE and np.abs(np.asarray(opened).astype(int) - np.asarray(drawn())).mean() < most


def test_jpeg_2000_mpo_avif_and_heic_are_opened() -> None:
    assert close(encoded("JPEG2000"))
    assert close(encoded("JPEG2000", no_jp2=True))
    assert close(encoded("MPO", save_all=True, append_images=[drawn()], quality=95))
    if "avif" in PIL.features.modules and PIL.features.check("avif"):
        assert close(encoded("AVIF", quality=95))
    assert close(heic())


def test_arrays_in_files_are_read_without_pickle(tmp_path: Path) -> None:
    pixels = np.asarray(drawn())
    for values in (pixels, pixels / 255, (pixels / 255).astype(np.float32), pixels[:, :, 0]):
        opened = np.asarray(open_image(npy(values)))
        np.testing.assert_array_equal(opened, pixels if values.ndim == 3 else np.repeat(pixels[:, :, :1], 3, axis=2))
    with pytest.raises(ImageError, match="holds object of shape"):
        open_image(npy(np.empty((32, 48), object), allow_pickle=True))
    with pytest.raises(ImageError, match="expected \\(H, W\\) or \\(H, W, 3\\)"):
        open_image(npy(np.zeros((2, 32, 48, 3), np.uint8)))
    with pytest.raises(ImageError, match="from 0 to 255, but must lie in"):
        open_image(npy(pixels.astype(float)))
    huge = npy(pixels).replace(b"(32, 48, 3)", b"(3200000, 48000, 3)")
    with pytest.raises(ImageError) as caught:
        open_image(huge)
    assert caught.value.reason in ("too-large", "unreadable")
    (tmp_path / "a.npy").write_bytes(npy(pixels))
    [source] = gather_images(tmp_path)
    assert source.load().size == SIZE


def test_dicom_passes_its_window_and_inversion() -> None:
    rows = np.tile(np.arange(48, dtype=np.uint16) * 100, (32, 1))

    def line(data: bytes) -> list[int]:
        return [int(value) for value in np.asarray(open_image(data))[0, [0, 10, 24, 40, 47], 0]]

    assert line(dicom(rows)) == [0, 54, 130, 217, 255]  # no window: from the least to the largest value
    assert line(dicom(rows, WindowCenter=2000.5, WindowWidth=2001)) == [0, 0, 178, 255, 255]
    assert line(dicom(rows, WindowCenter=[2000.5, 7], WindowWidth=[2001, 9])) == [0, 0, 178, 255, 255]
    rescaled = dicom(rows, RescaleSlope=2, RescaleIntercept=-1000, WindowCenter=3000.5, WindowWidth=4001)
    assert line(rescaled) == [0, 0, 178, 255, 255]
    assert line(dicom(rows, "MONOCHROME1")) == [255, 201, 125, 38, 0]
    assert line(dicom(rows, WindowCenter=2400, WindowWidth=1000, VOILUTFunction="SIGMOID"))[2] == 128
    assert line(dicom((rows // 100).astype(np.uint8))) == [0, 10, 24, 40, 47]  # 8 bits as they are
    assert line(dicom(rows.astype(np.int16) - 2400)) == [0, 54, 130, 217, 255]
    assert close(dicom(np.asarray(drawn()), "RGB"), 0.1)
    assert open_image(dicom(rows, NumberOfFrames=1)).size == SIZE


@pytest.mark.parametrize(
    ("change", "says", "reason"),
    [
        ({"Rows": 60000, "Columns": 60000}, "the limit is 100,000,000", "too-large"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "PALETTE COLOR pixels: save it as", "unreadable"),
        ({"Rows": 64}, "cannot be decoded", "unreadable"),
    ],
)
def test_dicom_files_that_cannot_be_used(change: dict[str, Any], says: str, reason: str) -> None:
    with pytest.raises(ImageError, match=says) as caught:
        open_image(dicom(np.zeros((32, 48), np.uint16), **change))
    assert caught.value.reason == reason
    whole = dicom(np.zeros((32, 48), np.uint16))
    with pytest.raises(ImageError, match="deflated"):
        open_image(whole.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99"))
    for end in range(132, len(whole), 97):
        with pytest.raises(ImageError, match="DICOM"):
            open_image(whole[:end])


def test_a_library_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"heif": heic(), "dicom": dicom(np.zeros((32, 48), np.uint16))}
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    for extra, data in files.items():
        with pytest.raises(ImageError, match=f"pip install 'visual-summaries\\[{extra}\\]'") as caught:
            open_image(data)
        assert caught.value.reason == "missing-extra"


def test_raw_photographs_are_not_taken_for_their_previews(tmp_path: Path) -> None:
    (tmp_path / "a.NEF").write_bytes(encoded("TIFF"))
    preview = PIL.Image.Image.getexif(drawn())
    for name, tag, value in (("b.dng", 50706, b"\1\4\0\0"), ("c.tif", 50706, b"\1\4\0\0"), ("d.tif", 254, 1)):
        preview.clear()
        preview[tag] = value
        (tmp_path / name).write_bytes(encoded("TIFF", tiffinfo=preview))
    for source in gather_images(tmp_path):
        with pytest.raises(ImageError, match="raw photograph") as caught:
            source.load()
        assert caught.value.reason == "raw"


def test_a_folder_leaves_out_only_what_is_plainly_no_image(tmp_path: Path) -> None:
    images = {"a.jpg": "JPEG", "b": "PNG", "c.part": "JPEG", "d.JP2": "JPEG2000"}
    for name, kind in images.items():
        (tmp_path / name).write_bytes(encoded(kind))
    others = {"film.mp4": b"\0\0\0\x18ftypisom" + bytes(90), "page.pdf": b"%PDF-1.7\n", "bytes": bytes(range(256)), "none": b""}
    notes = {
        "notes.md": b"x",
        "list.CSV": b"x",
        "LICENSE": "Text, caf\u00e9".encode() * 60,
        "Thumbs.db": b"\xd0\xcf",
        ".DS_Store": b"\0",
    }
    for name, content in (others | notes).items():
        (tmp_path / name).write_bytes(content)
    found = {source.name: source for source in gather_images(tmp_path)}
    assert set(found) == {*images, *others}
    for name in images:
        assert found[name].load().size == SIZE
    for name in set(others) - {"none"}:
        with pytest.raises(ImageError, match="save it as JPEG or PNG if it is an image, or move it elsewhere") as caught:
            found[name].load()
        assert caught.value.reason == "no-image"
    with pytest.raises(ImageError, match="is empty"):
        found["none"].load()


def test_first_bytes_tell_the_format() -> None:
    assert [kind_of(encoded(kind)) for kind in ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "JPEG2000")] == [
        *("jpeg", "png", "webp", "bmp", "tiff", "gif", "jpeg 2000")
    ]
    assert kind_of(b"\0\0\0\x1cftypmif1\0\0\0\0mif1heic") == "heif"
    assert kind_of(b"\0\0\0\x1cftypmif1\0\0\0\0avifmif1") == "avif"
    assert [kind_of(head) for head in (b"", b"BMW is a car", b"\0\0\0\x18ftypisom", b"\xff\xff\xff\xffftyp")] == [""] * 4
