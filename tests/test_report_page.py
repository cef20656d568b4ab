"""The page: what it says, what it escapes, and every control of it in a browser."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import cv2
import numpy as np
import pytest

from visual_summaries.errors import RunError
from visual_summaries.report import render_page, words, write_report
from visual_summaries.report.findings import summary_line
from visual_summaries.report.layout import distances, layout
from visual_summaries.results import (
    Chance,
    Faithfulness,
    Image,
    JointEffects,
    Mask,
    Member,
    Region,
    Run,
    RunAnalysis,
    Skipped,
    Summary,
    SummaryAnalysis,
    Tag,
)
from visual_summaries.settings import Settings, preset

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SCRIPT = "<script>alert(1)</script>"
NAMES = (
    f"{SCRIPT}.png",
    "smile \N{GRINNING FACE} \"double\" & 'single'.jpg",
    "bytes \udcff.png",
    '"><img src=x onerror=alert(1)>.png',
    "{{ 7 * 7 }}{% raw %}.png",
    "sub/ordinary.png",
)
NAN = float("nan")


def make_run(count: int = 6, size: tuple[int, int] = (48, 64), texture: int = 30) -> Run:
    """Draw a run: two discs of evidence in each image; the left are summary 1, the right summary 2; one cluster is rejected."""
    rng = np.random.default_rng(0)
    height, width = size
    rows, columns = np.mgrid[:height, :width]
    unit = height / 48
    images, masks, regions = [], [], []
    for index in range(count):
        view = np.stack([rows * 255 // height, columns * 255 // width, np.full(size, 40 + 150 * index // count)], axis=2)
        view = (view + rng.integers(0, texture, view.shape)).clip(0, 255).astype(np.uint8)
        evidence = np.zeros(size)
        boxes = []
        for x, y in ((16, 20 + index % 4), (44, 26 - index % 3)):
            evidence[(columns - x * unit) ** 2 + (rows - y * unit) ** 2 < (9 * unit) ** 2] = 1
            boxes.append(tuple(round(v * unit) for v in (x - 7, y - 7, x + 7, y + 7)))
        boxes.append(tuple(round(v * unit) for v in (12, 14, 22, 24)))
        smooth = cv2.GaussianBlur(evidence, (0, 0), 3 * unit)
        images.append(Image(index, NAMES[index % len(NAMES)], "0" * 64, view, 0.9, 0 if index else 1))
        after = 0.8 if index == 1 else 0.01
        blurred = 0.6 if index == 2 else 0.1
        masks.append(
            Mask(smooth.astype(np.float16), evidence.astype(np.float16), None, 0.9, after, blurred, np.ones(3, np.float32))
        )
        for box in boxes:
            x0, y0, x1, y1 = box
            inside = evidence[y0:y1, x0:x1] > 0.5
            regions.append(Region(len(regions), index, box, inside, float(inside.mean()), 0.6, 0.4, 0.2))

    def summary(rank: int, part: int, score: float, importance: float) -> Summary:
        cluster = tuple(range(part, 3 * count, 3))[: count if part == 0 else count - 1]
        h, w = regions[part].size
        members = []
        for number, region in enumerate(cluster[:10]):
            x0, y0, x1, y1 = regions[region].box
            patch = cv2.resize(images[regions[region].image].view[y0:y1, x0:x1], (w, h))
            members.append(Member(region, 2.5 - 0.1 * number, NAN if part == 2 else 0.4, patch))
        return Summary(rank, cluster[0], tuple(members), cluster, score, importance)

    parts = np.arange(len(regions)) % 3
    similarity = ((parts[:, None] == parts) * rng.uniform(1, 2, (len(regions),) * 2)).astype(np.float32)
    similarity = np.maximum(similarity, similarity.T)
    np.fill_diagonal(similarity, 0)

    return Run(
        images=tuple(images),
        masks=tuple(masks),
        components=(),
        regions=tuple(regions),
        similarity=similarity,
        summaries=(summary(0, 0, 1.25, 0.43), summary(1, 1, 1.0, NAN)),
        rejected=(summary(0, 2, NAN, -0.02),),
        skipped=(
            Skipped(f"a/{SCRIPT}", "truncated", "ends after <b>312</b> bytes"),
            Skipped("b.png", "misclassified", "seen as collie"),
            Skipped("c.png", "misclassified", "seen as collie"),
        ),
        settings=Settings(),
        manifest={
            "format": 1,
            "complete": True,
            "created": "2026-01-02T03:04:05+00:00",
            "classifier": {
                "spec": f"net.py:{SCRIPT}",
                "input_size": [3, *size],
                "num_classes": 2,
                "transform": {"crop_pct": 1.0},
            },
            "target": {"index": 0, "name": f"robin {SCRIPT}"},
            "predicted": {"0": "robin", "1": "<i>collie</i>"},
            "accuracy": {"correct": count - 1, "total": count},
            "versions": {"python": "3.11"},
            "hardware": {"device": "cpu"},
            "timings": {"masks": 1.25},
            "random_state": 0,
            "preset": "default",
            "source": "photos & more",
        },
    )


class Reader(HTMLParser):
    """Tags with their attributes, the text shown, and the contents of style and script tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.raw: dict[str, list[str]] = {"style": [], "script": [], "json": []}
        self._inside: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = "json" if dict(attrs).get("type") == "application/json" else tag if tag in self.raw else None
        if tag in ("th", "td", "dt", "dd"):
            self.text += " "

    def handle_endtag(self, tag: str) -> None:
        self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.raw[self._inside].append(data)
        else:
            self.text += data

    @property
    def flat(self) -> str:
        """The text with white space joined, no-break spaces as spaces."""
        return " ".join(self.text.split())


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
        "Hiding the evidence found here takes the score of “robin <script>alert(1)</script>” from 0.90 to 0.01. "
        "2 visual summaries; the most important covers 6 of 6 images." in reader.flat
    )
    assert "Found in 5 of 6 images (83 %). What hiding it does to the score was not measured." in reader.flat
    assert "takes 43 % off the score" in reader.flat


