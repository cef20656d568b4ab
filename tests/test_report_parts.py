"""The page of a run whose evidence is divided: which pixels are bright, what is in the rest, how many parts there are."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import PIL.Image
import PIL.ImageDraw
import pytest

from benchmarks.made_runs import NAN
from drawn_runs import PIECES, Reader, make_divided_run
from test_report_rendering import decoded
from visual_summaries.pages.comparison import _tile as comparison_tile
from visual_summaries.pages.figures import plot_summary
from visual_summaries.pages.findings import merges
from visual_summaries.pages.rendering import DARK, FAINT, draw_member, part_pixels, render_part
from visual_summaries.pages.report import render_page, render_strip
from visual_summaries.pages.specialized import tiles
from visual_summaries.results import Run, RunAnalysis
from visual_summaries.study.pictures import region_picture

SIZE = (48, 64)


@pytest.fixture(scope="module")
def run() -> Run:
    return make_divided_run()


@pytest.fixture(scope="module")
def page_text(run: Run) -> str:
    return render_page(run)


@pytest.fixture(scope="module")
def reader(page_text: str) -> Reader:
    return Reader(page_text)


def boxes(*indices: int) -> np.ndarray:
    """The pixels of some pieces."""
    pixels = np.zeros(SIZE, bool)
    for x0, y0, x1, y1 in (PIECES[index] for index in indices):
        pixels[y0:y1, x0:x1] = True
    return pixels


def assert_only_these_are_bright(picture: np.ndarray, view: np.ndarray, pixels: np.ndarray, slack: int = 2) -> None:
    """Each view pixel's middle has its own color if it is one of these, and is gray and dark if not; edges are left out."""
    height, width = pixels.shape
    rows = ((np.arange(height) + 0.5) * picture.shape[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * picture.shape[1] / width).astype(int)
    seen = picture[rows][:, columns].astype(int)
    padded = np.pad(pixels, 1, mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(padded, (3, 3)).reshape(height, width, 9)
    inside, outside = around.all(axis=2), ~around.any(axis=2)
    assert inside.any()
    assert np.abs(seen[inside] - view[inside].astype(int)).mean() < 12
    assert np.ptp(seen[outside], axis=1).max() <= slack  # no color
    assert seen[outside].max() <= max(FAINT, 255 * DARK) + slack


def test_only_the_parts_own_pixels_are_bright_and_other_evidence_has_a_faint_line() -> None:
    view = np.full((20, 30, 3), (200, 100, 40), np.uint8)
    part, evidence = np.zeros((20, 30), bool), np.zeros((20, 30), bool)
    part[4:9, 3:10] = True
    evidence[4:9, 3:10] = evidence[12:18, 15:25] = True
    scale = 8
    picture = render_part(view, part, evidence, scale=scale)
    assert picture.shape == (160, 240, 3)
    dark = round(DARK * (0.299 * 200 + 0.587 * 100 + 0.114 * 40))
    places = (("own", 6, 6), ("other", 20, 15), ("none", 20, 5))
    at = {name: picture[y * scale, x * scale].tolist() for name, x, y in places}
    assert at == {"own": [200, 100, 40], "other": [dark] * 3, "none": [dark] * 3}
    assert picture[round(15 * scale), 15 * scale - 1 : 15 * scale + 1].max() > dark + 15  # the line at its left side
    assert picture.reshape(-1, 3)[np.ptp(picture.reshape(-1, 3).astype(int), axis=1) == 0].max() <= FAINT


def test_mask_style_tells_the_part_from_other_evidence() -> None:
    part = np.array([[1, 1, 0, 0, 0, 0]] * 4, bool)
    evidence = np.array([[1, 1, 0, 0, 1, 1]] * 4, bool)
    picture = render_part(np.zeros((4, 6, 3), np.uint8), part, evidence, style="mask", scale=1)
    assert picture[0, :, 0].tolist() == [255, 255, 0, 0, FAINT, FAINT]
    with pytest.raises(ValueError, match="style is 'heat'"):
        render_part(np.zeros((4, 6, 3), np.uint8), part, evidence, style="heat")


@pytest.mark.parametrize(("region", "pieces"), [(0, (0, 1)), (1, (0, 1)), (2, (2,)), (3, (3,))])
def test_a_member_shows_all_pieces_of_its_part_and_no_other(run: Run, region: int, pieces: tuple[int, ...]) -> None:
    assert np.array_equal(part_pixels(run, region), boxes(*pieces))
    assert_only_these_are_bright(draw_member(run, region, 320), run.images[0].view, boxes(*pieces))


def test_all_pages_and_figures_draw_members_so(run: Run) -> None:
    view, pixels = run.images[0].view, boxes(0, 1)
    uris = [
        tiles(run, 0)[0][0],
        (comparison_tile(run, 0) or ("", ""))[0],
        re.findall(r'src="(data:[^"]*)"', render_strip(run))[0],
    ]
    for uri in uris:
        assert_only_these_are_bright(decoded(uri), view, pixels, slack=30)  # the files are lossy
    square = decoded(region_picture(run, 0, side=320))
    assert square.shape == (320, 320, 3)
    assert_only_these_are_bright(square[40:280], view, pixels, slack=30)
    picture = np.asarray(plot_summary(run, run.summaries[0]).get_images()[0].get_array())
    assert_only_these_are_bright(picture, view, pixels)


def test_a_region_in_no_part_shows_itself(run: Run) -> None:
    alone = replace(run, rejected=())
    assert np.array_equal(part_pixels(alone, 3), boxes(3))


def drawn_path(path: str) -> np.ndarray:
    """The pixels within an SVG path of closed polygons."""
    scale = 10
    pixels = np.zeros(SIZE, bool)
    for polygon in re.findall(r"M([^Z]*)Z", path):
        picture = PIL.Image.new("1", (SIZE[1] * scale, SIZE[0] * scale))
        PIL.ImageDraw.Draw(picture).polygon([float(v) * scale for v in polygon.split()], fill=1)
        pixels ^= np.asarray(picture)[scale // 2 :: scale, scale // 2 :: scale]
    return pixels


def test_the_pages_own_outlines_are_those_of_the_parts(run: Run, page_text: str, reader: Reader) -> None:
    """What a tile clips the bright image with is the very pixels of its summary there: another's would show here."""
    paths = {str(a["id"]): str(a["d"]) for tag, a in reader.tags if tag == "path" and str(a.get("id", "")).startswith("s")}
    expected = {f"s1-{i}": boxes(0, 1) for i in range(4)} | {f"s2-{i}": boxes(2) for i in range(3)}
    expected |= {f"s3-{i}": boxes(3) for i in range(4)}
    expected |= {f"s0-{i}": boxes(3, 4) if i < 3 else boxes(2, 3, 4) for i in range(4)}
    assert set(paths) == set(expected)
    for name, pixels in expected.items():
        assert np.array_equal(drawn_path(paths[name]), pixels), name
    for number, summary in enumerate(run.summaries, start=1):
        [article] = re.findall(rf'<article class="summary[^>]*id="summary-{number}".*?</article>', page_text, re.DOTALL)
        used = re.findall(r'clip-path="url\(#c(\d+-\d+)\)"/></g>\n<g class="in-mask"', article)
        images = [run.regions[member.region].image for member in summary.members]
        assert used == [f"{number}-{image}" for image in (images[0], *images)]
        assert 'class="line hull"' not in article
        assert 'class="line box"' not in article


def test_the_rest_has_its_share_its_effect_and_the_parts_that_hardly_beat_their_control(reader: Reader, page_text: str) -> None:
    assert (
        "Rest 25 % of the evidence is in no summary; hiding it alone takes 10 % off the score (the same pixels elsewhere: 5 %)."
        in reader.flat
    )
    [rest] = re.findall(r'<section id="rest".*?</section>', page_text, re.DOTALL)
    assert len(re.findall(r"url\(#c0-\d\)", rest)) == 8  # bright, and hidden
    text = Reader(rest).flat
    assert "Parts that hardly beat their control 1" in text
    assert "In 4 of 4 images, importance 5 %, the same pixels elsewhere 4 %" in text
    assert "(95 % interval of the difference: −2 to 6 %), stability 75 %" in text
    assert "over all images they take less than 2 % of the score above what the same pixels take elsewhere" in text
    assert "Rejected clusters" not in reader.flat
    cards = [a.get("href") for tag, a in reader.tags if tag == "a" and str(a.get("class", "")).startswith("card")]
    assert cards == ["#summary-1", "#summary-2", "#rest"]


def test_nothing_left_over_is_said(run: Run) -> None:
    assert run.analysis is not None
    assert run.analysis.together is not None
    masks = tuple(replace(mask, sharp=boxes(0, 1, 2).astype(np.float16)) for mask in run.masks[:3])
    kept = [r.index for r in run.regions if r.image < 3]
    own = [replace(s, cluster=tuple(r for r in s.cluster if r in kept), members=s.members[:3]) for s in run.summaries]
    none = replace(
        run,
        images=run.images[:3],
        masks=masks,
        regions=run.regions[: len(kept)],
        summaries=tuple(own),
        rejected=(),
        analysis=replace(run.analysis, together=replace(run.analysis.together, rest_area=0.0)),
    )
    page = render_page(none)
    assert "Each pixel of the evidence is in a summary: nothing is left over." in Reader(page).flat
    assert "s0-" not in page


def test_what_the_summaries_take_of_what_all_evidence_takes_is_said(run: Run, reader: Reader) -> None:
    assert reader.flat.count("Hiding both summaries takes 75 % of what hiding all evidence takes") == 1
    assert "Pixels are hidden by strong blur, the mean color, noise or inpainting, as when" in reader.flat
    assert "Mean over 4 of 4 images" in reader.flat
    assert "part of what the network uses is in no summary" not in reader.flat  # other images, another figure
    one = replace(run.settings, masks=replace(run.settings.masks, infill="mean"))
    assert "Pixels are hidden by the mean color, as when" in Reader(render_page(replace(run, settings=one))).flat


def test_evidence_that_takes_nothing_has_no_share(run: Run) -> None:
    assert run.analysis is not None
    assert run.analysis.together is not None
    nothing = replace(run.analysis, together=replace(run.analysis.together, evidence=0.0))
    assert "of what hiding all evidence takes" not in Reader(render_page(replace(run, analysis=nothing))).flat
    assert 'id="rest"' not in render_page(replace(run, analysis=RunAnalysis()))
    assert "Parts that hardly beat their control" in render_page(replace(run, analysis=RunAnalysis()))


def test_unknown_figures_of_members_are_left_out(reader: Reader, page_text: str, run: Run) -> None:
    assert "similarity 100 % hidden: score −25 %" in reader.flat
    assert "similarity 90 %" in reader.flat
    [second] = re.findall(r'<article class="summary[^>]*id="summary-2".*?</article>', page_text, re.DOTALL)
    assert "similarity" not in second
    assert "hidden: <b>score −25" in second
    unknown = tuple(replace(region, drop=NAN) for region in run.regions)
    page = render_page(replace(run, regions=unknown))
    assert "hidden: <b>" not in page
    assert "–</b>" not in page


def test_parts_of_an_image_with_what_each_takes_there(reader: Reader) -> None:
    assert "Parts, and what each accounts for Summary 1 −50 % Summary 2 −30 % in the rest −5 %" in reader.flat
    assert "Parts, and what each accounts for Summary 1 −50 % in the rest −5 %" in reader.flat  # image 3 has no second part


def test_the_map_has_the_largest_piece_of_each_part_in_each_image(reader: Reader) -> None:
    [text] = reader.raw["json"]
    rows = json.loads(text)["rows"]
    assert [row["part"] for row in rows] == ["1-0", "2-0", "3-0", "1-1", "2-1", "3-1", "1-2", "2-2", "3-2", "1-3", "3-3"]
    assert all(row["box"] != list(PIECES[1]) for row in rows)
    assert {tuple(row["window"]) for row in rows} == {(0, 0, 64, 48)}
    assert "Each point is the largest piece of one part in one image." in reader.flat


def test_the_number_of_parts_and_why(run: Run, reader: Reader) -> None:
    assert "Number of parts 3" in reader.flat
    assert "3 parts: the largest number whose parts are stable when the images are resampled" in reader.flat
    assert "2 are summaries, 1 hardly beats its control." in reader.flat
    assert "3 taken 60 % 70 % 3" in reader.flat
    assert "these summaries would be joined first: 1 with 2." in reader.flat
    assert run.settings.parts is not None
    asked = replace(run.settings, parts=replace(run.settings.parts, count=3))
    parts = replace(run.parts, numbers=())  # type: ignore[type-var]
    text = Reader(render_page(replace(run, settings=asked, parts=parts))).flat
    assert "3 parts, as requested. 2 are summaries, 1 hardly beats its control." in text
    assert "taken" not in text


def test_merges_follow_the_tree_and_leave_out_what_is_no_summary(run: Run) -> None:
    assert run.parts is not None
    tree = np.array([[0, 2, 0.1, 2], [1, 3, 0.2, 2], [4, 5, 0.9, 4]])
    parts = replace(run.parts, centers=np.zeros((4, 5), np.float32), tree=tree)
    assert merges(parts, [2, 0, 1, 3]) == ["1 with 2", "3 with 4", "1 and 2 with 3 and 4"]
    assert merges(parts, [2, 1, 3]) == ["2 with 3", "1 with 2 and 3"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"regions": (), "rejected": ()}, "No image has evidence."),
        ({}, "The evidence was divided among 3 parts, but none beats its control, the same pixels elsewhere."),
        ({"rejected": ()}, "but none is in 3 images or more and in 15 % of all."),
    ],
)
def test_no_summary_says_why(run: Run, change: dict[str, object], reason: str) -> None:
    page = Reader(render_page(replace(run, summaries=(), **change)))  # type: ignore[arg-type]
    assert "No visual summary" in page.flat
    assert reason in page.flat
