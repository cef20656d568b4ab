"""A drawn run whose evidence is divided, and a reader of pages, for the tests of pages."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import cv2
import numpy as np

from benchmarks.made_runs import NAN, made_mask, make_run
from visual_summaries.results import (
    Chance,
    JointEffects,
    Member,
    PartNumber,
    Parts,
    Region,
    Run,
    RunAnalysis,
    Summary,
    SummaryAnalysis,
    Together,
)
from visual_summaries.settings import preset


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


def analyzed(run: Run) -> Run:
    """The same run with what analyses could have found: the first summary is sure, the second is nothing."""
    images = np.arange(4)
    ones = np.ones(4, np.float32)
    sure = SummaryAnalysis(images, 0.4 * ones, 0.02 * ones, (0.3, 0.45), 1.0, 0.5, 0.8)
    nothing = replace(sure, shares=0.01 * ones, interval=(-0.1, 0.05), stability=0.2)
    curve = np.array([1.0, 0.4, 0.3], np.float32)
    joint = JointEffects((0, 1), curve, 1 - curve, curve[None] + 0.1, 0.9 - curve[None], (0.02, 0.9), (), (0,))
    random = np.array([1, 2, 1])
    chance = Chance(5, 2, 0.5, 0.8, random, random.astype(np.float32), np.array([0.1, 0.9, 0.2], np.float32))
    summaries = tuple(
        replace(summary, importance=found.importance, analysis=found)
        for summary, found in zip(run.summaries, (sure, nothing), strict=True)
    )
    return replace(run, summaries=summaries, analysis=RunAnalysis(joint, chance))


#: Of a divided run, in view pixels (x0, y0, x1, y1): both pieces of the first part, the second, one that is rejected, a speck.
PIECES = ((8, 10, 20, 22), (26, 34, 32, 40), (36, 16, 44, 30), (44, 16, 52, 30), (58, 2, 60, 4))


def make_divided_run(count: int = 4, size: tuple[int, int] = (48, 64)) -> Run:
    """Draw a run whose evidence is divided: :data:`PIECES` in each image, the last one in no part.

    Images 0 to 2 have the second part; the first summary's members have similarities 1, 0.9, ...; no piece but the members'
    was hidden alone.
    """
    base = make_run(count, size)
    evidence = np.zeros(size)
    for x0, y0, x1, y1 in PIECES:
        evidence[y0:y1, x0:x1] = 1
    masks = tuple(
        made_mask(
            evidence.astype(np.float16),
            mask.score_before,
            mask.score_after,
            mask.score_hidden,
            losses=mask.losses,
            smooth=cv2.GaussianBlur(evidence, (0, 0), 2).astype(np.float16),
        )
        for mask in base.masks
    )
    regions: list[Region] = []
    clusters: list[list[int]] = [[], [], []]
    for image in range(count):
        for part, box in zip((0, 0, 1, 2), PIECES, strict=False):
            if part != 1 or image < 3:
                x0, y0, x1, y1 = box
                clusters[part].append(len(regions))
                inside = np.ones((y1 - y0, x1 - x0), bool)
                drop = NAN if box == PIECES[1] else 0.25
                regions.append(Region(len(regions), image, box, inside, 1.0, drop, drop, NAN))

    def summary(rank: int, own: list[int], analysis: SummaryAnalysis) -> Summary:
        chosen = [r for r in own if regions[r].box != PIECES[1]]
        patch = np.full((*regions[chosen[0]].size, 3), 90 + 20 * rank, np.uint8)
        similarity = [1 - 0.1 * k for k in range(len(chosen))] if rank == 0 else [NAN] * len(chosen)
        members = tuple(Member(r, s, 0.5, patch + k) for k, (r, s) in enumerate(zip(chosen, similarity, strict=True)))
        return Summary(rank, chosen[0], members, tuple(own), 1.0, analysis.importance, analysis, part=rank)

    def found(share: float, control: float, low: float, high: float, images: int) -> SummaryAnalysis:
        ones = np.ones(images, np.float32)
        return SummaryAnalysis(np.arange(images), share * ones, control * ones, (low, high), images / count, 0.4, 0.75)

    own = (
        summary(0, clusters[0], found(0.5, 0.02, 0.4, 0.55, count)),
        summary(1, clusters[1], found(0.3, 0.02, 0.2, 0.35, 3)),
        summary(2, clusters[2], found(0.05, 0.04, -0.02, 0.06, count)),
    )
    part_of = np.array([next(k for k, cluster in enumerate(clusters) if r in cluster) for r in range(len(regions))])
    centers = np.eye(3, 5, dtype=np.float32)
    descriptors = centers[part_of] + np.arange(len(regions), dtype=np.float32)[:, None] * 1e-3
    parts = Parts(
        mean=np.zeros(6, np.float32),
        directions=np.eye(6, 3, dtype=np.float32),
        references=np.zeros((0, 3), np.float32),
        reference_images=np.zeros(0, np.int64),
        neighbors=0,
        place=0.5,
        centers=centers,
        reach=np.ones(3, np.float32),
        tree=np.array([[1, 2, 0.5, 2], [0, 3, 0.9, 3]]),
        numbers=tuple(PartNumber(k, 0.2 * k, 1 - 0.1 * k, 1.0, k == 3) for k in (1, 2, 3, 4)),
    )
    curve = np.array([1.0, 0.4, 0.3], np.float32)
    joint = JointEffects((0, 1), curve, 1 - curve, curve[None] + 0.1, 0.9 - curve[None], (0.02, 0.9), (), (0,))
    together = Together(0.6, 0.8, (0.65, 0.85), 0.1, 0.05, 0.25)
    return replace(
        base,
        masks=masks,
        regions=tuple(regions),
        descriptors=descriptors,
        similarity=np.zeros((0, 0), np.float32),
        summaries=own[:2],
        rejected=own[2:],
        settings=preset("default"),
        analysis=RunAnalysis(joint, None, together),
        parts=parts,
    )