def test_names_stand_beside_their_numbers_and_are_text(run: Run) -> None:
    tags = (Tag("<b>left</b> wing", 0.987, by_hand=False), Tag("my name", NAN, by_hand=True))
    named = replace(run, summaries=tuple(replace(s, tag=tag) for s, tag in zip(run.summaries, tags, strict=True)))
    reader = Reader(render_page(named))
    assert "Summary 1: <b>left</b> wing Its name: named by tags, confidence 0.99." in reader.flat
    assert "Summary 2: my name Its name: named by hand." in reader.flat
    assert "Its name" not in Reader(render_page(run)).flat


def test_each_image_is_embedded_once(page_text: str) -> None:
    uris = re.findall(r"data:image/webp;base64,[A-Za-z0-9+/=]+", page_text)
    # views, smooth and sharp masks, cards, warped members
    assert len(uris) == 6 + 6 + 6 + 2 + 6 + 5
    assert len(set(uris)) >= len(uris) - 4 - 4  # some discs lie alike, so their masks are the same


def test_skipped_images_are_counted_with_reasons(reader: Reader) -> None:
    assert "2 the network sees another class" in reader.flat
    assert "1 the file is cut short" in reader.flat
    assert "3 images set aside" in reader.flat


def test_warnings(reader: Reader) -> None:
    assert "1 image: the mask does not halve the score" in reader.flat
    assert "1 image: blurring all of the image leaves more than half of the score" in reader.flat
    assert "of the image: the mask hides" not in reader.flat


def test_every_warning_of_a_mask_has_words() -> None:
    evidence = np.ones((10, 20), np.float16)
    mask = Mask(evidence, evidence, None, 0.8, 0.7, 0.7, np.ones(1, np.float32))
    assert set(mask.warnings) == set(words.WARNINGS)
    assert [positions for _, _, positions in words.warning_groups([mask, mask])] == [[0, 1]] * 3


def test_regions_are_data_too(run: Run, reader: Reader) -> None:
    [text] = reader.raw["json"]
    rows = json.loads(text)
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


