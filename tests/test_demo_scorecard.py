"""The scorecard on hand-made runs whose answer is known, and the folder of images with its truth."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from PIL import Image as PillowImage

from visual_summaries.birds.pictures import read_truth, write_images
from visual_summaries.birds.render import render
from visual_summaries.birds.scene import sample_scene
from visual_summaries.birds.world import CLASS_NAMES, LABELS
from visual_summaries.demo import labels_for, part_under, score_run
from visual_summaries.errors import RunError, SettingsError
from visual_summaries.results import Image, Member, Region, Run, RunInfo, Summary
from visual_summaries.settings import preset

WING, CREST, BELLY = (LABELS.index(name) for name in ("wing", "crest", "belly"))


def labels_of_bird():
    labels = np.zeros((20, 30), np.uint8)
    labels[0:5, 0:10] = CREST
    labels[5:15, 0:10] = WING
    labels[5:15, 10:20] = BELLY
    return labels


def region(index, image, box, mask=None):
    x0, y0, x1, y1 = box
    mask = np.ones((y1 - y0, x1 - x0), bool) if mask is None else mask
    return Region(index, image, box, mask, 1.0, 0.5, 0.5, 0.1)


def summary(index, regions):
    members = tuple(Member(k, 1.0, 0.5, np.zeros((2, 3, 3), np.uint8)) for k in regions)
    return Summary(index, regions[0], members, tuple(regions), 1.0, 0.5)


def run_of(regions, summaries, images=3, shape=(20, 30)):
    return Run(
        images=tuple(Image(k, f"{k}.png", "", np.zeros((*shape, 3), np.uint8), 0.9, 0) for k in range(images)),
        masks=(),
        components=(),
        regions=tuple(regions),
        descriptors=np.zeros((len(regions), 0), np.float32),
        similarity=np.zeros((len(regions), len(regions)), np.float32),
        summaries=tuple(summaries),
        rejected=(),
        skipped=(),
        settings=preset("paper"),
        info=RunInfo(),
    )


def test_known_answer():
    half = np.zeros((10, 20), bool)
    half[:, 10:] = True  # the box covers wing and belly, its evidence the belly
    regions = [
        region(0, 0, (0, 5, 10, 15)),  # wing
        region(1, 1, (1, 6, 12, 14)),  # wing, and a little belly
        region(2, 2, (0, 5, 20, 15), half),  # belly
        region(3, 0, (20, 0, 30, 20)),  # background
        region(4, 1, (0, 0, 9, 4)),  # crest
    ]
    run = run_of(regions, [summary(0, [0, 1, 2]), summary(1, [3]), summary(2, [4, 3])])
    card = score_run(run, [labels_of_bird()] * 3, class_index=CLASS_NAMES.index("barwing"))
    first, second, third = card.summaries
    assert (first.part, first.members, first.shares) == ("wing", 3, {"wing": 2 / 3, "belly": 1 / 3})
    assert (second.part, second.purity) == ("background", 1.0)
    assert (third.part, third.purity) == ("background", 0.5)  # of equals, the first of LABELS
    assert card.planted == ("crest", "wing")
    assert card.found == ("wing",)
    assert card.missed == ("crest",)
    assert card.mean_purity == pytest.approx((2 / 3 + 1 + 0.5) / 3)
    assert card.effects is None
    assert json.loads(json.dumps(card.to_dict()))["summaries"][0]["shares"]["wing"] == 2 / 3


def test_no_summary():
    card = score_run(run_of([], []), [labels_of_bird()] * 3, class_index=6)
    assert math.isnan(card.mean_purity)
    assert card.to_dict()["mean_purity"] is None
    assert card.missed == card.planted == ("head", "wing", "shortcut")


def test_what_the_network_uses():
    import torch

    class Blind(torch.nn.Module):
        pretrained_cfg = {"mean": (0.5,) * 3, "std": (0.5,) * 3}  # noqa: RUF012

        def forward(self, x):
            return torch.zeros(len(x), len(CLASS_NAMES))

    card = score_run(run_of([], []), [labels_of_bird()] * 3, 0, network=Blind(), images=2)
    assert card.effects == pytest.approx({"crest": 0.0, "wing": 0.0})
    assert card.used == card.missed == ()


def test_part_under_counts_evidence_only():
    mask = np.zeros((10, 20), bool)
    mask[0, 15] = True
    assert part_under(mask, (0, 5, 20, 15), labels_of_bird()) == "belly"
    assert part_under(np.zeros((10, 12), bool), (0, 5, 12, 15), labels_of_bird()) == "wing"  # no evidence: the box


def test_label_maps_must_fit():
    with pytest.raises(RunError, match="2 label maps were given for a run of 3 images"):
        score_run(run_of([], []), [labels_of_bird()] * 2, 0)
    with pytest.raises(RunError, match=r"label map of 0.png is \(30, 20\), its view \(20, 30\)"):
        score_run(run_of([], []), [labels_of_bird().T] * 3, 0)
    with pytest.raises(RunError, match=r"no truth for 0.png \(and 2 more\)"):
        labels_for(run_of([], []), {})


def test_folder_of_images(tmp_path):
    paths = write_images(tmp_path / "birds", class_index=6, n=3, seed=40, size=(48, 64))
    truth = read_truth(tmp_path / "birds")
    assert [path.name for path in paths] == list(truth) == ["mushroomer-0040.png", "mushroomer-0041.png", "mushroomer-0042.png"]
    for number, path in enumerate(paths, 40):
        scene = sample_scene(6, number, (48, 64))
        drawn = render(scene)
        with PillowImage.open(path) as image:
            assert np.array_equal(np.asarray(image), drawn.image)
        assert np.array_equal(truth[path.name].labels, drawn.labels)
        assert truth[path.name].variants == drawn.variants
        assert (truth[path.name].seed, truth[path.name].class_index) == (number, 6)
        assert truth[path.name].shortcut == (scene.shortcut is not None)
    run = run_of([], [], images=3, shape=(48, 64))
    maps = labels_for(run, {f"{k}.png": truth[path.name] for k, path in enumerate(paths)})
    assert np.array_equal(maps[2], truth["mushroomer-0042.png"].labels)


def test_folder_errors(tmp_path):
    with pytest.raises(RunError, match="has no truth"):
        read_truth(tmp_path)
    write_images(tmp_path, 0, 1, size=(32, 40))
    with pytest.raises(RunError, match="already holds demo images"):
        write_images(tmp_path, 0, 1)
    (tmp_path / "truth.json").write_text(json.dumps({"labels": ["sky"], "images": {}}))
    with pytest.raises(RunError, match="draw the images again"):
        read_truth(tmp_path)
    with pytest.raises(SettingsError, match="n is 0"):
        write_images(tmp_path / "new", 0, 0)
