"""Tags: what taggers answer, agreement against brute force, names against chance, and tags.json."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmarks.made_runs import made_mask
from visual_summaries.classifiers import Classifier, ViewTransform
from visual_summaries.errors import ClassifierError, RunError, SettingsError
from visual_summaries.results import ClassifierInfo, Image, Member, Region, Run, RunInfo, Summary, Tag
from visual_summaries.runs.directory import load_run, save_run
from visual_summaries.runs.tags_file import rename
from visual_summaries.settings import preset
from visual_summaries.tags import (
    ClassifierTagger,
    ClipTagger,
    Crop,
    PartPointsTagger,
    Tagger,
    crop_regions,
    entropy,
    load_vocabulary,
    mean_jaccard,
    measure_agreement,
    name_summaries,
    reference_tagger,
    save_tagging,
    shipped_vocabulary,
    tag_run,
)
from visual_summaries.tags.agreement import random_groups, sign_flip
from visual_summaries.tags.taggers import heaviest

COLORS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
H, W = 40, 60
COUNT = 8
#: Summary 1: red boxes; summary 2: one of each color in turn. Each box is 12 high and 16 wide.
BOXES = ((2, 3, 18, 15), (22, 5, 38, 17), (42, 20, 58, 32))


def colored_run() -> Run:
    """Three colored boxes in each image: the first always red, the second in turn, the third green or blue."""
    names = list(COLORS)
    images, masks, regions = [], [], []
    for index in range(COUNT):
        view = np.full((H, W, 3), 128, np.uint8)
        evidence = np.zeros((H, W), np.float16)
        for part, (x0, y0, x1, y1) in enumerate(BOXES):
            color = ["red", names[index % 3], names[1 + index % 2]][part]
            view[y0:y1, x0:x1] = COLORS[color]
            evidence[y0:y1, x0 : x1 - 8] = 1  # the left half of each box
            mask = evidence[y0:y1, x0:x1] > 0.5
            regions.append(Region(len(regions), index, (x0, y0, x1, y1), mask, 0.5, 0.5, 0.4, 0.1))
        images.append(Image(index, f"{index}.png", f"{index:064x}", view, 0.9, 0, (2 * H, 2 * W)))
        masks.append(made_mask(evidence, infills=1))

    def summary(rank: int, part: int) -> Summary:
        cluster = tuple(range(part, len(regions), 3))
        warped = np.zeros((12, 16, 3), np.uint8)
        return Summary(rank, cluster[0], tuple(Member(i, 1.0, 0.5, warped) for i in cluster[:6]), cluster, 1.0, 0.4)

    transform = ViewTransform(size=(H, W), resize=(H, W))
    return Run(
        images=tuple(images),
        masks=tuple(masks),
        components=(),
        regions=tuple(regions),
        descriptors=np.zeros((len(regions), 0), np.float32),
        similarity=np.zeros((len(regions),) * 2, np.float32),
        summaries=(summary(0, 0), summary(1, 1)),
        rejected=(),
        skipped=(),
        settings=preset("paper"),
        info=RunInfo(ClassifierInfo(transform=transform.to_dict()), source="birds"),
    )


class ColorTagger:
    """The share of the shown pixels that are purely red, green or blue."""

    vocabulary = tuple(COLORS)
    top = 1

    def weights(self, crops: Sequence[Crop]) -> np.ndarray:
        return np.array(
            [[(crop.pixels == color).all(axis=2).mean() for color in COLORS.values()] for crop in crops], np.float32
        )

    def describe(self) -> dict[str, Any]:
        return {"kind": "colors"}


@pytest.fixture
def run() -> Run:
    return colored_run()


@pytest.fixture
def stored(tmp_path: Path) -> Run:
    save_run(colored_run(), tmp_path / "run")
    return load_run(tmp_path / "run")


def test_crops_with_and_without_the_mask(run: Run) -> None:
    box, masked = (next(crop_regions(run, run.regions[:1], shown)) for shown in ("box", "masked"))
    assert (box.pixels == (255, 0, 0)).all()
    assert (masked.pixels[:, :8] == (255, 0, 0)).all()
    assert (masked.pixels[:, 8:] == (124, 116, 104)).all()
    assert box.seen.all()
    assert masked.seen.sum() == 12 * 8
    with pytest.raises(SettingsError, match="input is 'hull'"):
        next(crop_regions(run, run.regions, "hull"))


def test_a_summary_whose_regions_share_a_tag_is_named_and_a_mixed_one_is_not(run: Run) -> None:
    tagging = tag_run(run, ColorTagger(), draws=300)
    first, second = tagging.names["box"]
    # red is in all 8 first boxes and 3 of the 8 second ones: 11 of 24 regions
    assert first.name == "red"
    assert first.tags[0].frequency == 1
    assert first.tags[0].elsewhere == pytest.approx(11 / 24)
    assert first.tags[0].lift == pytest.approx(24 / 11)
    assert first.tags[0].weight == pytest.approx(np.log2(24 / 11))
    assert first.confidence == 1 - first.p_value > 0.95
    assert second.name is None
    assert second.p_value > 0.05
    agreement = tagging.agreement["box"]
    # summary 1 agrees in all pairs; of summary 2's six members three pairs share a color; whole images are mostly gray
    assert agreement.within == pytest.approx((1 + 3 / 15) / 2)
    assert agreement.entropy_within == pytest.approx((0 + np.log2(3)) / 2)
    assert agreement.random < agreement.within
    assert tagging.agreement["masked"].within == pytest.approx(agreement.within)  # half a box is of the same color


def test_names_do_not_depend_on_how_often_they_are_asked_for(run: Run) -> None:
    assert (
        tag_run(run, ColorTagger(), draws=50, random_state=3).to_dict()
        == tag_run(run, ColorTagger(), draws=50, random_state=3).to_dict()
    )


def test_a_random_tagger_names_no_more_than_one_summary_in_twenty() -> None:
    rng = np.random.default_rng(0)
    run, named, trials = colored_run(), 0, 150
    for _ in range(trials):
        weights = heaviest(rng.random((24, 12)).astype(np.float32) ** 4, 3)
        names = name_summaries(run, weights, [str(i) for i in range(12)], draws=200)
        named += sum(name.name is not None for name in names)
    assert named / (2 * trials) < 0.09  # 0.05 expected; 0.09 is three standard errors above


def test_a_run_without_summaries_has_no_names_and_no_agreement(run: Run) -> None:
    tagging = tag_run(replace(run, summaries=()), ColorTagger())
    assert tagging.names["box"] == ()
    assert tagging.agreement["box"].summaries == 0
    assert tagging.to_dict()["measured"]["box"]["agreement"]["within"] is None


@given(arrays(np.float32, st.tuples(st.integers(2, 6), st.integers(1, 5)), elements=st.sampled_from([0.0, 0.0, 0.5, 1.0])))
def test_jaccard_is_that_of_sets(weights: np.ndarray) -> None:
    sets = [set(np.flatnonzero(row)) for row in weights]
    pairs = [len(a & b) / len(a | b) if a | b else 0 for a, b in itertools.combinations(sets, 2)]
    assert mean_jaccard(weights) == pytest.approx(np.mean(pairs))


def test_entropy_is_that_of_the_mean_distribution() -> None:
    from scipy.stats import entropy as reference

    weights = heaviest(np.random.default_rng(1).random((5, 7)).astype(np.float32), 3)
    assert entropy(weights) == pytest.approx(reference(weights.mean(axis=0), base=2))
    assert np.isnan(entropy(np.zeros((2, 3), np.float32)))


def test_random_groups_have_one_region_of_an_image_and_every_region_alike() -> None:
    owners = np.array([4, 4, 4, 7, 9, 9])
    groups = random_groups(owners, 2, 6000, np.random.default_rng(0))
    assert all(len(set(owners[group])) == 2 for group in groups)
    counts = np.bincount(groups.ravel(), minlength=6) / 6000
    assert counts == pytest.approx(np.array([2 / 9] * 3 + [2 / 3] + [1 / 3] * 2), abs=0.03)
    with pytest.raises(RunError, match="only 3 images"):
        random_groups(owners, 4, 1, np.random.default_rng(0))


def test_sign_flip_is_exact_for_few_and_sampled_for_many() -> None:
    rng = np.random.default_rng(0)
    assert sign_flip(np.array([1.0, -1.0]), 100, rng) == 3 / 4
    many = rng.normal(0.1, 1, 30)
    assert sign_flip(many, 2000, rng) == pytest.approx(1 - sign_flip(-many, 2000, rng), abs=0.05)


def test_whole_images_and_chance_are_measured_where_all_regions_are_alike(run: Run) -> None:
    alike = np.tile(np.array([[1, 0]], np.float32), (24, 1))
    agreement = measure_agreement(run, alike, np.tile(np.array([[0, 1]], np.float32), (8, 1)), draws=50)
    assert (agreement.within, agreement.random, agreement.images, agreement.p_random) == (1, pytest.approx(1), 1, 1)


def tagged(run: Run, second: Sequence[int]) -> Any:
    """Return the agreement of a run whose first boxes have tag 0, and the second ones of its eight images those given."""
    tags = np.zeros((24, 2), np.float32)
    tags[np.arange(24), [0 if k % 3 != 1 else second[k // 3] for k in range(24)]] = 1
    return measure_agreement(run, tags, np.ones((8, 2), np.float32), draws=200)


def test_tags_of_parts_tell_summaries_apart(run: Run) -> None:
    found = tagged(run, [1] * 8)
    assert (found.within, found.between, found.information, found.bits) == (1, 0, pytest.approx(1), pytest.approx(1))
    assert found.p_between == found.p_information == 1 / 201
    assert 0 < found.bits_random < 0.3


def test_a_tag_of_the_class_agrees_and_tells_nothing(run: Run) -> None:
    found = tagged(run, [0] * 8)
    assert (found.within, found.between) == (1, 1)
    assert [found.information, found.bits, found.bits_random] == pytest.approx([0, 0, 0], abs=1e-9)
    assert found.p_between == found.p_information == 1


def test_what_tags_tell_of_summaries_by_hand(run: Run) -> None:
    found = tagged(run, [0, 0, 0, 1, 1, 1, 0, 0])  # six members a summary, of the first six images
    # of 15 pairs in the second summary 6 agree; of 30 pairs between, of two images each, the first tag's 3 * 5
    assert found.within == pytest.approx((1 + 6 / 15) / 2)
    assert found.between == pytest.approx(15 / 30)
    # the tag's entropy, .75 to .25, less that within summaries, 0 and 1 bit
    assert found.bits == pytest.approx(-0.75 * np.log2(0.75) - 0.25 * np.log2(0.25) - 0.5)
    assert 0 < found.information < 1
    assert found.p_information > 0.05


def test_one_summary_has_nothing_to_be_told_from(run: Run) -> None:
    found = measure_agreement(replace(run, summaries=run.summaries[:1]), np.eye(24, dtype=np.float32), np.eye(8, 24), draws=20)
    assert found.summaries == 1
    assert np.isnan([found.between, found.p_between, found.information, found.bits, found.p_information]).all()


def test_members_without_a_tag_agree_with_nothing_and_count_as_one_tag(run: Run) -> None:
    tags = np.zeros((24, 2), np.float32)
    tags[1::3, 1] = 1
    found = measure_agreement(run, tags, np.ones((8, 2), np.float32), draws=20)
    assert (found.within, found.between, found.bits) == (0.5, 0, pytest.approx(1))


def test_a_classifier_tags_with_its_classes_and_cuts_nothing_off() -> None:
    net = torch.nn.Sequential(torch.nn.AdaptiveMaxPool2d(1), torch.nn.Flatten())
    tagger = ClassifierTagger(
        Classifier(net, transform=ViewTransform((20, 24), mean=(0,) * 3, std=(1,) * 3), class_names=list(COLORS))
    )
    assert isinstance(tagger, Tagger)
    pixels = np.zeros((4, 60, 3), np.uint8)
    pixels[:, -6:] = (0, 0, 255)  # at the far end of a long crop, which cutting the center out would lose
    weights = tagger.weights([Crop(pixels, None, (0, 0, 60, 4), None)])  # type: ignore[arg-type]
    assert tagger.vocabulary[int(weights.argmax())] == "blue"
    assert weights.sum() == pytest.approx(1)


def test_part_points_are_found_by_distance_from_what_is_shown(run: Run) -> None:
    # the image file is twice as large as the view; box 1 is (2, 3, 18, 15), its middle (10, 9), half its diagonal 10;
    # all points span 12, a tenth of which is added: 11.2
    points = {
        "birds/0.png": {"beak": (20, 18), "left wing": (2 * 20, 2 * 9), "tail": (2 * 22, 2 * 9)},
        "other/1.png": {"x": (1, 1)},
    }
    tagger = PartPointsTagger(run, points)
    assert tagger.vocabulary == ("beak", "tail", "wing")
    box, masked = (tagger.weights(list(crop_regions(run, run.regions[:1], shown)))[0] for shown in ("box", "masked"))
    assert box == pytest.approx([1, 0, np.exp(-0.5 * (10 / 11.2) ** 2)])  # the tail is 12 away
    assert masked == pytest.approx([np.exp(-0.5 * (4 / 11.2) ** 2), 0, 0])  # the evidence's middle is 4 further left
    assert not tagger.weights(list(crop_regions(run, run.regions[3:4], "box"))).any()  # image 1 has no points
    assert PartPointsTagger(run, points, sides=True).vocabulary == ("beak", "left wing", "tail")
    with pytest.raises(RunError, match="for none of the run's"):
        PartPointsTagger(run, {"a.png": {"beak": (1, 1)}})
    with pytest.raises(RunError, match="--resume"):
        PartPointsTagger(replace(run, images=tuple(replace(image, size=None) for image in run.images)), points)


def test_annotations_on_disk(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "parts.json"
    file.write_text(json.dumps({"images": {"0.png": {"parts": {"beak": [20, 18]}}}}))
    assert reference_tagger(run, file).vocabulary == ("beak",)
    file.write_text(json.dumps({"images": {"0.png": {}}}))
    with pytest.raises(RunError, match="another form"):
        reference_tagger(run, file)
    file.write_text("{")
    with pytest.raises(RunError, match="cannot be read as JSON"):
        reference_tagger(run, file)
    with pytest.raises(RunError, match=r"truth\.json"):
        reference_tagger(run, tmp_path)


def test_planted_parts_tag_the_regions_of_a_demo_run(tmp_path: Path) -> None:
    from visual_summaries.birds.pictures import write_images
    from visual_summaries.birds.world import LABELS

    [path, *_] = write_images(tmp_path, 0, 3, seed=7, size=(H, W))
    from PIL import Image as PillowImage

    view = np.array(PillowImage.open(path))
    base = colored_run()
    images = tuple(replace(base.images[i], name=f"barwing-{7 + i:04d}.png", view=view) for i in range(3))
    run = replace(base, images=images, regions=base.regions[:9], summaries=())
    tagger = reference_tagger(run, tmp_path)
    assert tagger.vocabulary == LABELS
    assert tagger.weights(list(crop_regions(run, run.regions[:3], "box"))).sum(axis=1) == pytest.approx(1)


def test_names_are_kept_in_a_file_that_people_may_edit(stored: Run) -> None:
    assert stored.path is not None
    named, orphans = save_tagging(stored, tag_run(stored, ColorTagger(), draws=100))
    assert named.summaries[0].tag is not None
    assert (named.summaries[0].tag.name, named.summaries[0].tag.by_hand) == ("red", False)
    assert named.summaries[1].tag is None
    assert orphans == ()
    assert load_run(stored.path) == named
    data = json.loads((stored.path / "tags.json").read_text())
    assert data["tagger"] == {"kind": "colors"}
    assert set(data["measured"]) == {"box", "masked"}

    data["names"][0]["name"] = "bright red"  # in an editor
    (stored.path / "tags.json").write_text(json.dumps(data))
    assert load_run(stored.path).summaries[0].tag == Tag("bright red", float("nan"), by_hand=True)
    again, _ = save_tagging(load_run(stored.path), tag_run(stored, ColorTagger(), draws=100))
    assert again.summaries[0].tag == Tag("bright red", float("nan"), by_hand=True)

    by_command = rename(again, 2, "any color")
    assert by_command.summaries[1].tag == Tag("any color", float("nan"), by_hand=True)
    assert json.loads((stored.path / "tags.json").read_text())["measured"] == data["measured"]
    back = rename(by_command, 1, None, automatic=True)
    assert back.summaries[0].tag is not None
    assert back.summaries[0].tag.name == "red"
    assert back.summaries[1].tag == by_command.summaries[1].tag


def test_a_name_by_hand_for_nothing_is_no_name_and_is_kept(stored: Run) -> None:
    named, _ = save_tagging(stored, tag_run(stored, ColorTagger(), draws=100))
    rename(named, 1, None)
    again, _ = save_tagging(stored, tag_run(stored, ColorTagger(), draws=100))
    assert again.summaries[0].tag is None


def test_names_follow_their_summary_when_ranks_change_and_outlive_it(stored: Run) -> None:
    named = rename(stored, 1, "left box")
    first, second = named.summaries
    swapped = replace(named, summaries=(replace(second, index=0), replace(first, index=1)))
    kept, orphans = save_tagging(swapped, tag_run(swapped, ColorTagger()))
    assert kept.summaries[1].tag == Tag("left box", float("nan"), by_hand=True)
    assert orphans == ()
    _, orphans = save_tagging(
        replace(kept, summaries=kept.summaries[:1]), tag_run(replace(kept, summaries=kept.summaries[:1]), ColorTagger())
    )
    assert orphans == ("left box",)
    again, _ = save_tagging(swapped, tag_run(swapped, ColorTagger()))
    assert again.summaries[1].tag == Tag("left box", float("nan"), by_hand=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "format 'list'"),
        ('{"format": 2}', "format 2"),
        ('{"format": 1, "names": [{}]}', "entry 1 of 'names'"),
        (
            '{"format": 1, "names": [{"name": 3, "automatic": null, "exemplar": {"sha256": "", "box": []}}]}',
            r"Expected `str \| null`, got `int` - at `\$\.name`",
        ),
    ],
)
def test_a_damaged_file_of_names_is_an_error_with_a_remedy(stored: Run, text: str, message: str) -> None:
    assert stored.path is not None
    (stored.path / "tags.json").write_text(text)
    with pytest.raises(RunError, match=message):
        load_run(stored.path)


def test_names_need_a_stored_run_and_a_summary_that_exists(run: Run, stored: Run) -> None:
    with pytest.raises(RunError, match="not stored"):
        rename(run, 1, "x")
    with pytest.raises(SettingsError, match="there is no summary 3"):
        rename(stored, 3, "x")


def test_vocabularies(tmp_path: Path) -> None:
    words = load_vocabulary()
    assert len(words) == len(set(words)) > 100
    copy = tmp_path / "mine.txt"
    copy.write_text(shipped_vocabulary() + "\nbowsprit\n", encoding="utf-8")
    assert load_vocabulary(copy) == (*words, "bowsprit")
    copy.write_text("# nothing\nbeak\n")
    with pytest.raises(SettingsError, match="has 1 words"):
        load_vocabulary(copy)
    with pytest.raises(SettingsError, match="cannot be read"):
        load_vocabulary(tmp_path / "none.txt")


CLIP_CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "patch_size": 16, "head_width": 16},
    "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny open_clip model with random weights, as open_clip's own tools keep models on disk."""
    open_clip = pytest.importorskip("open_clip", reason="open_clip is not installed (extra clip)")
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("clip")
    torch.manual_seed(0)
    model = open_clip.CLIP(**CLIP_CONFIG)
    with torch.no_grad():
        model.logit_scale.fill_(np.log(5.0))
    (folder / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": CLIP_CONFIG, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}})
    )
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder


