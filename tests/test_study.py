"""User studies: which tasks are drawn, what the page gives away, which answers are taken, and what is made of them."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.made_runs import made_mask
from visual_summaries.classifiers import Classifier, ViewTransform
from visual_summaries.cli import main
from visual_summaries.errors import AnswersError, SettingsError, StudyError
from visual_summaries.results import Accuracy, ClassifierInfo, Image, Member, Region, Run, RunInfo, Summary, TargetInfo
from visual_summaries.runs.directory import save_run
from visual_summaries.settings import preset
from visual_summaries.study import (
    Study,
    StudySettings,
    analyze_answers,
    build_study,
    krippendorff_alpha,
    load_key,
    load_synonyms,
    normalize_name,
    simulate_answers,
    write_results,
)
from visual_summaries.study.pictures import region_picture
from visual_summaries.study.results_page import render_results
from visual_summaries.study.tasks import OTHER, RANDOM, comparable_pairs, draw_tasks

if TYPE_CHECKING:
    from playwright.sync_api import Page

IMAGES = 8
RED, GREEN, BLUE = (230, 30, 30), (30, 200, 40), (40, 60, 240)
SCRIPT = "<script>alert(1)</script>"


def make_run(path: Path | None = None, network: str = "alpha", target: str = "smiley", images: int = IMAGES) -> Run:
    """Draw a run: in each image a red, a green and a blue square; red is summary 1, green summary 2, blue in no summary."""
    rng = np.random.default_rng(0)
    views, masks, regions = [], [], []
    for index in range(images):
        view = np.full((48, 72, 3), 128, np.uint8)
        evidence = np.zeros((48, 72), np.float16)
        for part, color in enumerate((RED, GREEN, BLUE)):
            x, y = 4 + 24 * part + int(rng.integers(6)), int(rng.integers(4, 30))
            view[y : y + 14, x : x + 12] = color
            evidence[y : y + 14, x : x + 12] = 1
            box = (x, y, x + 12, y + 14)
            regions.append(Region(len(regions), index, box, np.ones((14, 12), bool), 1.0, 0.5, 0.4, 0.2))
        views.append(Image(index, f"{index}.png", "0" * 64, view, 0.9, 0))
        masks.append(made_mask(evidence, infills=1))

    def summary(index: int) -> Summary:
        cluster = tuple(range(index, 3 * images, 3))
        warped = np.zeros((14, 12, 3), np.uint8)
        return Summary(index, cluster[0], tuple(Member(r, 1.0, 0.5, warped) for r in cluster), cluster, 1.0, 0.4)

    return Run(
        images=tuple(views),
        masks=tuple(masks),
        components=(),
        regions=tuple(regions),
        descriptors=np.zeros((len(regions), 0), np.float32),
        similarity=np.zeros((len(regions),) * 2, np.float32),
        summaries=(summary(0), summary(1)),
        rejected=(),
        skipped=(),
        settings=preset("paper"),
        info=RunInfo(
            ClassifierInfo(f"nets/{network}.py:build", hashlib.sha256(network.encode()).hexdigest()),
            TargetInfo(3, target),
            Accuracy(images, images),
            created=f"2026-01-02T03:04:05+00:00 {network}",
        ),
        path=path or Path("runs") / network,
    )


@pytest.fixture(scope="module")
def runs() -> tuple[Run, Run]:
    return make_run(), make_run(network="beta")


@pytest.fixture(scope="module")
def study(runs: tuple[Run, Run], tmp_path_factory: pytest.TempPathFactory) -> Study:
    settings = StudySettings(intruders=6, names=2, preferences=2, random_groups=1)
    folder = tmp_path_factory.mktemp("study")
    return build_study(runs, folder / "study.html", settings=settings, title=f"Title {SCRIPT}", contact="a@example.org")


def page_data(study: Study) -> dict[str, Any]:
    found = re.search(r'id="study">(.*?)</script>', study.page.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


# ---- drawing ----


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kinds": ("guess",)}, "kinds is .*'guess'.*'intruder', 'name', 'preference'"),
        ({"kinds": ()}, "must name one or more"),
        ({"members": 9}, r"members is 9, but must lie in \[2, 8\]"),
        ({"intruders": 0}, "intruders is 0"),
        ({"random_groups": -1}, "random_groups"),
    ],
)
def test_wrong_settings_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        StudySettings(**change)


def test_intruders_do_not_belong(runs: tuple[Run, Run]) -> None:
    tasks = draw_tasks(runs, StudySettings(intruders=8)).intruders
    assert len(tasks) == 8
    assert Counter(task.condition for task in tasks) == {OTHER: 4, RANDOM: 4}
    assert {(task.run, task.summary) for task in tasks} == {(0, 0), (0, 1), (1, 0), (1, 1)}
    for task in tasks:
        run = runs[task.run]
        images = [run.regions[region].image for region in (*task.members, task.intruder)]
        assert len(set(images)) == 5  # each of another image
        assert {region % 3 for region in task.members} == {task.summary}  # its color
        assert task.intruder % 3 != task.summary
        if task.condition == OTHER:
            assert task.intruder % 3 == 1 - task.summary == task.source
        assert task.source == (None if task.intruder % 3 == 2 else task.intruder % 3)


def test_a_region_over_the_part_is_no_intruder(runs: tuple[Run, Run]) -> None:
    """Blue regions moved onto the red ones show red: only green ones are left."""
    run = runs[0]
    regions = tuple(replace(r, box=run.regions[r.index - 2].box) if r.index % 3 == 2 else r for r in run.regions)
    moved = replace(run, regions=regions)
    for seed in range(10):
        tasks = draw_tasks([moved], StudySettings(kinds=("intruder",), intruders=4, random_state=seed)).intruders
        assert {task.intruder % 3 for task in tasks if task.summary == 0} == {1}


def test_the_seed_decides(runs: tuple[Run, Run]) -> None:
    first, again, other = (draw_tasks(runs, StudySettings(random_state=seed)) for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_names_and_random_groups(runs: tuple[Run, Run]) -> None:
    tasks = draw_tasks(runs, StudySettings(names=3, random_groups=2, named=5)).names
    assert [task.summary is None for task in tasks] == [False, False, False, True, True]
    for task in tasks:
        run = runs[task.run]
        assert len({run.regions[region].image for region in task.regions}) == len(task.regions) == 5
        if task.summary is not None:
            assert {region % 3 for region in task.regions} == {task.summary}
    assert any(len({region % 3 for region in task.regions}) > 1 for task in tasks if task.summary is None)


def test_preference_shows_as_many_summaries_of_each(runs: tuple[Run, Run]) -> None:
    poor = replace(runs[1], summaries=runs[1].summaries[:1])
    [task] = draw_tasks([runs[0], poor], StudySettings(preferences=1, rows=3, row_members=4)).preferences
    assert task.runs == (0, 1)
    assert [len(rows) for rows in task.rows] == [1, 1]
    assert [len(row) for rows in task.rows for row in rows] == [4, 4]


def test_only_other_networks_on_the_same_class_are_compared(runs: tuple[Run, Run]) -> None:
    other_class = make_run(network="gamma", target="frown")
    assert comparable_pairs([runs[0], other_class, runs[1], runs[0]]) == [(0, 2), (2, 3)]
    drawn = draw_tasks([runs[0], other_class], StudySettings())
    assert drawn.preferences == ()
    assert any("no preference can be asked" in note for note in drawn.notes)
    with pytest.raises(StudyError, match="same class by different networks"):
        draw_tasks([runs[0], other_class], StudySettings(kinds=("preference",)))


def test_runs_without_summaries_give_no_study(runs: tuple[Run, Run]) -> None:
    with pytest.raises(StudyError, match=r"no task at all: no summary of .*; none of the 1 runs has a summary to name"):
        draw_tasks([replace(runs[0], summaries=())], StudySettings())
    with pytest.raises(StudyError, match=r"show fewer regions \(--members\)"):
        draw_tasks([runs[0]], StudySettings(kinds=("intruder",), members=8))


# ---- the page and its key ----


def test_the_page_does_not_give_the_answers_away(study: Study) -> None:
    data, text = page_data(study), study.page.read_text(encoding="utf-8")
    assert set(data) == {"study", "title", "contact", "minutes", "sections", "pictures"}
    for section in data["sections"]:
        for task in section["tasks"]:
            assert set(task) <= {"id", "options", "sides", "class", "instruction"}
            assert re.fullmatch(r"t[0-9a-f]{7}", task["id"])
            if "options" in task:
                assert task["options"] == sorted(task["options"])  # ids are random, so this order says nothing
    said = re.sub(r"<style>.*</style>|base64,[A-Za-z0-9+/=]+|visual-summaries", "", text, flags=re.DOTALL)
    for secret in ("alpha.py", "beta.py", "runs/", OTHER, RANDOM, "weights", "condition", "summary"):
        assert secret not in said, secret
    assert {p for t in study.key.tasks.values() for p in t.get("options", {})} < set(data["pictures"])
    places = [sorted(t["options"]).index(t["answer"]) for t in study.key.of_kind("intruder").values()]
    assert len(set(places)) > 1


def test_all_pictures_have_one_size(runs: tuple[Run, Run]) -> None:
    """Size gives nothing away, whatever a picture shows."""
    [task, _] = draw_tasks(runs, StudySettings(kinds=("intruder",), intruders=2)).intruders
    sizes = set()
    for region in (*task.members, task.intruder):
        raw = base64.b64decode(region_picture(runs[task.run], region).split(",")[1])
        sizes.add(PIL.Image.open(io.BytesIO(raw)).size)
    assert sizes == {(300, 300)}


def test_key_names_every_task_of_the_page(study: Study) -> None:
    tasks = [task["id"] for section in page_data(study)["sections"] for task in section["tasks"]]
    assert sorted(tasks) == sorted(study.key.tasks)
    assert Counter(t["kind"] for t in study.key.tasks.values()) == {"intruder": 7, "name": 4, "preference": 2}
    assert load_key(study.page) == load_key(study.key.path) == study.key
    assert [run["network"] for run in study.key.runs] == ["alpha.py:build", "beta.py:build"]


def test_same_runs_and_seed_same_study(runs: tuple[Run, Run], tmp_path: Path) -> None:
    settings = StudySettings(kinds=("intruder",), intruders=2)
    a, b = (build_study(runs, tmp_path / f"{n}.html", settings=settings) for n in "ab")
    assert a.key.study == b.key.study
    assert a.page.read_bytes() == b.page.read_bytes()
    c = build_study(runs, tmp_path / "c.html", settings=replace(settings, random_state=1))
    assert c.key.study != a.key.study


@pytest.mark.parametrize("results", [False, True])
def test_policy_lets_nothing_in(study: Study, answer: Answer, tmp_path: Path, results: bool) -> None:
    text = study.page.read_text(encoding="utf-8")
    if results:
        text = render_results(analyze_answers([answer()], study.key))
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert style is not None
    assert len(scripts) == (0 if results else 1)

    def hashed(part: str) -> str:
        return base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()

    given = policy[1].replace("&#39;", "'")
    assert "default-src 'none'" in given
    assert f"style-src 'sha256-{hashed(style[1])}'" in given
    assert (f"script-src 'sha256-{hashed(scripts[0])}'" if scripts else "script-src 'none'") in given
    assert "unsafe" not in given
    assert SCRIPT not in text  # the title is escaped
    assert not re.search(r"\b(fetch|XMLHttpRequest|sendBeacon|WebSocket|innerHTML|eval)\b", "".join(scripts))
    assert "url(" not in style[1]


def test_what_cannot_be_built(runs: tuple[Run, Run], tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no run was given"):
        build_study([], tmp_path / "a.html")
    with pytest.raises(StudyError, match="is a folder, but the study is one file"):
        build_study(runs, tmp_path)
    with pytest.raises(StudyError, match="given more than once"):
        build_study([runs[0], runs[0]], tmp_path / "a.html")
    with pytest.raises(StudyError, match="was not stored in a folder"):
        build_study([replace(runs[0], path=None)], tmp_path / "a.html")
    for content in ("{", '{"format": "another"}'):
        (tmp_path / "b.key.json").write_text(content)
        with pytest.raises(StudyError, match=r"b\.key\.json"):
            load_key(tmp_path / "b.html")


# ---- agreement, names ----

# Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", examples A to C; missing answers are dots.
PUBLISHED = [
    (0.095, ["0100000010", "1110010000"]),
    (0.692, ["aabbdcccedda", "babbbccceddd"]),
    (0.743, ["123321412...", "1233224125.3", ".33323422 51.".replace(" ", ""), "12332441251."]),
]


@pytest.mark.parametrize(("alpha", "observers"), PUBLISHED)
def test_alpha_of_the_published_examples(alpha: float, observers: list[str]) -> None:
    units = [[value for value in unit if value != "."] for unit in zip(*observers, strict=True)]
    assert krippendorff_alpha(units) == pytest.approx(alpha, abs=0.0006)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from("abc"), max_size=5), max_size=6))
def test_alpha_is_one_minus_observed_over_expected(units: list[list[str]]) -> None:
    """By its definition: pairs within a unit, each weighted by 1 / (answers of the unit - 1), against all pairs."""
    judged = [unit for unit in units if len(unit) > 1]
    values = [value for unit in judged for value in unit]
    observed = sum(sum(a != b for a, b in permutations(unit, 2)) / (len(unit) - 1) for unit in judged)
    expected = sum(a != b for a, b in permutations(values, 2))
    found = krippendorff_alpha(units)
    if expected == 0:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(1 - (observed / len(values)) / (expected / (len(values) * (len(values) - 1))))


@given(st.text(max_size=12))
def test_a_normalized_name_stays(name: str) -> None:
    once = normalize_name(name)
    assert normalize_name(f"  The {name} ") in (once, normalize_name(f"the {name}"))
    assert once == once.casefold()


def test_synonyms(tmp_path: Path) -> None:
    path = tmp_path / "words.json"
    path.write_text('{"Beaks": ["the bill", "snouts"]}')
    words = load_synonyms(path)
    assert {normalize_name(name, words) for name in ("beak", "a Bill", "snout!", "bills")} == {"beak"}
    for content in ("[]", '{"a": "b"}', "{"):
        path.write_text(content)
        with pytest.raises(StudyError, match=r"words\.json"):
            load_synonyms(path)


# ---- answers ----

Answer = Callable[..., Path]


@pytest.fixture
def answer(study: Study, tmp_path: Path) -> Answer:
    """Writes an answer file: right intruders but the first `wrong`, the names given, the network preferred (None: neither)."""
    count = iter(range(1000))

    def write(
        wrong: int = 0, words: str | None = "wing", prefer: int | None = 0, attentive: bool = True, **change: Any
    ) -> Path:
        number = next(count)
        answers = []
        for name, task in study.key.tasks.items():
            given: dict[str, Any] = {"task": name, "kind": task["kind"], "seconds": 2.0}
            if task.get("check"):
                shown = ["p1", "p2", "p3", "p4", "p5"]
                place = task.get("position", 1) - 1 if attentive else task.get("position", 1) % 5
                given |= {"shown": shown, "choice": shown[place]}
                given |= {"text": task.get("text"), "nothing": False}
            elif task["kind"] == "intruder":
                others = [option for option in task["options"] if option != task["answer"]]
                given["choice"] = others[0] if wrong > 0 else task["answer"]
                wrong -= 1
            elif task["kind"] == "name":
                given |= {"text": words, "nothing": words is None}
            else:
                sides = {side["run"]: name for name, side in task["sides"].items()}
                given["choice"] = None if prefer is None else sides[prefer]
            answers.append(given)
        data = {
            "format": "visual-summaries study answers",
            "version": 1,
            "study": study.key.study,
            "participant": f"{number:012x}",
            "simulated": None,
            "answers": answers,
            "comment": "",
        } | change
        path = tmp_path / f"answers-{number}.json"
        path.write_text(json.dumps(data))
        return path

    return write


def test_accuracy_by_hand(study: Study, answer: Answer) -> None:
    found = analyze_answers([answer(), answer(wrong=6), answer(wrong=3)], study.page)
    people = found.people
    assert people is not None
    assert found.simulated is None
    overall = people["intruder"]["all"]
    assert (overall["hits"], overall["count"], overall["share"]) == (9, 18, 0.5)
    # Clopper-Pearson for 9 of 18, from tables: 0.260 to 0.740
    assert (overall["low"], overall["high"]) == (pytest.approx(0.2602, abs=1e-4), pytest.approx(0.7398, abs=1e-4))
    tail = sum(math.comb(18, k) * 0.2**k * 0.8 ** (18 - k) for k in range(9, 19))
    assert overall["p"] == pytest.approx(tail)
    assert [one["intruder"]["hits"] for one in people["participants"]] == [6, 0, 3]
    assert people["intruder"][OTHER]["count"] == people["intruder"][RANDOM]["count"] == 9
    assert sum(row["all"]["hits"] for row in people["intruder"]["summaries"]) == 9
    least = min(people["intruder"]["summaries"], key=lambda row: row["all"]["p"])
    assert least["p_holm"] == pytest.approx(min(1, len(people["intruder"]["summaries"]) * least["all"]["p"]))
    assert people["participants"][0]["seconds"] == pytest.approx(2.0 * 11)


def test_names_by_hand(study: Study, answer: Answer) -> None:
    paths = [answer(words="The Wings"), answer(words="wing"), answer(words="stripe"), answer(words=None)]
    people = analyze_answers(paths, study.key).people
    assert people is not None
    [first, _, control] = people["name"]["items"]
    assert control["summary"] is None
    assert first["names"] == {"wing": 2, "stripe": 1}
    assert (first["nothing"], first["top"]) == (1, "wing")
    assert first["pairwise_agreement"] == pytest.approx(1 / 6, abs=1e-6)
    assert people["name"]["summaries"]["named"]["share"] == 0.75
    assert people["name"]["named_differ_p"] == 1.0  # as often as the random group
    merged = analyze_answers(paths, study.key, synonyms={"stripe": "wing"}).people
    assert merged is not None
    assert merged["name"]["items"][0]["names"] == {"wing": 3}


def test_preferences_by_hand(study: Study, answer: Answer) -> None:
    paths = [answer(prefer=0), answer(prefer=0), answer(prefer=0), answer(prefer=1), answer(prefer=None)]
    people = analyze_answers(paths, study.key).people
    assert people is not None
    [row] = people["preference"]["networks"]
    named = dict(zip(row["networks"], (row["first"], row["second"]), strict=True))
    assert named == {"alpha.py:build": 6, "beta.py:build": 2}
    assert row["no_difference"] == 2
    # 2 * (1 + 8 + 28) / 2^8: eight coins, two or fewer of one side
    assert row["sign_test"]["p"] == pytest.approx(2 * 37 / 256)
    voters = row["participants"]
    assert sorted([voters["first"], voters["second"], voters["undecided"]]) == [1, 1, 3]
    assert voters["sign_test"]["p"] == pytest.approx(2 * 5 / 16)


def test_who_does_not_read_does_not_count(study: Study, answer: Answer) -> None:
    paths = [answer(), answer(wrong=6, attentive=False)]
    people = analyze_answers(paths, study.key).people
    assert people is not None
    assert [one["counted"] for one in people["participants"]] == [True, False]
    assert people["intruder"]["all"]["share"] == 1.0
    everybody = analyze_answers(paths, study.key, max_failed_checks=1).people
    assert everybody is not None
    assert everybody["intruder"]["all"]["share"] == 0.5
    nobody = analyze_answers(paths[1:], study.key).people
    assert nobody is not None
    assert nobody["intruder"] is None


def drop_one(data: dict[str, Any]) -> None:
    data["answers"].pop()


def answer_twice(data: dict[str, Any]) -> None:
    data["answers"].append(data["answers"][0])


def change_answer(**change: Any) -> Callable[[dict[str, Any]], None]:
    def do(data: dict[str, Any]) -> None:
        data["answers"][0] |= change

    return do


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (drop_one, "incomplete: 1 of 13 tasks have no answer"),
        (answer_twice, "damaged: it answers task t[0-9a-f]+ twice"),
        (lambda data: data.update(study="0123"), "foreign: it belongs to study 0123, not to"),
        (lambda data: data.update(format="letters"), "not a file of answers"),
        (lambda data: data.update(version=7), "of version 7, but this program reads version 1"),
        (lambda data: data.pop("participant"), "damaged: answers, participant or study is missing"),
        (lambda data: data.update(simulated="yes"), "damaged: it does not say what was simulated"),
        (change_answer(task="t0"), "foreign: it answers a task 't0'"),
        (change_answer(task=["t0"]), "foreign: it answers a task"),
        (change_answer(choice="p0"), "chooses what was not shown"),
        (change_answer(choice={"a": 1}), "has no valid choice"),
        (change_answer(choice=None), "chooses what was not shown"),
        (change_answer(seconds=-1), "has no valid time"),
        (change_answer(seconds="long"), "has no valid time"),
    ],
)
def test_files_that_do_not_fit_are_refused_by_name(
    study: Study, answer: Answer, tmp_path: Path, spoil: Callable[[dict[str, Any]], None], reason: str
) -> None:
    good, bad = answer(), answer()
    data = json.loads(bad.read_text())
    spoil(data)
    bad.write_text(json.dumps(data))
    with pytest.raises(AnswersError, match=reason) as caught:
        analyze_answers([good, bad], study.key)
    assert list(caught.value.files) == [str(bad)]
    assert str(bad) in str(caught.value)


def test_all_refused_files_are_named_at_once(study: Study, answer: Answer, tmp_path: Path) -> None:
    good = answer()
    torn = tmp_path / "torn.json"
    torn.write_text(good.read_text()[:-9])
    copy = tmp_path / "copy.json"
    copy.write_text(good.read_text())
    with pytest.raises(AnswersError, match="4 answer files are refused") as caught:
        analyze_answers([good, copy, torn, tmp_path / "gone.json"], study.key)
    reasons = {Path(name).name: reason for name, reason in caught.value.files.items()}
    assert reasons["torn.json"] == "damaged: it is not JSON"
    assert reasons["gone.json"] == "there is no such file"
    assert reasons["copy.json"] == f"the same participant as {good}"
    with pytest.raises(AnswersError, match="given twice"):
        analyze_answers([good, good], study.key)
    with pytest.raises(AnswersError, match="no answer file was given"):
        analyze_answers([], study.key)


def test_the_key_is_found_beside_the_answers(
    study: Study, answer: Answer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = answer()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.key.json").write_text("{}")  # another program's
    with pytest.raises(StudyError, match=f"no key of study {study.key.study} lies in .* with --study"):
        analyze_answers([path])
    (tmp_path / "mine.key.json").write_text(study.key.path.read_text())
    assert analyze_answers([path]).key.study == study.key.study


# ---- simulated participants ----


def color_network(seed: int = 0) -> Classifier:
    """A network whose feature maps are colors: it cannot fail to tell red, green and blue squares apart."""
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 3, 1),
        torch.nn.ReLU(),
        torch.nn.AvgPool2d(2),
        torch.nn.Conv2d(3, 3, 1),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
    )
    with torch.no_grad():
        for layer in (module[0], module[3]):
            layer.weight.copy_(torch.eye(3)[:, :, None, None])
            layer.bias.fill_(seed / 1000)
    return Classifier(module, transform=ViewTransform((48, 72)), class_names=["r", "g", "b"], spec="colors.py:net")


def test_simulated_participant_tells_colors_apart(study: Study, runs: tuple[Run, Run], answer: Answer, tmp_path: Path) -> None:
    path = simulate_answers(study.key, color_network(), tmp_path / "simulated.json", runs=runs)
    data = json.loads(path.read_text())
    assert data["simulated"]["model"] == "colors.py:net"
    assert {one["kind"] for one in data["answers"]} == {"intruder", "preference"}
    found = analyze_answers([path], study.key)
    assert found.people is None
    assert found.simulated is not None
    assert found.simulated["intruder"]["all"]["share"] == 1.0
    assert found.simulated["name"] is None

    # beside people, it changes none of their figures
    person = answer(wrong=6)
    alone, both = analyze_answers([person], study.key), analyze_answers([person, path], study.key)
    assert alone.people == both.people
    assert both.simulated == found.simulated


def test_mixed_rows_are_not_preferred(study: Study, runs: tuple[Run, Run], tmp_path: Path) -> None:
    mixed = replace(
        runs[1],
        summaries=tuple(
            replace(s, members=tuple(replace(m, region=3 * (m.region // 3) + (m.region // 3) % 3) for m in s.members))
            for s in runs[1].summaries
        ),
    )
    pair = (runs[0], mixed)
    made = build_study(pair, tmp_path / "mixed.html", settings=StudySettings(kinds=("preference",), preferences=3))
    path = simulate_answers(made.key, color_network(), tmp_path / "sim.json", runs=pair)
    found = analyze_answers([path], made.key).simulated
    assert found is not None
    [row] = found["preference"]["pairs"]
    assert (row["runs"], row["first"], row["second"]) == ([0, 1], 3, 0)


def test_what_cannot_be_simulated(study: Study, runs: tuple[Run, Run], tmp_path: Path) -> None:
    network = color_network()
    own = make_run(network="own")
    own = replace(own, info=replace(own.info, classifier=replace(own.info.classifier, weights_sha256=network.weights_sha256)))
    made = build_study([own], tmp_path / "own.html", settings=StudySettings(kinds=("intruder",), intruders=2))
    with pytest.raises(StudyError, match=r"colors.py:net is the network that .* explains"):
        simulate_answers(made.page, network, tmp_path / "sim.json", runs=[own])
    with pytest.raises(StudyError, match="1 runs were given, but the study was made of 2"):
        simulate_answers(study.key, network, tmp_path / "sim.json", runs=runs[:1])
    with pytest.raises(StudyError, match="is not the one that the study was made of"):
        simulate_answers(study.key, network, tmp_path / "sim.json", runs=runs[::-1])
    names = build_study(runs, tmp_path / "names.html", settings=StudySettings(kinds=("name",), names=1))
    with pytest.raises(StudyError, match="neither intruder nor preference tasks"):
        simulate_answers(names.key, network, tmp_path / "sim.json", runs=runs)


# ---- the results' page ----


def test_results_page_escapes_and_marks(study: Study, runs: tuple[Run, Run], answer: Answer, tmp_path: Path) -> None:
    simulated = simulate_answers(study.key, color_network(), tmp_path / "simulated.json", runs=runs)
    found = analyze_answers([answer(words="<b>wing</b>", comment=SCRIPT), simulated], study.key)
    text = write_results(found, tmp_path / "results.html").read_text(encoding="utf-8")
    assert SCRIPT not in text
    assert "&lt;script&gt;alert(1)" in text
    people, own = text.split('id="simulated"')
    assert "No person answered here" in own
    assert "colors.py:net" in own.split("How to read this")[0]
    assert "colors.py:net" not in people
    assert own.count('class="badge"') == 3  # at the heading and at each kind of task
    assert "b wing b" in people  # the name, normalized
    assert text.count('src="data:image/webp;base64,') > 10
    study_page = study.page.read_text(encoding="utf-8")
    assert set(re.findall(r'src="(data:[^"]+)"', text)) <= set(re.findall(r'"(data:[^"]+)"', study_page))


def test_results_without_the_studys_page_have_no_pictures(study: Study, answer: Answer, tmp_path: Path) -> None:
    (tmp_path / "alone.key.json").write_text(study.key.path.read_text())
    text = render_results(analyze_answers([answer()], tmp_path / "alone.key.json"))
    assert 'src="' not in text
    assert "The intruder was found in 100" in text


# ---- the command line ----


def test_commands_from_runs_to_results(
    runs: tuple[Run, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for run, name in zip(runs, ("a", "b"), strict=True):
        save_run(run, tmp_path / name)
    assert (
        main(["study", "build", "a", "b", "--intruders", "2", "--names", "1", "--preferences", "1", "--quiet", "--json"]) == 0
    )
    made = json.loads(capsys.readouterr().out)
    assert made["tasks"] == {"intruder": 2, "name": 4, "preference": 1}
    (tmp_path / "net.py").write_text(
        "import torch.nn as nn\ndef net():\n    return nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.AvgPool2d(2), "
        "nn.Conv2d(4, 4, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())\n"
    )
    assert main(["study", "simulate", "study.html", "--model", "net.py:net", "--quiet"]) == 0
    capsys.readouterr()
    assert main(["study", "analyze", "answers-simulated.json"]) == 0
    said = capsys.readouterr().out
    assert "Simulated (no people): 1 of 1 count" in said
    assert "People" not in said
    assert json.loads((tmp_path / "study-results.json").read_text())["people"] is None
    assert "No person answered here" in (tmp_path / "study-results.html").read_text()
    assert main(["study", "analyze", "a/run.json"]) == 11
    assert "a/run.json: not a file of answers to a study" in capsys.readouterr().err
    assert main(["study", "build", "a", "--kind", "preference"]) == 11
    assert main(["study", "build", "a", "--kind", "riddle"]) == 2


# ---- in a browser ----


@pytest.fixture
def visit(watched: Callable[..., Page], study: Study) -> Callable[..., Page]:
    """Opens the study, or another page, watched."""

    def open_page(path: Path = study.page, **options: Any) -> Page:
        page = watched(path, **options)
        page.set_default_timeout(20_000)
        return page

    return open_page


def kept(page: Page) -> Any:
    """What the page keeps of this participant, or None."""
    return page.evaluate("JSON.parse(localStorage.getItem(Object.keys(localStorage).find((key) => key.includes('study:'))))")


def place_of_intruder(page: Page, study: Study) -> int:
    """By the key, 1 for the first; 2 where nothing is kept and in practice."""
    state = kept(page) if page.locator("#not-kept").is_hidden() else None
    task = study.key.tasks.get(state["open"]["id"]) if state else None
    return 2 if task is None else state["shown"][state["open"]["id"]].index(task["answer"]) + 1


def take(page: Page, study: Study, limit: int = 1000) -> int:
    """Take tasks by the keyboard alone, every intruder right, until `limit` tasks that count are done; return how many were."""
    done = 0
    for _ in range(100):
        if page.locator("#save").count() or done >= limit:
            return done
        form = page.locator("form.task")
        if not form.count():
            page.keyboard.press("Enter")
            continue
        legend = page.inner_text("legend")
        practice = page.inner_text("#where").endswith("practice")
        kind = form.get_attribute("class").split()[1]  # type: ignore[union-attr]
        instructed = re.search(r"choose picture (\d)|the word “(\w+)”", legend)
        if kind == "intruder":
            page.keyboard.press(instructed[1] if instructed else str(place_of_intruder(page, study)))
        elif kind == "name":
            page.focus("#answer")
            page.keyboard.type(instructed[2] if instructed else "Red squares")
        else:
            page.keyboard.press("a")
        page.keyboard.press("Enter")
        if practice:
            assert page.locator(".feedback.right, .feedback.wrong").count() == 1
            page.keyboard.press("Enter")
        else:
            assert page.locator(".feedback").count() == 0 or done + 1 < limit
            done += 1
    raise AssertionError("the study has no end")


@pytest.mark.browser
def test_take_reload_export_analyze(visit: Callable[..., Page], study: Study, tmp_path: Path) -> None:
    page = visit(accept_downloads=True)
    assert "13 short questions" in page.inner_text("main")
    assert take(page, study, limit=5) == 5
    where = page.inner_text("#where")
    shown = page.eval_on_selector_all(".choice img", "all => all.map(e => e.src)")
    page.keyboard.press("3")
    page.reload()  # a closed tab
    assert "Welcome back: 5 of 13 tasks are done" in page.inner_text("main")
    assert page.get_attribute("#track", "aria-valuenow") == "5"
    page.keyboard.press("Enter")
    assert page.inner_text("#where") == where
    assert page.eval_on_selector_all(".choice img", "all => all.map(e => e.src)") == shown
    assert page.eval_on_selector_all(".choice input", "all => all.findIndex(e => e.checked)") == 2  # not even the draft is lost
    page.reload()
    page.evaluate("localStorage.setItem('another', '1')")
    page.keyboard.press("Enter")
    assert take(page, study) == 8
    page.fill("#comment", "It was fun.")
    with page.expect_download() as download:
        page.click("#save")
    path = tmp_path / "answers.json"
    download.value.save_as(path)
    assert re.fullmatch(r"answers-[0-9a-f]{8}-[0-9a-f]{12}\.json", download.value.suggested_filename)

    data = json.loads(path.read_text())
    assert data["complete"]
    assert [one["task"] for one in data["answers"] if one["kind"] == "name"] != []
    assert all(0 < one["seconds"] < 60 for one in data["answers"])
    assert len(data["practice"]) == 5
    asked = study.key.of_kind("intruder")
    assert all(sorted(one["shown"]) == sorted(asked[one["task"]]["options"]) for one in data["answers"] if one["task"] in asked)
    people = analyze_answers([path], study.page).people
    assert people is not None
    assert people["counted"] == 1
    assert people["intruder"]["all"]["hits"] == 6
    assert people["name"]["items"][0]["top"] == "red square"
    assert people["participants"][0]["comment"] == "It was fun."


@pytest.mark.browser
def test_another_person_on_the_same_device(visit: Callable[..., Page], study: Study) -> None:
    page = visit()
    take(page, study, limit=1)
    first = kept(page)["participant"]
    page.reload()
    page.click("text=Start again as another person")
    assert "Really start again" in page.inner_text("main")
    page.click("text=Really start again")
    assert page.evaluate("Object.keys(localStorage)") == []
    page.keyboard.press("Enter")
    assert kept(page)["participant"] != first


@pytest.mark.browser
def test_storage_that_keeps_nothing_is_said(visit: Callable[..., Page], study: Study) -> None:
    blocked = "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('blocked', 'SecurityError'); } })"
    page = visit(script=blocked)
    assert "This browser keeps nothing" in page.inner_text("main")
    assert take(page, study, limit=2) == 2
    assert page.inner_text("#where") == "Part 1 of 3 · 3 of 7"
    assert "This browser keeps nothing" in page.inner_text("main")


@pytest.mark.browser
def test_by_touch_on_a_phone_in_the_dark(visit: Callable[..., Page], faults: Callable[[Page], list[str]], study: Study) -> None:
    width = 360
    page = visit(width=width, color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 23, 26)"
    page.keyboard.press("Enter")
    seen = set()
    for _ in range(60):
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.locator("img:not([alt]), img[alt='']").count() == 0
        form = page.locator("form.task")
        if page.locator("#save").count():
            break
        if not form.count():
            page.click(".main")
            continue
        kind = form.get_attribute("class").split()[1]  # type: ignore[union-attr]
        if kind not in seen:
            assert faults(page) == []
        seen.add(kind)
        assert page.is_disabled("form button[type=submit]")
        targets = page.eval_on_selector_all(
            ".choice, form button", "all => all.map(e => e.getBoundingClientRect()).map(r => Math.min(r.width, r.height))"
        )
        assert min(targets) >= 44  # a finger's width
        if kind == "name":
            page.click("text=Nothing in common")
        else:
            page.locator(".choice").first.click()
        page.click("form button[type=submit]")
        if page.locator(".feedback:not(:empty)").count():
            page.click("form button[type=submit]")
    assert seen == {"intruder", "name", "preference"}
    answers = kept(page)["answers"]
    assert all(one["nothing"] for one in answers if one["kind"] == "name")


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light")])
def test_results_in_a_browser(
    visit: Callable[..., Page],
    study: Study,
    runs: tuple[Run, Run],
    answer: Answer,
    faults: Callable[[Page], list[str]],
    tmp_path: Path,
    width: int,
    scheme: str,
) -> None:
    simulated = simulate_answers(study.key, color_network(), tmp_path / "simulated.json", runs=runs)
    words = [answer(words=word, prefer=n % 2) for n, word in enumerate(("wing", "a wing", "W" * 60))]
    path = write_results(analyze_answers([*words, simulated], study.key), tmp_path / "results.html")
    page = visit(path, width=width, color_scheme=scheme)
    page.eval_on_selector_all("details", "all => all.forEach(e => e.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.locator("img:not([alt]), img[alt='']").count() == 0
    unnamed = page.eval_on_selector_all("svg", "all => all.filter(e => !e.ariaLabel && !e.ariaHidden).length")
    assert unnamed == 0
    assert faults(page) == []
