"""Wrong input by the thousand: mutated files of every kind that a user, or somebody else, may hand over.

Each input is a function of its kind, the seed and its number, so that one that fails can be made again::

    python tests/fuzzing.py --kind images --only 1234     # one input, with the traceback
    python tests/fuzzing.py --count 12000 --json out.json # so many inputs, shared out over all kinds

What counts as survived: a result, or an error of the package's own (``VisualSummariesError``), which names file and remedy.
Everything else is a failure.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import random
import struct
import tempfile
import time
import traceback
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from made_masks import made_mask
from visual_summaries.classifiers.checkpoints import read_checkpoint
from visual_summaries.classifiers.names import resolve_class_names
from visual_summaries.classifiers.transforms import ViewTransform
from visual_summaries.errors import VisualSummariesError
from visual_summaries.files.atomic import CHECKSUMS, sha256_of
from visual_summaries.images import open_image
from visual_summaries.pages.report import render_page
from visual_summaries.results import (
    Accuracy,
    Chance,
    ClassifierInfo,
    Component,
    Faithfulness,
    Image,
    JointEffects,
    Member,
    PartNumber,
    Parts,
    Region,
    Run,
    RunAnalysis,
    RunInfo,
    Skipped,
    Summary,
    SummaryAnalysis,
    TargetInfo,
    Together,
)
from visual_summaries.runs.directory import FILES, load_run, save_run
from visual_summaries.settings import preset
from visual_summaries.study.answers import ANSWERS_FORMAT, VERSION, load_answers
from visual_summaries.study.key import KEY_FORMAT, Key, load_key

# --- mutations of bytes ---------------------------------------------------------------------------------------------------

_EXTREMES = [0, 1, -1, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 100_000, 10_000_000]


def mutate_bytes(data: bytes, rng: random.Random, other: bytes = b"") -> bytes:
    """Change a few places: bits, bytes, integers of any width, slices cut out, doubled, moved, taken from another file."""
    raw = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        if not raw:
            return rng.randbytes(rng.randrange(40))
        # headers are where the decisions are made
        at = rng.randrange(min(len(raw), 64)) if rng.random() < 0.4 else rng.randrange(len(raw))
        length = rng.choice((1, 2, 4, 16, 200))
        match rng.randrange(9):
            case 0:
                raw[at] ^= 1 << rng.randrange(8)
            case 1:
                raw[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
            case 2:
                del raw[at : at + length]
            case 3:
                raw[at:at] = raw[at : at + length] * rng.choice((1, 1, 50))
            case 4:
                raw[at:at] = rng.randbytes(length)
            case 5:
                del raw[at:]
            case 6:
                kind = rng.choice((">I", "<I", ">H", "<H"))
                size = struct.calcsize(kind)
                raw[at : at + size] = struct.pack(kind, rng.choice(_EXTREMES) % 2 ** (8 * size))
            case 7:
                start = rng.randrange(len(other)) if other else 0
                raw[at : at + length] = other[start : start + length]
            case 8:
                raw[at : at + length] = bytes(length)
    return bytes(raw)


def _with_right_checksums(data: bytes) -> bytes:
    """Return a PNG whose chunks have the checksums of their content: what is wrong inside them then reaches the decoder."""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        return data
    out, at = bytearray(data[:8]), 8
    while at + 12 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        body = data[at + 4 : at + 8 + length]
        out += data[at : at + 8 + length] + struct.pack(">I", zlib.crc32(body))
        at += 12 + length
    return bytes(out)


# --- mutations of JSON ----------------------------------------------------------------------------------------------------

_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1, 3, 10**6, 10**30, -0.5, 1e308, float("nan"), float("inf"), "", "x", "../../escaped", "/etc/escaped",
    "<script>alert(1)</script>", "\ud800", "a\nb\x00c", [], [1], {}, {"a": 1}, [[]], "9" * 5000, -(2**63), 2**64,
)  # fmt: skip


def mutate_json(value: Any, rng: random.Random) -> Any:
    """Return a copy with a few nodes replaced, removed, doubled or renamed."""
    value = json.loads(json.dumps(value))
    for _ in range(rng.choice((1, 1, 2, 4))):
        parents = [(value, key) for key in _keys(value)]
        nodes: list[tuple[Any, Any]] = []
        while parents:
            parent, key = parents.pop()
            nodes.append((parent, key))
            parents += [(parent[key], inner) for inner in _keys(parent[key])]
        if not nodes:
            return rng.choice(_VALUES)
        parent, key = rng.choice(nodes)
        match rng.randrange(6):
            case 0:
                del parent[key]
            case 1 if isinstance(parent, list):
                parent.append(parent[key])
            case 1:
                parent[rng.choice(("", "extra", "__class__", "mask", "index"))] = parent.pop(key)
            case 2 if isinstance(parent[key], int | float):
                parent[key] = parent[key] * rng.choice((-1, 2, 1000)) + rng.choice((0, 1, -1, 0.5))
            case _:
                parent[key] = rng.choice(_VALUES)
    return value


def _keys(value: Any) -> list[Any]:
    return list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []


def write_json(value: Any) -> bytes:
    """Return JSON as some other program may write it."""
    return json.dumps(value).encode()


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
    ]
    found = []
    for picture, kind, options in variants:
        buffer = io.BytesIO()
        picture.save(buffer, kind, **options)
        found.append(buffer.getvalue())
    return tuple(found)


def try_image(rng: random.Random, folder: Path) -> None:
    """Open a mutated picture and show it to a transform."""
    seeds = image_seeds()
    data = mutate_bytes(rng.choice(seeds), rng, rng.choice(seeds))
    if rng.random() < 0.7:
        data = _with_right_checksums(data)
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


def small_parts(rng: np.random.Generator, count: int = 2, dimensions: int = 3) -> Parts:
    """What the evidence of a run is divided among, made up; regions have `dimensions` + 2 numbers."""
    mean, directions, references, centers, reach = (
        rng.random(shape).astype(np.float32)
        for shape in ((4,), (4, dimensions), (5, dimensions), (count, dimensions + 2), (count,))
    )
    numbers = (PartNumber(1, 0.0, 1.0, 1.0, False), PartNumber(count, 0.5, 0.8, 1.0, True))
    return Parts(mean, directions, references, np.arange(5) % 3, 4, 0.5, centers, reach, rng.random((count - 1, 4)), numbers)


def small_run(height: int = 12, width: int = 20, images: int = 3) -> Run:
    """A run with everything in it, made up."""
    rng = np.random.default_rng(0)
    shape = (height, width)

    def evidence() -> np.ndarray:
        return rng.random(shape).astype(np.float16)

    curves = ((images, 2, 4), (images, 2, 4), (images, 4), (images, 4), (images, 2), (images, 3))  # four infills
    curve, orders = np.array([1.0, 0.4], np.float32), np.ones((3, 2), np.float32)
    joint = JointEffects((0,), curve, 1 - curve, orders, orders, (0.1, 0.8), (0,), ())
    chance = Chance(3, 1, 0.4, 0.1, np.arange(4), *rng.random((2, 4)).astype(np.float32))
    analysis = SummaryAnalysis(np.arange(2), *(rng.random(shape).astype(np.float32) for shape in ((2,), (2,))), (0.1, 0.4), 0.6)
    regions = tuple(Region(i, i, (i, 2, i + 5, 8), rng.random((6, 5)) < 0.5, 0.8, 0.5, 0.4, 1.2 + i) for i in range(images))
    members = tuple(Member(i, 0.5, 0.25, rng.integers(0, 256, (6, 5, 3), dtype=np.uint8)) for i in range(images))
    return Run(
        images=tuple(
            Image(i, f"a/{i}.jpg", "ab" * 32, rng.integers(0, 256, (*shape, 3), dtype=np.uint8), 0.9, 7) for i in range(images)
        ),
        masks=tuple(
            made_mask(evidence(), 0.9, 1e-7, 0.3, smooth=evidence(), losses=rng.random(4 + i).astype(np.float32))
            for i in range(images)
        ),
        components=(Component(0, (0, 0, 3, 2), np.ones((2, 3), bool), 0.4, 0.2),),
        regions=regions,
        descriptors=rng.random((images, 5)).astype(np.float32),
        similarity=np.zeros((0, 0), np.float32),
        summaries=(Summary(0, 0, members[:2], (0, 1), 1.1, 0.3, analysis, part=1),),
        rejected=(Summary(1, 2, members[2:3], (2,), 0.4, 0.3, part=0),),
        skipped=(Skipped("b.txt", "unreadable", "no image"),),
        settings=preset("default"),
        info=RunInfo(
            ClassifierInfo("timm/resnet18", "00" * 32, transform={"size": [height, width]}),
            TargetInfo(7, "cock"),
            Accuracy(3, 4),
            created="2026-11-24T10:00:00+00:00",
            source="cocks",
            predicted={"7": "cock"},
            counts={"images": images, "skipped": 1, "summaries": 1},
            left_when_hidden={"mean": 0.05, "blur": 0.4},
            faithfulness={"deletion": (0.1, 0.4), "insertion": (0.8, 0.5)},
            warnings={"large": 1},
            versions={"python": "3.11", "visual-summaries": "0.1.0"},
            timings={"masks": 1.5},
        ),
        analysis=RunAnalysis(joint, chance, Together(0.6, 0.8, (0.5, 0.9), 0.1, 0.05, 0.2)),
        parts=small_parts(rng),
        faithfulness=Faithfulness(
            *(rng.random(shape).astype(np.float32) for shape in curves),
            *(rng.random(images).astype(np.float32) for _ in range(2)),
        ),
    )


@cache
def run_seed() -> dict[str, bytes]:
    """The files of a run directory."""
    with tempfile.TemporaryDirectory() as folder:
        save_run(small_run(), Path(folder))
        return {file.name: file.read_bytes() for file in Path(folder).iterdir() if file.is_file()}


def mutate_arrays(data: bytes, rng: random.Random) -> bytes:
    """Change one array of an ``.npz`` file, its header or its values, or leave it out, and pack all of it again."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        members = source.namelist()
        chosen = rng.choice(members)
        for member in members:
            content = source.read(member)
            if member == chosen:
                match rng.randrange(5):
                    case 0:
                        continue
                    case 1:
                        content = mutate_bytes(content, rng, source.read(rng.choice(members)))
                    case 2:
                        content = source.read(rng.choice(members))
                    case _:
                        array = np.load(io.BytesIO(content))
                        buffer = io.BytesIO()
                        np.save(buffer, _other_array(array, rng))
                        content = buffer.getvalue()
            target.writestr(member, content)
    return out.getvalue()


