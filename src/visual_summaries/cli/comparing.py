"""The command that compares runs of several networks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from visual_summaries.cli.console import StageProgress, interruptible, set_up_logging
from visual_summaries.cli.showing import say, say_json

if TYPE_CHECKING:
    from visual_summaries.compare import Comparison


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="DIR...", help="Folders of runs, or folders that hold some (what `run` of several writes)."),
    ],
    out: Annotated[Path, typer.Option(help="Folder for `comparison.html` and `comparison.json`.")],
    level: Annotated[
        float, typer.Option(min=0, max=1, help="Two summaries are one part when chance matches as well no more often.")
    ] = 0.05,
    seed: Annotated[int, typer.Option(help="Seed of everything drawn at random.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as one JSON object on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Compare networks: which parts several use and which only one, and the number of summaries against accuracy."""
    from visual_summaries import load_run
    from visual_summaries.compare import compare_runs
    from visual_summaries.pages.comparison import write_comparison
    from visual_summaries.runs.directory import find_runs

    set_up_logging(quiet)
    loaded = [load_run(path) for path in find_runs(runs)]
    with interruptible(), StageProgress(quiet) as progress:
        comparison = compare_runs(loaded, level=level, random_state=seed, progress=progress)
    page = write_comparison(comparison, out)
    if as_json:
        say_json({**comparison.to_dict(), "page": str(page)})
        return
    _show(comparison)
    say(f"comparison: {page}")


def _show(comparison: Comparison) -> None:
    from visual_summaries.pages.comparison import headline

    for group in comparison.classes:
        say(f"{group.target}: {headline(comparison, group)}")
        for part in (part for part in group.parts if len(part.uses) > 1):
            uses = "; ".join(
                f"{comparison.networks[use.run]} summary {use.summary + 1}, importance {use.importance:.0%}"
                for use in part.uses
            )
            say(f"  {part.name or 'one part'}: {uses}")
    for kind, words in (("pooled", "all runs together"), ("within", "within classes")):
        value = comparison.correlations["summaries"][kind]
        if value.rho == value.rho:
            interval = f" (95 % interval {value.low:.2f} to {value.high:.2f})" if value.low == value.low else ""
            say(f"number of summaries against accuracy, {words}: Spearman {value.rho:.2f}{interval}, {value.points} runs")
