"""Runs that are made up, not computed: what they show is known; for benchmarks and tests."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from visual_summaries.classifiers import Classifier
from visual_summaries.images import ImageSource
from visual_summaries.results import (
    Accuracy,
    Box,
    Chance,
    ClassifierInfo,
    Component,
    Faithfulness,
    Image,
    JointEffects,
    Mask,
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
from visual_summaries.settings import preset
from visual_summaries.settings.masks import infills_of

SCRIPT = "<script>alert(1)</script>"
NAMES = (
    f"{SCRIPT}.png",
    "smile \N{GRINNING FACE} \"double\" & 'single'.jpg",
    "bytes \udcff.png",
    '"><img src=x onerror=alert(1)>.png',
    "{{ 7 * 7 }}{% raw %}.png",
    "sub/ordinary.png",
)
NAN = float("nan")


def made_mask(
    evidence: NDArray[np.float16],
    before: float = 0.9,
    after: float = 0.1,
    hidden: float = 0.1,
    *,
    losses: NDArray[np.float32] | None = None,
    infills: int = len(infills_of("mix")),
    smooth: NDArray[np.float16] | None = None,
    superpixel: NDArray[np.float16] | None = None,
) -> Mask:
    """Return a mask (H, W) with the same scores in each of the default's infills."""
    return Mask(
        smooth=evidence if smooth is None else smooth,
        sharp=evidence,
        superpixel=superpixel,
        score_before=before,
        after=np.full(infills, after, np.float32),
        hidden=np.full(infills, hidden, np.float32),
        losses=np.ones(2, np.float32) if losses is None else losses,
    )


def make_run(count: int = 6, size: tuple[int, int] = (48, 64), texture: int = 30) -> Run:
    """Draw a run: two discs of evidence in each image; the left are summary 1, the right summary 2; one cluster is rejected."""
    rng = np.random.default_rng(0)
    height, width = size
    rows, columns = np.mgrid[:height, :width]
    unit = height / 48
    images, masks = [], []
    regions: list[Region] = []
    for index in range(count):
        view = np.stack([rows * 255 // height, columns * 255 // width, np.full(size, 40 + 150 * index // count)], axis=2)
        view = (view + rng.integers(0, texture, view.shape)).clip(0, 255).astype(np.uint8)
        evidence = np.zeros(size)
        boxes = []
        for x, y in ((16, 20 + index % 4), (44, 26 - index % 3)):
            evidence[(columns - x * unit) ** 2 + (rows - y * unit) ** 2 < (9 * unit) ** 2] = 1
            boxes.append((x - 7, y - 7, x + 7, y + 7))
        boxes.append((12, 14, 22, 24))
        smooth = cv2.GaussianBlur(evidence, (0, 0), 3 * unit)
        images.append(Image(index, NAMES[index % len(NAMES)], "0" * 64, view, 0.9, 0 if index else 1))
        after = 0.8 if index == 1 else 0.01
        hidden = 0.6 if index == 2 else 0.1
        masks.append(made_mask(evidence.astype(np.float16), 0.9, after, hidden, infills=1, smooth=smooth.astype(np.float16)))
        for box in boxes:
            x0, y0, x1, y1 = (round(v * unit) for v in box)
            inside = evidence[y0:y1, x0:x1] > 0.5
            regions.append(Region(len(regions), index, (x0, y0, x1, y1), inside, float(inside.mean()), 0.6, 0.4, 0.2))

    def summary(rank: int, part: int, score: float, importance: float) -> Summary:
        cluster = tuple(range(part, 3 * count, 3))[: count if part == 0 else count - 1]
        h, w = regions[part].size
        members = []
        for number, region in enumerate(cluster[:10]):
            x0, y0, x1, y1 = regions[region].box
            patch = cv2.resize(images[regions[region].image].view[y0:y1, x0:x1], (w, h))
            members.append(Member(region, 2.5 - 0.1 * number, NAN if part == 2 else 0.4, patch))
        return Summary(rank, cluster[0], tuple(members), cluster, score, importance)

    parts = np.arange(len(regions)) % 3
    similarity = ((parts[:, None] == parts) * rng.uniform(1, 2, (len(regions),) * 2)).astype(np.float32)
    similarity = np.maximum(similarity, similarity.T)
    np.fill_diagonal(similarity, 0)

    return Run(
        images=tuple(images),
        masks=tuple(masks),
        components=(),
        regions=tuple(regions),
        descriptors=np.zeros((len(regions), 0), np.float32),
        similarity=similarity,
        summaries=(summary(0, 0, 1.25, 0.43), summary(1, 1, 1.0, NAN)),
        rejected=(summary(0, 2, NAN, -0.02),),
        skipped=(
            Skipped(f"a/{SCRIPT}", "truncated", "ends after <b>312</b> bytes"),
            Skipped("b.png", "misclassified", "seen as collie"),
            Skipped("c.png", "misclassified", "seen as collie"),
        ),
        settings=preset("paper"),
        info=RunInfo(
            ClassifierInfo(f"net.py:{SCRIPT}", input_size=(3, *size), num_classes=2, transform={"crop_pct": 1.0}),
            TargetInfo(0, f"robin {SCRIPT}"),
            Accuracy(count - 1, count),
            created="2026-01-02T03:04:05+00:00",
            source="photos & more",
            predicted={"0": "robin", "1": "<i>collie</i>"},
            preset="default",
            versions={"python": "3.11"},
            hardware={"device": "cpu"},
            timings={"masks": 1.25},
        ),
    )


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
    drops, controls = (rng.random(2).astype(np.float32) for _ in range(2))
    analysis = SummaryAnalysis(np.arange(2), drops, controls, (0.1, 0.4), 0.6)
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


def run_of_boxes(
    classifier: Classifier, target: TargetInfo, pictures: Sequence[NDArray[np.uint8]], boxes: Sequence[Box]
) -> Run:
    """Make the run of a class whose one summary is a box in each picture, all of it evidence."""
    images, masks, regions = [], [], []
    for index, (picture, box) in enumerate(zip(pictures, boxes, strict=True)):
        x0, y0, x1, y1 = box
        evidence = np.zeros(picture.shape[:2], np.float16)
        evidence[y0:y1, x0:x1] = 1
        sha256, size = ImageSource("", picture).sha256(), (picture.shape[0], picture.shape[1])
        images.append(Image(index, f"{index} <b>.png", sha256, picture, 0.9, target.index or 0, size))
        masks.append(made_mask(evidence, infills=1))
        regions.append(Region(index, index, box, np.ones((y1 - y0, x1 - x0), bool), 1.0, 0.5, 0.4, 0.1))
    members = tuple(Member(i, 1.0, 0.5, np.zeros((*regions[0].size, 3), np.uint8)) for i in range(min(10, len(regions))))
    return Run(
        images=tuple(images),
        masks=tuple(masks),
        components=(),
        regions=tuple(regions),
        descriptors=np.zeros((len(regions), 0), np.float32),
        similarity=np.zeros((len(regions),) * 2, np.float32),
        summaries=(Summary(0, 0, members, tuple(range(len(regions))), 1.0, 0.4),),
        rejected=(),
        skipped=(),
        settings=preset("paper"),
        info=RunInfo(ClassifierInfo(**classifier.describe()), target, Accuracy(len(images), len(images))),
    )
