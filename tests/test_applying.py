"""A finished run with its network: on new images, and with shuffled weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PillowImage
from typer.testing import CliRunner

import visual_summaries as vs
from visual_summaries.classifiers import Classifier, resolve_transform
from visual_summaries.cli.applying import network_of
from visual_summaries.errors import ClassifierError, NoImagesError, RunError
from visual_summaries.masks import MaskSchedule
from visual_summaries.pages.application import render_application
from visual_summaries.results import Application, Run, TargetInfo
from visual_summaries.runs.finding_boxes import fit_matcher
from visual_summaries.runs.randomization import randomization_check

if TYPE_CHECKING:
    from playwright.sync_api import Page

COUNT = 6


@pytest.fixture(scope="module")
def striped(draw_striped_images: Callable[..., Any]) -> Any:
    return draw_striped_images(COUNT + 3)


@pytest.fixture(scope="module")
def classifier(shared_stripe_network: torch.nn.Module) -> Classifier:
    return vs.load_classifier(shared_stripe_network)


@pytest.fixture(scope="module", params=["paper", "default"])
def run(request: pytest.FixtureRequest, classifier: Classifier, striped: Any) -> Run:
    settings = vs.preset(request.param)
    masks = settings.masks
    if request.param == "paper":
        stages = {"smooth": MaskSchedule(40, l1=0.5, l2=0.01, l3=0.0), "sharp": MaskSchedule(60, l1=0.01, l2=1.0, l3=2.0)}
        masks = replace(masks, **stages)
    settings = replace(
        settings,
        masks=masks,
        regions=replace(settings.regions, boxes=250 if request.param == "paper" else 60),
        analyses=replace(settings.analyses, orders=2, resamplings=3, chance=2),
    )
    return vs.summarize(classifier, list(striped.images[:COUNT]), "marked", settings=settings)


def kind_of(run: Run, striped: Any, summary: int) -> str:
    """Which patch a summary's exemplar lies on."""
    region = run.regions[run.summaries[summary].exemplar]
    x0, _, x1, _ = region.box
    rx0, _, rx1, _ = striped.red[region.image]
    return "red" if min(x1, rx1) > max(x0, rx0) else "blue"


@pytest.fixture(scope="module")
def applied(run: Run, classifier: Classifier, striped: Any) -> Application:
    """Three new images: with both patches, with the blue one painted over, with none."""
    both, red_only, none = (image.copy() for image in striped.images[COUNT:])
    x0, y0, x1, y1 = striped.blue[COUNT + 1]
    red_only[y0:y1, x0:x1] = 120
    none[:] = 120
    return run.apply([both, red_only, none], classifier)


def test_new_images_have_the_summaries_of_the_patches_in_them(run: Run, applied: Application, striped: Any) -> None:
    kinds = [{kind_of(run, striped, own.summary) for own in one.present} for one in applied.images]
    assert kinds[0] == {"red", "blue"}
    assert kinds[1] <= {"red"}
    assert kinds[2] == set()
    assert [one.predicted for one in applied.images] == ["marked", "plain", "plain"] or applied.images[1].image.score > 0.3


def test_summaries_are_where_their_patch_is_and_take_what_it_takes(run: Run, applied: Application, striped: Any) -> None:
    one = applied.images[0]
    for own in one.present:
        patch = (striped.red if kind_of(run, striped, own.summary) == "red" else striped.blue)[COUNT]
        x0, y0, x1, y1 = patch
        inside = own.pixels[max(y0 - 6, 0) : y1 + 6, max(x0 - 6, 0) : x1 + 6].sum()
        assert inside > 0.9 * own.pixels.sum()
        assert own.confidence >= 1
    # Both patches are needed and share the loss; what of a patch is in no summary takes its part of that.
    for kind in ("red", "blue"):
        assert 0.05 < sum(own.importance for own in one.present if kind_of(run, striped, own.summary) == kind) < 0.7
    assert one.explained <= 1.01


