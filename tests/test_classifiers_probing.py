"""Networks that cannot be explained are told before the first mask; those that break elsewhere are explained all the same."""

import logging

import numpy as np
import pytest
import timm
import torch
import torchvision
from torch import nn

import visual_summaries as vs
from visual_summaries.classifiers import Classifier, ViewTransform, load_classifier
from visual_summaries.errors import ClassifierError
from visual_summaries.flow.deep import DeepDescriptor

VIEWS = list(np.random.default_rng(0).integers(0, 256, (4, 32, 40, 3), np.uint8))


class Net(nn.Module):
    """A small network whose forward is changed by each case."""

    def __init__(self, change=None):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 8, 3, stride=4, padding=1)
        self.head = nn.Linear(8, 2)
        self.change = change

    def answer(self, x):
        return self.head(self.stem(x).relu().mean((2, 3)))

    def forward(self, x):
        return self.answer(x) if self.change is None else self.change(self, x)


def without_autograd(guard):
    def forward(net, x):
        with guard():
            return net.answer(x)

    return forward


def fails_when_differentiated(net, x):
    if x.requires_grad:
        raise KeyError("no such operation")
    return net.answer(x)


def wrapped(module):
    return Classifier(module, transform=ViewTransform((32, 40), mean=(0.5,) * 3, std=(0.25,) * 3))


BAD = {
    "no_grad": (without_autograd(torch.no_grad), "gives no gradient by its images.*give the float network"),
    "inference mode": (without_autograd(torch.inference_mode), "gives no gradient"),
    "detached": (lambda net, x: net.answer(x).detach(), "gives no gradient"),
    "through NumPy": (
        lambda net, x: net.answer(torch.from_numpy(x.detach().numpy())),
        "does not depend on the images|no gradient",
    ),
    "rounded": (lambda net, x: net.answer(x.round()), "zero although its answers depend on them"),
    "raises": (fails_when_differentiated, "fails when an image passes it forward and backward .KeyError"),
    "infinite": (lambda net, x: net.answer(x) / (0 if x.requires_grad else 1), "not finite; its weights are"),
}


@pytest.mark.parametrize("change", BAD)
def test_what_cannot_be_differentiated_is_told_before_the_first_mask(change, monkeypatch):
    forward, match = BAD[change]
    net = Net(forward)
    if change == "through NumPy":
        net.requires_grad_(False)
    classifier = wrapped(net)
    with pytest.raises(ClassifierError, match=match):
        vs.optimize_masks(classifier, VIEWS, 0)
    monkeypatch.setattr("visual_summaries.runs.summarize.compute_masks", None)  # never asked
    with pytest.raises(ClassifierError, match=match):
        vs.summarize(classifier, VIEWS, 0, include_misclassified=True)


def test_quantized_networks_are_told():
    net = torch.ao.quantization.quantize_dynamic(Net(), {nn.Linear}, dtype=torch.qint8)
    with pytest.raises(ClassifierError):
        vs.optimize_masks(wrapped(net), VIEWS, 0)


def test_weights_that_are_not_finite_are_named():
    net = Net()
    with torch.no_grad():
        net.head.bias[0] = float("nan")
    with pytest.raises(
        ClassifierError, match=r"not finite; its weights head.bias are not either. Give a checkpoint that is whole"
    ):
        wrapped(net)


def test_a_network_that_wants_more_than_images():
    class Two(Net):
        def forward(self, x, mask):
            return self.answer(x * mask)

    with pytest.raises(ClassifierError, match="takes other arguments than a batch of images"):
        wrapped(Two())


@pytest.mark.parametrize("device", ["cuda", "cuda:7", "mps", "xpu"])
def test_devices_that_are_not_here(device):
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a card")
    with pytest.raises(ClassifierError, match="use device='cpu'"):
        load_classifier(Net(), device=device)


def test_scripted_networks_are_explained_by_pixels():
    classifier = wrapped(
        torch.jit.script(nn.Sequential(nn.Conv2d(3, 8, 3, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    )
    assert DeepDescriptor(classifier).layers == ()
    run = vs.summarize(classifier, VIEWS, 0, preset="quick", include_misclassified=True)
    assert len(run.masks) == len(VIEWS)


@pytest.mark.parametrize("error", [IndexError, TypeError, ZeroDivisionError])
def test_networks_that_break_at_another_size_are_seen_at_their_own(error, caplog):
    def forward(net, x):
        if x.shape[2:] != (32, 40):
            raise error("position table")
        return net.answer(x)

    with caplog.at_level(logging.INFO, "visual_summaries"):
        descriptor = DeepDescriptor(wrapped(Net(forward)))
    assert not descriptor.any_size
    assert "feature maps at the network's own size" in caplog.text
    assert descriptor.maps(VIEWS[0])[0].shape == (8, 8, 10)


def test_networks_that_break_at_one_other_size_are_seen_at_their_own():
    def forward(net, x):
        if x.shape[3] == 160:
            raise IndexError("too wide")
        return net.answer(x)

    descriptor = DeepDescriptor(wrapped(Net(forward)))
    assert descriptor.any_size
    wide = np.zeros((32, 32 * 160 // descriptor._shorter, 3), np.uint8)
    assert descriptor.maps(wide)[0].shape == (8, 8, 10)
    assert not descriptor.any_size


class WithTable(Net):
    """Modules whose outputs look like feature maps and do not depend on the image."""

    def __init__(self):
        super().__init__()
        self.table = nn.Conv2d(2, 8, 1)
        self.expanded = nn.Identity()

    def answer(self, x):
        x = self.stem(x)
        table = self.expanded(self.table(x.new_ones(1, 2, *x.shape[2:])).expand(len(x), -1, -1, -1))
        return self.head((x + table).relu().mean((2, 3)))


def test_maps_that_do_not_depend_on_the_image_are_left_out():
    assert [layer.name for layer in DeepDescriptor(wrapped(WithTable())).layers] == ["stem"]


@pytest.mark.parametrize(("name", "size"), [("swinv2_cr_tiny_ns_224", 224), ("mvitv2_tiny", 224)])
def test_maps_of_transformers_depend_on_the_image(name, size):
    torch.manual_seed(0)
    descriptor = DeepDescriptor(load_classifier(timm.create_model(name, num_classes=3)))
    first, second = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), np.uint8)
    assert descriptor.layers
    assert not any(torch.equal(a, b) for a, b in zip(descriptor.maps(first), descriptor.maps(second), strict=True))


def test_blocks_come_before_inner_units():
    torch.manual_seed(0)
    net = torchvision.models.VisionTransformer(32, 8, num_layers=6, num_heads=2, hidden_dim=8, mlp_dim=32, num_classes=3)
    layers = DeepDescriptor(Classifier(net, transform=ViewTransform((32, 32)))).layers
    assert [layer.name for layer in layers] == [f"encoder.layers.encoder_layer_{number}" for number in (3, 5)]
