"""What the report's template shows, as plain values: text, numbers, paths and data URIs, and no HTML."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from visual_summaries.classifiers.names import short_spec
from visual_summaries.masks.infill import infill_of
from visual_summaries.pages import findings, words
from visual_summaries.pages.geometry import contours, convex_hull, touching_regions
from visual_summaries.pages.numbers import number_of_parts
from visual_summaries.pages.region_map import crop_window, groups_of, part_name, region_map
from visual_summaries.pages.rendering import render_hidden, render_part
from visual_summaries.pages.shell import data_uri, gray_levels, svg_path
from visual_summaries.pages.strips import draw_member, pixels_in
from visual_summaries.pages.words import text
from visual_summaries.results import Image, Mask, Member, Region, Run, Summary, SummaryAnalysis

#: Simplification, in pixels, of outlines that cover a whole image; far below what is seen.
TOLERANCE = 0.3
#: The exemplar pictures of the strip have about this many pixels on a side.
CARD_SIDE = 320
#: So many images of the rest are shown, those with most of it.
REST_IMAGES = 6


class Page:
    """The values of one run's page.

    Parameters
    ----------
    run : Run
        What to show.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.divided = run.parts is not None
        self._evidence = [run.evidence(index) for index in range(len(run.images))]
        self._summaries_of = groups_of(run.summaries)
        self._rejected_of = groups_of(run.rejected)
        #: Pixels of each part in each image, kept ones first; those of the rest, which are shown, have the number 0.
        self._parts: dict[tuple[int, int], NDArray[np.bool_]] = {}
        for number, part in enumerate((*run.summaries, *run.rejected) if self.divided else (), start=1):
            for image in sorted({run.regions[index].image for index in part.cluster}):
                self._parts[number, image] = pixels_in(run, part.cluster, image)

    @cached_property
    def target(self) -> str:
        """Name of the class."""
        return text(self.run.info.target.name)

    def context(self) -> dict[str, Any]:
        """Return everything that the template reads."""
        run, info = self.run, self.run.info
        rest = self._rest()  # before the outlines of all parts are asked for
        created = text(info.created)
        return {
            "target": self.target,
            "network": short_spec(text(info.classifier.spec)),
            "source": text(info.source),
            "created": created,
            "date": created[:10],
            "correct": info.accuracy.correct,
            "total": info.accuracy.total,
            "accuracy": None if info.accuracy.share is None else words.percent(info.accuracy.share),
            "finding": findings.relies_on(run, self.target),
            "headline": f"{words.headline(run, self.target)} {findings.sure_sentence(run)}".rstrip(),
            "no_summary": None if run.summaries else words.no_summary_reason(run),
            "divided": self.divided,
            "summaries": [self._summary(summary, k, kept=True) for k, summary in enumerate(run.summaries, start=1)],
            "rejected": [
                self._summary(summary, k, kept=False) for k, summary in enumerate(run.rejected, start=1 + len(run.summaries))
            ],
            "rest": rest,
            "parts": [(part_name(*key), key[1], svg_path(contours(pixels, TOLERANCE))) for key, pixels in self._parts.items()],
            "quick": info.preset == "quick",
            "hiding": f"{words.hiding_sentence(run)} {words.left_out_sentence(run)}".strip(),
            "numbers": number_of_parts(run),
            "ranked_by": "importance" if run.settings.summaries.rank == "importance" else "quality",
            "rejection_rule": words.rejection_rule(run),
            "images": [self._image(image, mask) for image, mask in zip(run.images, run.masks, strict=True)],
            "skipped": [
                {
                    "name": text(item.name),
                    "reason": words.REASONS.get(item.reason, text(item.reason)),
                    "detail": text(item.detail),
                }
                for item in run.skipped
            ],
            "skipped_counts": [(text(reason), count) for reason, count in words.skipped_by_reason(run.skipped)],
            "warnings": self._warnings(),
            "map": region_map(run, self.target),
            "faithfulness": self._faithfulness(),
            "together": self._together(),
            "facts": self._facts(),
            "palette": palette(len(run.summaries)),
            "counts": {"images": len(run.images), "regions": len(run.regions), "skipped": len(run.skipped)},
        }

    def _summary(self, summary: Summary, number: int, *, kept: bool) -> dict[str, Any]:
        run = self.run
        exemplar = run.regions[summary.exemplar]
        covered = words.covered_images(run, summary)
        importance = summary.importance
        values: dict[str, Any] = {
            "number": summary.index + 1,
            "tag": _tag(summary),
            "covered": covered,
            "images": len(run.images),
            "coverage": covered / len(run.images) if run.images else 0.0,
            "cluster": len(summary.cluster),
            "importance": words.percent(importance),
            "importance_width": _width(importance),
            "score": words.score_text(summary.score),
            "sentence": words.summary_sentence(run, summary),
            "members": [self._member(member, number, kept=kept) for member in summary.members],
        }
        analysis = summary.analysis
        known = analysis is not None and math.isfinite(analysis.stability)
        values |= {
            "control": None if analysis is None else words.percent(analysis.control),
            "control_width": None if analysis is None else _width(analysis.control),
            "stability": words.percent(analysis.stability) if analysis is not None and known else None,
            "doubts": [] if analysis is None else findings.doubts(analysis),
            "difference": None
            if analysis is None or not math.isfinite(analysis.interval[0])
            else findings.span(*analysis.interval),
            "certainty": "" if analysis is None else findings.certainty(analysis),
        }
        if kept:
            values["card"] = data_uri(draw_member(run, summary.exemplar, CARD_SIDE))
            values["exemplar"] = self._drawn(exemplar, number)
        return values

    def _rest(self) -> dict[str, Any] | None:
        """Return the evidence that is in no summary: how much it is, what it does, and the images with most of it."""
        run = self.run
        together = None if run.analysis is None else run.analysis.together
        if not self.divided or together is None or not run.images:
            return None
        left = [evidence & (run.labels(index) < 0) for index, evidence in enumerate(self._evidence)]
        most = sorted(range(len(left)), key=lambda index: (-int(left[index].sum()), index))[:REST_IMAGES]
        shown = [index for index in most if left[index].any()]
        self._parts |= {(0, index): left[index] for index in shown}
        card = None
        if shown:
            scale = max(1, round(CARD_SIDE / max(left[shown[0]].shape)))
            card = data_uri(render_part(run.images[shown[0]].view, left[shown[0]], self._evidence[shown[0]], scale=scale))
        return {
            "area": words.percent(together.rest_area),
            "area_width": _width(together.rest_area),
            "takes": words.percent(together.rest),
            "width": _width(together.rest),
            "control": words.percent(together.rest_control),
            "control_width": _width(together.rest_control),
            "sentence": findings.rest_sentence(together),
            "card": card,
            "tiles": [self._whole(index, 0) for index in shown],
        }

    def _whole(self, image: int, part: int) -> dict[str, Any]:
        """Return what a part has in an image, for SVG in view pixels."""
        height, width = self._evidence[image].shape
        return {
            "image": image,
            "name": text(self.run.images[image].name),
            "width": width,
            "height": height,
            "window": f"0 0 {width} {height}",
            "part": part_name(part, image),
        }

    def _drawn(self, region: Region, part: int) -> dict[str, Any]:
        """Return a region's outlines, for SVG in view pixels; of a part all that it has in the image."""
        if self.divided:
            return self._whole(region.image, part)
        evidence = self._evidence[region.image]
        x0, y0, x1, y1 = region.box
        return self._whole(region.image, part) | {
            "part": None,
            "window": " ".join(map(str, crop_window(region.box, evidence.shape))),
            "box": {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0},
            "hull": svg_path([convex_hull(evidence, region.box)]),
            "touching": svg_path(contours(touching_regions(evidence, region.box), TOLERANCE)),
        }

    def _member(self, member: Member, part: int, *, kept: bool) -> dict[str, Any]:
        region = self.run.regions[member.region]
        likeness = words.percent if self.divided else _figure
        return self._drawn(region, part) | {
            "similarity": likeness(member.similarity) if math.isfinite(member.similarity) else None,
            "drop": words.changed(region.drop) if math.isfinite(region.drop) else None,
            "warped": data_uri(member.warped) if kept else None,
            "warped_size": (member.warped.shape[1], member.warped.shape[0]),
        }

    def _image(self, image: Image, mask: Mask) -> dict[str, Any]:
        evidence = self._evidence[image.index]
        index = self.run.info.target.index
        predicted = text(self.run.info.predicted.get(str(image.predicted), f"class {image.predicted}"))
        rows = {"as it is": mask.score_before, "evidence hidden": mask.score_after, "everything hidden": mask.score_hidden}
        faithfulness = self.run.faithfulness
        if faithfulness is not None:
            rows["only the evidence shown"] = float(faithfulness.shown[image.index].mean(dtype=np.float64))
        highest = max([1.0, *(abs(score) for score in rows.values() if math.isfinite(score))])
        return {
            "index": image.index,
            "name": text(image.name),
            "width": image.view.shape[1],
            "height": image.view.shape[0],
            "view": data_uri(image.view),
            "smooth": data_uri(gray_levels(mask.smooth), quality=60),
            "sharp": data_uri(gray_levels(mask.final), quality=None),
            "evidence": svg_path(contours(evidence, TOLERANCE)),
            "predicted": predicted if index is not None and image.predicted != index else None,
            "scores": [(label, words.score_text(score), _width(score / highest)) for label, score in rows.items()],
            "says": words.mask_sentence(mask),
            "holds": None if faithfulness is None else words.holds_sentence(faithfulness.holds[image.index]),
            "hidden": data_uri(render_hidden(image.view, mask, self.run.settings.masks), quality=70),
            "way": words.INFILLS.get(way := infill_of(image.view, self.run.settings.masks), way),
            "regions": self._parts_in(image.index) if self.divided else self._regions_in(image.index),
            "notes": [words.WARNINGS[key][0] for key in mask.warnings],
        }

    def _regions_in(self, image: int) -> list[dict[str, Any]]:
        own = [region for region in self.run.regions if region.image == image]
        return [self._region(region) for region in sorted(own, key=lambda region: _lowest_last(region.drop))]

    def _region(self, region: Region) -> dict[str, Any]:
        x0, y0, x1, y1 = region.box
        width = self.run.images[region.image].view.shape[1]
        shifted = [polygon + np.array([x0, y0]) for polygon in contours(region.mask, TOLERANCE)]
        return {
            "index": region.index,
            "part": None,
            "summary": self._summaries_of.get(region.index),
            "rejected": region.index in self._rejected_of,
            "box": {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0},
            "digit": (round(x0 + width / 80, 1), round(y0 + width / 21, 1)),
            "evidence": svg_path(shifted),
            "drop": words.changed(region.drop),
            "drop_width": _width(region.drop),
        }

    def _parts_in(self, image: int) -> list[dict[str, Any]]:
        """Return the parts that an image has, those first that account for most of its score."""
        found = []
        for number, part in enumerate((*self.run.summaries, *self.run.rejected), start=1):
            pixels = self._parts.get((number, image))
            if pixels is not None:
                lost = math.nan if part.analysis is None else dict(_shares(part.analysis)).get(image, math.nan)
                kept = number <= len(self.run.summaries)
                found.append((lost, self._part(number if kept else None, part_name(number, image), pixels, lost)))
        return [values for _, values in sorted(found, key=lambda pair: _lowest_last(pair[0]))]

    def _part(self, summary: int | None, name: str, pixels: NDArray[np.bool_], lost: float) -> dict[str, Any]:
        # The number lies where the part is widest.
        depth = cv2.distanceTransform(np.pad(pixels, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
        y, x = (int(value) for value in np.unravel_index(int(depth.argmax()), depth.shape))
        unit = pixels.shape[1] / 24
        return {
            "index": name,
            "part": name,
            "summary": summary,
            "rejected": summary is None,
            "digit": (round(max(x + 0.5 - 0.3 * unit, 0.0), 1), round(max(y + 0.5 + 0.36 * unit, 0.8 * unit), 1)),
            "drop": words.changed(lost),
            "drop_width": _width(lost),
        }

    def _warnings(self) -> list[dict[str, Any]]:
        return [
            {"title": title, "text": explanation, "images": [(i, text(self.run.images[i].name)) for i in positions]}
            for title, explanation, positions in words.warning_groups(self.run.masks)
        ]

    def _faithfulness(self) -> list[tuple[str, str, str]]:
        """Return what each figure means, its value for the masks and for their moved copies, where these have one."""
        if self.run.faithfulness is None:
            return []
        figures = self.run.faithfulness.figures()
        kept = figures.pop("holds")
        rows = [
            (meaning, form(figures[key][0]), form(figures[key][1]) if len(figures[key]) > 1 else "")
            for key, (meaning, form) in words.FAITHFULNESS.items()
        ]
        if len(kept) < len(words.HOLDS):  # no mask has an effect
            return rows
        return rows + [(meaning, words.percent(value), "") for meaning, value in zip(words.HOLDS, kept, strict=True)]

    def _together(self) -> dict[str, Any] | None:
        """Return what the summaries do together, as sentences and charts, and what chance gives."""
        analysis = self.run.analysis
        if analysis is None or (analysis.joint is None and analysis.chance is None):
            return None
        joint, chance, together = analysis.joint, analysis.chance, analysis.together
        share = "" if together is None else findings.together_sentence(together, len(self.run.summaries))
        images = min(len(self.run.images), self.run.settings.analyses.joint_images)
        return {
            "share": share,
            "sentences": [] if joint is None else findings.joint_sentences(joint, together if share else None),
            "charts": [] if joint is None else findings.charts(joint),
            "measured_on": f"{images} of {words.counted(len(self.run.images), 'image')}",
            "orders": 0 if joint is None else len(joint.random_deletion),
            "chance": None if chance is None else findings.chance_sentence(chance),
        }

    def _facts(self) -> list[tuple[str, list[tuple[str, str]]]]:
        info = self.run.info
        names = ("created", "source", "preset", "random_state", "include_misclassified", "peak_memory_mib")
        return [
            ("Run", _rows({name: getattr(info, name) for name in names} | info.counts)),
            ("Network", _rows(vars(info.classifier)) + _rows({"target": vars(info.target)})),
            ("Settings", _rows(self.run.settings.to_dict())),
            ("Versions", _rows(info.versions)),
            ("Hardware", _rows(info.hardware)),
            ("Timings", _rows({name: f"{seconds:.1f} s" for name, seconds in info.timings.items()})),
        ]


def _tag(summary: Summary) -> dict[str, str] | None:
    """Return a summary's name, and how sure it is."""
    if summary.tag is None:
        return None
    sure = "named by hand" if summary.tag.by_hand else f"named by tags, confidence {words.score_text(summary.tag.confidence)}"
    return {"name": text(summary.tag.name), "sure": sure}


def palette(count: int) -> list[str]:
    """Return colors for the summaries, neighbors far apart in hue.

    Examples
    --------
    >>> palette(2)[0]
    '#df731b'
    """
    golden = 0.381966  # turns of the hue by the golden angle never come close to an earlier one
    lights = (0.49, 0.62, 0.42)
    colors = []
    for index in range(count):
        rgb = colorsys.hls_to_rgb((0.0745 + index * golden) % 1.0, lights[(index // 7) % 3], 0.785)
        colors.append("#" + "".join(f"{round(channel * 255):02x}" for channel in rgb))
    return colors


def _width(share: float) -> float:
    """Return the length of a bar out of 100; what cannot be drawn has none."""
    return round(100 * min(max(share, 0.0), 1.0), 1) if math.isfinite(share) else 0.0


def _lowest_last(drop: float) -> float:
    return -drop if math.isfinite(drop) else math.inf


def _shares(analysis: SummaryAnalysis) -> Iterator[tuple[int, float]]:
    """Return how much of the score a summary accounts for in each image that has it."""
    return zip(analysis.images.tolist(), analysis.shares.tolist(), strict=True)


def _figure(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else words.UNKNOWN


def _rows(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return nested mappings as rows of dotted names and values."""
    rows = []
    for key, value in values.items():
        name = f"{prefix}{text(key)}"
        if isinstance(value, Mapping):
            rows += _rows(value, f"{name}.")
        elif value is None:
            rows.append((name, "none"))
        else:
            rows.append((name, text(value)))
    return rows
