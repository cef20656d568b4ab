"""Every control of the page in a browser, what can be read there, and what comes out of its printer."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO
from pypdf import PdfReader

from benchmarks.made_runs import NAMES, make_run
from drawn_runs import PIECES, analyzed, make_divided_run
from visual_summaries.pages.exports import coco
from visual_summaries.pages.report import write_report
from visual_summaries.regions import full_mask
from visual_summaries.results import Run

if TYPE_CHECKING:
    from playwright.sync_api import Page

Opener = Callable[..., "Page"]


@pytest.fixture(scope="module")
def run() -> Run:
    return make_run()


@pytest.fixture(scope="module")
def report(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(run, tmp_path_factory.mktemp("report") / "report.html")


@pytest.fixture
def visit(watched: Opener, report: Path) -> Opener:
    """Opens the report, or another, watched."""
    return lambda hash_="", path=report, **options: watched(path, hash_, **options)


def shown(page: Page, selector: str) -> list[str]:
    """Ids of the elements that can be seen."""
    return page.eval_on_selector_all(selector, "all => all.filter(e => e.checkVisibility()).map(e => e.id)")


def state(page: Page) -> dict[str, str]:
    """The state in the address, asked of the page itself: `page.url` follows a moment later."""
    address: str = page.evaluate("location.hash.slice(1)")
    return {key: values[0] for key, values in parse_qs(address).items()}


@pytest.mark.browser
def test_opens_with_the_first_summary(visit: Opener) -> None:
    page = visit()
    assert shown(page, ".summary") == ["summary-1"]
    assert shown(page, ".image") == []

    # class, network, its accuracy, sentence and the strip lie on the first screen, with room for a longer sentence
    for element in page.locator("h1, .network, .headline, .strip .card").all():
        box = element.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 720
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
    assert page.locator("#image-3 .zoomable > svg").bounding_box()["y"] < 400  # type: ignore[index]
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


def picture_of(page: Page, selector: str) -> np.ndarray:
    """An element as it is seen, (H, W, 3), RGB."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    picture = cv2.imdecode(np.frombuffer(page.locator(selector).screenshot(), np.uint8), cv2.IMREAD_COLOR)
    return picture[..., ::-1].astype(int)


@pytest.mark.browser
def test_mask_slides_from_smooth_to_sharp(visit: Opener) -> None:
    page = visit("#image-2")
    assert shown(page, ".image") == ["image-2"]
    page.uncheck("input[name=outlined]")
    assert state(page) == {"image": "2", "regions": "off"}
    assert page.locator("#image-2 .region").first.is_hidden()

    seen = {}
    slider = page.locator("input[name=mask]")
    for value in ("0", "50", "100"):
        slider.fill(value)
        seen[value] = picture_of(page, "#image-2 .zoomable > svg")
    middle = (seen["0"] + seen["100"]) / 2
    assert np.abs(seen["100"] - seen["0"]).max() > 30  # at the rim of a disc
    assert np.abs(seen["50"] - middle).max() <= 3  # half way is the mean of both masks
    slider.fill("50")
    assert state(page) == {"image": "2", "regions": "off", "mask": "50"}
    assert slider.get_attribute("aria-valuetext") == "50 % of the way to sharp"
    page.focus("input[name=mask]")
    page.keyboard.press("End")
    assert "mask" not in state(page)  # sharp again
    page.keyboard.press("ArrowLeft")
    assert state(page)["mask"] == "95"

    page.uncheck("input[name=masked]")
    assert state(page)["mask"] == "off"
    assert slider.is_disabled()
    whole = picture_of(page, "#image-2 .zoomable > svg")
    rows, columns = whole.shape[:2]
    assert np.ptp(whole[round(rows * 40 / 48), round(columns * 32 / 64)]) > 5  # in color where there is no evidence
    page.check("input[name=masked]")
    assert state(page)["mask"] == "95"


