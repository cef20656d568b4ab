"""Masks on networks small enough that the right answer is known to the pixel."""

import contextlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from visual_summaries.errors import SettingsError
from visual_summaries.masks import MaskSchedule, iter_masks
from visual_summaries.masks.network import Network
from visual_summaries.masks.optimize import iter_tensors
from visual_summaries.masks.perturb import gaussian_blur, perturb
from visual_summaries.masks.plan import bytes_of_a_pass, find_batch_size
from visual_summaries.masks.published import initial_mask, label_images, rescale
from visual_summaries.settings import preset
from visual_summaries.settings.masks import FastSchedule

H, W = 40, 56
PATCH = (slice(12, 28), slice(20, 38))


def checkerboard(channels: int = 3) -> torch.Tensor:
    """An image whose every pixel loses its value when it is blurred: 0 and 1 alternate."""
    y, x = torch.meshgrid(torch.arange(H), torch.arange(W), indexing="ij")
    return ((x + y) % 2).float().expand(channels, H, W).clone()


class PatchDetector(nn.Module):
    """Output 0 sums how much each pixel agrees with the checkerboard: in the patch (times gain), outside it (times against).

    Hiding a pixel takes its agreement away. With against < 0 hiding a pixel outside the patch raises the output. Output 1 is 0.
    """

    def __init__(self, channels: int = 3, gain: float = 1.0, against: float = 0.0) -> None:
        super().__init__()
        inside = torch.zeros(H, W)
        inside[PATCH] = 1
        share = gain * inside / inside.sum() + against * (1 - inside) / (1 - inside).sum()
        self.weights = nn.Parameter((2 * checkerboard(channels) - 1) * share * 2 / channels)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([(self.norm(x) * self.weights).sum((1, 2, 3)), x.new_zeros(len(x))], dim=1)


class TinyClassifier:
    """The classifier's interface around a module that takes [0, 1] as it comes."""

    def __init__(self, module: nn.Module, channels: int = 3) -> None:
        self.module = module
        self.input_size = (channels, H, W)
        self.frozen_now = False
        self.images_seen = 0

    def to_tensor(self, views):
        x = torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2).float() / 255
        return x[:, : self.input_size[0]]

    def logits(self, x):
        assert self.frozen_now
        self.images_seen += len(x)
        return self.module(x)

    @contextlib.contextmanager
    def frozen(self):
        was = self.module.training, [p.requires_grad for p in self.module.parameters()]
        self.module.eval().requires_grad_(False)
        self.frozen_now = True
        with torch.inference_mode(False), torch.enable_grad():
            try:
                yield self
            finally:
                self.frozen_now = False
                self.module.train(was[0])
                for parameter, flag in zip(self.module.parameters(), was[1], strict=True):
                    parameter.requires_grad_(flag)


class ClassTarget:
    def __init__(self, index: int) -> None:
        self.index = index

    def score(self, logits):
        return logits.float().softmax(-1)[:, self.index]


class OutputTarget:
    """A function of the outputs: the first output as it is."""

    def score(self, logits):
        return logits[:, 0]


def view(channels: int = 3) -> np.ndarray:
    return (checkerboard(3).permute(1, 2, 0).numpy() * 255).astype(np.uint8)


PAPER = replace(preset("paper").masks, batch_size=4)
SHORT = replace(PAPER, smooth=MaskSchedule(20, 0.5, 0.01, 0.0), sharp=MaskSchedule(15, 0.01, 1.0, 2.0))


def masks_of(classifier, tensors, target, settings, random_state=0):
    found = dict(iter_tensors(classifier, tensors, target, settings, len(tensors), None, random_state))
    return [found[i] for i in range(len(tensors))]


def within_a_pixel(mask: np.ndarray, patch: tuple[slice, slice]) -> bool:
    """Whether a mask is 1 in the patch and 0 outside it, leaving out the pixels on either side of its border."""
    inner = np.zeros((H, W), bool)
    inner[patch[0].start + 1 : patch[0].stop - 1, patch[1].start + 1 : patch[1].stop - 1] = True
    outer = np.zeros((H, W), bool)
    outer[patch[0].start - 1 : patch[0].stop + 1, patch[1].start - 1 : patch[1].stop + 1] = True
    return bool((mask[inner] > 0.9).all() and (mask[~outer] < 0.1).all())


@pytest.mark.parametrize("channels", [1, 3])
def test_sharp_mask_covers_the_evidence_to_the_pixel(channels):
    classifier = TinyClassifier(PatchDetector(channels, gain=5.0, against=-5.0), channels)
    ((position, mask),) = iter_masks(classifier, [view()], OutputTarget(), PAPER)
    assert position == 0
    assert mask.sharp.shape == mask.smooth.shape == (H, W)
    assert mask.sharp.dtype == mask.smooth.dtype == np.float16
    assert within_a_pixel(mask.sharp, PATCH)
    assert mask.crispness > 0.98
    assert mask.area == pytest.approx(16 * 18 / (H * W), rel=0.05)
    assert len(mask.losses) == 450
    assert mask.losses[-1] < mask.losses[300]


