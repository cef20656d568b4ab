"""The page: what it says and what it escapes; test_report_browser.py has its controls."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from scipy.stats import spearmanr

from benchmarks.made_runs import NAMES, NAN, made_mask, make_run
from drawn_runs import Reader, analyzed, make_divided_run
from visual_summaries.errors import RunError
from visual_summaries.masks.seen import infill_of
from visual_summaries.pages import images, region_map, words
from visual_summaries.pages.findings import INFILLS
from visual_summaries.pages.region_map import distances, layout, layout_by_distances
from visual_summaries.pages.report import render_page, write_report
from visual_summaries.pages.summaries import summary_line
from visual_summaries.pages.words import score_text
from visual_summaries.results import Faithfulness, Run, RunInfo, Tag
from visual_summaries.settings import preset

if TYPE_CHECKING:
    pass


@pytest.fixture(scope="module")
def run() -> Run:
    return make_run()


@pytest.fixture(scope="module")
def page_text(run: Run) -> str:
    return render_page(run)


@pytest.fixture(scope="module")
def reader(page_text: str) -> Reader:
    return Reader(page_text)


def test_awkward_names_are_text(page_text: str, reader: Reader) -> None:
    assert [a.get("type") for tag, a in reader.tags if tag == "script"] == [None, "application/json", None]  # ours
    assert all(not name.startswith("on") for _, attributes in reader.tags for name in attributes)
    assert "robin <script>alert(1)</script>" in reader.text
    assert "ends after <b>312</b> bytes" in reader.text
    assert NAMES[1] in reader.text
    assert NAMES[4] in reader.text  # a template's own signs are not run
    assert "bytes ?.png" in reader.text
    page_text.encode()  # can be written


def test_nothing_is_requested(page_text: str, reader: Reader) -> None:
    for tag, attributes in reader.tags:
        for name in ("src", "href", "srcset", "action", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, name, value)
        assert "style" not in attributes  # the policy would refuse it
    assert "url(" not in "".join(reader.raw["style"])
    assert not re.search(r"\b(fetch|XMLHttpRequest|import|innerHTML|eval)\b", "".join(reader.raw["script"]))


def test_policy_names_the_very_styles_and_scripts(reader: Reader) -> None:
    [policy] = [a["content"] for tag, a in reader.tags if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    directives = dict(part.split(" ", 1) for part in policy.split("; "))
    assert directives["default-src"] == "'none'"
    assert directives["img-src"] == "data:"

    def hashes(texts: list[str]) -> str:
        return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in texts)

    assert directives["style-src"] == hashes(reader.raw["style"])
    assert directives["script-src"] == hashes(reader.raw["script"])
    assert "unsafe" not in policy


def test_first_screen_says_it_all(reader: Reader) -> None:
    assert "sees the class in 5 of 6 images (83 %)" in reader.flat
    assert (
        "The network looks again and again at summary 1 and summary 2 to see “robin <script>alert(1)</script>”" in reader.flat
    )
    assert (
        "Hiding the evidence found here takes the score of “robin <script>alert(1)</script>” from 0.90 to 0.01. "
        "2 visual summaries; the most important covers 6 of 6 images." in reader.flat
    )
    assert "Found in 5 of 6 images (83 %). What hiding it does to the score was not measured." in reader.flat
    assert "takes 43 % off the score" in reader.flat


def test_images_from_a_folder_are_named_by_it(run: Run) -> None:
    shown = {
        source: Reader(render_page(replace(run, info=replace(run.info, source=source)))).flat for source in ("wrens", "list")
    }
    assert [" images: wrens" in shown["wrens"], " images: list" in shown["list"]] == [True, False]


def test_names_stand_beside_their_numbers_and_are_text(run: Run) -> None:
    tags = (Tag("<b>left</b> wing", 0.987, by_hand=False), Tag("my name", NAN, by_hand=True))
    named = replace(run, summaries=tuple(replace(s, tag=tag) for s, tag in zip(run.summaries, tags, strict=True)))
    reader = Reader(render_page(named))
    assert "Summary 1: <b>left</b> wing Its name: named by tags, confidence 0.99." in reader.flat
    assert "Summary 2: my name Its name: named by hand." in reader.flat
    assert "Its name" not in Reader(render_page(run)).flat


def test_each_image_is_embedded_once(page_text: str) -> None:
    uris = re.findall(r"data:image/webp;base64,[A-Za-z0-9+/=]+", page_text)
    # views, smooth and sharp masks, views without their evidence, cards, warped members: nothing twice
    assert len(uris) == 6 + 6 + 6 + 6 + 2 + 6 + 5
    assert len(set(uris)) >= len(uris) - 4 - 4  # some discs lie alike, so their masks are the same


def test_skipped_images_are_counted_with_reasons(reader: Reader) -> None:
    assert "2 the network sees another class" in reader.flat
    assert "1 the file is cut short" in reader.flat
    assert "3 images set aside" in reader.flat


def test_warnings(reader: Reader) -> None:
    assert "1 image: the mask does not halve the score" in reader.flat
    assert "1 image: hiding all of the image leaves more than half of the score" in reader.flat
    assert "of the image: the mask hides" not in reader.flat


def test_every_warning_of_a_mask_has_words(run: Run) -> None:
    mask = made_mask(np.ones((10, 20), np.float16), 0.8, 0.7, 0.7)
    assert set(mask.warnings) == set(images.WARNINGS)
    warned = replace(run, images=run.images[:2], masks=(mask, mask))
    assert [[index for index, _ in group["images"]] for group in images.warning_groups(warned)] == [[0, 1]] * 3


def test_regions_are_data_too(run: Run, reader: Reader) -> None:
    [text] = reader.raw["json"]
    data = json.loads(text)
    rows = data["rows"]
    assert set(data["places"]) == {"neighbors", "distances"}
    assert all(len(places) == 18 for places in data["places"].values())
    assert [row["region"] for row in rows] == list(range(18))
    assert rows[4]["box"] == list(run.regions[4].box)
    assert [row["summary"] for row in rows[:3]] == [1, 2, None]
    assert [row["rejected"] for row in rows[:3]] == [False, False, True]
    assert rows[0]["name"] == NAMES[0]
    assert "<" not in text  # no name can end the script


def test_too_few_regions_for_a_map(run: Run) -> None:
    few = replace(run, regions=run.regions[:4], similarity=run.similarity[:4, :4], summaries=(), rejected=())
    assert 'id="map"' not in render_page(few)
    with pytest.raises(ValueError, match="4 regions make no map: 5 are needed"):
        layout(few.similarity)


def test_no_map_by_distances_of_too_many_regions(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(region_map, "MOST", 17)
    page = render_page(run)
    assert 'id="map"' in page
    assert 'id="kinds"' not in page


def test_distances_of_a_plane_are_kept() -> None:
    """Points of a plane, more alike the nearer they are: scaling brings back which pairs are far apart."""
    points = np.random.default_rng(0).uniform(size=(20, 2))
    apart = np.linalg.norm(points[:, None] - points, axis=2) / np.sqrt(2)
    assert np.allclose(distances(1 - apart), apart, atol=1e-6)
    places = layout_by_distances(distances(1 - apart))
    pairs = np.triu_indices(20, 1)
    assert spearmanr(np.linalg.norm(places[:, None] - places, axis=2)[pairs], apart[pairs]).statistic > 0.9


@pytest.mark.parametrize("place", [lambda s: layout(s, random_state=3), layout_by_distances])
def test_map_puts_similar_regions_together(run: Run, place: Callable[[np.ndarray], np.ndarray]) -> None:
    apart = distances(run.similarity)
    places = place(apart)
    assert np.array_equal(places, place(apart))
    assert places.min() == 0
    assert places.max() == 1
    spans = np.linalg.norm(places[:, None] - places[None], axis=2)
    nearest = (spans + 9 * np.eye(len(places))).argmin(axis=1)
    assert (nearest % 3 == np.arange(len(places)) % 3).mean() >= 0.9


def test_map_of_regions_without_any_similarity() -> None:
    apart = distances(np.zeros((7, 7), np.float32))
    assert np.array_equal(apart, 1 - np.eye(7, dtype=np.float32))
    assert np.isfinite(layout(apart)).all()
    assert np.isfinite(layout_by_distances(apart)).all()


def test_settings_versions_and_timings(run: Run, reader: Reader) -> None:
    for row in (
        f"clusters.preference_factor {run.settings.clusters.preference_factor}",
        f"masks.smooth.iterations {run.settings.masks.smooth.iterations}",
        "python 3.11",
        "masks 1.2 s",
        "random_state 0",
    ):
        assert row in reader.flat
    assert "transform.crop_pct 1.0" in reader.flat


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"regions": (), "rejected": ()}, "No proposed box is evidence over more than 75 % of its area."),
        ({}, "the members of every cluster (1) look too unlike each other: their quality is under"),
        ({"rejected": ()}, "18 regions were compared, but no group of them comes from 2 images or more."),
        ({"settings": preset("default")}, "the members of every cluster (1) hardly beat their control."),
        ({"settings": preset("default"), "rejected": ()}, "comes from 3 images or more and from 15 % of all."),
    ],
)
def test_no_summary_says_why(run: Run, change: dict[str, Any], reason: str) -> None:
    shown = Reader(render_page(replace(run, summaries=(), **change)))
    assert "No visual summary" in shown.flat
    assert reason in shown.flat


def test_near_copies_are_pointed_out(run: Run) -> None:
    assert "nearly a copy" not in Reader(render_page(run)).flat
    images = tuple(replace(image, near=0) if image.index in (2, 3) else image for image in run.images)
    shown = Reader(render_page(replace(run, images=images))).flat
    assert "2 images: nearly a copy of another" in shown
    assert "resampled together" in shown


def test_nothing_may_be_known_of_how_a_run_was_made(run: Run) -> None:
    shown = Reader(render_page(replace(run, info=RunInfo(), skipped=())))
    assert "the target" in shown.flat
    assert "unknown network" in shown.flat
    assert "None: every image that was found is used." in shown.flat


def test_faithfulness_beside_its_control(run: Run, reader: Reader) -> None:
    assert "Do the masks hold?" not in reader.flat
    found = measured(run)
    shown = Reader(render_page(replace(run, faithfulness=found)))
    assert "Score lost when the evidence is hidden (high is good) 90 % 20 %" in shown.flat
    assert "The same in the worst infill 70 % Score lost when nothing but the evidence is shown" in shown.flat
    assert "nothing but the evidence is shown (low is good) 20 % 80 % The same in the worst infill 40 %" in shown.flat
    assert "strongest evidence first (low is good) 0.50 0.75" in shown.flat
    assert "Effect kept when the mask is shifted by 2 % of the side (high is good) 90 %" in shown.flat
    assert "Effect kept when its outline is smoothed (high is good) 80 %" in shown.flat
    assert "Effect kept in infills that no mask was optimized under (high is good) 70 %" in shown.flat
    assert set(images.FAITHFULNESS) | {"holds"} <= set(found.figures())


def test_masks_without_effect_have_no_figures_of_holding(run: Run) -> None:
    found = measured(run)
    none = replace(found, holds=np.full_like(found.holds, NAN))
    shown = Reader(render_page(replace(run, faithfulness=none)))
    assert "Score lost when the evidence is hidden (high is good) 90 % 20 %" in shown.flat
    assert "Effect kept" not in shown.flat
    assert "It keeps" not in shown.flat
    but_one = replace(found, holds=np.where(np.arange(len(found.holds))[:, None] == 2, found.holds, np.float32(NAN)))
    shown = Reader(render_page(replace(run, faithfulness=but_one)))
    assert "Effect kept when its outline is smoothed (high is good) 80 %" in shown.flat
    assert shown.flat.count("It keeps") == 1


def measured(run: Run) -> Faithfulness:
    """The same figures for each image, in two infills."""

    def of_each(values: object) -> np.ndarray:
        return np.repeat(np.array([values], np.float32), len(run.images), axis=0)

    curve = of_each([[1.0, 0.0], [1.0, 0.5]])
    after, shown, moved, holds = (of_each(row) for row in ([-0.1, 0.3], [1.0, 0.6], [0.8, 0.2], [0.9, 0.8, 0.7]))
    return Faithfulness(curve, 1 - curve, after, shown, moved, holds, of_each(1.0), of_each(0.3))


def in_two_ways(run: Run) -> Run:
    """The same run, with pixels hidden in two ways; the second leaves 0.3 of the score of each mask, of the first image all."""
    after = np.array([0.1, 0.3], np.float32)
    masks = tuple(
        replace(mask, after=after if index else np.array([0.0, 0.9], np.float32), hidden=np.full(2, 0.05, np.float32))
        for index, mask in enumerate(run.masks)
    )
    settings = replace(run.settings, masks=replace(run.settings.masks, infill="mean+noise"))
    return replace(run, masks=masks, settings=settings, faithfulness=measured(run))


def test_the_worst_way_of_hiding_and_whether_a_mask_holds_are_said(run: Run, reader: Reader) -> None:
    shown = Reader(render_page(in_two_ways(run))).flat
    area = words.percent(run.masks[1].area).replace("\N{NO-BREAK SPACE}", " ")
    holds = (
        "It keeps 90 % of this effect when it is shifted by 2 % of the side, 80 % when its outline is smoothed, and 70 % in"
        " infills that it was not optimized under."
    )
    hiding = f"Hiding the evidence, {area} of the image, takes"

    def of_all(share: int) -> str:
        return f"{share} % of what hiding everything takes"

    assert f"{hiding} 78 % off the score ({of_all(82)}) on average over 2 infills; the worst leaves 0.30. {holds}" in shown
    assert f"{hiding} 50 % off the score ({of_all(53)}) on average over 2 infills; the worst leaves 0.90. {holds}" in shown
    assert shown.count("the worst leaves 0.30") == 5
    assert shown.count(holds) == 6
    # One way has no worst one, and what was not measured is not said.
    assert f"{hiding} 99 % off the score ({of_all(111)}). " in reader.flat
    assert "the worst leaves" not in reader.flat
    assert "It keeps" not in reader.flat


def test_scores_of_an_image_are_means_over_the_ways_of_hiding(run: Run, reader: Reader) -> None:
    shown = Reader(render_page(in_two_ways(run))).flat
    assert shown.count("as it is 0.90 evidence hidden 0.20 everything hidden 0.05 only the evidence shown 0.80") == 5
    assert shown.count("as it is 0.90 evidence hidden 0.45 everything hidden 0.05 only the evidence shown 0.80") == 1
    assert "as it is 0.90 evidence hidden 0.01 everything hidden 0.10" in reader.flat
    assert "only the evidence shown" not in reader.flat


def test_the_evidence_is_hidden_as_the_network_sees_it(run: Run) -> None:
    """In each image by the infill that it decides itself, named, with the score that was measured with just this one."""
    two = in_two_ways(run)
    page = render_page(two)
    pictures = re.findall(r'<image id="h\d+"[^>]* href="data:image/webp;base64,([^"]+)"', page)
    named = re.findall(r"Evidence hidden by ([^<]+)<", page)
    ways = [infill_of(image.view, two.settings.masks) for image in two.images]
    assert named == [INFILLS.get(way, way) for way in ways]
    assert set(ways) == {"mean", "noise"}
    for data, image, way in zip(pictures, two.images, ways, strict=True):
        picture = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)[..., ::-1].astype(float)
        spread = np.abs(picture - image.view.mean(axis=(0, 1))).mean()
        assert spread < 6 if way == "mean" else spread > 24
    for index, (mask, way) in enumerate(zip(two.masks, ways, strict=True)):
        own = mask.after[["mean", "noise"].index(way)]
        assert f"hidden by {INFILLS.get(way, way)}: score <b>{score_text(float(own))}</b>" in page, index


def test_ways_that_were_left_out_are_named() -> None:
    left = {"mean": 0.02, "noise": 0.05, "strong-blur": 0.4, "inpaint": 0.123}
    whole = make_divided_run()
    two = in_two_ways(whole)
    shown = Reader(render_page(replace(two, info=replace(two.info, left_when_hidden=left)))).flat
    assert (
        "Left out, because hiding everything with these infills leaves more than a tenth of the score: strong blur (40 %),"
        " inpainting (12 %)." in shown
    )
    odd = render_page(replace(two, info=replace(two.info, left_when_hidden={"a\udcff<b>": 0.5})))
    odd.encode()  # can be written
    assert "more than a tenth of the score: a?<b> (50 %)." in Reader(odd).flat
    kept = {way: left[way] for way in ("mean", "noise")}
    for info in (two.info, replace(two.info, left_when_hidden=kept)):
        assert "Left out" not in Reader(render_page(replace(two, info=info))).flat
    assert "Left out" not in Reader(render_page(replace(whole, info=replace(whole.info, left_when_hidden=left)))).flat


def test_importance_stands_beside_its_control_and_doubts_are_marked(run: Run) -> None:
    text = Reader(render_page(analyzed(run))).flat
    assert "It accounts for 40 % of the score there, the same pixels elsewhere on the object for 2 %." in text
    assert "It beats its control (95 % interval of the difference: 30 to 45 %)." in text
    assert "It does not beat its control (95 % interval of the difference: −10 to 5 %): do not build on it." in text
    assert text.count("not above control") == 1
    assert "Stability 80 %: how much of this part is found again when the images are resampled." in text
    assert "Stability only 20 %: when the images are resampled, little of this part is found again." in text
    assert "relies perhaps, on weak evidence, on summary 1 (38 % of the score)." in text


def test_joint_effects_and_chance_in_words(run: Run) -> None:
    text = Reader(render_page(analyzed(run))).flat
    assert "All summaries together take off 70 % of the score, all evidence of the masks 98 %" in text
    assert (
        "Showing nothing but summary 1 brings nearly as much of the score as all evidence does (90 %; nothing at all: 0 %)."
        in text
    )
    assert "the same steps find 1 groups" not in text
    assert "the same steps find 1 group (here: 2)" in text
    assert (
        "4.0 times less similar. 1 of 3 random moves made groups as similar as these."
        " Caution: these summaries could be chance (p = 0.50, above 0.05)." in text
    )
    assert "Mean score: 0.53 by importance, 0.63 in random order." in text
    assert "Together" not in Reader(render_page(run)).flat


def test_a_line_for_the_terminal(run: Run) -> None:
    found = analyzed(run)
    assert summary_line(found, found.summaries[0]) == (
        "importance 40 % (same pixels elsewhere 2 %), in 6 of 6 images, stability 80 %, quality 1.25"
    )
    assert summary_line(found, found.summaries[1]).endswith("stability 20 %, quality 1.00; NOT ABOVE CONTROL; NOT REPRODUCIBLE")
    assert (
        summary_line(run, run.summaries[0]) == "in 6 of 6 images, quality 1.25, hiding one takes 43 % of the score on average"
    )


def test_masks_that_find_little_are_not_called_evidence(run: Run) -> None:
    masks = tuple(replace(mask, after=np.full_like(mask.after, 0.7)) for mask in run.masks)
    assert "only from 0.90 to 0.70: the masks miss much" in Reader(render_page(replace(run, masks=masks))).flat


def test_same_run_same_page(run: Run, page_text: str) -> None:
    assert render_page(run) == page_text


def test_written_where_asked(run: Run, page_text: str, tmp_path: Path) -> None:
    path = write_report(run, tmp_path / "deep" / "page.html")
    assert path.read_text(encoding="utf-8") == page_text
    assert [file.name for file in path.parent.iterdir()] == ["page.html"]  # no temporary file stays


def test_written_into_the_runs_folder(run: Run, page_text: str, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("old")
    path = replace(run, path=tmp_path).report()
    assert path == tmp_path / "report.html"
    assert path.read_text(encoding="utf-8") == page_text


def test_no_path_is_an_error(run: Run) -> None:
    with pytest.raises(RunError, match=r"not stored in a folder, so give the report a path: run\.report\('report\.html'\)"):
        write_report(run)


def test_a_folder_is_no_path(run: Run, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is a folder, but the report is one file"):
        write_report(run, tmp_path)


def _themes() -> dict[str, dict[str, str]]:
    css = (Path(words.__file__).parent / "templates" / "base.css").read_text(encoding="utf-8")
    blocks = re.findall(r"color-scheme: (light|dark);([^}]*)}", css)
    found = [(name, dict(re.findall(r"--([a-z]+): (#[0-9a-f]{3,6});", body))) for name, body in blocks]
    assert [name for name, _ in found] == ["light", "dark", "dark"]
    assert found[1] == found[2]  # chosen by the system or by the button, dark is dark
    return dict(found)


def _contrast(first: str, second: str) -> float:
    """WCAG 2 contrast ratio of two colors."""

    def luminance(color: str) -> float:
        digits = color[1:] if len(color) == 7 else "".join(c * 2 for c in color[1:])
        channels = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast_is_aa(theme: str) -> None:
    assert _contrast("#000", "#ffffff") == pytest.approx(21)
    colors = _themes()[theme]
    for text in ("ink", "soft", "accent", "warn"):
        for ground in ("bg", "card", "tint"):
            assert _contrast(colors[text], colors[ground]) >= 4.5, (text, ground)
    assert _contrast(colors["bg"], colors["accent"]) >= 4.5  # the chosen switch
    assert _contrast(colors["accent"], colors["rail"]) >= 3  # bars


def test_hundred_images_stay_under_15_mb() -> None:
    """A hundred images with noise over every pixel: harder to compress than any photograph."""
    assert len(render_page(make_run(100, (224, 250), texture=60)).encode()) < 15e6