def test_map_puts_similar_regions_together(run: Run) -> None:
    places = layout(run.similarity, random_state=3)
    assert np.array_equal(places, layout(run.similarity, random_state=3))
    assert places.min() == 0
    assert places.max() == 1
    spans = np.linalg.norm(places[:, None] - places[None], axis=2)
    nearest = (spans + 9 * np.eye(len(places))).argmin(axis=1)
    assert (nearest % 3 == np.arange(len(places)) % 3).mean() >= 0.9


def test_map_of_regions_without_any_similarity() -> None:
    similarity = np.zeros((7, 7), np.float32)
    assert np.array_equal(distances(similarity), 1 - np.eye(7, dtype=np.float32))
    assert np.isfinite(layout(similarity)).all()


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
        ({"settings": preset("default")}, "the members of every cluster (1) can be hidden with next to no loss."),
        ({"settings": preset("default"), "rejected": ()}, "comes from 2 images or more and from 15 % of all."),
    ],
)
def test_no_summary_says_why(run: Run, change: dict[str, Any], reason: str) -> None:
    shown = Reader(render_page(replace(run, summaries=(), **change)))
    assert "No visual summary" in shown.flat
    assert reason in shown.flat


def test_manifest_may_be_empty(run: Run) -> None:
    shown = Reader(render_page(replace(run, manifest={}, skipped=())))
    assert "the target" in shown.flat
    assert "unknown network" in shown.flat
    assert "None: every image that was found is used." in shown.flat


def test_warnings_of_the_run_are_shown(run: Run) -> None:
    shown = Reader(render_page(replace(run, manifest=run.manifest | {"warnings": ["4 masks <did> not converge"]})))
    assert "4 masks <did> not converge" in shown.flat


def test_counts_of_mask_warnings_are_not_shown_twice(run: Run) -> None:
    shown = Reader(render_page(replace(run, manifest=run.manifest | {"warnings": {"weak": 1, "other": 2}})))
    assert "weak: 1" not in shown.flat
    assert "other: 2" in shown.flat


def test_faithfulness_beside_its_control(run: Run, reader: Reader) -> None:
    assert "Do the masks hold?" not in reader.flat
    curve = np.array([[[1.0, 0.0], [1.0, 0.5]]], np.float32)
    evidence = np.array([[[0.1, 0.9], [0.8, 0.2]]], np.float32)
    one = Faithfulness(curve, 1 - curve, evidence, np.ones(1, np.float32), np.full(1, 0.3, np.float32))
    shown = Reader(render_page(replace(run, faithfulness=one)))
    assert "Score lost when the evidence is hidden (high is good) 90 % 20 %" in shown.flat
    assert "strongest evidence first (low is good) 0.50 0.75" in shown.flat
    assert set(words.FAITHFULNESS) <= set(one.figures())


def analysed(run: Run) -> Run:
    """The same run with what analyses could have found: the first summary is sure, the second is nothing."""
    images = np.arange(4)
    ones = np.ones(4, np.float32)
    sure = SummaryAnalysis(
        images, 0.1 * ones, np.zeros((4, 2, 1), np.float32), 0.4 * ones, 0.02 * ones, (0.3, 0.45), 1.0, 0.5, 0.8
    )
    nothing = replace(sure, shares=0.01 * ones, losses=0.01 * ones, interval=(-0.1, 0.05), stability=0.2)
    curve = np.array([1.0, 0.4, 0.3], np.float32)
    joint = JointEffects((0, 1), curve, 1 - curve, curve[None] + 0.1, 0.9 - curve[None], (0.02, 0.9), (), (0,))
    random = np.array([1, 2, 1])
    chance = Chance(5, 2, 0.5, 0.8, random, random.astype(np.float32), np.array([0.1, 0.9, 0.2], np.float32))
    summaries = tuple(
        replace(summary, importance=found.importance, analysis=found)
        for summary, found in zip(run.summaries, (sure, nothing), strict=True)
    )
    return replace(run, summaries=summaries, analysis=RunAnalysis(joint, chance))


