"""The command for continuous integration: the verdict on finished runs, checked against what must not be."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from xml.etree import ElementTree

import typer

import visual_summaries as vs
from visual_summaries.cli.console import OUTPUT, AsJson, RunFolders, percent, say, say_json
from visual_summaries.errors import SettingsError

if TYPE_CHECKING:
    from visual_summaries.results import Run, Verdict

#: Exit code where a verdict fails.
FAILED = 12

#: The checks, and the kinds of suspicions, or the changes, that it means.
CHECKS = {
    "beside": ("beside",),
    "fixed-place": ("fixed place",),
    "border": ("border",),
    "background": ("beside", "fixed place", "border"),
    "change": ("change",),
    "any": ("beside", "fixed place", "border", "change"),
    "unreliable": (),
    "unexplained": (),
}


def verdict(
    runs: RunFolders,
    fail_on: Annotated[
        str | None,
        typer.Option(
            metavar="CHECKS",
            help=f"Fail if a run has one of these, separated by commas: {', '.join(CHECKS)}. `NAME:SHARE` fails from that "
            "share of the score on, for example `fixed-place,background:0.2`; without a share only confirmed suspicions count.",
        ),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(help="Write a JUnit XML file, one test case per run and check.", rich_help_panel=OUTPUT)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the verdict on runs; with --fail-on, exit with code 12 if a run fails a check."""
    from visual_summaries.files.atomic import write_text  # slow to import: only when they are used
    from visual_summaries.pages.verdict import verdict_lines
    from visual_summaries.runs.directory import find_runs

    checks = parse_checks(fail_on or "")
    results: list[tuple[Path, Run, dict[str, list[str]]]] = []
    for path in find_runs(runs):
        run = vs.load_run(path)
        results.append((path, run, {_named(*check): list(failures(run, *check)) for check in checks}))
    if junit is not None:
        write_text(junit, _junit([(path, found) for path, _, found in results]))
    failed = sum(bool(messages) for _, _, found in results for messages in found.values())
    if as_json:
        say_json({"failed": failed, "runs": [_values(*result) for result in results]})
    else:
        for path, run, found in results:
            say(f"{path}: {run.info.target.name}")
            for line in verdict_lines(run):
                say(f"  {line}")
            for messages in found.values():
                for message in messages:
                    say(f"  FAILED: {message}")
    if failed:
        raise typer.Exit(FAILED)


def parse_checks(text: str) -> list[tuple[str, float | None]]:
    """Return checks and their least shares.

    Raises
    ------
    SettingsError
        If a check is unknown, or its share is no number in [0, 1].

    Examples
    --------
    >>> parse_checks("fixed-place, background:0.2")
    [('fixed-place', None), ('background', 0.2)]
    """
    found = []
    for item in (part.strip() for part in text.split(",")):
        name, colon, share = item.partition(":")
        if not item:
            continue
        if name not in CHECKS:
            raise SettingsError(f"--fail-on {name!r} is not a check: choose from {', '.join(CHECKS)}")
        try:
            least = float(share) if colon else None
        except ValueError:
            least = math.nan
        if least is not None and not 0 <= least <= 1:
            raise SettingsError(f"--fail-on {item!r}: the share after the colon must lie in [0, 1], for example {name}:0.2")
        found.append((name, least))
    return found


def failures(run: Run, check: str, least: float | None) -> Iterator[str]:
    """Yield why a run fails a check; nothing when it passes."""
    from visual_summaries.pages.verdict import evidence_sentence, suspicion_title

    verdict: Verdict = run.verdict
    if check == "unreliable":
        if verdict.reliable == "nothing" or (least is not None and _firm(verdict) < least):
            yield "no summary is reliable" if least is None else f"strong summaries take under {percent(least)} of the score"
    elif check == "unexplained":
        limit = 0.5 if least is None else least
        if not verdict.unexplained <= limit:  # also where it was not measured
            yield f"{percent(verdict.unexplained)} of the score is in no summary, more than {percent(limit)}"
    else:
        for one in verdict.suspicions:
            if {one.kind, one.change} & {*CHECKS[check]} and (one.confirmed if least is None else one.effect >= least):
                yield f"{suspicion_title(run, one)}. {evidence_sentence(one)}".replace("\u00a0", " ")


def _named(check: str, least: float | None) -> str:
    return check if least is None else f"{check}:{least:g}"


def _firm(verdict: Verdict) -> float:
    return sum(one.effect for one in verdict.relies_on if one.strength == "strong")


def _values(path: Path, run: Run, found: dict[str, list[str]]) -> dict[str, Any]:
    """Return what ``--json`` tells of a run."""
    return {"run": str(path), "target": run.info.target.name, "verdict": run.verdict.to_dict(), "failed": found}


def _junit(results: Sequence[tuple[Path, dict[str, list[str]]]]) -> str:
    """Return JUnit's XML: a suite for each run, a case for each check."""
    root = ElementTree.Element("testsuites", name="visual-summaries")
    for path, found in results:
        failed = sum(bool(messages) for messages in found.values())
        suite = ElementTree.SubElement(root, "testsuite", name=_clean(path), tests=str(len(found)), failures=str(failed))
        for name, messages in found.items():
            case = ElementTree.SubElement(suite, "testcase", classname=_clean(path), name=name)
            if messages:
                ElementTree.SubElement(case, "failure", message=_clean(messages[0])).text = _clean("\n".join(messages))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _clean(text: object) -> str:
    """Return text without what XML cannot hold."""
    kept = "".join(c for c in str(text) if c in "\t\n" or c >= " ")
    return kept.encode("utf-8", "replace").decode("utf-8")
