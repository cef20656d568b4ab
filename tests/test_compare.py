"""Networks compared: where summaries lie, matches against chance, counts and correlations, and the page."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from benchmarks.made_runs import made_mask
from visual_summaries.classifiers import ViewTransform, view_frame
from visual_summaries.cli import main
from visual_summaries.compare import (
    at_equal_images,
    compare_runs,
    correlate,
    match_runs,
    network_names,
    rarefied,
)
from visual_summaries.compare.matching import box_raster, overlaps
from visual_summaries.errors import RunError
from visual_summaries.pages.comparison import render_comparison, write_comparison
from visual_summaries.results import (
    Accuracy,
    ClassifierInfo,
    Image,
    Member,
    Region,
    Run,
    RunInfo,
    Summary,
    SummaryAnalysis,
    Tag,
    TargetInfo,
)
from visual_summaries.runs.directory import find_runs, save_run
from visual_summaries.settings import preset
from visual_summaries.settings.stages import SummarySettings

if TYPE_CHECKING:
    from playwright.sync_api import Page

#: Height and width of the photographs.
PHOTO = (120, 180)
#: Parts by their boxes in the photographs; they move by 2 pixels from photograph to photograph.
PARTS = {"head": (40, 30, 70, 60), "wing": (80, 40, 120, 70), "tail": (112, 70, 140, 96), "sky": (36, 8, 64, 24)}
COUNT = 8
WHOLE = ViewTransform(size=(60, 90), resize=(60, 90))
CUT = ViewTransform(size=(64, 64), crop_pct=0.8)
NAMES = ("sub/a <b>.png", *(f"{i}.png" for i in range(1, COUNT + 4)))


def make_run(
    network: str,
    parts: list[str],
    transform: ViewTransform = WHOLE,
    *,
    photographs: range = range(COUNT),
    target: str = "jay",
    correct: int = 9,
    importance: float = 0.4,
    extra: tuple[str, ...] = ("head", "wing", "tail", "sky"),
    path: Path | None = None,
) -> Run:
    """Make a run whose k-th summary is the k-th of `parts`; regions of `extra` parts belong to none."""
    frame = view_frame(transform, PHOTO)
    height, width = transform.size
    images, masks, regions = [], [], []
    clusters: dict[str, list[int]] = {part: [] for part in parts}
    for index, photograph in enumerate(photographs):
        evidence = np.zeros((height, width), np.float16)
        for part in dict.fromkeys((*parts, *extra)):
            place = np.array(PARTS[part], float) + 2 * photograph * np.array([1, 0, 1, 0])
            x0, y0, x1, y1 = (int(v) for v in frame.to_view(place[None])[0].round())
            x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
            evidence[y0:y1, x0:x1] = 1
            if part in clusters:
                clusters[part].append(len(regions))
            regions.append(Region(len(regions), index, (x0, y0, x1, y1), np.ones((y1 - y0, x1 - x0), bool), 1.0, 0.5, 0.4, 0.1))
        view = np.full((height, width, 3), 90 + 5 * index, np.uint8)
        images.append(Image(index, NAMES[photograph], f"{photograph:064x}", view, 0.9, 0, PHOTO))
        masks.append(made_mask(evidence, infills=1))
    summaries = []
    for rank, part in enumerate(parts):
        h, w = regions[clusters[part][0]].size
        members = tuple(Member(i, 1.0, 0.5, np.zeros((h, w, 3), np.uint8)) for i in clusters[part])
        summaries.append(Summary(rank, clusters[part][0], members, tuple(clusters[part]), 1.0, importance / (rank + 1)))
    return Run(
        images=tuple(images),
        masks=tuple(masks),
        components=(),
        regions=tuple(regions),
        descriptors=np.zeros((len(regions), 0), np.float32),
        similarity=np.zeros((len(regions),) * 2, np.float32),
        summaries=tuple(summaries),
        rejected=(),
        skipped=(),
        settings=preset("paper"),
        info=RunInfo(
            ClassifierInfo(network, f"{network} weights", transform=transform.to_dict()),
            TargetInfo(0, target),
            Accuracy(correct, 10),
        ),
        path=path,
    )


@pytest.fixture
def pair() -> tuple[Run, Run]:
    """Two networks that see the photographs differently and share two of three parts."""
    return (
        make_run("nets.py:small", ["head", "wing", "sky"]),
        make_run("nets.py:large", ["tail", "wing", "head"], CUT, photographs=range(2, COUNT + 3), correct=10, importance=0.8),
    )


def test_summaries_are_matched_by_where_they_lie_in_the_photographs(pair: tuple[Run, Run]) -> None:
    found = match_runs(*pair)
    assert found.images == COUNT - 2
    assert {(match.a, match.b) for match in found.matches} == {(0, 2), (1, 1)}
    # the same place rounded to the pixels of two views (2 and 2.34 photograph pixels): overlap is high and not 1
    assert all(0.75 < match.overlap <= 1 for match in found.matches)
    assert all(match.chance < 0.6 for match in found.matches)
    assert {(match.a, match.b) for match in found.unmatched} == {(2, 0)}
    assert found.overlaps.shape == (3, 3)


def test_matching_does_not_depend_on_the_order_of_the_runs(pair: tuple[Run, Run]) -> None:
    forth, back = match_runs(*pair), match_runs(*pair[::-1])
    assert np.allclose(forth.overlaps, back.overlaps.T)
    assert {(m.a, m.b) for m in forth.matches} == {(m.b, m.a) for m in back.matches}


def test_random_summaries_are_seldom_matched() -> None:
    rng = np.random.default_rng(0)
    matched = trials = 0
    for _ in range(25):
        runs = []
        for network in ("a", "b"):
            run = make_run(network, [])
            groups = [[int(rng.integers(4)) + 4 * image for image in range(COUNT)] for _ in range(2)]
            warped = np.zeros((3, 3, 3), np.uint8)
            members = [tuple(Member(i, 1.0, 0.5, warped) for i in group) for group in groups]
            runs.append(
                replace(
                    run,
                    summaries=tuple(
                        Summary(k, g[0], m, tuple(g), 1.0, 0.1) for k, (g, m) in enumerate(zip(groups, members, strict=True))
                    ),
                )
            )
        matched += len(match_runs(*runs, draws=60).matches)
        trials += 2
    assert matched / trials < 0.15  # at most 0.05 expected; 0.15 is over three standard errors above


def test_box_rasters_and_overlaps_are_those_of_the_boxes() -> None:
    a, b = np.array([0.25, 0.0, 0.75, 0.5]), np.array([0.5, 0.25, 1.0, 0.75])
    first, second = (box_raster(box).ravel()[None].astype(np.float32) for box in (a, b))
    assert overlaps(first, second)[0, 0] == pytest.approx(0.0625 / (0.25 + 0.25 - 0.0625))
    assert overlaps(first, first)[0, 0] == 1


def test_parts_are_joined_over_three_networks(pair: tuple[Run, Run]) -> None:
    third = make_run("nets.py:third", ["wing"], CUT)
    [group] = compare_runs([*pair, third]).classes
    assert [(len(part.uses), [(use.run, use.summary) for use in part.uses]) for part in group.parts] == [
        (3, [(0, 1), (1, 1), (2, 0)]),
        (2, [(0, 0), (1, 2)]),
        (1, [(0, 2)]),
        (1, [(1, 0)]),
    ]
    assert group.parts[1].uses[1].importance == pytest.approx(0.8 / 3)
    assert group.parts[1].uses[0].coverage == 1


def test_a_part_takes_the_name_of_a_summary_and_the_figures_of_its_analysis(pair: tuple[Run, Run]) -> None:
    ones = np.ones(2, np.float32)
    analysis = SummaryAnalysis(np.array([0, 1]), 0.5 * ones, 0.1 * ones, (0.2, 0.6), 1.0, stability=0.4)
    first = replace(
        pair[0],
        summaries=tuple(replace(s, analysis=analysis, tag=Tag(f"name {s.index}", 0.99, False)) for s in pair[0].summaries),
    )
    comparison = compare_runs([first, pair[1]])
    part = next(part for part in comparison.classes[0].parts if part.uses[0].summary == 1 and len(part.uses) == 2)
    assert part.name == "name 1"
    assert part.uses[0].above_control == pytest.approx(0.4)
    assert (part.uses[0].low, part.uses[0].high) == (0.2, 0.6)
    assert part.uses[1].above_control is None
    assert comparison.counts[0].stable == {0.0: 3, 0.25: 3, 0.5: 0, 0.75: 0}
    assert comparison.counts[1].stable == {}


def test_runs_that_cannot_be_compared(pair: tuple[Run, Run]) -> None:
    with pytest.raises(RunError, match="two or more"):
        compare_runs(pair[:1])
    with pytest.raises(RunError, match="give each network once"):
        compare_runs([pair[0], pair[0]])
    with pytest.raises(RunError, match="have no image in common"):
        compare_runs([pair[0], make_run("b", ["head"], photographs=range(COUNT, COUNT + 3))])
    old = replace(pair[1], images=tuple(replace(image, size=None) for image in pair[1].images))
    with pytest.raises(RunError, match="--resume"):
        compare_runs([pair[0], old])


def test_one_network_before_and_after_training_is_told_apart_by_its_folders() -> None:
    before = make_run("nets.py:net", ["head"], path=Path("runs/before"))
    after = make_run("nets.py:net", ["head"], path=Path("runs/after"))
    after = replace(after, info=replace(after.info, classifier=replace(after.info.classifier, weights_sha256="x")))
    other = make_run("elsewhere/nets.py:other", ["head"])
    assert network_names([before, after, other]) == ("nets.py:net (before)", "nets.py:net (after)", "nets.py:other")


@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.integers(6, 8), st.integers(2, 6), st.integers(1, 3))
def test_rarefaction_is_the_mean_over_all_subsets(presence: list[int], total: int, drawn: int, at_least: int) -> None:
    # summary s lies in images 0 .. presence[s] - 1: where they lie does not matter for the mean
    counts = [
        sum(sum(image < k for image in subset) >= at_least for k in presence)
        for subset in itertools.combinations(range(total), drawn)
    ]
    assert rarefied(presence, total, drawn, at_least) == pytest.approx(np.mean(counts))


def test_equal_numbers_of_images(pair: tuple[Run, Run]) -> None:
    first, second = compare_runs(pair).counts
    assert (first.equal_images, second.equal_images) == (8, 8)
    assert first.at_equal == pytest.approx(3)
    assert second.at_equal == pytest.approx(rarefied([9, 9, 9], 9, 8, 2))


def test_equal_numbers_of_images_ask_for_the_share_of_images_that_the_run_asks_for() -> None:
    half = SummarySettings(min_members=2, min_coverage=0.5)
    # four of eight images: a summary must be in two; one in three images is, in half of the draws: (3 * 10 + 1 * 5) / 70
    assert at_equal_images([8, 3], 8, 8, 4, half) == pytest.approx(1.5)
    # all eight: it must be in four, as in the run itself, which would not have kept the second
    assert at_equal_images([8, 3], 8, 8, 8, half) == pytest.approx(1)
    # where six of eight images have regions, three of all six will do
    assert at_equal_images([6, 3], 8, 6, 8, half) == pytest.approx(2)


def test_spearman_is_scipys_and_its_interval_covers_it() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=30)
    y = x + rng.normal(size=30)
    found = correlate(x.tolist(), y.tolist())
    assert found.rho == pytest.approx(spearmanr(x, y).statistic)
    assert found.low < found.rho < found.high < 1


def test_differences_between_groups_do_not_count_within_them() -> None:
    # in each of four groups y falls with x, and groups of larger x have larger y
    x = [10.0 * g + i for g in range(4) for i in range(5)]
    y = [10.0 * g - i for g in range(4) for i in range(5)]
    groups = [str(g) for g in range(4) for _ in range(5)]
    assert correlate(x, y).rho > 0.7
    within = correlate(x, y, groups)
    assert within.rho == pytest.approx(-1)
    assert (within.low, within.high) == (pytest.approx(-1), pytest.approx(-1))


def test_few_or_constant_points_have_no_correlation_to_tell() -> None:
    assert math.isnan(correlate([1, 2], [1, 2]).rho)
    constant = correlate([1, 2, 3, 4], [5, 5, 5, 5])
    assert math.isnan(constant.rho)
    assert constant.degenerate == 1
    assert math.isnan(correlate([1, 2, 1, 2], [1, 2, 1, 2], ["a", "a", "b", "b"]).low)  # two groups cannot be resampled


def several_classes() -> list[Run]:
    parts = ["head", "wing", "tail", "sky"]
    return [
        make_run(
            f"nets.py:{network} & co", parts[: 1 + rank], CUT if rank % 2 else WHOLE, target=target, correct=5 + rank + shift
        )
        for shift, target in enumerate(["jay", "<i>crow</i>"])
        for rank, network in enumerate(["one", "two", "three"])
    ]


def test_the_page_and_the_json_of_two_classes_and_three_networks(tmp_path: Path) -> None:
    comparison = compare_runs(several_classes())
    assert comparison.correlations["summaries"]["within"].rho == pytest.approx(1)
    page = write_comparison(comparison, tmp_path / "out")
    data = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert [run["summaries"] for run in data["runs"]] == [1, 2, 3, 1, 2, 3]
    assert data["classes"][0]["parts"][0]["uses"][0] == {
        "run": 0,
        "summary": 1,
        "importance": 0.4,
        "above_control": None,
        "low": None,
        "high": None,
        "coverage": 1.0,
    }
    assert set(data["correlations"]) == {"summaries", "at_equal"}
    text = page.read_text(encoding="utf-8")
    assert "All 3 networks use 1 part. Used by one alone: 1 part by nets.py:three &amp; co." in text
    assert "&lt;i&gt;crow&lt;/i&gt;" in text
    assert "<i>crow" not in text
    assert "script-src &#39;none&#39;" in text
    assert "<script" not in text
    assert text.count('class="mark') == 6


def test_a_class_of_one_network_is_counted_only(pair: tuple[Run, Run]) -> None:
    lonely = make_run("nets.py:small", ["head"], target="crow")
    comparison = compare_runs([*pair, lonely])
    assert comparison.classes[1].pairs == ()
    assert "Only nets.py:small was run on this class" in render_comparison(comparison)


def test_networks_that_share_nothing() -> None:
    shown = render_comparison(compare_runs([make_run("nets.py:small", ["head"]), make_run("nets.py:large", ["tail"])]))
    assert "No part beats its control in both networks. Used by one alone: 1 part by nets.py:small and 1 part by" in shown


def test_the_command(pair: tuple[Run, Run], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name, run in zip(("small", "large"), pair, strict=True):
        save_run(run, tmp_path / "runs" / name)
    (tmp_path / "runs" / "large" / "inside").mkdir()
    (tmp_path / "runs" / "large" / "inside" / "manifest.json").write_text("{}")  # kept by the run, no run itself
    assert [path.name for path in find_runs([tmp_path / "runs", tmp_path / "runs" / "small"])] == ["large", "small"]
    assert main(["compare", str(tmp_path / "runs"), "--out", str(tmp_path / "out"), "--quiet"]) == 0
    printed = capfd.readouterr().out
    assert "jay: Both networks use 2 parts." in printed
    assert "nets.py:large summary 2, importance 40 %; nets.py:small summary 2, importance 20 %" in printed.replace(
        "\u00a0", " "
    )
    small = str(tmp_path / "runs" / "small")
    assert main(["compare", small, str(tmp_path / "runs" / "large"), "--out", str(tmp_path / "out"), "--json", "--quiet"]) == 0
    assert json.loads(capfd.readouterr().out)["page"] == str(tmp_path / "out" / "comparison.html")
    assert main(["compare", small, "--out", str(tmp_path / "out")]) == 6
    assert main(["compare", str(tmp_path / "out"), "--out", str(tmp_path / "out")]) == 6
    assert "holds no complete run" in capfd.readouterr().err


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (360, "light")])
def test_in_a_browser_it_fits_and_asks_for_nothing(
    watched: Callable[..., Page], faults: Callable[[Page], list[str]], tmp_path: Path, width: int, scheme: str
) -> None:
    page = watched(write_comparison(compare_runs(several_classes()), tmp_path), width=width, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 23, 26)"
    assert dark == (scheme == "dark")
    # photographs stand under each other: the columns of two strips of one part are the same
    lefts = [
        [round(box["x"]) for tile in use.locator(".tiles li").all() if (box := tile.bounding_box())]
        for use in page.locator(".part").first.locator(".use").all()
    ]
    assert len(lefts) == 3
    assert lefts[0] == lefts[1] == lefts[2]
    assert faults(page) == []
