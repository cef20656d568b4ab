"""PCK of Proposal Flow on images with keypoints: what ``benchmarks/flow.py --pairs DIR`` measures.

Two layouts are understood:

- PF-WILLOW (Ham et al. 2016): class folders, in each of them PNG images and a ``.mat`` of the same name with ``pts_coord``,
  2 x K (1-based x and y);
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

from visual_summaries.flow import ASSIGNMENTS, METHODS, Features, dense_flow, describe, match
from visual_summaries.images import open_image
from visual_summaries.regions.proposals import propose_all

if TYPE_CHECKING:
    from visual_summaries.classifiers import Classifier

ALPHAS = (0.05, 0.1, 0.15)
Points = dict[str, tuple[float, float]]


@dataclass(frozen=True, eq=False)
class Annotated:
    """An image with named points: x and y in pixels, from the outer edge of the first pixel."""

    group: str
    image: NDArray[np.uint8]
    points: Points


def is_willow(folder: Path) -> bool:
    """Whether a data set has PF-WILLOW's layout rather than that of the crops of birds."""
    return not (folder / "parts_in_crop.json").exists() and any(folder.glob("**/*.mat"))


def annotated_images(folder: Path, side: int) -> Iterator[Annotated]:
    """Yield the images of a data set, the longer side of each brought to `side` pixels."""
    listed = folder / "parts_in_crop.json"
    if listed.exists():
        for name, entry in json.loads(listed.read_text())["images"].items():
            # These crops were stretched to squares: their true proportions are restored.
            width, height = entry["bbox_wh"]
            yield _scaled(name.split("/")[0], np.asarray(open_image(folder / name)), entry["parts"], side, width / height)
        return
    for path in sorted(folder.glob("**/*.mat")):
        picture = path.with_suffix(".png")
        if picture.exists():
            points = np.asarray(loadmat(path)["pts_coord"], np.float64) - 0.5
            image = np.asarray(open_image(picture))
            named = {str(k): (float(x), float(y)) for k, (x, y) in enumerate(points.T)}
            yield _scaled(str(path.parent), image, named, side, image.shape[1] / image.shape[0])


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


def correct(flow: NDArray[np.float32], p: NDArray[np.float64], q: NDArray[np.float64]) -> list[float]:
    """Share of points p that the flow carries near q, for each of ALPHAS."""
    height, width = flow.shape[:2]
    x, y = np.clip(p[:, 0].astype(int), 0, width - 1), np.clip(p[:, 1].astype(int), 0, height - 1)
    error = np.linalg.norm(p + flow[y, x] - q, axis=1) / np.ptp(q, axis=0).max()
    return [float((error <= alpha).mean()) for alpha in ALPHAS]


def evaluate(
    folder: Path,
    classifier: Classifier | None,
    *,
    side: int = 300,
    limit: int = 10**9,
    aligned: bool = False,
    source: str = "selective_search",
    boxes: int = 500,
    workers: int = 2,
) -> list[dict[str, object]]:
    """Return one row of PCK for every descriptor, matcher and way of assigning matches to pixels."""
    images = list(annotated_images(folder, side))
    pairs = image_pairs(images, limit, 0, aligned)
    used = sorted({i for pair in pairs for i in pair})
    proposed = dict(zip(used, propose_all((images[i].image for i in used), boxes, source, workers=workers), strict=True))
    setup = {"images": len(used), "pairs": len(pairs), "aligned": aligned, "side": side, "source": source, "boxes": boxes}
    rows: list[dict[str, object]] = []
    for descriptor in ("hog", "deep") if classifier is not None else ("hog",):
        features = {i: describe(images[i].image, proposed[i], descriptor, classifier=classifier) for i in used}
        for method in METHODS:

            def one(pair: tuple[int, int], method: str = method, known: dict[int, Features] = features) -> list[list[float]]:
                a, b = pair
                p, q = shared_points(images[a], images[b])
                confidences = match(known[a], known[b], method)
                flows = (
                    dense_flow(known[a], known[b], confidences, guide=images[a].image, assignment=way) for way in ASSIGNMENTS
                )
                return [correct(dense.flow, p, q) for dense in flows]

            with ThreadPoolExecutor(workers) as pool:
                shares = np.mean(list(pool.map(one, pairs)), axis=0)
            for way, values in zip(ASSIGNMENTS, shares, strict=True):
                row = {**setup, "descriptor": descriptor, "method": method, "assignment": way}
                shown = {
                    f"pck_{round(100 * alpha):02}": round(float(value), 4) for alpha, value in zip(ALPHAS, values, strict=True)
                }
                rows.append(row | shown)
                print(rows[-1], flush=True)
    return rows
