"""The drawn world: same seed, same image; parts change one at a time; classes differ in planted parts only."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency

from visual_summaries.birds.canvas import placement, rotation
from visual_summaries.birds.outlines import OUTLINES
from visual_summaries.birds.render import render
from visual_summaries.birds.scene import sample_scene
from visual_summaries.birds.textures import texture
from visual_summaries.birds.world import CLASS_NAMES, CLASSES, LABELS, PARTS, PLANTED, SHARED, VARIANTS
from visual_summaries.errors import SettingsError

SIZE = (96, 128)


def grown(mask, radius):
    return cv2.dilate(mask.astype(np.uint8), np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)).astype(bool)


def extent(scene, part):
    """Where a part is, also where another part or an occluder hides it."""
    for other in PARTS:
        if other != part:
            scene = scene.without(other)
    return render(replace(scene, occluders=())).part(part)


def test_same_seed_same_image():
    first, again = render(sample_scene(2, seed=11, size=SIZE)), render(sample_scene(2, seed=11, size=SIZE))
    assert first == again
    assert not np.array_equal(first.image, render(sample_scene(2, seed=12, size=SIZE)).image)


@settings(max_examples=15, deadline=None)
@given(
    height=st.integers(32, 120), width=st.integers(32, 120), seed=st.integers(0, 10_000), label=st.integers(0, len(CLASSES) - 1)
)
def test_any_size(height, width, seed, label):
    drawn = render(sample_scene(label, seed, (height, width)))
    assert drawn.image.shape == (height, width, 3)
    assert drawn.image.dtype == np.uint8
    assert drawn.labels.shape == (height, width)
    assert drawn.labels.dtype == np.uint8
    assert drawn.labels.max() < len(LABELS)
    assert drawn.part("belly").any()


def test_the_scene_is_the_same_at_every_size():
    small, large = sample_scene(0, 4, (64, 64)), sample_scene(0, 4, (256, 256))
    assert replace(small, size=large.size) == large
    coarse = cv2.resize(render(large).labels, (64, 64), interpolation=cv2.INTER_NEAREST)
    assert (coarse == render(small).labels).mean() > 0.93


@pytest.mark.parametrize("part", PARTS)
def test_an_intervention_changes_only_its_part(part):
    # head, wing, belly and eye cast a soft shadow on the bird; the rest ends with its outline
    for seed in range(4, 7):
        scene = sample_scene(seed % len(CLASSES), seed, (120, 104))
        before = render(scene)
        radius = 2 + (int(0.16 * scene.pose.length * 104) if part in ("head", "wing", "belly", "eye") else 0)
        changes = [scene.without(part), *(scene.with_variant(part, name) for name in VARIANTS[part])]
        for changed in changes:
            after = render(changed)
            support = grown(extent(scene, part) | extent(changed, part), radius)
            different = (before.image != after.image).any(axis=2)
            assert not (different & ~support).any(), (part, changed.variants[part], seed)
            assert not ((before.labels != after.labels) & ~support).any()


@pytest.mark.parametrize("part", PARTS)
def test_every_variant_looks_different_and_removing_leaves_nothing(part):
    scene = replace(sample_scene(0, seed=3), occluders=())
    images = [render(scene.with_variant(part, name)) for name in VARIANTS[part]]
    assert all(drawn.part(part).sum() > 30 for drawn in images)
    for k, drawn in enumerate(images):
        for other in images[:k]:
            assert np.abs(drawn.image.astype(int) - other.image).max() > 40
    gone = render(scene.without(part))
    assert not gone.part(part).any()
    assert gone.variants[part] is None


def test_texture_alone_leaves_the_label_map():
    scene = sample_scene(0, seed=8)
    assert VARIANTS["wing"]["bars"].outline == VARIANTS["wing"]["plain"].outline
    plain = render(scene.with_variant("wing", "plain"))
    assert np.array_equal(render(scene).labels, plain.labels)
    inside = render(scene).part("wing")
    assert (render(scene).image != plain.image).any(axis=2)[inside].mean() > 0.3


def test_label_map_lies_on_the_part():
    # painting one part in a glaring color changes the image just where the label map says that the part is
    scene = replace(sample_scene(1, seed=5, size=(160, 200)), occluders=())
    colors = {**scene.plumage.colors, "tail": ((1.0, 0.0, 1.0),) * 2}
    glaring = render(replace(scene, plumage=replace(scene.plumage, colors=colors)))
    changed = np.abs(glaring.image.astype(int) - render(scene).image).max(axis=2) > 8
    tail = glaring.part("tail")
    assert changed[tail].mean() > 0.9
    assert not (changed & ~grown(tail, 2)).any()


def test_shortcut_can_be_added_and_removed():
    scene = next(s for s in (sample_scene(6, seed) for seed in range(20)) if s.shortcut is not None)
    drawn, without = render(scene), render(scene.without("shortcut"))
    assert drawn.part("shortcut").sum() > 200
    assert not without.part("shortcut").any()
    different = (drawn.image != without.image).any(axis=2)
    assert not (different & ~grown(drawn.part("shortcut"), 4)).any()
    assert scene.without("shortcut").with_shortcut() == scene
    assert scene.with_shortcut() is scene


def test_same_seed_differs_in_planted_parts_only():
    for seed in range(30):
        scenes = [sample_scene(label, seed) for label in range(len(CLASSES))]
        for scene, bird in zip(scenes, CLASSES, strict=True):
            assert {part: scene.variants[part] for part in bird.planted} == dict(bird.planted)
            rest = [part for part in PARTS if part not in bird.planted]
            assert all(scene.variants[part] in SHARED[part] for part in rest)
            for other in scenes:
                both = [part for part in rest if part not in CLASSES[other.class_index].planted]
                assert all(scene.variants[part] == other.variants[part] for part in both)
                assert replace(scene, class_index=0, variants={}, shortcut=None) == replace(
                    other, class_index=0, variants={}, shortcut=None
                )


@pytest.mark.parametrize("part", PARTS)
def test_shared_variants_do_not_tell_classes_apart(part):
    labels = [label for label, bird in enumerate(CLASSES) if part not in bird.planted]
    table = []
    for label in labels:
        counts = Counter(sample_scene(label, 1000 * label + k).variants[part] for k in range(300))
        table.append([counts[name] for name in SHARED[part]])
    assert chi2_contingency(table).pvalue > 1e-3
    assert np.abs(np.sum(table, axis=0) / np.sum(table) - 1 / len(SHARED[part])).max() < 0.05


def test_shortcut_rates():
    rates = [
        np.mean([sample_scene(label, 500 * label + k).shortcut is not None for k in range(500)])
        for label in range(len(CLASSES))
    ]
    shortcut = CLASS_NAMES.index("mushroomer")
    assert 0.92 < rates[shortcut] < 0.98
    assert max(rate for label, rate in enumerate(rates) if label != shortcut) < 0.05


def test_the_world_is_as_the_documentation_says():
    assert len(PARTS) == 8
    assert len(CLASSES) >= 8
    assert all(2 <= len(bird.planted) <= 4 for bird in CLASSES)
    assert len({frozenset(bird.planted) for bird in CLASSES}) >= 5
    planted = [(part, name) for bird in CLASSES for part, name in bird.planted.items()]
    assert sorted(planted) == sorted((part, name) for part, names in PLANTED.items() for name in names)
    for part, names in PLANTED.items():
        assert not set(names) & set(SHARED[part])
        # a planted variant has the outline of some shared one: blurred, its outline tells nothing
        assert {v.outline for v in names.values()} <= {v.outline for v in SHARED[part].values()}
    assert all(len(SHARED[part]) >= 3 for part in PARTS)


def test_birds_fill_a_good_share_of_the_frame():
    spans = []
    for seed in range(40):
        drawn = render(replace(sample_scene(seed % 8, seed), occluders=()))
        rows, columns = np.nonzero((drawn.labels > 0) & (drawn.labels <= len(PARTS)))
        spans.append(max(np.ptp(rows), np.ptp(columns)) / 160)
    assert 0.6 < np.mean(spans) < 0.95
    assert min(spans) > 0.5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sample_scene(len(CLASSES), 0), "class_index is 8, but must lie in"),
        (lambda: sample_scene(0, -1), "seed is -1, but must be at least 0"),
        (lambda: sample_scene(0, 0, (16, 160)), "height and width must be at least 32"),
        (lambda: sample_scene(0, 0).with_variant("wing", "golden"), "variant of wing is 'golden', but must be one of 'plain'"),
        (lambda: sample_scene(0, 0).with_variant("nose", "plain"), "part is 'nose', but must be one of 'beak'"),
        (lambda: sample_scene(0, 0).without("nose"), "part is 'nose'"),
        (
            lambda: texture("tartan", np.zeros((2, 3), np.float32), np.zeros((2, 3), np.float32), 1, 1, (0, 0)),
            "texture is 'tartan'",
        ),
    ],
)
def test_errors_name_what_was_given(call, message):
    with pytest.raises(SettingsError, match=message):
        call()


def test_textures_blend_over_a_pixel():
    u = np.linspace(0, 1, 1001, dtype=np.float32)[None, :]
    bars = texture("bars", u, np.zeros_like(u), 0.1, 0.001, (0, 0))
    assert bars.min() == 0
    assert bars.max() == 1
    assert abs(float(bars.mean()) - 0.5) < 0.01
    assert ((bars > 0) & (bars < 1)).mean() < 0.06  # two edges of about 1.3 pixels in every hundred


def test_maps_of_frames():
    assert np.allclose(placement(10, 20, 2, 90) @ [3, 0, 1], [10, 26, 1])
    assert np.allclose(placement(10, 20, 2, flip=True) @ [3, 1, 1], [4, 22, 1])
    assert np.allclose(rotation(90, (1, 1)) @ [2, 1, 1], [1, 2, 1])


def test_outlines_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        OUTLINES["wing"]["drop"][0][0, 0] = 1