def test_mask_of_a_class_probability_lies_on_the_patch():
    classifier = TinyClassifier(PatchDetector(gain=12.0))
    ((_, mask),) = iter_masks(classifier, [view()], ClassTarget(0), PAPER)
    assert mask.score_before > 0.99
    assert mask.score_hidden < 0.6
    assert mask.sharp[PATCH].mean() > 0.9
    assert mask.area < 0.25
    assert mask.drop > 0.3


def test_scores_are_those_of_the_stored_masks():
    classifier, target = TinyClassifier(PatchDetector(gain=4.0)), ClassTarget(0)
    image = checkerboard()[None]
    (mask,) = masks_of(classifier, image, target, SHORT)
    hidden = gaussian_blur(image, 11, 10.0)
    with classifier.frozen(), torch.no_grad():
        after = target.score(classifier.logits(perturb(image, hidden, 1 - torch.from_numpy(mask.sharp).float()[None])))
        assert mask.score_after == after.item()
        assert mask.score_hidden == target.score(classifier.logits(hidden)).item()
        assert mask.score_before == target.score(classifier.logits(image)).item()


def some_images(n: int) -> torch.Tensor:
    noise = torch.rand(n, 3, H, W, generator=torch.Generator().manual_seed(3))
    return (checkerboard()[None] * 0.8 + 0.2 * noise).clamp(0, 1)


class SmallConvNet(nn.Module):
    def __init__(self, classes: int = 5) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1), nn.Tanh(), nn.AvgPool2d(4), nn.Conv2d(6, 8, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(2)
        )
        self.head = nn.Linear(32, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layers(x).flatten(1)) * 20


@pytest.mark.parametrize("change", [{}, {"noise": 0.05}, {"less": 1.0}, {"score": "logit"}])
def test_an_image_does_not_depend_on_its_batch(change):
    classifier = TinyClassifier(SmallConvNet().double())
    images = some_images(5).double()
    settings = replace(SHORT, **change)
    together = masks_of(classifier, images, ClassTarget(2), replace(settings, batch_size=5))
    apart = masks_of(classifier, images, ClassTarget(2), replace(settings, batch_size=2))
    for a, b in zip(together, apart, strict=True):
        np.testing.assert_allclose(a.sharp, b.sharp, atol=1e-3)
        np.testing.assert_allclose(a.losses, b.losses, rtol=1e-3)


def test_same_input_same_output_and_the_seed_matters_only_for_noise():
    classifier, images = TinyClassifier(SmallConvNet()), some_images(3)
    first, second, other = (masks_of(classifier, images, ClassTarget(1), SHORT, seed) for seed in (0, 0, 7))
    assert first == second == other
    noisy = replace(SHORT, noise=0.1)
    first, second, other = (masks_of(classifier, images, ClassTarget(1), noisy, seed) for seed in (0, 0, 7))
    assert first == second
    assert first != other


def test_less_keeps_other_scores_from_rising():
    classifier, images = TinyClassifier(SmallConvNet()), some_images(3)
    with classifier.frozen(), torch.no_grad():
        before = classifier.logits(images).softmax(-1)
        target = int(before[0].argmax())

    def rise(settings):
        found = masks_of(classifier, images, ClassTarget(target), settings)
        evidence = torch.stack([torch.from_numpy(mask.sharp).float() for mask in found])
        with classifier.frozen(), torch.no_grad():
            after = classifier.logits(perturb(images, gaussian_blur(images, 11, 10.0), 1 - evidence)).softmax(-1)
        return (after - before).clamp_min(0).mean().item()

    assert rise(replace(SHORT, less=50.0)) < 0.5 * rise(SHORT)


def test_logit_scores_need_a_class():
    classifier = TinyClassifier(PatchDetector())
    with pytest.raises(SettingsError, match='score="logit" needs a target that is a class'):
        list(iter_masks(classifier, [view()], OutputTarget(), replace(SHORT, score="logit")))


def test_superpixel_mask_is_constant_on_each_superpixel():
    classifier = TinyClassifier(PatchDetector(gain=50.0, against=-50.0))
    settings = replace(PAPER, superpixel=MaskSchedule(50, 0.2, 1.0, 4.0), segments=60)
    slope = torch.linspace(0.2, 0.8, W).expand(1, 3, H, W)  # SLIC makes one segment of a full checkerboard
    image = slope + 0.1 * checkerboard()
    (mask,) = masks_of(classifier, image, OutputTarget(), settings)
    labels = label_images(image, 60)[0].numpy()
    assert len(np.unique(labels)) > 30
    assert mask.final is mask.superpixel
    assert len(mask.losses) == 500
    values = {label: set(mask.superpixel[labels == label].tolist()) for label in np.unique(labels)}
    assert all(len(one) == 1 for one in values.values())
    assert mask.superpixel[PATCH].mean() > 0.5 > mask.superpixel.mean()