def test_importance_stands_beside_its_control_and_doubts_are_marked(run: Run) -> None:
    text = Reader(render_page(analysed(run))).flat
    assert "It accounts for 40 % of the score there, the same pixels elsewhere on the object for 2 %." in text
    assert "Hidden alone it takes off only 10 %: other evidence makes up for it." in text
    assert "With other images, the difference would be between 30 % and 45 %." in text
    assert "That is not surely more than the same pixels elsewhere (somewhere between −10 % and 5 % of the score)" in text
    assert text.count("not above control") == 1
    assert "only 20 % of this group comes back" in text
    assert "1 of 2 summaries surely matter more than the same pixels elsewhere." in text


def test_joint_effects_and_chance_in_words(run: Run) -> None:
    text = Reader(render_page(analysed(run))).flat
    assert "All summaries together take off 70 % of the score, all evidence of the masks 98 %" in text
    assert "Showing nothing but summary 1 brings nearly as much of the score as all evidence (90 %)." in text
    assert "the same steps find 1 groups" not in text
    assert "the same steps find 1 group (here: 2)" in text
    assert (
        "4.0 times less alike. 1 of 3 random moves made groups as alike as these. So these summaries could be chance." in text
    )
    assert "Mean score: 0.53 by importance, 0.63 in random order." in text
    assert "Together" not in Reader(render_page(run)).flat


def test_a_line_for_the_terminal(run: Run) -> None:
    found = analysed(run)
    assert summary_line(found, found.summaries[0]) == (
        "importance 40% (same pixels elsewhere 2%, alone 10%), in 6 of 6 images, stability 80%, quality 1.25"
    )
    assert summary_line(found, found.summaries[1]).endswith("stability 20%, quality 1.00; NOT ABOVE CONTROL; NOT REPRODUCIBLE")
    assert summary_line(run, run.summaries[0]) == "in 6 of 6 images, quality 1.25, hiding one takes 43% of the score on average"


def test_masks_that_find_little_are_not_called_evidence(run: Run) -> None:
    masks = tuple(replace(mask, score_after=0.7) for mask in run.masks)
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


