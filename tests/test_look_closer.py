"""Looking again at shared parts: classes that are alike as a whole, exact places and squares, files, and the page."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from scipy.ndimage import gaussian_filter
from sklearn.linear_model import LogisticRegression
from torch import nn

import visual_summaries as vs
from benchmarks.made_runs import run_of_boxes
from visual_summaries.cli import main
from visual_summaries.errors import ClassifierError, NoImagesError, RunError, SettingsError
from visual_summaries.images import ImageSource
from visual_summaries.pages.looks import render_page, shown_images, verdict
from visual_summaries.results import Run, TargetInfo
from visual_summaries.runs.directory import save_run
from visual_summaries.specialization import CloserLooks, closer
from visual_summaries.specialization.files import read_description
from visual_summaries.specialization.heads import fit_head, log_softmax
from visual_summaries.specialization.learning import cut
from visual_summaries.specialization.looking import BLUR, blur_matrix, cut_out, peaks

if TYPE_CHECKING:
    from playwright.sync_api import Page

#: Height and width of the images, and the side of a bird's head and of its berry.
SIZE, SPOT = (64, 80), 16
NAMES = ("red <b>", "green", "other")


class Means(nn.Module):
    """A network that sees nothing but mean colors: birds whose head has the color of another's berry are alike to it."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.AvgPool2d(4)
        self.head = nn.Linear(3, 3)
        with torch.no_grad():
            self.head.weight.copy_(torch.tensor([[40.0, -40, 0], [-40, 40, 0], [40, 40, 0]]))
            self.head.bias.copy_(torch.tensor([0.0, 0, -30]))
        self.pretrained_cfg = {
            "input_size": (3, *SIZE),
            "mean": (0.0, 0.0, 0.0),
            "std": (1.0, 1.0, 1.0),
            "crop_pct": 1.0,
            "interpolation": "bilinear",
            "label_names": NAMES,
        }

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.cells(x).mean(dim=(2, 3)))
        return logits


def means() -> Means:
    return Means().eval()


Box = tuple[int, int, int, int]


