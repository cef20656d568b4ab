"""The commands ``visual-summaries study``: build a study, evaluate answers, simulate a participant."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import visual_summaries as vs
from visual_summaries.cli.console import (
    HELP_OPTIONS,
    METHOD,
    NETWORK,
    OUTPUT,
    AsJson,
    Checkpoint,
    Open,
    Quiet,
    StageProgress,
    note,
    open_page,
    say,
    say_json,
)
from visual_summaries.cli.examples import examples
from visual_summaries.cli.networks import Loading, loads_network

study = typer.Typer(
    no_args_is_help=True,
    context_settings=HELP_OPTIONS,
    help="Ask people whether each summary shows one part, and which: build a page, analyze its answers.",
)


@study.command(epilog=examples("study build"))
def build(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of runs; preference needs two of one class.")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Page to write (`study.html` unless given); its key, not for participants, is written beside it.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    kit: Annotated[
        Path | None,
        typer.Option(
            help="Write a folder ready to be sent instead: page and invitation in `send`, key and instructions in `keep`.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            help="Kind of task: `intruder`, `name` or `preference`; repeatable. All that the runs allow unless given."
        ),
    ] = None,
    intruders: Annotated[int, typer.Option(min=1, help="Most tasks of the kind: which region does not belong?")] = 16,
    names: Annotated[int, typer.Option(min=1, help="Most tasks of the kind: what do these regions show?")] = 9,
    preferences: Annotated[
        int, typer.Option(min=1, help="Most tasks of the kind: which network's summaries explain better?")
    ] = 6,
    members: Annotated[int, typer.Option(min=2, max=8, help="Regions beside the intruder.")] = 4,
    random_groups: Annotated[int, typer.Option(min=0, help="Groups of random regions to name, the control.")] = 3,
    checks: Annotated[bool, typer.Option("--checks/--no-checks", help="Include one attention check per section.")] = True,
    title: Annotated[str | None, typer.Option(help="Title of the page; do not name the networks in it.")] = None,
    contact: Annotated[str, typer.Option(help="Where participants send their file; shown at the end.")] = "",
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything drawn at random.", rich_help_panel=METHOD)] = 0,
    open: Open = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Build a study: one page that people answer in a browser, and its key."""
    from visual_summaries.study import StudySettings, build_kit, build_study
    from visual_summaries.study.build import TITLE

    settings = StudySettings(
        kinds=None if kind is None else tuple(kind),
        intruders=intruders,
        names=names,
        preferences=preferences,
        members=members,
        random_groups=random_groups,
        checks=checks,
        random_state=seed,
    )
    if kit and out:
        raise typer.BadParameter("give --out for a page or --kit for a folder, not both")
    with StageProgress(quiet) as progress:
        write, where = (build_kit, kit) if kit else (build_study, out or Path("study.html"))
        made = write(
            [vs.load_run(run) for run in runs],
            where,
            settings=settings,
            title=title or TITLE,
            contact=contact,
            progress=progress,
        )
    if open:
        open_page(made.page)
    counts = {kind: len(tasks) for kind, tasks in made.tasks.by_kind().items()}
    for message in made.tasks.notes:
        note(f"note: {message}")
    if as_json:
        say_json({"study": made.key.study, "page": str(made.page), "key": str(made.key.path), "tasks": counts})
        return
    say(f"tasks: {', '.join(f'{count} {name}' for name, count in counts.items() if count)}")
    if kit:
        say(f"to send: {kit / 'send'}")
        say(f"for you alone: {kit / 'keep'} (read conduct.md)")
    else:
        say(f"page, for participants: {made.page}")
        say(f"key, for you alone: {made.key.path}")


@study.command(epilog=examples("study analyze"))
def analyze(
    answers: Annotated[
        list[Path], typer.Argument(metavar="ANSWERS...", help="Files that participants saved, or simulated ones.")
    ],
    study: Annotated[
        Path | None,
        typer.Option(help="The study's page or key; looked for beside the answers and in the working folder unless given."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Page with the results; JSON is written beside it.", rich_help_panel=OUTPUT)] = Path(
        "study-results.html"
    ),
    synonyms: Annotated[
        Path | None, typer.Option(help='File with names that count as the same: JSON such as `{"beak": ["bill"]}`.')
    ] = None,
    max_failed_checks: Annotated[
        int, typer.Option(min=0, help="Exclude participants who failed more attention checks than this.")
    ] = 0,
    open: Open = False,
    as_json: AsJson = False,
) -> None:
    """Analyze answers: intruders against chance, names, preferences. Refuses files that are incomplete or of another study."""
    from visual_summaries.study import analyze_answers, load_synonyms, write_results
    from visual_summaries.study.results_page import sentences

    words = None if synonyms is None else load_synonyms(synonyms)
    found = analyze_answers(answers, study, synonyms=words, max_failed_checks=max_failed_checks)
    data = found.save(out.with_suffix(".json"))
    page = write_results(found, out)
    if open:
        open_page(page)
    if as_json:
        say_json(found.to_dict())
        return
    for heading, group in (("People", found.people), ("Simulated (no people)", found.simulated)):
        if group is not None:
            say(f"{heading}: {group['counted']} of {len(group['participants'])} count")
            for sentence in sentences(group):
                say(f"  {sentence}")
    say(f"results: {page} and {data}")


@study.command(epilog=examples("study simulate"))
@loads_network
def simulate(
    loading: Loading,
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="The study's page or key.")],
    model: Annotated[
        str, typer.Option(help="A network that the study does not explain, as for `run`.", rich_help_panel=NETWORK)
    ],
    out: Annotated[Path, typer.Option(help="Answer file to write.", rich_help_panel=OUTPUT)] = Path("answers-simulated.json"),
    checkpoint: Checkpoint = None,
    quiet: Quiet = False,
) -> None:
    """Simulate a participant: another network's features solve the tasks that need no words. Marked as simulated."""
    from visual_summaries.study import simulate_answers

    classifier = loading.load(model, checkpoint)
    with StageProgress(quiet) as progress:
        path = simulate_answers(study, classifier, out, progress=progress)
    say(f"simulated answers: {path}")
