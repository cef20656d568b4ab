"""The verdict on runs whose figures are made by hand; its words, its page, and the command for continuous integration."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from drawn_runs import Reader, make_divided_run
from visual_summaries.analyses.changes import CHANGES as MEASURED
from visual_summaries.cli import main
from visual_summaries.cli.judging import CHECKS, FAILED, failures, parse_checks
from visual_summaries.errors import RunError, SettingsError
from visual_summaries.pages.report import render_page
from visual_summaries.pages.verdict import CHANGES, mistake_values, verdict_lines, verdict_values
from visual_summaries.results import Chance, Change, Cue, Mistake, Place, Run, SummaryAnalysis
from visual_summaries.runs.directory import load_run, save_run

NAN = float("nan")


def place(kind: str, sure: float = 1.0, on: float = 0.05) -> Place:
    on_object = np.full(4, on, np.float32)
    return Place(kind, sure, np.arange(4), on_object, 0 * on_object, on_object, 0.9, 0.05, (on, on))


def cue(fired: float, *, ground: str = "others", low: float = 0.1) -> Cue:
    gains = np.full(8, 0.4, np.float32)
    return Cue(ground, gains, 0 * gains, (low, 0.6), fired, 0.05, 0.5, 1.0)


def change(loss: float, other: float, *, gain_low: float = 0.0, apart: float = 0.02) -> Change:
    losses, others = np.full(4, loss, np.float32), np.full(6, other, np.float32)
    beyond = loss - other
    return Change("blur", losses, others, others, (beyond - 0.05, beyond + 0.05), (gain_low, 0.3), 0.5, 0.0, apart)


def measured(run: Run, *, random_likeness: float = 0.1, **more: object) -> Run:
    """The drawn run with firm summaries: both take .4 above control in 3 of 4 images, stability 80 %, chance p .05."""
    assert run.analysis is not None
    ones = np.ones(3, np.float32)
    sure = SummaryAnalysis(np.arange(3), 0.42 * ones, 0.02 * ones, (0.3, 0.45), 0.75, 0.5, 0.8)
    moves = np.full(19, random_likeness, np.float32)
    chance = Chance(4, 2, 0.5, 0.8, np.ones(19, np.int64), moves, moves)
    summaries = tuple(replace(one, analysis=sure) for one in run.summaries)
    return replace(run, summaries=summaries, analysis=replace(run.analysis, chance=chance, **more))


@pytest.fixture(scope="module")
def run() -> Run:
    return make_divided_run()


def test_strong_needs_control_stability_and_chance(run: Run) -> None:
    firm = measured(run)
    assert [one.strength for one in firm.verdict.relies_on] == ["strong", "strong"]
    assert firm.verdict.relies_on[0].effect == pytest.approx(0.4 * 0.75)
    assert firm.verdict.relies_on[0].interval == pytest.approx((0.225, 0.3375))
    assert measured(run, random_likeness=0.9).verdict.reliable == "weak"  # chance makes groups as alike

    def with_first(**figures: object) -> str:
        first, second = firm.summaries
        assert first.analysis is not None
        changed = replace(first, analysis=replace(first.analysis, **figures))
        return replace(firm, summaries=(changed, second)).verdict.relies_on[0].strength

    assert with_first(stability=0.3) == "weak"
    assert with_first(stability=NAN) == "weak"  # what was not measured makes nothing firm
    assert with_first(interval=(-0.1, 0.9)) == "none"
    assert replace(firm, summaries=()).verdict.reliable == "nothing"


def test_what_no_summary_takes_is_the_score_left(run: Run) -> None:
    assert run.analysis is not None
    assert run.analysis.together is not None
    assert run.verdict.unexplained == pytest.approx(1 - run.analysis.together.taken)
    assert np.isnan(replace(run, analysis=None).verdict.unexplained)


def test_a_summary_beside_the_object_is_suspicious_and_confirmed_by_its_cue(run: Run) -> None:
    found = measured(run, places=(place("object", on=0.9), place("beside")), cues=(cue(0.9), cue(0.6))).verdict
    [one] = found.suspicions
    assert (one.kind, one.summary, one.confirmed, found.suspicious) == ("beside", 1, True, True)
    assert one.share == pytest.approx(0.95)
    assert (one.fired, one.fired_before) == (0.6, 0.05)
    assert found.untested == ("object",)


@pytest.mark.parametrize("alone", [cue(0.1, low=-0.01), cue(0.9, ground="neutral"), cue(0.9, low=-0.1)])
def test_without_proof_on_other_images_it_is_only_to_check(run: Run, alone: Cue) -> None:
    found = measured(run, places=(place("beside"), place("object")), cues=(alone, alone)).verdict
    assert [(one.kind, one.confirmed) for one in found.suspicions] == [("beside", False)]
    assert not found.suspicious


def test_other_images_confirm_a_small_effect_beside_the_object(run: Run) -> None:
    firm = measured(run, places=(place("beside"), place("object")), cues=(cue(0.1, low=0.01), cue(0.1)))
    first, second = firm.summaries
    assert first.analysis is not None
    small = replace(first, analysis=replace(first.analysis, interval=(0.04, 0.7)))
    wide = replace(firm, summaries=(small, second))
    assert [one.confirmed for one in wide.verdict.suspicions] == [True]
    assert firm.analysis is not None
    little = replace(cue(0.1, low=0.001), gains=np.full(8, 0.009, np.float32))
    assert replace(wide, analysis=replace(firm.analysis, cues=(little, cue(0.1)))).verdict.suspicions == ()
    alone = replace(wide, analysis=replace(firm.analysis, cues=(cue(0.1, low=-0.01), cue(0.1))))
    assert alone.verdict.suspicions == ()


@pytest.mark.parametrize("kind", ["fixed place", "border"])
def test_no_part_of_an_object_stays_at_one_place(run: Run, kind: str) -> None:
    found = measured(run, places=(place(kind), place("object")), cues=(cue(0.0, low=-0.1),) * 2).verdict
    assert [(one.kind, one.confirmed) for one in found.suspicions] == [(kind, True)]
    rim = replace(change(0.1, 0.1, gain_low=0.1), name="border")
    both = measured(run, places=(place(kind), place("object")), cues=(cue(0.0, low=-0.1),) * 2, changes=(rim,)).verdict
    assert [one.kind for one in both.suspicions] == ([kind] if kind == "border" else ["fixed place", "change"])


def test_no_suspicion_where_place_or_use_is_unsure(run: Run) -> None:
    unsure = measured(run, places=(place("border", sure=0.7), place("everywhere")))
    assert unsure.verdict.suspicions == ()
    firm = measured(run, places=(place("border"), place("object")))
    assert len(firm.verdict.suspicions) == 1
    first, second = firm.summaries
    assert first.analysis is not None
    unused = replace(first, analysis=replace(first.analysis, interval=(-0.2, 0.4)))
    assert replace(firm, summaries=(unused, second)).verdict.suspicions == ()


def test_changes_of_the_whole_image(run: Run) -> None:
    def kinds(*changes: Change) -> list[tuple[str, bool]]:
        return [(one.change, one.confirmed) for one in measured(run, changes=changes).verdict.suspicions]

    [moved] = measured(run, changes=(change(0.6, 0.1, apart=0.98),)).verdict.suspicions
    assert (moved.kind, moved.confirmed) == ("change", False)
    assert moved.effect == pytest.approx(0.5)
    assert kinds(change(0.5, 0.45, apart=0.98)) == []  # others lose as much
    assert kinds(change(0.6, 0.1, apart=0.02)) == []  # the images have none of what it takes
    added = change(0.1, 0.1, gain_low=0.1, apart=0.02)
    assert kinds(added, change(0.6, 0.1, apart=0.98)) == [("blur", True)]  # one is named
    anyhow = change(0.1, 0.1, gain_low=0.1, apart=0.5)
    assert kinds(anyhow) == []
    assert kinds(replace(anyhow, name="border")) == [("border", True)]  # what others were given is the class's own border
    assert kinds(replace(anyhow, name="border", gain_interval=(0.02, 0.3))) == []
    assert kinds(change(0.1, 0.02, gain_low=0.01, apart=0.02)) == []  # too little is added
    assert kinds(change(0.1, 0.1, gain_low=0.01, apart=0.02)) == [("blur", False)]  # enough, but perhaps less
    assert kinds(replace(added, apart=0.3)) == []  # the images do not differ in it
    assert kinds(replace(added, apart=NAN)) == []  # nothing to compare with
    assert kinds(replace(added, apart=0.98)) == []  # they have less of what it adds
    assert kinds(replace(added, name="sharpen")) == []
    assert kinds(replace(added, name="sharpen", apart=0.98)) == [("sharpen", True)]
    for apart in (0.02, 0.98):  # a tone may lie on either side
        assert kinds(replace(added, name="tone", apart=apart)) == [("tone", True)]
        assert kinds(replace(change(0.6, 0.1, apart=apart), name="tone")) == [("tone", False)]


def test_a_stored_run_has_the_same_verdict(run: Run, tmp_path: Path) -> None:
    view = np.zeros((48, 64, 3), np.uint8)
    labels = np.full((48, 64), -1, np.int16)
    mistake = Mistake("a.png", "missed", view, 0.2, "wren", np.array([1.2, 0.0], np.float32), labels)
    figures = {
        "places": (place("beside"), place("object")),
        "cues": (cue(0.6), cue(0.9)),
        "changes": (change(0.6, 0.1, apart=0.98),),
    }
    made = measured(run, mistakes=(mistake,), **figures)
    save_run(made, tmp_path / "run")
    loaded = load_run(tmp_path / "run")
    assert loaded.analysis == made.analysis
    assert loaded.verdict == made.verdict
    stored = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))["verdict"]
    told = json.loads(json.dumps(made.verdict.to_dict()))
    for kind in ("relies_on", "suspicions"):  # the file has positions, as for everything; what is told are numbers
        for one in stored[kind]:
            one["summary"] = None if one["summary"] is None else one["summary"] + 1
    assert stored == told


@pytest.mark.parametrize(
    ("figures", "what"),
    [
        ({"places": (place("object"),)}, "run.analysis.places"),
        ({"cues": (cue(0.5),)}, "run.analysis.cues"),
        ({"places": (place("sky"), place("object"))}, "sky"),
        ({"places": (replace(place("object"), images=np.arange(9)), place("object"))}, "places.0"),
        ({"changes": (replace(change(0.5, 0.1), gains=np.zeros(2, np.float32)),)}, "changes.0.gains"),
    ],
)
def test_a_damaged_run_is_not_judged(run: Run, figures: dict[str, object], what: str, tmp_path: Path) -> None:
    save_run(measured(run, **figures), tmp_path / "run")
    with pytest.raises(RunError, match=what):
        load_run(tmp_path / "run")


def test_words_are_no_firmer_than_the_figures(run: Run) -> None:
    figures = {"places": (place("beside"), place("object", on=0.9)), "cues": (cue(0.6), cue(0.9))}
    said = verdict_values(measured(run, **figures))
    assert said["relies"].replace("\u00a0", " ") == (
        f"To see “{run.info.target.name}”, the network relies firmly on summary 1 (30 % of the score) and summary 2 (30 % of"
        " the score)."
    )
    [one] = said["suspicions"]
    assert one["title"] == "Summary 1 lies beside the object"
    assert one["confirmed"]
    weak = verdict_values(measured(run, random_likeness=0.9))
    assert "perhaps, on weak evidence, on summary 1" in weak["relies"]
    assert weak["unsuspected"]
    assert any("--others" in sentence for sentence in weak["untested"])


def test_every_change_that_is_measured_has_words() -> None:
    assert {*MEASURED, "tone"} == set(CHANGES)


def test_page_and_terminal_say_the_same(run: Run) -> None:
    view, labels = np.full((48, 64, 3), 90, np.uint8), np.full((48, 64), -1, np.int16)
    strengths = np.array([1.2, 0.3], np.float32)
    mistakes = (
        Mistake("<i>.png", "missed", view, 0.2, "wren <b>", strengths, labels),
        Mistake("b.png", "taken", view, 0.8, "robin", 0 * strengths, labels),
    )
    made = measured(
        run,
        places=(place("beside"), place("object", on=0.9)),
        cues=(cue(0.6), cue(0.9)),
        changes=(change(0.6, 0.1, apart=0.98),),
        mistakes=mistakes,
    )
    page = Reader(render_page(made)).flat
    for line in verdict_lines(made)[1:]:
        text = line.strip().removeprefix("SHORTCUT LIKELY: ").removeprefix("to check: ").removeprefix("next: ")
        assert " ".join(text.split()) in page
    assert "<i>.png: seen as wren <b>, score 0.20 Present: 1. Weak: 2." in page
    assert "b.png, score 0.80 Absent: 1 and 2." in page
    assert [one["absent"] for one in mistake_values(made)] == ["", "1 and 2"]
    assert "It lies beside the object (5 % of its pixels on the object)." in page
    bare = Reader(render_page(run)).flat
    assert "When it is wrong" not in bare
    assert "The whole image changed" not in bare


def test_the_command_fails_on_what_must_not_be(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = {"places": (place("beside"), place("beside")), "cues": (cue(0.6), cue(0.0, low=0.0))}
    folder = tmp_path / "runs" / "robin"
    save_run(measured(run, **figures), folder)
    junit = tmp_path / "verdict.xml"
    assert main(["verdict", str(folder)]) == 0
    assert "SHORTCUT LIKELY: Summary 1 lies beside the object" in capsys.readouterr().out
    assert main(["verdict", str(folder), "--fail-on", "fixed-place,beside:0.35"]) == 0
    capsys.readouterr()
    command = [
        "verdict",
        str(tmp_path),
        "--fail-on",
        "beside,background:0.2,border,beside:0.9",
        "--junit",
        str(junit),
        "--json",
    ]
    assert main(command) == FAILED
    data = json.loads(capsys.readouterr().out)
    assert data["failed"] == 2
    assert [name for name, messages in data["runs"][0]["failed"].items() if messages] == ["beside", "background:0.2"]
    assert [len(messages) for messages in data["runs"][0]["failed"].values()] == [1, 2, 0, 0]  # of beside the confirmed one
    [suite] = ElementTree.parse(junit).getroot()  # noqa: S314 - we wrote it
    assert (suite.get("tests"), suite.get("failures")) == ("4", "2")
    assert [len(case) for case in suite] == [1, 1, 0, 0]


def test_a_border_that_other_images_take_fails_the_border(run: Run) -> None:
    made = measured(run, changes=(replace(change(0.1, 0.1, gain_low=0.1), name="border"),))
    assert [check for check in CHECKS if [*failures(made, check, None)]] == ["border", "background", "change", "any"]
    assert "The border of the class’s images adds" in next(failures(made, "border", None))


def test_checks_on_reliability(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    firm = measured(run)
    save_run(firm, tmp_path / "firm")
    weak = [replace(one, analysis=replace(one.analysis, interval=(-0.1, 0.4))) for one in firm.summaries]  # type: ignore[type-var]
    save_run(replace(firm, summaries=tuple(weak)), tmp_path / "none")
    assert main(["verdict", str(tmp_path / "firm"), "--fail-on", "unreliable:0.5,unexplained:0.9"]) == 0
    assert main(["verdict", str(tmp_path / "firm"), "--fail-on", "unreliable:0.7"]) == FAILED
    assert main(["verdict", str(tmp_path / "firm"), "--fail-on", "unexplained:0.1"]) == FAILED
    assert main(["verdict", str(tmp_path / "none"), "--fail-on", "unreliable"]) == FAILED
    assert "no summary is reliable" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["corner", "beside:much", "beside:1.5"])
def test_unknown_checks_name_the_remedy(text: str) -> None:
    with pytest.raises(SettingsError, match="--fail-on"):
        parse_checks(text)