@pytest.fixture(scope="module")
def large_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred images with noise over every pixel: harder to compress than any photograph."""
    return write_report(make_run(100, (224, 250), texture=60), tmp_path_factory.mktemp("large") / "report.html")


def test_hundred_images_stay_under_15_mb(large_report: Path) -> None:
    assert large_report.stat().st_size < 15e6


def _themes() -> dict[str, dict[str, str]]:
    css = (Path(words.__file__).parent / "templates" / "base.css").read_text(encoding="utf-8")
    blocks = re.findall(r"color-scheme: (light|dark);([^}]*)}", css)
    found = [(name, dict(re.findall(r"--([a-z]+): (#[0-9a-f]{3,6});", body))) for name, body in blocks]
    assert [name for name, _ in found] == ["light", "dark", "dark"]
    assert found[1] == found[2]  # chosen by the system or by the button, dark is dark
    return dict(found)


def _contrast(first: str, second: str) -> float:
    """WCAG 2 contrast ratio of two colours."""

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


# In a browser.

Opener = Callable[..., "Page"]


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed (pip install visual-summaries[test])"
    )
    quiet = [
        "--disable-background-networking",
        "--no-first-run",
        "--disable-component-update",
        "--disable-sync",
        "--disable-quic",
    ]
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu", *quiet])
        yield started
        started.close()


@pytest.fixture(scope="module")
def report(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(run, tmp_path_factory.mktemp("report") / "report.html")


@pytest.fixture
def visit(browser: Browser, report: Path) -> Iterator[Opener]:
    """Opens the report; at the end no console message, error or request may have been seen."""
    contexts, seen = [], []

    def open_page(hash_: str = "", width: int = 1280, height: int = 800, path: Path = report, **options: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: seen.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: seen.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (seen.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: seen.append(request.url) if not request.url.startswith(("file:", "data:")) else None)
        page.goto(path.as_uri() + hash_)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert seen == []


def shown(page: Page, selector: str) -> list[str]:
    """Ids of the elements that can be seen."""
    return page.eval_on_selector_all(selector, "all => all.filter(e => e.checkVisibility()).map(e => e.id)")


def state(page: Page) -> dict[str, str]:
    """The state in the address."""
    return {key: values[0] for key, values in parse_qs(page.url.partition("#")[2]).items()}


@pytest.mark.browser
def test_opens_with_the_first_summary(visit: Opener) -> None:
    page = visit()
    assert shown(page, ".summary") == ["summary-1"]
    assert shown(page, ".image") == []
    # class, sentence and the strip lie on the first screen
    for selector in ("h1", ".headline", ".card.open"):
        box = page.locator(selector).bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 800
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")


@pytest.mark.browser
def test_cards_open_their_summary_and_back_returns(visit: Opener) -> None:
    page = visit()
    page.click(".card >> nth=1")
    assert shown(page, ".summary") == ["summary-2"]
    assert state(page) == {"summary": "2"}
    assert page.get_attribute(".card >> nth=1", "aria-current") == "true"
    assert page.get_attribute(".card >> nth=0", "aria-current") is None
    page.go_back()
    assert shown(page, ".summary") == ["summary-1"]
    page.focus(".card >> nth=1")
    page.keyboard.press("Enter")
    assert shown(page, ".summary") == ["summary-2"]


@pytest.mark.browser
def test_switch_changes_all_members_at_once(visit: Opener) -> None:
    page = visit()
    for view, seen, hidden in (
        ("image", ".in-image", ".in-overlay"),
        ("mask", ".in-mask", ".in-overlay"),
        ("warped", "img.in-warped", ".tile svg"),
        ("overlay", ".in-overlay", ".in-image"),
    ):
        page.click(f"#views input[value={view}]", force=True)
        tiles = "#summary-1 .tile"
        displayed = "all => all.map(e => getComputedStyle(e).display != 'none')"
        assert all(page.eval_on_selector_all(f"{tiles} {seen}", displayed)), view
        assert not any(page.eval_on_selector_all(f"#summary-1 .members {hidden}", displayed)), view
        assert state(page).get("view", "overlay") == view
    page.focus("#views input:checked")
    page.keyboard.press("ArrowLeft")
    assert state(page) == {"view": "mask"}


@pytest.mark.browser
def test_figures_of_a_member_show_on_hover_and_on_focus(visit: Opener) -> None:
    page = visit()
    opacity = "e => { e.getAnimations().forEach(a => a.finish()); return getComputedStyle(e).opacity }"
    tips = page.locator("#summary-1 .tip")
    assert tips.nth(2).evaluate(opacity) == "0"
    page.hover("#summary-1 .tile >> nth=2")
    assert tips.nth(2).evaluate(opacity) == "1"
    assert "similarity 2.3" in tips.nth(2).inner_text()
    assert "score −40" in tips.nth(2).inner_text()
    page.focus("#summary-1 .tile >> nth=2")
    page.keyboard.press("Tab")
    assert tips.nth(3).evaluate(opacity) == "1"


@pytest.mark.browser
def test_touch_shows_figures_at_once(visit: Opener) -> None:
    page = visit(width=390, height=800, has_touch=True, is_mobile=True)
    assert page.locator("#summary-1 .tip").first.evaluate("e => getComputedStyle(e).opacity") == "1"
    page.tap(".card >> nth=1")
    assert shown(page, ".summary") == ["summary-2"]


@pytest.mark.browser
def test_member_leads_to_its_image_and_back(visit: Opener) -> None:
    page = visit()
    page.click("#summary-1 .tile >> nth=3")
    assert shown(page, ".image") == ["image-3"]
    assert page.evaluate("document.activeElement.id") == "image-3-title"
    assert page.locator("#image-3 > svg").bounding_box()["y"] < 400  # type: ignore[index]
    page.click("#image-3 a[rel=next]")
    assert shown(page, ".image") == ["image-4"]
    page.click("#image-4 a[rel=prev]")
    page.click("#image-3 a[data-summary='2']")
    assert shown(page, ".summary") == ["summary-2"]
    assert state(page) == {"image": "3", "summary": "2"}
    page.click("#image-3 [data-close]")
    assert shown(page, ".image") == []
    assert state(page) == {"summary": "2"}
    page.click(".gallery a >> nth=5")
    assert shown(page, ".image") == ["image-5"]


@pytest.mark.browser
def test_mask_switch_and_regions_of_an_image(visit: Opener) -> None:
    page = visit("#image-2")
    assert shown(page, ".image") == ["image-2"]
    display = "e => getComputedStyle(e).display"
    for mask in ("off", "smooth", "sharp"):
        page.click(f"#masks input[value={mask}]", force=True)
        visible = [
            kind for kind in ("off", "smooth", "sharp") if page.locator(f"#image-2 .m-{kind}").evaluate(display) != "none"
        ]
        assert visible == [mask]
    assert page.locator("#image-2 g.region.c1").count() == 1
    assert page.locator("#image-2 g.region.other").count() == 1
    page.hover("#image-2 tr[data-region] >> nth=1")
    assert page.eval_on_selector_all("#image-2 .region.hit", "all => all.map(e => e.dataset.region)") == ["7"]
    page.hover("h2 >> nth=-1")
    assert page.locator(".region.hit").count() == 0


@pytest.mark.browser
def test_state_is_read_from_the_address(visit: Opener) -> None:
    page = visit("#summary=2&image=4&view=mask&mask=smooth&theme=dark")
    assert shown(page, ".summary") == ["summary-2"]
    assert shown(page, ".image") == ["image-4"]
    assert page.evaluate("({...document.documentElement.dataset})") == {"view": "mask", "mask": "smooth", "theme": "dark"}
    assert page.is_checked("#views input[value=mask]")


@pytest.mark.browser
@pytest.mark.parametrize(
    "address", ["#summary=99&image=-1&view=evil&theme=x", "#image-99", "#%E0%A4", "#<img src=x>", "#nowhere"]
)
def test_a_wrong_address_is_harmless(visit: Opener, address: str) -> None:
    page = visit(address)
    assert shown(page, ".summary") == ["summary-1"]
    assert page.evaluate("document.documentElement.dataset.view") == "overlay"


@pytest.mark.browser
def test_theme_follows_the_system_until_chosen(visit: Opener) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    light, dark = visit(color_scheme="light"), visit(color_scheme="dark")
    assert light.evaluate(background) != dark.evaluate(background)
    expected = dark.evaluate(background)
    light.click("#theme")
    assert light.evaluate(background) == expected
    assert light.inner_text("#theme") == "Light"
    light.reload()
    assert light.evaluate(background) == expected


@pytest.mark.browser
def test_panels_open_from_the_top(visit: Opener) -> None:
    page = visit()
    for link, panel in (
        ("nav a[href='#reading']", "reading"),
        (".alerts a[href='#warnings']", "warnings"),
        (".alerts a[href='#skipped']", "skipped"),
    ):
        page.click(link)
        assert page.locator(f"#{panel}").evaluate("e => e.open")
        page.evaluate("scrollTo(0, 0)")
    page.click("#rejected > summary")
    assert page.locator("#rejected .tile").first.is_visible()
    page.click("#warnings .links a >> nth=0")
    assert shown(page, ".image") == ["image-1"]


@pytest.mark.browser
def test_map_shows_brushes_and_saves(visit: Opener) -> None:
    page = visit("#regions-map")
    caption = page.locator("#picked")
    assert caption.inner_text() == "No region selected."
    assert page.is_disabled("[data-save=csv]")

    page.hover("#map circle >> nth=3")
    assert caption.inner_text() == f"Summary 1, {NAMES[1]}; hidden alone, it takes 40 % off the score"
    assert page.locator("#crops use").get_attribute("href") == "#v1"

    page.select_option("#choose", "2")
    assert caption.inner_text() == "5 regions selected"
    with page.expect_download() as download:
        page.click("[data-save=json]")
    rows = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    assert [row["region"] for row in rows] == [1, 4, 7, 10, 13]
    assert rows[1]["name"] == NAMES[1]
    with page.expect_download() as download:
        page.click("[data-save=csv]")
    table = list(csv.DictReader(Path(download.value.path()).read_text(encoding="utf-8").splitlines()))
    assert [row["name"] for row in table] == [NAMES[i] if i != 2 else "bytes ?.png" for i in range(5)]
    assert table[0]["drop"] == "0.4"

    page.locator("#map").scroll_into_view_if_needed()
    box = page.locator("#map").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 2, box["y"] + 20)  # its corners are round
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 1)
    assert page.locator("#map .brush").bounding_box()["width"] > 100  # type: ignore[index]
    page.mouse.up()
    expected = page.eval_on_selector_all("#map circle", "all => all.filter(e => e.cx.baseVal.value <= 200).length")
    assert page.locator("#map .chosen").count() == expected
    assert 1 < expected < 18

    page.focus("#map")
    page.keyboard.press("Escape")
    assert page.locator("#map .chosen").count() == 0
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert len(shown(page, ".image")) == 1


@pytest.mark.browser
@pytest.mark.parametrize("width", [360, 1280, 3840])
def test_nothing_sticks_out_at_any_width(visit: Opener, width: int, tmp_path: Path) -> None:
    page = visit("#image=1", width=width, height=round(width * 0.6) if width > 400 else 740)
    page.eval_on_selector_all("details", "all => all.forEach(e => e.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    size = page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)")
    assert size >= (16 if width < 3840 else 22)
    picture = cv2.imdecode(np.frombuffer(page.screenshot(path=tmp_path / f"{width}.png"), np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape[1] == width
    assert picture.std() > 10  # something is drawn


@pytest.mark.browser
@pytest.mark.parametrize("width", [340, 1280])
def test_charts_fit_any_width(visit: Opener, run: Run, width: int, tmp_path: Path) -> None:
    page = visit(width=width, path=write_report(analysed(run), tmp_path / "report.html"))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    chart = page.locator(".chart").first.bounding_box()
    assert chart is not None
    assert chart["width"] > 200
    assert page.locator(".badge").count() == 2
    page.get_by_role("navigation").get_by_text("Together").click()
    assert page.locator("#together h2").is_visible()


@pytest.mark.browser
def test_overlay_is_drawn_as_by_the_renderer(visit: Opener) -> None:
    """The page draws with SVG what `render_region` draws with OpenCV: same colours in the same places."""
    page = visit()
    element = page.locator("#summary-1 .exemplar svg")
    picture = cv2.imdecode(np.frombuffer(element.screenshot(), np.uint8), cv2.IMREAD_COLOR)[..., ::-1].astype(int)
    scale = picture.shape[1] / 64

    def at(x: float, y: float) -> np.ndarray:
        return picture[round(y * scale), round(x * scale)]

    inside, outside = at(16, 20), at(32, 42)
    assert inside.max() - inside.min() > 30  # in colour
    assert outside.max() - outside.min() <= 2  # grey
    column = picture[:, round(16 * scale)]
    assert (np.abs(column - (255, 59, 53)).max(axis=1) < 40).any()  # hull
    assert (np.abs(column - (0, 220, 236)).max(axis=1) < 40).any()  # outline of the disc beyond the box


@pytest.mark.browser
def test_all_is_shown_without_a_script_and_on_paper(visit: Opener) -> None:
    assert shown(visit(java_script_enabled=False), ".summary") == ["summary-1", "summary-2"]
    page = visit("#theme=dark", color_scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert shown(page, ".summary") == ["summary-1", "summary-2"]
    assert shown(page, ".switch") == []


@pytest.mark.browser
def test_pictures_and_controls_have_names(visit: Opener) -> None:
    page = visit("#image=1")
    assert page.locator("img:not([alt]), img[alt='']").count() == 0
    assert page.locator("svg:not([aria-label]):not([aria-hidden])").count() == 0
    unnamed = "all => all.filter(e => !(e.textContent.trim() || e.ariaLabel || e.querySelector('[aria-label]'))).length"
    assert page.eval_on_selector_all("a, button", unnamed) == 0
    ids = page.eval_on_selector_all("[id]", "all => all.map(e => e.id)")
    assert len(ids) == len(set(ids))


@pytest.mark.browser
def test_a_large_report_opens_fast(visit: Opener, large_report: Path) -> None:
    finished = "performance.getEntriesByType('navigation')[0].loadEventEnd"
    opened = [visit(path=large_report).evaluate(finished) for _ in range(3)]
    assert 0 < min(opened) < 1000  # milliseconds, at best: other work on the machine does not count
