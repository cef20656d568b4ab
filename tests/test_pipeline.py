"""The whole job on a network whose evidence is known, through the public interface."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image as PillowImage

import visual_summaries as vs
from visual_summaries.analyses import measure_importance
from visual_summaries.classifiers import resolve_target
from visual_summaries.errors import ConvergenceError, NoImagesError, RunError, SettingsError, TargetError
from visual_summaries.files.journal import Journal
from visual_summaries.masks import MaskSchedule
from visual_summaries.masks.scorer import Scorer
from visual_summaries.results import Accuracy, Run, RunInfo, TargetInfo

COUNT = 6


def quick_settings() -> vs.Settings:
    """The published method with fewer steps: enough for a network with two patches of evidence."""
    settings = vs.preset("paper")
    masks = replace(
        settings.masks, smooth=MaskSchedule(40, l1=0.5, l2=0.01, l3=0.0), sharp=MaskSchedule(60, l1=0.01, l2=1.0, l3=2.0)
    )
    masks = replace(masks, batch_size=2)
    return replace(settings, masks=masks, regions=replace(settings.regions, boxes=250))


def same_results(a: Run, b: Run) -> bool:
    """Whether two runs are equal bit for bit in everything but what tells how they were made."""
    return replace(a, info=RunInfo()) == replace(b, info=RunInfo())


@pytest.fixture(scope="module")
def striped(draw_striped_images: Callable[..., Any]) -> Any:
    return draw_striped_images(COUNT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, striped: Any) -> Path:
    """Striped images as a user's folder, with a corrupt file and an image of another class between them."""
    path = tmp_path_factory.mktemp("images")
    for index, image in enumerate(striped.images):
        PillowImage.fromarray(image).save(path / f"{index}.png")
    (path / "3_broken.png").write_bytes(b"no image at all")
    PillowImage.new("RGB", (112, 64), (120, 120, 120)).save(path / "4_plain.png")
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, folder: Path, shared_stripe_network: torch.nn.Module) -> Run:
    out = tmp_path_factory.mktemp("runs") / "marked"
    return vs.summarize(shared_stripe_network, folder, "marked", out, settings=quick_settings())


def share_near(mask: np.ndarray, box: tuple[int, int, int, int], margin: int = 6) -> float:
    x0, y0, x1, y1 = box
    return float(mask[max(y0 - margin, 0) : y1 + margin, max(x0 - margin, 0) : x1 + margin].sum() / mask.sum())


def cover(mask: np.ndarray, box: tuple[int, int, int, int]) -> float:
    x0, y0, x1, y1 = box
    return float(mask[y0:y1, x0:x1].mean())


def test_masks_lie_on_the_evidence_and_destroy_the_class(run: Run, striped: Any) -> None:
    for image, mask in zip(run.images, run.masks, strict=True):
        evidence = mask.final > 0.5
        red, blue = striped.red[image.index], striped.blue[image.index]
        assert share_near(evidence, red) + share_near(evidence, blue) > 0.95
        assert min(cover(evidence, red), cover(evidence, blue)) > 0.8
        assert mask.score_before == pytest.approx(0.9975, abs=1e-3)
        assert mask.score_after < 0.3


def test_images_set_aside_are_counted_with_the_reason(run: Run) -> None:
    assert {item.name: item.reason for item in run.skipped} == {"3_broken.png": "unreadable", "4_plain.png": "misclassified"}
    assert run.info.accuracy == Accuracy(COUNT, COUNT + 1)
    assert [image.name for image in run.images] == [f"{i}.png" for i in range(COUNT)]


def test_each_summary_is_one_kind_of_patch_and_both_kinds_have_one(run: Run, striped: Any) -> None:
    kinds, strays = set(), 0
    for summary in run.summaries:
        on_red = []
        for member in summary.members:
            region = run.regions[member.region]
            x0, y0, x1, y1 = region.box
            rx0, ry0, rx1, ry1 = striped.red[region.image]
            overlap = max(0, min(x1, rx1) - max(x0, rx0)) * max(0, min(y1, ry1) - max(y0, ry0))
            on_red.append(overlap > 0.5 * region.area)
        strays += min(sum(on_red), len(on_red) - sum(on_red))
        if len(set(on_red)) == 1:
            kinds.add(on_red[0])
    # The published clustering puts one region of all into the wrong cluster on some machines, on others none.
    assert strays <= 1
    assert kinds == {True, False}


