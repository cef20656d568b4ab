"""The fast optimizer: its pieces against autograd and other libraries, its masks against the published procedure."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter1d, label
from torch import nn

from visual_summaries.classifiers import Classifier, Target, ViewTransform
from visual_summaries.masks import MaskSchedule, MaskSettings, iter_masks, optimize_masks
from visual_summaries.masks.fast import FastSolver
from visual_summaries.masks.gradients import Measured, agrees, fast_float32, fastest_gradient_mode, fold, fold_batch_norms
from visual_summaries.masks.infill import hidden_pixels
from visual_summaries.masks.level_set import boundary_gradient, large_pieces, project, upsampling_matrix
from visual_summaries.masks.network import GradientMode, Network, log_odds
from visual_summaries.masks.objective import area, geometry, grayness, total_variation
from visual_summaries.masks.optimize import iter_fast, uses_fast
from visual_summaries.masks.perturb import perturb
from visual_summaries.masks.plan import make_network
from visual_summaries.settings import PRESETS
from visual_summaries.settings.masks import FastSchedule, infills_of

H, W = 48, 64
PATCH = (slice(14, 32), slice(22, 44))
PATCH_AREA = 18 * 22 / (H * W)
SETTINGS = MaskSettings(infill="blur", precision="float32", batch_size=4)


class PatchClassifier(nn.Module):
    """Logit of class 1: how much the patch agrees with a checkerboard, class 0: the same elsewhere."""

    def __init__(self, gain: float = 20.0) -> None:
        super().__init__()
        y, x = torch.meshgrid(torch.arange(H), torch.arange(W), indexing="ij")
        sign = 2.0 * ((x + y) % 2) - 1
        inside = torch.zeros(H, W)
        inside[PATCH] = 1
        self.weights = nn.Parameter(
            torch.stack([sign * (1 - inside) / (1 - inside).sum(), sign * inside / inside.sum()]) * gain * 2
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.einsum("nhw,khw->nk", x.mean(1), self.weights) * torch.tensor([0.5, 1.0])


def classifier_of(module: nn.Module) -> Classifier:
    return Classifier(module, transform=ViewTransform((H, W), mean=(0, 0, 0), std=(1, 1, 1)), class_names=["rest", "patch"])


def images(n: int) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(H), torch.arange(W), indexing="ij")
    board = ((x + y) % 2).float().expand(n, 3, H, W)
    return 0.9 * board + 0.1 * torch.rand(n, 3, H, W, generator=torch.Generator().manual_seed(0))


def objective_of(mask) -> float:
    stage = MaskSettings().sharp
    return mask.score_after + geometry(1 - torch.from_numpy(mask.sharp).float()[None], stage).item()


def test_boundary_gradient_is_autograds():
    evidence = torch.rand(2, 7, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64).requires_grad_()
    dx, dy = F.pad(evidence.diff(dim=-1), (0, 1)), F.pad(evidence.diff(dim=-2), (0, 0, 0, 1))
    (dx**2 + dy**2 + 1e-8).sqrt().sum().backward()
    torch.testing.assert_close(boundary_gradient(evidence.detach()), evidence.grad)


def test_projection_keeps_the_ends_and_its_slope_is_that_of_differences():
    fields = torch.linspace(0, 1, 21, dtype=torch.float64).view(1, 3, 7)
    contrast = torch.tensor([[[7.0]]], dtype=torch.float64)
    assert project(fields, contrast)[0].flatten()[[0, 10, 20]].tolist() == pytest.approx([0, 0.5, 1])
    inner = fields[:, 1:2]
    differences = (project(inner + 1e-6, contrast)[0] - project(inner - 1e-6, contrast)[0]) / 2e-6
    torch.testing.assert_close(project(inner, contrast)[1], differences, rtol=1e-6, atol=1e-8)


def test_upsampling_matrix_is_bilinear_interpolation_then_blur():
    low = torch.rand(5, generator=torch.Generator().manual_seed(2))
    up = F.interpolate(low.view(1, 1, 1, 5), size=(1, 37), mode="bilinear").flatten().numpy()
    expected = gaussian_filter1d(up, 2.0, mode="nearest", radius=6)
    np.testing.assert_allclose(upsampling_matrix(5, 37, 2.0).numpy() @ low.numpy(), expected, atol=1e-6)


def test_log_odds_are_those_of_the_softmax():
    logits = torch.randn(4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    p = logits.softmax(1)[:, 2]
    torch.testing.assert_close(log_odds(logits, Target(2, "two")), torch.log(p / (1 - p)))
    assert log_odds(torch.tensor([[200.0, 0.0]]), Target(0, "sure")).item() == 200  # no saturation


def test_fast_masks_find_what_the_published_ones_do_in_a_tenth_of_the_passes():
    classifier = classifier_of(PatchClassifier())
    fast = optimize_masks(classifier, images(1), 1, settings=SETTINGS)
    published = optimize_masks(classifier, images(1), 1, preset="paper")
    for ours, theirs in zip(fast, published, strict=True):
        assert len(theirs.losses) == 450
        assert len(ours.losses) <= 45
        assert objective_of(ours) <= 1.4 * objective_of(theirs)
        assert ours.drop >= 0.98
        sizes = np.bincount(label(ours.sharp > 0.5, np.ones((3, 3)))[0].ravel())[1:]
        assert len(sizes) == 1 or min(sizes) >= 0.005 * H * W
        assert ours.sharp[PATCH].mean() > 0.8
        assert ours.area < 1.1 * PATCH_AREA
        assert ours.smooth.shape == ours.sharp.shape == (H, W)
        assert 0 <= ours.sharp.min() <= ours.sharp.max() <= 1


def test_scores_are_those_of_the_stored_masks():
    classifier = classifier_of(PatchClassifier())
    (mask,) = optimize_masks(classifier, images(1), 1, settings=SETTINGS)
    from visual_summaries.masks.perturb import gaussian_blur, perturb

    x = perturb(images(1), gaussian_blur(images(1), 11, 10.0), 1 - torch.from_numpy(mask.sharp).float()[None])
    with torch.no_grad():
        assert mask.score_after == pytest.approx(classifier.logits(x).softmax(1)[0, 1].item(), abs=1e-7)
        assert mask.score_before == pytest.approx(classifier.logits(images(1)).softmax(1)[0, 1].item(), abs=1e-7)


def test_an_image_does_not_depend_on_its_batch_nor_on_when_it_came():
    classifier = classifier_of(PatchClassifier())
    together = optimize_masks(classifier, images(5), 1, settings=replace(SETTINGS, batch_size=5))
    apart = optimize_masks(classifier, images(5), 1, settings=replace(SETTINGS, batch_size=2))
    for a, b in zip(together, apart, strict=True):
        assert objective_of(a) == pytest.approx(objective_of(b), rel=0.02)
        assert np.abs(a.sharp.astype(float) - b.sharp).mean() < 0.005


def test_same_input_same_output():
    classifier = classifier_of(PatchClassifier())
    assert optimize_masks(classifier, images(3), 1, settings=SETTINGS) == optimize_masks(
        classifier, images(3), 1, settings=SETTINGS
    )


def test_finished_images_leave_their_place_to_others():
    classifier = classifier_of(PatchClassifier())
    network = Network(classifier, Target(1, "patch"), SETTINGS, chunk=2)
    with classifier.frozen(), torch.no_grad():
        solver = FastSolver(network, FastSchedule(steps=8, extra_rounds=0), images(1)[0], places=2)
        solver.admit([0], images(1))
        for _ in range(3):
            assert solver.step() == []
        solver.admit([1], images(2)[1:])  # joins half way
        assert solver.free == []
        finished = [solver.step() for _ in range(5)]
        assert [[one.position for one in group] for group in finished] == [[], [], [], [], [0]]
        assert solver.free == [0]
        solver.admit([2], images(1))
        assert solver.busy == [0, 1]
        rest = [one.position for _ in range(8) for one in solver.step()]
        assert rest == [1, 2]


@pytest.mark.parametrize(
    "change",
    [{"fast": None}, {"noise": 0.1}, {"less": 1.0}, {"score": "logit"}, {"superpixel": MaskSchedule(1, 0.2, 1.0, 4.0)}],
)
def test_what_the_fast_optimizer_does_not_do_goes_to_the_published_one(change):
    assert uses_fast(SETTINGS, Target(1, "patch"))
    assert not uses_fast(replace(SETTINGS, **change), Target(1, "patch"))


def test_functions_and_logit_targets_go_to_the_published_one():
    assert not uses_fast(SETTINGS, Target(None, "function", function=lambda logits: logits[:, 0]))
    assert not uses_fast(SETTINGS, Target(1, "patch", kind="logit"))


def test_sizes_may_change_on_the_way():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 2))

    class AnySize:
        input_size = (3, H, W)

        def to_tensor(self, views):
            return torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2).float() / 255

        logits = staticmethod(net)
        frozen = torch.enable_grad

    sizes = [(40, 56), (40, 56), (48, 32), (40, 56)]
    views = [np.random.default_rng(i).integers(0, 256, (*size, 3), dtype=np.uint8) for i, size in enumerate(sizes)]
    short = replace(SETTINGS, fast=FastSchedule(steps=4, extra_rounds=0), batch_size=3)
    found = dict(iter_masks(AnySize(), views, Target(0, "a"), short))
    assert [found[i].sharp.shape for i in range(4)] == sizes


def resident_pages() -> int:
    statm = Path("/proc/self/statm")
    if not statm.exists():
        pytest.skip("resident memory is read from /proc")
    return int(statm.read_text().split()[1])


@pytest.mark.parametrize("device", ["cpu", *["cuda"] * torch.cuda.is_available()])
def test_memory_is_flat_over_a_thousand_images(device):
    net = nn.Sequential(nn.AvgPool2d(16), nn.Flatten(), nn.Linear(3 * 4 * 6, 2))
    classifier = Classifier(net, transform=ViewTransform((64, 96)), class_names=["a", "b"], device=device)
    view = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    short = replace(SETTINGS, fast=FastSchedule(steps=1, extra_rounds=0), batch_size=50)
    held = {}
    for done, _ in enumerate(iter_masks(classifier, (view for _ in range(1000)), Target(0, "a"), short), start=1):
        if done % 250 == 0:
            held[done] = torch.cuda.memory_allocated() if device == "cuda" else 4096 * resident_pages()
    image = 64 * 96 * 3 * 4
    assert held[1000] - held[250] < 750 * image / 3  # a third of what keeping every image would take


def test_an_image_whose_score_stays_gets_further_passes_and_then_ends():
    net = nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(3 * 4 * 6, 2))
    nn.init.zeros_(net[2].weight)  # p is one half whatever is hidden: no step helps
    classifier = Classifier(net, transform=ViewTransform((32, 48)), class_names=["a", "b"])
    settings = replace(SETTINGS, fast=FastSchedule(steps=3, extra_rounds=2, extra_steps=4))
    (mask,) = optimize_masks(classifier, torch.rand(1, 3, 32, 48), 0, settings=settings)
    assert len(mask.losses) == 2 * 2 + 3 + 2 * 4  # begun again twice, then to the end, then two rounds more


def test_further_passes_ask_for_the_terms_that_failed():
    classifier = classifier_of(PatchClassifier())
    settings = replace(SETTINGS, infill="mean+noise+black", fast=FastSchedule(steps=2, extra_rounds=1, extra_steps=5))
    network = Network(classifier, Target(1, "patch"), settings, chunk=1)
    with classifier.frozen(), torch.no_grad():
        solver = FastSolver(network, settings.fast, images(1)[0], places=1)
        solver.admit([0], images(1))
        before = solver.log_mu.clone()
        solver.go_on(0, torch.tensor([0.4, 0.001, 0.6]), torch.tensor([True, False, True]))
    assert solver.draws[0, 2:].tolist() == [2, 0, 2, 0, 2]
    assert solver.last.tolist() == [7]
    assert (solver.log_mu - before)[0].exp().tolist() == pytest.approx([3, 1, 3])


def test_an_image_whose_score_stays_is_begun_again_with_a_larger_multiplier():
    classifier = classifier_of(PatchClassifier())
    settings = replace(SETTINGS, fast=FastSchedule(steps=10, begin_again=1))
    network = Network(classifier, Target(1, "patch"), settings, chunk=2)
    with classifier.frozen(), torch.no_grad():
        solver = FastSolver(network, settings.fast, images(1)[0], places=2)
        solver.admit([0, 1], images(2))
        solver.step()
        first = solver.log_mu.new_tensor(settings.fast.multiplier).log()
        solver.density[:] = 0.1  # both have melted away ...
        solver.item(0).left.append(0.9)  # ... and one of them keeps its score
        solver.item(1).left.append(0.1)
        for place in (0, 1):
            solver.begin_again_if_lost(place)
        assert solver.density[:, 0, 0].tolist() == pytest.approx([0.5, 0.1])
        assert solver.step_of.tolist() == [0, 1]
        assert (solver.log_mu[0, 0] - first).exp() == pytest.approx(2)
        solver.density[0] = 0.1
        solver.begin_again_if_lost(0)  # once is enough, the settings say
        assert solver.density[0, 0, 0] == pytest.approx(0.1)


def test_a_way_that_leaves_what_chance_gives_is_asked(monkeypatch):
    class Bright(nn.Module):
        """Two classes: the brighter, the more it is the second."""

        def forward(self, x):
            light = 4 * x.mean((1, 2, 3))
            return torch.stack([torch.zeros_like(light), light], dim=1)

    shades = (0.0, 0.02, 1.0)  # these leave .50, .52 and .98 of two classes' scores
    monkeypatch.setattr(
        "visual_summaries.masks.fast.make_infills", lambda x, settings: [torch.full_like(x, shade) for shade in shades]
    )
    settings = replace(SETTINGS, infill="black+mean+noise")
    network = Network(classifier_of(Bright()), Target(1, "bright"), settings, chunk=1)
    white = torch.ones(1, 3, H, W)
    with network.classifier.frozen(), torch.no_grad():
        solver = FastSolver(network, settings.fast, white[0], places=1)
        solver.admit([0], white)
    assert solver.weight[0].tolist() == [0.5, 0.5, 0.0]


def test_no_small_piece_is_left_and_the_largest_stays():
    field = torch.zeros(20, 30)
    field[2:8, 2:8] = 1  # 6 % of the image
    field[12:14, 20:22] = 1  # 0.7 %
    field[14, 22] = 1  # touches it by a corner
    evidence = field > 0.5
    assert torch.equal(large_pieces(evidence, 0.008), evidence)
    assert large_pieces(evidence, 0.01).sum() == 36
    assert large_pieces(evidence, 0.5).sum() == 36
    assert large_pieces(torch.zeros(4, 5, dtype=torch.bool), 0.1).sum() == 0


def test_batch_norm_is_folded_only_where_that_is_right():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 2)
    )
    net[1].running_mean.normal_()
    net[1].running_var.uniform_(0.5, 2)
    classifier = classifier_of(net)
    with classifier.frozen():
        faster = fold(classifier, images(2))
        assert faster is not None
        assert type(faster.module[1]) is nn.Identity
        torch.testing.assert_close(faster.logits(images(2)), classifier.logits(images(2)))
    assert type(net[1]) is nn.BatchNorm2d

    class Conv2dSame(nn.Conv2d):
        """As timm's."""

        def forward(self, x):
            return super().forward(nn.functional.pad(x, (0, 1, 0, 1)))

    class Standardized(nn.Conv2d):
        """Does not use its weights as they are."""

        def forward(self, x):
            return nn.functional.conv2d(x, self.weight / self.weight.norm(), self.bias)

    for kind, count in ((Conv2dSame, 1), (Standardized, 0)):
        assert fold_batch_norms(nn.Sequential(kind(3, 4, 3), nn.BatchNorm2d(4)).eval()) == count

    class Crossed(nn.Module):
        """The batch norm stands behind the convolution but is applied before it."""

        def __init__(self) -> None:
            super().__init__()
            self.convolution, self.norm = nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3)
            self.norm.running_mean.fill_(3.0)

        def forward(self, x):
            return torch.relu(self.convolution(self.norm(x))).mean((2, 3))

    crossed = Classifier(Crossed(), transform=ViewTransform((H, W)))
    with crossed.frozen():
        assert fold(crossed, images(2)) is None
        assert fold(classifier_of(PatchClassifier()), images(2)) is None
    assert fold_batch_norms(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).eval()) == 0


