"""NAM, PHM and LOM against loops that follow the formulas one match at a time; all pairs against single ones."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d

from visual_summaries.errors import SettingsError
from visual_summaries.flow import Features, compare_all, facing, match
from visual_summaries.flow.features import mirrored_boxes
from visual_summaries.settings import preset

PAPER = preset("paper").flow

SIZES = ((90, 120), (100, 110))


def random_features(seed, n=24, size=SIZES[0], d=6, power=1.0):
    rng = np.random.default_rng(seed)
    height, width = size
    low = np.stack([rng.integers(0, width - 12, n), rng.integers(0, height - 12, n)], 1)
    side = np.stack([rng.integers(8, 60, n), rng.integers(8, 60, n)], 1)
    high = np.minimum(low + side, [width, height])
    boxes = np.concatenate([low, high], 1).astype(np.int32)
    boxes[0] = (0, 0, width, height)
    boxes[1] = (0, 5, 30, 40)  # touches the border
    descriptors = torch.from_numpy(rng.normal(size=(n, d)).astype(np.float32))
    return Features(boxes, descriptors, size, power)


def box_values(features):
    """Center, area, aspect ratio and whether it is left out, of each box."""
    height, width = features.size
    out = []
    for x0, y0, x1, y1 in features.boxes.tolist():
        touches = x0 < 0.01 * width or y0 < 0.01 * height or x1 > 0.99 * width or y1 > 0.99 * height
        whole = (x0, y0, x1, y1) == (0, 0, width, height)
        out.append(((x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) * (y1 - y0), (x1 - x0) / (y1 - y0), touches and not whole))
    return out


def nam_by_loops(a, b):
    va, vb = box_values(a), box_values(b)
    s = np.zeros((len(a), len(b)))
    for i in range(len(a)):
        for j in range(len(b)):
            ratio = va[i][3] / vb[j][3]
            if va[i][4] or vb[j][4] or max(ratio, 1 / ratio) > 2 * (1 + 1e-9):
                continue
            dot = sum(float(p) * float(q) for p, q in zip(a.descriptors[i], b.descriptors[j], strict=True))
            s[i, j] = max(dot, 0) ** a.power
    return s


def overlap(p, q):
    return min(p[2], q[2]) > max(p[0], q[0]) and min(p[3], q[3]) > max(p[1], q[1])


def geometric_median_by_loops(values):
    o = sum(values) / len(values)
    for _ in range(20):
        weights = [1 / max(abs(v - o), 1e-2) for v in values]
        o = sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)
    return o


def lom_by_loops(a, b):
    s = nam_by_loops(a, b)
    va, vb = box_values(a), box_values(b)
    conf = np.zeros_like(s)
    total = sum(row.max() for row in s)
    for i in range(len(a)):
        neighbors = [n for n in range(len(a)) if overlap(a.boxes[i], a.boxes[n]) and s[n].max() > 0]
        if not neighbors:
            continue
        offsets = []
        for n in neighbors:
            j = int(s[n].argmax())
            offsets.append((vb[j][0] - va[n][0], vb[j][1] - va[n][1], vb[j][2] / va[n][2]))
        o = [geometric_median_by_loops([offset[c] for offset in offsets]) for c in range(3)]
        weight = sum(s[n].max() for n in neighbors) / total
        for j in range(len(b)):
            away = math.hypot(vb[j][0] - va[i][0] - o[0], vb[j][1] - va[i][1] - o[1])
            conf[i, j] = s[i, j] * math.exp(-0.05 * away - 0.3 * abs(vb[j][2] / va[i][2] - o[2])) * weight
    return conf


def phm_by_loops(a, b):
    s = nam_by_loops(a, b)
    va, vb = box_values(a), box_values(b)
    (ha, wa), (hb, wb) = a.size, b.size
    step = math.sqrt((wa + wb) * (ha + hb) / 8000)
    shape = (20, math.ceil((ha + hb) / step), math.ceil((wa + wb) / step))

    def place(i, j):
        x = int((vb[j][0] - va[i][0] + wa) / step)
        y = int((vb[j][1] - va[i][1] + ha) / step)
        z = math.floor((0.5 * math.log2(vb[j][2] / va[i][2]) + 4) / 0.4)
        return tuple(min(max(v, 0), n - 1) for v, n in zip((z, y, x), shape, strict=True))

    space = np.zeros(shape)
    for i in range(len(a)):
        votes = {}
        for j in range(len(b)):
            votes[place(i, j)] = max(votes.get(place(i, j), 0), s[i, j])
        for where, vote in votes.items():
            space[where] += vote
    kernel = np.exp(-0.5 * np.arange(-2, 3) ** 2)
    for axis in range(3):
        space = correlate1d(space, kernel / kernel.sum(), axis, mode="constant")
    return np.array([[s[i, j] * space[place(i, j)] for j in range(len(b))] for i in range(len(a))])


LOOPS = {"nam": nam_by_loops, "lom": lom_by_loops, "phm": phm_by_loops}


@pytest.mark.parametrize("method", LOOPS)
@pytest.mark.parametrize(("seed", "power"), [(0, 1.0), (1, 4.0), (2, 1.5)])
def test_methods_equal_loops(method, seed, power):
    a, b = random_features(seed, power=power), random_features(seed + 50, n=31, size=SIZES[1], power=power)
    conf = match(a, b, method).numpy()
    assert conf.shape == (24, 31)
    assert conf.any()
    np.testing.assert_allclose(conf, LOOPS[method](a, b), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", LOOPS)
@pytest.mark.parametrize("power", [1.0, 4.0])
def test_methods_equal_loops_at_the_size_of_a_run(method, power):
    # The loops work in double precision. Many boxes and wide images: neighbors by the hundred, offsets of hundreds of pixels.
    a, b = (random_features(seed, n=220, size=size, d=12, power=power) for seed, size in ((7, (375, 500)), (8, (480, 360))))
    conf, expected = match(a, b, method).numpy(), LOOPS[method](a, b)
    assert np.abs(conf - expected).max() < 1e-5 * expected.max()


@pytest.mark.parametrize("method", LOOPS)
def test_no_positive_score_gives_zero(method):
    a = random_features(0)
    b = Features(a.boxes, torch.zeros_like(a.descriptors), a.size)
    assert not match(a, b, method).any()


def test_border_boxes_are_left_out_but_not_the_whole_image():
    boxes = np.array([[0, 0, 200, 100], [1, 10, 60, 40], [2, 10, 60, 40], [20, 10, 199, 90], [20, 10, 198, 90]], np.int32)
    a = Features(boxes, torch.ones(5, 1), (100, 200))  # 1 % is 2 pixels across, 1 pixel down
    used = match(a, a, "nam").diagonal() > 0
    assert used.tolist() == [True, False, True, False, True]
    assert (match(a, a, "nam", border=0).diagonal() > 0).all()


def test_aspect_ratio_up_to_a_factor_two():
    boxes = np.array([[10, 10, 40, 40], [10, 10, 70, 40], [10, 10, 71, 40], [10, 10, 40, 70]], np.int32)
    a = Features(boxes, torch.ones(4, 1), (100, 200))
    assert (match(a, a, "nam")[0] > 0).tolist() == [True, True, False, True]
    assert (match(a, a, "nam", max_aspect_ratio=4)[1] > 0).all()


def test_lom_prefers_the_match_that_moves_like_its_neighbors():
    # Five overlapping boxes move by (30, 0); the first has a second look-alike far away.
    boxes = np.array([[20 + 4 * k, 20, 50 + 4 * k, 50] for k in range(5)], np.int32)
    moved = np.concatenate([boxes + np.array([30, 0, 30, 0]), [[150, 60, 180, 90]]]).astype(np.int32)
    looks = torch.eye(5)
    a = Features(boxes, looks, (100, 200))
    b = Features(moved, torch.cat([looks, 1.2 * looks[:1]]), (100, 200))
    assert match(a, b, "nam")[0].argmax() == 5
    assert match(a, b, "lom")[0].argmax() == 0
    assert match(a, b, "phm")[0].argmax() == 0


def test_isolated_box_has_little_weight():
    boxes = np.array([[10, 10, 30, 30], [11, 10, 31, 30], [12, 10, 32, 30], [100, 60, 120, 80]], np.int32)
    a = Features(boxes, torch.eye(4), (100, 200))
    torch.testing.assert_close(match(a, a, "lom").diagonal(), torch.tensor([0.75, 0.75, 0.75, 0.25]))


def test_wrong_arguments_are_named():
    a = random_features(0)
    with pytest.raises(SettingsError, match="method is 'sift', but must be one of 'nam', 'phm', 'lom'"):
        match(a, a, "sift")
    with pytest.raises(ValueError, match="describe both images in the same way"):
        match(a, random_features(1, d=7))
    with pytest.raises(ValueError, match="do not belong together"):
        Features(a.boxes, a.descriptors[:3], a.size)


@pytest.mark.parametrize("method", LOOPS)
def test_compare_all_equals_single_pairs(method):
    features = [random_features(seed, n=14 + seed, size=SIZES[seed % 2]) for seed in range(4)]
    salient = [np.array([3, 5, 1]), np.array([], int), np.array([2]), np.array([0, 4, 7, 8])]
    result = compare_all(features, salient, replace(PAPER, method=method), best=5)
    index = [(image, box) for image, boxes in enumerate(salient) for box in boxes]
    conf = {(i, j): match(features[i], features[j], method).numpy() for i in range(4) for j in range(4) if i != j}
    for r, (i, p) in enumerate(index):
        for q, (j, o) in enumerate(index):
            expected = 0.0 if i == j else (conf[i, j][p, o] + conf[j, i][o, p]) / 2
            assert result.similarity[r, q] == pytest.approx(expected, rel=1e-4, abs=1e-6)
        everything = np.sort(np.concatenate([conf[i, j][p] for j in range(4) if j != i]))
        assert result.best_mean[r] == pytest.approx(everything[-5:].mean(), rel=1e-4, abs=1e-6)
    assert np.array_equal(result.similarity, result.similarity.T)


def test_compare_all_does_not_depend_on_the_order_of_images():
    features = [random_features(seed) for seed in range(3)]
    salient = [[1, 2], [3], [4, 5]]
    forward = compare_all(features, salient, PAPER)
    backward = compare_all(features[::-1], salient[::-1], PAPER)
    order = [3, 4, 2, 0, 1]
    np.testing.assert_allclose(backward.similarity[np.ix_(order, order)], forward.similarity, rtol=1e-5)


def test_compare_all_without_anything_to_compare():
    assert compare_all([], []).similarity.shape == (0, 0)
    alone = compare_all([random_features(0)], [[1, 2]])
    assert not alone.similarity.any()
    assert not alone.best_mean.any()
    with pytest.raises(ValueError, match="2 images are described, but salient boxes are given for 1"):
        compare_all([random_features(0), random_features(1)], [[1]])


def test_exponent_applies_to_confidences():
    features, salient = [random_features(seed) for seed in range(3)], [[2, 3], [5], [7, 8]]
    result = compare_all(features, salient, replace(PAPER, exponent=0.5), best=4)
    conf = [[match(features[i], features[j]).numpy() ** 0.5 for j in range(3)] for i in range(3)]
    assert result.similarity[0, 2] == pytest.approx((conf[0][1][2, 5] + conf[1][0][5, 2]) / 2, rel=1e-4)
    expected = np.sort(np.concatenate([conf[1][0][5], conf[1][2][5]]))[-4:].mean()
    assert result.best_mean[2] == pytest.approx(expected, rel=1e-4)


def mirror_image_of(features):
    """Features of the image turned left to right; these hand-made descriptors do not change with it."""
    return Features(mirrored_boxes(features.boxes, features.size[1]), features.descriptors, features.size, features.power)


def test_the_side_that_looks_more_alike_is_told() -> None:
    a = random_features(0, d=40)
    # Descriptors that tell left from right: those of the mirror image of an image are other ones.
    other = torch.from_numpy(np.random.default_rng(9).normal(size=a.descriptors.shape).astype(np.float32))
    turned = mirror_image_of(replace(a, descriptors=other))
    mirrored = replace(turned, mirrored=a)
    assert facing(a, mirrored) is a
    assert facing(turned, mirrored) is mirrored
    assert facing(a, turned) is turned  # there is no other side


def test_a_pair_is_compared_as_it_is() -> None:
    a, b = (random_features(seed, d=40) for seed in (0, 1))
    both = replace(b, mirrored=mirror_image_of(a))
    settings, salient = replace(PAPER, mirror=True), [[3, 4, 5], [3, 4, 5]]
    expected = compare_all([a, b], salient, PAPER).similarity
    np.testing.assert_array_equal(compare_all([a, both], salient, settings).similarity, expected)