def test_an_application_is_written_as_data_pixels_and_a_page(applied: Application, tmp_path: Path) -> None:
    page = applied.save(tmp_path / "out")
    data = json.loads((tmp_path / "out" / "apply.json").read_text())
    assert [len(one["summaries"]) for one in data["images"]] == [len(one.present) for one in applied.images]
    with np.load(tmp_path / "out" / "masks.npz", allow_pickle=False) as arrays:
        own = applied.images[0].present[0]
        np.testing.assert_array_equal(arrays[f"summary_1_{own.summary + 1}"], own.pixels)
        assert arrays["evidence_2"].shape == (64, 112)
    html = page.read_text(encoding="utf-8")
    assert "account for" in html
    assert "no summary was found in its evidence" in html


def test_of_a_score_near_zero_no_shares_are_told(run: Run, applied: Application, tmp_path: Path) -> None:
    assert not applied.images[0].near_zero
    assert [one.near_zero for one in applied.images] == [
        one.image.score < 0.05 * float(np.median([image.score for image in run.images])) for one in applied.images
    ]
    first = replace(applied.images[0], image=replace(applied.images[0].image, score=0.0004), near_zero=True)
    found = replace(applied, images=(first,))
    page = found.save(tmp_path / "out").read_text(encoding="utf-8")
    assert "is under 0.01, near 0: shares of it have no meaning" in page
    assert "account for" not in page
    [told] = json.loads((tmp_path / "out" / "apply.json").read_text())["images"]
    assert told["score_near_zero"] is True
    assert told["explained"] is None
    assert {own["importance"] for own in told["summaries"]} == {None} == {own["control"] for own in told["summaries"]}