def test_float32_scores_are_asked_faster_only_where_that_is_right():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 2)
    )
    classifier = classifier_of(net)
    view = np.random.default_rng(0).integers(0, 256, (H, W, 3), dtype=np.uint8)
    faster = fast_float32(classifier, view)
    assert faster is not classifier
    torch.testing.assert_close(faster.logits(images(3)), classifier.logits(images(3)), rtol=0, atol=1e-5)
    assert classifier.module is net
    assert type(net[1]) is nn.BatchNorm2d

    class Strided(nn.Module):
        def forward(self, x):
            return x.view(len(x), -1)[:, :2]

    odd = Classifier(Strided(), transform=ViewTransform((H, W)))
    assert fast_float32(odd, view) is odd


def test_stored_scores_are_the_classifiers_own_to_rounding():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * (H - 2) * (W - 2), 2))
    classifier = classifier_of(net.eval())
    network = make_network(classifier, Target(1, "x"), replace(SETTINGS, precision="auto"), images(1))
    assert network.scorer is not None
    torch.testing.assert_close(network.quick_scores(images(3)), network.scores(images(3)), rtol=0, atol=1e-5)
    results = list(iter_fast(network, iter([(0, images(1)[0])]), 0))
    mask = results[0][1]
    with torch.no_grad():
        hidden = hidden_pixels(images(1), "blur", SETTINGS)
        masked = perturb(images(1), hidden, 1 - torch.from_numpy(mask.sharp).float()[None])
        expected = [network.scores(x).item() for x in (images(1), hidden, masked)]
    assert [mask.score_before, mask.score_hidden, mask.score_after] == pytest.approx(expected, abs=1e-4)


