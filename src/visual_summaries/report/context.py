"""What the report's template shows, as plain values: text, numbers, paths and data URIs, and no HTML."""

from __future__ import annotations

import colorsys
import math
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from visual_summaries.report import findings, words
from visual_summaries.report.embedding import data_uri, grey_levels, svg_path
from visual_summaries.report.geometry import contours, convex_hull, touching_regions, window_around
from visual_summaries.report.region_map import crop_window, groups_of, region_map
from visual_summaries.report.rendering import render_region
from visual_summaries.report.words import text
from visual_summaries.results import Box, Image, Mask, Member, Region, Run, Summary

#: Simplification, in pixels, of outlines that cover a whole image; far below what is seen.
TOLERANCE = 0.3
#: The exemplar pictures of the strip have about this many pixels on a side.
CARD_SIDE = 320


class Page:
    """The values of one run's page.

    Parameters
    ----------
    run : Run
        What to show.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.manifest = run.manifest
        threshold = run.settings.regions.threshold
        self._evidence = [np.asarray(mask.final > threshold) for mask in run.masks]
        self._summaries_of = groups_of(run.summaries)
        self._rejected_of = groups_of(run.rejected)

    @cached_property
    def target(self) -> str:
        """Name of the class."""
        return text(_dict(self.manifest.get("target")).get("name", "the target"))

    def context(self) -> dict[str, Any]:
        """Return everything that the template reads."""
        run, manifest = self.run, self.manifest
        accuracy = _dict(manifest.get("accuracy"))
        correct, total = accuracy.get("correct"), accuracy.get("total")
        created = text(manifest.get("created", ""))
        return {
            "target": self.target,
            "network": short_spec(text(_dict(manifest.get("classifier")).get("spec", "unknown network"))),
            "source": text(manifest.get("source", "")),
            "created": created,
            "date": created[:10],
            "correct": correct,
            "total": total,
            "accuracy": words.percent(correct / total) if correct is not None and total else None,
            "finding": findings.relies_on(run, self.target),
            "headline": f"{words.headline(run, self.target)} {findings.sure_sentence(run)}".rstrip(),
            "no_summary": None if run.summaries else words.no_summary_reason(run),
            "summaries": [self._summary(summary, kept=True) for summary in run.summaries],
            "rejected": [self._summary(summary, kept=False) for summary in run.rejected],
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

    def _summary(self, summary: Summary, *, kept: bool) -> dict[str, Any]:
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
            "members": [self._member(member, kept=kept) for member in summary.members],
        }
        analysis = summary.analysis
        known = analysis is not None and math.isfinite(analysis.stability)
        values |= {
            "control": None if analysis is None else words.percent(analysis.control),
            "control_width": None if analysis is None else _width(analysis.control),
            "stability": words.percent(analysis.stability) if analysis is not None and known else None,
            "doubts": [] if analysis is None else findings.doubts(analysis),
            "certainty": "" if analysis is None else findings.certainty(analysis),
        }
        if kept:
            window = window_around(exemplar.box, self._evidence[exemplar.image].shape)
            scale = min(4, max(1, math.ceil(CARD_SIDE / max(window[2] - window[0], window[3] - window[1]))))
            picture = render_region(
                run.images[exemplar.image].view, self._evidence[exemplar.image], exemplar.box, window=window, scale=scale
            )
            values["card"] = data_uri(picture)
            values["exemplar"] = self._drawn(exemplar) | {"whole": True}
        return values

    def _drawn(self, region: Region) -> dict[str, Any]:
        """Return a region's outlines, for SVG in view pixels."""
        evidence = self._evidence[region.image]
        image = self.run.images[region.image]
        x0, y0, x1, y1 = region.box
        return {
            "image": region.image,
            "name": text(image.name),
            "width": evidence.shape[1],
            "height": evidence.shape[0],
            "window": " ".join(map(str, self._window(region.box, region.image))),
            "box": {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0},
            "hull": svg_path([convex_hull(evidence, region.box)]),
            "touching": svg_path(contours(touching_regions(evidence, region.box), TOLERANCE)),
            "drop": words.percent(region.drop),
            "salient_share": words.percent(region.salient_share),
        }

    def _member(self, member: Member, *, kept: bool) -> dict[str, Any]:
        values = self._drawn(self.run.regions[member.region])
        values["similarity"] = _figure(member.similarity)
        values["ssim"] = words.score_text(member.ssim)
        values["warped"] = data_uri(member.warped) if kept else None
        values["warped_size"] = (member.warped.shape[1], member.warped.shape[0])
        return values

    def _image(self, image: Image, mask: Mask) -> dict[str, Any]:
        evidence = self._evidence[image.index]
        names = _dict(self.manifest.get("predicted"))
        index = _dict(self.manifest.get("target")).get("index")
        predicted = text(names.get(str(image.predicted), f"class {image.predicted}"))
        scores = (mask.score_before, mask.score_after, mask.score_blurred)
        highest = max([1.0, *(abs(score) for score in scores if math.isfinite(score))])
        rows = zip(("as it is", "evidence hidden", "all blurred"), scores, strict=True)
        return {
            "index": image.index,
            "name": text(image.name),
            "width": image.view.shape[1],
            "height": image.view.shape[0],
            "view": data_uri(image.view),
            "smooth": data_uri(grey_levels(mask.smooth), quality=60),
            "sharp": data_uri(grey_levels(mask.final), quality=None),
            "evidence": svg_path(contours(evidence, TOLERANCE)),
            "predicted": predicted if index is not None and image.predicted != index else None,
            "scores": [(label, words.score_text(score), _width(score / highest)) for label, score in rows],
            "drop": words.percent(mask.drop),
            "area": words.percent(mask.area),
            "crispness": words.percent(mask.crispness),
            "regions": [self._region(region) for region in sorted(self._regions_of(image.index), key=_lowest_last)],
            "notes": [words.WARNINGS[key][0] for key in mask.warnings],
        }

    def _regions_of(self, image: int) -> list[Region]:
        return [region for region in self.run.regions if region.image == image]

    def _region(self, region: Region) -> dict[str, Any]:
        x0, y0, x1, y1 = region.box
        shifted = [polygon + np.array([x0, y0]) for polygon in contours(region.mask, TOLERANCE)]
        return {
            "index": region.index,
            "summary": self._summaries_of.get(region.index),
            "rejected": region.index in self._rejected_of,
            "box": {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0},
            "evidence": svg_path(shifted),
            "drop": words.percent(region.drop),
            "drop_width": _width(region.drop),
            "salient_share": words.percent(region.salient_share),
        }

    def _window(self, box: Box, image: int) -> list[int]:
        return crop_window(box, self._evidence[image].shape)

    def _warnings(self) -> list[dict[str, Any]]:
        found = [
            {"title": title, "text": explanation, "images": [(i, text(self.run.images[i].name)) for i in positions]}
            for title, explanation, positions in words.warning_groups(self.run.masks)
        ]
        given = self.manifest.get("warnings") or []
        if isinstance(given, Mapping):  # counts of the masks' warnings, which are above with their images
            given = [f"{name}: {count}" for name, count in given.items() if name not in words.WARNINGS]
        return found + [{"title": text(message), "text": "", "images": []} for message in given]

    def _faithfulness(self) -> list[tuple[str, str, str]]:
        """Return what each figure means, its value for the masks and for their moved copies."""
        if self.run.faithfulness is None:
            return []
        figures = self.run.faithfulness.figures()
        return [
            (meaning, form(figures[key][0]), form(figures[key][1]))
            for key, (meaning, form) in words.FAITHFULNESS.items()
            if key in figures
        ]

    def _together(self) -> dict[str, Any] | None:
        """Return what the summaries do together, as sentences and charts, and what chance gives."""
        analysis = self.run.analysis
        if analysis is None or (analysis.joint is None and analysis.chance is None):
            return None
        joint, chance = analysis.joint, analysis.chance
        return {
            "sentences": [] if joint is None else findings.joint_sentences(joint),
            "charts": [] if joint is None else findings.charts(joint),
            "chance": None if chance is None else findings.chance_sentence(chance),
        }

    def _facts(self) -> list[tuple[str, list[tuple[str, str]]]]:
        manifest = self.manifest
        timings = {key: f"{value:.1f} s" for key, value in _dict(manifest.get("timings")).items()}
        run_facts: dict[str, Any] = {
            key: manifest[key]
            for key in ("created", "source", "preset", "random_state", "include_misclassified", "peak_memory_mib", "format")
            if key in manifest
        }
        return [
            ("Run", _rows(run_facts) + _rows(_dict(manifest.get("counts")))),
            ("Network", _rows(_dict(manifest.get("classifier"))) + _rows({"target": manifest.get("target")})),
            ("Settings", _rows(self.run.settings.to_dict())),
            ("Versions", _rows(_dict(manifest.get("versions")))),
            ("Hardware", _rows(_dict(manifest.get("hardware")))),
            ("Timings", _rows(timings)),
        ]


