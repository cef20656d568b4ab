"""Deep descriptors: layers found without asking for one, pooling by hand, networks without maps, the module left alone."""

import numpy as np
import pytest
import timm
import torch
from torch import nn

from visual_summaries.classifiers import Classifier, ViewTransform
from visual_summaries.errors import ClassifierError
from visual_summaries.flow import describe, match
from visual_summaries.flow.deep import DeepDescriptor, deep_descriptor, join, pooled
from visual_summaries.flow.feature_maps import Layer, as_map, layout_of


class Strided(nn.Module):
    """Three layers of stride 2 each; a block is convolution and ReLU."""

    def __init__(self, channels=3):
        super().__init__()
        self.stem = nn.Conv2d(channels, 4, 3, 2, 1)
        self.blocks = nn.Sequential(*[nn.Sequential(nn.Conv2d(4, 4, 3, stride, 1), nn.ReLU()) for stride in (1, 2, 1, 2, 1)])
        self.head = nn.Linear(4, 5)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


def network(seed=0, channels=3):
    torch.manual_seed(seed)
    return Strided(channels)


def wrapped(module, size=(64, 96), channels=3):
    return Classifier(module, transform=ViewTransform(size, channels=channels, mean=(0.5,) * channels, std=(0.25,) * channels))


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_stages_are_the_last_outputs_of_each_resolution():
    descriptor = DeepDescriptor(wrapped(network()))
    assert [layer.name for layer in descriptor.layers] == ["blocks.2", "blocks"]
    assert descriptor.any_size


def test_maps_are_what_the_modules_put_out():
    module = network()
    descriptor = DeepDescriptor(wrapped(module))
    image = noise(96, 128)  # the shorter side is shown at 96 pixels: no resizing
    maps = descriptor.maps(image)
    x = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        expected = module.stem((x - 0.5) / 0.25)
        torch.testing.assert_close(maps[0], module.blocks[:3](expected)[0])
        torch.testing.assert_close(maps[1], module.blocks(expected)[0])


@pytest.mark.parametrize(
    ("name", "any_size", "layout", "count"),
    [("test_resnet", True, "nchw", 2), ("test_vit", True, "tokens", 2), ("vit_tiny_patch16_224", False, "tokens", 2)],
)
def test_architectures(name, any_size, layout, count):
    torch.manual_seed(0)
    module = timm.create_model(name, pretrained=False, num_classes=7)
    size = module.pretrained_cfg["input_size"][1:]
    classifier = wrapped(module, tuple(size))
    descriptor = deep_descriptor(classifier)
    assert descriptor.any_size is any_size
    assert [layer.layout for layer in descriptor.layers] == [layout] * count
    features = describe(noise(150, 200), [(0, 0, 200, 150), (20, 30, 90, 80)], "deep", classifier=classifier)
    assert features.descriptors.shape == (
        2,
        sum(16 * min(layer.channels, 96) for layer in descriptor.layers),
    )
    torch.testing.assert_close(features.descriptors.norm(dim=1), torch.ones(2))
    assert deep_descriptor(classifier) is descriptor


def test_the_module_is_left_as_it_was_found():
    module = network().train()
    state = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with torch.no_grad():
        describe(noise(70, 90), [(0, 0, 90, 70), (5, 5, 40, 40)], "deep", classifier=wrapped(module))
    assert all(submodule.training for submodule in module.modules())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in module.parameters())
    assert not any(submodule._forward_hooks for submodule in module.modules())
    assert all(torch.equal(tensor, state[name]) for name, tensor in module.state_dict().items())


def test_one_channel():
    classifier = wrapped(network(channels=1), channels=1)
    features = describe(noise(70, 90), [(0, 0, 90, 70), (5, 5, 40, 40), (30, 20, 70, 60)], "deep", classifier=classifier)
    assert features.descriptors.isfinite().all()


def test_without_maps_auto_is_hog_and_deep_is_an_error():
    classifier = wrapped(nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 24, 4)), (16, 24))
    boxes = [(0, 0, 90, 70), (5, 5, 40, 40)]
    assert describe(noise(70, 90), boxes, "auto", classifier=classifier).power == 1
    assert describe(noise(70, 90), boxes, "auto").power == 1
    assert describe(noise(70, 90), boxes, "auto", classifier=wrapped(network())).power == 4
    with pytest.raises(
        ClassifierError, match="puts out a feature map, so boxes cannot be described by it; use descriptor='hog'"
    ):
        describe(noise(70, 90), boxes, "deep", classifier=classifier)
    with pytest.raises(ValueError, match=r"needs the network: give describe\(..., classifier=...\)"):
        describe(noise(70, 90), boxes, "deep")


