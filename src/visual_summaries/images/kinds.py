"""What a file is, by its first bytes and its ending: an image that is opened, another file, or plainly no image."""

from __future__ import annotations

from pathlib import Path

#: Endings of files that are images, lower case.
IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif", ".mpo"),
    *(".jp2", ".j2k", ".jpf", ".jpx", ".j2c", ".jpc", ".avif", ".avifs", ".heic", ".heif", ".hif", ".dcm", ".dicom", ".npy"),
    *(".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw"),  # cameras' own: counted, not opened
)
#: The formats that are opened, for messages.
FORMATS = "JPEG, PNG, WebP, BMP, TIFF, GIF, JPEG 2000, AVIF, HEIC, DICOM or NumPy"
#: How many bytes of a file tell what it is.
HEAD = 512

_RAW = IMAGE_SUFFIXES[IMAGE_SUFFIXES.index(".dng") :]
_NOTES = (
    *(".txt", ".md", ".rst", ".log", ".json", ".jsonl", ".csv", ".tsv", ".xml", ".yaml", ".yml", ".toml", ".ini", ".cfg"),
    *(".html", ".htm", ".css", ".js", ".py", ".ipynb", ".sh", ".bat", ".db", ".lnk", ".url"),
)
_BRANDS = {b"avif": "avif", b"avis": "avif"} | dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), "heif")
_STARTS = {
    b"\xff\xd8\xff": "jpeg",
    b"\x89PNG\r\n\x1a\n": "png",
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
    b"II+\0": "tiff",
    b"GIF8": "gif",
    b"\0\0\0\x0cjP  \r\n\x87\n": "jpeg 2000",
    b"\xff\x4f\xff\x51": "jpeg 2000",
    b"\x93NUMPY": "npy",
}


def kind_of(head: bytes) -> str:
    r"""Return the image format that the first bytes of a file tell, in lower case; empty where they tell none.

    Examples
    --------
    >>> kind_of(b"GIF89a"), kind_of(b"\0\0\0\x18ftypheic"), kind_of(b"notes")
    ('gif', 'heif', '')
    """
    if head[4:8] == b"ftyp":
        end = min(int.from_bytes(head[:4]), len(head))
        brands = [head[8:12], *(head[at : at + 4] for at in range(16, end, 4))]  # the major one, then the compatible ones
        return next((_BRANDS[brand] for brand in brands if brand in _BRANDS), "")
    if head[128:132] == b"DICM":
        return "dicom"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[:2] == b"BM" and head[6:10] == b"\0\0\0\0":
        return "bmp"
    return next((kind for start, kind in _STARTS.items() if head.startswith(start)), "")


def is_raw(name: str) -> bool:
    """Whether a name is that of a camera's raw photograph."""
    return name.lower().endswith(_RAW)


def has_image_suffix(name: str) -> bool:
    """Whether a name ends as those of images do."""
    return name.lower().endswith(IMAGE_SUFFIXES)


def is_image(path: Path) -> bool:
    """Whether a file is an image by its ending, or, where the ending says nothing, by its first bytes."""
    return has_image_suffix(path.name) or (not _is_note(path.name) and kind_of(_head(path)) != "")


def is_no_image(path: Path) -> bool:
    """Whether a file is plainly no image: notes, tables and code by their endings, files of the system, text without ending."""
    if _is_note(path.name):
        return True
    head = b"" if path.suffix else _head(path)
    return bool(head) and b"\0" not in head and kind_of(head) == "" and _is_text(head)


def _is_note(name: str) -> bool:
    return name.startswith(".") or name.lower().endswith(_NOTES)


def _is_text(head: bytes) -> bool:
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start > HEAD - 4 and error.reason == "unexpected end of data"
    return True


def _head(path: Path) -> bytes:
    try:
        if path.is_file():  # no pipe, which would wait for ever
            with path.open("rb") as file:
                return file.read(HEAD)
    except (OSError, ValueError):
        pass  # opening it reports why it cannot be read
    return b""