def _tag(summary: Summary) -> dict[str, str] | None:
    """Return a summary's name, and how sure it is."""
    if summary.tag is None:
        return None
    sure = "named by hand" if summary.tag.by_hand else f"named by tags, confidence {words.score_text(summary.tag.confidence)}"
    return {"name": text(summary.tag.name), "sure": sure}


def short_spec(spec: str) -> str:
    """Return a network's name without the folders of its file; the details of the page have it whole.

    Examples
    --------
    >>> short_spec("/home/me/nets.py:tiny"), short_spec("exported/net.pt2"), short_spec("timm/resnet50.a1_in1k")
    ('nets.py:tiny', 'net.pt2', 'timm/resnet50.a1_in1k')
    """
    path, colon, function = spec.partition(".py:")
    if colon or spec.endswith(".pt2"):
        return re.split(r"[/\\]", path)[-1] + colon + function
    return spec


def palette(count: int) -> list[str]:
    """Return colours for the summaries, neighbours far apart in hue.

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


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _width(share: float) -> float:
    """Return the length of a bar out of 100; what cannot be drawn has none."""
    return round(100 * min(max(share, 0.0), 1.0), 1) if math.isfinite(share) else 0.0


def _lowest_last(region: Region) -> float:
    return -region.drop if math.isfinite(region.drop) else math.inf


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