def test_the_kernel_is_chosen_by_time_and_agreement(monkeypatch):
    classifier = classifier_of(PatchClassifier())
    network = Network(classifier, Target(1, "patch"), SETTINGS, chunk=4)
    scores, gradients = torch.full((2,), 0.5), torch.ones(2, 3, 4)
    slow = {"float32": 3.0, "float32, channels last": 2.0, "bfloat16, channels last": 1.0}
    off = 0.0

    def fake(network, kernel, images):
        wrong = off if kernel.bfloat16 else 0.0
        return Measured(kernel, slow[kernel.in_words()], scores + wrong, gradients)

    monkeypatch.setattr("visual_summaries.masks.gradients.measure", fake)
    with classifier.frozen():
        assert fastest_gradient_mode(network, images(1), None) == GradientMode(bfloat16=True, channels_last=True)
        slow["bfloat16, channels last"] = 1.6  # with few images; in full batches float32 catches up
        assert fastest_gradient_mode(network, images(1), None) == GradientMode(channels_last=True)
        slow["bfloat16, channels last"], off = 1.0, 0.1
        assert fastest_gradient_mode(network, images(1), None) == GradientMode(channels_last=True)
        slow["float32, channels last"] = 4.0
        assert fastest_gradient_mode(network, images(1), None) == GradientMode()

    def failing(network, kernel, images):
        if kernel.channels_last:
            raise RuntimeError("view size is not compatible with input tensor's size and stride")
        return fake(network, kernel, images)

    monkeypatch.setattr("visual_summaries.masks.gradients.measure", failing)
    slow["float32, channels last"] = 0.1
    with classifier.frozen():
        assert fastest_gradient_mode(network, images(1), None) == GradientMode()
    reference = Measured(GradientMode(), 1.0, scores, gradients)
    assert not agrees(Measured(GradientMode(), 1.0, scores, -gradients), reference)


