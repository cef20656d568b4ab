"""Connected regions, salient boxes and redundancy, against counting pixels and pairs; what every source of boxes promises."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from skimage import data

from visual_summaries.errors import SettingsError
from visual_summaries.regions.components import connected_components
from visual_summaries.regions.proposals import edge_boxes, propose_all, propose_boxes, selective_search
from visual_summaries.regions.salient import evidence_shares, prune, redundant_pairs, salient_boxes
from visual_summaries.settings.stages import SOURCES, RegionSettings

BOXES = st.lists(
    st.tuples(st.integers(0, 20), st.integers(0, 15), st.integers(1, 12), st.integers(1, 9)).map(
        lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
    ),
    min_size=1,
    max_size=12,
)


def test_components_under_one_percent_are_dropped_and_the_rest_come_largest_first() -> None:
    evidence = np.zeros((20, 30), np.float16)  # 1 % of 600 pixels is 6
    evidence[1:3, 1:4] = 0.9  # 6 pixels: stays
    evidence[10:18, 10:20] = 1.0  # 80
    evidence[0, 25:30] = 1.0  # 5: goes
    found = connected_components(evidence)
    assert [box for box, _ in found] == [(10, 10, 20, 18), (1, 1, 4, 3)]
    assert [int(mask.sum()) for _, mask in found] == [80, 6]


def test_a_component_is_its_own_pixels_not_its_box() -> None:
    evidence = np.zeros((12, 9))
    evidence[2:8, 2] = evidence[7, 2:7] = 1.0  # an L
    ((box, mask),) = connected_components(evidence)
    assert box == (2, 2, 7, 8)
    np.testing.assert_array_equal(mask, evidence[2:8, 2:7] > 0)


def test_pixels_at_exactly_the_threshold_are_background() -> None:
    assert connected_components(np.full((5, 7), 0.5)) == []


@given(st.integers(0, 2**32 - 1))
def test_components_agree_with_scipy(seed: int) -> None:
    evidence = np.random.default_rng(seed).random((13, 17))
    labels, count = ndimage.label(evidence > 0.6, structure=np.ones((3, 3)))
    areas = sorted((int((labels == k).sum()) for k in range(1, count + 1)), reverse=True)
    found = connected_components(evidence, threshold=0.6, min_area=0.0)
    assert [int(mask.sum()) for _, mask in found] == areas


@given(BOXES, st.integers(0, 2**32 - 1))
def test_shares_agree_with_counting(boxes: list[tuple[int, ...]], seed: int) -> None:
    binary = np.random.default_rng(seed).random((24, 32)) < 0.6
    shares = evidence_shares(np.array(boxes), binary)
    for (x0, y0, x1, y1), share in zip(boxes, shares, strict=True):
        assert share == pytest.approx(binary[y0:y1, x0:x1].mean())


def test_salient_means_more_than_the_share() -> None:
    binary = np.zeros((8, 12), bool)
    binary[:, :6] = True
    boxes = np.array([[0, 0, 8, 4], [0, 0, 7, 8], [5, 0, 7, 8]])  # 0.75, 0.857, 0.5
    assert salient_boxes(boxes, binary).tolist() == [1]
    assert salient_boxes(boxes, binary, share=0.4).tolist() == [0, 1, 2]


@pytest.mark.parametrize("box", [(0, 0, 0, 3), (0, 0, 13, 3), (-1, 0, 3, 3), (0, 3, 3, 3)])
def test_boxes_outside_the_image_are_refused(box: tuple[int, ...]) -> None:
    with pytest.raises(SettingsError, match="is empty or leaves the image of 12 x 8 pixels"):
        evidence_shares(np.array([box]), np.ones((8, 12), bool))


@given(BOXES)
def test_redundancy_agrees_with_the_definition(boxes: list[tuple[int, ...]]) -> None:
    same = redundant_pairs(np.array(boxes))
    canvas = np.zeros((len(boxes), 24, 32), bool)
    for k, (x0, y0, x1, y1) in enumerate(boxes):
        canvas[k, y0:y1, x0:x1] = True
    for i in range(len(boxes)):
        for j in range(len(boxes)):
            a, b = canvas[i].sum(), canvas[j].sum()
            expected = i != j and (canvas[i] & canvas[j]).sum() >= 0.5 * min(a, b) and max(a, b) <= 2 * min(a, b)
            assert same[i, j] == expected


@given(BOXES, st.integers(0, 2**32 - 1))
def test_pruning_keeps_no_redundant_pair_and_drops_only_for_a_better_one(boxes: list[tuple[int, ...]], seed: int) -> None:
    array = np.array(boxes)
    value = np.random.default_rng(seed).random(len(boxes))
    kept = prune(array, value)
    same = redundant_pairs(array)
    assert not same[np.ix_(kept, kept)].any()
    for index in set(range(len(boxes))) - set(kept.tolist()):
        assert (value[kept[same[index, kept]]] >= value[index]).any()


def test_pruning_nothing() -> None:
    assert prune(np.empty((0, 4), int), np.empty(0)).tolist() == []


def iou(boxes, box):
    sides = np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2])
    shared = np.clip(sides, 0, None).prod(1)
    return shared / ((boxes[:, 2:] - boxes[:, :2]).prod(1) + np.prod(np.subtract(box[2:], box[:2])) - shared)


@pytest.fixture(scope="module")
def photograph():
    return np.ascontiguousarray(data.coffee()[50:370:2, 100:540:2])  # (160, 220)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("n", [1, 40, 500])
def test_boxes_are_what_they_should_be(photograph, source, n):
    boxes = propose_boxes(photograph, n, source)
    assert boxes.dtype == np.int32
    assert len(boxes) <= n
    assert boxes[0].tolist() == [0, 0, 220, 160]
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= [220, 160]).all()
    sides = boxes[:, 2:] - boxes[:, :2]
    assert sides.min() >= 8
    assert (sides.max(1) <= 5 * sides.min(1)).all()
    assert len(np.unique(boxes, axis=0)) == len(boxes)
    assert (np.diff(sides.prod(1)) <= 0).all()


@pytest.mark.parametrize("source", SOURCES)
def test_500_boxes_of_all_scales(photograph, source):
    boxes = propose_boxes(photograph, 500, source)
    assert len(boxes) == 500
    share = (boxes[:, 2:] - boxes[:, :2]).prod(1) / (220 * 160)
    for low, high in ((0, 0.02), (0.02, 0.1), (0.1, 0.4), (0.4, 1)):
        assert ((share > low) & (share <= high)).sum() >= (10 if source == "edge_boxes" else 25), (low, high)


def test_c_library_random_numbers_do_not_show(photograph):
    libc = ctypes.CDLL(None)
    libc.srand(1)
    first = propose_boxes(photograph, 100)
    libc.srand(12345)
    np.testing.assert_array_equal(propose_boxes(photograph, 100), first)
    assert (selective_search(photograph, 500) == selective_search(photograph, 500)).all()


def test_seed_chooses(photograph):
    assert not np.array_equal(propose_boxes(photograph, 100, random_state=1), propose_boxes(photograph, 100))


@pytest.mark.parametrize(("source", "overlap"), [("selective_search", 0.85), ("edge_boxes", 0.75)])
def test_object_is_proposed(source, overlap):
    image = np.full((120, 170, 3), 30, np.uint8)
    image[40:90, 60:130] = (220, 60, 40)
    boxes = propose_boxes(image, source=source)
    assert iou(boxes, (60, 40, 130, 90)).max() > overlap


@pytest.mark.parametrize("shape", [(96, 130), (512, 400)])
def test_other_sizes(shape):
    image = np.ascontiguousarray(data.astronaut()[: shape[0], : shape[1]])
    boxes = propose_boxes(image)
    assert len(boxes) > 250
    assert boxes[0].tolist() == [0, 0, shape[1], shape[0]]


def test_several_images_come_in_order(photograph):
    images = [photograph, photograph[:, ::-1].copy(), photograph[:100].copy()]
    together = list(propose_all(iter(images), 60, workers=2))
    for boxes, image in zip(together, images, strict=True):
        np.testing.assert_array_equal(boxes, propose_boxes(image, 60))


@pytest.fixture
def forest(tmp_path):
    """A structured forest that asks one thing: is the gradient in a patch's middle strong? If so, there is an upright edge."""
    trees, inner = 4, 16
    node = "[ 2, 0, 0 ]"  # a question, and the answers 2 - 1 (no) and 2 (yes)
    center_gradient = 3 * 16 * 16 + 8 * 16 + 8  # channel 3 (after three of color) of patches of 32 pixels, halved
    bins = ", ".join(str(row * inner + inner // 2) for row in range(inner))
    many = lambda text: "\n".join([f"   - {text}"] * trees)  # noqa: E731
    options = {"stride": 2, "shrinkNumber": 2, "patchSize": 32, "patchInnerSize": inner, "numberOfGradientOrientations": 4}
    options |= {"gradientSmoothingRadius": 0, "regFeatureSmoothingRadius": 2, "ssFeatureSmoothingRadius": 8}
    options |= {
        "gradientNormalizationRadius": 4,
        "selfsimilarityGridSize": 5,
        "numberOfTrees": trees,
        "numberOfTreesToEvaluate": 2,
    }
    starts = [0]
    for _ in range(trees):  # of each node: nothing for the question and for the answer no, a column of the patch for yes
        starts += [starts[-1], starts[-1], starts[-1] + inner]
    text = "%YAML:1.0\noptions:\n" + "\n".join(f"   {key}: {value}" for key, value in options.items())
    text += (
        f"\nchilds:\n{many(node)}\nfeatureIds:\n{many(f'[ {center_gradient}, 0, 0 ]')}\nthresholds:\n{many('[ 0.05, 0., 0. ]')}"
    )
    text += f"\nedgeBoundaries:\n   - {starts}\nedgeBins:\n{many(f'[ {bins} ]')}\n"
    path = tmp_path / "model.yml"
    path.write_text(text)
    return path


def test_edges_by_a_structured_forest(forest):
    image = np.full((96, 128, 3), 30, np.uint8)
    image[24:72, 40:88] = (220, 60, 40)
    boxes = edge_boxes(image, 100, forest)
    assert iou(boxes, (40, 24, 88, 72)).max() > 0.6
    assert not np.array_equal(boxes, edge_boxes(image, 100))
    np.testing.assert_array_equal(
        propose_boxes(image, 20, f"edge_boxes:{forest}"), propose_boxes(image, 20, f"edge_boxes:{forest}")
    )


def test_edge_models_that_cannot_be_used(photograph, tmp_path):
    with pytest.raises(SettingsError, match=r"there is no structured edge model .*absent\.yml; give one in OpenCV's format"):
        propose_boxes(photograph, source=f"edge_boxes:{tmp_path / 'absent.yml'}")
    (tmp_path / "other.yml").write_text("not a model")
    with pytest.raises(SettingsError, match="is not a structured edge model that OpenCV can read; give one"):
        propose_boxes(photograph, source=f"edge_boxes:{tmp_path / 'other.yml'}")


def test_wrong_arguments_are_named(photograph):
    with pytest.raises(SettingsError, match="source is 'edge', but must be one of 'selective_search', 'grid', 'edge_boxes'"):
        propose_boxes(photograph, source="edge")
    with pytest.raises(SettingsError, match="source is 'grid:4', but must be one of"):
        RegionSettings(proposals="grid:4")
    with pytest.raises(SettingsError, match="n is 0, but must be at least 1"):
        propose_boxes(photograph, 0)
    with pytest.raises(ValueError, match=r"uint8 \(H, W, 3\)"):
        propose_boxes(photograph[..., 0])
