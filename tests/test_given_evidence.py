"""Evidence that was found elsewhere: matched with images, laid on views, cut, and carried through a whole run."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import visual_summaries as vs
from square_world import SIZE, Squares, evidence_of, give_masks, square_network, square_settings, squares
from visual_summaries.batch.jobs import Job, plan_jobs
from visual_summaries.classifiers import resolve_target
from visual_summaries.classifiers.frames import view_frame
from visual_summaries.classifiers.transforms import CROP_MODES, ViewTransform
from visual_summaries.cli import main
from visual_summaries.compare.comparison import network_names
from visual_summaries.errors import ImageError, NoImagesError, RunError, SettingsError
from visual_summaries.masks.given import STEP, masks_of_maps
from visual_summaries.masks.scorer import Scorer
from visual_summaries.pages.report import render_page
from visual_summaries.results import EvidenceInfo, Run, RunInfo
from visual_summaries.runs.given import GivenMaps, lay_on_view, one_channel
from visual_summaries.settings.masks import EvidenceSettings

COUNT = 6


@pytest.fixture(scope="module")
def world() -> Squares:
    return squares(COUNT)


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    classifier = vs.load_classifier(square_network())
    return Scorer(classifier, resolve_target(classifier, 0), square_settings().masks)


# Cutting


@given(seed=st.integers(0, 99), loss=st.floats(0.05, 0.85))
@settings(max_examples=15, deadline=None)
def test_the_area_is_the_smallest_that_costs_the_share(seed: int, loss: float, scorer: Scorer, world: Squares) -> None:
    """By asking the network about every area of a map whose order is random, so that hiding more never costs less."""
    view = world.images[seed % COUNT]
    given_map = np.random.default_rng(seed).random(SIZE).astype(np.float32)
    [(mask, way)] = masks_of_maps(scorer, [view], [given_map], EvidenceSettings(loss=loss))
    order = np.argsort(np.argsort(-given_map, axis=None)).reshape(SIZE)
    areas = np.arange(0, given_map.size + 1, 16)
    scores = scorer.without(view, order < areas[:, None, None])
    smallest = areas[np.argmax(scores <= scores[0] * (1 - loss))]
    assert way == "loss"
    assert mask.drop >= loss - 1e-5
    assert smallest - 16 <= mask.sharp.sum(dtype=int) <= smallest + STEP * given_map.size + 1
    np.testing.assert_array_equal(mask.sharp > 0.5, order < mask.sharp.sum(dtype=int))
    np.testing.assert_array_equal(mask.smooth, given_map.astype(np.float16))


def test_ways_that_ask_for_no_area(scorer: Scorer, world: Squares) -> None:
    view, truth = world.images[0], world.truth[0]
    ramp = np.linspace(0, 1, truth.size, dtype=np.float32).reshape(SIZE)
    red, plateaus = (truth == 0).astype(np.float32), np.select([truth == 0, truth == 1], [1.0, 0.5]).astype(np.float32)
    views, maps = [view] * 3, [red, ramp, plateaus]
    (mask, way), (rest, by_area), (few, _) = masks_of_maps(scorer, views, maps, EvidenceSettings(area=0.25))
    assert (way, by_area) == ("binary", "area")
    np.testing.assert_array_equal(mask.sharp, red)
    assert (mask.score_before, mask.score_after, mask.score_hidden) == pytest.approx((0.95, 0.4, 0.1), abs=1e-4)
    assert rest.area == pytest.approx(0.25, abs=1e-3)
    np.testing.assert_array_equal(few.sharp, (truth == 0) | (truth == 1))  # no more than what is positive
    found = masks_of_maps(scorer, views, maps, EvidenceSettings(loss=0.5))
    assert [way for _, way in found] == ["binary", "loss", "loss"]
    np.testing.assert_array_equal(found[2][0].sharp, red)  # all pixels of one value, or none
    [(all_of_it, short)] = masks_of_maps(scorer, [view], [plateaus], EvidenceSettings(loss=0.95))  # 0.1 is always left
    assert short == "short"
    np.testing.assert_array_equal(all_of_it.sharp, plateaus > 0)


def test_of_values_the_loss_is_a_share_of_what_hiding_everything_takes(world: Squares) -> None:
    classifier = vs.load_classifier(square_network())
    target = resolve_target(classifier, lambda logits: logits.softmax(1)[:, 0] - 0.1)  # 0 with everything hidden
    scorer = Scorer(classifier, target, square_settings().masks)
    plateaus = np.select([world.truth[0] == 0, world.truth[0] == 1], [1.0, 0.5]).astype(np.float32)
    [(mask, way)] = masks_of_maps(scorer, [world.images[0]], [plateaus], EvidenceSettings(loss=0.95))
    assert (way, mask.score_after) == ("loss", pytest.approx(0, abs=1e-4))


# Laying maps on views


@given(
    height=st.integers(20, 90),
    width=st.integers(20, 90),
    mode=st.sampled_from(CROP_MODES),
    crop=st.sampled_from([0.8, 1.0]),
    resize=st.sampled_from([None, 48, (40, 60)]),
)
@settings(max_examples=40, deadline=None)
def test_a_map_of_the_image_goes_where_the_image_goes(height: int, width: int, mode: str, crop: float, resize: Any) -> None:
    """The reference is the transform itself, which a picture of the map goes through."""
    transform = ViewTransform((32, 40), crop_pct=crop, crop_mode=mode, resize=resize, mean=(0.0,) * 3, std=(1.0,) * 3)
    y, x = np.mgrid[:height, :width]
    wave = np.round(127.5 + 60 * np.sin(y / 7) + 60 * np.cos(x / 9))
    wave[height // 2, width // 2] = 255
    view = transform.view(PIL.Image.fromarray(wave.astype(np.uint8)).convert("RGB"))[:, :, 0]
    laid = lay_on_view(wave.astype(np.float32), (32, 40), view_frame(transform, (height, width)))
    assert laid.max() == 1
    assert np.abs(laid / laid.max() * view.max() - view).mean() < 4  # of 255: the transform rounds sizes to pixels


def test_a_coarse_grid_is_spread_over_the_view() -> None:
    grid = np.random.default_rng(0).random((5, 8)).astype(np.float32)
    expected = cv2.resize(grid, (240, 160), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(lay_on_view(grid, (160, 240)), expected / expected.max(), atol=1e-5)
    mask = lay_on_view((grid > 0.5) * np.float32(255), (160, 240))
    assert set(np.unique(mask)) == {0.0, 1.0}
    signed = lay_on_view(grid - 0.5, (160, 240))
    assert (signed == 0).mean() > 0.2


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full((8, 8), np.nan), "not finite"),
        (np.full((8, 8), 1e300) * np.eye(8), "not finite"),
        (np.zeros((8, 8)), "the same everywhere"),
        (np.ones((8, 8), bool), "the same everywhere"),
        (-np.random.default_rng(0).random((8, 8)), "only what is positive counts"),
        (np.eye(8)[:, :5], "neither that of the image"),
        (np.eye(64, dtype=np.float32), "in what the network sees"),
        (np.zeros((8, 8, 4)), "not a colored picture"),
        (np.array(["a"]), "is no map"),
        ("missing.png", "cannot be opened"),
    ],
)
def test_maps_of_no_use_are_set_aside_with_the_reason(values: Any, message: str, world: Squares) -> None:
    if message == "in what the network sees":
        values[8:56, 8:56] = 0  # what is positive is cut off
    maps = GivenMaps({"a": values}, ViewTransform((32, 32), crop_pct=0.5))
    maps.match(["a.jpg", "b.jpg"])
    with pytest.raises(ImageError, match=message) as caught:
        maps.read("a.jpg", np.zeros((32, 32, 3), np.uint8), (64, 64))
    assert caught.value.reason == "unusable-map"
    with pytest.raises(ImageError, match="no map is given for b") as caught:
        maps.read("b.jpg", np.zeros((32, 32, 3), np.uint8), (64, 64))
    assert caught.value.reason == "no-map"


def test_tensors_are_maps() -> None:
    attribution = torch.rand(1, 3, 4, 5, dtype=torch.bfloat16, requires_grad=True)
    np.testing.assert_allclose(one_channel(attribution), attribution[0].sum(0).float().detach(), atol=0.02)


# Matching maps with images


def matched(given_maps: Any, names: list[str]) -> tuple[dict[str, Any], list[str]]:
    maps = GivenMaps(given_maps, ViewTransform((8, 8)))
    maps.match(names)
    return {name: np.asarray(own).max() for name, own in maps._found.items()}, maps.unused


def test_maps_are_found_by_names() -> None:
    one, two = np.full((8, 8), 1), np.full((8, 8), 2)
    assert matched({"x/a": one, "b.jpg": two, "c": one}, ["x/a.png", "b.jpg"]) == ({"x/a.png": 1, "b.jpg": 2}, ["c"])
    assert matched({"a": one, "a.png": two}, ["a.jpg", "a.png"]) == ({"a.png": 2}, ["a"])  # whose "a" is, nobody knows
    assert matched([one, None, two], ["a", "b", "c"]) == ({"a": 1, "c": 2}, [])
    assert matched(torch.ones(2, 8, 8), ["a", "b"])[0] == {"a": 1, "b": 1}
    with pytest.raises(SettingsError, match="1 maps for 2 images"):
        matched([one], ["a", "b"])


def test_maps_are_read_from_a_folder(tmp_path: Path) -> None:
    values = np.arange(64).reshape(8, 8)
    (tmp_path / "x").mkdir()
    PIL.Image.fromarray((values * 1000).astype(np.uint16)).save(tmp_path / "x" / "deep.png")
    PIL.Image.fromarray((values * 4).astype(np.uint8)).save(tmp_path / "gray.PNG")
    np.save(tmp_path / "array.npy", values > 31)
    PIL.Image.new("RGB", (8, 8)).save(tmp_path / "color.png")
    (tmp_path / "broken.npy").write_bytes(b"\x93NUMPY no array")
    PIL.Image.new("L", (8, 8)).save(tmp_path / "photograph.jpg")
    (tmp_path / "notes.txt").write_text("how it was made")
    maps = GivenMaps(tmp_path, ViewTransform((8, 8), crop_pct=1.0))
    names = ["x/deep.jpg", "gray.jpg", "array.jpg", "color.jpg", "broken.jpg"]
    maps.match(names)
    assert maps.unused == ["photograph.jpg"]
    view = np.zeros((8, 8, 3), np.uint8)
    for name in names[:3]:
        maps.read(name, view, (8, 8))
    np.testing.assert_allclose(maps.maps["x/deep.jpg"], values / 63, atol=1e-6)
    np.testing.assert_allclose(maps.maps["gray.jpg"], values / 63, atol=1e-6)
    np.testing.assert_array_equal(maps.maps["array.jpg"], values > 31)
    for name, message in (("color.jpg", "picture in color"), ("broken.jpg", "damaged")):
        with pytest.raises(ImageError, match=message):
            maps.read(name, view, (8, 8))
    np.save(tmp_path / "gray.npy", values)
    for folder, message in ((tmp_path, "two maps called gray"), (tmp_path / "none", "does not exist")):
        with pytest.raises(SettingsError, match=message):
            GivenMaps(folder, ViewTransform((8, 8))).match(names)


# Whole runs


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory, world: Squares) -> Path:
    """Folders of images and of their masks: of one image none, of one NaN, and one mask of no image."""
    folder = tmp_path_factory.mktemp("named")
    for index, view in enumerate(world.images):
        for kind in ("images", "maps"):
            (folder / kind).mkdir(exist_ok=True)
        PIL.Image.fromarray(view).save(folder / "images" / f"{index}.png")
        if index > 1:
            PIL.Image.fromarray(evidence_of(view)).save(folder / "maps" / f"{index}.png")
    np.save(folder / "maps" / "1.npy", np.full(SIZE, np.nan))
    PIL.Image.fromarray(evidence_of(world.images[0])).save(folder / "maps" / "nobody.png")
    return folder


def explain(named: Path, **options: Any) -> Run:
    asked = {"settings": square_settings(count=3), "evidence": named / "maps"} | options
    return vs.summarize(square_network(), named / "images", "squares", **asked)


@pytest.fixture(scope="module")
def run(named: Path) -> Run:
    return explain(named, out=named / "run")


def test_masks_that_are_given_make_the_run_that_they_would_make_if_found(
    run: Run, world: Squares, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [(item.name, item.reason) for item in run.skipped] == [("0.png", "no-map"), ("1.png", "unusable-map")]
    assert run.info.evidence == EvidenceInfo("maps", 0.9, None, {"binary": COUNT - 2}, ["nobody"])
    assert "masks" not in run.info.pieces
    give_masks(monkeypatch)
    found = vs.summarize(square_network(), list(world.images[2:]), "squares", settings=square_settings(count=3))
    assert [summary.importance for summary in run.summaries] == [summary.importance for summary in found.summaries]
    for image in range(COUNT - 2):
        np.testing.assert_array_equal(run.labels(image), found.labels(image))
        np.testing.assert_array_equal(run.evidence(image), evidence_of(world.images[image + 2]))
        assert run.masks[image].score_after == pytest.approx(found.masks[image].score_after, abs=1e-4)
    assert vs.load_run(run.path) == run
    assert vs.load_run(run.path).info == run.info


def test_the_report_says_whose_evidence_it_is(run: Run, tmp_path: Path) -> None:
    page = render_page(run)
    assert "Evidence: given, from maps, not found by this run. 4 maps with two values taken as they are." in page.replace(
        "\u00a0", " "
    )
    assert "Belongs to no image: nobody." in page
    assert "the computer searches" not in page
    assert "no evidence is given for it" in page
    assert "as when the masks were sought" not in page


def test_a_run_is_resumed_and_what_changed_is_made_anew(named: Path, tmp_path: Path, world: Squares) -> None:
    maps = {f"{index}": np.select([t == 0, t == 1], [1.0, 0.5]) + 0.0 for index, t in enumerate(world.truth)}
    options: dict[str, Any] = {"evidence": maps, "evidence_loss": 0.5, "out": tmp_path / "run"}
    first = explain(named, **options)
    assert first.info.evidence == EvidenceInfo("dict", 0.5, None, {"loss": COUNT}, [])
    again = explain(named, resume=True, **options)
    assert replace(again, info=RunInfo()) == replace(first, info=RunInfo())
    assert again.info.pieces["given"] == {"computed": 0, "found": COUNT, "damaged": 0}
    maps["3"] = maps["3"] / 2 + (world.truth[3] == 2)
    changed = explain(named, resume=True, **options)
    assert changed.info.pieces["given"]["computed"] > 0
    assert changed.evidence(3).sum() > first.evidence(3).sum()


def test_a_function_of_views_and_other_presets(named: Path, world: Squares) -> None:
    paper = vs.preset("paper")
    quick = replace(paper, masks=replace(paper.masks, infill="mean"), regions=replace(paper.regions, boxes=40))
    found = explain(named, evidence=evidence_of, settings=quick)
    assert found.parts is None
    assert found.components
    assert found.info.evidence == EvidenceInfo("function", 0.9, None, {"binary": COUNT}, [])
    np.testing.assert_array_equal(found.evidence(0), evidence_of(world.images[0]))


def test_options_that_cannot_be(named: Path) -> None:
    for options in ({"evidence": None, "evidence_loss": 0.5}, {"evidence_loss": 0.5, "evidence_area": 0.1}):
        with pytest.raises(SettingsError, match="give one of them"):
            explain(named, **options)
    with pytest.raises(SettingsError, match=r"area is 1.5"):
        explain(named, evidence_area=1.5)
    with pytest.raises(NoImagesError, match="6 no-map"):
        explain(named, evidence={"other": np.eye(8)})


def test_what_a_run_with_given_evidence_is_good_for(run: Run, caplog: pytest.LogCaptureFixture, world: Squares) -> None:
    classifier = vs.load_classifier(square_network())
    with pytest.raises(RunError, match=r"evidence of this run was given \(maps\)"):
        vs.randomization_check(run, classifier)
    with pytest.MonkeyPatch.context() as patch, caplog.at_level(logging.WARNING, "visual_summaries"):
        give_masks(patch)
        found = run.apply(list(world.images[:1]), classifier)
    assert "the run's evidence was given (maps)" in caplog.text
    assert len(found.images[0].present) == 2
    own = replace(run, info=replace(run.info, evidence=None))
    assert len(set(network_names([run, own]))) == 2


def test_the_command_takes_a_folder(named: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    network = f"{Path(__file__).parent / 'square_world.py'}:square_network"
    common = [str(named / "images"), "--target", "squares", "--preset", "quick", "--evidence", str(named / "maps")]
    out = tmp_path / "run"
    assert main(["run", network, *common, "--evidence-area", "0.3", "--out", str(out), "--quiet"]) == 0
    assert "Evidence: given, from maps" in capfd.readouterr().out
    assert (out / "report.html").is_file()
    job = Job(network, str(named / "images"), str(out), "squares", preset="quick", evidence="x/maps", evidence_area=0.3)
    assert job.finished
    assert not replace(job, evidence_area=None).finished
    assert not replace(job, evidence=None, evidence_area=None).finished
    folders = tmp_path / "folders"
    for index in (0, 1):
        (folders / str(index)).mkdir(parents=True)
        PIL.Image.new("RGB", (20, 20)).save(folders / str(index) / "a.png")
    jobs = plan_jobs(["m"], folders, tmp_path / "many", evidence="maps")
    assert [job.evidence for job in jobs] == [str(Path("maps") / "0"), str(Path("maps") / "1")]
    with pytest.raises(SettingsError, match="is of one network, but 2 are given"):
        plan_jobs(["m", "n"], folders, tmp_path / "many", evidence="maps")