def test_views_are_taken_lazily_and_the_network_is_left_alone_in_between():
    classifier = TinyClassifier(SmallConvNet())
    classifier.module.train()
    taken = []

    def views():
        for i in range(7):
            taken.append(i)
            yield view()

    seen = []
    with torch.inference_mode():
        for position, _ in iter_masks(classifier, views(), ClassTarget(0), replace(SHORT, batch_size=2)):
            seen.append(position)
            assert len(taken) <= len(seen) + 2
            assert classifier.module.training
            assert all(parameter.requires_grad for parameter in classifier.module.parameters())
            assert torch.is_inference_mode_enabled()
    assert seen == list(range(7))


def test_sizes_may_differ_from_view_to_view():
    classifier = TinyClassifier(SmallConvNet())
    sizes = [(40, 56), (48, 32), (40, 56), (33, 47)]
    views = [np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    found = dict(iter_masks(classifier, views, ClassTarget(0), replace(SHORT, batch_size=3)))
    assert [found[i].sharp.shape for i in range(4)] == sizes


def test_progress_counts_images():
    calls = []
    views = [view()] * 3
    list(iter_masks(TinyClassifier(SmallConvNet()), views, ClassTarget(0), SHORT, progress=lambda *call: calls.append(call)))
    assert calls == [("masks", 1, 3), ("masks", 2, 3), ("masks", 3, 3)]


def test_no_views_no_masks():
    assert list(iter_masks(TinyClassifier(SmallConvNet()), [], ClassTarget(0))) == []


def test_the_start_hides_the_disc_that_fits():
    mask = initial_mask(2, 10, 16)
    assert mask.shape == (2, 10, 16)
    assert mask[0, 5, 8] == 0
    assert mask[0, :, :3].min() == 1
    assert (1 - mask[0]).sum().item() == pytest.approx(np.pi * 25, rel=0.05)


def test_rescale_keeps_what_hides_nothing():
    mask = torch.stack([torch.full((3, 4), 1.0), torch.linspace(0.5, 1, 12).view(3, 4)])
    scaled = rescale(mask)
    assert torch.equal(scaled[0], mask[0])
    assert scaled[1].min() == 0
    assert scaled[1].max() == 1


class RunsOutOfMemory(SmallConvNet):
    """Fails as an allocator does when more than two images come at a time."""

    def __init__(self, error: RuntimeError) -> None:
        super().__init__()
        self.error = error

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if len(x) > 2:
            raise self.error
        return super().forward(x)


OUT_OF_MEMORY = {
    "cpu": RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to allocate"),
    "cuda": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
}


@pytest.mark.parametrize("device", OUT_OF_MEMORY)
@pytest.mark.parametrize("fast", [None, FastSchedule(steps=6, extra_rounds=0)], ids=["published", "fast"])
def test_batches_are_halved_when_memory_runs_out(device, fast):
    # The published procedure in double precision: which of two equally good masks it finds must not hang on rounding.
    dtype = torch.float64 if fast is None else torch.float32
    images, short = some_images(7).to(dtype), replace(SHORT, fast=fast)
    target = ClassTarget(4 if fast is None else 0)  # of some images it needs a patch, of others nothing
    expected = masks_of(TinyClassifier(SmallConvNet().to(dtype)), images, target, replace(short, batch_size=2))
    halved = TinyClassifier(RunsOutOfMemory(OUT_OF_MEMORY[device]).to(dtype))
    found = masks_of(halved, images, target, replace(short, batch_size=7))
    if fast is None:
        assert len({round(float(mask.sharp.mean()), 1) for mask in expected}) > 1
    for a, b in zip(expected, found, strict=True):
        if fast is None:
            np.testing.assert_allclose(a.sharp, b.sharp, atol=2e-2)
            np.testing.assert_allclose(a.losses, b.losses, rtol=1e-3)
        # The projection magnifies what rounding differs by in batches of another size.
        assert np.abs(a.sharp.astype(float) - b.sharp).mean() < 0.05


def test_other_errors_of_the_network_are_not_taken_for_memory():
    class Broken(SmallConvNet):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        masks_of(TinyClassifier(Broken()), some_images(2), ClassTarget(0), SHORT)


def test_batch_size_follows_the_free_memory(monkeypatch):
    classifier = TinyClassifier(SmallConvNet())
    network = Network(classifier, ClassTarget(0), PAPER, chunk=1)
    with classifier.frozen():
        needed = bytes_of_a_pass(network, some_images(1))
        assert needed > 6 * H * W * 4  # the first layer's output at least
        assert find_batch_size(network, some_images(1)) == 32
        monkeypatch.setattr("visual_summaries.masks.plan.free_memory", lambda device: 12 * (2 * needed + 16 * 3 * H * W * 4))
        assert find_batch_size(network, some_images(1)) == 6
        monkeypatch.setattr("visual_summaries.masks.plan.free_memory", lambda device: 0)
        assert find_batch_size(network, some_images(1)) == 1