def _other_array(array: np.ndarray, rng: random.Random) -> np.ndarray:
    match rng.randrange(6):
        case 0:
            return array[:-1] if array.ndim else array
        case 1:
            return array.reshape(-1)
        case 2:
            return array.astype(rng.choice((np.float64, np.int64, np.complex64, "U3", np.bool_)))
        case 3:
            return np.full_like(array, rng.choice((0, 1, -1, 10**6)) % 2**7 if array.dtype.kind in "bui" else np.nan)
        case 4:
            return array[..., :0]
        case _:
            return np.swapaxes(array, 0, -1)


def forge_checksums(folder: Path) -> None:
    """Make the checksums of a run's manifest fit its files, as somebody who means harm would."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        manifest = json.loads((folder / "manifest.json").read_bytes())
        if isinstance(manifest.get(CHECKSUMS), dict):
            manifest[CHECKSUMS] = sha256_of(folder, [name for name in FILES if (folder / name).is_file()])
            (folder / "manifest.json").write_bytes(write_json(manifest))


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


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--kind", choices=[*KINDS])
    parser.add_argument("--only", type=int, help="one input by its number, with the traceback")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.only is not None:
        with tempfile.TemporaryDirectory() as folder:
            one_input(arguments.kind, arguments.only, arguments.seed, Path(folder))
        return
    counts = {arguments.kind: arguments.count} if arguments.kind else shares(arguments.count)
    rows = []
    for kind, count in counts.items():
        began = time.perf_counter()
        tally = fuzz(kind, count, arguments.seed)
        row = {
            "kind": kind,
            "inputs": tally.inputs,
            "accepted": tally.accepted,
            "typed_errors": sum(tally.errors.values()),
            "failures": len(tally.failures),
            "slowest_s": round(tally.slowest, 3),
            "seconds": round(time.perf_counter() - began, 1),
        }
        rows.append(row)
        print(row, dict(tally.errors), flush=True)
        for failure in tally.failures[:8]:
            print(failure)
    if arguments.json:
        arguments.json.write_text(json.dumps({"seed": arguments.seed, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
