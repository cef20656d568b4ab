"""The study's kit: what is sent and what is kept, how many participants are needed, and how hard intruders are."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from benchmarks.claims.intruders import BESIDE, by_features, by_parts, difficulty, shown_part
from benchmarks.made_runs import make_run
from visual_summaries.cli import main
from visual_summaries.errors import StudyError
from visual_summaries.results import ClassifierInfo, Run
from visual_summaries.runs.directory import save_run
from visual_summaries.study import StudySettings, answers_needed, build_kit, participants_needed
from visual_summaries.study.tasks import OTHER, RANDOM, draw_tasks


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    run = make_run()
    infos = [replace(run.info, classifier=ClassifierInfo(f"net.py:{name}", name * 64)) for name in "ab"]
    return [replace(run, info=info, path=Path("runs") / info.classifier.spec) for info in infos]


def test_a_kit_keeps_the_key_from_what_is_sent(runs: list[Run], tmp_path: Path) -> None:
    study = build_kit(runs, tmp_path / "kit", contact="who@example.org")
    found = sorted(path.relative_to(tmp_path / "kit").as_posix() for path in (tmp_path / "kit").rglob("*.*"))
    assert found == ["keep/conduct.md", "keep/study.html", "keep/study.key.json", "send/invitation.txt", "send/study.html"]
    assert (tmp_path / "kit/send/study.html").read_bytes() == study.page.read_bytes()

    invitation = (tmp_path / "kit/send/invitation.txt").read_text()
    count, minutes = len(study.key.tasks), study.minutes
    assert f"{count} short questions" in invitation
    assert f"about {minutes} minutes" in invitation
    assert "send the saved file to who@example.org" in invitation
    assert not re.search("net|robin|intruder|network", invitation)  # nothing of what is compared, or asked

    conduct = (tmp_path / "kit/keep/conduct.md").read_text()
    assert f"{count} tasks: " in conduct
    assert "| preferences, by participants | 70% | 50% | 1 | 0.05 | 54 | 54 |" in conduct
    with pytest.raises(StudyError, match="is not empty"):
        build_kit(runs, tmp_path / "kit")
    with pytest.raises(StudyError, match="no run was given"):
        build_kit([], tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_the_page_says_the_minutes_of_the_kit(runs: list[Run], tmp_path: Path) -> None:
    few = StudySettings(kinds=("intruder",), intruders=4)
    study = build_kit(runs, tmp_path / "kit", settings=few)
    # 90 seconds of instructions and practice, 9 for each of four tasks and the attention check: 135
    assert study.minutes == 2
    assert '"minutes": 2' in study.page.read_text(encoding="utf-8")
    assert "nobody yet" in (tmp_path / "kit/keep/conduct.md").read_text()


def test_participants_by_hand(runs: list[Run], tmp_path: Path) -> None:
    study = build_kit(runs, tmp_path / "kit")
    rows = participants_needed(study.key)
    tasks = len(study.tasks.intruders)
    together, one, preferred = (
        next(row for row in rows if row["question"].startswith(start)) for start in ("i", "intruders, one", "p")
    )
    # 127 answers find .3 against .2
    assert (together["answers"], together["participants"]) == (127, -(-127 // tasks))
    assert one["level"] == pytest.approx(0.05 / 4)  # two summaries of two runs
    assert one["each"] == min(tasks // 4, 2)
    assert (preferred["share"], preferred["participants"]) == (0.7, 54)


@pytest.mark.parametrize(
    ("share", "chance", "alternative", "level"),
    [(0.5, 0.2, "greater", 0.05), (0.4, 0.2, "greater", 0.01), (0.75, 0.5, "two-sided", 0.05), (0.9, 0.5, "two-sided", 0.05)],
)
def test_answers_needed_have_the_power(share: float, chance: float, alternative: str, level: float) -> None:
    def power(count: int) -> float:
        hits = range(count + 1)
        return sum(
            binom.pmf(k, count, share) for k in hits if binomtest(k, count, chance, alternative=alternative).pvalue <= level
        )

    needed = answers_needed(share, chance, level=level, alternative=alternative)
    assert needed is not None
    assert power(needed - 1) < 0.8
    assert min(power(count) for count in range(needed, needed + 25)) >= 0.8


def test_no_number_finds_what_is_not_there() -> None:
    assert answers_needed(0.2, 0.2) is None
    assert answers_needed(0.5, 0.5, alternative="two-sided") is None


def test_a_kit_from_the_command_line(
    runs: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    save_run(runs[0], tmp_path / "run")
    command = ["study", "build", "run", "--kit", "kit", "--intruders", "2", "--names", "1", "--quiet"]
    assert main([*command, "--out", "page.html"]) == 2
    assert "not both" in capsys.readouterr().err
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "to send: kit/send" in said
    assert "conduct.md" in said
    assert not (tmp_path / "study.html").exists()


# ---- how hard intruders are ----


def test_intruders_are_of_the_least_alike(runs: list[Run]) -> None:
    """Regions of later images are made less like all others."""
    run = runs[0]
    images = np.array([region.image for region in run.regions])
    run = replace(run, similarity=np.subtract.outer(100 - images, images).astype(np.float32))
    count = 0
    for seed in range(20):
        settings = StudySettings(kinds=("intruder",), intruders=100, random_state=seed)
        for task in draw_tasks([run], settings).intruders:
            shown = {images[region] for region in task.members}
            others = {images[region] for region in run.summaries[1 - task.summary].cluster}
            if task.condition == OTHER:
                assert images[task.intruder] == max(others - shown)
                count += 1
    assert count > 20
    any_other = draw_tasks([run], StudySettings(kinds=("intruder",), intruders=100, unlike=1.0)).intruders
    assert {task.condition for task in any_other} == {OTHER, RANDOM}


def test_features_by_hand() -> None:
    row = np.array([[1, 0], [1, 0], [0.6, 0.8], [0, 1]], np.float32)
    found = by_features(row)
    # likeness of the row: (1 + .6) / 2, the same, (.6 + .6) / 2; of the intruder: (0 + 0 + .8) / 3
    assert found == {"found": True, "within": pytest.approx(2.2 / 3), "intruder": pytest.approx(0.8 / 3)}
    assert not by_features(row[[0, 1, 3, 2]])["found"]


def test_the_part_that_is_shown() -> None:
    points = {"left eye": (10.0, 10.0), "tail": (90.0, 10.0), "right leg": (90.0, 90.0)}  # reach: .15 * 113 = 17
    pixels = np.zeros((100, 100), bool)
    assert shown_part(pixels, points) == BESIDE
    pixels[5:15, 5:15] = True
    assert shown_part(pixels, points) == "eye"
    pixels[80:100, 80:100] = True
    assert shown_part(pixels, points) == "leg"
    pixels[40:70, 40:70] = True
    assert shown_part(pixels, points) == BESIDE


def test_parts_by_hand() -> None:
    assert by_parts(["head"] * 4 + ["head"]) == {"majority": True, "same": True, "solvable": False, "observer": 0.2}
    assert by_parts(["head"] * 4 + ["tail"]) == {"majority": True, "same": False, "solvable": True, "observer": 1.0}
    # no majority in the row; legs and body are rarest, and one of them is the intruder
    assert by_parts(["head", "head", "body", "head", "legs"])["observer"] == 0.5
    assert by_parts(["head", "head", "body", "body", "legs"]) == {
        "majority": False,
        "same": False,
        "solvable": False,
        "observer": 1.0,
    }


def test_difficulty_by_hand() -> None:
    tasks = [
        {"found": True, "within": 0.5, "intruder": 0.1, "points": {"groups": by_parts(["head"] * 4 + ["tail"])}},
        {"found": False, "within": 0.3, "intruder": 0.3, "points": {"groups": by_parts(["head"] * 5)}},
        {"found": False, "within": 0.4, "intruder": 0.2},
    ]
    found = difficulty(tasks, 0.2)
    assert (found["tasks"], found["found"], found["margin"]) == (3, pytest.approx(1 / 3), pytest.approx(0.2))
    assert found["groups"] == {"tasks": 2, "majority": 1.0, "same": 0.5, "solvable": 0.5, "observer": 0.6, "expected": 0.6}
