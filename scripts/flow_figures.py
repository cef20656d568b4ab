"""Draw the pictures of docs/flow.md from the package's own images: matches of boxes, and a warped image.

python scripts/flow_figures.py
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import visual_summaries as vs
from visual_summaries.birds.render import render
from visual_summaries.birds.scene import sample_scene
from visual_summaries.classifiers import Classifier, ViewTransform, resolve_transform
from visual_summaries.demo import demo_network
from visual_summaries.flow import warp

OUT = Path(__file__).parents[1] / "docs" / "images"
_SHOWN = 12  # matches
_ZOOM = 2


def main() -> None:
    """Write matches.jpg and warped.jpg."""
    a, b = (render(sample_scene(class_index=0, seed=seed)).image for seed in (1, 4))
    size = (a.shape[0], a.shape[1])
    network = demo_network()
    shown = resolve_transform(network)
    classifier = Classifier(network, transform=ViewTransform(size, mean=shown.mean, std=shown.std))
    first, second = (vs.describe(image, vs.propose_boxes(image), "deep", classifier=classifier) for image in (a, b))
    confidences = vs.match(first, second)
    OUT.mkdir(exist_ok=True)
    save("matches.jpg", drawn_matches(a, b, first.boxes, second.boxes, confidences.numpy()))
    flow = vs.dense_flow(first, second, confidences, guide=a)
    save("warped.jpg", np.concatenate([enlarged(image) for image in (a, b, warp(b, flow))], 1))


def drawn_matches(
    a: NDArray[np.uint8],
    b: NDArray[np.uint8],
    boxes_a: NDArray[np.int32],
    boxes_b: NDArray[np.int32],
    confidences: NDArray[np.float32],
) -> NDArray[np.uint8]:
    """Both images side by side, with the most confident matches of boxes that overlap little."""
    canvas = np.concatenate([enlarged(a), enlarged(b)], 1)
    order = np.argsort(-confidences.max(1))
    shown: list[int] = []
    for i in order:
        x0, y0, x1, y1 = boxes_a[i]
        if (x1 - x0) * (y1 - y0) > 0.15 * a.shape[0] * a.shape[1] or any(_overlap(boxes_a[i], boxes_a[k]) > 0.3 for k in shown):
            continue
        shown.append(int(i))
        color = np.array(cv2.cvtColor(np.uint8([[[len(shown) * 14, 220, 255]]]), cv2.COLOR_HSV2RGB)[0, 0]).tolist()  # type: ignore[arg-type]
        j = int(confidences[i].argmax())
        first, second = boxes_a[i] * _ZOOM, boxes_b[j] * _ZOOM + np.array([a.shape[1] * _ZOOM, 0] * 2)
        for box in (first, second):
            cv2.rectangle(canvas, box[:2].tolist(), box[2:].tolist(), color, 2)
        start, end = (((box[:2] + box[2:]) // 2).tolist() for box in (first, second))
        cv2.line(canvas, start, end, color, 1, cv2.LINE_AA)
        if len(shown) == _SHOWN:
            break
    return canvas


def _overlap(p: NDArray[np.int32], q: NDArray[np.int32]) -> float:
    shared = np.clip(np.minimum(p[2:], q[2:]) - np.maximum(p[:2], q[:2]), 0, None).prod()
    return float(shared / min((p[2:] - p[:2]).prod(), (q[2:] - q[:2]).prod()))


def enlarged(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Twice the size."""
    return np.asarray(cv2.resize(image, None, fx=_ZOOM, fy=_ZOOM, interpolation=cv2.INTER_CUBIC), np.uint8)


def save(name: str, image: NDArray[np.uint8]) -> None:
    """Write a JPEG below docs/images."""
    cv2.imwrite(str(OUT / name), image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])


if __name__ == "__main__":
    main()