def test_clip_from_disk_answers_as_open_clip_does(clip_folder: Path, run: Run) -> None:
    import open_clip
    from PIL import Image as PillowImage

    words = ("beak", "wing", "red patch")
    tagger = ClipTagger(str(clip_folder), vocabulary=words, device="cpu")
    assert isinstance(tagger, Tagger)
    crops = list(crop_regions(run, run.regions[:3], "box"))
    weights = tagger.weights(crops)

    name = f"local-dir:{clip_folder}"
    model, _, preprocess = open_clip.create_model_and_transforms(name)
    model.eval()
    tokenizer = open_clip.get_tokenizer(name)
    with torch.no_grad():
        padded = np.full((16, 16, 3), (124, 116, 104), np.uint8)
        padded[2:14] = crops[1].pixels
        image = model.encode_image(preprocess(PillowImage.fromarray(padded))[None])[0]
        texts = []
        for word in words:
            prompts = [
                f"a photo of a {word}.",
                f"a close-up photo of a {word}.",
                f"a cropped photo of the {word}.",
                f"a photo of part of a {word}.",
            ]
            rows = model.encode_text(tokenizer(prompts))
            texts.append((rows / rows.norm(dim=1, keepdim=True)).mean(dim=0))
        cosines = [torch.cosine_similarity(image, text, dim=0) for text in texts]
        expected = (5.0 * torch.stack(cosines)).softmax(dim=0)
    assert weights[1] == pytest.approx(expected.numpy(), rel=1e-4)
    assert weights.sum(axis=1) == pytest.approx(1)
    assert len({tuple(row.round(6)) for row in weights}) > 1
    described = tagger.describe()
    assert described["words"] == 3
    assert len(described["weights_sha256"]) == 64
    assert not tagger._module.training


