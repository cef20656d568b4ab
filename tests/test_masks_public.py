"""`optimize_masks` with a real Classifier: what it takes, what it refuses, and that the network is left as found."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from visual_summaries.classifiers import Classifier, ViewTransform
from visual_summaries.errors import ImageError, SettingsError, TargetError
from visual_summaries.masks import MaskSchedule, optimize_masks
from visual_summaries.settings import preset

SHORT = replace(preset("paper").masks, smooth=MaskSchedule(4, 0.5, 0.01, 0.0), sharp=MaskSchedule(3, 0.01, 1.0, 2.0))


@pytest.fixture
def classifier():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 3)
    )
    return Classifier(net, transform=ViewTransform((24, 32)), class_names=["red", "green", "blue"])


def test_takes_a_tensor_a_path_an_array_and_a_picture(classifier, tmp_path):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8))
    picture.save(tmp_path / "one.png")
    listed = optimize_masks(
        classifier, [tmp_path / "one.png", np.asarray(picture), picture], "green", settings=SHORT, batch_size=1
    )
    tensor = classifier.to_tensor([classifier.view(picture)])
    (alone,) = optimize_masks(classifier, tensor, 1, settings=SHORT, batch_size=1)
    assert len(listed) == 3
    assert listed[0] == listed[1] == listed[2] == alone
    assert alone.sharp.shape == (24, 32)
    assert len(alone.losses) == 7


def test_network_is_left_as_found_even_inside_no_grad(classifier):
    net = classifier.module.train()
    net[0].weight.requires_grad_(False)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with torch.no_grad():
        optimize_masks(classifier, torch.rand(2, 3, 24, 32), lambda logits: logits[:, 2], settings=SHORT)
    assert all(module.training for module in net.modules())
    assert [parameter.requires_grad for parameter in net.parameters()] == [False, True, True, True, True, True]
    assert all(parameter.grad is None for parameter in net.parameters())
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_network_is_left_as_found_after_an_error(classifier):
    def fails(logits):
        raise ZeroDivisionError

    classifier.module.train()
    with pytest.raises(ZeroDivisionError):
        optimize_masks(classifier, torch.rand(2, 3, 24, 32), fails, settings=SHORT)
    assert classifier.module[1].training


def test_wrong_tensors_are_named(classifier):
    with pytest.raises(ImageError, match=r"shape \(3, 24, 32\) and torch.float32, but must be floating \(N, C, H, W\)"):
        optimize_masks(classifier, torch.rand(3, 24, 32), 0)
    with pytest.raises(ImageError, match=r"values from 0 to 255, but must lie in \[0, 1\]"):
        optimize_masks(classifier, torch.linspace(0, 255, 3 * 24 * 32).view(1, 3, 24, 32), 0)


def test_unknown_preset_and_class_are_named(classifier):
    with pytest.raises(SettingsError, match="preset is 'fast'"):
        optimize_masks(classifier, torch.rand(1, 3, 24, 32), 0, preset="fast")
    with pytest.raises(TargetError, match="3 classes: 0 to 2"):
        optimize_masks(classifier, torch.rand(1, 3, 24, 32), 3)


def test_no_images_no_masks(classifier):
    assert optimize_masks(classifier, torch.zeros(0, 3, 24, 32), 0) == []
