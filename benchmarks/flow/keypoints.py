"""PCK of Proposal Flow on images with keypoints: what ``flow.py --pairs DIR`` measures.

Two layouts are understood:

- PF-WILLOW (Ham et al. 2016): class folders, at any depth, in each of them images and a ``.mat`` of the same name with
  ``pts_coord``, 2 x K (x and y, counted from 1; points that are NaN are not there);
- crops of birds: class folders of images and a ``parts_in_crop.json`` that names the points of each.

All ordered pairs of images of one class are compared (or a random choice of them). A keypoint of A is carried to B by the dense
flow at its pixel; it is correct when it lands within alpha times the larger side of the box around B's keypoints. PCK is the
share of correct keypoints of a pair, averaged over pairs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from benchmarks.harness import Row
from visual_summaries.flow import Features, Whitening, dense_flow, describe, hog_boxes, match
from visual_summaries.images import open_image
from visual_summaries.regions.proposals import propose_all
from visual_summaries.settings.stages import ASSIGNMENTS, METHODS

if TYPE_CHECKING:
    from visual_summaries.classifiers import Classifier

ALPHAS = (0.05, 0.1, 0.15)
PICTURES = (".png", ".jpg", ".jpeg")
PROXY = "proxy.json"  # marks a data set that proxy.py made
Points = dict[str, tuple[float, float]]


@dataclass(frozen=True, eq=False)
class Annotated:
    """An image with named points: x and y in pixels, from the outer edge of the first pixel."""

    group: str
    image: NDArray[np.uint8]
    points: Points


def is_willow(folder: Path) -> bool:
    """Whether a folder holds PF-WILLOW: its layout, and not one of the sets that ``proxy.py`` makes in this layout."""
    made = (folder / PROXY).exists() or (folder / "parts_in_crop.json").exists()
    return not made and any(folder.glob("**/*.mat"))


def annotated_images(folder: Path, side: int) -> Iterator[Annotated]:
    """Yield the images of a data set, the longer side of each brought to `side` pixels."""
    listed = folder / "parts_in_crop.json"
    if listed.exists():
        for name, entry in json.loads(listed.read_text())["images"].items():
            # These crops were stretched to squares: their true proportions are restored.
            width, height = entry["bbox_wh"]
            yield _scaled(name.split("/")[0], np.asarray(open_image(folder / name)), entry["parts"], side, width / height)
        return
    annotations = sorted(folder.glob("**/*.mat"))
    if not annotations:
        raise SystemExit(f"{folder} holds neither parts_in_crop.json nor a .mat beside its images, as PF-WILLOW has them")
    for path in annotations:
        points = _points(path)
        if points is not None:
            picture = next(
                (p for p in sorted(path.parent.glob("*")) if p.stem == path.stem and p.suffix.lower() in PICTURES), None
            )
            if picture is None:
                raise SystemExit(f"{path} has no image of the same name beside it; expected {path.with_suffix('.png').name}")
            image = np.asarray(open_image(picture))
            named = {str(k): (float(x), float(y)) for k, (x, y) in enumerate(points.T) if np.isfinite(x) and np.isfinite(y)}
            group = str(path.parent.relative_to(folder))
            yield _scaled(group, image, named, side, image.shape[1] / image.shape[0])


def _points(path: Path) -> NDArray[np.float64] | None:
    """Keypoints (2, K) from the outer edge of the first pixel; None for a file that holds something else."""
    content = loadmat(path)
    if "pts_coord" not in content:
        return None
    points = np.asarray(content["pts_coord"], np.float64)
    if points.ndim != 2 or 2 not in points.shape:
        raise SystemExit(f"{path}: pts_coord has shape {points.shape}, but must be (2, K)")
    return (points if len(points) == 2 else points.T) - 0.5


def _scaled(group: str, image: NDArray[np.uint8], points: Points, side: int, aspect: float) -> Annotated:
    width, height = (side, round(side / aspect)) if aspect >= 1 else (round(side * aspect), side)
    across, down = width / image.shape[1], height / image.shape[0]
    method = cv2.INTER_AREA if across * down < 1 else cv2.INTER_CUBIC
    scaled = np.asarray(cv2.resize(image, (width, height), interpolation=method), np.uint8)
    return Annotated(group, scaled, {name: (x * across, y * down) for name, (x, y) in points.items()})


def image_pairs(images: list[Annotated], limit: int, random_state: int, aligned: bool) -> list[tuple[int, int]]:
    """Return ordered pairs within a class that share at least 3 points; `aligned`: only pairs of like pose."""
    found = []
    for i, j in permutations(range(len(images)), 2):
        if images[i].group == images[j].group:
            p, q = shared_points(images[i], images[j])
            if len(p) >= 3 and (not aligned or (len(p) >= 6 and _alike(p, q))):
                found.append((i, j))
    if len(found) > limit:
        chosen = np.random.default_rng(random_state).permutation(len(found))[:limit]
        found = [found[k] for k in sorted(chosen)]
    return found


def _alike(p: NDArray[np.float64], q: NDArray[np.float64]) -> bool:
    """Whether a rotation by less than 35 degrees, a scaling and a shift bring p near q."""
    a, b = ((points - points.mean(0)) @ [1, 1j] for points in (p, q))
    factor = np.vdot(a, b) / np.vdot(a, a)
    residual = np.sqrt(np.mean(np.abs(b - factor * a) ** 2)) / np.ptp(q, axis=0).max()
    return bool(residual <= 0.08 and abs(np.angle(factor)) <= 0.6)


def shared_points(a: Annotated, b: Annotated) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    names = sorted(set(a.points) & set(b.points))
    return np.array([a.points[k] for k in names]).reshape(-1, 2), np.array([b.points[k] for k in names]).reshape(-1, 2)


def correct(flow: NDArray[np.float32], p: NDArray[np.float64], q: NDArray[np.float64], extent: float) -> list[float]:
    """Share of points p that the flow carries near q, for each of ALPHAS; `extent` is the larger side of B's keypoint box."""
    height, width = flow.shape[:2]
    x, y = np.clip(p[:, 0].astype(int), 0, width - 1), np.clip(p[:, 1].astype(int), 0, height - 1)
    error = np.linalg.norm(p + flow[y, x] - q, axis=1) / extent
    return [float((error <= alpha).mean()) for alpha in ALPHAS]


