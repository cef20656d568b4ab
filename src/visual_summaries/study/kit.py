"""A study as a folder ready to be sent: page and invitation for participants; key and instructions for who conducts it."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Any

from visual_summaries.errors import StudyError
from visual_summaries.files.atomic import write_text
from visual_summaries.pages.words import counted
from visual_summaries.progress import Progress
from visual_summaries.results import Run
from visual_summaries.study.build import TITLE, Study, build_study
from visual_summaries.study.key import Key
from visual_summaries.study.statistics import answers_needed
from visual_summaries.study.tasks import StudySettings

#: What participants get, and what they must not.
SEND, KEEP = "send", "keep"
#: Shares of intruders found, and of participants who prefer one side, that the instructions plan for.
FOUND, LEANING = (0.3, 0.4, 0.5), (0.7, 0.8, 0.9)
#: The probability of a significant result that they plan for, and the level.
POWER, LEVEL = 0.8, 0.05


def build_kit(
    runs: Sequence[Run],
    folder: str | Path,
    *,
    settings: StudySettings | None = None,
    title: str = TITLE,
    contact: str = "",
    progress: Progress | None = None,
) -> Study:
    """Write a study as a folder: ``send/`` (page, invitation) for participants, ``keep/`` (key, page, instructions) for you.

    Parameters
    ----------
    runs : sequence of Run
    folder : str or Path
        New, or empty.
    settings, title, contact, progress
        As for :func:`build_study`.

    Returns
    -------
    Study
        Its page is the one in ``keep/``, beside the key.

    Raises
    ------
    StudyError
        If the folder is not empty, or the runs give no study.
    """
    folder = Path(folder)
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise StudyError(f"{folder} is not empty, and may hold another study's key: give a new folder")
    # What cannot be built leaves no folders behind: the page creates its own.
    study = build_study(runs, folder / KEEP / "study.html", settings=settings, title=title, contact=contact, progress=progress)
    (folder / SEND).mkdir()
    page = Path(shutil.copyfile(study.page, folder / SEND / study.page.name))
    write_text(folder / SEND / "invitation.txt", invitation(study, contact))
    write_text(folder / KEEP / "conduct.md", instructions(study, contact, page.stat().st_size))
    return study


def participants_needed(key: Key) -> list[dict[str, Any]]:
    """Return how many participants each question of a study needs, for several true shares.

    Exact binomial tests at the level .05 with a power of .8. Intruders count by answers, as if those of one participant did not
    depend on each other; a single summary at the level divided by the number of summaries; preferences by participants.

    Returns
    -------
    list of dict
        ``question``, ``share`` (the true one), ``chance``, ``each`` (answers of a participant), ``level``, ``answers``,
        ``participants``.
    """
    tasks = key.of_kind("intruder")
    of_summary = Counter((task["run"], task["summary"]) for task in tasks.values())
    rows = []
    for question, each, level in (
        ("intruders, all summaries together", len(tasks), LEVEL),
        ("intruders, one summary", min(of_summary.values(), default=0), LEVEL / max(len(of_summary), 1)),
    ):
        rows += [_needed(question, share, key.data["settings"]["chance"], each, level) for share in FOUND if each]
    if key.of_kind("preference"):
        rows += [_needed("preferences, by participants", share, 0.5, 1, LEVEL) for share in LEANING]
    return rows


def _needed(question: str, share: float, chance: float, each: int, level: float) -> dict[str, Any]:
    alternative = "two-sided" if chance == 0.5 else "greater"
    answers = answers_needed(share, chance, power=POWER, level=level, alternative=alternative)
    participants = None if answers is None else ceil(answers / each)
    return {
        "question": question,
        "share": share,
        "chance": chance,
        "each": each,
        "level": level,
        "answers": answers,
        "participants": participants,
    }


def invitation(study: Study, contact: str) -> str:
    """Return the text to send along with the page; it says nothing of what is compared."""
    to, asked = contact or "me", counted(len(study.key.tasks), "short question")
    return f"""\
Subject: A short study with pictures: {study.minutes} minutes of your time?

Hello,

would you take part in a small study? The attached file study.html shows pictures and asks
{asked} about them, in about {study.minutes} minutes. Nothing has to be known beforehand.

1. Save study.html and open it in a browser, on a computer or a phone.
   If your mail program shows it without starting, open the saved file.
2. Answer on your own. You can stop and continue later, in the same browser.
3. At the end press "Save my answers" and send the saved file to {to}.

Taking part is voluntary, and you can stop at any time without giving a reason. The page
sends nothing: only the file that you send is used. It holds your answers, the time each
took, and a random number; no name and no address. Your mail itself shows me who you are:
I store the file apart from it. The answers are analyzed for all participants together
and may be published in that form. By sending the file you agree to this. To have it
deleted, send me the number in the file's name.

Please do not pass on what you saw before the study is over.

Thank you!
"""


def instructions(study: Study, contact: str, size: int) -> str:
    """Return what who conducts the study has to know, as Markdown; `size` is the page's in bytes."""
    kinds = {kind: len(tasks) for kind, tasks in study.tasks.by_kind().items() if tasks}
    checks = sum(bool(task.get("check")) for task in study.key.tasks.values())
    listed = ", ".join(f"{count} of the kind *{kind}*" for kind, count in kinds.items())
    rows = "\n".join(
        f"| {row['question']} | {row['share']:.0%} | {row['chance']:.0%} | {row['each']} | {row['level']:.2g} | "
        f"{_or_many(row['answers'])} | {_or_many(row['participants'])} |"
        for row in participants_needed(study.key)
    )
    return f"""\
# How to conduct this study

Study {study.key.study}. Do not send this folder to participants: the key holds the answers.

- `{SEND}/study.html`: the page, {size / 1e6:.1f} MB; mail makes it a third larger.
- `{SEND}/invitation.txt`: the text to send along. Complete it with your name.
- `{KEEP}/study.key.json`, `{KEEP}/study.html`: needed for the analysis. Leave both together.

## Before you send it

1. Take the study yourself, then watch one person take it. Those answers do not count.
2. Check that you may send the images: each picture on the page is a whole image, gray but for a part.
3. Ask whether your institution wants an ethics review. The page collects no personal data; mail addresses are.
4. Answers go to: {contact or "**nobody yet**; build the kit with a contact"}.
5. Decide in advance, in writing: how many participants, who is left out (the default: who fails an attention check), which
   figure answers your question.

## What a participant does

{counted(len(study.key.tasks), "task")}: {listed}, and {counted(checks, "attention check")}; before each kind,
practice that does not count. Planned: about {study.minutes} minutes, from assumed times for each task. Your trial tells the
real time; correct the invitation.

## How many participants

For a power of {POWER:.0%} in exact binomial tests. "True share" is what you assume: intruders found, or participants who
prefer one side.

| question | true share | chance | answers of each | level | answers | participants |
| --- | --- | --- | --- | --- | --- | --- |
{rows}

The answers of one participant depend on each other, and the tests of intruders ignore it: take their numbers as the least. Some
who are invited do not answer, and some fail an attention check: invite more.

## Afterwards

Put the files that participants send into `answers/`, unchanged, and run:

    visual-summaries study analyze answers/*.json --study {KEEP}/study.key.json --out results.html
"""


def _or_many(value: int | None) -> str:
    return "over 5000" if value is None else str(value)
