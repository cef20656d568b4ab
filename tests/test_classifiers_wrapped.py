"""The configuration of a network that is inside another module."""

import logging

import pytest
import torch
import torchvision
from torch import nn
from torch.optim.swa_utils import AveragedModel

from visual_summaries.classifiers import load_classifier
from visual_summaries.classifiers.configuration import STATED, find_transform
from visual_summaries.classifiers.processors import transform_of_preset

CFG = {"input_size": (3, 20, 28), "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.2, 0.2), "label_names": ["cat", "dog"]}


class Holder(nn.Module):
    """Holds networks under any name, as training code does."""

    def __init__(self, **networks):
        super().__init__()
        self.loss = nn.CrossEntropyLoss()
        self.networks = nn.ModuleDict(networks)

    def forward(self, x):
        return sum(network(x) for network in self.networks.values())


def tiny(**cfg):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    net.pretrained_cfg = CFG | cfg
    return net


@pytest.mark.parametrize(
    "wrap",
    [
        nn.DataParallel,
        AveragedModel,
        lambda net: nn.Sequential(net, nn.Softmax(dim=1)),
        lambda net: Holder(whatever=Holder(student=net)),
        lambda net: Holder(one=net, other=tiny()),  # an ensemble that agrees
    ],
)
def test_a_configuration_counts_wherever_it_is_held(wrap, caplog):
    classifier = load_classifier(wrap(tiny()))
    assert classifier.input_size == (3, 20, 28)
    assert (classifier.transform.mean, classifier.class_names) == ((0.5, 0.4, 0.3), ("cat", "dog"))
    assert not classifier.guess
    assert not caplog.records


def test_older_configurations_are_read():
    net = nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    net.default_cfg = {key: value for key, value in CFG.items() if key != "label_names"}
    assert load_classifier(Holder(net=net)).input_size == (3, 20, 28)


def test_a_guess_is_said_and_recorded(caplog):
    net = nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with caplog.at_level(logging.WARNING, "visual_summaries"):
        classifier = load_classifier(Holder(net=net), input_size=32)
    assert "(a guess, for the network states no preprocessing): give mean, std (--mean, --std)" in caplog.text
    assert "a guess" in classifier.describe()["transform_in_words"]
    caplog.clear()
    assert not load_classifier(net, input_size=32, mean=0.5, std=0.25).guess
    assert not caplog.records


def test_networks_that_disagree_are_a_guess():
    two = Holder(student=tiny(), teacher=tiny(input_size=(3, 40, 40)))
    assert find_transform(two)[1].reason == "its modules state several preprocessings"


@pytest.mark.parametrize("kind", ["ViT", "ResNet", "ConvNext", "Swin"])
@pytest.mark.parametrize("wrap", [lambda net: net, nn.Sequential])
def test_modules_of_transformers(kind, wrap):
    transformers = pytest.importorskip("transformers")
    options = {
        "ViT": {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8, "image_size": 48},
        "ResNet": {"embedding_size": 8, "hidden_sizes": [8], "depths": [1], "layer_type": "basic"},
        "ConvNext": {"hidden_sizes": [8] * 4, "depths": [1] * 4, "image_size": 224},
        "Swin": {"embed_dim": 8, "depths": [1], "num_heads": [1], "image_size": 56, "window_size": 7},
    }[kind]
    config = getattr(transformers, f"{kind}Config")(**options, id2label={0: "cat", 1: "big dog"})
    net = wrap(getattr(transformers, f"{kind}ForImageClassification")(config))
    transform, guess = find_transform(net)
    # its configuration may say no size, and says no statistics
    assert guess.reason.startswith("the network states no" if kind == "ResNet" else "transformers states the size only")
    assert transform.size == {"ViT": (48, 48), "Swin": (56, 56)}.get(kind, (224, 224))
    assert kind != "ViT" or transform.mean == (0.5, 0.5, 0.5)
    net = load_classifier(net, mean=0.5, std=0.5, input_size=None if kind != "ResNet" else 64)
    assert not net.guess
    assert net.class_names == ("cat", "big dog")


def test_a_transformers_model_with_its_files_takes_its_own_processor(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, image_size=48
    )
    transformers.ViTForImageClassification(config).save_pretrained(tmp_path)
    transformers.ViTImageProcessor(size=48, image_mean=[0.1] * 3).save_pretrained(tmp_path)
    transform, guess = find_transform(nn.Sequential(transformers.ViTForImageClassification.from_pretrained(tmp_path)))
    assert (transform.size, transform.mean, guess) == ((48, 48), (0.1, 0.1, 0.1), STATED)


@pytest.mark.parametrize(
    ("name", "outputs"), [("resnet18", 1000), ("efficientnet_b1", 7), ("mobilenet_v3_small", 3), ("inception_v3", 1000)]
)
def test_modules_of_torchvision(name, outputs):
    plain = {"init_weights": False} if name == "inception_v3" else {}
    net = torchvision.models.get_model(name, num_classes=outputs, **plain)
    expected = transform_of_preset(torchvision.models.get_model_weights(name)["DEFAULT"].transforms())
    assert find_transform(nn.DataParallel(net)) == (expected, STATED)


def test_blocks_of_torchvision_are_no_architecture():
    blocks = nn.Sequential(torchvision.models.resnet.BasicBlock(3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert find_transform(blocks)[1].reason == "the network states no preprocessing"
    assert load_classifier(blocks, input_size=32, mean=0.5, std=1.0).logits(torch.zeros(1, 3, 32, 32)).shape == (1, 3)
