"""Cues alone, changes of the whole image and mistakes, on networks whose answer can be worked out by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import visual_summaries as vs
from square_world import BASE, GRAY, SIZE, WEIGHTS, evidence_of, give_masks, square_network, square_settings, squares
from visual_summaries.analyses.changes import CHANGES, USUAL_TONE, Answers, ask_changes, changed, join_changes, tone_of
from visual_summaries.analyses.cues import hits_without, measure_cue, pairs, paste
from visual_summaries.analyses.importance import bootstrap_interval, difference_interval
from visual_summaries.classifiers import Classifier, ViewTransform, classify, resolve_target
from visual_summaries.errors import NoImagesError
from visual_summaries.masks.scorer import Scorer
from visual_summaries.results import Image, Run
from visual_summaries.runs.cues import measure_changes, measure_cues
from visual_summaries.runs.directory import save_run
from visual_summaries.runs.mistakes import find_mistakes
from visual_summaries.runs.others import read_others
from visual_summaries.runs.pieces import Pieces
from visual_summaries.runs.reading import MOST_MISSED, read_images
from visual_summaries.runs.stages import Context, Shared
from visual_summaries.settings.masks import MaskSettings
from visual_summaries.settings.stages import AnalysisSettings

RED, BLUE = 0, 1
COUNT = 6


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return vs.load_classifier(square_network())


def as_images(classifier: Classifier, views: Sequence[np.ndarray], name: str = "image") -> list[Image]:
    found = classify(classifier, views, 0)
    return [
        Image(k, f"{name}-{k}", "", view, float(score), int(predicted))
        for k, (view, score, predicted) in enumerate(zip(views, found.scores, found.predicted, strict=True))
    ]


def gray_views(count: int) -> list[np.ndarray]:
    """Views without any square, no two of them the same."""
    views = [np.full((*SIZE, 3), GRAY[0], np.uint8) for _ in range(count)]
    for k, view in enumerate(views):
        view[-1, k] += 1
    return views


# Cues


@pytest.mark.parametrize("color", [RED, BLUE])
def test_a_cue_on_other_images_gains_what_it_is_worth(classifier: Classifier, color: int) -> None:
    world = squares(COUNT)
    images, others = as_images(classifier, world.images), as_images(classifier, gray_views(4))
    pixels = [truth == color for truth in world.truth]
    network = Scorer(classifier, resolve_target(classifier, 0), MaskSettings(infill="mean"))
    for grounds in (others, []):
        cue = measure_cue(network, images, pixels, [truth >= 0 for truth in world.truth], grounds, AnalysisSettings(cues=9))
        assert cue.ground == ("others" if grounds else "neutral")
        assert cue.gains == pytest.approx([WEIGHTS[color]] * (9 if grounds else COUNT), abs=1e-5)
        assert (cue.fired, cue.fired_before) == (float(BASE + WEIGHTS[color] >= 0.5), 0)
        assert np.isnan([cue.accuracy, cue.accuracy_before]).all()
        if grounds:
            assert cue.controls == pytest.approx(0, abs=1e-5)
            assert cue.interval == pytest.approx((WEIGHTS[color],) * 2, abs=1e-5)


def test_pictures_and_controls_are_those_of_brute_force(classifier: Classifier) -> None:
    world, grounds = squares(3), squares(4, random_state=7, colors=(0,))
    images, others = as_images(classifier, world.images), as_images(classifier, grounds.images)
    pixels = [np.random.default_rng(k).random(SIZE) < 0.5 for k in range(3)]
    target = resolve_target(classifier, 0)
    cue = measure_cue(Scorer(classifier, target), images, pixels, pixels, others, AnalysisSettings(cues=12))

    def score(view: np.ndarray) -> float:
        return float(classify(classifier, [view], target).scores[0])

    for (k, ground), gain, control in zip(pairs(3, 4, 12), cue.gains, cue.controls, strict=True):
        before = others[ground].view
        elsewhere = others[(ground + 1) % 4].view
        assert gain == pytest.approx(score(paste(before, images[k].view, pixels[k])) - score(before), abs=1e-5)
        assert control == pytest.approx(score(paste(before, elsewhere, pixels[k])) - score(before), abs=1e-5)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 40))
def test_pairs_are_different_and_even(images: int, grounds: int, most: int) -> None:
    found = pairs(images, grounds, most)
    assert len(found) == len(set(found)) == min(most, images * grounds)
    for side, count in enumerate((images, grounds)):
        used = np.bincount([pair[side] for pair in found], minlength=count)
        assert used.max() - used.min() <= 1


def test_one_image_or_one_ground_in_all_pictures_is_no_proof(classifier: Classifier) -> None:
    """What is alike in the pictures of one image says nothing of others."""
    world = squares(2)
    images, others = as_images(classifier, world.images), as_images(classifier, gray_views(4))
    pixels = [world.truth[0] == RED, world.truth[1] == BLUE]
    cue = measure_cue(Scorer(classifier, resolve_target(classifier, 0)), images, pixels, pixels, others)
    assert len(cue.gains) == 8
    assert cue.gain == pytest.approx((WEIGHTS[RED] + WEIGHTS[BLUE]) / 2, abs=1e-5)
    assert cue.interval[0] < 0  # two images


def test_hits_come_with_scores(classifier: Classifier) -> None:
    world = squares(3)
    network = Scorer(classifier, resolve_target(classifier, 0), MaskSettings(infill="mean"))
    for image, truth in zip(as_images(classifier, world.images), world.truth, strict=True):
        assert hits_without(network, image, [truth == RED, truth == BLUE]).tolist() == [True, False, True]
    asked = [(world.images[0], np.stack([world.truth[0] == color for color in (RED, BLUE, RED)]), ["mean"] * 3)]
    scores, hits = network.answers_in(asked)[0]
    np.testing.assert_array_equal(scores, network.without_in(asked)[0])
    np.testing.assert_array_equal(hits, scores >= 0.5)


# Changes

views = st.tuples(st.integers(8, 40), st.integers(8, 40)).flatmap(lambda s: arrays(np.uint8, (*s, 3)))


@settings(max_examples=40, deadline=None)
@given(views)
def test_changed_views_are_views(view: np.ndarray) -> None:
    before = view.copy()
    found = changed(view, USUAL_TONE)
    np.testing.assert_array_equal(view, before)
    assert list(found) == [*CHANGES, "tone"]
    for name, one in found.items():
        assert (one.shape, one.dtype) == (view.shape, np.uint8), name
    np.testing.assert_array_equal(found["mirrored"], view[:, ::-1])
    assert (found["gray"] == found["gray"][..., :1]).all()


def photograph(seed: int = 0, mean: Sequence[float] = (120, 110, 100)) -> np.ndarray:
    """Something smooth with detail: noise of two scales."""
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(rng.normal(0, 40, (8, 8, 3)), (64, 64), interpolation=cv2.INTER_CUBIC)
    return np.clip(coarse + rng.normal(0, 12, (64, 64, 3)) + mean, 0, 255).astype(np.uint8)


def test_each_change_does_what_it_says() -> None:
    view = photograph()
    found = changed(view, np.array([[90.0, 110, 130], [40, 40, 40]]))

    def detail(one: np.ndarray) -> float:
        return float(np.abs(np.diff(one.astype(float), axis=1)).mean())

    assert found["darker"].mean() < 0.7 * view.mean() < 1.3 * view.mean() < found["brighter"].mean()
    assert found["contrast"].std() == pytest.approx(view.std() / 2, rel=0.05)
    assert detail(found["blur"]) < detail(view) < detail(found["sharpen"])
    np.testing.assert_allclose(tone_of([found["tone"]]), [[90, 110, 130], [40, 40, 40]], atol=1.5)
    np.testing.assert_array_equal(found["border"][8:-8, 8:-8], view[8:-8, 8:-8])
    assert not (found["border"][0] == view[0]).all()
    assert np.abs(found["smaller"][13:51, 13:51].mean(axis=(0, 1)) - view.mean(axis=(0, 1))).max() < 2
    twice = changed(changed(found["hue"], USUAL_TONE)["hue"], USUAL_TONE)["hue"]
    assert np.abs(changed(twice, USUAL_TONE)["hue"].astype(int) - view).mean() < 4  # four quarters are a whole circle


class Measured(torch.nn.Module):
    """Class 0 is what a measure of the whole image says: its probability goes from .1 to .9 about a threshold."""

    def __init__(self, measure: Callable[[torch.Tensor], torch.Tensor], threshold: float) -> None:
        super().__init__()
        self.measure, self.threshold = measure, threshold

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        p = ((self.measure(x) - self.threshold) * 1000).sigmoid() * 0.8 + 0.1
        return torch.stack([p, 1 - p], dim=1).log()


def cast(x: torch.Tensor) -> torch.Tensor:
    return x[:, 0].mean(dim=(1, 2)) - x[:, 2].mean(dim=(1, 2))


def smoothness(x: torch.Tensor) -> torch.Tensor:
    return -(x[..., 1:] - x[..., :-1]).abs().mean(dim=(1, 2, 3))


def red_rim(x: torch.Tensor) -> torch.Tensor:
    return (x[:, 0, :4] - x[:, 2, :4]).mean(dim=(1, 2))


def framed(view: np.ndarray) -> np.ndarray:
    return cv2.copyMakeBorder(view[4:-4, 4:-4], 4, 4, 4, 4, cv2.BORDER_CONSTANT, value=(255, 0, 0))


@pytest.mark.parametrize(
    ("measure", "of_class", "nearer", "lost", "gained"),
    [
        (red_rim, framed, 2, {"border"}, {"border"}),
        (cast, lambda view: np.clip(view * (1.2, 1, 0.8), 0, 255).astype(np.uint8), 2, {"gray", "tone"}, {"tone"}),
        (smoothness, lambda view: cv2.GaussianBlur(view, (0, 0), 0.7), 6, {"sharpen"}, {"blur"}),
    ],
)
def test_a_class_that_is_a_property_of_the_whole_shows_in_its_change(
    measure: Callable[[torch.Tensor], torch.Tensor],
    of_class: Callable[[np.ndarray], np.ndarray],
    nearer: int,
    lost: set[str],
    gained: set[str],
) -> None:
    plain = [photograph(k) for k in range(16)]
    cued = [of_class(view) for view in plain[:8]]
    both = [float(measure(torch.from_numpy(np.stack(v)).permute(0, 3, 1, 2) / 255).mean()) for v in (plain, cued)]
    threshold = both[1] + (both[0] - both[1]) / nearer
    transform = ViewTransform((64, 64), mean=(0, 0, 0), std=(1, 1, 1))
    network = Classifier(Measured(measure, threshold), transform=transform, class_names=["cued", "plain"])
    context = Context(Shared(network, resolve_target(network, 0), vs.preset("default")))
    found = measure_changes(context, as_images(network, cued), as_images(network, plain[8:]))
    assert [change.name for change in found] == [*CHANGES, "tone"]
    assert lost <= {change.name for change in found if change.interval[0] > 0.5}
    assert gained <= {change.name for change in found if change.gain_interval[0] > 0.5 and change.fired == 1}
    assert {change.fired_before for change in found} == {0}
    mirrored = next(change for change in found if change.name == "mirrored")
    assert (mirrored.loss, mirrored.gain) == pytest.approx((0, 0), abs=1e-4)
    alone = measure_changes(context, as_images(network, cued))
    assert lost - {"tone"} <= {change.name for change in alone if change.interval[0] > 0.5}
    assert all(np.isnan([change.gain, change.fired, change.other_loss, *change.gain_interval]).all() for change in alone)


def test_losses_of_other_images_are_those_of_their_own_class(classifier: Classifier) -> None:
    view = gray_views(1)[0]
    found = ask_changes(classifier, resolve_target(classifier, 0), view, USUAL_TONE, own=1)
    assert found.scores[0] == pytest.approx(BASE, abs=1e-5)
    np.testing.assert_allclose(found.scores + found.own, 1, atol=1e-5)
    assert not found.hits[0]


def test_what_an_image_has_already_is_altered_less(classifier: Classifier) -> None:
    noise = np.random.default_rng(0).integers(0, 256, gray_views(1)[0].shape, np.uint8)
    sharp, blurred = (
        ask_changes(classifier, resolve_target(classifier, 0), view, USUAL_TONE).altered
        for view in (noise, cv2.GaussianBlur(noise, (0, 0), 3))
    )
    less = {name for name, a, b in zip([*CHANGES, "tone"], blurred, sharp, strict=True) if a < b / 2}
    assert {"blur", "jpeg"} <= less


def test_changes_are_joined_by_hand() -> None:
    names = [*CHANGES, "tone"]

    def answers(before: float, after: float, own: tuple[float, float], altered: float = 2, red: float = 0) -> Answers:
        rest = len(names)
        rows = [np.array([first, *[then] * rest], np.float32) for first, then in ((before, after), own)]
        return Answers(*rows, rows[0] >= 0.5, np.full(rest, altered, np.float32), np.array([0.5, 100.0, 50.0, red, 0.0]))

    images = [answers(0.8, 0.4, (0.8, 0.4)), answers(0.2, 0.4, (0.2, 0.4)), answers(0.5, 0.5, (0.5, 0.5))]
    others = [answers(0.1, 0.6, (0.9, 0.45), 1, 0.2), answers(0.1, 0.2, (0.9, 0.9), 3, 0.3)]
    changes = join_changes(images, others, [0, 1, 1], [0, 1])
    change = changes[3]
    assert changes[-1].apart == 0  # by its tone, every image of the class is less red
    assert change.name == names[3]
    assert change.losses == pytest.approx([0.5, -0.5, 0])
    assert change.other_losses == pytest.approx([0.5, 0])
    assert change.gains == pytest.approx([0.5, 0.1])
    assert (change.fired, change.fired_before) == (0.5, 0)
    assert change.apart == 0.5
    assert change.gain_interval == bootstrap_interval(change.gains)
    together = difference_interval((change.losses, [0, 1, 1]), (change.other_losses, [0, 1]))
    assert change.interval == together
    apart = difference_interval((change.losses, [0, 1, 2]), (change.other_losses, [0, 1]))
    assert together != apart


# Mistakes, others and whole runs


@pytest.fixture(scope="module")
def run(classifier: Classifier) -> Run:
    with pytest.MonkeyPatch.context() as patch:
        give_masks(patch)
        return vs.summarize(classifier, squares(COUNT).images, 0, settings=square_settings())


def context_of(run: Run, classifier: Classifier, folder: Path | None = None, **analyses: int) -> Context:
    chosen = replace(run.settings, analyses=replace(run.settings.analyses, **analyses))
    return Context(Shared(classifier, resolve_target(classifier, 0), chosen), Pieces(folder))


def colors_of(run: Run) -> list[int]:
    """The color of each summary."""
    truth = squares(COUNT).truth
    return [int(np.bincount(truth[0][run.labels(0) == k]).argmax()) for k in range(len(run.summaries))]


def test_mistakes_say_which_summaries_are_there(run: Run, classifier: Classifier) -> None:
    assert sorted(colors_of(run)) == [RED, BLUE]
    without_red, only_red = squares(2, 5, (BLUE, 2)), squares(3, 6, (RED,))
    missed = as_images(classifier, without_red.images)
    others = as_images(classifier, [*only_red.images, *gray_views(3)])
    context = context_of(run, classifier)
    found = find_mistakes(context, run.images, run.regions, run.summaries, run.parts, missed, others)
    assert [one.kind for one in found] == ["missed"] * 2 + ["taken"] * 3
    assert [one.predicted for one in found] == ["plain"] * 2 + ["squares"] * 3
    order = colors_of(run)
    red, blue = order.index(RED), order.index(BLUE)
    for one, truth in zip(found, [*without_red.truth, *only_red.truth], strict=True):
        there, absent = (blue, red) if one.kind == "missed" else (red, blue)
        assert one.strengths[there] == pytest.approx(1, abs=0.25)
        assert one.strengths[absent] == 0
        here = one.labels == there
        assert (here & (truth == order[there])).sum() / (here | (truth == order[there])).sum() > 0.7
    assert find_mistakes(context, run.images, run.regions, run.summaries, None, missed, others) == ()
    assert find_mistakes(context, run.images, run.regions, run.summaries, run.parts, [], others[3:]) == ()


def test_reading_keeps_some_misclassified_images(classifier: Classifier) -> None:
    context = Context(Shared(classifier, resolve_target(classifier, 0), square_settings()))
    views = [*squares(4).images, *squares(MOST_MISSED + 3, 5, (BLUE, 2)).images]
    for include in (False, True):
        read = read_images(context, np.stack(views), include_misclassified=include)
        assert len(read.missed) == MOST_MISSED
        assert all(image.score < 0.5 for image in read.missed)
        assert (read.missed[0].name in {image.name for image in read.images}) is include


def write(folder: Path, views: Sequence[np.ndarray]) -> None:
    folder.mkdir(parents=True)
    for k, view in enumerate(views):
        PIL.Image.fromarray(view).save(folder / f"{k}.png")


def test_others_are_an_even_sample_without_the_class_itself(run: Run, classifier: Classifier, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, *SIZE, 3), np.uint8)
    write(tmp_path / "many", noise[:30])
    write(tmp_path / "few", noise[30:34])
    write(tmp_path / "000_Squares", squares(3, 9).images)
    write(tmp_path / "own", [run.images[0].view])
    (tmp_path / "few" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n no more")
    context = context_of(run, classifier, others=10)
    others, skipped = read_others(context, tmp_path, run.images)
    folders = [image.name.split("/")[0] for image in others]
    assert (folders.count("few"), folders.count("many")) == (4, 6)
    assert sorted((one.reason, one.name.split("/")[0]) for one in skipped) == [("copy", "own"), ("truncated", "few")]
    assert [image.index for image in others] == list(range(10))
    assert others[0].score == pytest.approx(classify(classifier, [others[0].view], 0).scores[0])
    assert [image.name for image in read_others(context, tmp_path, run.images)[0]] == [image.name for image in others]
    with pytest.raises(NoImagesError, match=r"0 usable .* 3 lie in a folder named like squares: give a folder"):
        read_others(context, tmp_path / "000_Squares")


def test_others_of_a_dataset_are_those_of_other_labels(run: Run, classifier: Classifier) -> None:
    labeled = [(view, k % 2) for k, view in enumerate(gray_views(8))]
    others, skipped = read_others(context_of(run, classifier), labeled)
    assert len(others) == 4
    assert {one.reason for one in skipped} == {"same-class"}
    assert all(image.view[-1, 1::2].max() > GRAY[0] for image in others)


def test_what_is_measured_is_found_again_and_kept_with_the_run(run: Run, classifier: Classifier, tmp_path: Path) -> None:
    others = as_images(classifier, [*gray_views(4), *squares(2, 6, (RED,)).images])
    missed = as_images(classifier, squares(2, 5, (BLUE,)).images)
    found = []
    for again in (False, True):
        context = context_of(run, classifier, tmp_path / "pieces", cues=5, changes=4)
        evidence = [evidence_of(image.view) for image in run.images]
        cues = measure_cues(context, run.images, evidence, run.regions, run.summaries, others[:4])
        changes = measure_changes(context, run.images, others)
        mistakes = find_mistakes(context, run.images, run.regions, run.summaries, run.parts, missed, others)
        found.append((cues, changes, mistakes))
        counts = context.pieces.counts()
        assert set(counts) == {"cues", "without", "changes", "looks"}
        assert all((own["computed"] == 0) is again and own["found"] + own["computed"] > 0 for own in counts.values())
    assert found[0] == found[1]
    for color, cue in zip(colors_of(run), cues, strict=True):
        assert cue.gains == pytest.approx([WEIGHTS[color]] * 5, abs=1e-3)
        assert (cue.accuracy, cue.accuracy_before) == (float(color == BLUE), 1)
    assert run.analysis is not None
    alone = measure_changes(context, run.images)  # much of it is not known
    kept = replace(run, analysis=replace(run.analysis, cues=cues, changes=alone, mistakes=mistakes))
    (tmp_path / "run").mkdir()
    save_run(kept, tmp_path / "run")
    assert vs.load_run(tmp_path / "run").analysis == kept.analysis


def test_nothing_is_measured_that_is_not_asked_for(run: Run, classifier: Classifier) -> None:
    context = context_of(run, classifier, cues=0, changes=0)
    assert measure_cues(context, run.images, [], run.regions, run.summaries) == ()
    assert measure_changes(context, run.images) == ()
    assert context.pieces.counts() == {}
