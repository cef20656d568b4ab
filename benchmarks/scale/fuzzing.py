"""Wrong input by the thousand: mutated files of every kind that a user, or somebody else, may hand over.

Each input is a function of its kind, the seed and its number, so that one that fails can be made again, with its traceback:
``python benchmarks/scale/fuzzing.py images 1234``. What counts as survived: a result, or an error of the package's own
(``VisualSummariesError``), which names file and remedy. Everything else is a failure.
"""

from __future__ import annotations

import hashlib
import io
import json
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import PIL.features
import PIL.Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.made_runs import small_run
from benchmarks.scale.mutations import (
    forge_checksums,
    mutate_arrays,
    mutate_bytes,
    mutate_json,
    with_right_checksums,
    write_json,
)
from visual_summaries.classifiers.checkpoints import read_checkpoint
from visual_summaries.classifiers.names import resolve_class_names
from visual_summaries.classifiers.transforms import ViewTransform
from visual_summaries.errors import VisualSummariesError
from visual_summaries.images import open_image
from visual_summaries.pages.report import render_page
from visual_summaries.runs.directory import load_run, save_run
from visual_summaries.study.answers import ANSWERS_FORMAT, VERSION, load_answers
from visual_summaries.study.key import KEY_FORMAT, Key, load_key

# --- images ---------------------------------------------------------------------------------------------------------------


