"""Views in, logits out, and the user's module as it was found."""

import copy
from types import SimpleNamespace

import numpy as np
import PIL.Image
import pytest
import torch
from torch import nn

from visual_summaries.classifiers import Classifier, ViewTransform, classify, resolve_target
from visual_summaries.errors import ClassifierError, ImageError, TargetError

H, W = 10, 14
PLAIN = ViewTransform((H, W), crop_pct=1.0, mean=(0.0,) * 3, std=(1.0,) * 3)


class Net(nn.Module):
    """Mean of each channel, after batch norm and dropout; has a frozen layer and one in the other mode."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(channels, 4)
        self.scale = nn.Parameter(torch.ones(1))
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x):
        self.calls += 1  # a buffer that changes in evaluation mode too
        return self.head(self.drop(self.norm(x)).mean(dim=(2, 3))) * self.scale


def tangled() -> Net:
    torch.manual_seed(0)
    net = Net().train()
    net.norm.eval()
    net.head.weight.requires_grad_(False)
    net.scale.grad = torch.full((1,), 7.0)
    return net


def state_of(net: nn.Module):
    return (
        [module.training for module in net.modules()],
        [(name, parameter.requires_grad, id(parameter), parameter.data_ptr()) for name, parameter in net.named_parameters()],
        [(name, id(buffer), buffer.tolist()) for name, buffer in net.named_buffers()],
        {name: parameter.tolist() for name, parameter in net.named_parameters()},
        net.scale.grad.tolist(),
    )


def views(count: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, H, W, 3), np.uint8)


@pytest.mark.parametrize("around", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_the_module_is_left_as_found_and_can_be_differentiated_by_its_input(around):
    net = tangled()
    before = state_of(net)
    with around():
        classifier = Classifier(net, transform=PLAIN)
        assert state_of(net) == before
        x = classifier.to_tensor(views())
        with classifier.frozen() as same:
            assert same is classifier
            assert not any(module.training for module in net.modules())
            assert not any(parameter.requires_grad for parameter in net.parameters())
            x.requires_grad_(True)
            classifier.probabilities(x)[:, 1].sum().backward()
        # batch norm in evaluation mode with its initial statistics is x / sqrt(1 + eps); softmax' = p (e_1 - p)
        with torch.inference_mode(False), torch.no_grad():
            inside = 1 / np.sqrt(1 + net.norm.eps)
            p = ((x.detach().mean(dim=(2, 3)) * inside) @ net.head.weight.T + net.head.bias).softmax(dim=1)
            expected = (p[:, 1:2] * (net.head.weight[1] - p @ net.head.weight)) * inside / (H * W)
        torch.testing.assert_close(x.grad, expected[:, :, None, None].expand_as(x))
        classify(classifier, views(), 1)
        classifier.describe()
    assert state_of(net) == before


def test_the_module_is_put_back_after_an_error_and_frozen_nests():
    net = tangled()
    classifier = Classifier(net, transform=PLAIN)
    before = state_of(net)
    with pytest.raises(KeyboardInterrupt), classifier.frozen(), classifier.frozen():
        raise KeyboardInterrupt
    assert state_of(net) == before
    with classifier.frozen():
        with classifier.frozen():
            pass
        assert not net.training
        assert not net.scale.requires_grad


def test_a_network_made_under_inference_mode_can_be_differentiated_and_stays():
    with torch.inference_mode():
        net = Net()
    classifier = Classifier(net, transform=PLAIN)
    parameters = list(net.parameters())
    with classifier.frozen():
        x = classifier.to_tensor(views()).requires_grad_(True)
        classifier.logits(x).sum().backward()
    assert x.grad.abs().sum() > 0
    assert all(a is b for a, b in zip(parameters, net.parameters(), strict=True))
    assert net.calls.item() == 0


def test_tensors_from_inference_mode_are_accepted():
    classifier = Classifier(tangled(), transform=PLAIN)
    with torch.inference_mode():
        x = torch.rand(2, 3, H, W)
    with classifier.frozen():
        shift = torch.zeros(1, requires_grad=True)
        classifier.logits(x).sum().add(shift.sum()).backward()
        assert classifier.logits(x).shape == (2, 4)


def test_training_mode_never_leaks_into_answers():
    net = tangled()
    classifier = Classifier(net, transform=PLAIN)
    x = classifier.to_tensor(views())
    torch.testing.assert_close(classifier.logits(x), classifier.logits(x), rtol=0, atol=0)  # dropout would differ
    torch.testing.assert_close(classifier.logits(x), copy.deepcopy(net).eval()(x))


def test_a_graph_made_outside_frozen_can_be_differentiated_afterwards():
    classifier = Classifier(nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).train(), transform=PLAIN)
    x = classifier.to_tensor(views()).requires_grad_(True)
    classifier.logits(x).sum().backward()
    assert x.grad.abs().sum() > 0


def test_to_tensor_and_view_hold_their_contracts():
    classifier = Classifier(Net(), transform=ViewTransform((H, W), crop_pct=1.0))
    view = classifier.view(PIL.Image.new("RGB", (50, 30), (255, 0, 51)))
    assert view.shape == (H, W, 3)
    assert view.dtype == np.uint8
    x = classifier.to_tensor([view, view])
    assert x.shape == (2, 3, H, W)
    assert x.dtype == torch.float32
    assert x.is_contiguous()
    torch.testing.assert_close(x[1, :, 0, 0], torch.tensor([1.0, 0.0, 0.2]))
    torch.testing.assert_close(classifier.to_tensor(np.stack([view, view])), x)
    assert classifier.to_tensor([]).shape == (0, 3, H, W)
    torch.testing.assert_close(
        classifier.to_tensor([classifier.view(np.full((30, 50), 0.5))])[0, 0, 0, 0], torch.tensor(128 / 255)
    )
    with pytest.raises(ImageError, match=r"view 1 is uint8 \(14, 10, 3\), but must be uint8 \(10, 14, 3\)"):
        classifier.to_tensor([view, view.transpose(1, 0, 2)])
    with pytest.raises(ImageError, match=r"view 0 is float64 \(10, 14, 3\)"):
        classifier.to_tensor([view / 255])


def test_normalization_happens_inside_logits():
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    transform = ViewTransform((H, W), mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 2.0))
    classifier = Classifier(net, transform=transform)
    logits = classifier.logits(torch.full((1, 3, H, W), 0.6))
    torch.testing.assert_close(logits, torch.tensor([[1.0, 1.6, 0.15]]))


def test_one_channel_networks_get_the_luminance():
    transform = ViewTransform((H, W), crop_pct=1.0, mean=(0.0,), std=(1.0,), channels=1)
    classifier = Classifier(Net(1), transform=transform)
    view = np.full((H, W, 3), (255, 128, 0), np.uint8)
    x = classifier.to_tensor([view, np.full((H, W, 3), 77, np.uint8)])
    assert x.shape == (2, 1, H, W)
    torch.testing.assert_close(x[:, 0, 0, 0], torch.tensor([0.299 + 0.587 * 128 / 255, 77 / 255]))
    assert classifier.logits(x).shape == (2, 4)
    assert classifier.input_size == (1, H, W)
    with pytest.raises(
        ClassifierError, match=r"logits\(\) got float32 \(2, 3, 10, 14\), but takes a float tensor \(N, 1, 10, 14\)"
    ):
        classifier.logits(torch.zeros(2, 3, H, W))


@pytest.mark.parametrize(
    "bad", [torch.zeros(3, H, W), torch.zeros(1, 3, H, W, dtype=torch.uint8), np.zeros((1, 3, H, W), np.float32)]
)
def test_logits_names_what_it_takes(bad):
    classifier = Classifier(Net(), transform=PLAIN)
    with pytest.raises(ClassifierError, match=r"takes a float tensor \(N, 3, 10, 14\).*classifier\.to_tensor\(views\)"):
        classifier.logits(bad)


class Answer(nn.Module):
    def __init__(self, answer) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, x):
        return self.answer(x.mean(dim=(2, 3)))


@pytest.mark.parametrize(
    "answer",
    [
        lambda y: y,
        lambda y: (y, -y),
        lambda y: [y],
        lambda y: {"logits": y, "features": y * 2},
        lambda y: SimpleNamespace(logits=y, loss=None),
        lambda y: y[:, :, None, None],
        lambda y: y.double(),
    ],
)
def test_answers_of_many_forms(answer):
    classifier = Classifier(Answer(answer), transform=PLAIN)
    logits = classifier.logits(torch.full((2, 3, H, W), 0.25))
    torch.testing.assert_close(logits, torch.full((2, 3), 0.25))


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        (lambda y: y.sum(), r"returned a tensor of shape \(\) for 2 image"),
        (lambda y: y[:, :, None, None].expand(-1, -1, 2, 3), r"shape \(2, 3, 2, 3\) for 2"),
        (lambda y: y[0], r"shape \(3,\) for 2"),
        (lambda y: "cat", "returned a str for 2"),
        (lambda y: None, "returned a NoneType for 2"),
    ],
)
def test_other_answers_are_errors(answer, match):
    with pytest.raises(ClassifierError, match=match + r".*a classifier returns logits"):
        Classifier(Answer(answer), transform=PLAIN)


def test_probabilities_are_recognized():
    plain = Classifier(Answer(lambda y: 5 * y), transform=PLAIN)
    softmaxed = Classifier(Answer(lambda y: (5 * y).softmax(dim=1)), transform=PLAIN)
    assert (plain.outputs, softmaxed.outputs) == ("logits", "probabilities")
    x = torch.rand(2, 3, H, W)
    torch.testing.assert_close(softmaxed.probabilities(x), plain.probabilities(x))


def test_a_network_of_another_size_is_an_error_that_names_the_remedy():
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 5 * 7, 2))
    with pytest.raises(
        ClassifierError, match=r"Sequential cannot take images of 3 x 10 x 14 \(C x H x W\).*input_size=\(C, H, W\)"
    ):
        Classifier(net, transform=PLAIN)
    with pytest.raises(ClassifierError, match=r"module is a function, but must be a torch\.nn\.Module"):
        Classifier(lambda x: x, transform=PLAIN)


def test_a_network_of_four_channels_is_told_what_can_be_done():
    net = nn.Sequential(nn.Conv2d(4, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(
        ClassifierError, match=r"the 4 channels that its first layer takes: only networks of 1 channel .*wrap it"
    ):
        Classifier(net, transform=PLAIN)


def test_the_weights_hash_depends_on_weights_alone():
    net = tangled()
    classifier = Classifier(net, transform=PLAIN)
    first = classifier.weights_sha256
    assert first == Classifier(copy.deepcopy(net).eval(), transform=PLAIN, spec="other").weights_sha256
    with classifier.frozen():
        assert classifier.weights_sha256 == first
    with torch.no_grad():
        net.head.bias[2] += 1e-6
    assert classifier.weights_sha256 != first


def test_half_precision_networks_answer_in_float32():
    classifier = Classifier(
        nn.Sequential(nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).bfloat16(), transform=PLAIN
    )
    assert classifier.logits(classifier.to_tensor(views())).dtype == torch.float32
    assert classifier.weights_sha256 == classifier.weights_sha256


def test_devices():
    with pytest.raises(ClassifierError, match="device is 'warp', but must be one that PyTorch knows"):
        Classifier(Net(), transform=PLAIN, device="warp")
    if not torch.cuda.is_available():
        with pytest.raises(ClassifierError, match="finds no CUDA device here: use device='cpu'"):
            Classifier(Net(), transform=PLAIN, device="cuda")
        return
    net = tangled()
    before = state_of(net)
    classifier = Classifier(net, transform=PLAIN, device="cuda")
    with classifier.frozen():
        x = classifier.to_tensor(views()).requires_grad_(True)
        assert x.is_cuda
        assert net.head.weight.is_cuda
        classifier.logits(x).sum().backward()
    assert state_of(net) == before


def test_a_module_is_borrowed_to_another_device_and_its_storage_comes_back():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    pointers = [tensor.data_ptr() for tensor in [*net.parameters(), *net.buffers()]]
    identities = [id(tensor) for tensor in [*net.parameters(), *net.buffers()]]
    from visual_summaries.classifiers import borrowed

    with borrowed(net, torch.device("meta")):
        assert net[0].weight.is_meta
        assert net[1].running_mean.is_meta
    assert [tensor.data_ptr() for tensor in [*net.parameters(), *net.buffers()]] == pointers
    assert [id(tensor) for tensor in [*net.parameters(), *net.buffers()]] == identities


@pytest.mark.parametrize("batch_size", [1, 2, 5, 8])
def test_classify_does_not_depend_on_the_batch_size(batch_size):
    classifier = Classifier(Answer(lambda y: 9 * y), transform=PLAIN, class_names=["r", "g", "b"])
    images = views(5)
    images[2, :, :, 1] = 255
    found = classify(classifier, images, "g", batch_size=batch_size)
    p = classifier.probabilities(classifier.to_tensor(images))
    np.testing.assert_allclose(found.scores, p[:, 1], rtol=1e-5)
    np.testing.assert_array_equal(found.predicted, p.argmax(dim=1))
    np.testing.assert_array_equal(found.hits, found.predicted == 1)
    assert found.hits[2]
    assert found.accuracy == found.hits.mean()
    lazily = classify(classifier, (image for image in images), "g", batch_size=batch_size)
    np.testing.assert_array_equal(lazily.scores, found.scores)


def test_classify_takes_functions_and_nothing():
    classifier = Classifier(Answer(lambda y: 9 * y), transform=PLAIN)
    found = classify(classifier, views(3), lambda logits: logits[:, 0] - logits[:, 1])
    assert found.hits.all()
    assert found.scores.dtype == np.float32
    empty = classify(classifier, [], 0)
    assert len(empty.scores) == 0
    assert np.isnan(empty.accuracy)
    with pytest.raises(ClassifierError, match="batch_size is 0"):
        classify(classifier, [], 0, batch_size=0)


@pytest.mark.parametrize(
    ("function", "match"),
    [
        (lambda logits: logits, r"returned torch.float32 of shape \(3, 3\).*must return a float tensor of shape \(3,\)"),
        (lambda logits: logits.argmax(dim=1), "returned torch.int64"),
        (lambda logits: 0.5, "returned float"),
    ],
)
def test_bad_target_functions(function, match):
    classifier = Classifier(Answer(lambda y: y), transform=PLAIN)
    with pytest.raises(TargetError, match=match):
        classify(classifier, views(3), function)


def test_target_kinds():
    logits = torch.tensor([[1.0, 3.0, 2.0], [5.0, 0.0, 0.0]])
    classifier = Classifier(Answer(lambda y: y), transform=PLAIN)
    torch.testing.assert_close(resolve_target(classifier, 1).score(logits), logits.softmax(dim=1)[:, 1])
    torch.testing.assert_close(resolve_target(classifier, 1, kind="logit").score(logits), logits[:, 1])
    assert resolve_target(classifier, 1).hits(logits).tolist() == [True, False]
    target = resolve_target(classifier, 2)
    assert resolve_target(classifier, target) is target