def test_measuring_the_kernel_runs_on_a_real_network_and_takes_little_time():
    classifier = classifier_of(PatchClassifier())
    network = Network(classifier, Target(1, "patch"), replace(SETTINGS, precision="auto"), chunk=4)
    start = time.perf_counter()
    with classifier.frozen():
        kernel = fastest_gradient_mode(network, images(1), None)
    assert isinstance(kernel, GradientMode)
    assert time.perf_counter() - start < 10


def test_default_preset_is_fast_quick_is_faster_and_paper_is_published():
    from visual_summaries.settings import Settings, preset

    default, quick, paper = (preset(name).masks for name in ("default", "quick", "paper"))
    assert default.fast is not None
    assert paper.fast is None
    assert infills_of(paper.infill) == ("blur",)
    assert quick.fast.steps + quick.fast.extra_rounds * quick.fast.extra_steps <= default.fast.steps / 2
    assert infills_of(default.infill) == ("strong-blur", "mean", "noise", "inpaint")
    assert set(infills_of(quick.infill)) < set(infills_of(default.infill))
    assert preset("quick").parts == preset("default").parts
    assert Settings() == preset("default")
    paper = preset("paper")
    assert (paper.regions.proposals, paper.regions.boxes, paper.regions.salient_share) == ("selective_search", 500, 0.75)
    flow = paper.flow
    assert (flow.descriptor, flow.method, flow.assignment, flow.mirror) == ("hog", "lom", "best", False)
    assert (flow.max_aspect_ratio, flow.border, flow.exponent) == (2.0, 0.01, 1.0)
    summaries = paper.summaries
    assert (summaries.keep, summaries.rank, summaries.min_members, summaries.min_coverage) == ("alike", "score", 2, 0.0)
    assert paper.masks.precision == "float32"
    assert paper.parts is None
    for name in PRESETS:
        assert Settings.from_dict(preset(name).to_dict()) == preset(name)


def test_quick_masks_lie_on_the_patch_too():
    classifier = classifier_of(PatchClassifier())
    for mask in optimize_masks(classifier, images(2), 1, preset="quick"):
        assert len(mask.losses) == 8
        assert len(mask.after) == 2
        assert mask.drop > 0.9
        assert mask.sharp[PATCH].mean() > 0.7
        assert mask.area < 1.5 * PATCH_AREA


def test_terms_used_for_the_bars_are_the_ones_of_the_objective():
    m = torch.rand(1, 6, 8)
    stage = MaskSettings().sharp
    total = 0.01 * area(m) + total_variation(m) + 2 * grayness(m)
    torch.testing.assert_close(geometry(m, stage), total)