@cache
def image_seeds() -> tuple[bytes, ...]:
    """One small file of every accepted format and of its common variants."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (20, 26, 3), np.uint8)
    image = PIL.Image.fromarray(pixels)
    exif = PIL.Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a picture"
    clear = image.convert("RGBA")
    clear.putalpha(PIL.Image.fromarray(pixels[..., 0]))
    deep = PIL.Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    variants: list[tuple[PIL.Image.Image, str, dict[str, Any]]] = [
        (image, "JPEG", {"exif": exif}),
        (image, "JPEG", {"progressive": True, "quality": 40}),
        (image.convert("CMYK"), "JPEG", {}),
        (image, "PNG", {"exif": exif}),
        (clear, "PNG", {}),
        (image.quantize(16), "PNG", {"transparency": 3}),
        (deep, "PNG", {}),
        (image.convert("1"), "PNG", {}),
        (image, "WEBP", {}),
        (clear, "WEBP", {"lossless": True, "exif": exif}),
        (image, "WEBP", {"save_all": True, "append_images": [image.rotate(90)]}),
        (image, "BMP", {}),
        (image.quantize(16), "BMP", {}),
        (image, "DIB", {}),
        (image, "TIFF", {}),
        (image, "TIFF", {"compression": "tiff_lzw"}),
        (image, "TIFF", {"compression": "tiff_adobe_deflate", "exif": exif}),
        (image, "TIFF", {"compression": "jpeg"}),
        (image.convert("CMYK"), "TIFF", {"compression": "packbits"}),
        (deep, "TIFF", {}),
        (PIL.Image.fromarray(pixels[..., 0].astype(np.float32) / 255), "TIFF", {}),
        (image.convert("1"), "TIFF", {"compression": "group4"}),
        (image, "GIF", {}),
        (image.quantize(16), "GIF", {"save_all": True, "append_images": [image.rotate(90).quantize(8)], "transparency": 0}),
        (image, "JPEG2000", {}),
        (deep, "JPEG2000", {"no_jp2": True}),
        (image, "AVIF", {}),
    ]
    found = []
    for picture, kind, options in variants:
        buffer = io.BytesIO()
        if kind != "AVIF" or PIL.features.check("avif"):
            picture.save(buffer, kind, **options)
            found.append(buffer.getvalue())
    array = io.BytesIO()
    np.save(array, pixels)
    return (*found, array.getvalue())


def try_image(rng: random.Random, folder: Path) -> None:
    """Open a mutated picture and show it to a transform."""
    seeds = image_seeds()
    data = mutate_bytes(rng.choice(seeds), rng, rng.choice(seeds))
    if rng.random() < 0.7:
        data = with_right_checksums(data)
    # Half of them through a file with some name, as a folder of images has them. Small limits keep bombs cheap: what is
    # compared with them is the same.
    source: Any = data
    if rng.random() < 0.5:
        source = folder / rng.choice(("a.jpg", "b.png", "-rf.gif", "new\nline.tiff", "🐦.webp", "<img src=x>.bmp"))
        source.write_bytes(data)
    image = open_image(source, max_pixels=4_000_000)
    assert image.mode == "RGB", image.mode
    assert min(image.size) >= 16, image.size
    assert image.width * image.height <= 4_000_000, image.size
    view = ViewTransform(size=(16, 20), crop_mode=rng.choice(("center", "squash", "border"))).view(image)
    assert view.shape == (16, 20, 3), view.shape
    assert view.dtype == np.uint8, view.dtype


# --- names of classes -----------------------------------------------------------------------------------------------------

_NAMES = ["cat", "Old English sheepdog", "crane (134)", "café", "<b>bold</b>", "a,b", "-x"]


def try_names(rng: random.Random, folder: Path) -> None:
    """Read a mutated file of class names."""
    forms: list[Any] = [
        _NAMES,
        {str(index): name for index, name in enumerate(_NAMES)},
        {str(index): [f"n{index:08d}", name] for index, name in enumerate(_NAMES)},
        [[f"n{index:08d}", name] for index, name in enumerate(_NAMES)],
    ]
    if rng.random() < 0.3:
        path = folder / "names.txt"
        data = mutate_bytes("\n".join(_NAMES).encode(rng.choice(("utf-8", "utf-8-sig", "utf-16", "latin-1"))), rng)
    else:
        path = folder / "names.json"
        data = write_json(mutate_json(rng.choice(forms), rng))
        if rng.random() < 0.4:
            data = mutate_bytes(data, rng, b"[" * 100_000)
        if rng.random() < 0.01:
            data = b"[" * 100_000
    path.write_bytes(data)
    names = resolve_class_names(path, len(_NAMES))
    assert len(names) == len(_NAMES)
    assert all(isinstance(name, str) for name in names)


# --- weights --------------------------------------------------------------------------------------------------------------


@cache
def checkpoint_seeds() -> tuple[tuple[str, bytes], ...]:
    """A small file of safetensors and the two forms of torch.save."""
    import safetensors.torch
    import torch

    weights = {"conv.weight": torch.zeros(2, 3, 3, 3), "conv.bias": torch.ones(2)}
    found = [("w.safetensors", safetensors.torch.save(weights))]
    for zipped in (True, False):
        buffer = io.BytesIO()
        torch.save({"state_dict": weights, "epoch": 3}, buffer, _use_new_zipfile_serialization=zipped)
        found.append(("w.pt", buffer.getvalue()))
    return tuple(found)


def try_checkpoint(rng: random.Random, folder: Path) -> None:
    """Read mutated weights."""
    name, data = rng.choice(checkpoint_seeds())
    path = folder / name
    path.write_bytes(mutate_bytes(data, rng, rng.choice(checkpoint_seeds())[1]))
    read_checkpoint(path)


# --- run directories ------------------------------------------------------------------------------------------------------


@cache
def run_seed() -> dict[str, bytes]:
    """The files of a run directory."""
    with tempfile.TemporaryDirectory() as folder:
        save_run(small_run(), Path(folder))
        return {file.name: file.read_bytes() for file in Path(folder).iterdir() if file.is_file()}


def try_run(rng: random.Random, folder: Path) -> None:
    """Load a run from a mutated directory, and write its page where it loads."""
    for old in folder.iterdir():
        old.unlink()
    files = dict(run_seed())
    name = rng.choice(sorted(files))
    if rng.random() < 0.25:
        files[name] = mutate_bytes(files[name], rng)
    elif name.endswith(".json"):
        files[name] = write_json(mutate_json(json.loads(files[name]), rng))
    else:
        files[name] = mutate_arrays(files[name], rng)
    for file, content in files.items():
        (folder / file).write_bytes(content)
    if rng.random() < 0.9:
        forge_checksums(folder)
    render_page(load_run(folder))


# --- answers to a study ---------------------------------------------------------------------------------------------------


@cache
def study_seed() -> tuple[dict[str, Any], dict[str, Any]]:
    """The key of a small study with every kind of task, and a participant's answers."""
    tasks: dict[str, Any] = {
        "i1": {"kind": "intruder", "options": ["a", "b", "c"], "intruder": "b"},
        "p1": {"kind": "preference", "sides": ["left", "right"]},
        "n1": {"kind": "name"},
        "c1": {"kind": "intruder", "check": True, "position": 2},
        "c2": {"kind": "name", "check": True, "text": "blue"},
    }
    answers = [
        {"task": "i1", "choice": "b", "seconds": 2.5},
        {"task": "p1", "choice": None, "seconds": 3},
        {"task": "n1", "text": "a beak", "nothing": False, "seconds": 4.25},
        {"task": "c1", "choice": "y", "shown": ["x", "y", "z"], "seconds": 1.0},
        {"task": "c2", "text": "“Blue”", "seconds": 1.5},
    ]
    key = {"format": KEY_FORMAT, "version": VERSION, "study": "s1", "settings": {}, "runs": [], "tasks": tasks}
    given = {"format": ANSWERS_FORMAT, "version": VERSION, "study": "s1", "participant": "p", "comment": "", "answers": answers}
    return key, given


