"""Images with keypoints in PF-WILLOW's layout, made from photographs at hand: on them the settings were chosen and checked.

    python benchmarks/flow/proxy.py --data DIR --out FOLDER

Two data sets are written, each a folder of class folders of PNG images with a ``.mat`` (``pts_coord``, 2 x K) beside each:

- ``scenes``: birds with part points, cut out (GrabCut) and pasted into photographs without birds, at any place and size.
  Different animals, clutter, shifts and changes of scale, as in PF-WILLOW. One folder for each species; points that are not
  visible are NaN;
- ``warps``: a photograph and a copy under an affine map and a thin-plate spline with other brightness, contrast, color and
  noise. One folder for each photograph, 10 points.

The same seed writes the same files.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator
from scipy.io import savemat

from benchmarks.flow.keypoints import PROXY
from visual_summaries.images import open_image

Picture = NDArray[np.uint8]

LONGER = 300  # longer side of every image
BACKGROUNDS = ("571_gas_pump", "569_garbage_truck", "574_golf_ball", "701_parachute")


def fitted(image: Picture, longer: float) -> Picture:
    """Bring the longer side to some length."""
    factor = longer / max(image.shape[:2])
    size = (max(round(image.shape[1] * factor), 1), max(round(image.shape[0] * factor), 1))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC), np.uint8)


def cut_out(image: Picture, points: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return how far each pixel belongs to the animal on which the points lie, in [0, 1]."""
    height, width = image.shape[:2]
    state = np.full((height, width), cv2.GC_PR_FGD, np.uint8)
    rim = max(2, round(0.03 * min(height, width)))
    state[:rim], state[-rim:], state[:, :rim], state[:, -rim:] = (cv2.GC_PR_BGD,) * 4
    corner = round(0.2 * min(height, width))
    for rows in (slice(0, corner), slice(-corner, None)):
        for columns in (slice(0, corner), slice(-corner, None)):
            state[rows, columns] = cv2.GC_BGD
    for x, y in points:
        cv2.circle(state, (int(x), int(y)), max(2, round(0.04 * min(height, width))), cv2.GC_FGD, -1)
    cv2.setRNGSeed(0)
    cv2.grabCut(
        np.ascontiguousarray(image[:, :, ::-1]), state, None, np.zeros((1, 65)), np.zeros((1, 65)), 5, cv2.GC_INIT_WITH_MASK
    )
    inside = ((state == cv2.GC_FGD) | (state == cv2.GC_PR_FGD)).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(inside, (0, 0), 1.0), np.float32)


def scenes(data: Path, out: Path, rng: np.random.Generator) -> int:
    """Paste each bird into a photograph of its own."""
    birds = data / "images" / "cub_crops227"
    listed = json.loads((birds / "parts_in_crop.json").read_text())["images"]
    names = sorted({name for entry in listed.values() for name in entry["parts"]})
    behind = [path for folder in BACKGROUNDS for path in sorted((data / "images" / "imagenette224" / folder).glob("*"))]
    behind = [behind[k] for k in rng.permutation(len(behind))]
    count = 0
    for (name, entry), place in zip(sorted(listed.items()), behind, strict=False):
        width, height = entry["bbox_wh"]  # the crops were stretched to squares
        crop = np.asarray(open_image(birds / name))
        longer = rng.uniform(0.45, 0.85) * LONGER
        factor = longer / max(width, height)
        size = (round(width * factor), round(height * factor))
        bird = np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), np.uint8)
        points = np.full((2, len(names)), np.nan)
        for part, (x, y) in entry["parts"].items():
            points[:, names.index(part)] = x * size[0] / crop.shape[1], y * size[1] / crop.shape[0]
        seen = points[:, np.isfinite(points[0])].T
        share = cut_out(bird, np.clip(seen, 0, np.array(size) - 1))
        if not 0.15 < share.mean() < 0.85:
            continue
        canvas = (LONGER, round(LONGER * rng.uniform(0.75, 0.95)))[:: 1 if rng.random() < 0.7 else -1]
        canvas = (max(canvas[0], size[0] + 8), max(canvas[1], size[1] + 8))
        scene = np.asarray(cv2.resize(np.asarray(open_image(place)), canvas, interpolation=cv2.INTER_CUBIC), np.uint8)
        left, top = (int(rng.integers(4, extent - side - 3)) for extent, side in zip(canvas, size, strict=True))
        under = scene[top : top + size[1], left : left + size[0]]
        under[...] = np.rint(share[:, :, None] * bird + (1 - share[:, :, None]) * under)
        write(out / Path(name).parent.name / Path(name).stem, scene, points + np.array([[left], [top]]))
        count += 1
    return count


