"""Drawn birds: nothing is measured on images that something else has learned from, chosen by or reported on."""

from __future__ import annotations

import inspect
import json
import re
from itertools import combinations
from pathlib import Path

import pytest

from benchmarks.seeds import SEEDS, seeds
from visual_summaries.birds import effects, pictures
from visual_summaries.birds.effects import intervene
from visual_summaries.birds.scene import sample_scene
from visual_summaries.demo import pipeline as demo

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(("one", "other"), list(combinations(SEEDS, 2)))
def test_no_two_draw_from_the_same_seeds(one: str, other: str) -> None:
    a, b = SEEDS[one], SEEDS[other]
    assert a.stop <= b.start or b.stop <= a.start


def test_classes_have_seeds_of_their_own() -> None:
    own = [seeds("claims", bird, 1000) for bird in range(8)]
    assert [(one.start, len(one)) for one in own] == [(50_000_000 + 1000 * bird, 1000) for bird in range(8)]
    assert seeds("parts", 3, 16, start=32) == range(70_030_032, 70_030_048)
    with pytest.raises(ValueError, match="has 1000 seeds a class, not 1001"):
        seeds("claims", 0, 900, start=101)


def test_the_package_draws_from_its_ranges() -> None:
    assert SEEDS["effects"].start == effects.EFFECT_SEED
    assert SEEDS["demo"].start == demo.DEMO_SEED
    assert inspect.signature(pictures.write_images).parameters["seed"].default in SEEDS["demo"]
    for record in (ROOT / "src" / "visual_summaries" / "demo" / "weights").glob("*.json"):
        told = json.loads(record.read_text(encoding="utf-8"))
        assert told["training_images"] <= len(SEEDS["training"])
        assert range(told["accuracy_first_seed"], told["accuracy_first_seed"] + told["accuracy_images"]) == SEEDS["accuracy"]


def test_other_backgrounds_have_a_range() -> None:
    for seed in (SEEDS["parts"].start, SEEDS["parts"].stop - 1):
        scene = sample_scene(0, seed)
        drawn = intervene(scene, "background", "removed")
        assert drawn.backdrop == sample_scene(0, seed + 5_000_000).backdrop
        assert seed + 5_000_000 in SEEDS["parts, other backgrounds"]


def test_seeds_are_written_in_one_place() -> None:
    for path in [*(ROOT / "benchmarks").rglob("*.py"), *(ROOT / "scripts").glob("*.py")]:
        text = path.read_text(encoding="utf-8")
        if re.search(r"import .*(sample_scene|write_images)", text):
            assert not re.findall(r"\b\d+_000_000\b", text), path
    for page in (ROOT / "docs").rglob("*.md"):
        for number in re.findall(r"seed=([\d_]{9,})", page.read_text(encoding="utf-8")):
            assert any(int(number) in own for own in SEEDS.values()), page
