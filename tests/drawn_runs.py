"""Runs that are drawn, not computed, for the tests of pages: what they show is known."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import cv2
import numpy as np

from visual_summaries.results import (
    Chance,
    Image,
    JointEffects,
    Mask,
    Member,
    Region,
    Run,
    RunAnalysis,
    Skipped,
    Summary,
    SummaryAnalysis,
)
from visual_summaries.settings import Settings

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


def make_run(count: int = 6, size: tuple[int, int] = (48, 64), texture: int = 30) -> Run:
    """Draw a run: two discs of evidence in each image; the left are summary 1, the right summary 2; one cluster is rejected."""
    rng = np.random.default_rng(0)
    height, width = size
    rows, columns = np.mgrid[:height, :width]
    unit = height / 48
    images, masks, regions = [], [], []
    for index in range(count):
        view = np.stack([rows * 255 // height, columns * 255 // width, np.full(size, 40 + 150 * index // count)], axis=2)
        view = (view + rng.integers(0, texture, view.shape)).clip(0, 255).astype(np.uint8)
        evidence = np.zeros(size)
        boxes = []
        for x, y in ((16, 20 + index % 4), (44, 26 - index % 3)):
            evidence[(columns - x * unit) ** 2 + (rows - y * unit) ** 2 < (9 * unit) ** 2] = 1
            boxes.append(tuple(round(v * unit) for v in (x - 7, y - 7, x + 7, y + 7)))
        boxes.append(tuple(round(v * unit) for v in (12, 14, 22, 24)))
        smooth = cv2.GaussianBlur(evidence, (0, 0), 3 * unit)
        images.append(Image(index, NAMES[index % len(NAMES)], "0" * 64, view, 0.9, 0 if index else 1))
        after = 0.8 if index == 1 else 0.01
        blurred = 0.6 if index == 2 else 0.1
        masks.append(
            Mask(smooth.astype(np.float16), evidence.astype(np.float16), None, 0.9, after, blurred, np.ones(3, np.float32))
        )
        for box in boxes:
            x0, y0, x1, y1 = box
            inside = evidence[y0:y1, x0:x1] > 0.5
            regions.append(Region(len(regions), index, box, inside, float(inside.mean()), 0.6, 0.4, 0.2))

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
        similarity=similarity,
        summaries=(summary(0, 0, 1.25, 0.43), summary(1, 1, 1.0, NAN)),
        rejected=(summary(0, 2, NAN, -0.02),),
        skipped=(
            Skipped(f"a/{SCRIPT}", "truncated", "ends after <b>312</b> bytes"),
            Skipped("b.png", "misclassified", "seen as collie"),
            Skipped("c.png", "misclassified", "seen as collie"),
        ),
        settings=Settings(),
        manifest={
            "format": 1,
            "complete": True,
            "created": "2026-01-02T03:04:05+00:00",
            "classifier": {
                "spec": f"net.py:{SCRIPT}",
                "input_size": [3, *size],
                "num_classes": 2,
                "transform": {"crop_pct": 1.0},
            },
            "target": {"index": 0, "name": f"robin {SCRIPT}"},
            "predicted": {"0": "robin", "1": "<i>collie</i>"},
            "accuracy": {"correct": count - 1, "total": count},
            "versions": {"python": "3.11"},
            "hardware": {"device": "cpu"},
            "timings": {"masks": 1.25},
            "random_state": 0,
            "preset": "default",
            "source": "photos & more",
        },
    )


class Reader(HTMLParser):
    """Tags with their attributes, the text shown, and the contents of style and script tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.raw: dict[str, list[str]] = {"style": [], "script": [], "json": []}
        self._inside: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = "json" if dict(attrs).get("type") == "application/json" else tag if tag in self.raw else None
        if tag in ("th", "td", "dt", "dd"):
            self.text += " "

    def handle_endtag(self, tag: str) -> None:
        self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.raw[self._inside].append(data)
        else:
            self.text += data

    @property
    def flat(self) -> str:
        """The text with white space joined, no-break spaces as spaces."""
        return " ".join(self.text.split())


def analysed(run: Run) -> Run:
    """The same run with what analyses could have found: the first summary is sure, the second is nothing."""
    images = np.arange(4)
    ones = np.ones(4, np.float32)
    sure = SummaryAnalysis(
        images, 0.1 * ones, np.zeros((4, 2, 1), np.float32), 0.4 * ones, 0.02 * ones, (0.3, 0.45), 1.0, 0.5, 0.8
    )
    nothing = replace(sure, shares=0.01 * ones, losses=0.01 * ones, interval=(-0.1, 0.05), stability=0.2)
    curve = np.array([1.0, 0.4, 0.3], np.float32)
    joint = JointEffects((0, 1), curve, 1 - curve, curve[None] + 0.1, 0.9 - curve[None], (0.02, 0.9), (), (0,))
    random = np.array([1, 2, 1])
    chance = Chance(5, 2, 0.5, 0.8, random, random.astype(np.float32), np.array([0.1, 0.9, 0.2], np.float32))
    summaries = tuple(
        replace(summary, importance=found.importance, analysis=found)
        for summary, found in zip(run.summaries, (sure, nothing), strict=True)
    )
    return replace(run, summaries=summaries, analysis=RunAnalysis(joint, chance))