def test_contributions_agree_with_hiding_by_another_blur(run: Run, shared_stripe_network: torch.nn.Module) -> None:
    """Each of the two patches alone takes a good part of the score; OpenCV's blur is the reference."""
    for image in run.images:
        own = [component for component in run.components if component.image == image.index]
        assert own == sorted(own, key=lambda c: -c.contribution)
        assert len([component for component in own if component.contribution > 0.2]) == 2
        view = image.view.astype(np.float32) / 255
        blurred = cv2.GaussianBlur(view, (11, 11), 10, borderType=cv2.BORDER_REPLICATE)
        regions = [region for region in run.regions if region.image == image.index]
        for part in [*own, *regions]:
            x0, y0, x1, y1 = part.box
            hidden = np.zeros(view.shape[:2], bool)
            hidden[y0:y1, x0:x1] = part.mask
            changed = np.where(hidden[..., None], blurred, view)
            with torch.no_grad():
                logits = shared_stripe_network(torch.from_numpy(changed).permute(2, 0, 1)[None])
            score = logits.softmax(1)[0, 0].item()
            assert part.contribution == pytest.approx(1 - score, abs=1e-4)
            assert part.drop == pytest.approx((image.score - score) / image.score, abs=1e-4)


def test_regions_are_salient_and_not_redundant(run: Run) -> None:
    for region in run.regions:
        x0, y0, x1, y1 = region.box
        assert region.mask.shape == (y1 - y0, x1 - x0)
        assert region.mask.mean() == pytest.approx(region.salient_share)
        assert region.salient_share > 0.75
    assert run.similarity.shape == (len(run.regions),) * 2
    np.testing.assert_array_equal(run.similarity, run.similarity.T)
    owner = np.array([region.image for region in run.regions])
    assert not run.similarity[owner[:, None] == owner[None, :]].any()


def test_a_loaded_run_equals_the_computed_one(run: Run) -> None:
    assert run.path is not None
    assert vs.load_run(run.path) == run


def test_the_manifest_tells_how_the_run_was_made(run: Run) -> None:
    info = run.info
    assert info.target == TargetInfo(0, "marked")
    assert info.preset == "custom"
    assert info.counts["summaries"] == len(run.summaries)
    assert {"images", "masks", "similarity", "summaries"} <= set(info.timings)
    assert info.versions["torch"] in (torch.__version__, torch.__version__.split("+")[0])


def test_an_attempt_that_failed_before_any_work_is_in_nobodys_way(
    tmp_path: Path, folder: Path, stripe_network: torch.nn.Module
) -> None:
    with pytest.raises(NoImagesError, match="1 usable images, but at least 3"):
        vs.summarize(stripe_network, folder, 1, tmp_path / "out", preset="quick")
    assert (tmp_path / "out" / "journal.jsonl").exists()
    run = vs.summarize(stripe_network, folder, 0, tmp_path / "out", preset="quick")
    assert vs.load_run(tmp_path / "out") == run


