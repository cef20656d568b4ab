"""What families of networks need: tokens in another order than the image, maps of the inside of units, heads of other sizes."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn

from benchmarks.networks.families import QUICK, members
from benchmarks.networks.inputs import bars_of, counts, examine
from visual_summaries.classifiers import Classifier, ViewTransform, load_classifier, resolve_transform
from visual_summaries.classifiers.configuration import find_transform
from visual_summaries.flow.deep import DeepDescriptor
from visual_summaries.flow.feature_maps import Layer, as_map, choose_layers


def unrolled(x: torch.Tensor, levels: int) -> torch.Tensor:
    """Tokens (N, T, C) of maps (N, C, h, w) in the order of Hiera, one cell at a time."""
    height, width = x.shape[2:]
    places = {}
    for row in range(height):
        for column in range(width):
            index, y, x_ = 0, row, column
            for _ in range(levels):
                index, y, x_ = 4 * index + 2 * (y % 2) + x_ % 2, y // 2, x_ // 2
            places[(index * (height >> levels) + y) * (width >> levels) + x_] = row * width + column
    return x.flatten(2).transpose(1, 2)[:, [places[token] for token in range(height * width)]]


@pytest.mark.parametrize("levels", [1, 2])
def test_unrolled_tokens_are_laid_out_as_the_image(levels):
    x = torch.rand(2, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    assert torch.equal(as_map(unrolled(x, levels), f"unrolled{levels}", (8, 12)), x)


class Tokens(nn.Module):
    """A network whose block puts out tokens in an order that a case gives; only its own size fits."""

    def __init__(self, order):
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.block, self.head = nn.Conv2d(3, 8, 4, stride=4), nn.Linear(8, 8), nn.Linear(8, 2)
        self.order = order

    def forward(self, x):
        if x.shape[2:] != (32, 48):
            raise ValueError("one size")
        return self.head(self.block(self.order(self.stem(x))).mean(1))


def shuffled(x):
    return x.flatten(2).transpose(1, 2)[:, torch.randperm(96, generator=torch.Generator().manual_seed(1))]


@pytest.mark.parametrize(
    ("order", "names", "layouts"),
    [
        (lambda x: x.flatten(2).transpose(1, 2), ["block"], ["tokens"]),
        (lambda x: unrolled(x, 2), ["block"], ["unrolled2"]),
        (shuffled, ["stem"], ["nchw"]),
    ],
    ids=["rows", "unrolled", "shuffled"],
)
def test_tokens_in_another_order(order, names, layouts):
    net = Tokens(order)
    classifier = Classifier(net, transform=ViewTransform((32, 48), mean=(0.5,) * 3, std=(0.25,) * 3))
    descriptor = DeepDescriptor(classifier)
    assert [layer.name for layer in descriptor.layers] == names
    assert [layer.layout for layer in descriptor.layers] == layouts
    view = (torch.rand(32, 48, 3, generator=torch.Generator().manual_seed(2)) * 255).byte().numpy()
    stem = net.stem((classifier.to_tensor([view]) - 0.5) / 0.25)
    expected = stem if names == ["stem"] else net.block(stem.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    torch.testing.assert_close(descriptor.maps(view)[0], expected[0].detach())


def layers(*given: tuple[str, int, int]) -> list[Layer]:
    return [Layer(name, 0, "nchw", (rows, columns), 8) for name, rows, columns in given]


def test_maps_of_the_inside_of_a_unit_are_no_stages():
    keys = layers(("stage0.attention.keys", 7, 7), ("stage0", 28, 28), ("stage1.attention.keys", 7, 7), ("stage1", 14, 14))
    assert [layer.name for layer in choose_layers(keys)] == ["stage0", "stage1"]
    padded = layers(("a", 40, 48), ("b.conv", 20, 24), ("b", 20, 24), ("c.unit.pad", 21, 25), ("c.unit", 20, 24), ("c", 20, 24))
    assert [layer.name for layer in choose_layers(padded)] == ["a", "c"]
    larger = layers(("a", 22, 26), ("b.0", 11, 13), ("b.1", 12, 14), ("last", 12, 14))
    assert [layer.name for layer in choose_layers(larger)] == ["a", "last"]
    embedded = layers(
        ("embed1", 28, 28), ("blocks.1.0", 28, 28), ("blocks.1.1", 28, 28), ("next.conv", 28, 28), ("next", 14, 14)
    )
    assert [layer.name for layer in choose_layers([*layers(("stem", 56, 56)), *embedded])] == ["stem", "blocks.1.1", "next"]
    matrix = layers(("a", 44, 52), ("b", 11, 13), ("c.scores", 30, 30), ("c", 11, 13))
    assert [layer.name for layer in choose_layers(matrix)] == ["a", "c"]


def test_norms_that_stand_beside_a_convolution_of_another_width():
    class Beside(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.other, self.norm = nn.Conv2d(3, 8, 4, 4), nn.Conv2d(3, 4, 4, 4), nn.BatchNorm2d(8)
            self.plain = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
            self.volume, self.head = nn.Conv3d(1, 1, 1), nn.Linear(4, 2)

        def forward(self, x):
            x = self.norm(self.first(x)).mean() * self.plain(self.other(x))
            return self.head(self.volume(x[:, None])[:, 0].mean((2, 3)))

    descriptor = DeepDescriptor(Classifier(Beside(), transform=ViewTransform((32, 48))))
    assert [layer.name for layer in descriptor.layers] == ["plain"]


@pytest.mark.parametrize("name", ["regnet_y_400mf", "alexnet"])
def test_networks_of_torchvision_with_another_head_have_their_own_transform(name):
    module = torchvision.models.get_model(name, num_classes=3)
    transform, guess = find_transform(module)
    assert not guess.reason
    assert transform != resolve_transform(module, {})
    assert load_classifier(module).transform == transform


def test_the_benchmark_examines_what_it_lists():
    quick = members("quick")
    assert {one.path for one in quick} == QUICK
    assert len({one.path for one in members("full")}) == len(members("full"))
    rows = [examine(one) for one in quick if one.network in ("mobilenetv2_035", "ImageGPTForImageClassification")]
    assert [(row["outcome"], row.get("told")) for row in rows] == [("working", 1.0), ("typed", None)]
    assert [(row["tried"], row["own_maps"], row["typed"]) for row in counts(rows)] == [(1, 1, 0), (1, 0, 1)]
    assert all(bar["holds"] for bar in bars_of(rows))
    broken = [{**rows[0], "outcome": "traceback"}, {**rows[0], "alike": True}, {**rows[0], "told": 0.0}]
    assert [bar["value"] for bar in bars_of(broken)] == [1, 1, 1]
