"""What the command line prints of a run: a few lines for people, or one JSON object."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from visual_summaries.cli.console import stdout

if TYPE_CHECKING:
    from visual_summaries.results import Run, Summary


def say(line: str) -> None:
    """Print a line on stdout as it is."""
    stdout.print(line, highlight=False, markup=False)


def say_json(value: Any) -> None:
    """Print a value as one line of JSON on stdout."""
    # Names of files may hold bytes that are no text, which an escape can show and a terminal cannot.
    typer.echo(json.dumps(value, ensure_ascii=not _is_text(value)))


def _is_text(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def run_values(run: Run) -> dict[str, Any]:
    """Return what ``--json`` tells of a run."""
    return {
        "classifier": run.info.classifier.spec,
        "target": vars(run.info.target),
        "accuracy": vars(run.info.accuracy),
        "counts": run.info.counts,
        "timings": run.info.timings,
        "summaries": [
            {
                "rank": summary.index + 1,
                "name": summary.tag.name if summary.tag else None,
                "name_confidence": None if not summary.tag or summary.tag.by_hand else summary.tag.confidence,
                "name_by_hand": summary.tag is not None and summary.tag.by_hand,
                "exemplar": run.images[run.regions[summary.exemplar].image].name,
                "members": len(summary.members),
                "cluster": len(summary.cluster),
                "score": summary.score,
                "importance": summary.importance,
                "analysis": None if summary.analysis is None else summary.analysis.figures(),
            }
            for summary in run.summaries
        ],
    }


def show_run(run: Run, page: Path, as_json: bool, **more: Any) -> None:
    """Print a run's summaries and where its report is."""
    if as_json:
        say_json({**run_values(run), "report": str(page), **more})
        return
    from visual_summaries.pages.findings import summary_line

    accuracy = run.info.accuracy
    seen = f"{accuracy.correct} of {accuracy.total} images classified as it; " if accuracy.total else ""
    say(
        f"{run.info.target.name}: {seen}{len(run.summaries)} summaries from {len(run.regions)} regions of "
        f"{len(run.images)} images"
    )
    for summary in run.summaries:
        say(f"  {summary.index + 1:2d}. {name_in_words(summary)}{summary_line(run, summary)}")
    say(f"report: {page}")


def name_in_words(summary: Summary) -> str:
    """Return a summary's name for the start of a line, or nothing.

    Examples
    --------
    >>> from visual_summaries.results import Summary, Tag
    >>> name_in_words(Summary(0, 0, (), (), 1.0, 0.5, tag=Tag("beak", 0.991, False)))
    'beak (confidence 0.99): '
    """
    if summary.tag is None:
        return ""
    sure = "by hand" if math.isnan(summary.tag.confidence) else f"confidence {summary.tag.confidence:.2f}"
    return f"{summary.tag.name} ({sure}): "
