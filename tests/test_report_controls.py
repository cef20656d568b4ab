"""The page's controls beyond its switches, in a browser: the view Hidden, keys, sorting, filters, groups, zoom, links."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from benchmarks.made_runs import make_run
from drawn_runs import PIECES, analyzed, make_divided_run
from test_report_browser import picture_of, shown, state
from visual_summaries.pages.report import write_report
from visual_summaries.results import Run

if TYPE_CHECKING:
    from playwright.sync_api import Page

Opener = Callable[..., "Page"]
pytestmark = pytest.mark.browser


def by_mean(run: Run) -> Run:
    """The same run, with pixels hidden by the mean color."""
    return replace(run, settings=replace(run.settings, masks=replace(run.settings.masks, infill="mean")))


@pytest.fixture(scope="module")
def run() -> Run:
    return analyzed(make_run())


@pytest.fixture(scope="module")
def divided() -> Run:
    return by_mean(make_divided_run())


@pytest.fixture(scope="module")
def pages(run: Run, divided: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("reports")
    return {name: write_report(own, folder / f"{name}.html") for name, own in (("boxes", run), ("parts", divided))}


@pytest.fixture
def visit(watched: Opener, pages: dict[str, Path]) -> Opener:
    """Opens the report of one of the runs, watched."""
    return lambda hash_="", name="boxes", **options: watched(pages[name], hash_, **options)


def cards(page: Page) -> list[str]:
    return page.eval_on_selector_all(".strip li[data-number]", "all => all.filter(e => !e.hidden).map(e => e.dataset.number)")


def gallery(page: Page) -> list[str]:
    return page.eval_on_selector_all(
        ".gallery li", "all => all.filter(e => !e.hidden).map(e => e.querySelector('a').dataset.image)"
    )


def test_hidden_shows_what_was_scored(visit: Opener, divided: Run) -> None:
    page = visit("#view=hidden", "parts")
    picture = picture_of(page, "#summary-1 .exemplar svg")
    scale = picture.shape[1] / 64
    view = cv2.resize(divided.images[0].view, picture.shape[1::-1]).astype(int)
    mean = divided.images[0].view.mean(axis=(0, 1))
    for index, (x0, y0, x1, y1) in enumerate(PIECES[:4]):
        middle = (slice(*(round(v * scale) for v in (y0 + 2, y1 - 2))), slice(*(round(v * scale) for v in (x0 + 2, x1 - 2))))
        expected = mean if index == 0 else view[middle]  # only the piece that was hidden alone, not its part's other one
        assert np.abs(picture[middle] - expected).mean() < 8, index
    said = "hidden by the mean color (largest piece): score 0.90 → 0.68"
    assert page.inner_text("#summary-1 .says .in-hidden") == said
    assert page.inner_text("#summary-1 .tile >> nth=1").strip() == said
    page.click("#views input[value=overlay]", force=True)
    assert page.locator("#summary-1 .says .in-hidden").is_hidden()
    assert "hidden by the mean color: score" in visit("#view=hidden&summary=2", "parts").inner_text("#summary-2 .tile >> nth=0")
    rest = visit("#view=hidden", "parts").inner_text("#rest .tile >> nth=0")
    assert "its score was not measured" in rest


def test_a_region_of_the_paper_is_hidden_in_its_box(visit: Opener) -> None:
    page = visit("#view=hidden")
    clip = page.get_attribute("#summary-1 .tile >> nth=0 >> .in-hidden use >> nth=1", "clip-path")
    assert clip == "url(#cr0)"
    assert page.locator("#cr0 path").count() == 1
    assert "score 0.90 → 0.54" in page.inner_text("#summary-1 .tile >> nth=0")


def test_arrow_keys_go_through_summaries_and_images(visit: Opener) -> None:
    page = visit()
    page.keyboard.press("ArrowRight")
    assert shown(page, ".summary") == ["summary-2"]
    page.keyboard.press("ArrowRight")  # there is none after the last
    assert state(page) == {"summary": "2"}
    page.keyboard.press("ArrowLeft")
    assert shown(page, ".summary") == ["summary-1"]
    page.click(".gallery a >> nth=2")
    page.keyboard.press("ArrowRight")
    assert shown(page, ".image") == ["image-3"]
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert shown(page, ".image") == ["image-1"]
    assert shown(page, ".summary") == ["summary-1"]
    page.focus("select[name=order]")
    page.keyboard.press("ArrowRight")  # a control keeps its keys
    assert shown(page, ".image") == ["image-1"]


def test_summaries_are_sorted_and_filtered(visit: Opener) -> None:
    page = visit("#order=images&image=5")
    assert page.input_value("select[name=order]") == "images"
    assert cards(page) == ["1", "2"]
    page.select_option("select[name=order]", "quality")
    assert cards(page) == ["1", "2"]
    page.eval_on_selector(".strip li[data-number='2']", "e => e.dataset.importance = 9")
    page.select_option("select[name=order]", "importance")
    assert cards(page) == ["2", "1"]
    page.select_option("select[name=only]", "here")  # image 5 has no second summary
    assert cards(page) == ["1"]
    page.select_option("select[name=only]", "all")
    assert state(page) == {"order": "importance", "image": "5"}
    page.keyboard.press("Escape")

    sure = visit("#only=beats", "parts")
    assert cards(sure) == ["1", "2"]
    sure.eval_on_selector_all(".strip li", "all => all.forEach(e => e.dataset.steady = 'no')")
    sure.select_option("select[name=only]", "steady")
    assert cards(sure) == []
    assert sure.locator("#no-summary").is_visible()


def test_images_are_sorted_and_filtered(visit: Opener) -> None:
    page = visit("#sort=left")
    assert gallery(page)[0] == "1"  # of whose score most is left
    page.select_option("select[name=sort]", "run")
    page.select_option("select[name=with]", "other")
    assert gallery(page) == ["0"]  # seen as another class
    page.select_option("select[name=with]", "warned")
    assert gallery(page) == ["1", "2"]
    assert page.inner_text("#found") == "2 of 6 images"
    page.click("#images .gallery li:not([hidden]) a >> nth=0")
    page.click("#image-1 a[rel=next]")
    assert shown(page, ".image") == ["image-2"]
    assert page.locator("#image-2 a[rel=next]").is_hidden()  # the last that fits
    page.select_option("select[name=with]", "any")
    page.fill("input[name=find]", "ORDINARY")
    assert gallery(page) == ["5"]
    assert state(page) == {"image": "2", "find": "ORDINARY"}
    page.fill("input[name=find]", "nowhere at all")
    assert page.locator("#no-image").is_visible()
    assert gallery(visit("#with=2&sort=name", "parts")) == ["0", "2", "1"]  # <script, bytes, smile
    second = visit("#with=2&summary=2", "parts")
    second.eval_on_selector("#images .gallery li:nth-child(3)", "e => { e.dataset.score = 1 }")
    second.select_option("select[name=sort]", "score")
    assert gallery(second) == ["2", "0", "1"]
    second.select_option("select[name=sort]", "effect")
    assert gallery(second) == ["0", "1", "2"]  # all equal: in the order of the run


def test_coarser_groups_are_bright_together(visit: Opener) -> None:
    page = visit("", "parts")
    second = ((PIECES[2][0] + PIECES[2][2]) / 2, (PIECES[2][1] + PIECES[2][3]) / 2)

    def colorful() -> bool:
        picture = picture_of(page, "#summary-1 .exemplar svg")
        scale = picture.shape[1] / 64
        return bool(np.ptp(picture[round(second[1] * scale), round(second[0] * scale)]) > 20)

    color = "e => getComputedStyle(e).getPropertyValue('--c')"
    one, two = (page.locator(f".card.c{number}") for number in (1, 2))
    assert one.evaluate(color) != two.evaluate(color)
    assert not colorful()
    page.fill("input[name=groups]", "0")
    assert state(page) == {"groups": "1"}
    assert page.inner_text("#grouping") == "1 group: 1 + 2"
    assert one.evaluate(color) == two.evaluate(color)
    assert "Grouped with summary 2" in page.inner_text("#summary-1 .note.joined")
    assert colorful()
    page.fill("input[name=groups]", "1")
    assert not colorful()
    assert state(page) == {}
    assert page.locator(".joining").count() == 0
    assert visit("#groups=1", "parts").input_value("input[name=groups]") == "0"


def test_a_picture_is_enlarged_and_moved(visit: Opener) -> None:
    page = visit("#image=2", "parts")
    box = "document.querySelector('#stage svg').getAttribute('viewBox').split(' ').map(Number)"
    page.click("#image-2 [data-zoom]")
    assert page.evaluate(box) == [0, 0, 64, 48]
    page.keyboard.press("+")
    assert page.evaluate(box) == pytest.approx([64 / 6, 8, 64 / 1.5, 32])
    page.keyboard.press("ArrowRight")
    assert page.evaluate(box)[0] == pytest.approx(64 / 6 + 6.4)
    assert shown(page, ".image") == ["image-2"]  # the page behind has not moved on
    page.click("#zoom [data-by='0']")
    assert page.evaluate(box) == [0, 0, 64, 48]
    page.hover("#stage")
    page.mouse.wheel(0, -200)
    assert page.evaluate(box)[2] == pytest.approx(64 / 1.25)
    stage = page.locator("#stage").bounding_box()
    assert stage is not None
    before = page.evaluate(box)
    page.mouse.move(stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] / 2)
    page.mouse.down()
    page.mouse.move(stage["x"] + stage["width"] / 2 - 40, stage["y"] + stage["height"] / 2)
    page.mouse.up()
    assert page.evaluate(box)[0] > before[0]
    page.keyboard.press("Escape")
    assert not page.locator("#zoom").evaluate("e => e.open")
    page.wait_for_selector("#stage svg", state="detached")  # emptied by the dialog's event, which comes after it closes


def test_map_and_images_lead_to_each_other(visit: Opener) -> None:
    page = visit("#image=3")
    here = "all => all.map((e, i) => [i, e.classList.contains('here')]).filter(([, is]) => is).map(([i]) => i)"
    assert page.eval_on_selector_all("#map circle", here) == [9, 10, 11]
    page.hover(".gallery a >> nth=1")
    assert page.eval_on_selector_all("#map circle", here) == [3, 4, 5]
    page.hover("#map circle >> nth=7")
    assert page.eval_on_selector_all(".gallery a", here) == [2]
    page.click("#image-3 [data-locate]")
    assert state(page) == {"image": "3", "picked": "9-11"}
    assert page.locator("#regions-map").bounding_box()["y"] < 300  # type: ignore[index]
    page.click("#crops a >> nth=0")
    assert shown(page, ".image") == ["image-3"]


def test_a_dot_leads_to_its_image(visit: Opener, divided: Run) -> None:
    page = visit("", "parts")
    dots = page.locator("#summary-2 .effects a")
    assert dots.count() == len(divided.images)
    assert page.locator("#summary-2 .effects .there").count() == 3
    page.click(".card >> nth=1")
    dots.nth(3).click()
    assert len(shown(page, ".image")) == 1


@pytest.mark.parametrize("name", ["boxes", "parts"])
def test_nobody_is_kept_out(visit: Opener, faults: Callable[[Page], list[str]], name: str) -> None:
    page = visit("#image=1&picked=0-3&view=hidden&mask=hidden", name)
    assert faults(page) == []
    page.eval_on_selector("h1", "e => { e.style.color = '#999' }")
    assert any(fault.startswith("color-contrast") for fault in faults(page))  # it would be seen
    page.eval_on_selector("h1", "e => { e.style.color = '' }")
    page.click("#summary-1 [data-zoom]")
    assert faults(page) == []
