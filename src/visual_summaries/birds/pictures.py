"""A folder of demo images with their planted truth beside it, and its reader.

``write_images`` makes ``DIRECTORY/NAME.png``, which any run reads as a user's folder, and ``DIRECTORY/truth.json`` and
``DIRECTORY/truth.npz`` (label maps), which it ignores as they are no images.

Examples
--------
>>> import tempfile
>>> with tempfile.TemporaryDirectory() as directory:
...     paths = write_images(directory, class_index=0, n=2, seed=5, size=(64, 80))
...     truth = read_truth(directory)
>>> [path.name for path in paths], sorted(truth)
(['barwing-0005.png', 'barwing-0006.png'], ['barwing-0005.png', 'barwing-0006.png'])
>>> truth["barwing-0005.png"].labels.shape, truth["barwing-0005.png"].variants["wing"]
((64, 80), 'bars')
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from visual_summaries._validate import require_in_range
from visual_summaries.birds.render import render
from visual_summaries.birds.scene import sample_scene
from visual_summaries.birds.world import CLASSES, LABELS
from visual_summaries.errors import RunError
from visual_summaries.results import Result


@dataclass(frozen=True, eq=False, repr=False)
class Truth(Result):
    """What was drawn in one image.

    Attributes
    ----------
    class_index, seed : int
        What the scene was sampled from.
    labels : ndarray of uint8, (H, W)
        What each pixel shows: an index into ``LABELS``.
    variants : dict of str to (str or None)
        Variant of every part.
    shortcut : bool
        Whether the shortcut object was drawn (it may still be hidden).
    """

    class_index: int
    seed: int
    labels: NDArray[np.uint8]
    variants: dict[str, str | None]
    shortcut: bool


def write_images(
    directory: str | Path, class_index: int, n: int, seed: int = 30_000_000, size: tuple[int, int] = (160, 160)
) -> list[Path]:
    """Draw images of a class into a folder, with their truth.

    The folder is made if it is not there; the images, of `size` (H, W), take the seeds `seed` to ``seed + n - 1``.

    Raises
    ------
    RunError
        If the folder holds demo images already.
    """
    require_in_range("n", n, 1)
    folder = Path(directory)
    if (folder / "truth.json").exists():
        raise RunError(f"{folder} already holds demo images (truth.json); give another folder, or delete this one first")
    require_in_range("class_index", class_index, 0, len(CLASSES) - 1)
    folder.mkdir(parents=True, exist_ok=True)
    paths, maps, records = [], {}, {}
    for number in range(seed, seed + n):
        scene = sample_scene(class_index, number, size)
        drawn = render(scene)
        path = folder / f"{CLASSES[class_index].name}-{number:04d}.png"
        PillowImage.fromarray(drawn.image).save(path)
        paths.append(path)
        maps[path.name] = drawn.labels
        records[path.name] = {
            "class_index": class_index,
            "seed": number,
            "variants": drawn.variants,
            "shortcut": scene.shortcut is not None,
        }
    np.savez_compressed(folder / "truth.npz", allow_pickle=False, **maps)
    (folder / "truth.json").write_text(json.dumps({"labels": LABELS, "images": records}, indent=1) + "\n", encoding="utf-8")
    return paths


def read_truth(directory: str | Path) -> dict[str, Truth]:
    """Return the truth of a folder that :func:`write_images` made, keyed by file name.

    Raises
    ------
    RunError
        If the folder has no truth, or one of another version of the demo.
    """
    folder = Path(directory)
    if not (folder / "truth.json").exists() or not (folder / "truth.npz").exists():
        raise RunError(f"{folder} has no truth.json and truth.npz; draw demo images into a new folder with write_images")
    data = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    if tuple(data["labels"]) != LABELS:
        raise RunError(
            f"{folder}/truth.json labels {data['labels']}, but this version knows {list(LABELS)}; draw the images again"
        )
    with np.load(folder / "truth.npz", allow_pickle=False) as maps:
        return {name: Truth(labels=maps[name], **record) for name, record in data["images"].items()}
