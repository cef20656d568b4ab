"""Changes to bytes, JSON and arrays as damage, other programs and people who mean harm make them."""

from __future__ import annotations

import contextlib
import io
import json
import random
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from visual_summaries.files.atomic import CHECKSUMS, sha256_of
from visual_summaries.runs.directory import FILES

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


def with_right_checksums(data: bytes) -> bytes:
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