def test_clip_names_a_run_from_a_checkpoint_and_the_shipped_words(clip_folder: Path, stored: Run) -> None:
    tagger = ClipTagger(str(clip_folder), device="cpu")
    tagging = tag_run(stored, tagger, draws=100, input="masked")
    named, _ = save_tagging(stored, tagging)
    # regions of one color look alike to any network, so they share their words: summary 1 is told from the rest
    assert named.summaries[0].tag is not None
    assert named.summaries[0].tag.name in load_vocabulary()


def test_clip_takes_a_local_checkpoint_for_an_architecture_of_open_clip(clip_folder: Path, tmp_path: Path) -> None:
    import open_clip

    (tmp_path / "tiny-test-clip.json").write_text(json.dumps(CLIP_CONFIG))
    open_clip.add_model_config(tmp_path)
    checkpoint = clip_folder / "open_clip_model.safetensors"
    first = ClipTagger("tiny-test-clip", checkpoint=checkpoint, vocabulary=["beak", "wing"], device="cpu")
    second = ClipTagger(str(clip_folder), vocabulary=["beak", "wing"], device="cpu")
    assert first.describe()["weights_sha256"] == second.describe()["weights_sha256"]


@pytest.mark.parametrize(
    ("model", "checkpoint", "message"),
    [
        ("ViT-B-32", None, "names no weights"),
        ("ViT-B-33/openai", None, "open_clip cannot load ViT-B-33/openai"),
        ("ViT-B-32/no_such_tag", None, "open_clip cannot load ViT-B-32/no_such_tag"),
        ("ViT-B-32", "nowhere.safetensors", "is not a file"),
    ],
)
def test_clip_models_that_cannot_be_loaded(model: str, checkpoint: str | None, message: str, clip_folder: Path) -> None:
    with pytest.raises(ClassifierError, match=message):
        ClipTagger(model, checkpoint=checkpoint)


def test_a_clip_folder_without_weights_is_refused(tmp_path: Path, clip_folder: Path) -> None:
    (tmp_path / "open_clip_config.json").write_text((clip_folder / "open_clip_config.json").read_text())
    with pytest.raises(ClassifierError, match="but no weights"):
        ClipTagger(str(tmp_path))
    (tmp_path / "open_clip_model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ClassifierError, match="open_clip cannot load"):
        ClipTagger(str(tmp_path))