@pytest.mark.browser
def test_the_evidence_is_hidden_as_the_network_sees_it(visit: Opener, run: Run, tmp_path: Path) -> None:
    by_mean = replace(run, settings=replace(run.settings, masks=replace(run.settings.masks, infill="mean")))
    path = write_report(by_mean, tmp_path / "report.html")
    page = visit("#image-2", path=path)
    page.uncheck("input[name=outlined]")
    hidden, masked, slider = (page.locator(f"input[name={name}]") for name in ("hidden", "masked", "mask"))
    marked, without, whole = (page.locator(f"#image-2 .zoomable > svg > .m-{name}") for name in ("on", "hidden", "off"))

    def visible(page: Page) -> dict[str, bool]:
        """Which of the three pictures can be seen, in every image that is opened."""
        displayed = "all => [...new Set(all.map(e => getComputedStyle(e).display != 'none'))]"
        found = {
            name: page.eval_on_selector_all(f".image .zoomable > svg > .m-{name}", displayed)
            for name in ("on", "hidden", "off")
        }
        assert all(len(values) == 1 for values in found.values())  # the same in all images
        return {name: values[0] for name, values in found.items()}

    assert [one.count() for one in (marked, without, whole)] == [1, 1, 1]
    assert visible(page) == {"on": True, "hidden": False, "off": False}
    assert not hidden.is_checked()
    slider.fill("50")
    before = picture_of(page, "#image-2 .zoomable > svg")

    hidden.check()
    assert visible(page) == {"on": False, "hidden": True, "off": False}
    assert state(page) == {"image": "2", "regions": "off", "mask": "hidden"}
    assert not masked.is_checked()
    assert slider.is_disabled()
    seen = picture_of(page, "#image-2 .zoomable > svg")
    view = cv2.resize(run.images[2].view, seen.shape[1::-1]).astype(int)
    evidence = cv2.resize(run.masks[2].binary().astype(np.uint8), seen.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    unit = np.ones((2 * seen.shape[1] // 64,) * 2)  # two pixels of the view
    inside, outside = cv2.erode(evidence, unit) > 0, cv2.dilate(evidence, unit) == 0
    mean = run.images[2].view.mean(axis=(0, 1))
    assert np.abs(seen - mean)[inside].mean() < 6  # the view's mean color hides the discs
    assert np.abs(view - mean)[inside].mean() > 24
    assert np.abs(seen - view)[outside].mean() < 12  # all else is in its own colors,
    assert np.abs(before - view)[outside].mean() > 24  # which the picture of the mask takes away

    opened = visit(page.url[page.url.index("#") :], path=path)
    assert visible(opened) == {"on": False, "hidden": True, "off": False}
    assert opened.is_checked("input[name=hidden]")
    assert not opened.is_checked("input[name=masked]")
    assert state(opened)["mask"] == "hidden"
    opened.check("input[name=masked]")
    assert visible(opened) == {"on": True, "hidden": False, "off": False}
    assert not opened.is_checked("input[name=hidden]")

    hidden.uncheck()
    assert visible(page) == {"on": True, "hidden": False, "off": False}
    assert state(page)["mask"] == "50"  # where the slider was
    hidden.check()
    masked.check()
    assert state(page)["mask"] == "50"
    masked.uncheck()
    assert visible(page) == {"on": False, "hidden": False, "off": True}
    hidden.check()
    assert visible(page) == {"on": False, "hidden": True, "off": False}
    hidden.uncheck()
    assert visible(page) == {"on": True, "hidden": False, "off": False}


@pytest.mark.browser
def test_regions_of_an_image(visit: Opener) -> None:
    page = visit("#image-2")
    assert page.locator("#image-2 g.region.c1").count() == 1
    assert page.locator("#image-2 g.region.other").count() == 1
    page.hover("#image-2 tr[data-region] >> nth=1")
    assert page.eval_on_selector_all("#image-2 .region.hit", "all => all.map(e => e.dataset.region)") == ["7"]
    page.hover("h2 >> nth=-1")
    assert page.locator(".region.hit").count() == 0


@pytest.mark.browser
def test_state_is_read_from_the_address(visit: Opener) -> None:
    page = visit("#summary=2&image=4&view=mask&mask=smooth&regions=off&map=distances&picked=1-3.7&theme=dark")
    assert shown(page, ".summary") == ["summary-2"]
    assert shown(page, ".image") == ["image-4"]
    data = page.evaluate("({...document.documentElement.dataset})")
    assert data == {"view": "mask", "mask": "on", "regions": "off", "theme": "dark"}
    assert page.is_checked("#views input[value=mask]")
    assert page.is_checked("#kinds input[value=distances]")
    assert page.input_value("input[name=mask]") == "0"
    assert page.inner_text("#picked") == "4 regions selected"


@pytest.mark.browser
@pytest.mark.parametrize(
    "address",
    [
        "#summary=99&image=-1&view=evil&theme=x",
        "#picked=5-2.99999999999.3-999999&mask=101",
        "#image-99",
        "#%E0%A4",
        "#<img src=x>",
        "#nowhere",
    ],
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
    assert caption.inner_text() == f"Summary 1, {NAMES[1]}; hidden alone, it takes 40\u00a0% off the score"
    assert page.locator("#crops use").get_attribute("href") == "#v1"

    page.select_option("#choose", "2")
    assert caption.inner_text() == "5 regions selected"
    with page.expect_download() as download:
        page.click("[data-save=json]")
    rows = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    assert [row["region"] for row in rows] == [1, 4, 7, 10, 13]
    assert rows[1]["name"] == NAMES[1]
    assert state(page) == {"picked": "1.4.7.10.13"}
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

    page.reload()
    assert page.locator("#map .chosen").count() == expected  # the address says what is selected

    page.focus("#map")
    page.keyboard.press("Escape")
    assert state(page) == {}
    assert page.locator("#map .chosen").count() == 0
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    assert caption.inner_text() == "2 regions selected"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert len(shown(page, ".image")) == 1


@pytest.mark.browser
def test_selection_is_saved_as_the_command_exports_it(visit: Opener, run: Run, tmp_path: Path) -> None:
    page = visit("#regions-map")

    def saved() -> dict[str, Any]:
        with page.expect_download() as download:
            page.click("[data-save=coco]")
        assert download.value.suggested_filename == "regions-coco.json"
        return json.loads(Path(download.value.path()).read_text(encoding="utf-8"))

    page.select_option("#choose", "2")
    expected = coco(run, [2])
    found = saved()
    for key in ("images", "categories"):
        assert found[key] == expected[key]
    assert [row | {"contribution": 0, "drop": 0} for row in found["annotations"]] == [
        row | {"contribution": 0, "drop": 0} for row in expected["annotations"]
    ]
    assert [row["drop"] for row in found["annotations"]] == pytest.approx([row["drop"] for row in expected["annotations"]])

    page.select_option("#choose", "all")
    (tmp_path / "all.json").write_text(json.dumps(saved()))
    read = COCO(tmp_path / "all.json")
    assert len(read.anns) == len(run.regions)
    for annotation in read.loadAnns(read.getAnnIds(catIds=[0])):  # those in no summary
        region = run.regions[annotation["id"] - 1]
        assert np.array_equal(read.annToMask(annotation).astype(bool), full_mask(region.box, region.mask, (48, 64)))


@pytest.mark.browser
def test_map_by_distances(visit: Opener) -> None:
    page = visit("#regions-map")
    places = "all => all.map(e => [e.cx.baseVal.value, e.cy.baseVal.value])"
    before = page.eval_on_selector_all("#map circle", places)
    page.click("#kinds input[value=distances]", force=True)
    after = page.eval_on_selector_all("#map circle", places)
    assert before != after
    data = json.loads(page.inner_text("#regions") or page.locator("#regions").evaluate("e => e.textContent"))
    assert np.allclose(after, data["places"]["distances"], atol=0.01)
    assert float(page.get_attribute("#map text >> nth=0", "x") or 0) == pytest.approx(data["labels"]["distances"][0][1])
    assert state(page) == {"map": "distances"}
    page.click("#kinds input[value=neighbors]", force=True)
    assert page.eval_on_selector_all("#map circle", places) == before


@pytest.mark.browser
def test_a_finger_selects_when_told_to(visit: Opener) -> None:
    page = visit("#regions-map", width=390, height=800, has_touch=True, is_mobile=True)
    page.locator("#map").scroll_into_view_if_needed()
    page.tap("#map circle >> nth=3")
    assert state(page) == {"picked": "3"}
    page.tap("#draw")
    assert page.get_attribute("#draw", "aria-pressed") == "true"
    page.locator("#map").scroll_into_view_if_needed()
    box = page.locator("#map").bounding_box()
    assert box is not None
    client = page.context.new_cdp_session(page)
    for kind, x, y in (("touchStart", 3, 20), ("touchMove", box["width"] - 3, box["height"] - 9), ("touchEnd", 0, 0)):
        points = [] if kind == "touchEnd" else [{"x": box["x"] + x, "y": box["y"] + y}]
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert page.locator("#map .chosen").count() > 9


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
    page = visit(width=width, path=write_report(analyzed(run), tmp_path / "report.html"))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    chart = page.locator(".chart").first.bounding_box()
    assert chart is not None
    assert chart["width"] > 200
    assert page.locator(".badge").count() == 2
    page.get_by_role("navigation").get_by_text("Together").click()
    assert page.locator("#together h2").is_visible()


@pytest.mark.browser
def test_overlay_is_drawn_as_by_the_renderer(visit: Opener) -> None:
    """The page draws with SVG what `render_region` draws with OpenCV: same colors in the same places."""
    page = visit()
    element = page.locator("#summary-1 .exemplar svg")
    picture = cv2.imdecode(np.frombuffer(element.screenshot(), np.uint8), cv2.IMREAD_COLOR)[..., ::-1].astype(int)
    scale = picture.shape[1] / 64

    def at(x: float, y: float) -> np.ndarray:
        return picture[round(y * scale), round(x * scale)]

    inside, outside = at(16, 20), at(32, 42)
    assert inside.max() - inside.min() > 30  # in color
    assert outside.max() - outside.min() <= 2  # gray
    column = picture[:, round(16 * scale)]
    assert (np.abs(column - (255, 59, 53)).max(axis=1) < 40).any()  # hull
    assert (np.abs(column - (0, 220, 236)).max(axis=1) < 40).any()  # outline of the disc beyond the box


@pytest.mark.browser
def test_of_a_divided_run_only_the_summarys_pixels_are_bright(visit: Opener, tmp_path: Path) -> None:
    page = visit("#summary=2", path=write_report(make_divided_run(), tmp_path / "report.html"))
    middles = [((x0 + x1) / 2, (y0 + y1) / 2) for x0, y0, x1, y1 in PIECES]

    def spread(selector: str) -> list[int]:
        """How colorful each piece's middle is, in an element that shows the whole image."""
        picture = picture_of(page, selector)
        scale = picture.shape[1] / 64
        above = (picture.shape[0] - 48 * scale) / 2  # tiles are square
        return [int(np.ptp(picture[round(y * scale + above), round(x * scale)])) for x, y in middles]

    first, second, rest = (f"#{name} .tile >> nth=0" for name in ("summary-1", "summary-2", "rest"))
    assert [value > 20 for value in spread(second + " >> svg")] == [False, False, True, False, False]
    page.click(".card >> nth=0")
    assert [value > 20 for value in spread(first + " >> svg")] == [True, True, False, False, False]
    assert [value > 20 for value in spread("#summary-1 .exemplar svg")] == [True, True, False, False, False]
    assert [value > 20 for value in spread(rest + " >> svg")][:4] == [False, False, True, True]  # image 3 has no summary 2
    page.click(".card >> nth=2")
    assert page.locator("#rest").bounding_box()["y"] < 500  # type: ignore[index]

    page.hover("#map circle >> nth=1")
    assert page.get_attribute("#crops use >> nth=1", "clip-path") == "url(#c2-0)"
    page.goto(page.url.partition("#")[0] + "#image=0&summary=1")
    assert page.locator("#image-0 .region").count() == 3
    page.hover("#image-0 tr[data-region] >> nth=1")
    assert page.eval_on_selector_all("#image-0 .region.hit", "all => all.map(e => e.dataset.region)") == ["2-0"]


@pytest.mark.browser
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_of_a_divided_run_fits_and_can_be_read(visit: Opener, width: int, theme: str, tmp_path: Path) -> None:
    page = visit(f"#image=1&theme={theme}", width=width, path=write_report(make_divided_run(), tmp_path / "report.html"))
    page.eval_on_selector_all("details", "all => all.forEach(e => e.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.hover("#summary-1 .tile >> nth=1")
    assert [(text, round(ratio, 2)) for text, ratio, least in page.evaluate(CONTRASTS) if ratio < least] == []


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


#: Contrast of every text that is seen with what is behind it: colors as computed, layers blended; white stands for a picture.
CONTRASTS = """() => {
  const parse = (color) => { const [r, g, b, a = 1] = color.match(/[\\d.]+/g).map(Number); return [r, g, b, a]; };
  const over = (top, below) => top.slice(0, 3).map((v, i) => v * top[3] + below[i] * (1 - top[3])).concat(1);
  const light = (c) => { const [r, g, b] = c.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const blend = (layers) => layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
  const behind = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) {
      if (e.matches(".tile") || (e instanceof SVGSVGElement && e.querySelector("use, image"))) return blend(layers);
      layers.push(parse(getComputedStyle(e).backgroundColor));
    }
    return blend(layers);
  };
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !element.checkVisibility()) continue;
    if (element.matches("script, :disabled, .digit, .skip")) continue;
    const style = getComputedStyle(element);
    const ground = behind(element);
    const ink = over(parse(element instanceof SVGElement ? style.fill : style.color), ground);
    const [low, high] = [light(ink), light(ground)].sort((a, b) => a - b);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    found.push([walk.currentNode.data.trim(), (high + 0.05) / (low + 0.05), large ? 3 : 4.5]);
  }
  return found;
}"""


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_has_contrast_aa_as_computed(visit: Opener, run: Run, theme: str, tmp_path: Path) -> None:
    page = visit(f"#image=1&picked=0-3&theme={theme}", path=write_report(analyzed(run), tmp_path / "report.html"))
    page.eval_on_selector_all("details", "all => all.forEach(e => e.open = true)")
    page.hover("#summary-1 .tile >> nth=1")
    found = page.evaluate(CONTRASTS)
    assert len(found) > 150
    assert [(text, round(ratio, 2)) for text, ratio, least in found if ratio < least] == []
    page.eval_on_selector(".lead", "e => { e.style.color = '#888'; e.style.backgroundColor = '#777' }")
    assert any(ratio < least for _, ratio, least in page.evaluate(CONTRASTS))  # it would be seen


@pytest.mark.browser
def test_printed_it_has_everything(visit: Opener, run: Run, tmp_path: Path) -> None:
    page = visit("#theme=dark", path=write_report(analyzed(run), tmp_path / "report.html"))
    page.pdf(path=tmp_path / "report.pdf", format="A4")
    reader = PdfReader(tmp_path / "report.pdf")
    text = " ".join(" ".join(sheet.extract_text().split()) for sheet in reader.pages)
    for words_of in (
        "relies perhaps, on weak evidence, on summary 1",
        "Found in 6 of 6 images",
        "Found in 5 of 6 images",
        "Rejected clusters",
    ):
        assert words_of in text, words_of
    for panel in ("ends after <b>312</b> bytes", "masks.smooth.iterations", "the mask does not halve the score"):
        assert panel in text, panel  # panels that were closed
    assert not page.locator("#settings").evaluate("e => e.open")  # and are closed again
    assert [float(side) for side in reader.pages[0].mediabox[2:]] == pytest.approx([595, 842], abs=2)  # A4 in points