def try_answers(rng: random.Random, folder: Path) -> None:
    """Read a mutated file of answers, and sometimes another participant's beside it."""
    key, given = study_seed()
    data = write_json(mutate_json(given, rng)) if rng.random() < 0.8 else mutate_bytes(write_json(given), rng)
    if rng.random() < 0.01:
        data = b"[" * 100_000
    paths = [folder / "<b>answers.json", folder / "other.json"]
    paths[0].write_bytes(data)
    paths[1].write_bytes(write_json({**given, "participant": "q"}))
    found = load_answers(paths[: rng.choice((1, 1, 2))], Key(folder / "study.key.json", key))
    assert all(one.seconds is None or one.seconds >= 0 for one in found)


def try_key(rng: random.Random, folder: Path) -> None:
    """Read a mutated key, and a file of answers with it."""
    key, given = study_seed()
    data = write_json(mutate_json(key, rng)) if rng.random() < 0.8 else mutate_bytes(write_json(key), rng)
    (folder / "study.key.json").write_bytes(data)
    (folder / "answers.json").write_bytes(write_json(given))
    load_answers([folder / "answers.json"], load_key(folder / "study.key.json"))


# --- running --------------------------------------------------------------------------------------------------------------

#: What is fuzzed, and how many of a thousand inputs each gets.
KINDS: dict[str, tuple[Callable[[random.Random, Path], None], int]] = {
    "images": (try_image, 500),
    "names": (try_names, 150),
    "weights": (try_checkpoint, 100),
    "runs": (try_run, 250),
    "answers to a study": (try_answers, 120),
    "keys of a study": (try_key, 60),
}


@dataclass
class Tally:
    """What happened to the inputs of one kind.

    Attributes
    ----------
    inputs : int
    accepted : int
        Gave a result.
    errors : Counter
        Typed errors by the name of their class.
    failures : list of str
        What was neither: the input's number and the traceback.
    slowest : float
        Seconds of the slowest input.
    """

    inputs: int = 0
    accepted: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0


def one_input(kind: str, number: int, seed: int, folder: Path) -> None:
    """Make input `number` of a kind and try it."""
    key = hashlib.sha256(f"{kind} {seed} {number}".encode()).digest()
    KINDS[kind][0](random.Random(key), folder)


def fuzz(kind: str, count: int, seed: int = 0, start: int = 0) -> Tally:
    """Try `count` inputs of a kind."""
    tally = Tally()
    with tempfile.TemporaryDirectory() as name:
        inside = Path(name) / "inside"
        inside.mkdir()
        for number in range(start, start + count):
            began = time.perf_counter()
            tally.inputs += 1
            try:
                one_input(kind, number, seed, inside)
                tally.accepted += 1
            except VisualSummariesError as error:
                tally.errors[type(error).__name__] += 1
                if not str(error):
                    tally.failures.append(f"{kind} {number}: an error without a message")
            except Exception:  # noqa: BLE001 - that is what is looked for
                tally.failures.append(f"{kind} {number}: {traceback.format_exc(limit=-4)}")
                if len(tally.failures) > 20:
                    break
            tally.slowest = max(tally.slowest, time.perf_counter() - began)
        outside = [path.name for path in Path(name).iterdir() if path != inside]
        if outside:
            tally.failures.append(f"{kind}: files were written outside of the folder: {outside}")
    return tally


def shares(count: int) -> dict[str, int]:
    """Return how many inputs each kind gets of `count`."""
    total = sum(share for _, share in KINDS.values())
    return {kind: -(-count * share // total) for kind, (_, share) in KINDS.items()}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        one_input(sys.argv[1], int(sys.argv[2]), 0, Path(folder))