def draw(label: int, count: int, seed: int) -> list[tuple[np.ndarray, Box]]:
    """Draw birds with a head, which is bluish, and a berry, which is not, at any places; and the head's box.

    Class 0 has a red head and a green berry, class 1 the other way round; class 2 is yellower all over.
    """
    rng = np.random.default_rng(seed)
    height, width = SIZE
    drawn = []
    for _ in range(count):
        image = rng.normal(60, 3, (height, width, 3))
        image[..., :2] += 60 * (label == 2)
        left = int(rng.integers(0, width // 2 - SPOT)) + (width // 2 if rng.random() < 0.5 else 0)
        other = (left + width // 2) % width
        tops = rng.integers(0, height - SPOT, 2)
        for (x, y), channel, blue in (((left, tops[0]), label % 2, 140), ((other, tops[1]), 1 - label % 2, 0)):
            image[y : y + SPOT, x : x + SPOT, channel] += 120
            image[y : y + SPOT, x : x + SPOT, 2] += blue
        drawn.append((image.clip(0, 255).astype(np.uint8), (left, int(tops[0]), left + SPOT, int(tops[0]) + SPOT)))
    return drawn


def make_run(classifier: vs.Classifier, label: int, drawn: list[tuple[np.ndarray, Box]], *, summaries: bool = True) -> Run:
    """Make the run of a class whose one summary is the head."""
    run = run_of_boxes(classifier, TargetInfo(label, NAMES[label]), [one for one, _ in drawn], [box for _, box in drawn])
    return run if summaries else replace(run, summaries=())


@pytest.fixture(scope="module")
def classifier() -> vs.Classifier:
    return vs.load_classifier(means())


@pytest.fixture(scope="module")
def runs(classifier: vs.Classifier) -> list[Run]:
    """Return a run of each class, in another order than the network's."""
    return [make_run(classifier, label, draw(label, 8, label)) for label in (2, 0, 1)]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of class folders with new images."""
    folder = tmp_path_factory.mktemp("fresh")
    for label, name in enumerate(("0", "green", "other")):
        (folder / name).mkdir()
        for number, (image, _) in enumerate(draw(label, 20, 100 + label)):
            PIL.Image.fromarray(image).save(folder / name / f"{number:02d}.png")
    return folder


@pytest.fixture(scope="module")
def result(classifier: vs.Classifier, runs: list[Run], fresh: Path) -> CloserLooks:
    return vs.look_closer(runs, classifier, parts=2, test=fresh)


def batch(label: int, count: int, seed: int) -> torch.Tensor:
    return torch.stack([torch.from_numpy(image).permute(2, 0, 1) / 255 for image, _ in draw(label, count, seed)])


def test_classes_that_are_alike_as_a_whole_are_told_by_the_part(result: CloserLooks) -> None:
    red, green, other = result.classes
    assert [one.name for one in result.classes] == list(NAMES)
    assert red.whole + green.whole < 13  # of 16: nearly chance
    assert [one.looks for one in result.classes] == [8, 8, 8]
    assert [one.tested for one in result.classes] == [20, 20, 20]
    assert red.before + green.before < 34
    assert [one.after for one in result.classes] == [20, 20, 20]
    assert result.gain > 2 * result.error
    assert result.share("after") == 1
    assert other.before == 20


def test_the_head_is_found_where_it_is(runs: list[Run], classifier: vs.Classifier) -> None:
    result = vs.look_closer(runs, classifier, parts=1)
    drawn = [one for label in range(3) for one in draw(label, 8, label)]
    centers = [((x0 + x1) / 2 / SIZE[1], (y0 + y1) / 2 / SIZE[0]) for _, (x0, y0, x1, y1) in drawn]
    assert np.abs(result.places[:, 0] - centers).max() < 0.1
    x = batch(1, 6, 77)
    found = result.module.places(x)[:, 0]
    boxes = np.array([box for _, box in draw(1, 6, 77)])
    assert np.abs(found.numpy() - (boxes[:, :2] + boxes[:, 2:]) / 2 / SIZE[::-1]).max() < 0.1


def test_views_are_those_of_the_places(result: CloserLooks) -> None:
    drawn = [image for label in range(3) for image, _ in draw(label, 8, label)]
    assert all(np.array_equal(view, image) for view, image in zip(result.views(), drawn, strict=True))


def test_the_users_network_is_left_as_it_was(runs: list[Run]) -> None:
    network = means().train()
    network.head.weight.requires_grad_(False)
    before = copy.deepcopy(network.state_dict())
    vs.look_closer(runs, vs.load_classifier(network), parts=1)
    assert network.training
    assert [one.requires_grad for one in network.parameters()] == [False, True]
    assert all(torch.equal(one, before[name]) for name, one in network.state_dict().items())


def test_same_seed_same_network(runs: list[Run], classifier: vs.Classifier, result: CloserLooks) -> None:
    again = vs.look_closer(runs[::-1], classifier, parts=2)
    assert again.module.state_dict().keys() == result.module.state_dict().keys()
    assert all(torch.equal(one, result.module.state_dict()[name]) for name, one in again.module.state_dict().items())
    assert again.classes[0].tested == 0


def test_nothing_is_gained_where_parts_tell_nothing(classifier: vs.Classifier, caplog: pytest.LogCaptureFixture) -> None:
    # Images of one class under three labels, and any square for a part.
    alike = [[(image, (0, 0, SPOT, SPOT)) for image, _ in draw(2, 12, 40 + label)] for label in range(3)]
    runs = [make_run(classifier, label, drawn) for label, drawn in enumerate(alike)]
    found = vs.look_closer(runs, classifier, parts=1)
    assert "add nothing" in caplog.text
    assert "expect nothing" in verdict(found)


def test_the_verdict_advises_against_what_does_not_help(result: CloserLooks) -> None:
    worse = replace(result, classes=tuple(replace(one, before=20, after=19) for one in result.classes))
    assert verdict(worse).endswith("100.0% right before, 95.0% with 2 looks at parts. Keep the network that was given.")
    assert "Keep" not in verdict(result)


@pytest.mark.parametrize(("given", "taken"), [((1.0, 0.005, 0.5), [0.5]), ((1.0, 0.001, 0.002), [])])
def test_parts_of_hardly_any_weight_take_no_pass(
    runs: list[Run], given: tuple[float, ...], taken: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closer, "stack", lambda held_out, _: np.array(given[: len(held_out)]))
    network = means()
    found = vs.look_closer(runs, vs.load_classifier(network), parts=2)
    assert [one.weight for one in found.looks] == [1.0, *taken, *[0.0] * (2 - len(taken))]
    assert found.module.weights.tolist() == [1.0, *taken]
    passes: list[int] = []
    network.register_forward_hook(lambda _, inputs, __: passes.append(len(inputs[0])))
    x = batch(0, 3, 1)
    answer = found.module(x)
    assert passes == [3, *[3] * len(taken)]
    found.save(tmp_path)
    assert torch.equal(vs.load_classifier(means(), checkpoint=tmp_path).module(x), answer)


def test_outputs_are_the_weighted_log_probabilities(result: CloserLooks) -> None:
    module, x = result.module, batch(0, 4, 9)
    seen = [x, *(cut_out(x, module.places(x)[:, k : k + 1], module.side) for k in range(len(module.bias)))]
    features = [module.network.cells(one).mean(dim=(2, 3)) for one in seen]
    heads = zip(features, module.heads, module.constants, strict=True)
    logs = [(own @ weight.T + constant).log_softmax(1) for own, weight, constant in heads]
    expected = sum(weight * own for weight, own in zip(module.weights, logs, strict=True))
    assert torch.allclose(module(x), expected, atol=1e-5)


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(2, 9), st.integers(2, 9))
def test_peaks_are_those_of_scipy(seed: int, rows: int, columns: int) -> None:
    scores = np.random.default_rng(seed).normal(0, 4, (rows, columns))
    blurred = gaussian_filter(1 / (1 + np.exp(-scores)), BLUR)
    row, column = np.unravel_index(int(blurred.argmax()), blurred.shape)
    total, found = 0.0, np.zeros(2)
    for i in range(max(row - 1, 0), min(row + 2, rows)):
        for j in range(max(column - 1, 0), min(column + 2, columns)):
            total += blurred[i, j]
            found += blurred[i, j] * np.array([(j + 0.5) / columns, (i + 0.5) / rows])
    place = peaks(torch.from_numpy(scores), blur_matrix(rows), blur_matrix(columns))
    assert np.allclose(place.numpy(), found / total, atol=1e-5)


def test_cut_out_is_the_square_and_stays_inside() -> None:
    x = torch.rand(2, 3, 12, 20, generator=torch.Generator().manual_seed(0))
    whole = cut_out(x, torch.rand(2, 2, 2), 1.0)
    assert torch.allclose(whole, x.repeat_interleave(2, dim=0), atol=1e-5)
    ramp = torch.arange(20.0).expand(1, 1, 12, 20)
    near = cut_out(ramp, torch.tensor([[[0.5, 0.5], [1.0, 0.0]]]), 0.5)
    expected = (torch.arange(20.0) + 0.5) / 2 - 0.5  # the middle of each pixel, seen twice as large
    # Cubic interpolation waves around a slope by a twentieth of a pixel.
    assert torch.allclose(near[0, 0, 3, 2:-2], (expected + 5)[2:-2], atol=0.06)
    assert torch.allclose(near[1, 0, 3, 2:-3], (expected + 10)[2:-3], atol=0.06)


def test_a_head_of_two_classes_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(24) % 2
    x = rng.normal(size=(24, 6)) + labels[:, None]
    head = fit_head(x, labels, cut(labels, 4, 0))
    model = LogisticRegression(C=head.strength, max_iter=2000, tol=1e-6).fit(x, labels)
    assert np.allclose(np.exp(log_softmax(head(x))), model.predict_proba(x), atol=1e-3)
    assert head.held_out.shape == (24, 2)


def test_saved_and_loaded(result: CloserLooks, tmp_path: Path) -> None:
    result.save(tmp_path / "out")
    loaded = vs.load_classifier(means(), checkpoint=tmp_path / "out")
    x = batch(1, 5, 3)
    assert torch.equal(loaded.logits(x), result.classifier.logits(x))
    assert loaded.class_names == NAMES
    program = torch.export.export(loaded.module, (x,), strict=False)
    assert torch.allclose(program.module()(x), loaded.module(x), atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "glances"}, "kind is 'glances'"),
        ({"side": 1.5}, "side is 1.5"),
        ({"side": True}, "side is True"),
        ({"features": -1}, "features is -1"),
        ({"detectors": 7}, "does not hold the detectors"),
        ({"format": 1}, "format is 1"),
    ],
)
def test_damaged_descriptions_are_refused(result: CloserLooks, tmp_path: Path, change: dict[str, object], message: str) -> None:
    result.save(tmp_path)
    file = tmp_path / "specialized.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(ClassifierError, match=message):
        vs.load_classifier(means(), checkpoint=tmp_path)


def test_damaged_weights_are_refused(result: CloserLooks, tmp_path: Path) -> None:
    result.save(tmp_path)
    file = tmp_path / "specialized.safetensors"
    weights = load_file(file)
    save_file({**weights, "heads": weights["heads"] * np.nan}, file)
    with pytest.raises(ClassifierError, match="impossible values"):
        vs.load_classifier(means(), checkpoint=tmp_path)


def test_wrong_input_is_refused_with_a_remedy(runs: list[Run], classifier: vs.Classifier, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"of 3 classes 'green' have no run.*give a run of each"):
        vs.look_closer([run for run in runs if run.info.target.name != "green"], classifier)
    with pytest.raises(RunError, match="two of the runs explain 'green'"):
        vs.look_closer([*runs, runs[-1]], classifier)
    bare = [make_run(classifier, label, draw(label, 8, label), summaries=False) for label in range(3)]
    with pytest.raises(RunError, match="none of the 3 runs has a summary"):
        vs.look_closer(bare, classifier)
    few = [make_run(classifier, label, draw(label, 3, label)) for label in range(3)]
    with pytest.raises(NoImagesError, match="there are 3 training images"):
        vs.look_closer(few, classifier)
    with pytest.raises(SettingsError, match="parts is 0"):
        vs.look_closer(runs, classifier, parts=0)
    with pytest.raises(ClassifierError, match="classes that exclude each other"):
        vs.look_closer(runs, vs.load_classifier(means(), score="sigmoid"))
    other = means()
    other.head.bias.data += 1
    with pytest.raises(ClassifierError, match="other weights"):
        vs.look_closer(runs, vs.load_classifier(other))
    (tmp_path / "green").mkdir()
    (tmp_path / "green" / "broken.png").write_bytes(b"no image")
    with pytest.raises(NoImagesError, match="none of the 1 test images"):
        vs.look_closer(runs, classifier, test=tmp_path)


def test_training_images_are_not_tested_on(runs: list[Run], classifier: vs.Classifier, tmp_path: Path) -> None:
    known, new = draw(1, 1, 1)[0][0], draw(1, 1, 500)[0][0]
    (tmp_path / "green").mkdir()
    for name, image in (("known", known), ("new", new)):
        PIL.Image.fromarray(image).save(tmp_path / "green" / f"{name}.png")
    # Runs name images by the SHA-256 of what was given: here by that of the file.
    sha256 = ImageSource("", tmp_path / "green" / "known.png").sha256()
    changed = [
        replace(run, images=(replace(run.images[0], sha256=sha256), *run.images[1:]))
        if run.info.target.name == "green"
        else run
        for run in runs
    ]
    (tmp_path / "green" / "broken.png").write_bytes(b"no image")
    found = vs.look_closer(changed, classifier, test=tmp_path)
    assert [one.tested for one in found.classes] == [0, 1, 0]
    assert sorted(name.split("/")[-1] for name, _ in found.skipped) == ["broken.png", "known.png"]


def test_the_command(
    runs: list[Run], fresh: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for run in runs:
        save_run(run, tmp_path / "runs" / str(run.info.target.index))
    (tmp_path / "nets.py").write_text("from test_look_closer import means\n")
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    model = f"{tmp_path / 'nets.py'}:means"
    arguments = [
        "look-closer",
        str(tmp_path / "runs"),
        "--model",
        model,
        "--parts",
        "2",
        "--quiet",
        "--out",
        str(tmp_path / "out"),
    ]
    assert main([*arguments, "--test", str(fresh), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert [one["after"] for one in values["classes"]] == [20, 20, 20]
    assert read_description(tmp_path / "out")["kind"] == "looks"
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "100.0% with 2 looks at parts" in said
    assert "regions of 3 classes: weight" in said
    assert main([*arguments[:1], str(tmp_path / "runs" / "0"), *arguments[2:]]) == RunError.exit_code


def test_shown_images_are_of_many_classes() -> None:
    assert shown_images(np.array([0, 0, 1, 1, 1])) == [0, 2, 1, 3, 4]


def test_the_page_escapes_and_requests_nothing(result: CloserLooks) -> None:
    page = render_page(result)
    assert "red <b>" not in page
    assert "red &lt;b&gt;" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert page == render_page(result)


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_in_a_browser(
    watched: Callable[..., Page], faults: Callable[[Page], list[str]], result: CloserLooks, tmp_path: Path, width: int
) -> None:
    page = watched(result.save(tmp_path), width=width)
    assert "On 60 test images" in page.locator(".headline").first.inner_text()
    assert page.locator(".part").count() == len(result.looks)
    assert page.locator(".part img").count() == 10 * (len(result.looks) - 1)
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert "100.0 %" in page.locator("tr.result").inner_text()
    assert faults(page) == []