def warps(data: Path, out: Path, rng: np.random.Generator, photographs: int = 60) -> int:
    """Warp photographs of many classes in a known way."""
    paths = sorted((data / "images" / "dogs_one_each").glob("*")) + sorted((data / "images" / "clothing").glob("*/*"))
    for path in (paths[k] for k in rng.permutation(len(paths))[:photographs]):
        image = fitted(np.asarray(open_image(path)), LONGER)
        height, width = image.shape[:2]
        size = np.array([width, height])
        places = np.stack(np.meshgrid(np.linspace(0, 1, 4), np.linspace(0, 1, 4)), 2).reshape(-1, 2) * size
        angle, scale, stretch = rng.uniform(-0.35, 0.35), 2 ** rng.uniform(-0.5, 0.5), 2 ** rng.uniform(-0.2, 0.2)
        turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * [stretch, 1 / stretch]
        moved = (places - size / 2) @ turn.T + size / 2 + rng.uniform(-0.15, 0.15, 2) * size
        moved += rng.normal(0, 0.04, moved.shape) * size
        # Where each pixel of the copy comes from; the points are carried by the same spline, inverted numerically.
        back = RBFInterpolator(moved, places, kernel="thin_plate_spline")
        grid = np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), 2)
        source = back(grid.reshape(-1, 2)).reshape(height, width, 2).astype(np.float32)
        copy = cv2.remap(image, source[..., 0] - 0.5, source[..., 1] - 0.5, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        known = (grid[8:-8, 8:-8].reshape(-1, 2), source[8:-8, 8:-8].reshape(-1, 2))
        inside = ((known[1] > 0.1 * size) & (known[1] < 0.9 * size)).all(1)
        chosen = rng.choice(np.flatnonzero(inside), 10, replace=False)
        write(out / path.stem / "a", image, known[1][chosen].T)
        write(out / path.stem / "b", recolored(np.asarray(copy), rng), known[0][chosen].T)
    return 2 * photographs


def recolored(image: Picture, rng: np.random.Generator) -> Picture:
    """Change brightness, contrast and color, blur a little, add noise."""
    x = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 1.5)).astype(np.float64) / 255
    x = x @ (np.eye(3) + rng.uniform(-0.15, 0.15, (3, 3))).T
    x = np.clip((x - 0.5) * 2 ** rng.uniform(-0.5, 0.4) + 0.5 + rng.uniform(-0.12, 0.12), 0, 1) ** (2 ** rng.uniform(-0.5, 0.5))
    return np.clip(np.rint(255 * (x + rng.normal(0, 0.03, x.shape))), 0, 255).astype(np.uint8)


def write(place: Path, image: Picture, points: NDArray[np.float64]) -> None:
    """Write an image and its points, counted from 1 at the center of the first pixel as MATLAB does."""
    place.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(place.with_suffix(".png")), np.ascontiguousarray(image[:, :, ::-1]))
    savemat(place.with_suffix(".mat"), {"pts_coord": points + 0.5})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with images/cub_crops227 and others")
    parser.add_argument("--out", type=Path, required=True, help="folder that scenes/ and warps/ are written into")
    options = parser.parse_args()
    for name in ("scenes", "warps"):
        (options.out / name).mkdir(parents=True, exist_ok=True)
        (options.out / name / PROXY).write_text(json.dumps({"made_by": "benchmarks/flow/proxy.py"}) + "\n")
    print(scenes(options.data, options.out / "scenes", np.random.default_rng(0)), "scenes")
    print(warps(options.data, options.out / "warps", np.random.default_rng(1)), "warps")


if __name__ == "__main__":
    main()
