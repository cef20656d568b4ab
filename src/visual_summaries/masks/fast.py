"""The fast optimiser: the published objective in about a seventh of the network passes.

What makes it fast is a division of labour: the network is asked once a step and answers with a slope; area, boundary and grey
pixels need no network at all.

What the network is asked for is a *term* (:mod:`visual_summaries.masks.terms`): the class with the evidence hidden in one
way, or with all else hidden. q is what a term wants small: p, or 1 - p.

*Shape* (`shape_steps` passes). The evidence is the level set of a coarse field (:mod:`visual_summaries.masks.shape`) whose
contrast rises from step to step. Adam minimises

    mu log-odds(q) + a mean(e) + b mean|grad e|

The log-odds have a useful slope when q is near 1 or near 0, where q itself has none. mu is each image's own multiplier, one
for each term, raised while q is above what is wanted and lowered while it is below. Of several terms one is drawn at each step.

*Refine* (`refine_steps` passes; of several terms each is asked in each round). At full resolution L itself, published
coefficients: around the best mask
found so far q is modelled as ``q exp(<slope, change>)``, a trust region limits how far a pixel may move, and the minimum of
modelled q + exact geometry is sought without the network (:mod:`visual_summaries.masks.trust_region`). The network then says
what q really is: the step is kept when L fell, else the region shrinks.

Masks in this module are **evidence**: e = 1 - m.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from visual_summaries.masks.hiding import ways_to_hide
from visual_summaries.masks.network import Network
from visual_summaries.masks.objective import geometry
from visual_summaries.masks.perturb import perturb
from visual_summaries.masks.published import initial_mask
from visual_summaries.masks.settings import FastSchedule
from visual_summaries.masks.shape import boundary_gradient, project, upsampling_matrix
from visual_summaries.masks.terms import draw_terms, terms_of
from visual_summaries.masks.trust_region import EXCESS_WEIGHT, minimum_nearby

#: Other ways of hiding than the first are not used for an image of whose score they leave more than this share when they hide
#: everything.
LARGEST_LEFT = 0.5

#: Fewest rounds of refining, however many terms there are.
LEAST_ROUNDS = 4


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

        self.terms = terms_of(network.settings)
        ways, terms = 1 + max(term.way for term in self.terms), len(self.terms)
        # Of several terms each has to be asked in each round: as many passes as for one, but a trust region needs some rounds.
        self.rounds = max(-(-schedule.refine_steps // terms), min(schedule.refine_steps, LEAST_ROUNDS))
        self.way_of = torch.tensor([term.way for term in self.terms], device=like.device)
        self.shown = torch.tensor([term.shown for term in self.terms], device=like.device)
        self.images, self.hidden = zeros(c, h, w), zeros(ways, c, h, w)
        self.density, self.moment1, self.moment2 = zeros(*low), zeros(*low), zeros(*low)
        self.trial, self.best, self.best_slope = zeros(h, w), zeros(h, w), zeros(terms, h, w)
        self.before, self.blurred, self.log_mu = zeros(), zeros(), zeros(terms)
        self.wanted, self.allowed, self.weight = zeros(terms), zeros(terms), zeros(terms)
        self.best_value, self.best_log_q, self.trust = zeros(), zeros(terms), zeros()
        self.step_of = torch.zeros(places, dtype=torch.int64, device=like.device)
        self.draws = torch.zeros(places, schedule.shape_steps, dtype=torch.int64, device=like.device)
        self.items: list[Item | None] = [None] * places

    @property
    def free(self) -> list[int]:
        """Places without an image."""
        return [place for place, item in enumerate(self.items) if item is None]

    @property
    def busy(self) -> list[int]:
        """Places with an image."""
        return [place for place, item in enumerate(self.items) if item is not None]

    def admit(self, positions: list[int], images: Tensor, seeds: list[int] | None = None) -> None:
        """Give images (N, C, H, W) free places; each has its own seed for what is drawn."""
        places = torch.tensor(self.free[: len(positions)], device=images.device)
        settings, schedule = self.network.settings, self.schedule
        hidden = torch.stack(ways_to_hide(images, settings), dim=1)
        self.images[places], self.hidden[places] = images, hidden
        before = self.network.scores(images).to(images)
        self.before[places] = before
        blurred = self.network.scores(hidden[:, 0]).to(images)
        self.blurred[places] = blurred
        others = [self.network.quick_scores(way).to(images) for way in hidden.unbind(dim=1)[1:]]
        whole = torch.stack([blurred, *others], dim=1)
        # A way that does not destroy the class when it hides everything cannot tell evidence: the image does without it. The
        # first way stays: scores are those under it.
        usable = whole <= LARGEST_LEFT * before[:, None]
        usable[:, 0] = True
        asked = usable[:, self.way_of]
        self.weight[places] = asked / usable.sum(dim=1, keepdim=True)
        kept = before[:, None] * schedule.kept
        self.wanted[places] = torch.where(self.shown, schedule.kept, kept)
        self.allowed[places] = torch.where(self.shown, (1 - before[:, None]).clamp_min(3 * schedule.kept), 3 * kept)
        for place, terms, seed in zip(places.tolist(), asked.cpu(), seeds or [0] * len(positions), strict=True):
            self.draws[place] = draw_terms(terms.nonzero()[:, 0], schedule.shape_steps, seed).to(self.draws)
        self.density[places] = self.start
        self.moment1[places] = self.moment2[places] = 0
        self.log_mu[places] = math.log(schedule.multiplier)
        self.best_value[places] = math.inf
        self.trust[places] = schedule.trust
        self.step_of[places] = 0
        for place, position in zip(places.tolist(), positions, strict=True):
            self.items[place] = Item(position)

    def step(self) -> list[Finished]:
        """Ask the network about every image, move every mask, and return the images that are finished."""
        busy = torch.tensor(self.busy, device=self.images.device)
        in_shape = self.step_of[busy] < self.schedule.shape_steps
        shaping, refining = busy[in_shape], busy[~in_shape]
        drawn = self.draws[shaping, self.step_of[shaping]]
        if len(shaping):
            self.trial[shaping], drawing = project(self.fields(shaping), self.contrast(shaping))
        # An image that is shaped is asked for the term drawn; one that is refined for all of them, the first at the same time.
        first = torch.zeros_like(busy)
        first[in_shape] = drawn
        odds, slope = self.ask(busy, first)
        log_q = F.logsigmoid(odds)
        geometric = geometry(1 - self.trial[busy], self.network.settings.sharp, self.network.settings.tv_exponent)
        q = log_q.exp()
        if len(shaping):
            self.move_shape(shaping, drawn, drawing, odds[in_shape], slope[in_shape])
        if len(refining):
            log_qs, slopes = [log_q[~in_shape]], [slope[~in_shape]]
            for term in range(1, len(self.terms)):
                odds, slope = self.ask(refining, torch.full_like(refining, term))
                log_qs.append(F.logsigmoid(odds))
                slopes.append(slope)
            q[~in_shape] = self.weighted(refining, torch.stack(log_qs, dim=1).exp())
            self.move_refined(refining, torch.stack(log_qs, dim=1), torch.stack(slopes, dim=1), geometric[~in_shape])
        for place, value in zip(busy.tolist(), (q + geometric).tolist(), strict=True):
            self.item(place).losses.append(value)
        self.step_of[busy] += 1
        turned = shaping[self.step_of[shaping] == self.schedule.shape_steps]
        if len(turned):
            fields = self.fields(turned)
            for place, smooth in zip(turned.tolist(), fields.clamp(0, 1).half().cpu(), strict=True):
                self.item(place).smooth = smooth
            self.trial[turned] = project(fields, self.contrast(turned))[0]
        done = (self.step_of[busy] >= self.schedule.shape_steps + self.rounds) | (self.trust[busy] < self.schedule.least_trust)
        return self.finish(busy[done]) if bool(done.any()) else []

    def ask(self, places: Tensor, terms: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log-odds (n,) of q of one term for each place, and their slope (n, H, W) with respect to the evidence."""
        shown = self.shown[terms]
        evidence = self.trial[places]
        mask = torch.where(shown[:, None, None], evidence, 1 - evidence)
        ways = self.way_of[terms]
        images, hidden = self.images, self.hidden[:, 0]
        if len(places) < len(images) or self.hidden.shape[1] > 1:  # else all of them, in order: nothing to copy
            images, hidden = images[places], self.hidden[places, ways]
        odds, gradient = self.network.odds_and_gradient(images, hidden, mask)
        # Hidden evidence: the mask is 1 - e. Shown evidence: the mask is e, and the odds are to rise. One sign for both.
        return torch.where(shown, -odds, odds), gradient.neg_()

    def weighted(self, places: Tensor, q: Tensor) -> Tensor:
        """Return the mean over an image's ways of hiding, summed over deletion and preservation, of q (n, terms)."""
        return (q * self.weight[places]).sum(-1)

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

    def move_shape(self, places: Tensor, terms: Tensor, drawing: Tensor, odds: Tensor, slope: Tensor) -> None:
        """Take one Adam step on the densities and adapt the multipliers; `drawing` is the slope of the projection."""
        schedule = self.schedule
        wanted = self.wanted[places, terms]
        # Below half of what may stay the network's pull fades: there is nothing left to gain from it.
        floor = (2 * wanted).clamp(1e-6, 0.5)
        pull = self.log_mu[places, terms].exp() * torch.sigmoid(odds - torch.logit(floor))
        evidence = self.trial[places]
        area_weight = schedule.first_area * (schedule.last_area / schedule.first_area) ** self.progress(places)
        pixels = evidence[0].numel()
        gradient = boundary_gradient(evidence).mul_(schedule.boundary / pixels).add_((area_weight / pixels)[:, None, None])
        gradient.addcmul_(slope, pull[:, None, None]).mul_(drawing)
        low = self.rows.T @ gradient @ self.columns.T
        count = (self.step_of[places] + 1).to(low.dtype)[:, None, None]
        first = self.moment1[places].lerp_(low, 0.1)
        second = self.moment2[places].lerp_(low * low, 1 - schedule.second_decay)
        self.moment1[places], self.moment2[places] = first, second
        change = (first / (1 - 0.9**count)) / ((second / (1 - schedule.second_decay**count)).sqrt() + 1e-12)
        self.density[places] = (self.density[places] - schedule.learning_rate * change).clamp_(0, 1)
        excess = torch.log(torch.sigmoid(odds) / wanted.clamp_min(1e-12) + 1e-3).clamp(-1, 1)
        low_mu, high_mu = math.log(1e-3), math.log(schedule.largest_multiplier)
        self.log_mu[places, terms] = (self.log_mu[places, terms] + schedule.adaptation * excess).clamp(low_mu, high_mu)

    def merit(self, places: Tensor, q: Tensor, geometric: Tensor) -> Tensor:
        """Return what decides between two masks: L, and more for q (n, terms) above what is allowed."""
        return self.weighted(places, q + EXCESS_WEIGHT * (q - self.allowed[places]).clamp_min(0)) + geometric

    def move_refined(self, places: Tensor, log_q: Tensor, slope: Tensor, geometric: Tensor) -> None:
        """Judge the trial masks, keep the better ones, and propose the next."""
        value = self.merit(places, log_q.exp(), geometric)
        better = value < self.best_value[places]
        won = places[better]
        self.best[won] = self.trial[won]
        self.best_value[won] = value[better]
        self.best_log_q[won] = log_q[better]
        # d log p = (1 - p) d log-odds
        self.best_slope[won] = slope[better] * (1 - log_q[better].exp())[..., None, None]
        factor = torch.where(better, 1.1, 0.5).to(self.trust)
        self.trust[places] = (self.trust[places] * factor).clamp_max(0.7)
        self.trial[places] = minimum_nearby(
            self.best[places],
            self.best_slope[places],
            self.best_log_q[places],
            self.allowed[places],
            self.trust[places],
            self.weight[places],
            self.network.settings,
            self.schedule,
        )

    def finish(self, places: Tensor) -> list[Finished]:
        """Free the places and return their results: of best mask and last trial the one with the lower float32 merit."""
        settings = self.network.settings
        images, hidden = self.images[places], self.hidden[places]
        candidates, values = [], []
        for evidence in (self.best[places], self.trial[places]):
            rounded = evidence.half()
            kept = rounded.to(images)
            columns = []
            for term in self.terms:
                mask = kept if term.shown else 1 - kept
                p = self.network.quick_scores(perturb(images, hidden[:, term.way], mask)).to(images)
                columns.append(1 - p if term.shown else p)
            candidates.append(rounded)
            geometric = geometry(1 - kept, settings.sharp, settings.tv_exponent)
            values.append(self.merit(places, torch.stack(columns, dim=1), geometric))
        last = (
            (values[1] < values[0])[:, None, None]
            if self.schedule.refine_steps
            else torch.ones_like(candidates[0], dtype=torch.bool)
        )
        chosen = torch.where(last, candidates[1], candidates[0])
        scores = self.network.scores(perturb(images, hidden[:, 0], 1 - chosen.to(images)))
        results = []
        for i, place in enumerate(places.tolist()):
            item = self.item(place)
            sharp = chosen[i].cpu()
            smooth = sharp if item.smooth is None else item.smooth
            before, blurred, after = float(self.before[place]), float(self.blurred[place]), float(scores[i])
            results.append(Finished(item.position, smooth, sharp, before, blurred, after, item.losses))
            self.items[place] = None
        return results


@dataclass
class Item:
    """What is kept of an image besides its place in the tensors."""

    position: int
    losses: list[float] = field(default_factory=list)
    smooth: Tensor | None = None