def test_a_copied_part_is_found_again():
    image, other = noise(96, 128, 1), noise(96, 128, 2)
    other[40:80, 60:100] = image[20:60, 30:70]
    boxes = np.array([[30, 20, 70, 60], [2, 40, 42, 80], [80, 10, 120, 50]])
    there = np.array([[2, 2, 42, 42], [60, 40, 100, 80], [20, 50, 60, 90]])
    classifier = wrapped(network())
    a, b = describe(image, boxes, "deep", classifier=classifier), describe(other, there, "deep", classifier=classifier)
    assert match(a, b, "nam")[0].argmax() == 1


def test_pooling_averages_the_cells_under_a_box():
    ramp = torch.arange(12.0).expand(1, 8, 12)  # value = column; an image of 32 x 48 at stride 4
    boxes = np.array([[8, 4, 40, 20]], np.int32)  # columns 2 to 10 of the map, two to each of 4 cells
    cells = pooled(ramp, boxes, (32, 48))
    torch.testing.assert_close(cells[0, 0], torch.tensor([2.5, 4.5, 6.5, 8.5]).expand(4, 4))
    assert pooled(torch.rand(200, 8, 12), boxes, (32, 48)).shape == (1, 96, 4, 4)


def test_join_centers_and_balances_depths():
    parts = [torch.randn(6, 3, 4, 4) + 5, 100 * torch.randn(6, 2, 4, 4)]
    whole = join(parts)
    first, second = whole[:, :48], whole[:, 48:]
    torch.testing.assert_close(first.norm(dim=1), second.norm(dim=1))
    torch.testing.assert_close(whole.norm(dim=1), torch.ones(6))
    centered = parts[0].flatten(1) - parts[0].flatten(1).mean(0)
    torch.testing.assert_close(first / first.norm(dim=1, keepdim=True), centered / centered.norm(dim=1, keepdim=True))


def test_layouts():
    assert layout_of(torch.zeros(1, 7, 9, 50), (224, 288)) == ("nhwc", (7, 9), 50)
    assert layout_of(torch.zeros(1, 1 + 63, 50), (224, 288)) == ("tokens", (7, 9), 50)
    assert layout_of(torch.zeros(4, 7, 7, 50), (224, 224)) is None  # windows of attention
    assert layout_of(torch.zeros(1, 8), (224, 224)) is None
    tokens = torch.arange(2.0 * 13 * 5).view(2, 13, 5)
    assert as_map(tokens, "tokens", (3, 4))[1, 2, 1, 3] == tokens[1, 1 + 1 * 4 + 3, 2]
    assert Layer("a", 0, "nchw", (2, 3), 4) == Layer("a", 0, "nchw", (2, 3), 4)


def test_maps_of_a_network_with_batch_norms_are_its_own_and_asked_for_once():
    module = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 5, 3, 2, 1), nn.BatchNorm2d(5))
    module.append(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    torch.manual_seed(0)
    for norm in (module[1], module[4]):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    classifier, image = wrapped(module), noise(96, 128)
    descriptor = DeepDescriptor(classifier)
    assert module.training
    assert isinstance(module[1], nn.BatchNorm2d)
    maps = descriptor.maps(image)
    assert descriptor.maps(image.copy()) is maps
    x = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        expected = module.eval()[:5]((x - 0.5) / 0.25)[0]
    torch.testing.assert_close(maps[-1], expected, rtol=1e-4, atol=1e-5)


def test_maps_follow_weights_that_change():
    """A network that is trained on between two runs has other maps, also where a faster copy of it is asked."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    classifier, image = wrapped(module), noise(96, 128)
    before = deep_descriptor(classifier)
    first = before.maps(image)[-1]
    with classifier.frozen():
        assert deep_descriptor(classifier) is before  # borrowing changes nothing
    with torch.no_grad():
        module[0].weight.neg_()
    changed = deep_descriptor(classifier).maps(image)[-1]
    assert not torch.allclose(changed, first)
    torch.testing.assert_close(changed, DeepDescriptor(classifier).maps(image)[-1])
    module[1].running_mean.add_(1.0)
    assert not torch.allclose(deep_descriptor(classifier).maps(image)[-1], changed)