def test_resume_finds_the_pieces_and_gives_the_same_run(
    tmp_path: Path, folder: Path, stripe_network: torch.nn.Module, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after two masks, resumed: only the missing ones are computed, and the result is that of the whole run."""
    out = tmp_path / "out"

    def stop(stage: str, done: int, total: int) -> None:
        if stage == "masks" and done >= 2:
            raise KeyboardInterrupt

    settings = quick_settings()
    with pytest.raises(KeyboardInterrupt):
        vs.summarize(stripe_network, folder, "marked", out, settings=settings, progress=stop)
    with pytest.raises(RunError, match="already holds an unfinished run"):
        vs.summarize(stripe_network, folder, "marked", out, settings=settings)

    resumed = vs.summarize(stripe_network, folder, "marked", out, settings=settings, resume=True)
    assert resumed.info.pieces["masks"] == {"computed": COUNT - 2, "found": 2, "damaged": 0}
    assert same_results(resumed, run)
    again = vs.summarize(stripe_network, folder, "marked", out, settings=settings, resume=True)
    assert {stage: counts["computed"] for stage, counts in again.info.pieces.items() if counts["computed"]} == {}
    assert same_results(again, run)


def test_importance_by_images_is_that_of_all_together(run: Run, stripe_network: torch.nn.Module) -> None:
    classifier = vs.load_classifier(stripe_network)
    both = run.summaries + run.rejected
    evidence = [np.asarray(mask.final > 0.5) for mask in run.masks]
    target = resolve_target(classifier, "marked")
    scorer = Scorer(classifier, target, run.settings.masks)
    found = measure_importance(scorer, run.images, evidence, run.regions, both, run.settings.analyses)
    for summary, one in zip(both, found, strict=True):
        assert summary.analysis is not None
        assert replace(one, cohesion=summary.analysis.cohesion, stability=summary.analysis.stability) == summary.analysis


def test_changed_settings_do_not_find_old_pieces(
    tmp_path: Path, folder: Path, stripe_network: torch.nn.Module, run: Run
) -> None:
    settings = quick_settings()
    other = replace(settings, masks=replace(settings.masks, sharp=replace(settings.masks.sharp, l1=0.02)))
    vs.summarize(stripe_network, folder, "marked", tmp_path / "out", settings=settings)
    changed = vs.summarize(stripe_network, folder, "marked", tmp_path / "out", settings=other, resume=True)
    assert changed.masks != run.masks


def test_what_takes_too_little_of_the_class_is_rejected(
    tmp_path: Path, folder: Path, shared_stripe_network: torch.nn.Module
) -> None:
    def explained(least: float) -> Run:
        rule = replace(settings.summaries, keep="used", rank="importance", min_effect=least)
        changed = replace(settings, summaries=rule)
        return vs.summarize(shared_stripe_network, folder, "marked", tmp_path / "out", settings=changed, resume=True)

    settings = quick_settings()
    everything = explained(0.0)
    effects = [one.analysis.class_effect for one in (*everything.summaries, *everything.rejected) if one.analysis]
    assert len(effects) >= 2
    assert min(one.analysis.class_effect for one in everything.summaries if one.analysis) >= 0
    least = sorted(effects)[-1] - 1e-6
    strict = explained(least)
    assert [one.analysis.class_effect >= least for one in strict.summaries if one.analysis] == [True]
    assert len(strict.rejected) == len(effects) - 1


def test_the_network_is_left_as_it_was_found(striped: Any, stripe_network: torch.nn.Module) -> None:
    stripe_network.train()
    stripe_network.bias.requires_grad_(False)
    before = {name: value.clone() for name, value in stripe_network.state_dict().items()}
    with torch.no_grad():
        vs.summarize(stripe_network, list(striped.images), "marked", settings=quick_settings())
    assert stripe_network.training
    assert stripe_network.norm.training
    assert not stripe_network.bias.requires_grad
    assert stripe_network.norm.weight.requires_grad
    assert all(torch.equal(value, before[name]) for name, value in stripe_network.state_dict().items())


def test_arrays_and_tensors_give_the_same_run_as_files(striped: Any, stripe_network: torch.nn.Module, run: Run) -> None:
    from_arrays = vs.summarize(stripe_network, list(striped.images), "marked", settings=quick_settings())
    tensor = torch.from_numpy(striped.images).permute(0, 3, 1, 2).float() / 255
    from_tensor = vs.summarize(stripe_network, tensor, 0, settings=quick_settings())
    assert from_arrays.masks == from_tensor.masks == run.masks
    assert from_arrays.path is None


def test_a_function_of_the_outputs_as_target(striped: Any, stripe_network: torch.nn.Module) -> None:
    run = vs.summarize(
        stripe_network, list(striped.images[:4]), lambda logits: logits[:, 0].sigmoid(), settings=quick_settings()
    )
    assert run.info.target.index is None
    assert all(mask.score_before > 0.9 > 0.5 > mask.score_after for mask in run.masks)


def test_no_more_than_max_images(striped: Any, stripe_network: torch.nn.Module) -> None:
    run = vs.summarize(stripe_network, list(striped.images), "marked", settings=quick_settings(), max_images=4)
    names = [image.name for image in run.images]
    assert len(names) == 4
    assert names == sorted(names) != [f"image-{k:04d}" for k in range(4)]  # a sample, in the order of the source
    assert [image.index for image in run.images] == [0, 1, 2, 3]
    assert run.info.counts["sample_of"] == len(striped.images)


def test_misclassified_images_are_kept_when_asked(folder: Path, stripe_network: torch.nn.Module) -> None:
    run = vs.summarize(stripe_network, folder, "marked", settings=quick_settings(), include_misclassified=True)
    assert len(run.images) == COUNT + 1
    assert [item.reason for item in run.skipped] == ["unreadable"]


def plain(count: int) -> list[np.ndarray]:
    return [np.full((64, 112, 3), 120 - number, np.uint8) for number in range(count)]


def test_a_class_that_no_image_is_classified_as(stripe_network: torch.nn.Module) -> None:
    with pytest.raises(TargetError, match=r"none of the 5 images is classified as marked; the network says plain \(5\)"):
        vs.summarize(stripe_network, plain(5), "marked")


def test_fewer_than_three_usable_images(striped: Any, stripe_network: torch.nn.Module) -> None:
    mixed = [*striped.images[:2], *plain(1)]
    with pytest.raises(NoImagesError, match=r"2 usable images, but at least 3 are needed .*1 misclassified"):
        vs.summarize(stripe_network, mixed, "marked")


def test_a_folder_of_corrupt_files(tmp_path: Path, stripe_network: torch.nn.Module) -> None:
    for index in range(4):
        (tmp_path / f"{index}.jpg").write_bytes(b"\xff\xd8 no image")
    with pytest.raises(NoImagesError, match=r"0 usable images.*4 unreadable \(for example 0\.jpg"):
        vs.summarize(stripe_network, tmp_path, "marked")


@pytest.mark.parametrize("made", ["missing", "empty"])
def test_empty_and_missing_folders(tmp_path: Path, stripe_network: torch.nn.Module, made: str) -> None:
    path = tmp_path / made
    if made == "empty":
        path.mkdir()
    with pytest.raises(NoImagesError, match=made):
        vs.summarize(stripe_network, path, "marked")


def test_a_class_that_the_network_does_not_have(striped: Any, stripe_network: torch.nn.Module) -> None:
    with pytest.raises(TargetError, match="marked"):
        vs.summarize(stripe_network, list(striped.images), "market")
    with pytest.raises(TargetError, match="7"):
        vs.summarize(stripe_network, list(striped.images), 7)


def test_a_folder_that_holds_a_run_is_not_touched(run: Run, folder: Path, stripe_network: torch.nn.Module) -> None:
    assert run.path is not None
    before = (run.path / "manifest.json").read_bytes()
    with pytest.raises(RunError, match="already holds a complete run"):
        vs.summarize(stripe_network, folder, "marked", run.path)
    assert (run.path / "manifest.json").read_bytes() == before


def test_clusters_that_do_not_converge_are_an_error_and_masks_stay(
    tmp_path: Path, striped: Any, stripe_network: torch.nn.Module
) -> None:
    settings = quick_settings()
    settings = replace(settings, clusters=replace(settings.clusters, max_iterations=5))
    with pytest.raises(ConvergenceError, match="did not converge"):
        vs.summarize(stripe_network, list(striped.images), "marked", tmp_path / "out", settings=settings)
    journal = Journal(tmp_path / "out" / "journal.jsonl").entries()
    assert sum(len(entry["keys"]) for entry in journal if entry["event"] == "computed" and entry["stage"] == "masks") == COUNT


@pytest.mark.parametrize("wrong", [{"parts": 3}, "quick", vs.SpecializeSettings(), vs.preset("quick").to_dict()])
def test_settings_that_are_none_are_named(wrong: Any, stripe_network: torch.nn.Module, tmp_path: Path) -> None:
    kind = type(wrong).__name__
    with pytest.raises(
        SettingsError, match=rf"settings is a {kind} .* must be Settings: .*Settings\.from_dict.*preset="
    ) as caught:
        vs.summarize(stripe_network, tmp_path, 0, settings=wrong, out=tmp_path / "out")
    assert len(str(caught.value)) < 400
    for call in (lambda: vs.cluster(np.eye(4), wrong), lambda: vs.optimize_masks(stripe_network, [], 0, settings=wrong)):
        with pytest.raises(SettingsError, match=f"settings is a {kind}"):
            call()
    assert not (tmp_path / "out").exists()


def test_an_unknown_preset(striped: Any, stripe_network: torch.nn.Module) -> None:
    with pytest.raises(SettingsError, match="preset is 'papers', but must be one of 'default', 'quick', 'paper'"):
        vs.summarize(stripe_network, list(striped.images), "marked", preset="papers")


def test_copies_of_an_image_count_once(tmp_path: Path, folder: Path, stripe_network: torch.nn.Module, run: Run) -> None:
    """The same bytes under another name, and the same pixels in another format, prove nothing."""
    for file in folder.iterdir():
        shutil.copy(file, tmp_path / file.name)
    shutil.copy(folder / "0.png", tmp_path / "9_copy.png")
    cv2.imwrite(str(tmp_path / "9_other.bmp"), cv2.imread(str(folder / "1.png")))
    found = vs.summarize(stripe_network, tmp_path, "marked", settings=quick_settings())
    assert {item.name: item.detail for item in found.skipped if item.reason == "copy"} == {
        "9_copy.png": "the same pixels as 0.png",
        "9_other.bmp": "the same pixels as 1.png",
    }
    assert found.info.accuracy == run.info.accuracy
    assert found.images == run.images
    assert found.summaries == run.summaries
    several = found.apply([folder / "0.png", tmp_path / "9_copy.png"], vs.load_classifier(stripe_network))
    assert len(several.images) == 2  # what is asked about is answered
