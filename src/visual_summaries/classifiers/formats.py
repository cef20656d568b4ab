"""Files that are given as weights and hold none that can be loaded: named for what they are, by their first bytes."""

from __future__ import annotations

import zipfile
from pathlib import Path

_WEB = (b"<!doctype html", b"<html", b"<?xml")
_PT2 = "give a program of torch, torch.export.save(torch.export.export(model, (images,)), 'net.pt2'), as the model net.pt2"
#: What an ONNX program is as weights.
ONNX = "an ONNX program, which holds its own network: give it as the model, with the ending .onnx, and no checkpoint"
_KERAS = f"load it in Keras with the backend torch, where a model is a module; {_PT2}"


def what_it_is(path: Path) -> str:
    """Return what a file is that holds no weights of a torch network, and what to do; empty for any other.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "w.pth"
    >>> _ = path.write_text("version https://git-lfs.github.com/spec/v1")
    >>> what_it_is(path)
    'a pointer of Git LFS, not the file itself: fetch it (git lfs pull), or download the file'
    """
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        head = file.read(512)
    start = head.lstrip().lower()
    if head.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS, not the file itself: fetch it (git lfs pull), or download the file"
    if start.startswith(_WEB):
        return "a web page, not the file behind it: download the file itself (on a hub the link 'download' or 'raw')"
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return f"an HDF5 file, as Keras writes weights: {_KERAS}"
    if head[4:8] == b"TFL3":
        return f"a program of TensorFlow Lite, which has no gradients: go back to the network that it was made from; {_PT2}"
    if path.suffix.lower() == ".onnx" or (
        head[:1] == b"\x08" and b"\x12" in head[2:4] and b"onnx" in start + path.suffix.encode()
    ):
        return ONNX
    try:
        return _in_zip(path) if zipfile.is_zipfile(path) else ""
    except (OSError, ValueError, zipfile.BadZipFile):  # a damaged archive: its reader reports it
        return ""


def _in_zip(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        names = [name.partition("/")[2] or name for name in archive.namelist()]
    if "constants.pkl" in names and any(name.startswith("code/") for name in names):
        return (
            "a TorchScript program, which holds its own network: in Python load_classifier(torch.jit.load(path)); else, of the "
            f"network that it was made from, {_PT2}"
        )
    if "model.weights.h5" in names:
        return f"a model of Keras: {_KERAS}"
    if any(name.endswith("archive_format") or name.startswith("models/") for name in names):
        return "a program saved by torch.export: give it as the model, with the ending .pt2, and no checkpoint"
    return ""