def choose(folder: Path, side: int, half: str, limit: int, aligned: bool) -> tuple[list[Annotated], list[tuple[int, int]]]:
    """Return the images that take part and which pairs of them are compared."""
    images = list(annotated_images(folder, side))
    groups = sorted({one.group for one in images})
    middle = len(groups) // 2  # settings are chosen on the first half of the classes and checked on the second
    chosen = {"both": groups, "first": groups[:middle], "second": groups[middle:]}[half]
    images = [one for one in images if one.group in chosen]
    pairs = image_pairs(images, limit, 0, aligned)
    if not pairs:
        raise SystemExit(f"{folder}: no two images of one class share three keypoints")
    used = sorted({i for pair in pairs for i in pair})
    place = {image: k for k, image in enumerate(used)}
    return [images[i] for i in used], [(place[i], place[j]) for i, j in pairs]


def pck(
    images: list[Annotated], pairs: list[tuple[int, int]], features: list[Features], method: str, workers: int = 2
) -> dict[str, Row]:
    """Return PCK for each way of assigning matches to pixels."""

    def one(pair: tuple[int, int]) -> list[list[float]]:
        a, b = pair
        p, q = shared_points(images[a], images[b])
        extent = float(np.ptp(np.array(list(images[b].points.values())), axis=0).max())
        confidences = match(features[a], features[b], method)
        flows = (
            dense_flow(features[a], features[b], confidences, guide=images[a].image, assignment=way) for way in ASSIGNMENTS
        )
        return [correct(dense.flow, p, q, extent) for dense in flows]

    with ThreadPoolExecutor(workers) as pool:
        shares = np.mean(list(pool.map(one, pairs)), axis=0)
    names = [f"pck_{round(100 * alpha):02}" for alpha in ALPHAS]
    return {
        way: dict(zip(names, np.round(values, 4).tolist(), strict=True))
        for way, values in zip(ASSIGNMENTS, shares, strict=True)
    }


def evaluate(
    folder: Path,
    classifier: Classifier | None,
    *,
    side: int = 300,
    limit: int = 10**9,
    aligned: bool = False,
    half: str = "both",
    source: str = "selective_search",
    boxes: int = 1000,
    workers: int = 2,
) -> list[Row]:
    """Return one row of PCK for every descriptor, matcher and way of assigning matches to pixels."""
    images, pairs = choose(folder, side, half, limit, aligned)
    proposed = list(propose_all((one.image for one in images), boxes, source, workers=workers))
    setup: Row = {"images": len(images), "pairs": len(pairs), "aligned": aligned, "half": half, "side": side}
    setup |= {"source": source, "boxes": boxes}
    rows: list[Row] = []
    for descriptor in ("hog", "deep") if classifier is not None else ("hog",):
        described = zip(images, proposed, strict=True)
        features = [describe(one.image, own, descriptor, classifier=classifier) for one, own in described]
        for method in METHODS:
            for way, values in pck(images, pairs, features, method, workers).items():
                rows.append({**setup, "descriptor": descriptor, "method": method, "assignment": way, **values})
                print(rows[-1], flush=True)
    return rows


def measure_whitening(data: Path, size: str) -> list[Row]:
    """PCK of HOG on birds with the shipped statistics of natural images, with those of the very images, and with a mixture."""
    limit = 10 if size == "quick" else 60
    images, pairs = choose(data / "images" / "cub_crops227", 300, "both", limit, aligned=True)
    proposed = list(propose_all((one.image for one in images), 500))
    plain = [hog_boxes(one.image, own) for one, own in zip(images, proposed, strict=True)]
    pictures = [one.image for one in images]
    kinds = {
        "shipped": Whitening.default(),
        "of the images": Whitening.fit(pictures),
        "of the images, shrunk to the shipped": Whitening.fit(pictures, shrinkage=Whitening.default()),
    }
    rows: list[Row] = []
    for name, whitening in kinds.items():
        features = [
            Features(own, whitening(hog), one.image.shape[:2]) for one, own, hog in zip(images, proposed, plain, strict=True)
        ]
        for method in ("lom", "phm"):
            shown = pck(images, pairs, features, method)["vote"]
            rows.append({"section": "whitening", "images": len(images), "pairs": len(pairs), "statistics": name})
            rows[-1] |= {"matching": method, **shown}
            print(rows[-1], flush=True)
    return rows
