"""What a run found, as plain rows: one for each region."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from visual_summaries.results import Run


def region_records(run: Run, summaries: Collection[int] | None = None) -> list[dict[str, Any]]:
    """Return one row for each region of a run.

    Parameters
    ----------
    run : Run
    summaries : collection of int, optional
        Positions in ``run.summaries``; only regions of their clusters are returned. All regions unless given.

    Returns
    -------
    list of dict
        ``region`` (position in ``run.regions``), ``image``, ``x0`` ``y0`` ``x1`` ``y1`` (half open, pixels of the view),
        ``summary`` (number as in the report, from 1; None for regions of no kept summary), ``member`` (whether the report shows
        it as a member), ``similarity`` (to the exemplar, of members only), ``contribution``, ``drop``, ``salient_share``. What
        is not known is None: JSON has no NaN.
    """
    summary_of = {region: summary for summary in run.summaries for region in summary.cluster}
    similarity = {member.region: member.similarity for summary in run.summaries for member in summary.members}
    rows = []
    for region in run.regions:
        summary = summary_of.get(region.index)
        if summaries is not None and (summary is None or summary.index not in summaries):
            continue
        x0, y0, x1, y1 = region.box
        rows.append(
            {
                "region": region.index,
                "image": run.images[region.image].name,
                "x0": x0,
                "y0": y0,
                "x1": x1,
                "y1": y1,
                "summary": None if summary is None else summary.index + 1,
                "member": region.index in similarity,
                "similarity": _known(similarity.get(region.index, math.nan)),
                "contribution": _known(region.contribution),
                "drop": _known(region.drop),
                "salient_share": region.salient_share,
            }
        )
    return rows


def run_record(run: Run, summaries: Collection[int] | None = None) -> dict[str, Any]:
    """Return a run without its arrays: what it was made from, its summaries, its regions.

    Parameters
    ----------
    run, summaries
        As in :func:`region_records`.
    """
    manifest = run.manifest
    return {
        "target": manifest["target"],
        "classifier": manifest["classifier"],
        "accuracy": manifest["accuracy"],
        "created": manifest["created"],
        "versions": manifest["versions"],
        "images": [
            {"name": image.name, "sha256": image.sha256, "score": image.score, "height": height, "width": width}
            for image in run.images
            for height, width in [image.view.shape[:2]]
        ],
        "summaries": [
            {
                "summary": summary.index + 1,
                "name": None if summary.tag is None else summary.tag.name,
                "exemplar": summary.exemplar,
                "members": [member.region for member in summary.members],
                "cluster": list(summary.cluster),
                "score": _known(summary.score),
                "importance": _known(summary.importance),
            }
            for summary in run.summaries
            if summaries is None or summary.index in summaries
        ],
        "regions": region_records(run, summaries),
    }


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
