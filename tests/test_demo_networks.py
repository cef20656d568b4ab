"""The trained networks: what is recorded of them is true, and they use what was planted."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from visual_summaries.birds import effects as effects_module
from visual_summaries.birds.effects import effect, intervene, part_effects, predict, used_parts
from visual_summaries.birds.render import render
from visual_summaries.birds.scene import sample_scene
from visual_summaries.birds.world import CLASS_NAMES, CLASSES
from visual_summaries.demo import NETWORKS, demo_network, network_record
from visual_summaries.errors import SettingsError

WEIGHTS = files("visual_summaries.demo") / "weights"


@pytest.fixture(scope="module")
def fresh():
    scenes = [sample_scene(k % len(CLASSES), 50_000_000 + k) for k in range(104)]
    return np.stack([render(scene).image for scene in scenes]), np.array([scene.class_index for scene in scenes])


@pytest.mark.parametrize("name", NETWORKS)
def test_network_is_as_recorded(name, fresh):
    images, labels = fresh
    network, record = demo_network(name), network_record(name)
    correct = (predict(network, images).argmax(1) == labels).mean()
    spread = np.sqrt(record["accuracy"] * (1 - record["accuracy"]) / len(labels))
    assert abs(correct - record["accuracy"]) < 3 * spread + 0.02
    config = network.pretrained_cfg
    assert config["input_size"] == (3, 160, 160)
    assert config["label_names"] == CLASS_NAMES == tuple(record["class_names"])
    assert config["num_classes"] == len(CLASSES)
    assert config["crop_pct"] == 1.0
    assert config["interpolation"] == "bicubic"
    assert not network.training
    assert {value.dtype for value in network.parameters()} == {torch.float32}
    assert sum(value.numel() for value in network.parameters()) == record["parameters"]
    assert hashlib.sha256((WEIGHTS / f"{name}.safetensors").read_bytes()).hexdigest() == record["sha256"]


def test_main_is_accurate_and_the_others_are_spread(fresh):
    images, labels = fresh
    assert (predict(demo_network(), images).argmax(1) == labels).mean() >= 0.95
    accuracies = [network_record(name)["accuracy"] for name in NETWORKS]
    assert accuracies[0] >= 0.97
    assert accuracies == sorted(accuracies, reverse=True)
    assert all(0.5 <= value <= 0.95 for value in accuracies[1:])
    assert accuracies[1] - accuracies[-1] >= 0.2


def test_weights_are_small():
    sizes = {name: len((WEIGHTS / f"{name}.safetensors").read_bytes()) for name in NETWORKS}
    assert sizes["main"] <= 2_000_000
    assert sum(size for name, size in sizes.items() if name != "main") <= 4_000_000


def test_main_uses_what_was_planted_and_nothing_else():
    recorded = network_record("main")["effects"]
    for bird in CLASSES:
        assert used_parts(recorded[bird.name]) == bird.cues, (bird.name, recorded[bird.name])
    network = demo_network()
    for label in (0, 6):
        effects = part_effects(network, label, n=10)
        assert effects == pytest.approx(recorded[CLASS_NAMES[label]], abs=0.12)
    # parts that no class plants, and shared variants of parts that this class does not plant, change little
    assert abs(effect(network, 0, lambda scene: scene.without("eye"), n=16)) < 0.05
    assert abs(effect(network, 0, lambda scene: intervene(scene, "tail", "shared"), n=16)) < 0.05


def test_a_bird_without_planted_parts_is_of_no_class():
    scenes = [sample_scene(k % 8, 60_000_000 + k).without("shortcut") for k in range(24)]
    for part in ("beak", "crest", "head", "wing", "belly", "tail", "feet"):
        scenes = [scene.with_variant(part, "plain") for scene in scenes]
    probabilities = predict(demo_network(), np.stack([render(scene).image for scene in scenes]))
    assert probabilities.max(1).mean() < 0.45
    assert probabilities.mean(0).max() < 0.3


def test_interventions():
    scene = sample_scene(0, 7)
    assert intervene(scene, "wing", "other").variants["wing"] in ("scales", "checks", "eyespots")
    assert intervene(scene, "wing", "shared").variants["wing"] in ("plain", "tipped", "mottled", "shaded")
    assert intervene(scene, "wing", "removed").variants["wing"] is None
    with pytest.raises(SettingsError, match="how is 'painted', but must be one of 'other'"):
        intervene(scene, "wing", "painted")
    with pytest.raises(SettingsError, match="no class plants the eye"):
        intervene(scene, "eye", "other")
    with pytest.raises(SettingsError, match="n is 0"):
        part_effects(demo_network(), 0, n=0)


def test_effects_of_a_network_whose_answer_is_known():
    class Blind(torch.nn.Module):
        pretrained_cfg = {"mean": (0.5,) * 3, "std": (0.5,) * 3}  # noqa: RUF012

        def forward(self, x):
            return torch.zeros(len(x), len(CLASSES))

    assert part_effects(Blind(), 6, n=3) == pytest.approx({"head": 0.0, "wing": 0.0, "shortcut": 0.0})
    assert effect(Blind(), 6, lambda scene: intervene(scene, "head", "other"), n=3) == 0


def test_shapley_values_of_a_known_game(monkeypatch):
    # the "network" is told which parts are planted: p = 1 with tail or feet, else 0.25 with the beak, else 0
    drawn = []

    def render_variants(scene):
        drawn.append(scene.variants)
        return SimpleNamespace(image=np.zeros((32, 32, 3), np.uint8))

    def predict_game(network, images):
        planted = CLASSES[1].planted
        has = {part: drawn[-1][part] == planted[part] for part in planted}
        value = 1.0 if has["tail"] or has["feet"] else 0.25 * has["beak"]
        return np.full((len(images), len(CLASSES)), value)

    monkeypatch.setattr(effects_module, "render", render_variants)
    monkeypatch.setattr(effects_module, "predict", predict_game)
    # orders: the beak adds 0.25 when it is first (1 in 3); tail and feet share the rest
    expected = {"beak": 0.25 / 3, "tail": (1 - 0.25 / 3) / 2, "feet": (1 - 0.25 / 3) / 2}
    assert part_effects(torch.nn.Identity(), 1, n=2) == pytest.approx(expected)


def test_unknown_network():
    with pytest.raises(SettingsError, match="name is 'huge', but must be one of 'main'"):
        demo_network("huge")
