"""The fast optimiser: the published objective in about a seventh of the network passes.

What makes it fast is a division of labour: the network is asked once a step and answers with a slope; area, boundary and grey
pixels need no network at all.

*Shape* (`shape_steps` passes). The evidence is the level set of a coarse field: a low-resolution density, upsampled and blurred
by one fixed linear map, then pushed towards 0 and 1 by a smoothed step whose contrast rises from step to step (density filter
and projection of topology optimisation: Wang, Lazarov & Sigmund 2011, Struct. Multidisc. Optim. 43). Adam minimises

    mu log-odds(p) + a mean(e) + b mean|grad e|

The log-odds of the class have a useful slope when p is near 1 or near 0, where p itself has none. mu is each image's own
multiplier, raised while p is above what is wanted and lowered while it is below.

*Refine* (`refine_steps` passes). At full resolution L itself, published coefficients: around the best mask found so far p is
modelled as ``p exp(<slope, change>)``, a trust region limits how far a pixel may move, and the minimum of modelled p + exact
geometry is sought without the network. The network then says what p really is: the step is kept when L fell, else the region
shrinks.

Masks in this module are **evidence**: e = 1 - m.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from visual_summaries.masks.hiding import hidden_pixels
from visual_summaries.masks.network import Network
from visual_summaries.masks.objective import geometry, geometry_gradient
from visual_summaries.masks.perturb import gaussian_blur, perturb
from visual_summaries.masks.published import initial_mask
from visual_summaries.masks.settings import FastSchedule

#: Above the share of the score that may stay, p weighs this many times more: the drop comes before the geometry.
EXCESS_WEIGHT = 10.0


@dataclass(frozen=True)
class Finished:
    """Result of one image: evidence (H, W) rounded to float16, float32 scores, the objective at each pass."""

    position: int
    smooth: Tensor
    sharp: Tensor
    before: float
    blurred: float
    after: float
    losses: list[float]


class FastSolver:
    """A fixed number of places for images of one size; finished images leave theirs to others.

    Parameters
    ----------
    network : Network
    schedule : FastSchedule
    like : Tensor, (C, H, W)
        Gives shape, device and type of the images.
    places : int
    """

    def __init__(self, network: Network, schedule: FastSchedule, like: Tensor, places: int) -> None:
        self.network, self.schedule = network, schedule
        self.shape = like.shape
        c, h, w = like.shape
        side = max(1.0, min(h, w) / schedule.cells)
        low = (max(1, round(h / side)), max(1, round(w / side)))
        self.rows = upsampling_matrix(low[0], h, schedule.sigma * side).to(like)
        self.columns = upsampling_matrix(low[1], w, schedule.sigma * side).to(like).T.contiguous()
        self.start = (1 - initial_mask(1, *low)[0]).to(like)

        def zeros(*size: int) -> Tensor:
            return like.new_zeros((places, *size))

        self.images, self.hidden = zeros(c, h, w), zeros(c, h, w)
        self.density, self.moment1, self.moment2 = zeros(*low), zeros(*low), zeros(*low)
        self.trial, self.best, self.best_slope = zeros(h, w), zeros(h, w), zeros(h, w)
        self.before, self.blurred, self.log_mu = zeros(), zeros(), zeros()
        self.best_value, self.best_log_p, self.trust = zeros(), zeros(), zeros()
        self.step_of = torch.zeros(places, dtype=torch.int64, device=like.device)
        self.items: list[Item | None] = [None] * places

    @property
    def free(self) -> list[int]:
        """Places without an image."""
        return [place for place, item in enumerate(self.items) if item is None]

    @property
    def busy(self) -> list[int]:
        """Places with an image."""
        return [place for place, item in enumerate(self.items) if item is not None]

    def admit(self, positions: list[int], images: Tensor) -> None:
        """Give images (N, C, H, W) free places."""
        places = torch.tensor(self.free[: len(positions)], device=images.device)
        settings, schedule = self.network.settings, self.schedule
        hidden = hidden_pixels(images, settings)
        self.images[places], self.hidden[places] = images, hidden
        self.before[places] = self.network.scores(images).to(images)
        self.blurred[places] = self.network.scores(hidden).to(images)
        self.density[places] = self.start
        self.moment1[places] = self.moment2[places] = 0
        self.log_mu[places] = math.log(schedule.multiplier)
        self.best_value[places] = math.inf
        self.trust[places] = schedule.trust
        self.step_of[places] = 0
        for place, position in zip(places.tolist(), positions, strict=True):
            self.items[place] = Item(position)

    def step(self) -> list[Finished]:
        """Ask the network once about every image, move every mask, and return the images that are finished."""
        busy = torch.tensor(self.busy, device=self.images.device)
        in_shape = self.step_of[busy] < self.schedule.shape_steps
        shaping, refining = busy[in_shape], busy[~in_shape]
        if len(shaping):
            fields, contrast = self.fields(shaping), self.contrast(shaping)
            self.trial[shaping] = project(fields, contrast)
        evidence = self.trial[busy]
        odds, slope = self.network.odds_and_gradient(self.images[busy], self.hidden[busy], 1 - evidence)
        slope.neg_()  # of the mask m -> of the evidence 1 - m
        log_p = F.logsigmoid(odds)
        geometric = geometry(1 - evidence, self.network.settings.sharp, self.network.settings.tv_exponent)
        for place, value in zip(busy.tolist(), (log_p.exp() + geometric).tolist(), strict=True):
            self.item(place).losses.append(value)
        if len(shaping):
            self.move_shape(shaping, fields, contrast, odds[in_shape], slope[in_shape])
        if len(refining):
            self.move_refined(refining, log_p[~in_shape], slope[~in_shape], geometric[~in_shape])
        self.step_of[busy] += 1
        turned = shaping[self.step_of[shaping] == self.schedule.shape_steps]
        if len(turned):
            fields = self.fields(turned)
            for place, smooth in zip(turned.tolist(), fields.clamp(0, 1).half().cpu(), strict=True):
                self.item(place).smooth = smooth
            self.trial[turned] = project(fields, self.contrast(turned))
        done = (self.step_of[busy] >= self.schedule.shape_steps + self.schedule.refine_steps) | (
            self.trust[busy] < self.schedule.least_trust
        )
        return self.finish(busy[done]) if bool(done.any()) else []

    def item(self, place: int) -> Item:
        """Return what is kept of the image at a busy place."""
        item = self.items[place]
        assert item is not None  # noqa: S101 - only asked of busy places
        return item

    def fields(self, places: Tensor) -> Tensor:
        """Return the smooth fields (n, H, W) of the densities: bilinear upsampling and blur as one pair of matrix products."""
        return self.rows @ self.density[places] @ self.columns

    def progress(self, places: Tensor) -> Tensor:
        """Return how far the shape stage is: 0 at its first step, 1 at its last (n,)."""
        last = max(self.schedule.shape_steps - 1, 1)
        return (self.step_of[places] / last).clamp_max(1).to(self.density.dtype)

    def contrast(self, places: Tensor) -> Tensor:
        """Return the contrast of the projection (n, 1, 1): from the first to the last value by equal factors."""
        first, last = self.schedule.first_contrast, self.schedule.last_contrast
        return (first * (last / first) ** self.progress(places))[:, None, None]

    def move_shape(self, places: Tensor, fields: Tensor, contrast: Tensor, odds: Tensor, slope: Tensor) -> None:
        """Take one Adam step on the densities and adapt the multipliers."""
        schedule = self.schedule
        before = self.before[places]
        # Below half of what may stay the network's pull fades: there is nothing left to gain from it.
        floor = (2 * schedule.kept * before).clamp(1e-6, 0.5)
        pull = self.log_mu[places].exp() * torch.sigmoid(odds - torch.logit(floor))
        evidence = self.trial[places]
        area_weight = schedule.first_area * (schedule.last_area / schedule.first_area) ** self.progress(places)
        pixels = evidence[0].numel()
        gradient = boundary_gradient(evidence).mul_(schedule.boundary / pixels)
        gradient += (area_weight / pixels)[:, None, None]
        gradient += slope * pull[:, None, None]
        gradient *= project_slope(fields, contrast)
        low = self.rows.T @ gradient @ self.columns.T
        count = (self.step_of[places] + 1).to(low.dtype)[:, None, None]
        first = self.moment1[places].lerp_(low, 0.1)
        second = self.moment2[places].lerp_(low * low, 1 - schedule.second_decay)
        self.moment1[places], self.moment2[places] = first, second
        change = (first / (1 - 0.9**count)) / ((second / (1 - schedule.second_decay**count)).sqrt() + 1e-12)
        self.density[places] = (self.density[places] - schedule.learning_rate * change).clamp_(0, 1)
        excess = torch.log((torch.sigmoid(odds) / before.clamp_min(1e-12) + 1e-6) / schedule.kept).clamp(-1, 1)
        low_mu, high_mu = math.log(1e-3), math.log(schedule.largest_multiplier)
        self.log_mu[places] = (self.log_mu[places] + schedule.adaptation * excess).clamp(low_mu, high_mu)

    def allowed(self, places: Tensor) -> Tensor:
        """Return the score (n,) above which p weighs more."""
        return 3 * self.schedule.kept * self.before[places]

    def merit(self, places: Tensor, p: Tensor, geometric: Tensor) -> Tensor:
        """Return what decides between two masks: L, and more for p above what is allowed."""
        return p + geometric + EXCESS_WEIGHT * (p - self.allowed(places)).clamp_min(0)

    def move_refined(self, places: Tensor, log_p: Tensor, slope: Tensor, geometric: Tensor) -> None:
        """Judge the trial masks, keep the better ones, and propose the next."""
        value = self.merit(places, log_p.exp(), geometric)
        better = value < self.best_value[places]
        won = places[better]
        self.best[won] = self.trial[won]
        self.best_value[won] = value[better]
        self.best_log_p[won] = log_p[better]
        # d log p = (1 - p) d log-odds
        self.best_slope[won] = slope[better] * (1 - log_p[better].exp())[:, None, None]
        factor = torch.where(better, 1.1, 0.5).to(self.trust)
        self.trust[places] = (self.trust[places] * factor).clamp_max(0.7)
        self.trial[places] = self.propose(places)

    def propose(self, places: Tensor) -> Tensor:
        """Return the minimum of modelled p + exact geometry within the trust region around the best masks."""
        settings, schedule = self.network.settings, self.schedule
        centre, slope, log_p = self.best[places], self.best_slope[places], self.best_log_p[places]
        allowed, trust = self.allowed(places), self.trust[places][:, None, None]
        low, high = (centre - trust).clamp_min_(0), (centre + trust).clamp_max_(1)
        pixels = centre[0].numel()
        scaled = slope * pixels
        evidence = centre.clone()
        for _ in range(schedule.inner_steps):
            p = (log_p + torch.linalg.vecdot((evidence - centre).flatten(1), slope.flatten(1))).clamp_max_(0).exp()
            weight = p * torch.where(p > allowed, 1 + EXCESS_WEIGHT, 1.0)
            gradient = geometry_gradient(evidence, settings.sharp, settings.tv_exponent)
            gradient += (scaled * weight[:, None, None]).clamp_(-4, 4)
            evidence.sub_(gradient, alpha=schedule.inner_rate)
            evidence = torch.minimum(torch.maximum(evidence, low), high)
        return evidence

    def finish(self, places: Tensor) -> list[Finished]:
        """Free the places and return their results: of best mask and last trial the one with the lower float32 merit."""
        settings = self.network.settings
        images, hidden = self.images[places], self.hidden[places]
        candidates, values, scores = [], [], []
        for evidence in (self.best[places], self.trial[places]):
            rounded = evidence.half()
            mask = 1 - rounded.to(images)
            p = self.network.scores(perturb(images, hidden, mask)).to(images)
            candidates.append(rounded)
            scores.append(p)
            values.append(self.merit(places, p, geometry(mask, settings.sharp, settings.tv_exponent)))
        results = []
        for i, place in enumerate(places.tolist()):
            item = self.item(place)
            choice = int(values[1][i] < values[0][i]) if self.schedule.refine_steps else 1
            sharp = candidates[choice][i].cpu()
            smooth = sharp if item.smooth is None else item.smooth
            before, blurred, after = self.before[place].item(), self.blurred[place].item(), scores[choice][i].item()
            results.append(Finished(item.position, smooth, sharp, before, blurred, after, item.losses))
            self.items[place] = None
        return results


@dataclass
class Item:
    """What is kept of an image besides its place in the tensors."""

    position: int
    losses: list[float] = field(default_factory=list)
    smooth: Tensor | None = None


def upsampling_matrix(low: int, high: int, sigma: float) -> Tensor:
    """Return the matrix (high, low) that upsamples bilinearly and then blurs, in one dimension.

    Examples
    --------
    >>> upsampling_matrix(2, 4, 0.0).tolist()
    [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]
    """
    rows = torch.eye(low).view(low, 1, 1, low)
    up = F.interpolate(rows, size=(1, high), mode="bilinear", align_corners=False)
    if sigma > 0:
        size = 2 * math.ceil(3 * sigma) + 1
        up = gaussian_blur(up.expand(-1, -1, size, -1), size, sigma)[:, :, size // 2 : size // 2 + 1]
    return up.view(low, high).T.contiguous()


def project(fields: Tensor, contrast: Tensor) -> Tensor:
    """Push fields in [0, 1] towards 0 and 1: a smoothed step at 0.5 that keeps 0, 0.5 and 1 where they are.

    Examples
    --------
    >>> step = project(torch.tensor([[[0.0, 0.25, 0.5, 1.0]]]), torch.tensor([[[8.0]]]))
    >>> [round(value, 3) for value in step.flatten().tolist()]
    [0.0, 0.018, 0.5, 1.0]
    """
    return torch.tanh((fields - 0.5) * contrast).div_(torch.tanh(0.5 * contrast)).add_(1).mul_(0.5).clamp_(0, 1)


def project_slope(fields: Tensor, contrast: Tensor) -> Tensor:
    """Return the derivative of :func:`project` with respect to the fields."""
    tanh = torch.tanh((fields - 0.5) * contrast)
    return tanh.mul_(tanh).neg_().add_(1).mul_(0.5 * contrast / torch.tanh(0.5 * contrast))


def boundary_gradient(evidence: Tensor) -> Tensor:
    """Return the gradient of the summed ``|grad e|`` of each mask (N, H, W): the length of its boundary, however wide."""
    dx = F.pad(evidence.diff(dim=-1), (0, 1))
    dy = F.pad(evidence.diff(dim=-2), (0, 0, 0, 1))
    norm = (dx * dx).addcmul_(dy, dy).add_(1e-8).rsqrt_()
    dx *= norm
    dy *= norm
    gradient = -(dx + dy)
    gradient[..., :, 1:] += dx[..., :, :-1]
    gradient[..., 1:, :] += dy[..., :-1, :]
    return gradient
