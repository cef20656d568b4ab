"""A run shown: the report, one self-contained page, and the piece of HTML for notebooks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from visual_summaries.errors import RunError
from visual_summaries.files.atomic import write_text
from visual_summaries.pages import findings, words
from visual_summaries.pages.charts import color_rules, curves
from visual_summaries.pages.check import check_sentence
from visual_summaries.pages.effects import headline_figure, ranked_by_importance, strip_range
from visual_summaries.pages.geometry import outline
from visual_summaries.pages.images import faithfulness_rows, image_values, warning_groups
from visual_summaries.pages.region_map import region_map
from visual_summaries.pages.rendering import draw_member
from visual_summaries.pages.shell import base_style, render_self_contained, render_template, resource
from visual_summaries.pages.summaries import part_name, piece_paths, pixels_of_parts, rest_values, summary_values
from visual_summaries.pages.verdict import change_rows, contrast_rows, mistake_values, verdict_values
from visual_summaries.pages.words import class_name
from visual_summaries.results import Run
from visual_summaries.results.info import short_spec

#: Reasons of skipped images, in words (anything else is shown as it is).
REASONS = {
    "misclassified": "the network sees another class",
    "copy": "a copy of another image",
    "other-label": "labeled as another class",
    "same-class": "labeled as the class itself",
    "no-map": "no evidence is given for it",
    "unusable-map": "its evidence cannot be used",
    "unreadable": "cannot be read as an image",
    "truncated": "the file is cut short",
    "too-small": "too small",
    "too-elongated": "too long and thin",
    "too-large": "too large",
    "no-image": "no image",
    "raw": "a raw photograph or a preview",
    "missing-extra": "needs a library that is not installed",
}
#: Members that a row in a notebook shows, and about how many pixels wide each is.
MEMBERS, SIDE = 6, 96


def write_report(run: Run, path: str | Path | None = None) -> Path:
    """Write a run's report: one HTML file that needs neither network nor other files.

    Parameters
    ----------
    run : Run
        What to show.
    path : str or Path, optional
        File to write; ``report.html`` in the run's folder unless given. An older report is replaced, when the new one is whole.

    Returns
    -------
    Path
        Where it is.

    Raises
    ------
    RunError
        If the run has no folder and no path is given, or the path cannot be written to.
    """
    if path is None:
        if run.path is None:
            raise RunError("this run was not stored in a folder, so give the report a path: run.report('report.html')")
        path = run.path / "report.html"
    path = Path(path)
    if path.is_dir():
        raise RunError(f"{path} is a folder, but the report is one file: give a path like {path / 'report.html'}")
    write_text(path, render_page(run))
    return path


def render_page(run: Run) -> str:
    """Return the report's HTML.

    All text from outside (class, network and file names, reasons) is escaped. The page's policy allows images from data URIs
    and the very style sheet and scripts that are built in, known by their hashes; all else, requests included, is refused.
    """
    # Files of this package and hexadecimal colors: nothing in them comes from a run.
    style = base_style() + resource("report.css") + color_rules(len(run.summaries))
    controls = ("map.js", "sorting.js", "grouping.js", "zoom.js", "report.js")
    scripts = {"early": resource("early.js"), "script": "\n".join(map(resource, controls))}
    return render_self_contained("report.html.j2", style=style, scripts=scripts, context=_context(run))


def _context(run: Run) -> dict[str, Any]:
    """Return everything that the template reads, as plain values: text, numbers, paths and data URIs, and no HTML."""
    info, target = run.info, class_name(run)
    pixels = pixels_of_parts(run)
    ends = strip_range(run)
    skipped = [(item.name, REASONS.get(item.reason, item.reason), item.detail) for item in run.skipped]
    return {
        "target": target,
        "info": info,
        "folder": words.folder_name(run),
        "network": short_spec(info.classifier.spec),
        "verdict": verdict_values(run),
        "headline": findings.headline(run, target),
        "evidence": findings.evidence_sentence(info.evidence),
        "no_summary": None if run.summaries else findings.no_summary_reason(run),
        "divided": run.parts is not None,
        "summaries": [
            summary_values(run, summary, k, kept=True, ends=ends) for k, summary in enumerate(run.summaries, start=1)
        ],
        "groupings": groupings(run),
        "rejected": [
            summary_values(run, summary, k, kept=False) for k, summary in enumerate(run.rejected, start=1 + len(run.summaries))
        ],
        "rest": rest_values(run, pixels),
        "parts": [(part_name(*key), outline(own)) for key, own in pixels.items()],
        "pieces": piece_paths(run),
        "hiding": f"{findings.hiding_sentence(run)} {findings.left_out_sentence(run)}".strip(),
        "numbers": findings.number_of_parts(run),
        "ranked_by": "importance" if ranked_by_importance(run) else "quality",
        "rejection_rule": findings.rejection_rule(run),
        "images": [image_values(run, index, pixels) for index in range(len(run.images))],
        "skipped": skipped,
        "skipped_counts": Counter(reason for _, reason, _ in skipped).most_common(),
        "warnings": warning_groups(run),
        "map": region_map(run),
        "faithfulness": [] if run.faithfulness is None else faithfulness_rows(run.faithfulness),
        "together": _together(run),
        "check": None if run.check is None else check_sentence(run.check),
        "changes": change_rows(run),
        "contrast": contrast_rows(run),
        "mistakes": mistake_values(run),
        "facts": _facts(run),
    }


def groupings(run: Run) -> list[list[list[int]]]:
    """Return the summaries' numbers as the run's tree groups them, from each by itself to all in one; none of fewer than two.

    Only what the tree of the run tells: finer parts than the run's have to be computed.
    """
    if run.parts is None or len(run.summaries) < 2:
        return []
    found = [[[index + 1 for index in group] for group in run.coarser(count)] for count in range(run.parts.count, 0, -1)]
    alone = [[summary.index + 1] for summary in run.summaries]
    return [alone, *(group for group, finer in zip(found[1:], found, strict=False) if len(group) < len(finer))]


def _together(run: Run) -> dict[str, Any] | None:
    """Return what the summaries do together, as sentences and charts, and what chance gives."""
    analysis = run.analysis
    if analysis is None or (analysis.joint is None and analysis.chance is None):
        return None
    joint, chance, together = analysis.joint, analysis.chance, analysis.together
    share = "" if together is None else findings.together_sentence(together, len(run.summaries))
    images = min(len(run.images), run.settings.analyses.joint_images)
    return {
        "share": share,
        "sentences": [] if joint is None else findings.joint_sentences(joint, together if share else None),
        "charts": [] if joint is None else curves(joint),
        "measured_on": f"{images} of {words.counted(len(run.images), 'image')}",
        "orders": 0 if joint is None else len(joint.random_deletion),
        "chance": None if chance is None else findings.chance_sentence(chance),
    }


def _facts(run: Run) -> list[tuple[str, list[tuple[str, str]]]]:
    info = run.info
    names = ("created", "source", "preset", "random_state", "include_misclassified", "peak_memory_mib")
    return [
        ("Run", _rows({name: getattr(info, name) for name in names} | info.counts)),
        ("Network", _rows(vars(info.classifier) | {"target": vars(info.target)})),
        ("Settings", _rows(run.settings.to_dict())),
        ("Versions", _rows(info.versions)),
        ("Hardware", _rows(info.hardware)),
        ("Timings", _rows({name: f"{seconds:.1f} s" for name, seconds in info.timings.items()})),
    ]


def _rows(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return nested mappings as rows of dotted names and values."""
    rows = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            rows += _rows(value, f"{name}.")
        else:
            rows.append((name, "none" if value is None else str(value)))
    return rows


def render_strip(run: Run) -> str:
    """Return a run's summaries as a piece of HTML for notebooks: pictures of the first members of each, and two figures.

    All text from outside is escaped; pictures are data URIs. Nothing is requested and nothing runs.
    """
    rows = [
        (
            summary,
            headline_figure(run, summary),
            words.covered_images(run, summary),
            [draw_member(run, member.region, 2 * SIDE) for member in summary.members[:MEMBERS]],
        )
        for summary in run.summaries
    ]
    name = class_name(run)
    return render_template("strip.html.j2", run=run, called=name, headline=findings.headline(run, name), rows=rows, side=SIDE)