def test_the_command_tells_no_shares_of_a_score_near_zero(
    run: Run, applied: Application, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from visual_summaries.cli import app
    from visual_summaries.runs.directory import save_run

    save_run(run, tmp_path / "run")
    monkeypatch.setattr("visual_summaries.cli.applying.network_of", lambda *_: None)
    for near_zero in (True, False):
        images = tuple(replace(one, near_zero=near_zero) for one in applied.images[:1])
        monkeypatch.setattr(Run, "apply", lambda *_, images=images, **__: replace(applied, images=images))
        said = CliRunner().invoke(app, ["apply", str(tmp_path / "run"), str(tmp_path), "--out", str(tmp_path / "out")]).output
        assert ("near 0: shares of it have no meaning" in said) == near_zero
        assert ("%" in said) != near_zero


def test_names_are_escaped_on_the_page(applied: Application) -> None:
    first = applied.images[0]
    named = replace(first, image=replace(first.image, name="<script>alert(1)</script>"), predicted="<b>x</b>")
    html = render_application(replace(applied, images=(named,), skipped=(("<i>", "<u>"),)))
    for text in ("<script>alert", "<b>x", "<i>", "<u>"):
        assert text not in html.replace('<i class="dot">', "")


@pytest.mark.browser
def test_the_page_keeps_nobody_out(
    applied: Application, watched: Callable[..., Page], faults: Callable[[Page], list[str]], tmp_path: Path
) -> None:
    path = tmp_path / "apply.html"
    path.write_text(render_application(replace(applied, skipped=(("a.png", "unreadable"),))), encoding="utf-8")
    assert faults(watched(path)) == []


def test_unreadable_files_are_named_and_none_at_all_is_an_error(run: Run, classifier: Classifier, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(NoImagesError, match="none of the 1 files can be read"):
        run.apply(tmp_path, classifier)
    PillowImage.new("RGB", (112, 64), (120, 120, 120)).save(tmp_path / "plain.png")
    found = run.apply(tmp_path, classifier)
    assert [one.image.name for one in found.images] == ["plain.png"]
    assert found.skipped[0][0] == "broken.png"


def test_another_network_is_refused(run: Run, stripe_network: torch.nn.Module, striped: Any) -> None:
    with torch.no_grad():
        stripe_network.bias += 1
    with pytest.raises(ClassifierError, match="has other weights"):
        run.apply(list(striped.images[:1]), vs.load_classifier(stripe_network))


def test_a_run_without_summaries_or_class_cannot_be_applied(run: Run, classifier: Classifier, striped: Any) -> None:
    with pytest.raises(RunError, match="has no summary"):
        replace(run, summaries=()).apply(list(striped.images[:1]), classifier)
    function = replace(run, info=replace(run.info, target=TargetInfo(None, "f")))
    with pytest.raises(RunError, match="explains a function"):
        function.apply(list(striped.images[:1]), classifier)


def test_no_code_is_taken_from_a_run(run: Run, tmp_path: Path) -> None:
    """A run's folder may come from anyone: its specification is used only where it can name nothing on this machine."""
    for spec in (f"{tmp_path}/evil.py:make", "os:getcwd", "net.pt2", "StripeNetwork"):
        made = replace(run, info=replace(run.info, classifier=replace(run.info.classifier, spec=spec)))
        with pytest.raises(ClassifierError, match="give the network with --model"):
            network_of(made, None, None, None)
    demo = replace(run, info=replace(run.info, classifier=replace(run.info.classifier, spec="demo network main")))
    assert network_of(demo, None, None, None).num_classes == 8


class Learned(torch.nn.Module):
    """Sees red vertical stripes by the weights of a convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 8, 4, bias=False)
        with torch.no_grad():
            self.conv.weight.zero_()
            self.conv.weight[0, 0] = torch.tensor([1.0, 1.0, -1.0, -1.0]) / 8
            self.conv.weight[1, 0] = -self.conv.weight[0, 0]
        self.pretrained_cfg = {
            "input_size": (3, 64, 112),
            "mean": (0.0,) * 3,
            "std": (1.0,) * 3,
            "crop_pct": 1.0,
            "interpolation": "bilinear",
            "num_classes": 2,
            "label_names": ("marked", "plain"),
        }

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = self.conv(x).relu().amax(dim=1).sum(dim=(1, 2)) / 100
        marked = 12 * found.clamp(max=1.0) - 6
        return torch.stack([marked, torch.zeros_like(marked)], dim=1)


def test_what_is_learnt_changes_when_weights_are_shuffled(run: Run, striped: Any) -> None:
    module = Learned().eval()
    learned = Classifier(module, transform=resolve_transform(module), class_names=("marked", "plain"))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    own = vs.summarize(learned, list(striped.images[:4]), "marked", settings=run.settings)
    found = randomization_check(own, learned, images=3)
    assert found.passed
    assert len(found.images) == len(found.masks) == 3
    assert found.masks.mean() < 0.5
    assert len(found.summaries) == len(own.summaries)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert json.loads(json.dumps(found.to_dict()))["passed"] is True


def test_what_is_not_in_the_weights_does_not(run: Run, classifier: Classifier) -> None:
    """The striped network's knowledge is in its code: nothing changes, and the check says so."""
    found = randomization_check(run, classifier, images=3)
    assert not found.passed
    assert found.masks.mean() > 0.9
    assert found.moved.mean() < 0.6


def test_a_network_without_weights_cannot_be_checked(run: Run) -> None:
    module = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    bare = Classifier(module, transform=vs.load_classifier(Learned().eval()).transform, class_names=["a", "b", "c"])
    described = replace(run.info.classifier, weights_sha256=bare.weights_sha256)
    with pytest.raises(ClassifierError, match="no parameters that could be shuffled"):
        randomization_check(replace(run, info=replace(run.info, classifier=described)), bare)


def test_the_commands_say_what_is_missing(run: Run, tmp_path: Path) -> None:
    from visual_summaries.cli import app
    from visual_summaries.runs.directory import save_run

    save_run(run, tmp_path / "run")
    for command in (
        ["apply", str(tmp_path / "run"), str(tmp_path), "--out", str(tmp_path / "out")],
        ["check", str(tmp_path / "run")],
    ):
        result = CliRunner().invoke(app, command)
        assert isinstance(result.exception, ClassifierError)


@given(st.integers(0, 1000), st.integers(2, 4))
def test_the_least_similarity_is_the_best_of_all(seed: int, summaries: int) -> None:
    """No other bound has more own regions above it less others: all are tried."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(-1, summaries, 12)
    images = np.arange(12)
    similarity = rng.random((12, 12))
    similarity = (similarity + similarity.T) / 2
    matcher = fit_matcher(similarity, labels, images, summaries)
    for k in range(summaries):
        own = [i for i in range(12) if labels[i] == k]
        if len(own) < 2:
            assert np.isinf(matcher.least[k])
            continue
        means = np.array([np.mean([similarity[i, j] for j in own if j != i]) for i in range(12)])
        others = np.array([means[i] for i in range(12) if labels[i] != k])
        best = max((means[own] >= bound).mean() - (others >= bound).mean() for bound in means)
        assert matcher.found[k] - matcher.mistaken[k] == pytest.approx(best)
