"""Near copies of photographs: how far their perceptual hashes are from the image's own, and from those of other images.

Run with ``python benchmarks/images/copies.py --data DIR --json FILE``. The threshold of ``visual_summaries.images.copies`` was
chosen on every third folder of photographs; the other folders are what is reported. A pair of
different files within the threshold is listed by name: whether it is a copy is for the eye to say.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.harness import Row, finish, parser, results
from visual_summaries.images.copies import NEAR, perceptual_hash

SIDE = 224
#: The folders of each half, and whether they are every third entry.
HALVES = (("chosen on", True), ("reported", False))
SUFFIXES = (".jpg", ".jpeg", ".png")


def view(path: Path) -> Image.Image:
    """Return the middle of a photograph, as most networks see it."""
    with Image.open(path) as image:
        return ImageOps.fit(image.convert("RGB"), (SIDE, SIDE), Image.Resampling.BICUBIC)


def changed(image: Image.Image) -> Iterator[tuple[str, Image.Image]]:
    """Yield copies of an image, each changed in one way."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=30)
    yield "saved again, quality 30", Image.open(buffer)
    yield "half the size", image.resize((SIDE // 2, SIDE // 2))
    yield "30 % brighter", ImageEnhance.Brightness(image).enhance(1.3)
    yield "gray", ImageOps.grayscale(image).convert("RGB")
    yield "mirrored", ImageOps.mirror(image)
    yield "turned by 2 degrees", image.rotate(2, resample=Image.Resampling.BICUBIC)
    for percent in (4, 10):
        rim = round(SIDE * percent / 200)
        yield f"cut by {percent} %", image.crop((rim, rim, SIDE - rim, SIDE - rim))


def distance(own: np.ndarray, other: Image.Image) -> int:
    """Return in how many bits a hash differs from that of another image, as it is or mirrored."""
    both = (perceptual_hash(one) for one in (other, ImageOps.mirror(other)))
    return min(int(np.bitwise_count(own ^ bits).sum()) for bits in both)


def measure(half: str, folders: list[Path], images: int, of_each: int) -> list[Row]:
    """Return the rows of one half: pairs of different files, and changed copies."""
    nearest, pairs, within = [], 0, []
    copies: dict[str, list[int]] = {}
    for folder in folders:
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)[:images]
        views = [view(path) for path in files]
        own = [perceptual_hash(one) for one in views]
        mirrored = [perceptual_hash(ImageOps.mirror(one)) for one in views]
        for a, b in combinations(range(len(files)), 2):
            apart = min(int(np.bitwise_count(own[a] ^ bits).sum()) for bits in (own[b], mirrored[b]))
            pairs += 1
            if apart <= NEAR:
                within.append(f"{folder.name}: {files[a].name}, {files[b].name} ({apart})")
            else:
                nearest.append(apart)
        for one, bits in list(zip(views, own, strict=True))[:of_each]:
            for change, copy in changed(one):
                copies.setdefault(change, []).append(distance(bits, copy))
    rows = [
        {"half": half, "what": "different files of a class", "count": pairs, "within": len(within), "nearest": min(nearest)}
    ]
    for change, found in copies.items():
        share = float(np.mean(np.array(found) <= NEAR))
        rows.append({"half": half, "what": change, "count": len(found), "median": float(np.median(found)), "found": share})
    return [{**row, "pairs": within} if "within" in row else row for row in rows]


def main() -> int:
    arguments = parser(__doc__, "20 images of a folder", "60 images of a folder", needs_data=True).parse_args()
    images, of_each = (20, 2) if arguments.size == "quick" else (60, 6)
    entries = list(enumerate(sorted((arguments.data / "images").glob("*/*"))))
    folders = {
        half: [path for number, path in entries if path.is_dir() and (number % 3 == 0) == first] for half, first in HALVES
    }
    rows = [row for half, own in folders.items() for row in measure(half, own, images, of_each)]
    settings = {
        "threshold": NEAR,
        "bits": 256,
        "images": images,
        "changed_images": of_each,
        "folders": {half: len(own) for half, own in folders.items()},
    }
    return 0 if finish(results("copies", arguments.size, settings, rows, []), arguments.json) else 1


if __name__ == "__main__":
    sys.exit(main())
